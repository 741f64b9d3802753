/*
 * The session store of april-v1: a chain of 16-page blocks, 819 sessions each, at most 10,000 of them.
 *
 *   luo-session-header --> block 0 --next--> block 1 --next--> ... --next--> 0
 *
 * insert allocates a block when the list has filled those there are, and links it behind the last; removal keeps
 * blocks for reuse. serialize fills blocks in order and stores each one's count, 0 in blocks that are left over.
 * No lock of its own: every access is under the outgoing rwsem. Inferred: see kernel/revisions.ts.
 */
import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { type Order, orderOf, type Phys, wide } from '../base/units.ts';
import { Column, type Storage } from '../machine/column.ts';
import type { Journal, Stateful } from '../machine/journal.ts';
import type { Ram } from '../machine/ram.ts';
import {
  LUO_MAX_BLOCKS,
  LUO_SESSION_BLOCK_SER,
  LUO_SESSION_BYTES,
  LUO_SESSION_SER,
  LUO_SESSIONS_PER_BLOCK,
} from './abi.ts';
import type { IncomingStore, OpenIncoming, OutgoingStore } from './session_store.ts';

const HEADER = LUO_SESSION_BLOCK_SER.at;
const HEADER_BYTES = LUO_SESSION_BLOCK_SER.size;
const SLOT_BYTES = LUO_SESSION_SER.size;
/** Blocks are remembered by frame number. */
const FRAME_BYTES = 4096;

/** Sessions that fit a block of `bytes`; tests and searches scale blocks down. */
export interface ChainGeometry {
  readonly blockBytes: number;
  readonly perBlock: number;
  readonly maxBlocks: number;
}

export const APRIL_CHAIN: ChainGeometry = {
  blockBytes: LUO_SESSION_BYTES,
  perBlock: LUO_SESSIONS_PER_BLOCK,
  maxBlocks: LUO_MAX_BLOCKS,
};

export class BlockChain implements OutgoingStore, Stateful {
  readonly #ram: Ram;
  readonly #geometry: ChainGeometry;
  /** struct luo_session_block by number: the frame of its ser. */
  readonly #frames: Column;
  readonly blocksAtBoot = 1;
  blocks = 0;
  /** Slot the cursor stands behind: block, its address (0 where there is none), and index. */
  #block = 0;
  #at = wide(0);
  #slot = 0;

  constructor(storage: Storage, ram: Ram, geometry: ChainGeometry) {
    this.#ram = ram;
    this.#geometry = geometry;
    this.#frames = new Column(storage, 'luo_session_block', LUO_MAX_BLOCKS);
    storage.journal.enlist(this);
  }

  get headPhys(): number {
    return this.blocks === 0 ? 0 : this.#address(0);
  }

  get blockBytes(): number {
    return this.#geometry.blockBytes;
  }

  room(count: number): number {
    const { perBlock, maxBlocks } = this.#geometry;
    if (count < this.blocks * perBlock) return 0;
    return this.blocks >= maxBlocks ? -ERRNO.ENOSPC : 1;
  }

  addBlock(address: Phys): number {
    assert(this.blocks < this.#geometry.maxBlocks, 'a block too many');
    if (this.blocks > 0) this.#ram.store64(this.#address(this.blocks - 1) + HEADER.next, address);
    this.#frames.set(this.blocks, address / FRAME_BYTES);
    this.blocks++;
    return 0;
  }

  dropBlock(_count: number): number {
    return 0;
  }

  begin(): void {
    this.#goTo(0, 0);
  }

  nextSlot(): number {
    if (this.#slot === this.#geometry.perBlock) {
      this.#ram.store64(this.#at + HEADER.count, this.#slot);
      this.#goTo(this.#block + 1, 0);
    }
    if (this.#at === 0) return 0;
    return this.#at + HEADER_BYTES + this.#slot++ * SLOT_BYTES;
  }

  previousSlot(): number {
    if (this.#slot === 0) {
      if (this.#block === 0) return 0;
      this.#goTo(this.#block - 1, this.#geometry.perBlock);
    }
    this.#slot--;
    return this.#at + HEADER_BYTES + this.#slot * SLOT_BYTES;
  }

  commit(count: number): void {
    assert(this.#block * this.#geometry.perBlock + this.#slot === count, 'every session got its slot');
    for (let block = this.#block; block < this.blocks; block++) {
      this.#ram.store64(this.#address(block) + HEADER.count, block === this.#block ? this.#slot : 0);
    }
  }

  regions(): { readonly address: Phys; readonly order: Order }[] {
    const order = orderOf(this.#geometry.blockBytes);
    return Array.from({ length: this.blocks }, (_, block) => ({ address: this.#address(block), order }));
  }

  capture(): unknown {
    return [this.blocks, this.#block, this.#at, this.#slot];
  }

  reinstate(state: unknown): void {
    [this.blocks, this.#block, this.#at, this.#slot] = state as [number, number, number, number];
  }

  #goTo(block: number, slot: number): void {
    this.#block = block;
    this.#at = block < this.blocks ? this.#address(block) : 0;
    this.#slot = slot;
  }

  #address(block: number): Phys {
    return (this.#frames.get(block) * FRAME_BYTES) as Phys;
  }
}

/** Blocks of an incoming chain, or -EINVAL for more than there may be (a cycle, too). */
export function countBlocks(ram: Ram, head: Phys, { maxBlocks }: ChainGeometry): number {
  let blocks = 0;
  for (let at: number = head; at !== 0; at = ram.load64(at + HEADER.next)) {
    if (++blocks > maxBlocks) return -ERRNO.EINVAL;
  }
  return blocks;
}

/** Reads a chain as it lies there: counts are trusted, empty blocks skipped. */
export class IncomingBlockChain implements IncomingStore, Stateful {
  readonly #ram: Ram;
  readonly #head: Phys;
  readonly #restoreFree: (address: Phys) => void;
  readonly freedOnFailure = false;
  readonly capacity: number;
  #block: number;
  #slot = 0;

  constructor(
    journal: Journal,
    ram: Ram,
    head: Phys,
    capacity: number,
    restoreFree: (address: Phys) => void,
  ) {
    this.#ram = ram;
    this.#head = head;
    this.capacity = capacity;
    this.#block = head;
    this.#restoreFree = restoreFree;
    journal.enlist(this);
  }

  nextSlot(): number {
    while (this.#block !== 0 && this.#slot >= this.#ram.load64(this.#block + HEADER.count)) {
      this.#block = this.#ram.load64(this.#block + HEADER.next);
      this.#slot = 0;
    }
    if (this.#block === 0) return 0;
    return this.#block + HEADER_BYTES + this.#slot++ * SLOT_BYTES;
  }

  free(): void {
    for (let at: number = this.#head; at !== 0; ) {
      const next = this.#ram.load64(at + HEADER.next);
      this.#restoreFree(at as Phys);
      at = next;
    }
  }

  capture(): unknown {
    return [this.#block, this.#slot];
  }

  reinstate(state: unknown): void {
    [this.#block, this.#slot] = state as [number, number];
  }
}

/** Counts the blocks; a chain with too many is refused, a cycle with it. @kernel luo_session_setup_incoming */
export function blockChainOpener(
  journal: Journal,
  ram: Ram,
  restoreFree: (address: Phys) => void,
  geometry: ChainGeometry,
): OpenIncoming {
  return (head) => {
    const blocks = countBlocks(ram, head, geometry);
    if (blocks < 0) return blocks;
    return new IncomingBlockChain(journal, ram, head, blocks * geometry.perBlock, restoreFree);
  };
}
