/*
 * Every revision through whole updates: limits, edges of blocks, and what is known to go wrong on which. One revision
 * after another: matrix.test.ts.
 */
import { describe, expect, it } from 'vitest';
import manySessions from '../../scenarios/many_sessions.ts';
import takenName from '../../scenarios/taken_name.ts';
import { Decisions, type Fault } from '../../sim/base/decisions.ts';
import type { Law } from '../../sim/check/violation.ts';
import type { RunResult } from '../../sim/explore/result.ts';
import { run } from '../../sim/explore/run.ts';
import { REVISIONS } from '../../sim/kernel/revisions.ts';
import type { Action, Program, TaskProgram } from '../../sim/user/program.ts';
import { runs } from '../support/seed.ts';
import { MIB, machineFor } from '../support/system.ts';

/** Schedules of each race. */
const SEEDS = runs(12);
const NAMES = REVISIONS.map(({ name }) => name);

function runProgram(program: Program, seed = '1', faults: readonly Fault[] = []): RunResult {
  const machine = machineFor({ ramBytes: 64 * MIB, cpus: 2 });
  const result = run({ machine, seed, decisions: Decisions.seeded(seed, faults), program });
  machine.dispose();
  return result;
}

const cycle = (revisions: readonly string[], sessions: number, generations = revisions.length): Program =>
  manySessions({ revisions, generations, sessions, pattern: 's%d' });

describe.each(NAMES)('%s', (revision) => {
  const capacity = ['v6.19', 'v7.0', 'v7.1'].includes(revision) ? 819 : Number.POSITIVE_INFINITY;

  it.each([0, 1, 50, 51, 52, 102, 103, 818, 819, 820])(
    'keeps %i sessions over three generations',
    (sessions) => {
      const result = runProgram(cycle([revision], sessions, 3));
      expect(result.violations).toEqual([]);
      expect(result.openLosses).toEqual([]);
      expect(result.generations.map(({ bootKind }) => bootKind)).toEqual(['cold', 'handover', 'handover']);
      const created = result.generations[0]?.actions.find(({ verb }) => verb === 'create');
      if (sessions === 0) expect(created).toBeUndefined();
      else expect(created?.calls).toBe(Math.min(sessions, capacity));
      if (sessions > capacity) expect(created?.result).toBe('ENOMEM');
    },
  );
});

describe('a refused name', () => {
  const refused = (revision: string, sessions: number): RunResult =>
    runProgram(takenName({ revisions: [revision], generations: 2, sessions, pattern: 's%d' }));

  it.each([51, 102, 510])('with %i sessions makes the kernel after v7.3 panic', (sessions) => {
    const { violations, generations } = refused('v7.3', sessions);
    expect(violations.map(({ law }) => law)).toEqual(['handover']);
    expect(generations[1]?.state).toBe('panicked');
    expect(generations[1]?.dmesg.join('\n')).toContain('Block contains invalid entry count: 0');
  });

  it.each([50, 52, 103])('with %i sessions does no harm', (sessions) => {
    expect(refused('v7.3', sessions).violations).toEqual([]);
  });

  it.each(['v6.19', 'v7.0', 'v7.1', 'april-v1-p1', 'april-v1'])('does no harm on %s', (revision) => {
    for (const sessions of [51, 818, 819]) expect(refused(revision, sessions).violations).toEqual([]);
  });
});

describe('a session created beside the reboot', () => {
  const lost = (revision: string): Set<string> => {
    const open: TaskProgram = { process: 'p', actions: [{ do: 'open' }] };
    const names = { pattern: 's%d', first: 0, count: 6 };
    const beside: TaskProgram[] = [
      { process: 'p', actions: [{ do: 'create', names }] },
      { process: 'init', actions: [{ do: 'load' }, { do: 'reboot' }] },
    ];
    const generations = [
      { revision, stages: [[open], beside] },
      { revision, stages: [[open]] },
    ];
    const laws = new Set<string>();
    for (let seed = 0; seed < SEEDS; seed++) {
      for (const { law } of runProgram({ generations }, String(seed)).violations) laws.add(law);
    }
    return laws;
  };

  it.each(['v6.19', 'v7.0', 'april-v1-p1', 'april-v1'])(
    'is lost on %s, which lets it in until the jump',
    (revision) => {
      expect(lost(revision)).toContain('preservation');
    },
  );

  it.each(['v7.1', 'v7.3'])('is there or was never acknowledged on %s', (revision) => {
    expect(lost(revision)).toEqual(new Set());
  });
});

describe('sessions that come back beside each other, and beside the reboot', () => {
  const names = (first: number, count = 3) => ({ pattern: 's%d', first, count });
  const back = (first: number): Action[] => [
    { do: 'retrieve', names: names(first) },
    { do: 'finish', names: names(first) },
    { do: 'close', names: names(first) },
    { do: 'create', names: names(first) },
  ];
  const leave: Action[] = [{ do: 'load' }, { do: 'reboot' }];
  const inTurn = (...all: Action[][]): TaskProgram[][] => all.map((actions) => [{ process: 'p', actions }]);

  it.each(NAMES)('are there once, whatever the schedule, on %s', (revision) => {
    const beside = [0, 3, 6].map((first): TaskProgram => ({ process: 'p', actions: back(first) }));
    const generations = [
      { revision, stages: inTurn([{ do: 'open' }, { do: 'create', names: names(0, 9) }], leave) },
      { revision, stages: [...inTurn([{ do: 'open' }]), [...beside, { process: 'init', actions: leave }]] },
      { revision, stages: inTurn([{ do: 'open' }]) },
    ];
    const excluded = ['v7.1', 'v7.3'].includes(revision);
    for (let seed = 0; seed < SEEDS / 2; seed++) {
      const { violations, generations: ran } = runProgram({ generations }, String(seed));
      // Without the lock of the reboot, what is created beside it has no slot, and is lost and missed.
      const laws = violations.map(({ law }) => law);
      const known: readonly Law[] = excluded ? [] : ['handover', 'preservation', 'leak'];
      expect(laws.filter((law) => !known.includes(law))).toEqual([]);
      const retrieved = ran[1]?.actions.filter(({ verb }) => verb === 'retrieve') ?? [];
      expect(retrieved.every(({ result }) => result === 'OK')).toBe(true);
    }
  });
});
