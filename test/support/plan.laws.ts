/*
 * The law of a plan: it is what a run will be. Sizes that take long are in test/long/.
 */
import { describe, expect, it } from 'vitest';
import { longestBlackout, nsOf, type Priced, priced, type Steps } from '../../sim/explore/blackout.ts';
import type { Spread } from '../../sim/explore/file_forecast.ts';
import { UPDATE_PHASES } from '../../sim/explore/forecast.ts';
import type { Plan } from '../../sim/explore/plan.ts';
import type { GenerationReport, RunResult } from '../../sim/explore/result.ts';
import { STEP_KINDS } from '../../sim/machine/cpu.ts';
import type { Verb } from '../../sim/user/program.ts';
import { forecastOf, planFor, ROOM, stepsOf, update } from './planned.ts';

const PAGE = 4096;
/** A block of the store is there or it is not. */
const BLOCK_PAGES = 16;
/** What a page takes, allocated and zeroed; and a page of a slab is there or it is not. */
const PAGE_NS = 1_000;

/** Foretold and real lie within so much of one another. */
export function near(foretold: number, real: number, percent: number, slack: number, what: string): void {
  const apart = Math.abs(foretold - real);
  expect(apart, `${what}: foretold ${foretold}, real ${real}`).toBeLessThanOrEqual(
    (real * percent) / 100 + slack,
  );
}

function restsOnSoundRuns(revision: string, real: RunResult, plan: Plan): void {
  const [before, after] = real.generations as [GenerationReport, GenerationReport];
  it('foretells memory within 1 %', () => {
    const empty = update(revision, 0).generations as [GenerationReport, GenerationReport];
    const slack = BLOCK_PAGES * PAGE;
    near(plan.bytesCreated, (empty[0].freePages - before.freePages) * PAGE, 1, slack, 'created');
    near(plan.bytesCrossing, (before.handover?.preservedPages ?? 0) * PAGE, 1, slack, 'crossing');
    near(plan.bytesRetrieved, (empty[1].freePages - after.freePages) * PAGE, 1, slack, 'retrieved');
  });

  it('rests on runs that broke no law', () => expect(plan.violations).toEqual([]));
}

export function planIsRun(revision: string, sessions: number): void {
  describe(`a plan of ${revision} for ${sessions} sessions`, () => {
    const real = update(revision, sessions);
    const plan = planFor(revision, sessions);

    it('foretells steps of every kind in every part', () => {
      const steps = stepsOf(real);
      for (const phase of UPDATE_PHASES) {
        const foretold = forecastOf(revision).steps(phase, sessions);
        for (const kind of STEP_KINDS) {
          const what = `${phase}, ${kind}`;
          if (kind === 'hop' || kind === 'miss') expect(foretold[kind], what).toBe(steps[phase][kind]);
          else near(foretold[kind] ?? 0, steps[phase][kind] ?? 0, 0.3, BLOCK_PAGES, what);
        }
      }
    });

    it('foretells times within the residual that it states', () => {
      const blackout = longestBlackout(real.generations);
      const check = (foretold: Priced, was: Priced | undefined, what: string): void => {
        for (const [profile, time] of Object.entries(foretold.times)) {
          const ns = nsOf(was?.times[profile] ?? { seconds: 0, ns: 0 });
          near(nsOf(time), ns, Math.max(plan.residualPercent, 0.05), 0, `${what} by ${profile}`);
        }
      };
      expect(plan.residualPercent).toBeLessThan(1);
      check(plan.blackout, blackout?.open, 'blackout');
      check(plan.usable, blackout?.usable, 'until usable');
    });

    restsOnSoundRuns(revision, real, plan);
  });
}

export function planWithFilesIsRun(revision: string, { sessions, files }: Spread): void {
  describe(`a plan of ${revision} for ${files} files in ${sessions} sessions`, () => {
    const real = update(revision, sessions, ROOM, files);
    const [before, after] = real.generations as [GenerationReport, GenerationReport];
    const plan = planFor(revision, sessions, ROOM, [], files);

    it('foretells times within the residuals that it states', () => {
      const stated = Math.max(plan.residualPercent + (plan.ofFiles?.residualPercent ?? 0), 0.2);
      expect(stated).toBeLessThan(1);
      const verbs = (kernel: GenerationReport, ...wanted: Verb[]): Steps[] =>
        kernel.actions.filter(({ verb }) => wanted.includes(verb)).map(({ steps }) => steps);
      const blackout = [...verbs(before, 'reboot'), after.bootSteps, ...verbs(after, 'open')];
      const parts: [Priced, Steps[], string][] = [
        [plan.create, verbs(before, 'create'), 'create'],
        [plan.preserve, verbs(before, 'preserve'), 'preserve'],
        [plan.blackout, blackout, 'blackout'],
        [plan.usable, [...blackout, ...verbs(after, 'retrieve', 'retrieve-fd')], 'until usable'],
      ];
      for (const [foretold, steps, what] of parts) {
        for (const [profile, time] of Object.entries(priced(steps).times)) {
          near(nsOf(foretold.times[profile] ?? time), nsOf(time), stated, PAGE_NS, `${what} by ${profile}`);
          expect(nsOf(time)).toBeGreaterThan(0);
        }
      }
    });

    restsOnSoundRuns(revision, real, plan);
  });
}
