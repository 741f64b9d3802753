/*
 * The frame table: what one kernel knows of each page frame of the machine (struct page). Linux 6.19 to 7.3.
 *
 * Four words a frame, all zero for a frame that was never touched, so a terabyte costs what is used of it. Only the
 * head of a block carries a state; the other frames of a block are found through it.
 *
 *   word   free head           allocated head             any other frame
 *   0      kind order type     kind order type node       0
 *          node                owner
 *   1      previous in list    reference count            -
 *   2      next in list        instance                   private: low word (the order of a stamp)
 *   3      0                   0                          private: high word (the magic of a stamp)
 *
 * Links are frame numbers + 1, 0 at the end of a list.
 *
 *   state word   31 ......... 16 15 .. 12 11 .. 9 8 .. 7 6 ... 2 1 .. 0
 *                owner           unused   node    type   order   kind
 *
 * A frame that is not in a free or allocated block is reserved, or lies in memory that was handed to the allocator
 * and never touched; only the allocator (buddy.ts) can tell. The stamp is what kho puts into page->private of the
 * first page of every preserved block; becoming a free or an allocated head overwrites it, as in the kernel.
 */
import { assert } from '../base/assert.ts';
import { MAX_PAGE_ORDER, NODES_MAX } from '../base/limits.ts';
import { type Order, type Pfn, pagesOf, roundUp } from '../base/units.ts';
import { Column, type Storage } from './column.ts';
import type { Journal, Stateful } from './journal.ts';
import { PIECE_MASK, PIECE_WORDS, ZERO_PIECE } from './pool.ts';

declare const brand: unique symbol;

/** Who owns a block, for reports: an interned name. Numbers count from 0 in every kernel. */
export type Owner = number & { readonly [brand]: 'owner' };

const OWNERS_MAX = 65536;

/** No frame: the answer where there is none. */
export const NO_FRAME = -1 as Pfn;

/** KHO_PAGE_MAGIC, "KHOP": the high word of page->private of a preserved block. */
export const KHO_PAGE_MAGIC = 0x4b484f50;

const KIND_MASK = 3;
const FREE = 1;
const ALLOCATED = 2;
const ORDER_SHIFT = 2;
const TYPE_SHIFT = 7;
const NODE_SHIFT = 9;
const OWNER_SHIFT = 16;
const ORDER_MASK = 31;
const TYPE_MASK = 3;
const NODE_MASK = NODES_MAX - 1;
/** Bits of a state that say what can merge with it: everything but the migrate type. */
const MERGE_MASK = ~(TYPE_MASK << TYPE_SHIFT);
/** Largest order of a block: the whole largest machine. The allocator's blocks end at MAX_PAGE_ORDER. */
export const BLOCK_ORDER_MAX = 28;
/** Frames in a piece of the table, which is there or not as a whole. */
const PIECE_FRAMES = PIECE_WORDS / 4;

// Words of a row, by what they hold.
export const PREVIOUS = 1;
const REFCOUNT = 1;
export const NEXT = 2;
const INSTANCE = 2;
const PRIVATE_LOW = 2;
const PRIVATE_HIGH = 3;

/** The state word of a free head. */
export function freeState(order: number, type: number, node: number): number {
  return FREE | (order << ORDER_SHIFT) | (type << TYPE_SHIFT) | (node << NODE_SHIFT);
}

/** The state word of an allocated head; `type` is what was asked for, not what the pageblock is. */
export function allocatedState(order: number, type: number, node: number, owner: Owner): number {
  return (
    ALLOCATED | (order << ORDER_SHIFT) | (type << TYPE_SHIFT) | (node << NODE_SHIFT) | (owner << OWNER_SHIFT)
  );
}

export const stateIsFree = (state: number): boolean => (state & KIND_MASK) === FREE;
export const stateIsAllocated = (state: number): boolean => (state & KIND_MASK) === ALLOCATED;
export const stateOrder = (state: number): Order => ((state >>> ORDER_SHIFT) & ORDER_MASK) as Order;
export const stateType = (state: number): number => (state >>> TYPE_SHIFT) & TYPE_MASK;
export const stateNode = (state: number): number => (state >>> NODE_SHIFT) & NODE_MASK;
/** A state of order 0, with another order. */
export const withOrder = (state: number, order: number): number => state | (order << ORDER_SHIFT);
/** Whether a block merges with `state`, which is a freeState: free, of the same order, on the same node. */
export const statesMerge = (a: number, b: number): boolean => ((a ^ b) & MERGE_MASK) === 0;

/** Where the row of a frame begins in what FrameTable.rows gives: its state word. */
export const rowOf = (pfn: number): number => (pfn << 2) & PIECE_MASK;

export class FrameTable implements Stateful {
  /** Frames of the machine. */
  readonly nr: number;
  readonly #words: Column;
  readonly #journal: Journal;
  readonly #owners: string[] = [];
  readonly #ownerIds = new Map<string, Owner>();

  constructor(storage: Storage, nr: number) {
    assert(Number.isInteger(nr) && nr > 0 && nr <= 2 ** BLOCK_ORDER_MAX, 'frame numbers fit into 28 bits');
    this.nr = nr;
    // The buddy of a frame at the end may lie beyond it: room for the whole largest block.
    this.#words = new Column(storage, 'frames', roundUp(nr, 2 ** MAX_PAGE_ORDER) * 4);
    this.#journal = storage.journal;
    storage.journal.enlist(this);
  }

  /** Interns the name of an owner. */
  owner(name: string): Owner {
    const known = this.#ownerIds.get(name);
    if (known !== undefined) return known;
    const owner = this.#owners.length as Owner;
    assert(owner < OWNERS_MAX, 'an owner fits into 16 bits');
    this.#owners.push(name);
    this.#ownerIds.set(name, owner);
    return owner;
  }

  ownerName(owner: Owner): string {
    const name = this.#owners[owner];
    assert(name !== undefined, 'no such owner');
    return name;
  }

  /** Whether the frame exists. @kernel pfn_to_online_page */
  online(pfn: Pfn): boolean {
    return pfn >= 0 && pfn < this.nr;
  }

  /** State word of a frame; 0 unless it is the head of a free or an allocated block. */
  state(pfn: Pfn): number {
    return this.#words.get(pfn << 2);
  }

  isFreeHead(pfn: Pfn): boolean {
    return stateIsFree(this.state(pfn));
  }

  isAllocatedHead(pfn: Pfn): boolean {
    return stateIsAllocated(this.state(pfn));
  }

  /** Order of the block a head begins. */
  order(pfn: Pfn): Order {
    const state = this.state(pfn);
    assert(state !== 0, 'only the head of a block has an order');
    return stateOrder(state) as Order;
  }

  /** Who owns the allocated block. */
  ownerOf(pfn: Pfn): Owner {
    assert(this.isAllocatedHead(pfn), 'only an allocated block has an owner');
    return (this.state(pfn) >>> OWNER_SHIFT) as Owner;
  }

  setOwner(pfn: Pfn, owner: Owner): void {
    assert(this.isAllocatedHead(pfn), 'only an allocated block has an owner');
    const rest = this.state(pfn) & ((1 << OWNER_SHIFT) - 1);
    this.#words.set(pfn << 2, rest | (owner << OWNER_SHIFT));
  }

  /** Which of its owner's things a block is: a handle, an index, whatever the owner counts by. */
  instance(pfn: Pfn): number {
    assert(this.isAllocatedHead(pfn), 'only an allocated block has an instance');
    return this.#words.get((pfn << 2) | INSTANCE) >>> 0;
  }

  setInstance(pfn: Pfn, instance: number): void {
    assert(this.isAllocatedHead(pfn), 'only an allocated block has an instance');
    this.#words.set((pfn << 2) | INSTANCE, instance | 0);
  }

  /** References to a block: 0 for whatever is not the head of an allocated one. @kernel page_ref_count */
  refcount(pfn: Pfn): number {
    return this.isAllocatedHead(pfn) ? this.#words.get((pfn << 2) | REFCOUNT) : 0;
  }

  /** Sets the reference count of an allocated head. @kernel set_page_count */
  setRefcount(pfn: Pfn, count: number): void {
    assert(this.isAllocatedHead(pfn), 'only an allocated block has references');
    this.#words.set((pfn << 2) | REFCOUNT, count);
  }

  /** Head of the free or allocated block a frame lies in, NO_FRAME if in none. */
  blockOf(pfn: Pfn): Pfn {
    for (let order = 0; order <= BLOCK_ORDER_MAX; order++) {
      const head = (pfn & -(1 << order)) as Pfn;
      const state = this.state(head);
      // A head of a smaller block than would reach here: no block can lie around it.
      if (state !== 0) return stateOrder(state) >= order ? head : NO_FRAME;
    }
    return NO_FRAME;
  }

  /** Marks the first frame of a preserved block that was handed over. */
  setStamp(pfn: Pfn, order: number): void {
    assert(this.state(pfn) === 0, 'a stamped block is neither free nor allocated');
    this.#words.set((pfn << 2) | PRIVATE_LOW, order | 0);
    this.#words.set((pfn << 2) | PRIVATE_HIGH, KHO_PAGE_MAGIC);
  }

  /** Order in the stamp of a frame, -1 if it has none. */
  stampOrder(pfn: Pfn): number {
    if (this.#words.get((pfn << 2) | PRIVATE_HIGH) !== KHO_PAGE_MAGIC) return -1;
    return this.#words.get((pfn << 2) | PRIVATE_LOW) >>> 0;
  }

  clearStamp(pfn: Pfn): void {
    if (this.#words.get((pfn << 2) | PRIVATE_HIGH) === 0) return;
    this.#words.set((pfn << 2) | PRIVATE_LOW, 0);
    this.#words.set((pfn << 2) | PRIVATE_HIGH, 0);
  }

  /** Whether a frame lies in a block that was handed over and not restored. */
  isStamped(pfn: Pfn): boolean {
    return this.stampedBlockOf(pfn) !== NO_FRAME;
  }

  /** First frame of a stamped block that the frame lies in (the smallest, if several), NO_FRAME if in none. */
  stampedBlockOf(pfn: Pfn): Pfn {
    for (let order = 0; order <= BLOCK_ORDER_MAX; order++) {
      const head = (pfn & -(1 << order)) as Pfn;
      if (this.stampOrder(head) >= order) return head;
    }
    return NO_FRAME;
  }

  /** The first of `pages` frames that lies in a stamped block, NO_FRAME for none. */
  firstStampedIn(first: Pfn, pages: number): Pfn {
    if (this.isStamped(first)) return first;
    for (let pfn = first + 1; pfn < first + pages; pfn++) {
      if (this.stampOrder(pfn as Pfn) !== -1) return pfn as Pfn;
    }
    return NO_FRAME;
  }

  /** The first frame from `pfn` on that is the head of a block or has something in its private word; NO_FRAME for none. */
  nextUsed(pfn: number): Pfn {
    for (let at = pfn; at < this.nr; ) {
      const rows = this.rows(at as Pfn);
      const end = Math.min(at - (at % PIECE_FRAMES) + PIECE_FRAMES, this.nr);
      if (rows !== ZERO_PIECE) {
        for (let i = rowOf(at); at < end; at++, i += 4) {
          if (((rows[i] as number) | (rows[i + PRIVATE_HIGH] as number)) !== 0) return at as Pfn;
        }
      }
      at = end;
    }
    return NO_FRAME;
  }

  // For the allocator: nobody else changes the state of a frame. The blocks around a frame, up to the largest, lie in
  // one piece of the table; a caller that changes several opens it once.

  /** Rows of the frames around one, for reading; see rowOf. */
  rows(pfn: Pfn): Int32Array {
    return this.#words.piece(pfn << 2);
  }

  /** Rows of the frames around one, for the methods below. */
  open(pfn: Pfn): Int32Array {
    return this.#words.open(pfn << 2, 0);
  }

  /** Makes a frame the head of a free block between two others of its list. */
  makeFree(rows: Int32Array, pfn: Pfn, state: number, previous: number, next: number): void {
    this.#setRow(rows, pfn, state, previous, next);
  }

  /** Makes a frame the head of an allocated block with one reference. */
  makeAllocated(rows: Int32Array, pfn: Pfn, state: number): void {
    this.#setRow(rows, pfn, state, 1, 0);
  }

  /** Makes a head an ordinary frame; its links are still to be read. */
  makePlain(rows: Int32Array, pfn: Pfn): void {
    if (this.#journal.depth !== 0) this.#words.open(pfn << 2, 1);
    rows[rowOf(pfn)] = 0;
  }

  setPrevious(pfn: Pfn, link: number): void {
    this.#words.set((pfn << 2) | PREVIOUS, link);
  }

  setNext(pfn: Pfn, link: number): void {
    this.#words.set((pfn << 2) | NEXT, link);
  }

  /** Whether no frame of [pfn, pfn + 2^order) is the head of a block. Costs a look at each that was ever touched. */
  isPlain(pfn: Pfn, order: Order): boolean {
    const end = pfn + pagesOf(order);
    for (let at: number = pfn; at < end; at++) {
      if (at % PIECE_FRAMES === 0 && this.#words.piece(at << 2) === ZERO_PIECE) at += PIECE_FRAMES - 1;
      else if (this.state(at as Pfn) !== 0) return false;
    }
    return true;
  }

  capture(): unknown {
    return this.#owners.length;
  }

  reinstate(state: unknown): void {
    for (const name of this.#owners.splice(state as number)) this.#ownerIds.delete(name);
  }

  #setRow(rows: Int32Array, pfn: Pfn, state: number, second: number, third: number): void {
    const at = rowOf(pfn);
    if (this.#journal.depth !== 0) this.#words.open(pfn << 2, rows[at + PRIVATE_HIGH] === 0 ? 3 : 4);
    rows[at] = state;
    rows[at + 1] = second;
    rows[at + 2] = third;
    rows[at + PRIVATE_HIGH] = 0;
  }
}
