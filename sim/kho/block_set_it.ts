/*
 * struct kho_block_set_it, v7.3: a place between two entries of a block set, to write or to read from.
 *
 *   block, i        the next entry is i of block; i may stand behind the block's last entry
 *
 *   reserve_entry   next slot, and the block's count becomes what is reserved of it; goes on where a block is full
 *   read_entry      next entry that was written; goes on where a block's count is reached
 *   prev            the slot before; counts are left alone
 */
import type { Phys } from '../base/units.ts';
import type { Stateful } from '../machine/journal.ts';
import { KHO_BLOCK_HEADER_SER } from './abi.ts';
import type { KhoBlockSet } from './block_set.ts';
import { type BlockHandle, NO_BLOCK } from './block_table.ts';

const COUNT = KHO_BLOCK_HEADER_SER.at.count;
const HEADER_BYTES = KHO_BLOCK_HEADER_SER.size;

export class KhoBlockSetIt implements Stateful {
  readonly #set: KhoBlockSet;
  #block: BlockHandle = NO_BLOCK;
  #i = 0;

  constructor(set: KhoBlockSet) {
    this.#set = set;
    this.init();
  }

  /** Goes before the first entry. @kernel kho_block_set_it_init */
  init(): void {
    this.#block = this.#set.first;
    this.#i = 0;
  }

  /** Address of a slot to write to, 0 where the blocks are full. @kernel kho_block_set_it_reserve_entry */
  reserveEntry(): Phys | 0 {
    if (this.#block === NO_BLOCK) return 0;
    if (this.#i === this.#set.perBlock && !this.#nextBlock()) return 0;
    const entry = this.#entry(this.#i++);
    this.#set.table.kernel.machine.ram.store64(this.#set.table.address(this.#block) + COUNT, this.#i);
    return entry;
  }

  /** Address of an entry that was written, 0 at the end. @kernel kho_block_set_it_read_entry */
  readEntry(): Phys | 0 {
    if (this.#block === NO_BLOCK) return 0;
    const { ram } = this.#set.table.kernel.machine;
    const count = ram.load64(this.#set.table.address(this.#block) + COUNT);
    if (this.#i === count && !this.#nextBlock()) return 0;
    return this.#entry(this.#i++);
  }

  /** Address of the slot before, 0 at the start. @kernel kho_block_set_it_prev */
  prev(): Phys | 0 {
    if (this.#block === NO_BLOCK) return 0;
    if (this.#i === 0) {
      const prev = this.#set.table.prev(this.#block);
      if (prev === NO_BLOCK) return 0;
      this.#block = prev;
      this.#i = this.#set.perBlock;
    }
    return this.#entry(--this.#i);
  }

  capture(): unknown {
    return [this.#block, this.#i];
  }

  reinstate(state: unknown): void {
    [this.#block, this.#i] = state as [BlockHandle, number];
  }

  #nextBlock(): boolean {
    const next = this.#set.table.next(this.#block);
    if (next === NO_BLOCK) return false;
    this.#block = next;
    this.#i = 0;
    return true;
  }

  /** @kernel kho_block_entry, kho_block_entries */
  #entry(i: number): Phys {
    return (this.#set.table.address(this.#block) + HEADER_BYTES + i * this.#set.entryBytes) as Phys;
  }
}
