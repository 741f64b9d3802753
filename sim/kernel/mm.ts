/*
 * Page allocation as kernel code sees it: the buddy allocator with owners, faults, zeroing and prices.
 *
 *   alloc_pages   fault point per call site, migrate type by movability, zeroing on request
 *   folio_put     the last reference gives the block back
 */
import type { Decisions } from '../base/decisions.ts';
import { kernelFunction, type Point } from '../base/point.ts';
import type { Trace } from '../base/trace.ts';
import { type Order, type Pfn, pagesOf } from '../base/units.ts';
import type { Buddy } from '../machine/buddy.ts';
import { STEP } from '../machine/cpu.ts';
import type { Owner } from '../machine/frames.ts';
import type { Machine } from '../machine/machine.ts';
import { UNMOVABLE } from '../machine/pageblock.ts';
import type { RequestType } from '../machine/zone.ts';

const ALLOC_PAGES = kernelFunction('alloc_pages');
const FREE_PAGES = kernelFunction('free_pages');

export interface AllocFlags {
  /** A migrate type; UNMOVABLE unless given. */
  readonly type?: RequestType;
  readonly node?: number;
  readonly zero?: boolean;
}

export const ZEROED: AllocFlags = { zero: true };
const NO_FLAGS: AllocFlags = {};

export class PageAllocator {
  readonly #machine: Machine;
  readonly #buddy: Buddy;
  readonly #trace: Trace;

  constructor(machine: Machine, buddy: Buddy, trace: Trace) {
    this.#machine = machine;
    this.#buddy = buddy;
    this.#trace = trace;
  }

  get #decisions(): Decisions {
    return this.#machine.decisions;
  }

  /**
   * First frame of a block of 2^order pages with one reference, or -1 where there is none.
   * @kernel alloc_pages @simplified of the flags there are migrate type, node and zeroing; fails as a decision says
   */
  alloc(order: Order, owner: Owner, point: Point, flags: AllocFlags = NO_FLAGS): Pfn | -1 {
    const { cpus, ram } = this.#machine;
    cpus.charge(STEP.pageAlloc, 1);
    if (this.#decisions.fails(point)) return -1;
    const frame = this.#buddy.alloc(order, flags.type ?? UNMOVABLE, flags.node ?? 0, owner);
    if (frame === -1) return -1;
    if (flags.zero === true) {
      ram.zeroPages(frame, pagesOf(order));
      cpus.charge(STEP.pageZeroed, pagesOf(order));
    }
    this.#trace.event(ALLOC_PAGES, frame, order, owner);
    return frame;
  }

  /**
   * Gives a block back, whatever its references.
   * @kernel __free_pages @simplified the caller holds the only reference; a bad free is reported and changes nothing
   */
  free(frame: Pfn, order: Order): void {
    this.#trace.event(FREE_PAGES, frame, order);
    this.#buddy.free(frame, order);
  }

  /** Drops a reference of a block; the last one frees it. @kernel folio_put */
  put(frame: Pfn): void {
    this.#trace.event(FREE_PAGES, frame, -1);
    this.#buddy.put(frame);
  }
}
