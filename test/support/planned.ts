/*
 * Updates as `luosim plan` runs them, for tests that hold a plan against the real thing.
 */
import manyFiles from '../../scenarios/many_files.ts';
import manySessions, { OWN_DESCRIPTORS } from '../../scenarios/many_sessions.ts';
import { capacityOf, type StoreShape, shapeOf } from '../../sim/check/store_shape.ts';
import { priced, type Steps } from '../../sim/explore/blackout.ts';
import type { Spread } from '../../sim/explore/file_forecast.ts';
import { Forecast, type UpdatePhase } from '../../sim/explore/forecast.ts';
import { type Plan, plan } from '../../sim/explore/plan.ts';
import type { ActionReport, GenerationReport, RunResult } from '../../sim/explore/result.ts';
import { type Memory, roomOf, type Shattered, shattered } from '../../sim/explore/shattered.ts';
import { simulate } from '../../sim/explore/simulate.ts';
import type { RunInput } from '../../sim/input/run_input.ts';
import { revisionByName } from '../../sim/kernel/revisions.ts';
import { ran } from './play.ts';
import { MIB } from './system.ts';

export const ROOM: Memory = { ramBytes: 256 * MIB, fragmentedPercent: 0 };

export function inputOf(revision: string, { sessions, files }: Spread, memory: Memory): RunInput {
  return {
    machine: { ...memory, nodes: 1, cpus: 1 },
    profile: 'icount',
    seed: '1',
    program:
      files === 0
        ? manySessions({ revisions: [revision], generations: 2, sessions, pattern: 's%d', keep: true })
        : manyFiles({ revision, sessions, files, fileBytes: 4096, pattern: 's%d' }),
  };
}

const updates = new Map<string, RunResult>();

/** An update that was run, once in a process. */
export function update(revision: string, sessions: number, memory: Memory = ROOM, files = 0): RunResult {
  const input = inputOf(revision, { sessions, files }, memory);
  const key = JSON.stringify([input.machine, input.program]);
  const known = updates.get(key);
  if (known !== undefined) return known;
  const result = ran(input);
  updates.set(key, result);
  return result;
}

const forecasts = new Map<string, Forecast>();

export function forecastOf(revision: string): Forecast {
  const known =
    forecasts.get(revision) ?? new Forecast((n) => update(revision, n), capacityOf(storeOf(revision)));
  forecasts.set(revision, known);
  return known;
}

export function storeOf(revision: string): StoreShape {
  const known = revisionByName(revision);
  if (known === undefined) throw new Error(revision);
  return shapeOf(known.parts.sessionStore);
}

/** How far the memory of such a machine may be shattered. */
export function shatteredFor(revision: string, sessions: number, ramBytes: number): Shattered {
  const kernelOf = (spread: Spread, memory: Memory): GenerationReport => {
    const { program, ...input } = inputOf(revision, spread, memory);
    const result = simulate({ ...input, program: { generations: program.generations.slice(0, 1) } });
    if (typeof result === 'string' || result.generations[0] === undefined) throw new Error('no kernel');
    return result.generations[0];
  };
  return shattered({
    revision,
    spread: { sessions, files: 0 },
    ramBytes,
    pagesCreated: (spread) => forecastOf(revision).pages('created', spread.sessions),
    shape: storeOf(revision),
    filesMax: 128,
    room: roomOf(kernelOf({ sessions: 0, files: 0 }, { ramBytes, fragmentedPercent: 0 })),
    kernelOf,
  });
}

export const planFor = (
  revision: string,
  sessions: number,
  { ramBytes, fragmentedPercent }: Memory = ROOM,
  shatteredRevisions: readonly string[] = [],
  files = 0,
): Plan =>
  plan({
    revision,
    sessions,
    files,
    ramBytes,
    fragmentedPercent,
    shatteredRevisions,
    ownDescriptors: OWN_DESCRIPTORS,
    inputOf,
  });

const of = (actions: readonly ActionReport[], wanted: string): Steps[] =>
  actions.filter(({ verb }) => verb === wanted).map(({ steps }) => steps);

/** Steps of an update's parts, as they were. */
export function stepsOf({ generations: [before, after] }: RunResult): Record<UpdatePhase, Steps> {
  if (before === undefined || after === undefined) throw new Error('no update');
  return {
    create: priced(of(before.actions, 'create')).steps,
    reboot: priced([...of(before.actions, 'reboot'), after.bootSteps]).steps,
    open: priced(of(after.actions, 'open')).steps,
    retrieve: priced(of(after.actions, 'retrieve')).steps,
  };
}
