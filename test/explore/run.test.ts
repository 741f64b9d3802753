import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import manySessions from '../../scenarios/many_sessions.ts';
import { Decisions } from '../../sim/base/decisions.ts';
import type { RunResult } from '../../sim/explore/result.ts';
import { run } from '../../sim/explore/run.ts';
import { plainName } from '../../sim/user/names.ts';
import type { Action, Program, TaskProgram } from '../../sim/user/program.ts';
import { deepestYield } from '../sched/generator_depth.ts';
import { runs } from '../support/seed.ts';
import { MIB, machineFor } from '../support/system.ts';

const REVISION = 'april-v1-p1';

function runProgram(program: Program, seed: string, decisions = Decisions.seeded(seed), cpus = 2): RunResult {
  const machine = machineFor({ ramBytes: 64 * MIB, cpus });
  const result = run({ machine, seed, decisions, program });
  machine.dispose();
  return result;
}

const cycle = (sessions: number, generations: number): Program =>
  manySessions({ revisions: [REVISION], generations, sessions, pattern: 'many-test-%d' });

const NAMES = ['a', 'b', 'c'].map(plainName);

/** Tasks that create, close and retrieve at the same time; one of them may reboot. */
const arbitraryTask = fc.record({
  process: fc.constant('p'),
  actions: fc.array(
    fc.record({ do: fc.constantFrom('create' as const, 'close' as const), names: fc.constantFrom(...NAMES) }),
    { maxLength: 5 },
  ),
});

const open: TaskProgram = { process: 'p', actions: [{ do: 'open' }] };

describe('a run', () => {
  it.each([1, 818, 819, 820, 1638, 1639, 2000])(
    'of %i sessions over three generations holds all laws',
    (sessions) => {
      const result = runProgram(cycle(sessions, 3), '1');
      expect(result.violations).toEqual([]);
      expect(result.openLosses).toEqual([]);
      expect(result.generations.map(({ incomingSessions }) => incomingSessions)).toEqual([0, 0, 0]);
      for (const generation of result.generations.slice(1)) {
        expect(generation.bootKind).toBe('handover');
        const retrieved = generation.actions.find(({ verb }) => verb === 'retrieve');
        expect(retrieved).toMatchObject({ calls: sessions, result: 'OK' });
      }
      const blocks = Math.max(1, Math.ceil(sessions / 819));
      expect(result.generations[0]?.handover?.storeRegions).toHaveLength(blocks);
    },
  );

  it('is the same run for the same seed', () => {
    const [x, y] = ['1', '1'].map((seed) => runProgram(cycle(20, 3), seed));
    expect(x).toEqual(y);
  });

  it('has a digest that notices a name, a task and a fault', () => {
    const base = runProgram(cycle(3, 2), '1').digest;
    const other = manySessions({
      revisions: [REVISION],
      generations: 2,
      sessions: 3,
      pattern: 'many-tesu-%d',
    });
    expect(runProgram(other, '1').digest).not.toBe(base);
    const faults = Decisions.seeded('1', [{ point: 'alloc_file:filp', nth: 4 }]);
    expect(runProgram(cycle(3, 2), '1', faults).digest).not.toBe(base);
  });
});

describe('tasks at the same time', () => {
  const concurrent = (tasks: readonly TaskProgram[], reboot: boolean): Program => {
    const leave: Action[] = [{ do: 'load' }, { do: 'reboot' }];
    const last: TaskProgram = { process: 'init', actions: leave };
    const stages = [[open], [...tasks, ...(reboot ? [last] : [])], ...(reboot ? [] : [[last]])];
    return {
      generations: [
        { revision: REVISION, stages },
        { revision: REVISION, stages: [[open]] },
      ],
    };
  };

  it('hold all laws on every schedule tried, as long as nobody reboots', () => {
    fc.assert(
      fc.property(fc.array(arbitraryTask, { minLength: 2, maxLength: 4 }), fc.string(), (tasks, seed) => {
        expect(runProgram(concurrent(tasks, false), seed).violations).toEqual([]);
      }),
      { numRuns: runs(30) },
    );
  });

  it('lose a session to the reboot that runs beside them: what this revision is known for', () => {
    const creator: TaskProgram = {
      process: 'p',
      actions: [{ do: 'create', names: { pattern: 's%d', first: 0, count: 6 } }],
    };
    const laws = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      for (const { law } of runProgram(concurrent([creator], true), String(seed)).violations) laws.add(law);
    }
    // A session acknowledged after the list was serialized is not in the next kernel.
    expect([...laws]).toContain('preservation');
  });

  it('take another course for another seed', () => {
    const tasks = ['p', 'q'].map((process): TaskProgram => {
      return {
        process: 'p',
        actions: [{ do: 'create', names: { pattern: `${process}%d`, first: 0, count: 5 } }],
      };
    });
    const digests = new Set(
      Array.from({ length: 20 }, (_, seed) => runProgram(concurrent(tasks, false), `${seed}`).digest),
    );
    expect(digests.size).toBeGreaterThan(10);
  });

  it('replay from their departures alone', () => {
    fc.assert(
      fc.property(fc.array(arbitraryTask, { minLength: 2, maxLength: 4 }), fc.string(), (tasks, seed) => {
        const decisions = Decisions.seeded(seed);
        const first = runProgram(concurrent(tasks, true), 'x', decisions);
        const second = runProgram(concurrent(tasks, true), 'x', Decisions.replay(decisions.departures));
        expect(second).toEqual(first);
      }),
      { numRuns: runs(25) },
    );
  });

  it('stand on at most five generators at any yield', () => {
    const actions = (prefix: string): Action[] => {
      const names = { pattern: `${prefix}%d`, first: 0, count: 4 };
      return [
        { do: 'create', names },
        { do: 'close', names },
        { do: 'create', names },
      ];
    };
    let deepest = 0;
    for (let seed = 0; seed < 20; seed++) {
      const tasks = ['a', 'b', 'c'].map((prefix) => ({ process: 'p', actions: actions(prefix) }));
      deepest = Math.max(
        deepest,
        deepestYield(() => runProgram(concurrent([...tasks], true), String(seed))),
      );
    }
    expect(deepest).toBeGreaterThanOrEqual(3);
    expect(deepest).toBeLessThanOrEqual(5);
  });
});
