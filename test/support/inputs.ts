/*
 * Inputs of runs that could be anybody's: kernels of any revision with patches in or out, tasks that work on the same
 * sessions at the same time, a reboot beside them or behind them, faults by number or by chance.
 */
import fc from 'fast-check';
import type { Fault } from '../../sim/base/decisions.ts';
import { type Point, pointConcern, pointCount, pointName } from '../../sim/base/point.ts';
import { programError } from '../../sim/input/program_json.ts';
import type { RunInput } from '../../sim/input/run_input.ts';
import { PATCHES } from '../../sim/kernel/patches.ts';
import { REVISIONS, type Revision, withPatches } from '../../sim/kernel/revisions.ts';
import { machineParamsError } from '../../sim/machine/machine.ts';
import { type Names, plainName } from '../../sim/user/names.ts';
import type { Action, GenerationProgram, TaskProgram } from '../../sim/user/program.ts';
import { MIB } from './system.ts';

const patchNames = fc.subarray(
  PATCHES.map(({ name }) => name),
  { maxLength: 2 },
);

/** Changes that contradict each other are none. */
export const revisions: fc.Arbitrary<string> = fc
  .tuple(fc.constantFrom(...REVISIONS), patchNames, patchNames)
  .map(([base, add, remove]) => {
    const changed: Revision | string = withPatches(base, add, remove);
    return typeof changed === 'string' ? base.name : changed.name;
  });

const NAMES: readonly Names[] = [
  plainName('a'),
  plainName('b'),
  plainName('é "c"'),
  { pattern: 's%d', first: 0, count: 3 },
  { pattern: 's%d', first: 2, count: 5 },
  { pattern: '%d', first: 7, count: 20 },
];

const names = fc.constantFrom(...NAMES);

const sessionActions: fc.Arbitrary<Action> = fc.record({
  do: fc.constantFrom('create' as const, 'retrieve' as const, 'finish' as const, 'close' as const),
  names,
});

const actions = fc.array(
  fc.oneof(
    { weight: 12, arbitrary: sessionActions },
    { weight: 1, arbitrary: fc.constantFrom<Action>({ do: 'open' }, { do: 'close-device' }, { do: 'load' }) },
  ),
  { minLength: 1, maxLength: 4 },
);

const tasks: fc.Arbitrary<TaskProgram> = fc.record({
  process: fc.constantFrom('p', 'p', 'p', 'a second process'),
  actions,
});

const OPEN: TaskProgram = { process: 'p', actions: [{ do: 'open' }] };
const LEAVE: TaskProgram = { process: 'init', actions: [{ do: 'load' }, { do: 'reboot' }] };

const generations: fc.Arbitrary<GenerationProgram> = fc
  .record({
    revision: revisions,
    stages: fc.array(fc.array(tasks, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 2 }),
    reboot: fc.constantFrom('beside', 'behind', 'beside', 'behind', 'never'),
  })
  .map(({ revision, stages, reboot }) => {
    const last = stages.at(-1) ?? [];
    if (reboot === 'behind') return { revision, stages: [[OPEN], ...stages, [LEAVE]] };
    if (reboot === 'never') return { revision, stages: [[OPEN], ...stages] };
    return { revision, stages: [[OPEN], ...stages.slice(0, -1), [...last, LEAVE]] };
  });

const FAULT_POINTS = Array.from({ length: pointCount() }, (_, point) => point as Point)
  .filter((point) => pointConcern(point) === 'fault')
  .map(pointName);

export const faults: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({ point: fc.constantFrom(...FAULT_POINTS), nth: fc.nat(6) }),
  fc.record({
    point: fc.constantFrom(...FAULT_POINTS),
    probability: fc.constantFrom(0.05, 0.3, 1),
  }),
);

/** Seeded, without departures. */
export const inputs: fc.Arbitrary<RunInput> = fc
  .record({
    machine: fc.record({
      ramBytes: fc.constantFrom(16 * MIB, 16 * MIB, 16 * MIB, 32 * MIB),
      nodes: fc.constantFrom(1, 1, 2),
      cpus: fc.integer({ min: 1, max: 3 }),
      fragmentedPercent: fc.constantFrom(0, 0, 60, 100),
    }),
    profile: fc.constantFrom('icount', 'dram'),
    seed: fc.string({ maxLength: 12 }),
    program: fc.record({ generations: fc.array(generations, { minLength: 1, maxLength: 3 }) }),
    faults: fc.array(faults, { maxLength: 3 }),
  })
  .filter(({ machine, program }) => {
    return machineParamsError(machine) === undefined && programError(program) === undefined;
  });
