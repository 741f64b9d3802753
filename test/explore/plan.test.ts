/*
 * A plan is what a run will be, at sizes that take little; larger ones are in test/long/. What files add is held to
 * updates whose prices are known besides.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OWN_DESCRIPTORS } from '../../scenarios/many_sessions.ts';
import { NR_OPEN } from '../../sim/base/limits.ts';
import { capacityOf, type FileShape, fileShapeOf } from '../../sim/check/store_shape.ts';
import { priced, type Steps } from '../../sim/explore/blackout.ts';
import { FileForecast, PHASES_OF_FILES, type Spread } from '../../sim/explore/file_forecast.ts';
import {
  FILE_PHASES,
  type Sample,
  sampleOf,
  UPDATE_MEMORY,
  UPDATE_PHASES,
} from '../../sim/explore/forecast.ts';
import { type Plan, plan } from '../../sim/explore/plan.ts';
import type { GenerationReport } from '../../sim/explore/result.ts';
import { roomOf, shattered } from '../../sim/explore/shattered.ts';
import type { Parts } from '../../sim/kernel/revisions.ts';
import { planIsRun, planWithFilesIsRun } from '../support/plan.laws.ts';
import { forecastOf, inputOf, planFor, ROOM, shatteredFor, storeOf, update } from '../support/planned.ts';
import { MIB } from '../support/system.ts';

/** Bytes from the start of the array of sessions to the first letter of the first. */
const FIRST_NAME = 8;

planIsRun('v7.1', 819);
planWithFilesIsRun('v7.1', { sessions: 40, files: 3_000 });

describe('what files add', () => {
  const STORES: readonly Parts['fileStore'][] = ['array-2', 'block-chain-2', 'block-set-1'];
  const prices = fc.record({
    one: fc.nat(1000),
    session: fc.nat(1000),
    block: fc.nat(1000),
    file: fc.nat(100_000),
    pair: fc.nat(10),
  });
  type Prices = typeof prices extends fc.Arbitrary<infer T> ? T : never;

  /** Counted file by file. */
  function added(
    { one, session, block, file, pair }: Prices,
    { perBlock }: FileShape,
    spread: Spread,
  ): number {
    let sum = spread.files > 0 ? one : 0;
    for (let i = 0; i < spread.sessions; i++) {
      const files = Math.floor(spread.files / spread.sessions) + (i < spread.files % spread.sessions ? 1 : 0);
      for (let k = 0; k < files; k++) sum += file + k * pair + (k % perBlock === 0 ? block : 0);
      if (files > 0) sum += session;
    }
    return sum;
  }

  /** An update with such prices; sessions have a price as well, which is not the files'. */
  function sampled(of: Prices, shape: FileShape, spread: Spread): Sample {
    const n = added(of, shape, spread);
    const steps: Steps = { lock: 7 * spread.sessions + n, tokenHop: 2 * n };
    const phases = [...UPDATE_PHASES, ...FILE_PHASES].map((phase) => [phase, steps]);
    const pages = UPDATE_MEMORY.map((what) => [what, 100 + 3 * spread.sessions + n]);
    return {
      sessions: spread.sessions,
      steps: Object.fromEntries(phases),
      pages: Object.fromEntries(pages),
    };
  }

  it('is foretold exactly where it has those five prices, in every store', () => {
    const spreads = fc.record({ sessions: fc.integer({ min: 1, max: 40 }), files: fc.nat(3000) });
    fc.assert(
      fc.property(fc.constantFrom(...STORES), prices, spreads, (store, of, { sessions, ...given }) => {
        const shape = fileShapeOf(store);
        const spread = { sessions, files: Math.min(given.files, sessions * capacityOf(shape)) };
        const forecast = new FileForecast((each) => sampled(of, shape, each), shape);
        const real = added(of, shape, spread);
        for (const phase of PHASES_OF_FILES) {
          const { lock = 0, tokenHop = 0 } = forecast.steps(phase, spread);
          expect([lock, tokenHop]).toEqual([real, 2 * real]);
        }
        for (const what of UPDATE_MEMORY) expect(forecast.pages(what, spread)).toBe(real);
        expect(forecast.residualPercent).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  it('rests on updates that every store has room for, and is checked with one that is like none of them', () => {
    for (const store of STORES) {
      const shape = fileShapeOf(store);
      const of = { one: 1, session: 1, block: 1, file: 1, pair: 1 };
      const ran: Spread[] = [];
      const forecast = new FileForecast((spread) => {
        ran.push(spread);
        return sampled(of, shape, spread);
      }, shape);
      for (const { sessions, files } of ran) {
        expect(Math.ceil(files / sessions)).toBeLessThanOrEqual(capacityOf(shape));
        expect(sessions).toBeLessThanOrEqual(819);
      }
      const { sessions, files } = forecast.checkedWith;
      expect(files % sessions).toBeGreaterThan(0);
      const most = Math.max(...forecast.samples.map((sample) => sample.files / sample.sessions));
      expect(files / sessions > most || store === 'array-2').toBe(true);
    }
  });

  it('is said to be off by so much where it is', () => {
    const shape = fileShapeOf('block-set-1');
    const of = { one: 0, session: 0, block: 0, file: 100, pair: 0 };
    const off = (factor: number, which: 'steps' | 'pages'): number => {
      const check = new FileForecast((spread) => sampled(of, shape, spread), shape).checkedWith;
      return new FileForecast((spread) => {
        const sample = sampled(of, shape, spread);
        if (spread.files !== check.files) return sample;
        const more = sampled({ ...of, file: of.file * factor }, shape, spread);
        return { ...sample, [which]: more[which] };
      }, shape).residualPercent;
    };
    // Foretold are 1 of 2; what sessions take besides is little.
    expect(off(2, 'steps')).toBeGreaterThan(49.9);
    expect(off(2, 'steps')).toBeLessThan(50.1);
    expect(off(2, 'pages')).toBeGreaterThan(49.9);
    expect(off(0.5, 'pages')).toBeGreaterThan(99);
  });

  it('is what runs say of their files, part by part', () => {
    const result = update('v7.1', 3, ROOM, 7);
    const { sessions, steps, pages } = sampleOf(result, 3);
    const [before, after] = result.generations;
    const of = (actions: typeof before, verb: string): Steps =>
      priced((actions?.actions ?? []).filter((action) => action.verb === verb).map((action) => action.steps))
        .steps;
    expect(sessions).toBe(3);
    expect(steps.preserve).toEqual(of(before, 'preserve'));
    expect(steps.preserve.memfdPreserve).toBe(7);
    // Three, two and two: each is looked for among those before it.
    expect(steps.preserve.tokenHop).toBe(3 + 1 + 1 + 7);
    expect(steps['retrieve-fd']).toEqual(of(after, 'retrieve-fd'));
    expect(steps['retrieve-fd'].memfdRetrieve).toBe(7);
    expect(steps.open.fileDeserialized).toBe(7);
    expect(pages.crossing).toBe(before?.handover?.preservedPages);
  });
});

it('foretells the misses of a list that the cache does not hold', () => {
  const [cached, n] = [174_762, 200_000];
  const growing = (n * (n - 1)) / 2 - ((cached + 1) * cached) / 2;
  const misses = (sessions: number): (number | undefined)[] =>
    UPDATE_PHASES.map((phase) => forecastOf('v7.1').steps(phase, sessions).miss);
  expect(misses(n)).toEqual([growing, undefined, growing, (n * (n + 1)) / 2]);
  expect(misses(cached)).toEqual(Array(4).fill(undefined));
});

it('tells what laws its runs break', () => {
  const [first] = update('v7.1', 103).generations;
  const broken = first?.handover?.storeRegions[0]?.phys ?? 0;
  const { violations } = plan({
    revision: 'v7.1',
    sessions: 1,
    files: 0,
    ...ROOM,
    shatteredRevisions: [],
    ownDescriptors: OWN_DESCRIPTORS,
    // A letter of the first name, on its way.
    inputOf: (...given) => ({
      ...inputOf(...given),
      corruptions: [{ generation: 0, phys: broken + FIRST_NAME, bytes: '7a' }],
    }),
  });
  expect(new Set(violations.map(({ law }) => law))).toContain('preservation');
});

describe('limits', () => {
  const limitsOf = (plan: Plan): [string, number, number][] =>
    plan.limits.map(({ what, needed, available }) => [what, needed, available]);
  const each = NR_OPEN - OWN_DESCRIPTORS;
  const [before] = update('v7.1', 0).generations;
  /** One descriptor more than two processes have. */
  const beyond = planFor('v7.1', 700, ROOM, [], 2 * each - 699);

  it('of sessions, files, descriptors and struct files are those of the kernel', () => {
    expect(limitsOf(beyond).slice(0, 4)).toEqual([
      ['sessions', 700, 819],
      ['files of one session', Math.ceil((2 * each - 699) / 700), 128],
      ['descriptors of one process (fs.nr_open)', 2 * each + 1 + OWN_DESCRIPTORS, NR_OPEN],
      ['struct files (fs.file-max)', 2 * each + 1, before?.fileMax],
    ]);
    const refused = update('v7.1', 2, ROOM, 257).generations[0]?.actions.find(
      ({ result }) => result !== 'OK',
    );
    expect(refused).toMatchObject({ verb: 'preserve', calls: 128, result: 'ENOSPC' });
    const without = limitsOf(planFor('v7.1', 820));
    expect(without).toHaveLength(5);
    expect(without.slice(0, 3)).toEqual([
      ['sessions', 820, 819],
      ['descriptors of one process (fs.nr_open)', 820 + OWN_DESCRIPTORS, NR_OPEN],
      ['struct files (fs.file-max)', 820, before?.fileMax],
    ]);
  });

  it('of descriptors say how many processes it takes', () => {
    const said = ({ limits }: Plan): string | undefined =>
      limits.find(({ what }) => /nr_open/.test(what))?.beyond;
    expect(said(planFor('v7.1', each))).toBe('EMFILE: spread over 1 processes');
    expect(said(planFor('v7.1', each + 1))).toBe('EMFILE: spread over 2 processes');
    expect(said(beyond)).toBe('EMFILE: spread over 3 processes');
  });

  it('of memory and blocks are those of the machine that is planned for, less what is shattered', () => {
    const memory = { ramBytes: 64 * MIB, fragmentedPercent: 40 };
    const [whole] = update('v7.1', 0, { ...memory, fragmentedPercent: 0 }).generations;
    const { limits, ...plan } = planFor('v7.1', 819, memory);
    const pieces = whole?.freePieces ?? 0;
    const lost = Math.round(pieces * 0.4);
    const pages = (whole?.freePages ?? 0) - (whole?.scratchBytes ?? 0) / 4096;
    expect(limits.slice(-2)).toEqual([
      {
        what: 'pages of memory outside of scratch',
        needed: plan.bytesCreated / 4096,
        available: pages - lost,
        beyond: 'ENOMEM',
      },
      {
        what: 'blocks of 16 pages in one piece',
        needed: 1,
        // The array is there from boot on.
        available: pieces - lost + 1,
        beyond: 'ENOMEM',
      },
    ]);
    expect(plan).toMatchObject({ ...memory, sessions: 819, files: 0, revision: 'v7.1' });
  });

  it('of memory on a machine that is larger than any are in proportion', () => {
    const [one, four] = [1, 4].map((tib) => {
      const { limits } = planFor('v7.1', 1, { ramBytes: tib * 2 ** 40, fragmentedPercent: 0 });
      return [3, 4].map((i) => (limits[i]?.available ?? 0) - (i === 4 ? 1 : 0));
    });
    expect(four).toEqual(one?.map((n) => 4 * n));
  });
});

describe('shattered memory', () => {
  it.each([
    ['april-v1-p1', 820, 16, 100],
    ['april-v1-p1', 819, 16, undefined],
    ['april-v1-p1', 60_000, 16, 0],
    ['v7.1', 900, 16, undefined],
  ])(
    'is too much for %s with %i sessions on %i MiB from %s percent on',
    (revision, sessions, mib, percent) => {
      const { failsFromPercent, runs, ...tried } = shatteredFor(revision, sessions, mib * MIB);
      expect(failsFromPercent).toBe(percent);
      const possible = Math.min(sessions, revision === 'v7.1' ? 819 : sessions);
      expect(tried).toMatchObject({
        revision,
        sessions: possible,
        files: 0,
        ramBytes: mib * MIB,
        blockPages: 16,
      });
      const fails = percent ?? 101;
      expect(runs.map((run) => run.percent)).toEqual([fails - 1, fails].filter((p) => p >= 0 && p <= 100));
      for (const run of runs) {
        expect(run).toMatchObject({ asForetold: true, result: run.percent < fails ? 'OK' : 'ENOMEM' });
        expect(run.created === possible).toBe(run.percent < fails);
      }
    },
  );

  it('is found between, where neither none nor all of it is too much', () => {
    const { failsFromPercent = 0, runs } = shatteredFor('april-v1-p1', 8_000, 16 * MIB);
    expect(failsFromPercent).toBeGreaterThan(70);
    expect(failsFromPercent).toBeLessThan(95);
    expect(runs.map(({ asForetold, result }) => [asForetold, result])).toEqual([
      [true, 'OK'],
      [true, 'ENOMEM'],
    ]);
  });

  it('is tried at a scale where the machine is larger than 128 MiB', () => {
    const { ramBytes, sessions, runs } = shatteredFor('april-v1-p1', 20_000, 1024 * MIB);
    expect(ramBytes).toBe(128 * MIB);
    expect(Math.abs(sessions - 2_500)).toBeLessThan(250);
    expect(runs.map(({ asForetold }) => asForetold)).toEqual([true, true]);
    // Not with fewer than two blocks, where the plan has as many.
    expect(shatteredFor('april-v1-p1', 5_000, 1024 * MIB).sessions).toBe(2 * 819);
    expect(shatteredFor('april-v1-p1', 1_000, 1024 * MIB).sessions).toBe(1_000);
  });

  it('takes a page of every piece, and says where a run was not as foretold', () => {
    const { generations } = update('v7.1', 0);
    // A hundred pieces and nothing else; runs that never fail.
    const empty = { ...generations[0], freePages: 1600, freePieces: 100, scratchBytes: 0, actions: [] };
    const { failsFromPercent, runs } = shattered({
      revision: 'v7.1',
      spread: { sessions: 10, files: 0 },
      ramBytes: 16 * MIB,
      pagesCreated: () => 1550,
      shape: storeOf('v7.1'),
      filesMax: 128,
      room: roomOf(empty as GenerationReport),
      kernelOf: () => empty as GenerationReport,
    });
    expect(failsFromPercent).toBe(51);
    expect(runs).toEqual([
      { percent: 50, created: 0, result: 'OK', asForetold: true },
      { percent: 51, created: 0, result: 'OK', asForetold: false },
    ]);
  });
});
