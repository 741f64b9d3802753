/*
 * The file store of v6.19 to v7.1: a region of 2 pages with 128 entries and no header, allocated for the first file of
 * a session and freed with the last. Layout: abi.ts.
 *
 *   file_set_ser.files --> | file 0 | file 1 | ... | file 127 |      file_set_ser.count says how many
 *
 * Nobody checks the count: the next kernel reads on behind the region if it says so.
 *
 *   row   address of the region (2 words) | - | -
 */
import { ERRNO } from '../base/errno.ts';
import { orderOf, type Phys } from '../base/units.ts';
import type { Ram } from '../machine/ram.ts';
import { LUO_FILE_BYTES, LUO_FILE_MAX, LUO_FILE_SER } from './abi.ts';
import type { FileSlots, FileStore, StoreRow } from './file_store.ts';
import type { SessionHandle } from './session_table.ts';

const HIGH = 2 ** 32;
const NOTHING = new Int32Array(LUO_FILE_BYTES / 4);

export class FileArray implements FileStore {
  readonly blockBytes = LUO_FILE_BYTES;
  readonly order = orderOf(LUO_FILE_BYTES);
  readonly growsFirst = false;
  readonly shrinks = false;
  readonly checksCount = false;
  readonly #ram: Ram;
  readonly #rowOf: (set: SessionHandle) => StoreRow;

  constructor(ram: Ram, rowOf: (set: SessionHandle) => StoreRow) {
    this.#ram = ram;
    this.#rowOf = rowOf;
  }

  room(set: SessionHandle, count: number): number {
    if (count >= LUO_FILE_MAX) return -ERRNO.ENOSPC;
    return this.headPhys(set) === 0 ? 1 : 0;
  }

  addBlock(set: SessionHandle, address: Phys): number {
    this.#setHead(set, address);
    return 0;
  }

  dropBlock(set: SessionHandle, count: number): Phys | 0 {
    const head = this.headPhys(set);
    if (count > 0 || head === 0) return 0;
    this.#setHead(set, 0);
    return head as Phys;
  }

  /** Nobody remembers where a region came from: finish takes it for the previous kernel's. */
  restores(_set: SessionHandle, finishing: boolean): boolean {
    return finishing;
  }

  headPhys(set: SessionHandle): number {
    const { rows, at } = this.#rowOf(set);
    return (rows.get(at) >>> 0) + (rows.get(at + 1) >>> 0) * HIGH;
  }

  write(set: SessionHandle): FileSlots {
    return this.#slots(this.headPhys(set), LUO_FILE_MAX);
  }

  clear(set: SessionHandle): void {
    this.#ram.storeWords(this.headPhys(set), NOTHING, 0, NOTHING.length);
  }

  open(set: SessionHandle, head: Phys, count: number): FileSlots {
    this.#setHead(set, head);
    return this.#slots(head, count);
  }

  regions(set: SessionHandle): Phys[] {
    const head = this.headPhys(set);
    return head === 0 ? [] : [head as Phys];
  }

  #slots(head: number, count: number): FileSlots {
    let i = 0;
    return {
      next: () => (i === count ? 0 : head + i++ * LUO_FILE_SER.size),
      // The count stands in the session's slot.
      commit: () => undefined,
    };
  }

  #setHead(set: SessionHandle, head: number): void {
    const { rows, at } = this.#rowOf(set);
    rows.set(at, head | 0);
    rows.set(at + 1, Math.floor(head / HIGH) | 0);
  }
}
