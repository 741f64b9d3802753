/*
 * How a kernel finds a session by its name: a part that can be exchanged, to ask what a design would cost.
 *
 *   list-scan             every kernel there is: the list is walked, name by name                here
 *   hash                  beside the list a hash table that doubles when three quarters full     name_hash.ts
 *   rbtree, xarray        beside the list a tree                                                 name_trees.ts
 *   sort-at-deserialize   list-scan for what is created; what is deserialized is put on the list unchecked, then sorted
 *                         once, and found by bisection                                           name_sort.ts
 *
 * The simulator finds the session by its own map whatever the design (name_map.ts). A design charges the steps that its
 * search takes, and takes the memory that it needs from the page allocator.
 */
import { CACHE_BYTES } from '../base/limits.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { STEP } from '../machine/cpu.ts';
import { NO_SESSION, SESSION_BYTES, type SessionHandle, type SessionTable } from './session_table.ts';

/** The list as far as an index looks at it. */
export interface IndexedList {
  readonly kernel: Kernel;
  readonly table: SessionTable;
  readonly name: 'outgoing' | 'incoming';
  readonly count: number;
  readonly head: SessionHandle;
  /** Sessions in front of this one. */
  rankOf(session: SessionHandle): number;
  /** hashName of a session's name. */
  hashOf(session: SessionHandle): number;
}

/** What a design has no use for is not there. */
export interface NameIndex {
  /** Pages of memory that it has, beside the sessions. */
  readonly pages?: number;
  /** Charges a search for a name of this hash that came to `found`. */
  search(found: SessionHandle, hash: number): void;
  /** A session joins the list, at its end: 0 or -ENOMEM, with nothing changed. */
  add?(session: SessionHandle): number;
  /** A session has left the list. */
  remove?(session: SessionHandle): void;
  /**
   * All sessions that were handed over are on the list: 0 or -ENOMEM. A design that has this looks for duplicates here
   * and not before.
   */
  settle?(): number;
}

/** Walks the list up to the session that has the name, or over all of them. */
export class ListScan implements NameIndex {
  readonly #list: IndexedList;

  constructor(list: IndexedList) {
    this.#list = list;
  }

  search(found: SessionHandle): void {
    const list = this.#list;
    chargeHops(list, found === NO_SESSION ? list.count : list.rankOf(found) + 1);
  }
}

/** Charges comparisons of names, one after the other. */
export function chargeHops({ kernel, count }: Pick<IndexedList, 'kernel' | 'count'>, hops: number): void {
  kernel.charge(STEP.hop, hops);
  chargeLoads(kernel, count * SESSION_BYTES, hops);
}

/** Charges loads from somewhere in so many bytes; each waits for memory where these do not fit the cache. */
export function chargeLoads(kernel: Kernel, bytes: number, loads: number): void {
  if (bytes > CACHE_BYTES) kernel.charge(STEP.miss, loads);
}
