/*
 * A live-update daemon, as luod is: the one process that has /dev/liveupdate open, and keeps sessions for its clients.
 * After an update it must know what it had, so it writes that down itself:
 *
 *   session "luod-state"     token 0: a memfd with an entry of 64 bytes for each session that it holds
 *   session client-0, ...    token 0: a memfd that a client gave it
 *
 *   kernel 0        takes files in, writes the list, waits for the update
 *   kernel 1, ...   retrieves the state session by its known name, reads the list, retrieves by it the sessions and the
 *                   files in them, finishes and closes them all; the client works on with its file; and for the next
 *                   update everything is made again: a session that was finished is gone, its name is free, and its
 *                   file can be preserved anew
 *   the last        takes over, and keeps nothing
 */
import { type Action, type GenerationProgram, type Names, type Program, plainName } from '../sim/index.ts';
import { LEAVE, revisionOf } from './leave.ts';
import type { ManySessionsParams } from './many_sessions.ts';

const STATE = plainName('luod-state');
/** In the daemon: its list, and the files of its clients. */
const LIST = plainName('list');
const CLIENT = 'client-%d';
const ENTRY_BYTES = 64;
const FILE_BYTES = 8192;

export default function liveUpdateDaemon({ revisions, generations, sessions }: ManySessionsParams): Program {
  const last = generations - 1;
  return {
    generations: Array.from({ length: generations }, (_, generation): GenerationProgram => {
      const actions: Action[] = [{ do: 'open' }];
      if (generation > 0) actions.push(...takeOver(sessions));
      else actions.push(...takeIn(sessions));
      if (generation < last) actions.push(...prepare(sessions, generation));
      const daemon = [{ process: 'luod', actions }];
      return {
        revision: revisionOf(revisions, generation),
        stages: generation < last ? [daemon, LEAVE] : [daemon],
      };
    }),
  };
}

/** RAM for so many clients: each file takes its pages, and as many more to describe it. */
export const daemonBytes = (sessions: number): number => sessions * 8 * FILE_BYTES;

/** Names of all sessions, and of all files; an action has at least one. */
const all = (sessions: number): Names[] =>
  sessions === 0 ? [] : [{ pattern: CLIENT, first: 0, count: sessions }];

const one = (client: number): Names => ({ pattern: CLIENT, first: client, count: 1 });
const each = (sessions: number, act: (client: Names) => Action): Action[] =>
  Array.from({ length: sessions }, (_, client) => act(one(client)));

/** Clients hand in files, with something in them; and the list gets its file. */
function takeIn(sessions: number): Action[] {
  return [
    { do: 'memfd', names: LIST, bytes: 0 },
    ...all(sessions).flatMap((names): Action[] => [
      { do: 'memfd', names, bytes: FILE_BYTES },
      { do: 'write', names, at: 0, bytes: ENTRY_BYTES, seed: 1 },
    ]),
  ];
}

/** The list first: it says which sessions there are. */
function takeOver(sessions: number): Action[] {
  return [
    { do: 'retrieve', names: STATE },
    { do: 'retrieve-fd', names: LIST, session: STATE, token: 0 },
    { do: 'read', names: LIST },
    ...all(sessions).map((names): Action => ({ do: 'retrieve', names })),
    ...each(sessions, (client) => ({ do: 'retrieve-fd', names: client, session: client, token: 0 })),
    ...all(sessions).flatMap((names): Action[] => [
      { do: 'read', names },
      { do: 'finish', names },
      { do: 'close', names },
    ]),
    { do: 'finish', names: STATE },
    { do: 'close', names: STATE },
  ];
}

/** Clients have worked on; sessions and list are made again. */
function prepare(sessions: number, generation: number): Action[] {
  const bytes = sessions * ENTRY_BYTES;
  return [
    ...all(sessions).flatMap((names): Action[] => [
      { do: 'write', names, at: generation * ENTRY_BYTES, bytes: ENTRY_BYTES, seed: generation + 2 },
      { do: 'create', names },
    ]),
    ...each(sessions, (client) => ({ do: 'preserve', names: client, session: client, token: 0 })),
    { do: 'truncate', names: LIST, bytes },
    ...(bytes === 0 ? [] : [{ do: 'write', names: LIST, at: 0, bytes, seed: generation + 2 } as const]),
    { do: 'create', names: STATE },
    { do: 'preserve', names: LIST, session: STATE, token: 0 },
  ];
}
