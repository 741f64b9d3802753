/*
 * A zone: the buddy system of one memory node, blocks of 2^0 to 2^10 pages. Linux 6.16 to 7.3 (mm/page_alloc.c); the
 * paths differ in nothing modelled here between the revisions of luosim.
 *
 *   take     smallest of the wanted type       __rmqueue_smallest
 *            MOVABLE: from CMA                 __rmqueue_cma_fallback (first, if over half of what is free is CMA)
 *            claim blocks of another type      __rmqueue_claim: largest first, converts whole pageblocks
 *            steal one block                   __rmqueue_steal: smallest first, the rest keeps its type
 *   give     merge with the buddy while it is free, then to the head of a list; to the tail if the next merge is
 *            near, or at boot                  __free_one_page
 *
 * UNMOVABLE and MOVABLE fall back to one another; nothing but MOVABLE enters CMA, and CMA memory merges with no other.
 *
 * Left out: the per-CPU lists in front of the buddy system (a freed page is the next one of its type, order and
 * CPU), watermarks, reclaim and compaction: an allocation fails when no block is left.
 */
import { assert } from '../base/assert.ts';
import { MAX_PAGE_ORDER, PAGEBLOCK_ORDER } from '../base/limits.ts';
import type { Pfn } from '../base/units.ts';
import type { Storage } from './column.ts';
import {
  type FrameTable,
  freeState,
  NO_FRAME,
  rowOf,
  stateIsAllocated,
  stateIsFree,
  stateOrder,
  statesMerge,
  stateType,
  withOrder,
} from './frames.ts';
import { FreeLists } from './freelist.ts';
import type { NodeSpan } from './machine.ts';
import {
  CMA,
  isMergeable,
  type MigrateType,
  MOVABLE,
  PAGEBLOCK_PAGES,
  type PageblockTypes,
  UNMOVABLE,
} from './pageblock.ts';

/** What a request can ask for: CMA is a place, not a wish. */
export type RequestType = typeof MOVABLE | typeof UNMOVABLE;

export class Zone {
  readonly node: number;
  readonly start: Pfn;
  readonly end: Pfn;
  readonly lists: FreeLists;
  readonly #frames: FrameTable;
  readonly #types: PageblockTypes;

  constructor(storage: Storage, frames: FrameTable, types: PageblockTypes, node: number, span: NodeSpan) {
    assert(span.start < span.end && span.end <= frames.nr, 'a node has memory');
    this.node = node;
    this.start = span.start;
    this.end = span.end;
    this.#frames = frames;
    this.#types = types;
    this.lists = new FreeLists(storage, frames, node);
  }

  /** Free pages, of every type: NR_FREE_PAGES. */
  get nrFree(): number {
    const lists = this.lists;
    return lists.pages(MOVABLE) + lists.pages(UNMOVABLE) + lists.pages(CMA);
  }

  spans(start: number, end: number): boolean {
    return start >= this.start && end <= this.end;
  }

  /**
   * Takes a block of an order, NO_FRAME if none is left.
   * @kernel __rmqueue @simplified three migrate types; every allocation may fragment, whatever its flags
   * @kernel __rmqueue_cma_fallback, __rmqueue_steal
   */
  take(order: number, type: RequestType): Pfn {
    const lists = this.lists;
    if (type === MOVABLE && lists.pages(CMA) > this.nrFree >>> 1) {
      const pfn = this.#takeSmallest(order, CMA);
      if (pfn !== NO_FRAME) return pfn;
    }
    let pfn = this.#takeSmallest(order, type);
    if (pfn !== NO_FRAME) return pfn;
    if (type === MOVABLE) {
      pfn = this.#takeSmallest(order, CMA);
      if (pfn !== NO_FRAME) return pfn;
    }
    const other = type === MOVABLE ? UNMOVABLE : MOVABLE;
    if (lists.pages(other) === 0) return NO_FRAME;
    pfn = this.#claim(order, type, other);
    return pfn !== NO_FRAME ? pfn : this.#takeSmallest(order, other);
  }

  /**
   * Puts a block back, merged with its free buddies. It is at most a pageblock, `type` is that of its pageblock, its
   * head is an ordinary frame, and `rows` are those around it, opened. @kernel __free_one_page
   */
  give(rows: Int32Array, start: Pfn, startOrder: number, type: MigrateType, tail: boolean): void {
    assert(startOrder <= PAGEBLOCK_ORDER, 'larger blocks come in pageblocks');
    const lists = this.lists;
    const free = freeState(0, type, this.node);
    let pfn = start;
    let order = startOrder;
    while (order < MAX_PAGE_ORDER) {
      const buddy = (pfn ^ (1 << order)) as Pfn;
      const state = rows[rowOf(buddy)] as number;
      if (!statesMerge(state, withOrder(free, order))) break;
      if (order === PAGEBLOCK_ORDER && !this.#adjustType(buddy, stateType(state) as MigrateType, type)) break;
      lists.remove(rows, buddy);
      pfn = (pfn & ~(1 << order)) as Pfn;
      order++;
    }
    lists.account(type, 1 << startOrder);
    if (tail || mergeIsLikely(rows, pfn, order, free)) lists.addTail(rows, pfn, order, type);
    else lists.addHead(rows, pfn, order, type);
  }

  /** Makes a free pageblock, which is to be merged, the other's type; false where they do not merge. */
  #adjustType(buddy: Pfn, buddyType: MigrateType, type: MigrateType): boolean {
    if (buddyType === type) return true;
    if (!isMergeable(type) || !isMergeable(buddyType)) return false;
    this.#types.set(buddy, type);
    this.#accountMove(buddyType, type, PAGEBLOCK_PAGES);
    return true;
  }

  #accountMove(from: MigrateType, to: MigrateType, pages: number): void {
    this.lists.account(from, -pages);
    this.lists.account(to, pages);
  }

  /** @kernel __rmqueue_smallest */
  #takeSmallest(order: number, type: MigrateType): Pfn {
    for (let current = order; current <= MAX_PAGE_ORDER; current++) {
      const pfn = this.lists.takeFirst(type, current);
      if (pfn === NO_FRAME) continue;
      this.#expand(pfn, order, current, type);
      return pfn;
    }
    return NO_FRAME;
  }

  /** Takes the lowest 2^low pages of a block of order `high`; the upper halves go back. @kernel page_del_and_expand */
  #expand(pfn: Pfn, low: number, high: number, type: MigrateType): void {
    this.lists.account(type, -(1 << low));
    if (low === high) return;
    const rows = this.#frames.open(pfn);
    for (let order = high - 1; order >= low; order--) {
      this.lists.addHead(rows, (pfn + (1 << order)) as Pfn, order, type);
    }
  }

  /**
   * Takes a block of another type and makes its pageblock, or pageblocks, the wanted type.
   * @kernel __rmqueue_claim @simplified three migrate types, of which two fall back to one another
   * @kernel should_try_claim_block
   */
  #claim(order: number, type: RequestType, other: RequestType): Pfn {
    for (let current = MAX_PAGE_ORDER; current >= order; current--) {
      // A small movable page in an unmovable pageblock does no lasting harm.
      if (type === MOVABLE && current < PAGEBLOCK_ORDER >>> 1) return NO_FRAME;
      if (this.lists.blocks(other, current) === 0) continue;
      if (current >= PAGEBLOCK_ORDER) {
        const pfn = this.lists.takeFirst(other, current);
        this.#types.fill(pfn, (pfn + (1 << current)) as Pfn, type);
        this.#accountMove(other, type, 1 << current);
        this.#expand(pfn, order, current, type);
        return pfn;
      }
      if (this.#claimPageblock(this.lists.first(other, current), type, other))
        return this.#takeSmallest(order, type);
    }
    return NO_FRAME;
  }

  /**
   * Converts the pageblock around a free block, if enough of it is free or in use as the wanted type would be.
   * @kernel try_to_claim_block @simplified a page is movable if it was asked for as such, whatever list it is on
   */
  #claimPageblock(block: Pfn, type: RequestType, other: RequestType): boolean {
    const start = (block - (block % PAGEBLOCK_PAGES)) as Pfn;
    if (!this.spans(start, start + PAGEBLOCK_PAGES)) return false;
    let free = 0;
    let movable = 0;
    for (let pfn = start; pfn < start + PAGEBLOCK_PAGES; ) {
      const state = this.#frames.state(pfn);
      const pages = state === 0 ? 1 : 1 << stateOrder(state);
      if (stateIsFree(state)) free += pages;
      else if (stateIsAllocated(state) && stateType(state) === MOVABLE) movable += pages;
      pfn = (pfn + pages) as Pfn;
    }
    const alike = type === MOVABLE ? movable : PAGEBLOCK_PAGES - free - movable;
    if (free + alike < PAGEBLOCK_PAGES / 2) return false;
    this.#moveFree(start, type);
    this.#accountMove(other, type, free);
    this.#types.set(start, type);
    return true;
  }

  /** Moves the free blocks of a pageblock to the lists of another type. @kernel __move_freepages_block */
  #moveFree(start: Pfn, type: RequestType): void {
    const rows = this.#frames.open(start);
    for (let pfn = start; pfn < start + PAGEBLOCK_PAGES; ) {
      const state = rows[rowOf(pfn)] as number;
      const order = stateIsFree(state) ? stateOrder(state) : 0;
      if (stateIsFree(state)) {
        this.lists.remove(rows, pfn);
        this.lists.addTail(rows, pfn, order, type);
      }
      pfn = (pfn + (1 << order)) as Pfn;
    }
  }
}

/** Whether the block's buddy would, once free, give a block whose own buddy is free. @kernel buddy_merge_likely */
function mergeIsLikely(rows: Int32Array, pfn: Pfn, order: number, free: number): boolean {
  if (order >= MAX_PAGE_ORDER - 1) return false;
  const higherBuddy = (pfn & ~(1 << order)) ^ (1 << (order + 1));
  return statesMerge(rows[rowOf(higherBuddy)] as number, withOrder(free, order + 1));
}
