/*
 * The outgoing side of KHO: preserve and unpreserve. v7.0 to v7.3; locks: radix_tree.lock around each key.
 *
 *   preserve_folio        one key (frame, order of the folio)
 *   preserve_pages        a range, split greedily into aligned blocks that stay on one node
 *   alloc_preserve        zeroed folio of get_order(size), preserved
 *   unpreserve_free       the reverse; NULL is a no-op
 *
 * Preserving takes no reference and counts nothing: preserved twice and unpreserved once is not preserved.
 */
import { ERRNO } from '../base/errno.ts';
import { MAX_PAGE_ORDER } from '../base/limits.ts';
import type { Op, Point } from '../base/point.ts';
import { bytesOf, type Order, orderOf, type Pfn, type Phys, pagesOf, pfnOf, physOf } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { ZEROED } from '../kernel/mm.ts';
import { KHO_NUMA_SPLIT } from '../kernel/patches.ts';
import type { Owner } from '../machine/frames.ts';
import type { Task } from '../sched/task.ts';
import { type ScratchArea, scratchOverlap } from './scratch.ts';
import type { PageTracker } from './tracker.ts';

/** One aligned block of a page range. */
interface Block {
  readonly frame: Pfn;
  readonly order: Order;
}

export class KhoOut {
  readonly #kernel: Kernel;
  readonly #scratch: () => readonly ScratchArea[];
  /** None while KHO is off, or before kho_init. */
  tracker: PageTracker | undefined;

  constructor(kernel: Kernel, scratch: () => readonly ScratchArea[]) {
    this.#kernel = kernel;
    this.#scratch = scratch;
  }

  /**
   * 0, -EINVAL (scratch, or KHO off: both warn), -ENOMEM.
   * @kernel kho_preserve_folio @simplified with KHO off it refuses in v6.19, too, and warns every time
   */
  *preserveFolio(task: Task, frame: Pfn): Op<number> {
    const order = this.#kernel.frames.order(frame);
    if (this.#overlapsScratch(frame, pagesOf(order))) return -ERRNO.EINVAL;
    const { tracker } = this;
    if (tracker === undefined) return this.#off('kho_preserve_folio');
    if (!tracker.lock.tryLock(task)) yield* tracker.lock.wait(task);
    const err = tracker.add(frame, order);
    tracker.lock.unlock(task);
    return err;
  }

  // For callers below which another generator would be one too many: they take tracker.lock themselves.

  /** kho_preserve_folio, or kho_preserve_pages of one aligned block, under tracker.lock. */
  addLocked(frame: Pfn, order: Order): number {
    if (this.#overlapsScratch(frame, pagesOf(order))) return -ERRNO.EINVAL;
    return this.tracker?.add(frame, order) ?? this.#off('kho_preserve_folio');
  }

  /** kho_unpreserve_folio, or kho_unpreserve_pages of one aligned block, under tracker.lock. */
  delLocked(frame: Pfn, order: Order): void {
    if (this.tracker === undefined) this.#off('kho_unpreserve_folio');
    else this.tracker.del(frame, order);
  }

  /** @kernel kho_unpreserve_folio @simplified with KHO off it warns every time */
  *unpreserveFolio(task: Task, frame: Pfn): Op<void> {
    const { tracker } = this;
    if (tracker === undefined) {
      this.#off('kho_unpreserve_folio');
      return;
    }
    if (!tracker.lock.tryLock(task)) yield* tracker.lock.wait(task);
    tracker.del(frame, this.#kernel.frames.order(frame));
    tracker.lock.unlock(task);
  }

  /**
   * Preserves `nr` pages from `first`; undone completely on failure.
   * @kernel kho_preserve_pages @simplified with KHO off it refuses in v6.19, too, and warns every time
   */
  *preservePages(task: Task, first: Pfn, nr: number): Op<number> {
    if (this.#overlapsScratch(first, nr)) return -ERRNO.EINVAL;
    const { tracker } = this;
    if (tracker === undefined) return this.#off('kho_preserve_pages');
    let at = first as number;
    let err = 0;
    while (at < first + nr) {
      const block = this.#blockAt(at, first + nr);
      if (!tracker.lock.tryLock(task)) yield* tracker.lock.wait(task);
      err = tracker.add(block.frame, block.order);
      tracker.lock.unlock(task);
      if (err !== 0) break;
      at += pagesOf(block.order);
    }
    if (err !== 0) yield* this.unpreservePages(task, first, at - first);
    return err;
  }

  /**
   * The range must be one that was preserved: the split has to come out the same.
   * @kernel kho_unpreserve_pages, __kho_unpreserve @simplified with KHO off it warns every time
   */
  *unpreservePages(task: Task, first: Pfn, nr: number): Op<void> {
    const { tracker } = this;
    if (tracker === undefined) {
      this.#off('kho_unpreserve_pages');
      return;
    }
    let at = first as number;
    while (at < first + nr) {
      const block = this.#blockAt(at, first + nr);
      if (!tracker.lock.tryLock(task)) yield* tracker.lock.wait(task);
      tracker.del(block.frame, block.order);
      tracker.lock.unlock(task);
      at += pagesOf(block.order);
    }
  }

  /**
   * Address of a zeroed, preserved folio of at least `bytes`; or -EINVAL for 0 bytes and with KHO off, -E2BIG above
   * the largest order, -ENOMEM.
   * @kernel kho_alloc_preserve @simplified with KHO off it refuses in v6.19, too, and warns every time
   */
  *allocPreserve(task: Task, bytes: number, owner: Owner, point: Point): Op<number> {
    if (bytes === 0) return -ERRNO.EINVAL;
    const order = orderOf(bytes);
    if (order > MAX_PAGE_ORDER) return -ERRNO.E2BIG;
    const frame = this.#kernel.pages.alloc(order, owner, point, ZEROED);
    if (frame === -1) return -ERRNO.ENOMEM;
    const { tracker } = this;
    let err: number;
    if (tracker === undefined) {
      err = this.#off('kho_alloc_preserve');
    } else {
      // kho_preserve_folio, unrolled: the chain of generators from a session ioctl would grow too long.
      if (!tracker.lock.tryLock(task)) yield* tracker.lock.wait(task);
      err = this.#overlapsScratch(frame, pagesOf(order)) ? -ERRNO.EINVAL : tracker.add(frame, order);
      tracker.lock.unlock(task);
    }
    if (err !== 0) {
      this.#kernel.pages.put(frame);
      return err;
    }
    return physOf(frame);
  }

  /** @kernel kho_unpreserve_free @simplified with KHO off it warns every time */
  *unpreserveFree(task: Task, address: Phys | 0): Op<void> {
    if (address === 0) return;
    const frame = pfnOf(address);
    const { tracker } = this;
    if (tracker === undefined) {
      this.#off('kho_unpreserve_free');
    } else {
      // kho_unpreserve_folio, unrolled as above.
      if (!tracker.lock.tryLock(task)) yield* tracker.lock.wait(task);
      tracker.del(frame, this.#kernel.frames.order(frame));
      tracker.lock.unlock(task);
    }
    this.#kernel.pages.put(frame);
  }

  /** The next aligned block of a range: as large as alignment, length and memory nodes allow. @kernel __kho_preserve_pages_order */
  #blockAt(at: number, end: number): Block {
    let order = at === 0 ? 52 : trailingZeros(at);
    while (at + 2 ** order > end) order--;
    const { machine } = this.#kernel;
    if (!this.#kernel.has(KHO_NUMA_SPLIT)) return { frame: at as Pfn, order: order as Order };
    while (order > 0 && machine.nodeOf(at as Pfn) !== machine.nodeOf((at + 2 ** order - 1) as Pfn)) order--;
    return { frame: at as Pfn, order: order as Order };
  }

  #overlapsScratch(frame: Pfn, pages: number): boolean {
    if (!this.#kernel.options.khoDebug) return false;
    if (!scratchOverlap(this.#scratch(), physOf(frame), pages * bytesOf(0 as Order))) return false;
    this.#kernel.warn('kho_preserve: range overlaps scratch');
    return true;
  }

  #off(where: string): number {
    this.#kernel.warn(`${where}: no tree`);
    return -ERRNO.EINVAL;
  }
}

/** Number of zero bits below the lowest set bit of a positive integer below 2^52. */
export function trailingZeros(n: number): number {
  let zeros = 0;
  let rest = n;
  while (rest % 2 === 0) {
    rest /= 2;
    zeros++;
  }
  return zeros;
}
