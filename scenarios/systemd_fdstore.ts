/*
 * The file descriptor store of systemd: PID 1 holds a few descriptors for each unit, and gives every unit a small
 * session of its own for the update, so that one can be finished when its unit is up again, whatever the others do.
 *
 *   session unit-0.service, ...    tokens 0, 1, 2: what the unit left in the store
 *
 * A unit may leave what no kernel can hand over, a socket say: PRESERVE_FD answers ENOENT, the unit starts without it,
 * and its other files are kept all the same.
 */
import { type Action, type GenerationProgram, type Names, type Program, plainName } from '../sim/index.ts';
import { LEAVE, revisionOf } from './leave.ts';
import type { ManySessionsParams } from './many_sessions.ts';

const FILES_PER_UNIT = 3;
const FILE_BYTES = 4096;
/** In the store: files of all units in a row, and something that is not a memfd. */
const FILE = 'fd-%d';
const NOTIFY = plainName('notify-pipe');
const UNIT = 'unit-%d.service';

export default function systemdFdstore({ revisions, generations, sessions }: ManySessionsParams): Program {
  const last = generations - 1;
  return {
    generations: Array.from({ length: generations }, (_, generation): GenerationProgram => {
      const actions: Action[] = [{ do: 'open' }];
      if (generation === 0) actions.push(...fill(sessions));
      else actions.push(...startUnits(sessions));
      if (generation < last) actions.push(...keepUnits(sessions));
      const pid1 = [{ process: 'systemd', actions }];
      return {
        revision: revisionOf(revisions, generation),
        stages: generation < last ? [pid1, LEAVE] : [pid1],
      };
    }),
  };
}

/** RAM for so many units: each file takes its page, and as much again and more to describe it. */
export const fdstoreBytes = (sessions: number): number => sessions * FILES_PER_UNIT * 8 * FILE_BYTES;

const unit = (i: number): Names => ({ pattern: UNIT, first: i, count: 1 });
const filesOf = (i: number): Names => ({ pattern: FILE, first: i * FILES_PER_UNIT, count: FILES_PER_UNIT });
const units = (count: number, act: (i: number) => Action[]): Action[] =>
  Array.from({ length: count }, (_, i) => act(i)).flat();

/** Units run, and leave their files in the store. */
function fill(sessions: number): Action[] {
  if (sessions === 0) return [];
  const names = { pattern: FILE, first: 0, count: sessions * FILES_PER_UNIT };
  return [
    { do: 'memfd', names, bytes: FILE_BYTES },
    { do: 'fill', names, every: 64, seed: 1 },
  ];
}

/** Before the update, unit by unit: a session, and its files into it. */
function keepUnits(sessions: number): Action[] {
  return units(sessions, (i) => [
    { do: 'create', names: unit(i) },
    { do: 'preserve', names: filesOf(i), session: unit(i), token: 0 },
    // The first unit has one thing more in the store, which is refused.
    ...(i > 0
      ? []
      : ([
          { do: 'open-file', names: NOTIFY, kind: 'pipe' },
          { do: 'preserve', names: NOTIFY, session: unit(i), token: FILES_PER_UNIT },
          { do: 'close-file', names: NOTIFY },
        ] as const)),
  ]);
}

/** After the update, unit by unit: its files go back to the store, and its session is done with. */
function startUnits(sessions: number): Action[] {
  return units(sessions, (i) => [
    { do: 'retrieve', names: unit(i) },
    { do: 'retrieve-fd', names: filesOf(i), session: unit(i), token: 0 },
    { do: 'read', names: filesOf(i) },
    { do: 'finish', names: unit(i) },
    { do: 'close', names: unit(i) },
  ]);
}
