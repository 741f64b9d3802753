/*
 * Where sessions are serialized to: the session store. Designs differ by revision behind these interfaces, and all
 * pass the laws in test/luo/session_store.laws.ts.
 *
 * Outgoing, under W(outgoing.rwsem):      capacity at insert, a cursor of slots at serialize, undo
 * Incoming, at first open only:           a cursor over the slots that were filled, freeing at the end
 */
import type { Order, Phys } from '../base/units.ts';

export interface OutgoingStore {
  /** Address of the first region, 0 while there is none. */
  readonly headPhys: number;
  /** Regions allocated at late init, before there is any session. */
  readonly blocksAtBoot: number;
  /** Blocks now. */
  readonly blocks: number;
  /** Before `count + 1` sessions: 0 for room, 1 for "one more block first", or a negative errno. */
  room(count: number): number;
  /** Bytes of a block. */
  readonly blockBytes: number;
  /** Links an allocated, preserved, zeroed block at the end: 0, or an errno with the block left to the caller. */
  addBlock(address: Phys): number;
  /** Blocks that removal down to `count` makes superfluous, last first: address to free, or 0. */
  dropBlock(count: number): number;
  /** Starts writing from the first slot. */
  begin(): void;
  /** Address of the next slot, 0 where there is none (which cannot happen while `room` was honoured). */
  nextSlot(): number;
  /** Address of the slot before, for undo; 0 at the start. */
  previousSlot(): number;
  /** All `count` slots are written: headers are final. */
  commit(count: number): void;
  /** Addresses and order of every region, in chain order; for oracles. */
  regions(): { readonly address: Phys; readonly order: Order }[];
}

/** Looks at what the previous kernel left, at early init: a reader, or a negative errno. */
export type OpenIncoming = (head: Phys) => IncomingStore | number;

export interface IncomingStore {
  /** Whether a deserialization that failed gives the regions back, too; else they stay reserved for ever. */
  readonly freedOnFailure: boolean;
  /** Sessions that its regions have room for, as far as those were looked at early; 0 where they were not. */
  readonly capacity: number;
  /** Address of the next filled slot, 0 at the end. */
  nextSlot(): number;
  /** Gives every region back to the allocator. */
  free(): void;
}
