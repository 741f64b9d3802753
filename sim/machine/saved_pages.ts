/*
 * What pages held before they were written under a mark, the last saved first.
 */
import { PAGE_SIZE } from '../base/limits.ts';

const PAGE_WORDS = PAGE_SIZE / 4;

/** Copies that nobody needs now. */
const spare: Int32Array[] = [];

export class SavedPages {
  readonly #pages: Int32Array[] = [];

  /** Keeps a page of `words`, from `at` on. */
  save(words: Int32Array, at: number): void {
    const page = spare.pop() ?? new Int32Array(PAGE_WORDS);
    page.set(words.subarray(at, at + PAGE_WORDS));
    this.#pages.push(page);
  }

  /** Puts back the page that was saved last. */
  restore(words: Int32Array, at: number): void {
    const page = this.#pages.pop() as Int32Array;
    words.set(page, at);
    spare.push(page);
  }

  clear(): void {
    this.#pages.length = 0;
  }
}
