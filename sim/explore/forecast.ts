/*
 * What an update of any number of sessions takes, foretold from updates of a few hundred or thousand that were run on
 * the very same kernels: never guessed. Holds for kernels that find a session by walking their list.
 *
 *   names compared   a + b n + c n^2 through three updates
 *   other steps      a + b n through the smallest and the largest of the three; pages of memory likewise
 *   misses           names compared in a list that the cache cannot hold: of creates and the first open those from the
 *                    session on that makes it so large, of retrieves all. No sample has such a list
 *   residual         how far a fourth and larger update lies from what the three foretell
 *
 * Left out: what further agents' opens of the device cost, where one process cannot have all descriptors.
 */
import { assert } from '../base/assert.ts';
import { CACHE_BYTES, PAGE_SIZE } from '../base/limits.ts';
import { SESSION_BYTES } from '../luo/session_table.ts';
import { STEP_KINDS, type StepKind } from '../machine/cpu.ts';
import { nsOf, priced, type Steps } from './blackout.ts';
import type { ActionReport, RunResult } from './result.ts';

/** Parts of an update; the blackout is `reboot` (with the boot after it) and `open`. */
export const UPDATE_PHASES = ['create', 'reboot', 'open', 'retrieve'] as const;
export type UpdatePhase = (typeof UPDATE_PHASES)[number];

/** Memory in use: once all are created, across the jump, once all are retrieved. */
export const UPDATE_MEMORY = ['created', 'crossing', 'retrieved'] as const;
export type UpdateMemory = (typeof UPDATE_MEMORY)[number];

/** What is done with files besides. */
export const FILE_PHASES = ['preserve', 'retrieve-fd'] as const;

/** What an update that was run took. */
export interface Sample {
  readonly sessions: number;
  readonly steps: Readonly<Record<UpdatePhase | (typeof FILE_PHASES)[number], Steps>>;
  readonly pages: Readonly<Record<UpdateMemory, number>>;
}

/** The blocks of every store are full at these, but for the set's last one. */
const SIZES: readonly number[] = [819, 1638, 3276, 6552];
/** The largest list that the cache holds. */
const CACHED = Math.floor(CACHE_BYTES / SESSION_BYTES);

export class Forecast {
  readonly #basis: readonly Sample[];
  readonly #check: Sample;

  /** `update` runs an update of so many sessions, at most `capacity`. */
  constructor(update: (sessions: number) => RunResult, capacity: number) {
    const largest = SIZES.at(-1) as number;
    const scale = Math.min(capacity, largest) / largest;
    const samples = SIZES.map((size) => {
      const sessions = Math.ceil(size * scale);
      return sampleOf(update(sessions), sessions);
    });
    this.#basis = samples.slice(0, -1);
    this.#check = samples.at(-1) as Sample;
  }

  /** Sessions of the updates that it rests on. */
  get sizes(): number[] {
    return this.#basis.map(({ sessions }) => sessions);
  }

  /** Sessions of the update that it was checked with. */
  get checkSize(): number {
    return this.#check.sessions;
  }

  /** The worst of times, by every profile, and of pages. */
  get residualPercent(): number {
    const { sessions, steps, pages } = this.#check;
    const pairs: [number, number][] = UPDATE_MEMORY.map((what) => [
      this.#line((s) => s.pages[what], sessions),
      pages[what],
    ]);
    for (const phase of UPDATE_PHASES) {
      const real = Object.values(priced([steps[phase]]).times);
      const foretold = Object.values(priced([this.steps(phase, sessions)]).times);
      for (const [i, time] of real.entries()) pairs.push([nsOf(foretold[i] ?? time), nsOf(time)]);
    }
    const worst = Math.max(...pairs.map(([foretold, real]) => Math.abs(foretold / real - 1)));
    return Math.round(worst * 10_000) / 100;
  }

  steps(phase: UpdatePhase, sessions: number): Steps {
    const steps: Partial<Record<StepKind, number>> = {};
    for (const kind of STEP_KINDS) {
      const n = Math.round(this.#line((sample) => sample.steps[phase][kind] ?? 0, sessions));
      if (n > 0) steps[kind] = n;
    }
    const hops = this.#hops(phase, sessions);
    if (hops > 0) steps.hop = hops;
    const cached = phase === 'retrieve' ? 0 : this.#hops(phase, CACHED + 1);
    if (sessions > CACHED && hops > cached) steps.miss = hops - cached;
    return steps;
  }

  /** Pages that the sessions take; of `crossing` all that cross. */
  pages(what: UpdateMemory, sessions: number): number {
    const at = (n: number): number => this.#line(({ pages }) => pages[what], n);
    return Math.max(0, Math.round(at(sessions) - (what === 'crossing' ? 0 : at(0))));
  }

  #hops(phase: UpdatePhase, sessions: number): number {
    const points = this.#basis.map((sample) => [sample.sessions, sample.steps[phase].hop ?? 0]);
    const [[x0, y0], [x1, y1], [x2, y2]] = points as [[number, number], [number, number], [number, number]];
    const slope01 = (y1 - y0) / (x1 - x0);
    const slope12 = (y2 - y1) / (x2 - x1);
    const bend = (slope12 - slope01) / (x2 - x0);
    return Math.round(y0 + (sessions - x0) * (slope01 + bend * (sessions - x1)));
  }

  #line(of: (sample: Sample) => number, sessions: number): number {
    const [first, last] = [this.#basis[0] as Sample, this.#basis.at(-1) as Sample];
    const slope = (of(last) - of(first)) / (last.sessions - first.sessions);
    return of(first) + (sessions - first.sessions) * slope;
  }
}

export function sampleOf({ machine, generations }: RunResult, sessions: number): Sample {
  const [before, after] = generations;
  assert(before !== undefined && after?.bootKind === 'handover', 'a sample is a whole update');
  const used = (freePages: number): number => machine.ramBytes / PAGE_SIZE - freePages;
  return {
    sessions,
    steps: {
      create: stepsOf(before.actions, 'create'),
      preserve: stepsOf(before.actions, 'preserve'),
      reboot: priced([stepsOf(before.actions, 'reboot'), after.bootSteps]).steps,
      open: stepsOf(after.actions, 'open'),
      retrieve: stepsOf(after.actions, 'retrieve'),
      'retrieve-fd': stepsOf(after.actions, 'retrieve-fd'),
    },
    pages: {
      created: used(before.freePages),
      crossing: before.handover?.preservedPages ?? 0,
      retrieved: used(after.freePages),
    },
  };
}

const stepsOf = (actions: readonly ActionReport[], wanted: string): Steps =>
  priced(actions.filter(({ verb }) => verb === wanted).map(({ steps }) => steps)).steps;
