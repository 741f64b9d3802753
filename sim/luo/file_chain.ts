/*
 * The file store of april-v1: a chain of 2-page blocks in every session with files, 127 files each. As the session
 * chain of that series (block_chain.ts): a full set gets one more block, blocks are kept for reuse until the set has
 * no files, counts are written when files are. Inferred: see kernel/revisions.ts.
 *
 *   file_set_ser.files --> block 0 --next--> block 1 --next--> ... --next--> 0
 *
 *   row   address of the first block (2 words) | number of blocks | frame of the last one
 */
import { ERRNO } from '../base/errno.ts';
import { orderOf, type Pfn, type Phys, pfnOf, physOf } from '../base/units.ts';
import type { Ram } from '../machine/ram.ts';
import {
  LUO_FILE_BLOCK_SER,
  LUO_FILE_BYTES,
  LUO_FILE_SER,
  LUO_FILES_PER_BLOCK,
  LUO_MAX_BLOCKS,
} from './abi.ts';
import type { FileSlots, FileStore, StoreRow } from './file_store.ts';
import type { SessionHandle } from './session_table.ts';

const HEADER = LUO_FILE_BLOCK_SER.at;
const HEADER_BYTES = LUO_FILE_BLOCK_SER.size;
const HIGH = 2 ** 32;
const BLOCKS = 2;
const LAST = 3;
const NOTHING = new Int32Array((LUO_FILE_BYTES - HEADER.count) / 4);

export class FileChain implements FileStore {
  readonly blockBytes = LUO_FILE_BYTES;
  readonly order = orderOf(LUO_FILE_BYTES);
  readonly growsFirst = true;
  readonly shrinks = false;
  readonly checksCount = false;
  readonly #ram: Ram;
  readonly #rowOf: (set: SessionHandle) => StoreRow;

  constructor(ram: Ram, rowOf: (set: SessionHandle) => StoreRow) {
    this.#ram = ram;
    this.#rowOf = rowOf;
  }

  room(set: SessionHandle, count: number): number {
    const { rows, at } = this.#rowOf(set);
    const blocks = rows.get(at + BLOCKS);
    if (count < blocks * LUO_FILES_PER_BLOCK) return 0;
    return blocks >= LUO_MAX_BLOCKS ? -ERRNO.ENOSPC : 1;
  }

  addBlock(set: SessionHandle, address: Phys): number {
    const { rows, at } = this.#rowOf(set);
    const blocks = rows.get(at + BLOCKS);
    if (blocks === 0) this.#setHead(set, address);
    else this.#ram.store64(physOf(rows.get(at + LAST) as Pfn) + HEADER.next, address);
    rows.set(at + BLOCKS, blocks + 1);
    rows.set(at + LAST, pfnOf(address));
    return 0;
  }

  /** All go with the last file, first to last: each says which is next. */
  dropBlock(set: SessionHandle, count: number): Phys | 0 {
    const head = this.headPhys(set);
    if (count > 0 || head === 0) return 0;
    const { rows, at } = this.#rowOf(set);
    this.#setHead(set, this.#ram.load64(head + HEADER.next));
    rows.set(at + BLOCKS, Math.max(rows.get(at + BLOCKS) - 1, 0));
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
    const ram = this.#ram;
    let block = this.headPhys(set);
    let slot = 0;
    const next = (): number => {
      if (block !== 0 && slot === LUO_FILES_PER_BLOCK) {
        ram.store64(block + HEADER.count, slot);
        block = ram.load64(block + HEADER.next);
        slot = 0;
      }
      return block === 0 ? 0 : block + HEADER_BYTES + slot++ * LUO_FILE_SER.size;
    };
    const commit = (): void => {
      for (; block !== 0; block = ram.load64(block + HEADER.next)) {
        ram.store64(block + HEADER.count, slot);
        slot = 0;
      }
    };
    return { next, commit };
  }

  clear(set: SessionHandle): void {
    for (const block of this.regions(set)) {
      this.#ram.storeWords(block + HEADER.count, NOTHING, 0, NOTHING.length);
    }
  }

  open(set: SessionHandle, head: Phys, _count: number): FileSlots | number {
    const ram = this.#ram;
    const { rows, at } = this.#rowOf(set);
    let blocks = 0;
    let last = 0;
    for (let b: number = head; b !== 0; b = ram.load64(b + HEADER.next)) {
      if (++blocks > LUO_MAX_BLOCKS) return -ERRNO.EINVAL;
      last = b;
    }
    this.#setHead(set, head);
    rows.set(at + BLOCKS, blocks);
    rows.set(at + LAST, pfnOf(last as Phys));
    let block: number = head;
    let slot = 0;
    const next = (): number => {
      while (block !== 0 && slot >= ram.load64(block + HEADER.count)) {
        block = ram.load64(block + HEADER.next);
        slot = 0;
      }
      return block === 0 ? 0 : block + HEADER_BYTES + slot++ * LUO_FILE_SER.size;
    };
    return { next, commit: () => undefined };
  }

  regions(set: SessionHandle): Phys[] {
    const found: Phys[] = [];
    for (let b = this.headPhys(set); b !== 0; b = this.#ram.load64(b + HEADER.next)) found.push(b as Phys);
    return found;
  }

  #setHead(set: SessionHandle, head: number): void {
    const { rows, at } = this.#rowOf(set);
    rows.set(at, head | 0);
    rows.set(at + 1, Math.floor(head / HIGH) | 0);
  }
}
