/*
 * Where the files of a session are serialized to: the file store. As session stores (session_store.ts), designs differ
 * by revision behind one interface, but there is a set in every session, so a store is code over rows of words.
 *
 *   design           preserve                                   regions                      limit
 *   array-2          first file: one region of 2 pages          gone with the last file      128, -ENOSPC
 *   block-chain-2    full: one more block of 2 pages            gone with the last file      127 * 10,000, -ENOSPC
 *   block-set-1      full: one more page, before fget           shrinks with every removal    63 * 10,000, -ENOSPC
 *
 * All pass the laws in test/luo/file_store.laws.ts.
 * Outgoing, under session.mutex: room at preserve, a cursor of slots at freeze. Incoming: a cursor over what was written.
 */
import type { Order, Phys } from '../base/units.ts';
import type { Column } from '../machine/column.ts';
import type { SessionHandle } from './session_table.ts';

/** Words that a store has in every set. */
export const STORE_WORDS = 4;

/** The store's words of a set. */
export interface StoreRow {
  readonly rows: Column;
  /** Index of the first of them. */
  readonly at: number;
}

/** Slots one after the other. */
export interface FileSlots {
  /** Address of the next slot, 0 where there is none. */
  next(): number;
  /** All files are written: headers are final. */
  commit(): void;
}

export interface FileStore {
  /** Bytes of a region. */
  readonly blockBytes: number;
  readonly order: Order;
  /** Whether room is made before the descriptor is looked up, and taken back after everything else. */
  readonly growsFirst: boolean;
  /** Whether a removal gives back what is not needed at once, or the last one everything. */
  readonly shrinks: boolean;
  /** Whether the reader compares what it finds with the count in the session's slot, and frees all on an error. */
  readonly checksCount: boolean;
  /** Before `count + 1` files: 0 for room, 1 for "one more region first", or a negative errno. */
  room(set: SessionHandle, count: number): number;
  /** Takes an allocated, preserved, zeroed region: 0, or an errno with the region left to the caller. */
  addBlock(set: SessionHandle, address: Phys): number;
  /** A region that `count` files do without, unlinked, last first; 0 for none. */
  dropBlock(set: SessionHandle, count: number): Phys | 0;
  /** Whether a region that goes is one of the previous kernel; `finishing`: it goes because the session is finished. */
  restores(set: SessionHandle, finishing: boolean): boolean;
  /** Address of the first region, 0 while there is none. */
  headPhys(set: SessionHandle): number;
  /** Slots to write to, from the first. */
  write(set: SessionHandle): FileSlots;
  /** Forgets what was written. */
  clear(set: SessionHandle): void;
  /** Takes over what the previous kernel left, and reads it; or a negative errno with it freed. */
  open(set: SessionHandle, head: Phys, count: number): FileSlots | number;
  /** Every region, in order; for oracles. */
  regions(set: SessionHandle): Phys[];
}
