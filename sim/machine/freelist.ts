/*
 * The free lists of one node: a list per migrate type and order (struct free_area, Linux 6.19 to 7.3), chained
 * through the frame table.
 *
 *   list of order 0..9   head -> blocks, most recently freed first -> blocks put at the tail
 *   list of order 10     head -> blocks, most recently freed first -> spans of untouched blocks, ascending (spans.ts)
 *
 * What boot hands over goes to the tail, in ascending order, so for the largest order the tail can be spans.
 * Memory handed over out of order is sorted in, where the kernel would leave it at the very end.
 */
import { assert } from '../base/assert.ts';
import { MAX_PAGE_ORDER } from '../base/limits.ts';
import type { Pfn } from '../base/units.ts';
import type { Storage } from './column.ts';
import {
  type FrameTable,
  freeState,
  NEXT,
  NO_FRAME,
  PREVIOUS,
  rowOf,
  stateOrder,
  stateType,
} from './frames.ts';
import type { Stateful } from './journal.ts';
import { MIGRATE_TYPES, type MigrateType } from './pageblock.ts';
import { FreeSpans, MAX_BLOCK_PAGES } from './spans.ts';

/** Orders 0..MAX_PAGE_ORDER: NR_PAGE_ORDERS. */
export const NR_ORDERS = MAX_PAGE_ORDER + 1;

/** Free blocks that follow one another in memory and in their list. */
export interface FreeRun {
  readonly type: MigrateType;
  readonly order: number;
  readonly start: Pfn;
  readonly blocks: number;
}

interface Captured {
  readonly lists: Int32Array;
  readonly pages: Int32Array;
}

/** Where the words of a list begin. */
const listOf = (type: number, order: number): number => (type * NR_ORDERS + order) * 4;

// Words of a list: links to the first and the last block that is not in a span, number of all its blocks.
const FIRST = 0;
const LAST = 1;
const BLOCKS = 2;

export class FreeLists implements Stateful {
  readonly #node: number;
  readonly #frames: FrameTable;
  readonly #spans: FreeSpans;
  readonly #lists = new Int32Array(listOf(MIGRATE_TYPES, 0));
  /** Per type: free pages. */
  readonly #pages = new Int32Array(MIGRATE_TYPES);

  constructor(storage: Storage, frames: FrameTable, node: number) {
    this.#node = node;
    this.#frames = frames;
    this.#spans = new FreeSpans(storage);
    storage.journal.enlist(this);
  }

  /** Free pages of a type. */
  pages(type: number): number {
    return this.#pages[type] as number;
  }

  /** Counts pages that become free (or, if negative, no longer are): the lists do not. @kernel account_freepages */
  account(type: number, pages: number): void {
    this.#pages[type] = (this.#pages[type] as number) + pages;
  }

  /** Free blocks of a list. */
  blocks(type: number, order: number): number {
    return this.#lists[listOf(type, order) + BLOCKS] as number;
  }

  /** First block of a list that is not empty, which stays; below the largest order. @kernel get_page_from_free_area */
  first(type: number, order: number): Pfn {
    assert(
      order < MAX_PAGE_ORDER && this.blocks(type, order) > 0,
      'the first of the largest may lie in a span',
    );
    return ((this.#lists[listOf(type, order) + FIRST] as number) - 1) as Pfn;
  }

  /** Puts a block in front; `rows` are those around it, opened. @kernel __add_to_free_list */
  addHead(rows: Int32Array, pfn: Pfn, order: number, type: number): void {
    const lists = this.#lists;
    const list = listOf(type, order);
    const next = lists[list + FIRST] as number;
    this.#frames.makeFree(rows, pfn, freeState(order, type, this.#node), 0, next);
    if (next !== 0) this.#frames.setPrevious((next - 1) as Pfn, pfn + 1);
    else lists[list + LAST] = pfn + 1;
    lists[list + FIRST] = pfn + 1;
    lists[list + BLOCKS] = (lists[list + BLOCKS] as number) + 1;
  }

  /** As addHead, at the other end. @kernel __add_to_free_list @simplified largest blocks stay sorted by address there */
  addTail(rows: Int32Array, pfn: Pfn, order: number, type: number): void {
    if (order === MAX_PAGE_ORDER) {
      this.addSpan(pfn, (pfn + MAX_BLOCK_PAGES) as Pfn, type);
      return;
    }
    const lists = this.#lists;
    const list = listOf(type, order);
    const previous = lists[list + LAST] as number;
    this.#frames.makeFree(rows, pfn, freeState(order, type, this.#node), previous, 0);
    if (previous !== 0) this.#frames.setNext((previous - 1) as Pfn, pfn + 1);
    else lists[list + FIRST] = pfn + 1;
    lists[list + LAST] = pfn + 1;
    lists[list + BLOCKS] = (lists[list + BLOCKS] as number) + 1;
  }

  /** Adds untouched largest blocks at the tail. */
  addSpan(start: Pfn, end: Pfn, type: number): void {
    const lists = this.#lists;
    const list = listOf(type, MAX_PAGE_ORDER);
    this.#spans.add(type, start, end);
    lists[list + BLOCKS] = (lists[list + BLOCKS] as number) + (end - start) / MAX_BLOCK_PAGES;
  }

  /** Takes a block off its list; it becomes an ordinary frame. @kernel __del_page_from_free_list */
  remove(rows: Int32Array, pfn: Pfn): void {
    const at = rowOf(pfn);
    const state = rows[at] as number;
    const lists = this.#lists;
    const list = listOf(stateType(state), stateOrder(state));
    const previous = rows[at + PREVIOUS] as number;
    const next = rows[at + NEXT] as number;
    this.#frames.makePlain(rows, pfn);
    if (previous !== 0) this.#frames.setNext((previous - 1) as Pfn, next);
    else lists[list + FIRST] = next;
    if (next !== 0) this.#frames.setPrevious((next - 1) as Pfn, previous);
    else lists[list + LAST] = previous;
    lists[list + BLOCKS] = (lists[list + BLOCKS] as number) - 1;
  }

  /** Takes the first block of a list, NO_FRAME if it is empty. */
  takeFirst(type: number, order: number): Pfn {
    const lists = this.#lists;
    const list = listOf(type, order);
    if (lists[list + BLOCKS] === 0) return NO_FRAME;
    const head = lists[list + FIRST] as number;
    if (head === 0) {
      lists[list + BLOCKS] = (lists[list + BLOCKS] as number) - 1;
      return this.#spans.takeFirst(type);
    }
    const pfn = (head - 1) as Pfn;
    this.remove(this.#frames.open(pfn), pfn);
    return pfn;
  }

  /** Whether a frame of [start, end) lies in untouched free memory. */
  overlapsSpan(start: Pfn, end: Pfn): boolean {
    for (let type = 0; type < MIGRATE_TYPES; type++) {
      if (this.#spans.overlaps(type, start, end)) return true;
    }
    return false;
  }

  /** Everything that is free: types and orders ascending, each list in its order. */
  *runs(): Generator<FreeRun, void, void> {
    for (let type = 0; type < MIGRATE_TYPES; type++) {
      for (let order = 0; order < NR_ORDERS; order++) yield* this.#listRuns(type as MigrateType, order);
    }
  }

  capture(): unknown {
    const captured: Captured = {
      lists: this.#lists.slice(),
      pages: this.#pages.slice(),
    };
    return captured;
  }

  reinstate(state: unknown): void {
    const captured = state as Captured;
    this.#lists.set(captured.lists);
    this.#pages.set(captured.pages);
  }

  *#listRuns(type: MigrateType, order: number): Generator<FreeRun, void, void> {
    let link = this.#lists[listOf(type, order) + FIRST] as number;
    while (link !== 0) {
      const start = (link - 1) as Pfn;
      yield { type, order, start, blocks: 1 };
      link = this.#frames.rows(start)[rowOf(start) + NEXT] as number;
    }
    if (order !== MAX_PAGE_ORDER) return;
    for (const { start, end } of this.#spans.of(type)) {
      yield { type, order, start, blocks: (end - start) / MAX_BLOCK_PAGES };
    }
  }
}
