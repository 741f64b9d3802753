/*
 * A census of one kernel's frames: every block that the frame table knows, counted anew, in one ascending pass.
 *
 *   0                                                                                    last frame
 *   | hole (the kernel's own) | allocated | free | stamped | free span (untouched) ... | hole | ... |
 *
 * A frame lies in exactly one of: a free block, an allocated block, a stamped block (handed over and not restored),
 * untouched free memory, or a hole, which is memory that the kernel reserved for itself. What overlaps is a fault.
 *
 * Costs a look at every frame of the table that was ever touched, and nothing for the rest; no object per block but
 * those of the free lists.
 */
import { type Order, type Pfn, pagesOf } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import {
  BLOCK_ORDER_MAX,
  type FrameTable,
  NO_FRAME,
  type Owner,
  stateIsAllocated,
  stateIsFree,
  stateNode,
  stateOrder,
  stateType,
} from '../machine/frames.ts';

/** Frames [start, end). */
export interface FrameRange {
  readonly start: number;
  readonly end: number;
}

/** Number of blocks, their pages, and a hash of which they are, whatever their order. */
export class Tally {
  blocks = 0;
  pages = 0;
  hash = 0;

  add(pfn: number, order: number): void {
    this.blocks++;
    this.pages += pagesOf(order as Order);
    this.hash = (this.hash + blockHash(pfn, order)) | 0;
  }

  addAll({ blocks, pages, hash }: Tally): void {
    this.blocks += blocks;
    this.pages += pages;
    this.hash = (this.hash + hash) | 0;
  }

  /** These blocks but for some of them. */
  without({ blocks, pages, hash }: Tally): Tally {
    const rest = new Tally();
    rest.blocks = this.blocks - blocks;
    rest.pages = this.pages - pages;
    rest.hash = (this.hash - hash) | 0;
    return rest;
  }

  same({ blocks, pages, hash }: Tally): boolean {
    return this.blocks === blocks && this.pages === pages && this.hash === hash;
  }

  toString(): string {
    return `${this.blocks} blocks of ${this.pages} pages`;
  }
}

export interface Census {
  /** Free blocks of the frame table, without untouched memory. */
  readonly free: Tally;
  readonly allocated: Tally;
  /** Handed over and not restored. */
  readonly stamped: Tally;
  /** Allocated blocks by owner; the key is the owner's number. */
  readonly owners: readonly (Tally | undefined)[];
  /** Pages of untouched free memory. */
  readonly untouchedPages: number;
  /** Neither free nor allocated nor stamped, ascending. */
  readonly holes: readonly FrameRange[];
  /** The first stamped blocks, for reports. */
  readonly someStamped: readonly string[];
  /** What cannot be, in words; the first of them. */
  readonly faults: readonly string[];
}

/** Faults, holes and stamps are kept up to here: a table gone wild has millions. */
const KEPT_MAX = 16;
const HOLES_MAX = 1024;

/** A block as a 32-bit word. */
export function blockHash(pfn: number, order: number): number {
  let h = Math.imul(pfn ^ 0x2545f491, 0x9e3779b1) ^ Math.imul(order + 1, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 15), 0xc2b2ae35);
  return h ^ (h >>> 13);
}

export const hexBlock = (pfn: number, order: number): string =>
  `0x${(pfn * 4096).toString(16)} of order ${order}`;

/** Told of every allocated block, ascending. */
export type OnAllocated = (pfn: Pfn, order: number, owner: Owner) => void;

/** Counts a kernel's frames. */
export function takeCensus(kernel: Kernel, onAllocated?: OnAllocated): Census {
  return new Count(kernel, onAllocated).result();
}

class Count implements Census {
  readonly free = new Tally();
  readonly allocated = new Tally();
  readonly stamped = new Tally();
  readonly owners: (Tally | undefined)[] = [];
  untouchedPages = 0;
  readonly holes: FrameRange[] = [];
  readonly someStamped: string[] = [];
  readonly faults: string[] = [];
  readonly #kernel: Kernel;
  readonly #frames: FrameTable;
  readonly #onAllocated: OnAllocated | undefined;
  /** Frames below this one are accounted for. */
  #covered = 0;
  /** Blocks on free lists, without untouched memory. */
  #listed = 0;

  constructor(kernel: Kernel, onAllocated: OnAllocated | undefined) {
    this.#kernel = kernel;
    this.#frames = kernel.frames;
    this.#onAllocated = onAllocated;
  }

  result(): Census {
    const spans = this.#readLists();
    this.#readTable(spans);
    if (this.#listed !== this.free.blocks) {
      this.#fault(`${this.#listed} blocks are on free lists, ${this.free.blocks} are free`);
    }
    return this;
  }

  /** Checks every listed block and returns untouched free memory, ascending. */
  #readLists(): FrameRange[] {
    const { buddy } = this.#kernel;
    const frames = this.#frames;
    const spans: FrameRange[] = [];
    let budget = frames.nr;
    for (const { node, type, order, start, blocks } of buddy.freeRuns()) {
      if (budget-- <= 0) {
        this.#fault('a free list does not end');
        break;
      }
      const state = frames.state(start);
      if (state === 0) {
        const pages = blocks * pagesOf(order as Order);
        spans.push({ start, end: start + pages });
        this.untouchedPages += pages;
        continue;
      }
      this.#listed += blocks;
      const matches =
        stateIsFree(state) &&
        stateOrder(state) === order &&
        stateType(state) === type &&
        stateNode(state) === node;
      if (!matches || buddy.nodeOf(start) !== node) {
        this.#fault(
          `the free list of node ${node}, type ${type}, order ${order} has ${hexBlock(start, order)}`,
        );
      }
    }
    return spans.sort((x, y) => x.start - y.start);
  }

  /** Meets everything in ascending order. */
  #readTable(spans: readonly FrameRange[]): void {
    const frames = this.#frames;
    let span = 0;
    let spanStart = spans[0]?.start ?? frames.nr;
    for (let pfn = frames.nextUsed(0); pfn !== NO_FRAME; pfn = frames.nextUsed(pfn + 1)) {
      const state = frames.state(pfn);
      const stamp = frames.stampOrder(pfn);
      if (state === 0 && stamp === -1) continue;
      for (; spanStart < pfn; spanStart = spans[span]?.start ?? frames.nr) this.#passSpan(spans[span++]);
      if (stamp !== -1) this.#meetStamped(pfn, stamp);
      if (state !== 0) this.#meetBlock(pfn, state);
    }
    for (; span < spans.length; span++) this.#passSpan(spans[span]);
    this.#cover(frames.nr, frames.nr, 'the end of memory');
  }

  #passSpan(span: FrameRange | undefined): void {
    if (span !== undefined) this.#cover(span.start, span.end, 'untouched free memory');
  }

  #meetBlock(pfn: number, state: number): void {
    const order = stateOrder(state);
    if (stateIsFree(state)) {
      this.free.add(pfn, order);
      this.#cover(pfn, pfn + pagesOf(order), 'a free block', order);
    } else if (stateIsAllocated(state)) {
      this.allocated.add(pfn, order);
      const owner: Owner = this.#frames.ownerOf(pfn as Pfn);
      let tally = this.owners[owner];
      if (tally === undefined) {
        tally = new Tally();
        this.owners[owner] = tally;
      }
      tally.add(pfn, order);
      this.#onAllocated?.(pfn as Pfn, order, owner);
      this.#cover(pfn, pfn + pagesOf(order), 'an allocated block', order);
    } else {
      this.#fault(
        `frame 0x${pfn.toString(16)} is neither free nor allocated: state 0x${(state >>> 0).toString(16)}`,
      );
    }
  }

  #meetStamped(pfn: number, order: number): void {
    if (order > BLOCK_ORDER_MAX) {
      this.#fault(`frame 0x${pfn.toString(16)} has a stamp of order ${order}`);
      return;
    }
    this.stamped.add(pfn, order);
    if (this.someStamped.length < KEPT_MAX) this.someStamped.push(hexBlock(pfn, order));
    this.#cover(pfn, pfn + pagesOf(order as Order), 'a stamped block', order);
  }

  /** Accounts for [start, end); what lies before it and is not accounted for is a hole. */
  #cover(start: number, end: number, what: string, order = -1): void {
    if (start < this.#covered) {
      this.#fault(
        `${what}${order === -1 ? '' : ` at ${hexBlock(start, order)}`} overlaps what lies before it`,
      );
    } else if (start > this.#covered && this.holes.length < HOLES_MAX) {
      this.holes.push({ start: this.#covered, end: start });
    }
    this.#covered = Math.max(this.#covered, end);
  }

  #fault(text: string): void {
    if (this.faults.length < KEPT_MAX) this.faults.push(text);
  }
}

/** Free pages as counted. */
export const freePages = ({ free, untouchedPages }: Census): number => free.pages + untouchedPages;
