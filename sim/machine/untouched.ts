/*
 * What memory reads as that has not materialised: a stamp where there is one, else garbage or the backdrop, else zero.
 */
import { PAGE_SIZE } from '../base/limits.ts';
import { CHUNK_PAGES } from './chunks.ts';
import type { Storage } from './column.ts';
import { type Backdrop, GarbageMap, type GarbageRegion } from './garbage.ts';
import type { Stateful } from './journal.ts';
import { Stamps } from './stamps.ts';

const PAGE_WORDS = PAGE_SIZE / 4;

export class Untouched implements Stateful {
  readonly stamps: Stamps;
  garbage = new GarbageMap([]);

  constructor(storage: Storage) {
    this.stamps = new Stamps(storage);
    storage.journal.enlist(this);
  }

  /** Whether all of it reads as zero. */
  get blank(): boolean {
    return this.garbage.blank && this.stamps.count === 0;
  }

  wordAt(address: number): number {
    return this.stamps.wordAt(address) ?? this.garbage.wordAt(address);
  }

  /** Copies `n` words from an aligned address; whole pages at once. */
  loadWords(address: number, target: Int32Array, at: number, n: number): void {
    for (let done = 0; done < n; ) {
      const from = address + done * 4;
      if (from % PAGE_SIZE === 0 && n - done >= PAGE_WORDS) {
        target.fill(0, at + done, at + done + PAGE_WORDS);
        this.#fillPage(target, at + done, from);
        done += PAGE_WORDS;
      } else {
        target[at + done++] = this.wordAt(from);
      }
    }
  }

  /** Copies the chunk at `base` into words, which are zero: bit p where page p is more than zeros. */
  fillChunk(words: Int32Array, base: number): number {
    if (this.blank) return 0;
    let filled = 0;
    for (let page = 0; page < CHUNK_PAGES; page++) {
      if (this.#fillPage(words, page * PAGE_WORDS, base + page * PAGE_SIZE)) filled |= 1 << page;
    }
    return filled;
  }

  /** Something unmodelled wrote whole pages. */
  overwrite(region: GarbageRegion): void {
    this.stamps.clearRange(region.start / PAGE_SIZE, (region.start + region.bytes) / PAGE_SIZE);
    this.garbage = this.garbage.with(region);
  }

  reset(garbage: readonly GarbageRegion[], backdrop: Backdrop | undefined): void {
    this.garbage = new GarbageMap(garbage, backdrop);
    this.stamps.reset();
  }

  /** Copies a page into words[at..], which are zero: false where it is nothing but zeros. */
  #fillPage(words: Int32Array, at: number, address: number): boolean {
    const stamped = this.stamps.count > 0 && this.stamps.fillPage(words, at, address);
    return stamped || this.garbage.fillPage(words, at, address);
  }

  capture(): unknown {
    return this.garbage;
  }

  reinstate(state: unknown): void {
    this.garbage = state as GarbageMap;
  }
}
