/*
 * The page allocator of one kernel: blocks of 2^0 to 2^10 pages from the zones of its memory nodes (zone.ts). Linux
 * 6.19 to 7.3; one zone a node.
 *
 *   reserved --freeRange--> free --alloc--> allocated --free, put--> free
 *       \________________adopt_________________/\
 *                                                split: 2^n allocated pages, each with a reference
 *
 * Memory is reserved until boot hands it over; what boot keeps (preserved memory of the previous kernel) can be
 * adopted later, block by block, and freed like any other.
 *
 * Freeing what is not allocated, or not as the order says, is a finding about the modelled kernel: it is reported
 * and nothing changes, where the real allocator would corrupt its lists.
 */
import { assert } from '../base/assert.ts';
import { MAX_PAGE_ORDER, NODES_MAX, PAGEBLOCK_ORDER } from '../base/limits.ts';
import { type Order, type Pfn, pagesOf, wide } from '../base/units.ts';
import type { Storage } from './column.ts';
import {
  allocatedState,
  BLOCK_ORDER_MAX,
  type FrameTable,
  NO_FRAME,
  type Owner,
  rowOf,
  stateIsAllocated,
  stateNode,
  stateOrder,
  stateType,
} from './frames.ts';
import type { FreeRun } from './freelist.ts';
import type { NodeSpan } from './machine.ts';
import { type MigrateType, PageblockTypes, UNMOVABLE } from './pageblock.ts';
import { MAX_BLOCK_PAGES } from './spans.ts';
import { type RequestType, Zone } from './zone.ts';

/** What is wrong with freeing a block. */
export type BadFree =
  /** The frame is free already. */
  | 'double free'
  /** The frame is reserved: never handed over, or preserved and not restored. */
  | 'reserved'
  /** The frame lies inside an allocated block. */
  | 'not the head'
  /** The block has another order. */
  | 'wrong order'
  /** The block has no reference that could be dropped. */
  | 'no reference';

/** What a frame is to the allocator. */
export type FrameUse = 'free' | 'allocated' | 'reserved';

/** Free blocks of a node that follow one another in memory and in their list. */
export interface NodeFreeRun extends FreeRun {
  readonly node: number;
}

export class Buddy {
  readonly frames: FrameTable;
  /** Pages that were ever handed over and not taken back: free or allocated. @kernel totalram_pages */
  managed = wide(0);
  /** Told of every bad free; nothing was changed. */
  onBadFree: ((what: BadFree, pfn: Pfn) => void) | undefined;
  readonly #types: PageblockTypes;
  readonly #zones: readonly Zone[];

  /** `nodes` are ascending and disjoint; a boundary may lie at any page. */
  constructor(storage: Storage, frames: FrameTable, nodes: readonly NodeSpan[]) {
    assert(nodes.length >= 1 && nodes.length <= NODES_MAX, 'a machine has 1 to NODES_MAX nodes');
    for (let i = 1; i < nodes.length; i++) {
      assert(
        (nodes[i - 1] as NodeSpan).end <= (nodes[i] as NodeSpan).start,
        'nodes are ascending and disjoint',
      );
    }
    this.frames = frames;
    this.#types = new PageblockTypes(storage, frames.nr);
    this.#zones = nodes.map((span, node) => new Zone(storage, frames, this.#types, node, span));
    storage.journal.enlist(this);
  }

  /** Free pages of all nodes and types. @kernel nr_free_pages */
  get nrFree(): number {
    let pages = 0;
    for (const zone of this.#zones) pages += zone.nrFree;
    return pages;
  }

  get nrNodes(): number {
    return this.#zones.length;
  }

  /** Node a frame belongs to, -1 if to none. @kernel pfn_to_nid */
  nodeOf(pfn: Pfn): number {
    for (const zone of this.#zones) {
      if (pfn < zone.end) return pfn >= zone.start ? zone.node : -1;
    }
    return -1;
  }

  /** Migrate type of the pageblock a frame lies in. @kernel get_pageblock_migratetype */
  typeOf(pfn: Pfn): MigrateType {
    return this.#types.get(pfn);
  }

  /** Free pages of a type on a node. */
  freePages(node: number, type: MigrateType): number {
    return this.#zone(node).lists.pages(type);
  }

  /** Free blocks of one list. */
  freeBlocks(node: number, type: MigrateType, order: Order): number {
    return this.#zone(node).lists.blocks(type, order);
  }

  /** Order of the largest free block of a type on any node, -1 if there is none. */
  largestFree(type: MigrateType): Order {
    for (let order = MAX_PAGE_ORDER; order >= 0; order--) {
      for (const zone of this.#zones) {
        if (zone.lists.blocks(type, order) !== 0) return order as Order;
      }
    }
    return -1 as Order;
  }

  /** Makes every pageblock that overlaps [start, end) a type, before its memory is handed over. */
  setPageblocks(start: Pfn, end: Pfn, type: MigrateType): void {
    assert(start < end && end <= this.frames.nr, 'pageblocks lie in memory');
    assert(!this.isFree(start) && !this.isFree((end - 1) as Pfn), 'a free block knows its type');
    this.#types.fill(start, end, type);
  }

  /**
   * Hands reserved memory over, in ascending order for lists as the kernel has them. Costs nothing per page: only
   * blocks at the ends of the range, of nodes and of migrate types are touched.
   * @kernel memblock_free_all @simplified range by range: the caller goes over what is not reserved
   */
  freeRange(start: Pfn, end: Pfn): void {
    assert(start <= end && end <= this.frames.nr, 'a range lies in memory');
    if (start === end) return;
    assert(!this.isFree(start) && !this.isFree((end - 1) as Pfn), 'memory is handed over once');
    let at = start;
    while (at < end) {
      const node = this.nodeOf(at);
      assert(node >= 0, 'handed over memory belongs to a node');
      const zone = this.#zone(node);
      const stop = Math.min(end, zone.end) as Pfn;
      this.#freeInZone(zone, at, stop);
      at = stop;
    }
    this.managed += end - start;
  }

  /**
   * Allocates a block with one reference: on the given node, else on the next ones, around. Its contents are
   * whatever was there. NO_FRAME if no block is left.
   * @kernel alloc_pages_node @simplified one zone a node, the other nodes in turn and not by distance; no per-CPU
   * lists, watermarks, reclaim or compaction: it fails when no block is left
   */
  alloc(order: Order, type: RequestType, node: number, owner: Owner): Pfn {
    assert(order >= 0 && order <= MAX_PAGE_ORDER, 'order is at most MAX_PAGE_ORDER');
    let zone = this.#zone(node);
    let pfn = zone.take(order, type);
    for (let i = 1; pfn === NO_FRAME && i < this.#zones.length; i++) {
      zone = this.#zone((node + i) % this.#zones.length);
      pfn = zone.take(order, type);
    }
    if (pfn === NO_FRAME) return NO_FRAME;
    this.frames.makeAllocated(this.frames.open(pfn), pfn, allocatedState(order, type, zone.node, owner));
    return pfn;
  }

  /**
   * Frees an allocated block of the given order, whatever its references.
   * @returns false where that was reported as a bad free.
   * @kernel free_frozen_pages @simplified no per-CPU lists; a bad free is reported and changes nothing
   */
  free(pfn: Pfn, order: Order): boolean {
    const rows = this.frames.rows(pfn);
    const state = rows[rowOf(pfn)] as number;
    if (!stateIsAllocated(state)) return this.#reportBadFree(pfn);
    if (stateOrder(state) !== order) return this.#bad('wrong order', pfn);
    this.#release(rows, pfn, state);
    return true;
  }

  /**
   * Drops a reference to an allocated block; the last one frees it.
   * @returns the references left, -1 where that was reported as a bad free.
   * @kernel folio_put @simplified a bad free is reported and changes nothing
   */
  put(pfn: Pfn): number {
    const rows = this.frames.rows(pfn);
    const state = rows[rowOf(pfn)] as number;
    if (!stateIsAllocated(state)) {
      this.#reportBadFree(pfn);
      return -1;
    }
    const left = this.frames.refcount(pfn) - 1;
    if (left < 0) {
      this.#bad('no reference', pfn);
      return -1;
    }
    if (left === 0) this.#release(rows, pfn, state);
    else this.frames.setRefcount(pfn, left);
    return left;
  }

  /** Makes the pages of an allocated block blocks of their own, each with a reference. @kernel split_page, kho_init_pages */
  split(pfn: Pfn, order: Order): void {
    const state = this.frames.state(pfn);
    assert(stateIsAllocated(state) && stateOrder(state) === order, 'only an allocated block is split');
    const owner = this.frames.ownerOf(pfn);
    const end = pfn + pagesOf(order);
    for (let page = pfn; page < end; page = (page + 1) as Pfn) {
      this.frames.makeAllocated(
        this.frames.open(page),
        page,
        allocatedState(0, stateType(state), this.nodeOf(page), owner),
      );
    }
  }

  /**
   * Makes a reserved block an allocated one with one reference, as restoring preserved memory does; a stamp is
   * cleared. The block may be larger than the allocator's largest.
   * @returns false, and changes nothing, where a page of it is free or allocated.
   * @kernel kho_init_folio @simplified a page that is in use is left alone, not initialised under its user
   */
  adopt(pfn: Pfn, order: Order, owner: Owner): boolean {
    assert(order <= BLOCK_ORDER_MAX && pfn % pagesOf(order) === 0, 'a block is aligned');
    assert(pfn + pagesOf(order) <= this.frames.nr, 'a block lies in memory');
    const node = this.nodeOf(pfn);
    assert(node >= 0, 'adopted memory belongs to a node');
    if (!this.#isReserved(pfn, order)) return false;
    this.frames.makeAllocated(this.frames.open(pfn), pfn, allocatedState(order, UNMOVABLE, node, owner));
    this.managed += pagesOf(order);
    return true;
  }

  /** Whether a frame lies in a free block. */
  isFree(pfn: Pfn): boolean {
    return this.useOf(pfn) === 'free';
  }

  /** What a frame is: free, allocated, or neither. */
  useOf(pfn: Pfn): FrameUse {
    const head = this.blockOf(pfn);
    if (head === NO_FRAME) return 'reserved';
    return this.frames.isAllocatedHead(head) ? 'allocated' : 'free';
  }

  /** Head of the free or allocated block a frame lies in, NO_FRAME if it is reserved. */
  blockOf(pfn: Pfn): Pfn {
    const head = this.frames.blockOf(pfn);
    if (head !== NO_FRAME) return head;
    const node = this.nodeOf(pfn);
    if (node < 0 || !this.#zone(node).lists.overlapsSpan(pfn, (pfn + 1) as Pfn)) return NO_FRAME;
    return (pfn - (pfn % MAX_BLOCK_PAGES)) as Pfn;
  }

  /** Everything that is free: nodes, types and orders ascending, each list from its head. */
  *freeRuns(): Generator<NodeFreeRun, void, void> {
    for (const zone of this.#zones) {
      for (const run of zone.lists.runs()) yield { node: zone.node, ...run };
    }
  }

  capture(): unknown {
    return this.managed;
  }

  reinstate(state: unknown): void {
    this.managed = state as number;
  }

  #zone(node: number): Zone {
    const zone = this.#zones[node];
    assert(zone !== undefined, 'no such node');
    return zone;
  }

  #freeInZone(zone: Zone, start: Pfn, end: Pfn): void {
    let at: Pfn = start;
    while (at < end) {
      const type = this.#types.get(at);
      if (at % MAX_BLOCK_PAGES === 0) {
        const stop = this.#types.runEnd(at, end);
        const whole = (stop - (stop % MAX_BLOCK_PAGES)) as Pfn;
        if (whole > at) {
          zone.lists.addSpan(at, whole, type);
          zone.lists.account(type, whole - at);
          at = whole;
          continue;
        }
      }
      let order = PAGEBLOCK_ORDER;
      while (at % (1 << order) !== 0 || at + (1 << order) > end) order--;
      zone.give(this.frames.open(at), at, order, type, true);
      at = (at + (1 << order)) as Pfn;
    }
  }

  /** Whether no page of an aligned block is free or allocated. */
  #isReserved(pfn: Pfn, order: Order): boolean {
    if (this.frames.blockOf(pfn) !== NO_FRAME || !this.frames.isPlain(pfn, order)) return false;
    const end = pfn + pagesOf(order);
    for (const { lists } of this.#zones) {
      if (lists.overlapsSpan(pfn, end as Pfn)) return false;
    }
    return true;
  }

  /**
   * Gives a block back by pageblocks, and by pages where it lies on two nodes.
   * @kernel split_large_buddy @simplified a block on two nodes is told from others, and each page goes to its node
   */
  #release(rows: Int32Array, pfn: Pfn, state: number): void {
    const { frames } = this;
    const order = stateOrder(state);
    const zone = this.#zone(stateNode(state));
    const end = pfn + (1 << order);
    frames.makePlain(rows, pfn);
    if (order <= PAGEBLOCK_ORDER && end <= zone.end) {
      zone.give(rows, pfn, order, this.#types.get(pfn), false);
      return;
    }
    const step = end <= zone.end ? PAGEBLOCK_ORDER : 0;
    for (let at = pfn; at < end; at = (at + (1 << step)) as Pfn) {
      this.#zone(this.nodeOf(at)).give(frames.open(at), at, step, this.#types.get(at), false);
    }
  }

  #reportBadFree(pfn: Pfn): false {
    const use = this.useOf(pfn);
    return this.#bad(use === 'free' ? 'double free' : use === 'reserved' ? 'reserved' : 'not the head', pfn);
  }

  #bad(what: BadFree, pfn: Pfn): false {
    this.onBadFree?.(what, pfn);
    return false;
  }
}
