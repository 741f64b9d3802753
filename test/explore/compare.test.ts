/*
 * What compare says of designs: a fit finds the power that is there and says how far it is off; a row is the run's own
 * figures; and each design grows as what it models does.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import manySessions from '../../scenarios/many_sessions.ts';
import { longestBlackout, nsOf, priceOf } from '../../sim/explore/blackout.ts';
import { type CompareRow, compare, powerFit, sessionCapacity } from '../../sim/explore/compare.ts';
import { NO_RETURN, type RunResult, type Time } from '../../sim/explore/result.ts';
import { simulate } from '../../sim/explore/simulate.ts';
import { PROFILES } from '../../sim/kernel/cost.ts';
import {
  APRIL_V1_P1,
  NAME_INDEXES,
  parseRevision,
  type Revision,
  V7_1,
  V7_3,
  withNameIndex,
} from '../../sim/kernel/revisions.ts';
import { PiecePool } from '../../sim/machine/pool.ts';
import { MIB } from '../support/system.ts';

const pool = new PiecePool();

function ran(
  revision: string,
  sessions: number,
  given: { generations?: number; next?: string } = {},
): RunResult {
  const result = simulate(
    {
      machine: { ramBytes: 64 * MIB, nodes: 1, cpus: 1 },
      profile: 'icount',
      seed: '1',
      program: manySessions({
        revisions: [revision, given.next ?? revision],
        generations: given.generations ?? 2,
        sessions,
        pattern: 's%d',
      }),
    },
    { pool },
  );
  if (typeof result === 'string') throw new Error(result);
  return result;
}

const sizes = fc.uniqueArray(fc.integer({ min: 1, max: 10_000_000 }), { minLength: 3, maxLength: 6 });

describe('a fit', () => {
  it('finds the power that points have, whatever they are scaled by', () => {
    const exponents = fc.double({ min: -1, max: 3, noNaN: true });
    const scales = fc.double({ min: 1, max: 1e9, noNaN: true });
    fc.assert(
      fc.property(sizes, exponents, scales, (xs, exponent, scale) => {
        const fit = powerFit(xs.map((x) => [x, scale * Math.exp(exponent * Math.log(x))]));
        expect(fit.exponent).toBeCloseTo(exponent, 2);
        expect(fit.residualPercent).toBe(0);
      }),
    );
  });

  it('says how far the worst point lies from it', () => {
    fc.assert(
      fc.property(
        sizes,
        fc.array(fc.integer({ min: 1, max: 1e9 }), { minLength: 6, maxLength: 6 }),
        (xs, ys) => {
          const points = xs.map((x, i): [number, number] => [x, ys[i] ?? 1]);
          const { exponent, residualPercent } = powerFit(points);
          // The line through the mean of the logarithms.
          const mean = (of: readonly number[]): number => of.reduce((sum, v) => sum + v, 0) / of.length;
          const mx = mean(points.map(([x]) => Math.log(x)));
          const my = mean(points.map(([, y]) => Math.log(y)));
          const off = points.map(([x, y]) => y / Math.exp(my + exponent * (Math.log(x) - mx)) - 1);
          const worst = Math.max(...off.map(Math.abs)) * 100;
          // Its exponent is rounded to thousandths, which turns the line about the mean; the residual to tenths.
          const farthest = Math.max(...xs.map((x) => Math.abs(Math.log(x) - mx)));
          const turned = (100 + Math.max(worst, residualPercent)) * (Math.exp(0.0005 * farthest) - 1);
          expect(Math.abs(residualPercent - worst)).toBeLessThan(0.0501 + turned);
          // Least squares: no other line through the mean has less.
          const squares = (b: number): number =>
            points.reduce((sum, [x, y]) => sum + (Math.log(y) - my - b * (Math.log(x) - mx)) ** 2, 0);
          for (const other of [exponent - 0.01, exponent + 0.01])
            expect(squares(exponent)).toBeLessThanOrEqual(squares(other));
        },
      ),
    );
  });

  it.each([
    [
      [
        [1, 3],
        [2, 6],
        [4, 12],
      ],
      1,
      0,
    ],
    [
      [
        [10, 1],
        [100, 100],
        [1000, 10_000],
      ],
      2,
      0,
    ],
    // One decade up, one down: the line is level, its middle 10^(1/3), the worst point 10^(2/3) of it.
    [
      [
        [1, 1],
        [10, 10],
        [100, 1],
      ],
      0,
      364.2,
    ],
  ])('of %j is x^%d within %d percent', (points, exponent, residualPercent) =>
    expect(powerFit(points as [number, number][])).toEqual({ exponent, residualPercent }),
  );
});

describe('growth', () => {
  const SIZES = [500, 2_000, 8_000];
  const designs = NAME_INDEXES.map((index) => withNameIndex(APRIL_V1_P1, index));
  const { growth, rows } = compare(SIZES.flatMap((n) => designs.map(({ name }) => ran(name, n))));

  it('is told of every design, phase and price list, fitted to all sizes', () => {
    const told = growth.map(({ revision, nameIndex, phase, profile }) =>
      [revision, nameIndex, phase, profile].join(),
    );
    expect(told).toEqual(
      designs.flatMap(({ name, parts: { nameIndex } }) =>
        ['create', 'open'].flatMap((phase) =>
          PROFILES.map((profile) => [name, nameIndex, phase, profile.name].join()),
        ),
      ),
    );
    for (const fit of growth) expect(fit.sizes).toEqual(SIZES);
  });

  it.each([
    ['list-scan', 'create', 1.9, 2.1],
    ['list-scan', 'open', 1.9, 2.1],
    ['sort-at-deserialize', 'create', 1.9, 2.1],
    ['sort-at-deserialize', 'open', 0.95, 1.15],
    ['hash', 'create', 0.95, 1.05],
    ['hash', 'open', 0.95, 1.05],
    ['rbtree', 'create', 1, 1.15],
    ['rbtree', 'open', 1, 1.15],
    ['xarray', 'create', 0.9, 1.15],
    ['xarray', 'open', 0.9, 1.15],
  ])('of %s, %s, is a power between %d and %d, within 3 %%', (nameIndex, phase, least, most) => {
    const fits = growth.filter((fit) => fit.nameIndex === nameIndex && fit.phase === phase);
    expect(fits).toHaveLength(PROFILES.length);
    for (const { exponent, residualPercent } of fits) {
      expect(exponent).toBeGreaterThanOrEqual(least);
      expect(exponent).toBeLessThanOrEqual(most);
      expect(residualPercent).toBeLessThan(3);
    }
  });

  it('is the fit of what the rows say', () => {
    for (const { revision, phase, profile, exponent, residualPercent } of growth) {
      const points = rows
        .filter((row) => row.revision === revision)
        .map(({ sessions, create, blackout }): [number, number] => {
          const { times } = (phase === 'create' ? create : blackout?.deserialize) ?? create;
          return [sessions, nsOf(times[profile] as Time)];
        });
      expect(points).toHaveLength(SIZES.length);
      expect(powerFit(points)).toEqual({ exponent, residualPercent });
    }
  });

  it('is told of three sizes or more that were created whole', () => {
    const fitted = (results: readonly RunResult[]): unknown =>
      compare(results).growth.map((fit) => fit.sizes);
    const all = [3, 5, 9].map((n) => ran(V7_1.name, n));
    expect(fitted(all)).toEqual(Array(4).fill([3, 5, 9]));
    expect(fitted(all.slice(1))).toEqual([]);
    expect(fitted([...all.slice(1), ran(V7_1.name, 5)])).toEqual([]);
    expect(fitted([...all.slice(1), ran(V7_1.name, 820)])).toEqual([]);
    expect(fitted([...all.slice(1), ran(V7_1.name, 0)])).toEqual([]);
    expect(fitted([...all, ran(V7_1.name, 820)])).toEqual(Array(4).fill([3, 5, 9]));
    // The next kernel boots cold: its first open has nothing to deserialize.
    expect(fitted([3, 5, 9].map((n) => ran(V7_1.name, n, { next: V7_3.name })))).toEqual([]);
  });
});

describe('a row', () => {
  const rowOf = (result: RunResult): CompareRow => compare([result]).rows[0] as CompareRow;
  const named = (name: string): Revision => {
    const revision = parseRevision(name);
    if (typeof revision === 'string' || revision === undefined) throw new Error(name);
    return revision;
  };

  it.each([
    ['v7.3', 120],
    ['v7.1', 5],
    ['april-v1-p1 name-index=hash', 900],
    // Its index is there in the second kernel alone.
    ['april-v1-p1 name-index=sort-at-deserialize', 900],
  ])('of %s with %i sessions has the figures of the run', (name, sessions) => {
    const base = named(name.split(' ')[0] ?? '');
    const index = NAME_INDEXES.find((known) => name.endsWith(known));
    const revision = index === undefined ? base : withNameIndex(base, index);
    const result = ran(revision.name, sessions);
    const [before, after] = result.generations;
    const row = rowOf(result);
    expect(row).toMatchObject({
      revision: revision.name,
      nameIndex: revision.parts.nameIndex,
      sessions,
      created: sessions,
      result: 'OK',
      blocksByOrder: before?.handover?.blocksByOrder,
      preservedPages: before?.handover?.preservedPages,
      capacity: sessionCapacity(revision),
      violations: [],
      digest: result.digest,
    });
    expect(row.largestPages).toBe(2 ** ((before?.handover?.blocksByOrder.length ?? 0) - 1));
    const most = Math.max(before?.nameIndexPages ?? 0, after?.nameIndexPages ?? 0);
    expect(row.indexPages).toBe(most);
    expect(most > 0).toBe(index !== undefined);
    expect(before?.nameIndexPages).toBe(index === 'hash' ? most : 0);
    const create = before?.actions.find(({ verb }) => verb === 'create');
    expect(row.create.steps).toEqual(create?.steps);
    expect(row.blackout).toEqual(longestBlackout(result.generations));
    for (const profile of PROFILES)
      expect(row.create.times[profile.name]).toEqual(priceOf(create?.steps ?? {}, profile));
  });

  it('says what ended the creating, and counts what was created before', () => {
    const row = rowOf(ran(V7_1.name, 820));
    expect(row).toMatchObject({ sessions: 820, created: 819, result: 'ENOMEM', capacity: 819 });
    expect(rowOf(ran(V7_1.name, 3, { generations: 1 }))).toMatchObject({
      created: 0,
      preservedPages: 0,
      largestPages: 0,
      blackout: undefined,
    });
  });

  it.each([
    [V7_1, 819],
    [APRIL_V1_P1, 8_190_000],
    [V7_3, 510_000],
  ])('knows the room of a store', (revision, capacity) => expect(sessionCapacity(revision)).toBe(capacity));
});

describe('a blackout', () => {
  it('is the time from reboot to the first open, on the clock of the run', () => {
    const { generations } = ran(V7_3.name, 60);
    const [before, after] = generations;
    const reboot = before?.actions.find(({ result }) => result === NO_RETURN);
    const [open, ...rest] = after?.actions ?? [];
    const blackout = longestBlackout(generations);
    const ns = (from: Time | undefined, to: Time | undefined): number =>
      nsOf(to ?? { seconds: 0, ns: 0 }) - nsOf(from ?? { seconds: 0, ns: 0 });
    const deserialize = ns(open?.from, open?.to);
    const until = ns(reboot?.from, reboot?.to) + nsOf(after?.bootedAt as Time) + deserialize;
    expect(nsOf(blackout?.deserialize.times.icount as Time)).toBe(deserialize);
    expect(nsOf(blackout?.open.times.icount as Time)).toBe(until);
    const retrieve = rest.find(({ verb }) => verb === 'retrieve');
    expect(nsOf(blackout?.usable.times.icount as Time)).toBe(until + ns(retrieve?.from, retrieve?.to));
    expect(blackout?.generation).toBe(1);
  });

  it('is the longest of several, and none where no kernel took over', () => {
    const { generations } = ran(V7_3.name, 60, { generations: 3 });
    const alone = generations.map((_, i) => longestBlackout(generations.slice(0, i + 1)));
    expect(alone.map((blackout) => blackout?.generation)).toEqual([undefined, 1, 1]);
    const [first, ...others] = generations;
    const longer = others.map((kernel, i) => ({
      ...kernel,
      bootSteps: { ...kernel.bootSteps, boot: i + 1 },
    }));
    expect(longestBlackout([first as (typeof generations)[0], ...longer])?.generation).toBe(2);
    const cold = others.map((kernel) => ({ ...kernel, bootKind: 'cold' as const }));
    expect(longestBlackout([first as (typeof generations)[0], ...cold])).toBeUndefined();
    const unopened = others.map((kernel) => ({ ...kernel, actions: [] }));
    expect(longestBlackout([first as (typeof generations)[0], ...unopened])).toBeUndefined();
  });

  it('is priced exactly, beyond what a number holds', () => {
    const [icount, dram] = PROFILES;
    const hops = 33_538_045_905_000;
    expect(priceOf({ hop: hops, syscall: 1 }, icount as (typeof PROFILES)[0])).toEqual({
      seconds: 4_192_255,
      ns: 738_125_400,
    });
    expect(priceOf({ hop: hops, miss: hops }, dram as (typeof PROFILES)[0])).toEqual({
      seconds: (hops * 121 - ((hops * 121) % 1e9)) / 1e9,
      ns: Number((BigInt(hops) * 121n) % 1_000_000_000n),
    });
  });
});
