/*
 * Decisions: everything undetermined in a run is answered here, by name.
 *
 *   choose(point, n)   which of n      default 0; no draw where n is 1
 *   fails(point)       does it fail    default no; no draw where the point is not armed
 *
 * A source answers: a seed, a recording, or the default. Whatever answers, departures from the default are kept as
 * (point, occurrence, choice); replaying them reproduces the run. Occurrences of `choose` count the calls with n > 1,
 * occurrences of `fails` the calls while the point is armed; both start at 0.
 */
import { assert } from './assert.ts';
import { type Point, pointByName, pointConcern, pointCount, pointName } from './point.ts';
import { RandomStreams } from './random.ts';

/** One answer that differs from the default. */
export interface Departure {
  readonly point: string;
  readonly occurrence: number;
  readonly choice: number;
}

/** A fault to inject: at the nth occurrence of a point, or at each with a probability. */
export interface Fault {
  readonly point: string;
  readonly nth?: number;
  readonly probability?: number;
}

interface Source {
  choose(point: Point, occurrence: number, n: number): number;
  fails(point: Point, occurrence: number): boolean;
  /** Points whose `fails` can be true at all. */
  readonly armed: readonly Point[];
}

const NO_FAULT: Source = { choose: () => 0, fails: () => false, armed: [] };

function seededSource(seed: string, faults: readonly Fault[]): Source {
  const streams = new RandomStreams(seed);
  const byPoint = new Map<Point, Fault[]>();
  for (const fault of faults) {
    const point = pointByName(fault.point);
    assert(point !== undefined, `no point is named ${fault.point}`);
    byPoint.set(point, [...(byPoint.get(point) ?? []), fault]);
  }
  return {
    armed: [...byPoint.keys()],
    choose: (point, _occurrence, n) => streams.stream(pointConcern(point)).below(n),
    fails: (point, occurrence) => {
      let failed = false;
      for (const fault of byPoint.get(point) ?? []) {
        if (fault.nth === occurrence) failed = true;
        const probability = fault.probability ?? 0;
        if (probability > 0 && streams.stream(pointConcern(point)).chance(probability)) failed = true;
      }
      return failed;
    },
  };
}

function recordedSource(departures: readonly Departure[]): Source {
  const byPoint = new Map<Point, Map<number, number>>();
  for (const { point: name, occurrence, choice } of departures) {
    const point = pointByName(name);
    assert(point !== undefined, `no point is named ${name}`);
    const choices = byPoint.get(point) ?? new Map<number, number>();
    choices.set(occurrence, choice);
    byPoint.set(point, choices);
  }
  return {
    armed: [...byPoint.keys()],
    choose: (point, occurrence, n) => Math.min(byPoint.get(point)?.get(occurrence) ?? 0, n - 1),
    fails: (point, occurrence) => byPoint.get(point)?.get(occurrence) === 1,
  };
}

/** The answers of one run. */
export class Decisions {
  readonly departures: Departure[] = [];
  readonly #source: Source;
  readonly #occurrences: Int32Array;
  readonly #armed: Uint8Array;

  private constructor(source: Source) {
    this.#source = source;
    this.#occurrences = new Int32Array(pointCount());
    this.#armed = new Uint8Array(pointCount());
    for (const point of source.armed) this.#armed[point] = 1;
  }

  /** Every decision takes its default. */
  static none(): Decisions {
    return new Decisions(NO_FAULT);
  }

  /** Decisions drawn from a seed; `faults` arms the points that may fail. */
  static seeded(seed: string, faults: readonly Fault[] = []): Decisions {
    return new Decisions(seededSource(seed, faults));
  }

  /** Replays the departures of an earlier run. */
  static replay(departures: readonly Departure[]): Decisions {
    return new Decisions(recordedSource(departures));
  }

  /** Which of `n` possibilities happens: an integer in [0, n). */
  choose(point: Point, n: number): number {
    assert(n >= 1, `${pointName(point)}: nothing to choose from`);
    if (n === 1) return 0;
    const occurrence = this.#count(point);
    const choice = this.#source.choose(point, occurrence, n);
    if (choice !== 0) this.departures.push({ point: pointName(point), occurrence, choice });
    return choice;
  }

  /** Whether the operation at this point fails. */
  fails(point: Point): boolean {
    if (this.#armed[point] === 0) return false;
    const occurrence = this.#count(point);
    const failed = this.#source.fails(point, occurrence);
    if (failed) this.departures.push({ point: pointName(point), occurrence, choice: 1 });
    return failed;
  }

  #count(point: Point): number {
    const occurrence = this.#occurrences[point] as number;
    this.#occurrences[point] = occurrence + 1;
    return occurrence;
  }
}
