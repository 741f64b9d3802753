/*
 * A word of what a slab's objects contain, as a column by handle: what a lock of every object knows its holder by.
 */
import type { SlabCache } from './slab.ts';

/** One word of every row, by handle; each throws UseAfterFree. */
export class RowWord {
  readonly #cache: SlabCache;
  readonly #word: number;

  constructor(cache: SlabCache, word: number) {
    this.#cache = cache;
    this.#word = word;
  }

  get(handle: number): number {
    return this.#cache.get(handle, this.#word);
  }

  set(handle: number, value: number): void {
    this.#cache.set(handle, this.#word, value);
  }

  /** Whether the word was `from`; then it is `to`. */
  replace(handle: number, from: number, to: number): boolean {
    return this.#cache.replace(handle, this.#word, from, to);
  }
}
