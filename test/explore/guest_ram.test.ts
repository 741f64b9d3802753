/*
 * Guest RAM: memfds of gigabytes in large folios, filled with patterns that nobody has to hold. What is written when, and
 * what becomes of it, is as with small ones; what it costs grows with folios, not with bytes.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Decisions } from '../../sim/base/decisions.ts';
import type { RunResult } from '../../sim/explore/result.ts';
import { run } from '../../sim/explore/run.ts';
import { REVISIONS } from '../../sim/kernel/revisions.ts';
import type { BootParams } from '../../sim/machine/machine.ts';
import { type Names, plainName } from '../../sim/user/names.ts';
import type { Action, Program } from '../../sim/user/program.ts';
import { runs } from '../support/seed.ts';
import { failures, MIB, machineFor } from '../support/system.ts';

const GIB = 1024 * MIB;
const S = plainName('vm');
const LEAVE: readonly Action[] = [{ do: 'load' }, { do: 'reboot' }];
const RAM: Names = { pattern: 'ram-%d', first: 0, count: 2 };
const one = (first: number): Names => ({ ...RAM, first, count: 1 });

function program(revision: string, ...generations: readonly (readonly Action[])[]): Program {
  return {
    generations: generations.map((actions) => ({
      revision,
      stages: [[{ process: 'vmm', actions: [{ do: 'open' }, ...actions] }]],
    })),
  };
}

const PRESERVE: readonly Action[] = [
  { do: 'create', names: S },
  { do: 'preserve', names: RAM, session: S, token: 0 },
];
const RETRIEVE: readonly Action[] = [
  { do: 'retrieve', names: S },
  { do: 'retrieve-fd', names: RAM, session: S, token: 0 },
  { do: 'read', names: RAM },
];
const FINISH: readonly Action[] = [
  { do: 'finish', names: S },
  { do: 'close', names: S },
];

interface Played {
  readonly result: RunResult;
  /** Host bytes of RAM contents at each jump. */
  readonly resident: readonly number[];
}

function play(
  input: Program,
  ramBytes: number,
  seed = '1',
  atJump: (params: BootParams) => void = () => undefined,
): Played {
  const machine = machineFor({ ramBytes });
  const resident: number[] = [];
  try {
    const result = run({
      machine,
      seed,
      decisions: Decisions.seeded(seed),
      program: input,
      atJump: ({ params }) => {
        resident.push(params.ram.residentBytes);
        atJump(params);
        return params;
      },
    });
    return { result, resident };
  } finally {
    machine.dispose();
  }
}

/** Two memfds of a size, written whole, updated twice. */
const filled = (bytes: number, revision = 'v7.3'): Program =>
  program(
    revision,
    [
      { do: 'memfd', names: RAM, bytes, folios: 2 * MIB },
      { do: 'write', names: RAM, at: 0, bytes, seed: 7 },
      ...PRESERVE,
      { do: 'write', names: one(1), at: 5 * MIB, bytes: 3 * MIB, seed: 8 },
      { do: 'write', names: one(0), at: 77, bytes: 100, seed: 9 },
      ...LEAVE,
    ],
    [...RETRIEVE, { do: 'reclaim' }, { do: 'read', names: RAM }, ...FINISH, ...PRESERVE, ...LEAVE],
    [...RETRIEVE, ...FINISH],
  );

describe('guest RAM', () => {
  it('of gigabytes on a machine of a terabyte survives, and no page of it is held', () => {
    for (const bytes of [GIB / 4, GIB]) {
      const { result, resident } = play(filled(bytes), 2 ** 40);
      expect([failures(result), result.violations]).toEqual([[], []]);
      expect(result.generations[0]?.handover?.blocksByOrder[9]).toBe((2 * bytes) / (2 * MIB));
      // The kernel's own pages, 32 bytes a folio in the lists, and the one chunk in which a part of a page was written.
      expect(resident.filter((host) => host > 4 * MIB)).toEqual([]);
    }
  });

  it('of more than one write(2) takes is written whole', () => {
    const bytes = 2 * GIB + 2 * MIB;
    const filling: Action[] = [
      { do: 'memfd', names: one(0), bytes, folios: 2 * MIB },
      { do: 'write', names: one(0), at: 0, bytes, seed: 3 },
      { do: 'read', names: one(0) },
      { do: 'create', names: S },
      { do: 'preserve', names: one(0), session: S, token: 0 },
      ...LEAVE,
    ];
    let pages = 0;
    const { result } = play(program('v7.3', filling, []), 8 * GIB, '1', ({ ram }) => {
      for (const { seed, order } of ram.stampedBlocks()) if (seed === 3) pages += 2 ** order;
    });
    expect([failures(result), result.violations]).toEqual([[], []]);
    expect(pages).toBe(bytes / 4096);
  });

  it.each(['v6.19', 'v7.1', 'v7.3'])('survives on %s however memory is left over', (revision) => {
    for (const seed of ['1', '2', '4']) {
      expect(play(filled(16 * MIB, revision), 256 * MIB, seed).result.violations).toEqual([]);
    }
  });

  it('is missed where a byte of a filled folio changes on the way', () => {
    let changed = 0;
    const { result } = play(filled(16 * MIB), 256 * MIB, '1', ({ ram }) => {
      const block = ram.stampedBlocks().find(({ order, seed }) => order >= 9 && seed === 7);
      if (block === undefined || changed++ > 0) return;
      const at = block.first * 4096 + 123_456;
      ram.store8(at, ram.load8(at) ^ 4);
    });
    expect(changed).toBeGreaterThan(0);
    expect(new Set(result.violations.map(({ law }) => law))).toEqual(new Set(['file-contents']));
  });

  it('that is not finished is gone one update later, and the next kernel says so', () => {
    for (const { name } of REVISIONS) {
      const { result } = play(
        program(
          name,
          [{ do: 'memfd', names: RAM, bytes: 4 * MIB, folios: 2 * MIB }, ...PRESERVE, ...LEAVE],
          [...RETRIEVE, ...LEAVE],
          [{ do: 'retrieve', names: S }],
        ),
        128 * MIB,
      );
      expect([name, result.violations, failures(result)]).toEqual([name, [], ['2 retrieve ENOENT']]);
    }
  });
});

describe('contents in folios of any size', () => {
  const names = fc.nat(1).map(one);
  const place = fc.oneof(
    fc.nat(700_000),
    fc.nat(170).map((page) => page * 4096),
  );
  const action: fc.Arbitrary<Action> = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant('write' as const),
        names,
        at: place,
        bytes: fc.oneof(
          fc.integer({ min: 1, max: 9000 }),
          fc.integer({ min: 1, max: 64 }).map((n) => n * 4096),
        ),
        seed: fc.nat(3),
      }),
    },
    fc.record({ do: fc.constant('truncate' as const), names, bytes: place }),
    fc.record({ do: fc.constant('allocate' as const), names, bytes: place.map((bytes) => bytes + 1) }),
    fc.record({
      do: fc.constant('fill' as const),
      names,
      every: fc.constantFrom(8, 24, 100, 4096, 65_536, 70_000),
      seed: fc.nat(3),
    }),
    fc.constant<Action>({ do: 'reclaim' }),
    fc.constant<Action>({ do: 'read', names: RAM }),
  );
  const some = fc.array(action, { maxLength: 5 });

  it('survive updates with writes before and after preserve and after retrieve', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('v7.0', 'v7.1', 'april-v1', 'v7.3'),
        fc.constantFrom(8192, 65_536, MIB),
        fc.tuple(some, some, some),
        fc.nat(20),
        (revision, folios, [before, between, after], seed) => {
          const memfds: Action = { do: 'memfd', names: RAM, bytes: 600_000, folios };
          const input = program(
            revision,
            [memfds, ...before, ...PRESERVE, ...between, ...LEAVE],
            [...RETRIEVE, ...after, { do: 'read', names: RAM }, ...FINISH, ...PRESERVE, ...between, ...LEAVE],
            [...RETRIEVE, ...FINISH],
          );
          const { result } = play(input, 64 * MIB, `${seed}`);
          expect(result.violations).toEqual([]);
          expect(result.generations).toHaveLength(3);
          expect(failures(result).filter((text) => /preserve|retrieve|finish|close/.test(text))).toEqual([]);
        },
      ),
      { numRuns: runs(5) },
    );
  });
});
