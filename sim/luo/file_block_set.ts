/*
 * The file store of v7.3 (luo-v5): a block set of one-page blocks in every session with files, 63 files each.
 *
 *   file_set_ser.files --> block 0 --next--> block 1 --next--> ... --next--> 0
 *
 * preserve grows the set before it looks at the descriptor; what fails shrinks it again, and so does every removal. The
 * next kernel takes the chain over at the first open, or frees it, and compares the count with what it found.
 *
 *   row   the row of a KhoBlockSet
 */

import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { orderOf, type Phys } from '../base/units.ts';
import { KHO_BLOCK_SIZE } from '../kho/abi.ts';
import {
  BLOCK_SET_WORDS,
  type BlockGeometry,
  blocksOf,
  type FreeBlock,
  KhoBlockSet,
} from '../kho/block_set.ts';
import { KhoBlockSetIt } from '../kho/block_set_it.ts';
import type { KhoBlockTable } from '../kho/block_table.ts';
import { LUO_FILE_SER } from './abi.ts';
import { type FileSlots, type FileStore, STORE_WORDS, type StoreRow } from './file_store.ts';
import type { SessionHandle } from './session_table.ts';

const GEOMETRY: BlockGeometry = blocksOf(LUO_FILE_SER.size);
assert(BLOCK_SET_WORDS <= STORE_WORDS, 'a block set fits the words of a store');

export class FileBlockSet implements FileStore {
  readonly blockBytes = KHO_BLOCK_SIZE;
  readonly order = orderOf(KHO_BLOCK_SIZE);
  readonly growsFirst = true;
  readonly shrinks = true;
  readonly checksCount = true;
  readonly #table: KhoBlockTable;
  readonly #rowOf: (set: SessionHandle) => StoreRow;
  readonly #restoreFree: FreeBlock;

  constructor(table: KhoBlockTable, rowOf: (set: SessionHandle) => StoreRow, restoreFree: FreeBlock) {
    this.#table = table;
    this.#rowOf = rowOf;
    this.#restoreFree = restoreFree;
  }

  /** The limit is no error here: the real one allocates the page first and sees it then, in addBlock. */
  room(set: SessionHandle, count: number): number {
    const blocks = this.#set(set);
    if (blocks.incoming) {
      this.#table.kernel.warn('kho_block_set_grow: set is incoming');
      return -ERRNO.EINVAL;
    }
    return blocks.needsBlock(count + 1) ? 1 : 0;
  }

  addBlock(set: SessionHandle, address: Phys): number {
    return this.#set(set).add(address);
  }

  dropBlock(set: SessionHandle, count: number): Phys | 0 {
    const blocks = this.#set(set);
    return blocks.sparesBlock(count) ? blocks.shrinkOne() : 0;
  }

  restores(set: SessionHandle, _finishing: boolean): boolean {
    return this.#set(set).incoming;
  }

  headPhys(set: SessionHandle): number {
    return this.#set(set).headPhys;
  }

  write(set: SessionHandle): FileSlots {
    const it = new KhoBlockSetIt(this.#set(set));
    return { next: () => it.reserveEntry(), commit: () => undefined };
  }

  clear(set: SessionHandle): void {
    this.#set(set).clear();
  }

  open(set: SessionHandle, head: Phys, _count: number): FileSlots | number {
    const blocks = this.#set(set);
    const err = blocks.restore(head, this.#restoreFree);
    if (err !== 0) return err;
    const it = new KhoBlockSetIt(blocks);
    return { next: () => it.readEntry(), commit: () => undefined };
  }

  regions(set: SessionHandle): Phys[] {
    return [...this.#set(set).addresses()];
  }

  #set(set: SessionHandle): KhoBlockSet {
    const { rows, at } = this.#rowOf(set);
    return new KhoBlockSet(this.#table, GEOMETRY, rows, at);
  }
}
