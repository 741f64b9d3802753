/*
 * What the file stores of regions of two pages have in common, one region (file_array.ts) or a chain (file_chain.ts).
 * Both belong to the session as an address and nothing more; what else there is to know stands in the regions.
 *
 *   row   address of the first region (2 words) | the store's own
 *
 * Regions go with the last file. Nobody checks what the next kernel reads against the count in the session's slot.
 */
import { fromWords, highWord, orderOf, type Phys } from '../base/units.ts';
import type { Ram } from '../machine/ram.ts';
import { LUO_FILE_BYTES, LUO_FILE_SER } from './abi.ts';
import type { FileSlots, FileStore, StoreRow } from './file_store.ts';
import type { SessionHandle } from './session_table.ts';

/** Words of the row that are taken; the store's own come behind them. */
export const REGION_STORE_WORDS = 2;

export abstract class FileRegions implements FileStore {
  readonly blockBytes = LUO_FILE_BYTES;
  readonly order = orderOf(LUO_FILE_BYTES);
  readonly shrinks = false;
  readonly checksCount = false;
  abstract readonly growsFirst: boolean;
  protected readonly ram: Ram;
  protected readonly rowOf: (set: SessionHandle) => StoreRow;

  constructor(ram: Ram, rowOf: (set: SessionHandle) => StoreRow) {
    this.ram = ram;
    this.rowOf = rowOf;
  }

  /** Nobody remembers where a region came from: finish takes it for the previous kernel's. */
  restores(_set: SessionHandle, finishing: boolean): boolean {
    return finishing;
  }

  headPhys(set: SessionHandle): number {
    const { rows, at } = this.rowOf(set);
    return fromWords(rows.get(at), rows.get(at + 1));
  }

  /** Zeroes what lies behind `from` in every region. */
  protected zero(set: SessionHandle, from: number): void {
    const words = (LUO_FILE_BYTES - from) / 4;
    for (const region of this.regions(set)) this.ram.storeWords(region + from, NOTHING, 0, words);
  }

  protected setHead(set: SessionHandle, head: number): void {
    const { rows, at } = this.rowOf(set);
    rows.set(at, head | 0);
    rows.set(at + 1, highWord(head));
  }

  abstract room(set: SessionHandle, count: number): number;
  abstract addBlock(set: SessionHandle, address: Phys): number;
  abstract dropBlock(set: SessionHandle, count: number): Phys | 0;
  abstract write(set: SessionHandle): FileSlots;
  abstract clear(set: SessionHandle): void;
  abstract open(set: SessionHandle, head: Phys, count: number): FileSlots | number;
  abstract regions(set: SessionHandle): Phys[];
}

const NOTHING = new Int32Array(LUO_FILE_BYTES / 4);

/** A place between two slots of regions. */
export class RegionSlots {
  /** The region that the last slot was in, or the one it goes on with; 0 behind the last. */
  region: number;
  /** Slots of that region that are passed. */
  passed = 0;
  readonly #firstAt: number;

  /** Slots begin `firstAt` bytes into a region. */
  constructor(head: number, firstAt: number) {
    this.region = head;
    this.#firstAt = firstAt;
  }

  /** Address of the next slot, 0 behind the last: a region has `slotsIn`, and `leave` says where it goes on. */
  next(slotsIn: (region: number) => number, leave: (region: number) => number): number {
    while (this.region !== 0 && this.passed >= slotsIn(this.region)) {
      this.region = leave(this.region);
      this.passed = 0;
    }
    return this.region === 0 ? 0 : this.region + this.#firstAt + this.passed++ * LUO_FILE_SER.size;
  }
}
