/*
 * A plan is what a run will be (plan.laws.ts): steps of every kind, times, memory and limits of larger updates than it
 * was made from, and the fragmentation from which on creates fail.
 */
import { describe, expect, it } from 'vitest';
import { capacityOf } from '../../sim/check/store_shape.ts';
import { UPDATE_PHASES } from '../../sim/explore/forecast.ts';
import type { Plan } from '../../sim/explore/plan.ts';
import { near, planIsRun, planWithFilesIsRun } from '../support/plan.laws.ts';
import { forecastOf, planFor, ROOM, shatteredFor, storeOf, update } from '../support/planned.ts';
import { MIB } from '../support/system.ts';

const GIB = 1024 * MIB;

planIsRun('april-v1-p1', 30_000);
planIsRun('v7.3', 12_000);
planIsRun('v7.1', 819);

planWithFilesIsRun('v6.19', { sessions: 20, files: 2_500 });
planWithFilesIsRun('april-v1', { sessions: 50, files: 9_000 });
planWithFilesIsRun('v7.3', { sessions: 300, files: 9_001 });
// Not every session has one.
planWithFilesIsRun('v7.3', { sessions: 2_000, files: 700 });
// More in each than any sample has.
planWithFilesIsRun('v7.3', { sessions: 20, files: 8_000 });

describe('misses', () => {
  /** 32 MiB of 192 bytes each. */
  const CACHED = 174_762;
  /** Names compared while a list grows to so many, from the first on that finds more than the cache holds. */
  const growing = (sessions: number): number =>
    sessions <= CACHED ? 0 : (sessions * (sessions - 1)) / 2 - ((CACHED + 1) * CACHED) / 2;

  it.each([CACHED - 1, CACHED, CACHED + 1, CACHED + 2, 200_000, 8_190_000])(
    'of %i sessions are those of lists beyond the cache',
    (sessions) => {
      const misses = UPDATE_PHASES.map((phase) => forecastOf('v7.3').steps(phase, sessions).miss ?? 0);
      const retrieves = sessions <= CACHED ? 0 : (sessions * (sessions + 1)) / 2;
      expect(misses).toEqual([growing(sessions), 0, growing(sessions), retrieves]);
    },
  );
});

describe('limits', () => {
  const available = ({ limits }: Plan, what: RegExp): number =>
    limits.find((limit) => what.test(limit.what))?.available ?? Number.NaN;

  it.each([
    ['v6.19', 819],
    ['v7.1', 819],
    ['april-v1-p1', 8_190_000],
    ['v7.3', 510_000],
  ])('%s has room for %i sessions', (revision, sessions) =>
    expect(capacityOf(storeOf(revision))).toBe(sessions),
  );

  it('of sessions and struct files are those of the kernel', () => {
    const plan = planFor('v7.1', 820);
    expect(plan.limits[0]).toEqual({ what: 'sessions', needed: 820, available: 819, beyond: 'ENOMEM' });
    const [before] = update('v7.1', 0, ROOM).generations;
    expect(available(plan, /^struct files/)).toBe(before?.fileMax);
    const refused = update('v7.1', 820).generations[0]?.actions.find(({ verb }) => verb === 'create');
    expect(refused).toMatchObject({ calls: 819, result: 'ENOMEM' });
    expect(plan.limits.at(-1)).toMatchObject({ what: 'blocks of 16 pages in one piece', needed: 1 });
  });

  it('of memory are where creates end', () => {
    const memory = { ramBytes: 32 * MIB, fragmentedPercent: 0 };
    const [first] = update('v7.3', 40_000, memory).generations;
    const creates = first?.actions.find(({ verb }) => verb === 'create');
    expect(creates?.result).toBe('ENOMEM');
    const pages = available(planFor('v7.3', 1, memory), /^pages of memory/);
    near(forecastOf('v7.3').pages('created', creates?.calls ?? 0), pages, 1.5, 0, 'pages');
  });

  it('of blocks are those in one piece, fewer where memory is shattered', () => {
    const pieces = (fragmentedPercent: number): number => {
      const plan = planFor('april-v1-p1', 1, { ramBytes: 64 * MIB, fragmentedPercent });
      expect(plan.fragmentedPercent).toBe(fragmentedPercent);
      return available(plan, /^blocks of 16 pages in one piece$/);
    };
    const [first] = update('april-v1-p1', 0, { ramBytes: 64 * MIB, fragmentedPercent: 0 }).generations;
    const free = first?.freePieces ?? 0;
    // The first block is there from boot on.
    expect([pieces(0), pieces(60)]).toEqual([free + 1, free - Math.round(free * 0.6) + 1]);
  });

  it('of memory on a machine that is larger than any are in proportion', () => {
    const pages = (gib: number): number =>
      available(planFor('v7.3', 1, { ramBytes: gib * GIB, fragmentedPercent: 0 }), /^pages of memory/);
    expect(pages(4096)).toBe(pages(1024) * 4);
  });
});

describe('shattered memory', () => {
  it.each([
    ['april-v1-p1', 2_000, 32],
    ['april-v1-p1', 20_000, 32],
    ['april-v1-p1', 28_000, 32],
    ['april-v1-p1', 60_000, 32],
    ['april-v1-p1', 819, 16],
    ['v7.3', 20_000, 32],
    ['v7.3', 28_000, 32],
    ['v7.1', 900, 16],
  ])('is too much for %s with %i sessions on %i MiB from where a run says', (revision, sessions, mib) => {
    const { failsFromPercent, runs, ...tried } = shatteredFor(revision, sessions, mib * MIB);
    const possible = Math.min(sessions, capacityOf(storeOf(revision)));
    // So small a machine is tried as it is.
    expect(tried).toMatchObject({ revision, sessions: possible, ramBytes: mib * MIB });
    const fails = failsFromPercent ?? 101;
    expect(runs.map(({ percent }) => percent)).toEqual([fails - 1, fails].filter((p) => p >= 0 && p <= 100));
    for (const { percent, result, created, asForetold } of runs) {
      expect({ asForetold, result }).toEqual({ asForetold: true, result: percent < fails ? 'OK' : 'ENOMEM' });
      expect(created === possible).toBe(percent < fails);
    }
  });

  it('says never, at all, and from somewhere between', () => {
    const from = (revision: string, sessions: number): number | undefined =>
      shatteredFor(revision, sessions, 16 * MIB).failsFromPercent;
    expect(from('april-v1-p1', 819)).toBeUndefined();
    expect(from('april-v1-p1', 820)).toBe(100);
    expect(from('april-v1-p1', 60_000)).toBe(0);
    expect(from('v7.3', 820)).toBeUndefined();
    const between = from('april-v1-p1', 8_000) ?? Number.NaN;
    expect(between).toBeGreaterThan(70);
    expect(between).toBeLessThan(95);
  });

  it('is tried at a scale where the machine is larger than 128 MiB', () => {
    const { ramBytes, sessions, runs } = shatteredFor('april-v1-p1', 20_000, GIB);
    expect(ramBytes).toBe(128 * MIB);
    near(sessions, 20_000 / 8, 10, 0, 'sessions');
    expect(runs.every(({ asForetold }) => asForetold)).toBe(true);
  });
});
