/*
 * Migrate types, kept per pageblock (2 MiB), as in Linux 6.19 to 7.3 without RECLAIMABLE, HIGHATOMIC and ISOLATE,
 * which nothing in a live update allocates from.
 *
 *   types     31 30 .. 3 2 1 0   16 pageblocks of 2 bits a word: 32 MiB; a terabyte is 128 KiB
 *   touched   a word per region of 2 GiB: whether anything in it was ever set
 *
 * 0 is MOVABLE: memory is movable until someone says otherwise, so untouched memory needs no entry, and a reader that
 * walks a range passes over an untouched region at a step.
 */
import { PAGEBLOCK_ORDER } from '../base/limits.ts';
import type { Pfn } from '../base/units.ts';
import { Column, type Storage } from './column.ts';

/** User memory: may be moved, so it may stand in a CMA area. */
export const MOVABLE = 0;
/** Kernel memory. */
export const UNMOVABLE = 1;
/** Areas that nothing unmovable may enter: kho's scratch. */
export const CMA = 2;

export type MigrateType = typeof MOVABLE | typeof UNMOVABLE | typeof CMA;
export const MIGRATE_TYPES = 3;

/** Types that fall back to one another, and whose free blocks merge. @kernel migratetype_is_mergeable */
export const isMergeable = (type: number): boolean => type !== CMA;

export const PAGEBLOCK_PAGES = 2 ** PAGEBLOCK_ORDER;

const BLOCKS_A_WORD = 16;
const WORD_SHIFT = PAGEBLOCK_ORDER + 4;
const WORD_PAGES = PAGEBLOCK_PAGES * BLOCKS_A_WORD;
const REGION_SHIFT = WORD_SHIFT + 6;
const REGION_PAGES = 2 ** REGION_SHIFT;
/** A word whose 16 pageblocks all have the type. */
const UNIFORM = [0, 0x55555555, 0xaaaaaaaa | 0] as const;

const shiftOf = (pfn: number): number => ((pfn >>> PAGEBLOCK_ORDER) & (BLOCKS_A_WORD - 1)) * 2;

export class PageblockTypes {
  readonly #words: Column;
  readonly #touched: Column;

  constructor(storage: Storage, frames: number) {
    this.#words = new Column(storage, 'pageblock types', Math.ceil(frames / WORD_PAGES));
    this.#touched = new Column(storage, 'touched pageblocks', Math.ceil(frames / REGION_PAGES));
  }

  /** Type of the pageblock a frame lies in. @kernel get_pageblock_migratetype */
  get(pfn: Pfn): MigrateType {
    return ((this.#words.get(pfn >>> WORD_SHIFT) >>> shiftOf(pfn)) & 3) as MigrateType;
  }

  /** @kernel set_pageblock_migratetype */
  set(pfn: Pfn, type: MigrateType): void {
    const shift = shiftOf(pfn);
    const old = this.#words.get(pfn >>> WORD_SHIFT);
    this.#setWord(pfn, old, (old & ~(3 << shift)) | (type << shift));
  }

  /** Sets every pageblock that overlaps [start, end). */
  fill(start: Pfn, end: Pfn, type: MigrateType): void {
    let pfn = start - (start % PAGEBLOCK_PAGES);
    while (pfn < end) {
      if (pfn % WORD_PAGES === 0 && pfn + WORD_PAGES <= end) {
        this.#setWord(pfn, this.#words.get(pfn >>> WORD_SHIFT), UNIFORM[type]);
        pfn += WORD_PAGES;
      } else {
        this.set(pfn as Pfn, type);
        pfn += PAGEBLOCK_PAGES;
      }
    }
  }

  /** End of the run of pageblocks from `start` on that have its type: at most `end`. */
  runEnd(start: Pfn, end: Pfn): Pfn {
    const type = this.get(start);
    let pfn = start - (start % PAGEBLOCK_PAGES);
    while (pfn < end) {
      if (pfn % REGION_PAGES === 0 && this.#touched.get(pfn >>> REGION_SHIFT) === 0) {
        if (type !== MOVABLE) break;
        pfn += REGION_PAGES;
      } else if (pfn % WORD_PAGES === 0 && this.#words.get(pfn >>> WORD_SHIFT) === UNIFORM[type]) {
        pfn += WORD_PAGES;
      } else {
        if (this.get(pfn as Pfn) !== type) break;
        pfn += PAGEBLOCK_PAGES;
      }
    }
    return Math.min(pfn, end) as Pfn;
  }

  #setWord(pfn: number, old: number, word: number): void {
    if (word === old) return;
    this.#words.set(pfn >>> WORD_SHIFT, word);
    if (this.#touched.get(pfn >>> REGION_SHIFT) === 0) this.#touched.set(pfn >>> REGION_SHIFT, 1);
  }
}
