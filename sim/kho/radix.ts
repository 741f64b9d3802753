/*
 * The KHO radix tree (kho-v2 and later): preserved blocks as keys in a tree of pages. Layout and key: abi.ts.
 *
 * Nodes are ordinary zeroed pages, allocated on demand (at most 5 for a key), never freed by del and not preserved
 * themselves: the next kernel reads them where they lie, before it hands memory out.
 *
 * The wire is the same from 7.0 to 7.3. A walk over a tree that is no tree (a corrupted handover) is bounded by the
 * number of frames: a real kernel would spin there, see walkRadixTree.
 */
import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { PAGE_SIZE } from '../base/limits.ts';
import { definePoint } from '../base/point.ts';
import { type Order, type Pfn, type Phys, pfnOf, physOf } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { ZEROED } from '../kernel/mm.ts';
import { STEP } from '../machine/cpu.ts';
import type { Owner } from '../machine/frames.ts';
import type { Ram } from '../machine/ram.ts';
import { Mutex } from '../sched/mutex.ts';
import { KHO_BITMAP_SIZE_LOG2, KHO_ORDER_0_LOG2, KHO_TABLE_SIZE_LOG2, KHO_TREE_MAX_DEPTH } from './abi.ts';
import type { BlockVisitor, PageTracker } from './tracker.ts';

const NODE = definePoint('kho_radix_add_page', 'node', 'fault');
const TOP = KHO_TREE_MAX_DEPTH - 1;
const TABLE_SLOTS = 2 ** KHO_TABLE_SIZE_LOG2;
const BITMAP_BITS = 2 ** KHO_BITMAP_SIZE_LOG2;

/** A key: below 2^53, so a number holds it exactly. @kernel kho_radix_encode_key, kho_encode_radix_key */
export function radixKey(frame: Pfn, order: Order): number {
  return 2 ** (KHO_ORDER_0_LOG2 - order) + Math.floor(frame / 2 ** order);
}

/** The block a key stands for. @kernel kho_radix_decode_key, kho_decode_radix_key */
export function radixBlock(key: number): { readonly frame: Pfn; readonly order: Order } {
  // No writer sets key 0; a corrupted leaf can, and fls64(0) makes it a block of order 53.
  if (key === 0) return { frame: 0 as Pfn, order: (KHO_ORDER_0_LOG2 + 1) as Order };
  const high = Math.floor(key / 2 ** 32);
  const position = high !== 0 ? 63 - Math.clz32(high) : 31 - Math.clz32(key >>> 0);
  const order = KHO_ORDER_0_LOG2 - position;
  return { frame: ((key - 2 ** position) * 2 ** order) as Pfn, order: order as Order };
}

/** Slot of a key in the table of a level (5 to 1). @kernel kho_radix_get_table_index */
export function tableIndex(key: number, level: number): number {
  return Math.floor(key / 2 ** (KHO_TABLE_SIZE_LOG2 * (level - 1) + KHO_BITMAP_SIZE_LOG2)) % TABLE_SLOTS;
}

/** @kernel kho_radix_get_bitmap_index */
export const bitmapIndex = (key: number): number => key % BITMAP_BITS;

export class RadixTracker implements PageTracker {
  readonly lock: Mutex;
  readonly mapPhys: Phys;
  readonly #kernel: Kernel;
  readonly #owner: Owner;

  /** `root` is a zeroed page that the tree takes over. */
  constructor(kernel: Kernel, root: Pfn) {
    this.#kernel = kernel;
    this.lock = new Mutex(kernel.sched, 'radix_tree.lock');
    this.mapPhys = physOf(root);
    this.#owner = kernel.frames.owner('kho radix node');
  }

  /**
   * @kernel kho_radix_add_page, kho_radix_add_key
   * @kernel kho_radix_alloc_node @simplified always from the page allocator, never from memblock
   */
  add(frame: Pfn, order: Order): number {
    const { ram } = this.#kernel.machine;
    const key = radixKey(frame, order);
    this.#kernel.charge(STEP.treeLevel, KHO_TREE_MAX_DEPTH);
    let node: number = this.mapPhys;
    let anchor = 0;
    const added: Pfn[] = [];
    for (let level = TOP; level > 0; level--) {
      const slot = node + 8 * tableIndex(key, level);
      let next = ram.load64(slot);
      if (next === 0) {
        const page = this.#kernel.pages.alloc(0 as Order, this.#owner, NODE, ZEROED);
        if (page === -1) return this.#undo(added, anchor);
        next = physOf(page);
        ram.store64(slot, next);
        if (anchor === 0) anchor = slot;
        added.push(page);
      }
      node = next;
    }
    const bit = bitmapIndex(key);
    const word = node + 4 * (bit >>> 5);
    ram.store32(word, ram.load32(word) | (1 << (bit & 31)));
    return 0;
  }

  /** @kernel kho_radix_del_page, kho_radix_del_key */
  del(frame: Pfn, order: Order): void {
    const { ram } = this.#kernel.machine;
    this.#kernel.charge(STEP.treeLevel, KHO_TREE_MAX_DEPTH);
    const leaf = this.#leaf(frame, order);
    if (leaf === 0) {
      this.#kernel.warn('kho_radix_del_page: no such key');
      return;
    }
    const bit = bitmapIndex(radixKey(frame, order));
    const word = leaf + 4 * (bit >>> 5);
    ram.store32(word, ram.load32(word) & ~(1 << (bit & 31)));
  }

  has(frame: Pfn, order: Order): boolean {
    const leaf = this.#leaf(frame, order);
    if (leaf === 0) return false;
    const bit = bitmapIndex(radixKey(frame, order));
    return ((this.#kernel.machine.ram.load32(leaf + 4 * (bit >>> 5)) >>> (bit & 31)) & 1) === 1;
  }

  walk(visit: BlockVisitor): number {
    return walkRadixTree(this.#kernel.machine.ram, this.mapPhys, visit);
  }

  nodes(): Pfn[] {
    const nodes: Pfn[] = [];
    walkRadixTree(
      this.#kernel.machine.ram,
      this.mapPhys,
      () => 0,
      (node) => nodes.push(node),
    );
    return nodes;
  }

  /** Frees the pages that a failed add linked. @kernel kho_radix_free_node */
  #undo(added: readonly Pfn[], anchor: number): number {
    if (anchor !== 0) this.#kernel.machine.ram.store64(anchor, 0);
    for (const page of added) this.#kernel.pages.free(page, 0 as Order);
    return -ERRNO.ENOMEM;
  }

  /** Address of the bitmap that would hold a key, 0 where a table on the way is missing. */
  #leaf(frame: Pfn, order: Order): number {
    const key = radixKey(frame, order);
    let node: number = this.mapPhys;
    for (let level = TOP; level > 0 && node !== 0; level--) {
      node = this.#kernel.machine.ram.load64(node + 8 * tableIndex(key, level));
    }
    return node;
  }
}

/** A handed-over tree that is no tree: the walk would not end. */
export class EndlessWalk extends Error {
  override readonly name = 'EndlessWalk';
}

/**
 * Visits every key, ascending: larger orders first, then by address. `onNode` sees each page of the tree before its
 * children. Throws EndlessWalk after more nodes than RAM has frames.
 * @kernel kho_radix_walk_tree, __kho_radix_walk_tree @simplified without radix_tree.lock; a tree without end is found
 * out, and the boot ends in a panic
 */
export function walkRadixTree(
  ram: Ram,
  rootPhys: Phys,
  visit: BlockVisitor,
  onNode: (node: Pfn) => void = () => {},
): number {
  assert(rootPhys !== 0, 'walk of a tree without root');
  const words = Array.from({ length: KHO_TREE_MAX_DEPTH }, () => new Int32Array(PAGE_SIZE / 4));
  let budget = ram.bytes / PAGE_SIZE;
  const descend = (node: number, level: number, prefix: number): number => {
    if (budget-- <= 0) throw new EndlessWalk('kho_radix_walk_tree: more nodes than frames');
    onNode(pfnOf(node as Phys));
    const page = words[level] as Int32Array;
    ram.loadWords(node, page, 0, page.length);
    if (level === 0) return visitBitmap(page, prefix, visit);
    for (let slot = 0; slot < TABLE_SLOTS; slot++) {
      const low = page[slot * 2] as number;
      const high = page[slot * 2 + 1] as number;
      if ((low | high) === 0) continue;
      const child = (low >>> 0) + (high >>> 0) * 2 ** 32;
      const width = level === 1 ? BITMAP_BITS : TABLE_SLOTS;
      const result = descend(child, level - 1, (prefix + slot) * width);
      if (result !== 0) return result;
    }
    return 0;
  };
  return descend(rootPhys, TOP, 0);
}

/** @kernel kho_radix_walk_leaf */
function visitBitmap(bitmap: Int32Array, prefix: number, visit: BlockVisitor): number {
  for (let w = 0; w < bitmap.length; w++) {
    let word = bitmap[w] as number;
    while (word !== 0) {
      const bit = 31 - Math.clz32(word & -word);
      word &= word - 1;
      const { frame, order } = radixBlock(prefix + w * 32 + bit);
      const result = visit(physOf(frame), order);
      if (result !== 0) return result;
    }
  }
  return 0;
}
