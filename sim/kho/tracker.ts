/*
 * The page tracker: which blocks the next kernel must find untouched. One bit per (address, order); no reference
 * count, no owner. Trackers differ by revision behind this interface; all pass the laws in test/kho/tracker.laws.ts.
 */
import type { Order, Pfn, Phys } from '../base/units.ts';
import type { Mutex } from '../sched/mutex.ts';

/** Called for every preserved block; a value other than 0 ends the walk and is its result. */
export type BlockVisitor = (address: Phys, order: Order) => number;

export interface PageTracker {
  /** Taken around add and del. */
  readonly lock: Mutex;
  /** What the root FDT calls preserved-memory-map; 0 where there is none yet. */
  readonly mapPhys: Phys;
  /** Marks a block as preserved: 0 or -ENOMEM. Idempotent. The caller holds the lock. */
  add(frame: Pfn, order: Order): number;
  /** Clears exactly this key; complains where it cannot be. The caller holds the lock. */
  del(frame: Pfn, order: Order): void;
  /** Whether exactly this key is set; for oracles. */
  has(frame: Pfn, order: Order): boolean;
  /** Every preserved block in the order in which the next kernel meets them. */
  walk(visit: BlockVisitor): number;
  /** The frames that the tracker itself occupies; for oracles and the jump. */
  nodes(): Pfn[];
}
