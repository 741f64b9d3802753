/*
 * What an argument of an ioctl lies in, the caller's as the kernel's. It has room for the longest name, and names are
 * short: a buffer knows from which word on it is zero, and copying stops there.
 */
import { copyEight, copyWords } from '../base/words.ts';

export class ArgumentBuffer {
  readonly #words: Int32Array;
  /** Words from this one on are zero: after a whole number of steps, or at the end. */
  #filled = 0;

  constructor(words: number) {
    this.#words = new Int32Array(words);
  }

  /** All words, for reading. */
  get content(): Int32Array {
    return this.#words;
  }

  /** All words, for writing them at once: to be asked for each time, since any of them may be filled then. */
  get words(): Int32Array {
    this.#filled = this.#words.length;
    return this.#words;
  }

  get(k: number): number {
    return this.#words[k] as number;
  }

  set(k: number, word: number): void {
    if (k >= this.#filled) this.#filled = Math.min(this.#words.length, (k & -STEP) + STEP);
    this.#words[k] = word;
  }

  clear(): void {
    this.#words.fill(0);
    this.#filled = 0;
  }

  /** The first `n` words become those of `source`. */
  take(source: ArgumentBuffer, n: number): void {
    const words = this.#words;
    const copied = Math.min(n, source.#filled);
    // Places that are constants cost half.
    if (copied === STEP) copyEight(words, 0, source.#words, 0);
    else copyWords(words, 0, source.#words, 0, copied);
    if (this.#filled === copied) return;
    for (let k = copied; k < n && k < this.#filled; k++) words[k] = 0;
    if (n >= this.#filled) this.#filled = copied;
  }
}

/** What is copied at a time, and all that most arguments fill. */
const STEP = 8;
