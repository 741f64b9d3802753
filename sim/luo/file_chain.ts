/*
 * The file store of april-v1: a chain of 2-page blocks in every session with files, 127 files each. As the session
 * chain of that series (block_chain.ts): a full set gets one more block, blocks are kept for reuse until the set has
 * no files, counts are written when files are. Inferred: see kernel/revisions.ts.
 *
 *   file_set_ser.files --> block 0 --next--> block 1 --next--> ... --next--> 0
 *
 *   row   as file_regions.ts has it | number of blocks | frame of the last one
 */
import { ERRNO } from '../base/errno.ts';
import { type Pfn, type Phys, pfnOf, physOf } from '../base/units.ts';
import { LUO_FILE_BLOCK_SER, LUO_FILES_PER_BLOCK, LUO_MAX_BLOCKS } from './abi.ts';
import { FileRegions, REGION_STORE_WORDS, RegionSlots } from './file_regions.ts';
import type { FileSlots } from './file_store.ts';
import type { SessionHandle } from './session_table.ts';

const HEADER = LUO_FILE_BLOCK_SER.at;
const HEADER_BYTES = LUO_FILE_BLOCK_SER.size;
const BLOCKS = REGION_STORE_WORDS;
const LAST = BLOCKS + 1;

export class FileChain extends FileRegions {
  readonly growsFirst = true;

  room(set: SessionHandle, count: number): number {
    const { rows, at } = this.rowOf(set);
    const blocks = rows.get(at + BLOCKS);
    if (count < blocks * LUO_FILES_PER_BLOCK) return 0;
    return blocks >= LUO_MAX_BLOCKS ? -ERRNO.ENOSPC : 1;
  }

  addBlock(set: SessionHandle, address: Phys): number {
    const { rows, at } = this.rowOf(set);
    const blocks = rows.get(at + BLOCKS);
    if (blocks === 0) this.setHead(set, address);
    else this.ram.store64(physOf(rows.get(at + LAST) as Pfn) + HEADER.next, address);
    rows.set(at + BLOCKS, blocks + 1);
    rows.set(at + LAST, pfnOf(address));
    return 0;
  }

  /** All go with the last file, first to last: each says which is next. */
  dropBlock(set: SessionHandle, count: number): Phys | 0 {
    const head = this.headPhys(set);
    if (count > 0 || head === 0) return 0;
    const { rows, at } = this.rowOf(set);
    this.setHead(set, this.#next(head));
    rows.set(at + BLOCKS, Math.max(rows.get(at + BLOCKS) - 1, 0));
    return head as Phys;
  }

  write(set: SessionHandle): FileSlots {
    const slots = new RegionSlots(this.headPhys(set), HEADER_BYTES);
    const leave = (block: number): number => {
      this.ram.store64(block + HEADER.count, slots.passed);
      return this.#next(block);
    };
    return {
      next: () => slots.next(() => LUO_FILES_PER_BLOCK, leave),
      commit: () => {
        for (; slots.region !== 0; slots.passed = 0) slots.region = leave(slots.region);
      },
    };
  }

  /** Counts and entries; the chain stays. */
  clear(set: SessionHandle): void {
    this.zero(set, HEADER.count);
  }

  open(set: SessionHandle, head: Phys, _count: number): FileSlots | number {
    const { rows, at } = this.rowOf(set);
    let blocks = 0;
    let last = 0;
    for (let b: number = head; b !== 0; b = this.#next(b)) {
      if (++blocks > LUO_MAX_BLOCKS) return -ERRNO.EINVAL;
      last = b;
    }
    this.setHead(set, head);
    rows.set(at + BLOCKS, blocks);
    rows.set(at + LAST, pfnOf(last as Phys));
    const slots = new RegionSlots(head, HEADER_BYTES);
    const next = (): number =>
      slots.next(
        (block) => this.ram.load64(block + HEADER.count),
        (block) => this.#next(block),
      );
    return { next, commit: () => undefined };
  }

  regions(set: SessionHandle): Phys[] {
    const found: Phys[] = [];
    for (let b = this.headPhys(set); b !== 0; b = this.#next(b)) found.push(b as Phys);
    return found;
  }

  #next(block: number): number {
    return this.ram.load64(block + HEADER.next);
  }
}
