/*
 * Decisions: everything undetermined in a run is answered here, by name.
 *
 *   choose(point, n)   which of n      default 0; no draw where n is 1
 *   fails(point)       does it fail    default no; no draw where the point is not armed
 *
 * A source answers: a seed, a recording, or the default. Whatever answers, departures from the default are kept as
 * (point, occurrence, choice); replaying them reproduces the run. Occurrences of `choose` count the calls with n > 1,
 * occurrences of `fails` the calls while the point is armed; both start at 0 and are counted for each point alone, so a
 * point that is added to the code, and takes its default, changes no other's.
 *
 * A recording may have been made by other code. What of it finds no place here is a misfit, and the default is taken.
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

/** A departure of a recording that was not taken. */
export interface Misfit {
  /** Its place in the recording, from 0. */
  readonly index: number;
  readonly departure: Departure;
  readonly why: 'no such point' | 'not reached' | 'no such choice';
  /** `not reached`: how often the run came to the point; `no such choice`: how many there are. 0 without a point. */
  readonly count: number;
}

interface Source {
  choose(point: Point, occurrence: number, n: number): number;
  fails(point: Point, occurrence: number): boolean;
  /** Whether `fails` can be true at a point at all. */
  arms(point: Point): boolean;
  misfits(occurrences: (point: Point) => number): Misfit[];
}

const NO_FAULT: Source = { choose: () => 0, fails: () => false, arms: () => false, misfits: () => [] };

function seededSource(seed: string, faults: readonly Fault[]): Source {
  const streams = new RandomStreams(seed);
  const byPoint = new Map<string, Fault[]>();
  for (const fault of faults) {
    assert(pointByName(fault.point) !== undefined, `no point is named ${fault.point}`);
    byPoint.set(fault.point, [...(byPoint.get(fault.point) ?? []), fault]);
  }
  return {
    arms: (point) => byPoint.has(pointName(point)),
    choose: (point, _occurrence, n) => streams.stream(pointConcern(point)).below(n),
    fails: (point, occurrence) => {
      let failed = false;
      for (const fault of byPoint.get(pointName(point)) ?? []) {
        if (fault.nth === occurrence) failed = true;
        const probability = fault.probability ?? 0;
        if (probability > 0 && streams.stream(pointConcern(point)).chance(probability)) failed = true;
      }
      return failed;
    },
    misfits: () => [],
  };
}

/** What was taken of a departure: nothing yet, all, or nothing because there were only so many possibilities. */
const PENDING = 0;
const TAKEN = -1;

class Recording implements Source {
  readonly #departures: readonly Departure[];
  /** Places of the departures, by point and occurrence. */
  readonly #places = new Map<string, Map<number, number>>();
  /** By place: PENDING, TAKEN, or the number of possibilities that the choice was not among. */
  readonly #fates: Int32Array;

  constructor(departures: readonly Departure[]) {
    this.#departures = departures;
    this.#fates = new Int32Array(departures.length);
    for (const [place, { point, occurrence }] of departures.entries()) {
      const places = this.#places.get(point) ?? new Map<number, number>();
      assert(!places.has(occurrence), `occurrence ${occurrence} of ${point} departs twice`);
      places.set(occurrence, place);
      this.#places.set(point, places);
    }
  }

  arms(point: Point): boolean {
    return this.#places.has(pointName(point));
  }

  choose(point: Point, occurrence: number, n: number): number {
    const place = this.#places.get(pointName(point))?.get(occurrence);
    if (place === undefined) return 0;
    const { choice } = this.#departures[place] as Departure;
    const fits = choice < n;
    this.#fates[place] = fits ? TAKEN : n;
    return fits ? choice : 0;
  }

  fails(point: Point, occurrence: number): boolean {
    return this.choose(point, occurrence, 2) === 1;
  }

  misfits(occurrences: (point: Point) => number): Misfit[] {
    return this.#departures.flatMap((departure, index): Misfit[] => {
      const fate = this.#fates[index] as number;
      if (fate === TAKEN) return [];
      if (fate !== PENDING) return [{ index, departure, why: 'no such choice', count: fate }];
      const point = pointByName(departure.point);
      if (point === undefined) return [{ index, departure, why: 'no such point', count: 0 }];
      return [{ index, departure, why: 'not reached', count: occurrences(point) }];
    });
  }
}

/** The answers of one run. */
export class Decisions {
  readonly departures: Departure[] = [];
  readonly #source: Source;
  /** By point, as far as points were declared when last looked. */
  #occurrences = new Int32Array();
  #armed = new Uint8Array();

  private constructor(source: Source) {
    this.#source = source;
    this.#extend();
  }

  /** Every decision takes its default. */
  static none(): Decisions {
    return new Decisions(NO_FAULT);
  }

  /** Decisions drawn from a seed; `faults` arms the points that may fail. */
  static seeded(seed: string, faults: readonly Fault[] = []): Decisions {
    return new Decisions(seededSource(seed, faults));
  }

  /** Replays the departures of an earlier run. No occurrence of a point departs twice. */
  static replay(departures: readonly Departure[]): Decisions {
    return new Decisions(new Recording(departures));
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
    if (point >= this.#armed.length) this.#extend();
    if (this.#armed[point] === 0) return false;
    const occurrence = this.#count(point);
    const failed = this.#source.fails(point, occurrence);
    if (failed) this.departures.push({ point: pointName(point), occurrence, choice: 1 });
    return failed;
  }

  /** What of the recording has found no place so far, in its order; empty for a seed. To be asked after the run. */
  misfits(): Misfit[] {
    return this.#source.misfits((point) => this.#occurrences[point] ?? 0);
  }

  #count(point: Point): number {
    if (point >= this.#occurrences.length) this.#extend();
    const occurrence = this.#occurrences[point] as number;
    this.#occurrences[point] = occurrence + 1;
    return occurrence;
  }

  /** Makes room for points declared since: a module may be loaded late. */
  #extend(): void {
    const occurrences = new Int32Array(pointCount());
    const armed = new Uint8Array(pointCount());
    occurrences.set(this.#occurrences);
    for (let point = 0; point < armed.length; point++) {
      armed[point] = this.#source.arms(point as Point) ? 1 : 0;
    }
    this.#occurrences = occurrences;
    this.#armed = armed;
  }
}
