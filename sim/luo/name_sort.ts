/*
 * Duplicates looked for once, a design for comparison: sessions that were handed over join the list unchecked; when all
 * have, an array of them is sorted by name and neighbours are compared. The array stays: a session is retrieved by
 * bisection in it.
 *
 *   sort     merge sort of n names: n ceil(log2 n) - 2^ceil(log2 n) + 1 comparisons at most, which is what is charged
 *   array    a pointer of 8 bytes each, in pages; sessions that leave keep their place
 */
import { ERRNO } from '../base/errno.ts';
import { PAGE_SIZE } from '../base/limits.ts';
import { definePoint } from '../base/point.ts';
import { vzalloc } from '../kernel/vmalloc.ts';
import type { Stateful } from '../machine/journal.ts';
import { chargeHops, chargeLoads, type IndexedList, type NameIndex } from './name_index.ts';
import { depthOf } from './name_trees.ts';

const ARRAY = definePoint('luo_session_deserialize', 'sorted names', 'fault');
const POINTER_BYTES = 8;

export class NameSort implements NameIndex, Stateful {
  readonly #list: IndexedList;
  #sorted = 0;

  constructor(list: IndexedList) {
    this.#list = list;
    list.kernel.machine.journal.enlist(this);
  }

  get pages(): number {
    return Math.ceil((this.#sorted * POINTER_BYTES) / PAGE_SIZE);
  }

  search(): void {
    const levels = depthOf(this.#sorted);
    chargeLoads(this.#list.kernel, this.#sorted * POINTER_BYTES, levels);
    chargeHops(this.#list, levels);
  }

  settle(): number {
    const { kernel, count } = this.#list;
    if (count === 0) return 0;
    const owner = kernel.frames.owner('session name index');
    if (vzalloc(kernel, count * POINTER_BYTES, owner, ARRAY) === -1) return -ERRNO.ENOMEM;
    this.#sorted = count;
    const levels = depthOf(count - 1);
    chargeHops(this.#list, count * levels - 2 ** levels + 1 + (count - 1));
    return 0;
  }

  capture(): unknown {
    return this.#sorted;
  }

  reinstate(state: unknown): void {
    this.#sorted = state as number;
  }
}
