/*
 * Random numbers: seedrandom's alea, one lazily seeded stream per concern. A draw added to one concern shifts no
 * other. Seeds are strings: seedrandom treats the number 1 and the string "1" differently, and an undefined seed
 * seeds itself from the machine.
 */
import seedrandom from 'seedrandom';
import { assert } from './assert.ts';

/** One stream of random numbers. */
export class RandomStream {
  readonly #next: seedrandom.PRNG;

  constructor(seed: string) {
    this.#next = seedrandom.alea(seed);
  }

  /** Uniform 32-bit word, signed. */
  word(): number {
    return this.#next.int32();
  }

  /** Uniform integer in [0, n). */
  below(n: number): number {
    assert(n >= 1 && n <= 2 ** 32, `below(${n})`);
    return Math.floor(this.#next() * n);
  }

  /** True with the given probability in [0, 1]. */
  chance(probability: number): boolean {
    return this.#next() < probability;
  }
}

/** The streams of one run, made when first asked for. */
export class RandomStreams {
  readonly seed: string;
  readonly #streams = new Map<string, RandomStream>();

  constructor(seed: string) {
    this.seed = seed;
  }

  stream(name: string): RandomStream {
    let stream = this.#streams.get(name);
    if (stream === undefined) {
      stream = new RandomStream(`${this.seed}/${name}`);
      this.#streams.set(name, stream);
    }
    return stream;
  }
}
