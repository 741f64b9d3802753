/*
 * struct luo_file_set, one in every session: its files in order of preservation, how many there are, and the store's
 * words. Under session.mutex.
 *
 *   row   first file, last file, files listed, count (2 words), the store's words, and up to a power of two
 *
 * `count` is what the kernel keeps beside the list. The two differ where the fixed arrays fail to deserialize: count is
 * then what was handed over, and the list ends where it went wrong.
 *
 * The kernel looks for a token along the list; here the answer is found at once and the walk is charged.
 */

import { assert } from '../base/assert.ts';
import { fromWords, highWord } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { FreeBlock } from '../kho/block_set.ts';
import type { KhoBlockTable } from '../kho/block_table.ts';
import type { Column } from '../machine/column.ts';
import { STEP } from '../machine/cpu.ts';
import { PIECE_MASK, ZERO_PIECE } from '../machine/pool.ts';
import { indexOf } from '../machine/slab_handle.ts';
import { FileArray } from './file_array.ts';
import { FileBlockSet } from './file_block_set.ts';
import { FileChain } from './file_chain.ts';
import { FileIndex, hashWords } from './file_index.ts';
import { type FileStore, STORE_WORDS, type StoreRow } from './file_store.ts';
import { type FileTable, type LuoFile, NO_FILE } from './file_table.ts';
import { NO_SESSION, type SessionHandle, type SessionTable } from './session_table.ts';

const FIRST = 0;
const LAST = 1;
const LISTED = 2;
const COUNT = 3;
const STORE = 5;
const WORDS = 16;
assert(STORE + STORE_WORDS <= WORDS, 'a row has room for the words of a store');

export class FileSets {
  readonly store: FileStore;
  readonly #kernel: Kernel;
  readonly #sessions: SessionTable;
  readonly #files: FileTable;
  readonly #rows: Column;
  readonly #tokens: FileIndex;

  constructor(
    kernel: Kernel,
    sessions: SessionTable,
    files: FileTable,
    blocks: () => KhoBlockTable,
    restoreFree: FreeBlock,
  ) {
    this.#kernel = kernel;
    this.#sessions = sessions;
    this.#files = files;
    this.#rows = sessions.slab.records('luo_session.file_set', WORDS, true);
    this.#tokens = new FileIndex(kernel.storage, files, {
      label: 'luo_file tokens',
      has: (file) => files.set(file) !== NO_SESSION,
      hash: (file) => hashWords(files.set(file), files.tokenLow(file), files.tokenHigh(file)),
      order: (file) => files.position(file),
    });
    this.store = this.#makeStore(blocks, restoreFree);
  }

  first(set: SessionHandle): LuoFile {
    return this.#get(set, FIRST) as LuoFile;
  }

  last(set: SessionHandle): LuoFile {
    return this.#get(set, LAST) as LuoFile;
  }

  /** Files on the list. */
  listed(set: SessionHandle): number {
    return this.#get(set, LISTED);
  }

  /** luo_file_set.count. */
  count(set: SessionHandle): number {
    const i = this.#sessions.slab.index(set) * WORDS;
    const row = this.#rows.piece(i);
    // Not out of a cache line for each session that has no file.
    if (row === ZERO_PIECE) return 0;
    const at = (i & PIECE_MASK) + COUNT;
    return fromWords(row[at] as number, row[at + 1] as number);
  }

  /** Whether there is nothing of files: none on the list, none counted, no region. */
  isBlank(set: SessionHandle): boolean {
    const at = this.#sessions.slab.index(set) * WORDS;
    for (let word = 0; word < WORDS; word++) if (this.#rows.get(at + word) !== 0) return false;
    return true;
  }

  /** Whether nobody ever wrote to this set, nor to those around it: then it is blank. Quickly told, of any handle. */
  isUntouched(set: SessionHandle): boolean {
    return this.#rows.piece(indexOf(set) * WORDS) === ZERO_PIECE;
  }

  setCount(set: SessionHandle, count: number): void {
    this.#set(set, COUNT, count | 0);
    this.#set(set, COUNT + 1, highWord(count));
  }

  /** The file of a token, or NO_FILE; charges a step for every file that a search along the list looks at. */
  find(set: SessionHandle, tokenLow: number, tokenHigh: number): LuoFile {
    const files = this.#files;
    const found = this.#tokens.find(
      hashWords(set, tokenLow, tokenHigh),
      (file) =>
        files.set(file) === set && files.tokenLow(file) === tokenLow && files.tokenHigh(file) === tokenHigh,
    );
    this.#kernel.charge(STEP.tokenHop, found === NO_FILE ? this.listed(set) : files.position(found) + 1);
    return found;
  }

  /** list_add_tail. A token that is there already is found first where it was first. */
  append(set: SessionHandle, file: LuoFile): void {
    const last = this.last(set);
    const listed = this.listed(set);
    this.#files.link(file, set, last, listed);
    if (last === NO_FILE) this.#set(set, FIRST, file);
    else this.#files.setNext(last, file);
    this.#set(set, LAST, file);
    this.#set(set, LISTED, listed + 1);
    this.#tokens.add(file);
  }

  /** list_del of the last file. */
  removeLast(set: SessionHandle): void {
    const last = this.last(set);
    const prev = this.#files.prev(last);
    this.#set(set, LAST, prev);
    if (prev === NO_FILE) this.#set(set, FIRST, NO_FILE);
    else this.#files.setNext(prev, NO_FILE);
    this.#files.link(last, NO_SESSION, NO_FILE, 0);
    this.#set(set, LISTED, this.listed(set) - 1);
  }

  #makeStore(blocks: () => KhoBlockTable, restoreFree: FreeBlock): FileStore {
    const { ram } = this.#kernel.machine;
    const rowOf = (set: SessionHandle): StoreRow => ({
      rows: this.#rows,
      at: this.#sessions.slab.index(set) * WORDS + STORE,
    });
    switch (this.#kernel.revision.parts.fileStore) {
      case 'array-2':
        return new FileArray(ram, rowOf);
      case 'block-chain-2':
        return new FileChain(ram, rowOf);
      case 'block-set-1':
        return new FileBlockSet(blocks(), rowOf, restoreFree);
    }
  }

  #get(set: SessionHandle, word: number): number {
    return this.#rows.get(this.#sessions.slab.index(set) * WORDS + word);
  }

  #set(set: SessionHandle, word: number, value: number): void {
    this.#rows.set(this.#sessions.slab.index(set) * WORDS + word, value);
  }
}
