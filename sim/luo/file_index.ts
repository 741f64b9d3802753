/*
 * From a key to a luo_file, at once: tokens of a set, ids of preserved files. Open addressing over a column:
 *
 *   slot    0 empty | (7-bit tag << 24 | luo_file index + 1)
 *
 * As in name_map.ts nothing is removed: an entry counts only while its file is live and still has the key, and what
 * was left behind goes when the index is rebuilt.
 */
import { Column, type Storage } from '../machine/column.ts';
import type { Stateful } from '../machine/journal.ts';
import { type FileTable, type LuoFile, NO_FILE } from './file_table.ts';

const EMPTY = 0;
const INDEX = 0xffffff;
const TAG = 0x7f000000;
const SLOTS_MIN = 1024;

/** What files are found by. */
export interface FileKey {
  readonly label: string;
  /** Whether a live file has such a key at all. */
  has(file: LuoFile): boolean;
  hash(file: LuoFile): number;
  /** Where several files may have the same key: the least is found. */
  order?(file: LuoFile): number;
}

/** 32 bits of three words (the MurmurHash3 mix). */
export function hashWords(a: number, b: number, c: number): number {
  let h = Math.imul(a ^ 0x2545f491, 0xcc9e2d51);
  h = Math.imul((h << 15) ^ (h >>> 17) ^ b, 0x1b873593);
  h = Math.imul((h << 13) ^ (h >>> 19) ^ c, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 16), 0xc2b2ae35);
  return h ^ (h >>> 15);
}

export class FileIndex implements Stateful {
  readonly #storage: Storage;
  readonly #table: FileTable;
  readonly #key: FileKey;
  #slots: Column;
  #mask = SLOTS_MIN - 1;
  /** Slots that are not empty. */
  #used = 0;

  constructor(storage: Storage, table: FileTable, key: FileKey) {
    this.#storage = storage;
    this.#table = table;
    this.#key = key;
    this.#slots = new Column(storage, key.label, SLOTS_MIN);
    storage.journal.enlist(this);
  }

  /** The file that has the key whose hash this is, or NO_FILE. */
  find(hash: number, isIt: (file: LuoFile) => boolean): LuoFile {
    const tag = hash & TAG;
    const key = this.#key;
    let found = NO_FILE;
    for (let slot = hash & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const entry = this.#slots.get(slot);
      if (entry === EMPTY) return found;
      if ((entry & TAG) !== tag) continue;
      const file = this.#table.slab.handleAt((entry & INDEX) - 1) as LuoFile;
      if (file === NO_FILE || !key.has(file) || !isIt(file)) continue;
      if (key.order === undefined) return file;
      if (found === NO_FILE || key.order(file) < key.order(found)) found = file;
    }
  }

  /** Adds a file that has its key now. */
  add(file: LuoFile): void {
    if ((this.#used + 1) * 2 > this.#mask + 1) this.#rebuild();
    else this.#place(file);
  }

  capture(): unknown {
    return [this.#slots, this.#mask, this.#used];
  }

  reinstate(state: unknown): void {
    [this.#slots, this.#mask, this.#used] = state as [Column, number, number];
  }

  #place(file: LuoFile): void {
    const hash = this.#key.hash(file);
    let slot = hash & this.#mask;
    while (this.#slots.get(slot) !== EMPTY) slot = (slot + 1) & this.#mask;
    this.#slots.set(slot, (hash & TAG) | (this.#table.slab.index(file) + 1));
    this.#used++;
  }

  /** Twice the size where the live files need it; else only what was left behind goes. */
  #rebuild(): void {
    const { slab } = this.#table;
    const old = this.#slots;
    if (slab.live * 4 > this.#mask + 1) this.#mask = this.#mask * 2 + 1;
    this.#slots = new Column(this.#storage, this.#key.label, this.#mask + 1);
    this.#used = 0;
    for (let index = 0; index < slab.indexEnd; index++) {
      const file = slab.handleAt(index) as LuoFile;
      if (file !== NO_FILE && this.#key.has(file)) this.#place(file);
    }
    // A mark may still need it.
    if (this.#storage.journal.depth === 0) old.dispose();
  }
}
