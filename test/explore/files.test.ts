/*
 * Files through whole runs: contents survive, whatever was written when; and the bugs that revisions are known for are
 * found.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Decisions } from '../../sim/base/decisions.ts';
import type { RunResult } from '../../sim/explore/result.ts';
import { run } from '../../sim/explore/run.ts';
import { REVISIONS } from '../../sim/kernel/revisions.ts';
import { type Names, plainName } from '../../sim/user/names.ts';
import type { Action, GenerationProgram, Program, TaskProgram } from '../../sim/user/program.ts';
import { deepestYield } from '../sched/generator_depth.ts';
import { failures, MIB, machineFor } from '../support/system.ts';

const several = (pattern: string, count: number, first = 0): Names => ({ pattern, first, count });
const LEAVE: readonly Action[] = [{ do: 'load' }, { do: 'reboot' }];
const task = (process: string, ...actions: Action[]): TaskProgram => ({ process, actions });

function play(program: Program, seed = '1', ramBytes = 64 * MIB): RunResult {
  const machine = machineFor({ ramBytes });
  try {
    return run({ machine, seed, decisions: Decisions.seeded(seed), program });
  } finally {
    machine.dispose();
  }
}

const S = plainName('s');
const F = several('f%d', 3);

/** One file life over generations: written before and after preserve, and after retrieve. */
function life(revision: string, before: Action[], between: Action[], after: Action[]): Program {
  const preserve: Action[] = [
    { do: 'create', names: S },
    { do: 'preserve', names: F, session: S, token: 5 },
  ];
  const first: Action[] = [{ do: 'open' }, { do: 'memfd', names: F, bytes: 20_000 }];
  const again: Action[] = [
    { do: 'open' },
    { do: 'retrieve', names: S },
    { do: 'retrieve-fd', names: F, session: S, token: 5 },
    { do: 'read', names: F },
    ...after,
    { do: 'read', names: F },
    { do: 'finish', names: S },
    { do: 'close', names: S },
  ];
  const generation = (actions: Action[]): GenerationProgram => ({
    revision,
    stages: [[task('vmm', ...actions)]],
  });
  return {
    generations: [
      generation([...first, ...before, ...preserve, ...between, ...LEAVE]),
      generation([...again, ...preserve, ...between, ...LEAVE]),
      generation([...again, { do: 'close-file', names: F }, { do: 'close-device' }]),
    ],
  };
}

const arbitraryName = fc.nat(2).map((first) => several('f%d', 1, first));
const arbitraryWrite = fc.record({
  do: fc.constant('write' as const),
  names: arbitraryName,
  at: fc.nat(24_000),
  bytes: fc.nat(9000),
  seed: fc.nat(1000),
});
const arbitraryAction: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: arbitraryWrite },
  fc.record({ do: fc.constant('truncate' as const), names: arbitraryName, bytes: fc.nat(24_000) }),
  fc.record({ do: fc.constant('seek' as const), names: arbitraryName, at: fc.nat(100_000) }),
  fc.record({
    do: fc.constant('fill' as const),
    names: arbitraryName,
    every: fc.integer({ min: 8, max: 9000 }),
    seed: fc.nat(99),
  }),
  fc.record({ do: fc.constant('seal' as const), names: arbitraryName, seals: fc.constantFrom(2, 4, 16, 32) }),
);
const some = fc.array(arbitraryAction, { maxLength: 4 });

describe('contents survive', () => {
  it.each(REVISIONS.map(({ name }) => name))('two updates of %s, whatever is written when', (revision) => {
    fc.assert(
      fc.property(some, some, some, (before, between, after) => {
        const result = play(life(revision, before, between, after));
        expect(result.violations).toEqual([]);
        expect(failures(result).filter((text) => /memfd|preserve|retrieve|finish|close/.test(text))).toEqual(
          [],
        );
        expect(result.generations).toHaveLength(3);
      }),
      { numRuns: 5 },
    );
  });

  it('memory pressure after the update, but for v6.19, which forgets what was written after preserve', () => {
    const pressed = (revision: string): Program => {
      const late: Action[] = [{ do: 'write', names: F, at: 0, bytes: 5000, seed: 7 }];
      return life(revision, [], late, [{ do: 'reclaim' }, { do: 'read', names: F }]);
    };
    for (const { name } of REVISIONS) {
      const laws = play(pressed(name)).violations.map(({ law }) => law);
      expect([name, laws]).toEqual([name, name === 'v6.19' ? ['file-contents', 'file-contents'] : []]);
    }
  });

  it('a page that fallocate left and that is written after preserve, but for v6.19, which takes it for unused', () => {
    const program = (revision: string): Program =>
      life(
        revision,
        [{ do: 'allocate', names: F, bytes: 8192 }],
        [{ do: 'write', names: F, at: 0, bytes: 50, seed: 3 }],
        [],
      );
    for (const { name } of REVISIONS) {
      const laws = new Set(play(program(name)).violations.map(({ law }) => law));
      expect([name, ...laws]).toEqual(name === 'v6.19' ? [name, 'file-contents'] : [name]);
    }
  });
});

describe('what is wrong is found', () => {
  const twice = (revision: string): Program => {
    const one = plainName('f');
    const [s, t] = [plainName('s'), plainName('t')];
    const first: Action[] = [
      { do: 'open' },
      { do: 'memfd', names: one, bytes: 4096 },
      { do: 'create', names: s },
      { do: 'create', names: t },
      { do: 'preserve', names: one, session: s, token: 1 },
      { do: 'preserve', names: one, session: t, token: 1 },
      ...LEAVE,
    ];
    const second: Action[] = [
      { do: 'open' },
      { do: 'retrieve', names: s },
      { do: 'retrieve', names: t },
      { do: 'retrieve-fd', names: one, session: s, token: 1 },
      { do: 'retrieve-fd', names: plainName('g'), session: t, token: 1 },
    ];
    return {
      generations: [first, second].map((actions) => ({ revision, stages: [[task('vmm', ...actions)]] })),
    };
  };

  it('one memfd in two sessions: v6.19 takes it, and the second is not there after the update', () => {
    const result = play(twice('v6.19'));
    expect(result.violations.map(({ law }) => law)).toContain('preservation');
    expect(failures(result)).toEqual(['1 retrieve-fd EIO']);
    for (const { name } of REVISIONS.slice(1)) {
      const refused = play(twice(name));
      expect(refused.violations).toEqual([]);
      expect(failures(refused)).toEqual(['0 preserve EBUSY', '1 retrieve-fd ENOENT']);
    }
  });

  it('a session that is not retrieved is lost one update later, and nobody is told that it is there', () => {
    const one = plainName('f');
    const generations: Action[][] = [
      [
        { do: 'open' },
        { do: 'memfd', names: one, bytes: 4096 },
        { do: 'create', names: S },
        { do: 'preserve', names: one, session: S, token: 1 },
        ...LEAVE,
      ],
      [{ do: 'open' }, ...LEAVE],
      [{ do: 'open' }, { do: 'retrieve', names: S }],
    ];
    for (const { name: revision } of REVISIONS) {
      const result = play({
        generations: generations.map((actions) => ({ revision, stages: [[task('vmm', ...actions)]] })),
      });
      expect([revision, result.violations]).toEqual([revision, []]);
      expect(failures(result)).toEqual(['2 retrieve ENOENT']);
    }
  });
});

describe('tasks at the same time', () => {
  const T = plainName('t');
  const G = several('g%d', 3);
  /** Two tasks of a process with a session each; a third may reboot. */
  const beside = (revision: string, reboot: boolean): Program => {
    const work = (session: Names, files: Names): Action[] => [
      { do: 'create', names: session },
      { do: 'memfd', names: files, bytes: 9000 },
      { do: 'preserve', names: files, session, token: 0 },
      { do: 'write', names: files, at: 100, bytes: 50, seed: 1 },
      { do: 'close', names: session },
      { do: 'create', names: session },
      { do: 'preserve', names: files, session, token: 7 },
    ];
    const both = [task('p', ...work(S, F)), task('p', ...work(T, G))];
    const opening = [task('p', { do: 'open' })];
    const back = (session: Names, files: Names): TaskProgram =>
      task(
        'p',
        { do: 'retrieve', names: session },
        { do: 'retrieve-fd', names: files, session, token: 7 },
        { do: 'finish', names: session },
        { do: 'close', names: session },
      );
    const leave = task('init', ...LEAVE);
    return {
      generations: [
        { revision, stages: reboot ? [opening, [...both, leave]] : [opening, both, [leave]] },
        { revision, stages: [opening, [back(S, F), back(T, G)]] },
      ],
    };
  };

  it.each(REVISIONS.map(({ name }) => name))('hold all laws on %s as long as nobody reboots', (revision) => {
    for (let seed = 0; seed < 4; seed++) {
      const result = play(beside(revision, false), String(seed));
      expect([seed, result.violations]).toEqual([seed, []]);
      expect(result.generations).toHaveLength(2);
    }
  });

  it('beside a reboot lose nothing that was acknowledged, since the reboot excludes them', () => {
    for (const revision of ['v7.1', 'v7.3']) {
      for (let seed = 0; seed < 8; seed++) {
        expect([seed, play(beside(revision, true), String(seed)).violations]).toEqual([seed, []]);
      }
    }
    const laws = new Set<string>();
    for (let seed = 0; seed < 8; seed++) {
      for (const { law } of play(beside('v7.0', true), String(seed)).violations) laws.add(law);
    }
    expect(laws).toContain('preservation');
  });

  it('stand on at most five generators at any yield', () => {
    for (const { name } of REVISIONS) {
      const depths = [0, 1].map((seed) =>
        deepestYield(() => play(beside(name, seed % 2 === 1), String(seed))),
      );
      expect([name, Math.max(...depths) <= 5]).toEqual([name, true]);
    }
  });
});
