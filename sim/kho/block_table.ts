/*
 * struct kho_block, v7.3: what a kernel remembers of one block of a chain. There may be thousands in a set and a set in
 * every session, so a block is a record of a slab whose fields lie in columns.
 *
 *   row     4 words: next, prev (list links), address of the block in two words
 *
 * A block is named by its slab handle. The address is kept whole, since a damaged chain may lead anywhere in a page.
 * One table serves every block set of a kernel, incoming and outgoing.
 */
import { fromWords, highWord, type Phys } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Column } from '../machine/column.ts';
import { STEP } from '../machine/cpu.ts';
import type { SlabCache } from '../machine/slab.ts';
import { kmallocBytes } from '../machine/slab_order.ts';

declare const brand: unique symbol;
/** A kho_block. 0 is no block. */
export type BlockHandle = number & { readonly [brand]: 'kho_block' };

export const NO_BLOCK = 0 as BlockHandle;

/** sizeof(struct kho_block): list_head and a pointer. */
const BLOCK_BYTES = 24;

const WORDS = 4;
const NEXT = 0;
const PREV = 1;
const LOW = 2;
const HIGH = 3;

export class KhoBlockTable {
  readonly kernel: Kernel;
  readonly slab: SlabCache;
  readonly #rows: Column;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
    this.slab = kernel.slab('kho_block', kmallocBytes(BLOCK_BYTES));
    this.#rows = this.slab.records('kho_block', WORDS);
  }

  /** A block that is on no list, or NO_BLOCK (-ENOMEM). */
  alloc(address: Phys): BlockHandle {
    this.kernel.charge(STEP.slabAlloc, 1);
    const block = this.slab.alloc() as BlockHandle;
    if (block === NO_BLOCK) return NO_BLOCK;
    this.#set(block, LOW, address | 0);
    this.#set(block, HIGH, highWord(address));
    return block;
  }

  free(block: BlockHandle): void {
    this.slab.free(block);
  }

  /** Where the block's header lies: block->ser. */
  address(block: BlockHandle): Phys {
    return fromWords(this.#get(block, LOW), this.#get(block, HIGH)) as Phys;
  }

  next(block: BlockHandle): BlockHandle {
    return this.#get(block, NEXT) as BlockHandle;
  }

  setNext(block: BlockHandle, next: BlockHandle): void {
    this.#set(block, NEXT, next);
  }

  prev(block: BlockHandle): BlockHandle {
    return this.#get(block, PREV) as BlockHandle;
  }

  setPrev(block: BlockHandle, prev: BlockHandle): void {
    this.#set(block, PREV, prev);
  }

  #get(block: BlockHandle, word: number): number {
    return this.#rows.get(this.slab.index(block) * WORDS + word);
  }

  #set(block: BlockHandle, word: number, value: number): void {
    this.#rows.set(this.slab.index(block) * WORDS + word, value);
  }
}
