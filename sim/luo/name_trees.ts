/*
 * Trees of session names, designs for comparison.
 *
 *   rbtree   by name; three words in each session, no memory of its own. A search compares names down the tree, which is
 *            counted as deep as a balanced one: floor(log2(n)) + 1. Simplified: a red-black tree may be twice as deep,
 *            and rebalancing is two levels an insertion and a removal.
 *   xarray   by a 32-bit hash: six levels of 64 slots, a node of 576 bytes for every prefix that is there, freed when it
 *            empties. Names with the same hash would share an entry; their comparison is not counted.
 */
import { ERRNO } from '../base/errno.ts';
import { definePoint } from '../base/point.ts';
import { pagesOf } from '../base/units.ts';
import { Column } from '../machine/column.ts';
import { STEP } from '../machine/cpu.ts';
import type { Stateful } from '../machine/journal.ts';
import type { SlabCache } from '../machine/slab.ts';
import { chargeHops, chargeLoads, type IndexedList, type NameIndex } from './name_index.ts';
import { NO_SESSION, type SessionHandle } from './session_table.ts';

const REBALANCE_LEVELS = 2;

export class NameRbtree implements NameIndex {
  readonly #list: IndexedList;

  constructor(list: IndexedList) {
    this.#list = list;
  }

  search(): void {
    chargeHops(this.#list, depthOf(this.#list.count));
  }

  add(): number {
    this.#list.kernel.charge(STEP.treeLevel, REBALANCE_LEVELS);
    return 0;
  }

  /** rb_erase knows the node: nothing is searched. */
  remove(): void {
    this.#list.kernel.charge(STEP.treeLevel, REBALANCE_LEVELS);
  }
}

/** Levels of a balanced binary tree of `n`. */
export const depthOf = (n: number): number => 32 - Math.clz32(n);

const NODE = definePoint('xas_alloc', 'node', 'fault');
const NODE_BYTES = 576;
const SLOT_BITS = 6;
const LEVELS = Math.ceil(32 / SLOT_BITS);
/** Counts are bytes, four in a word: a node has 64 slots at most. */
const COUNT_SHIFT = 2;
/** Levels of a search whose nodes are too many for a cache: above them there are 16,384 at most. */
const WIDE_LEVELS = 2;

export class NameXarray implements NameIndex, Stateful {
  readonly #list: IndexedList;
  readonly #nodes: SlabCache;
  /** Filled slots of the node of each prefix, by level from the leaves. */
  readonly #filled: Column[];
  /** Nodes are alike: those there are, as a stack. */
  readonly #stack: Column;
  #depth = 0;

  constructor(list: IndexedList) {
    this.#list = list;
    const { storage, machine } = list.kernel;
    this.#nodes = list.kernel.slab('radix_tree_node', NODE_BYTES);
    this.#filled = Array.from(
      { length: LEVELS },
      (_, level) => new Column(storage, `${list.name} xarray level ${level}`),
    );
    this.#stack = new Column(storage, `${list.name} xarray nodes`);
    machine.journal.enlist(this);
  }

  get pages(): number {
    const { objectsPerSlab, order } = this.#nodes;
    return Math.ceil(this.#depth / objectsPerSlab) * pagesOf(order);
  }

  search(found: SessionHandle): void {
    const { kernel } = this.#list;
    kernel.charge(STEP.nameHash, 1);
    kernel.charge(STEP.treeLevel, LEVELS);
    chargeLoads(kernel, this.#depth * NODE_BYTES, WIDE_LEVELS);
    chargeHops(this.#list, found === NO_SESSION ? 0 : 1);
  }

  add(session: SessionHandle): number {
    const hash = this.#list.hashOf(session);
    let missing = 0;
    for (let level = 0; level < LEVELS && this.#count(level, hash) === 0; level++) missing++;
    for (let n = 0; n < missing; n++) {
      if (this.#push()) continue;
      for (; n > 0; n--) this.#pop();
      return -ERRNO.ENOMEM;
    }
    // Every node that was made fills a slot of the one above; the entry fills one of the leaf.
    for (let level = 0; level <= Math.min(missing, LEVELS - 1); level++) this.#fill(level, hash, 1);
    return 0;
  }

  remove(session: SessionHandle): void {
    const hash = this.#list.hashOf(session);
    this.#list.kernel.charge(STEP.treeLevel, LEVELS);
    for (let level = 0; level < LEVELS; level++) {
      this.#fill(level, hash, -1);
      if (this.#count(level, hash) !== 0) break;
      this.#pop();
    }
  }

  capture(): unknown {
    return this.#depth;
  }

  reinstate(state: unknown): void {
    this.#depth = state as number;
  }

  #prefix(level: number, hash: number): number {
    const shift = SLOT_BITS * (level + 1);
    return shift >= 32 ? 0 : hash >>> shift;
  }

  #count(level: number, hash: number): number {
    const prefix = this.#prefix(level, hash);
    return ((this.#filled[level] as Column).get(prefix >>> COUNT_SHIFT) >>> ((prefix & 3) * 8)) & 0xff;
  }

  #fill(level: number, hash: number, change: number): void {
    const prefix = this.#prefix(level, hash);
    const column = this.#filled[level] as Column;
    const word = column.get(prefix >>> COUNT_SHIFT);
    column.set(prefix >>> COUNT_SHIFT, word + (change << ((prefix & 3) * 8)));
  }

  #push(): boolean {
    const { kernel } = this.#list;
    kernel.charge(STEP.slabAlloc, 1);
    const node = kernel.machine.decisions.fails(NODE) ? 0 : this.#nodes.alloc();
    if (node !== 0) this.#stack.set(this.#depth++, node);
    return node !== 0;
  }

  #pop(): void {
    this.#list.kernel.charge(STEP.slabFree, 1);
    this.#nodes.free(this.#stack.get(--this.#depth));
  }
}
