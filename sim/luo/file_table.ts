/*
 * struct luo_file, of which there may be millions: an object of the luo_file slab, all of it in its row.
 *
 *   row   the cache's word, next, prev (list links), set (the session), position in the list, token (2 words),
 *         struct file, handler + 1, serialized_data (2 words), private_data, retrieve_status,
 *         holder of luo_file.mutex, id (2 words)
 *
 * A file set is appended to at its end, and taken from at its end or all at once: so the position of a file in its list
 * is a number it keeps, and tells what a search for its token would have walked.
 */
import { fromWords, highWord } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { FileHandle } from '../kernel/vfs.ts';
import { RowWord } from '../machine/row_word.ts';
import type { SlabCache } from '../machine/slab.ts';
import { kmallocBytes } from '../machine/slab_order.ts';
import { MutexColumn } from '../sched/mutex.ts';
import type { SessionHandle } from './session_table.ts';

declare const brand: unique symbol;
/** A luo_file. 0 is no file. */
export type LuoFile = number & { readonly [brand]: 'luo_file' };

export const NO_FILE = 0 as LuoFile;

/** sizeof(struct luo_file): five words and a half, a mutex, a list_head, the token. */
const FILE_BYTES = 96;

const ROW = 16;
const NEXT = 1;
const PREV = 2;
const SET = 3;
const POSITION = 4;
const TOKEN = 5;
const FILE = 7;
const HANDLER = 8;
const DATA = 9;
const PRIVATE = 11;
const STATUS = 12;
const MUTEX = 13;
const ID = 14;

export class FileTable {
  readonly slab: SlabCache;
  readonly mutex: MutexColumn;

  constructor(kernel: Kernel) {
    this.slab = kernel.slab('luo_file', kmallocBytes(FILE_BYTES), ROW);
    this.mutex = new MutexColumn(kernel.sched, 'luo_file.mutex', new RowWord(this.slab, MUTEX));
  }

  /** A file in no set, or NO_FILE (-ENOMEM). */
  alloc(tokenLow: number, tokenHigh: number, handler: number, file: FileHandle | 0): LuoFile {
    const luoFile = this.slab.alloc() as LuoFile;
    if (luoFile === NO_FILE) return NO_FILE;
    this.#set(luoFile, TOKEN, tokenLow);
    this.#set(luoFile, TOKEN + 1, tokenHigh);
    this.#set(luoFile, HANDLER, handler + 1);
    this.#set(luoFile, FILE, file);
    return luoFile;
  }

  free(file: LuoFile): void {
    this.slab.free(file);
  }

  next(file: LuoFile): LuoFile {
    return this.#get(file, NEXT) as LuoFile;
  }

  setNext(file: LuoFile, next: LuoFile): void {
    this.#set(file, NEXT, next);
  }

  prev(file: LuoFile): LuoFile {
    return this.#get(file, PREV) as LuoFile;
  }

  /** Places a file at the end of a set's list. */
  link(file: LuoFile, set: SessionHandle, prev: LuoFile, position: number): void {
    this.#set(file, SET, set);
    this.#set(file, PREV, prev);
    this.#set(file, POSITION, position);
  }

  /** The session whose list it is on; 0 while on none. */
  set(file: LuoFile): SessionHandle {
    return this.#get(file, SET) as SessionHandle;
  }

  position(file: LuoFile): number {
    return this.#get(file, POSITION);
  }

  tokenLow(file: LuoFile): number {
    return this.#get(file, TOKEN);
  }

  tokenHigh(file: LuoFile): number {
    return this.#get(file, TOKEN + 1);
  }

  /** The struct file; 0 in the new kernel until it was retrieved. */
  file(file: LuoFile): FileHandle | 0 {
    return this.#get(file, FILE) as FileHandle | 0;
  }

  setFile(file: LuoFile, of: FileHandle): void {
    this.#set(file, FILE, of);
  }

  /** Number of its handler. */
  handler(file: LuoFile): number {
    return this.#get(file, HANDLER) - 1;
  }

  /** serialized_data: exact below 2^53. */
  data(file: LuoFile): number {
    return this.#pair(file, DATA);
  }

  setData(file: LuoFile, data: number): void {
    this.#setPair(file, DATA, data);
  }

  privateData(file: LuoFile): number {
    return this.#get(file, PRIVATE);
  }

  setPrivateData(file: LuoFile, data: number): void {
    this.#set(file, PRIVATE, data);
  }

  status(file: LuoFile): number {
    return this.#get(file, STATUS);
  }

  setStatus(file: LuoFile, status: number): void {
    this.#set(file, STATUS, status);
  }

  /** What it is in the table of preserved files under; 0 while it is not there. */
  id(file: LuoFile): number {
    return this.#pair(file, ID);
  }

  setId(file: LuoFile, id: number): void {
    this.#setPair(file, ID, id);
  }

  #get(file: LuoFile, word: number): number {
    return this.slab.get(file, word);
  }

  #set(file: LuoFile, word: number, value: number): void {
    this.slab.set(file, word, value);
  }

  #pair(file: LuoFile, word: number): number {
    return fromWords(this.#get(file, word), this.#get(file, word + 1));
  }

  #setPair(file: LuoFile, word: number, value: number): void {
    this.#set(file, word, value | 0);
    this.#set(file, word + 1, highWord(value));
  }
}
