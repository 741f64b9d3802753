/*
 * The 64 KiB chunks of RAM that have materialised: found by number, remembered in the order in which they came to be.
 */
import { assert } from '../base/assert.ts';
import type { Pfn } from '../base/units.ts';
import { DIRECTORY_MASK, DIRECTORY_PIECES, DIRECTORY_SHIFT, PIECE_WORDS } from './pool.ts';

export const CHUNK_BYTES = 65536;
export const CHUNK_PAGES = 16;
const PAGE_WORDS = PIECE_WORDS / CHUNK_PAGES;

/** A bit for each page in `dirty`, `open`, `guard` and `saved`. */
export class Chunk {
  readonly words: Int32Array;
  dirty = 0;
  open = 0;
  guard = 0;
  /** Journal epoch in which `open` holds. */
  epoch = 0;
  /** Pages saved in that epoch. */
  saved = 0;

  constructor(words: Int32Array) {
    this.words = words;
  }
}

/** Stands where no chunk has materialised. Never written. */
export const ABSENT = new Chunk(new Int32Array(PIECE_WORDS));
const ABSENT_DIRECTORY: Chunk[] = new Array<Chunk>(DIRECTORY_PIECES).fill(ABSENT);

export class Chunks {
  /** Numbers in order of materialisation. */
  readonly numbers: number[] = [];
  readonly #directories: Chunk[][];

  constructor(ramBytes: number) {
    const directories = Math.ceil(ramBytes / (CHUNK_BYTES * DIRECTORY_PIECES));
    this.#directories = new Array<Chunk[]>(directories).fill(ABSENT_DIRECTORY);
  }

  at(cn: number): Chunk {
    return (this.#directories[cn >>> DIRECTORY_SHIFT] as Chunk[])[cn & DIRECTORY_MASK] as Chunk;
  }

  add(cn: number, words: Int32Array): Chunk {
    let directory = this.#directories[cn >>> DIRECTORY_SHIFT] as Chunk[];
    if (directory === ABSENT_DIRECTORY) {
      directory = ABSENT_DIRECTORY.slice();
      this.#directories[cn >>> DIRECTORY_SHIFT] = directory;
    }
    const chunk = new Chunk(words);
    directory[cn & DIRECTORY_MASK] = chunk;
    this.numbers.push(cn);
    return chunk;
  }

  /** Its words, all zero again. The last that came goes first. */
  remove(cn: number): Int32Array {
    assert(this.numbers.at(-1) === cn, 'chunks are dropped in reverse order');
    this.numbers.pop();
    const { words, dirty } = this.at(cn);
    for (let page = 0; page < CHUNK_PAGES; page++) {
      if ((dirty & (1 << page)) !== 0) words.fill(0, page * PAGE_WORDS, (page + 1) * PAGE_WORDS);
    }
    (this.#directories[cn >>> DIRECTORY_SHIFT] as Chunk[])[cn & DIRECTORY_MASK] = ABSENT;
    return words;
  }

  /** Whether nothing of these pages has materialised. */
  isAbsent(first: number, pages: number): boolean {
    const last = Math.floor((first + pages - 1) / CHUNK_PAGES);
    for (let cn = Math.floor(first / CHUNK_PAGES); cn <= last; cn++) if (this.at(cn) !== ABSENT) return false;
    return true;
  }

  /** Dirty pages, ascending. */
  *dirtyPages(): Generator<Pfn, void, void> {
    for (const cn of [...this.numbers].sort((x, y) => x - y)) {
      const { dirty } = this.at(cn);
      for (let page = 0; page < CHUNK_PAGES; page++) {
        if ((dirty & (1 << page)) !== 0) yield (cn * CHUNK_PAGES + page) as Pfn;
      }
    }
  }

  dispose(): void {
    this.#directories.length = 0;
  }
}
