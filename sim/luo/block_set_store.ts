/*
 * The session store of v7.3 (luo-v5): a block set of one-page blocks, 51 sessions each, at most 10,000 of them.
 *
 *   luo_ser.sessions_pa --> block 0 --next--> block 1 --next--> ... --next--> 0
 *
 * insert grows the set by the block that is missing, removal shrinks it to what the sessions need; nothing is
 * allocated while there are none. serialize reserves slots, which writes each block's count as it goes: nothing is
 * left to do at the end, and nothing is taken back by an undo (the next attempt writes the counts anew).
 *
 * What the real one does not look after: insert grows the set before it finds that the name is taken. With the blocks
 * exactly full, that leaves a block no session needs, with count 0, until a removal or the next creation; if the reboot
 * comes first, the next kernel refuses the whole chain. It is modelled as it is.
 *
 * The next kernel takes the chain over, or refuses it, at early init. No lock of its own: the outgoing rwsem.
 */
import { type Order, orderOf, type Phys } from '../base/units.ts';
import { KHO_BLOCK_SIZE } from '../kho/abi.ts';
import { type BlockGeometry, blocksOf, type FreeBlock, KhoBlockSet } from '../kho/block_set.ts';
import { KhoBlockSetIt } from '../kho/block_set_it.ts';
import type { KhoBlockTable } from '../kho/block_table.ts';
import { LUO_SESSION_SER } from './abi.ts';
import type { IncomingStore, OpenIncoming, OutgoingStore } from './session_store.ts';

const ORDER = orderOf(KHO_BLOCK_SIZE);

/** The blocks of the real kernel; tests scale them down. */
export const SESSION_BLOCK_SET: BlockGeometry = blocksOf(LUO_SESSION_SER.size);

export class BlockSetStore implements OutgoingStore {
  readonly set: KhoBlockSet;
  readonly blocksAtBoot = 0;
  readonly blockBytes = KHO_BLOCK_SIZE;
  readonly #it: KhoBlockSetIt;

  constructor(table: KhoBlockTable, geometry: BlockGeometry) {
    this.set = KhoBlockSet.alone(table, geometry, 'luo_session_header[outgoing].block_set');
    this.#it = new KhoBlockSetIt(this.set);
    table.kernel.machine.journal.enlist(this.#it);
  }

  get headPhys(): number {
    return this.set.headPhys;
  }

  get blocks(): number {
    return this.set.nblocks;
  }

  /** Never an error: the real one allocates the page first and sees the limit then, in addBlock. */
  room(count: number): number {
    return this.set.needsBlock(count + 1) ? 1 : 0;
  }

  addBlock(address: Phys): number {
    return this.set.add(address);
  }

  dropBlock(count: number): number {
    return this.set.sparesBlock(count) ? this.set.shrinkOne() : 0;
  }

  begin(): void {
    this.#it.init();
  }

  nextSlot(): number {
    return this.#it.reserveEntry();
  }

  previousSlot(): number {
    return this.#it.prev();
  }

  commit(_count: number): void {
    // Every count was written when its slots were reserved.
  }

  regions(): { readonly address: Phys; readonly order: Order }[] {
    return [...this.set.addresses()].map((address) => ({ address, order: ORDER }));
  }
}

/** A chain that was taken over; deserializing reads it, and frees it whatever comes of that. */
class IncomingBlockSet implements IncomingStore {
  readonly freedOnFailure = true;
  readonly capacity: number;
  readonly #set: KhoBlockSet;
  readonly #it: KhoBlockSetIt;
  readonly #restoreFree: FreeBlock;

  constructor(set: KhoBlockSet, restoreFree: FreeBlock) {
    this.#set = set;
    this.capacity = set.nblocks * set.perBlock;
    this.#it = new KhoBlockSetIt(set);
    this.#restoreFree = restoreFree;
    set.table.kernel.machine.journal.enlist(this.#it);
  }

  nextSlot(): number {
    return this.#it.readEntry();
  }

  free(): void {
    this.#set.destroy(this.#restoreFree);
    this.#it.init();
  }
}

/** Takes a chain over at early init; its errors are those of kho_block_set_restore. @kernel luo_session_setup_incoming */
export function blockSetOpener(
  table: KhoBlockTable,
  restoreFree: FreeBlock,
  geometry: BlockGeometry,
): OpenIncoming {
  return (head) => {
    const set = KhoBlockSet.alone(table, geometry, 'luo_session_header[incoming].block_set');
    const err = set.restore(head, restoreFree);
    return err === 0 ? new IncomingBlockSet(set, restoreFree) : err;
  };
}
