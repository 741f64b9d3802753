/*
 * What a slab's objects contain beside their rows: columns of records, zero when the object is allocated and poison
 * once it is freed.
 */
import type { Column } from './column.ts';
import { ZERO_PIECE } from './pool.ts';

interface Records {
  readonly column: Column;
  readonly words: number;
  readonly sparse: boolean;
}

export class SlabRecords {
  readonly #all: Records[] = [];

  /** `words` for each object, at index * words. `sparse`: those in a piece that nobody wrote to are not poisoned. */
  add(column: Column, words: number, sparse: boolean): void {
    this.#all.push({ column, words, sparse });
  }

  /** Makes `word` of all words of an object. */
  fill(index: number, word: number): void {
    const all = this.#all;
    for (let k = 0; k < all.length; k++) {
      const { column, words, sparse } = all[k] as Records;
      if (sparse && (column.blank || column.piece(index * words) === ZERO_PIECE)) continue;
      column.fill(index * words, words, word);
    }
  }

  dispose(): void {
    for (const { column } of this.#all) column.dispose();
  }
}
