/*
 * struct luo_session, of which there may be millions: an object of the luo_session slab, all of it in one row of 64
 * bytes, as in one line of a cache.
 *
 *   row   0 the cache's word | 1 next | 2 prev (list links)
 *         3 state: 31 retrieved | 30, 29 list | 27 .. 0 position (for counting hops)
 *         4 holder of session.mutex | 5 hash of the name | 6 its place in a map and 7 its stride (name.ts)
 *         8 .. 15 bytes 0 to 31 of name[64], which is truncated to 63 bytes and NUL
 *
 * The rest of a name lies in a column beside the rows, which shorter names never touch. A session is named by its slab
 * handle; a handle that outlives its record is a use after free.
 */
import { assert } from '../base/assert.ts';
import { copyEight, copyWords } from '../base/words.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Column } from '../machine/column.ts';
import { STEP } from '../machine/cpu.ts';
import { PIECE_MASK } from '../machine/pool.ts';
import type { Ram } from '../machine/ram.ts';
import { RowWord } from '../machine/row_word.ts';
import type { SlabCache } from '../machine/slab.ts';
import { indexOf } from '../machine/slab_handle.ts';
import { MutexColumn } from '../sched/mutex.ts';
import { NAME_WORDS, NameHasher, nameText } from './name.ts';

declare const brand: unique symbol;
/** A luo_session. 0 is no session. */
export type SessionHandle = number & { readonly [brand]: 'session' };

export const NO_SESSION = 0 as SessionHandle;
/** A session has another name than was thought. */
export const OTHER_NAME = -1;

/** sizeof(struct luo_session) is 160 to 168; kzalloc serves it from kmalloc-192. */
export const SESSION_BYTES = 192;

const ROW = 16;
const NEXT = 1;
const PREV = 2;
const STATE = 3;
const MUTEX = 4;
const HASH = 5;
const PLACE = 6;
const STRIDE = 7;
const NAME = 8;
/** Words of a name in its row: eight. */
const HEAD = ROW - NAME;
/** Words of a name beside it. */
const TAIL = NAME_WORDS - HEAD;

const RETRIEVED = 1 << 31;
const LIST_SHIFT = 29;
const LIST_MASK = 3 << LIST_SHIFT;
const POSITION_MASK = (1 << 28) - 1;

/** Which list a session is on. */
export const ON_NO_LIST = 0;
export const ON_OUTGOING = 1;
export const ON_INCOMING = 2;

export class SessionTable {
  readonly slab: SlabCache;
  readonly #kernel: Kernel;
  readonly mutex: MutexColumn;
  readonly #tails: Column;
  readonly #hasher = new NameHasher();
  readonly #named = new Int32Array(NAME_WORDS);

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.slab = kernel.slab('luo_session', SESSION_BYTES, ROW);
    this.#tails = this.slab.records('luo_session.name, from byte 32', TAIL, true);
    this.mutex = new MutexColumn(kernel.sched, 'luo_session.mutex', new RowWord(this.slab, MUTEX));
  }

  /** A session that is on no list, or NO_SESSION (-ENOMEM). `words[at..]` is its name. @kernel luo_session_alloc */
  alloc(words: Int32Array, at: number): SessionHandle {
    const name = this.#hasher;
    name.set(words, at, true);
    this.#kernel.charge(STEP.slabAlloc, 1);
    const session = this.slab.alloc() as SessionHandle;
    if (session === NO_SESSION) return NO_SESSION;
    const row = this.slab.row(session);
    const to = this.slab.rowAt(session);
    row[to + HASH] = name.hash;
    row[to + PLACE] = name.place;
    row[to + STRIDE] = name.stride;
    copyEight(row, to + NAME, name.words, 0);
    if (name.length > HEAD) this.#tails.setRun(indexOf(session) * TAIL, name.words, HEAD, TAIL);
    return session;
  }

  /** @kernel luo_session_free */
  free(session: SessionHandle): void {
    this.#kernel.charge(STEP.slabFree, 1);
    this.slab.free(session);
  }

  next(session: SessionHandle): SessionHandle {
    return this.slab.get(session, NEXT) as SessionHandle;
  }

  prev(session: SessionHandle): SessionHandle {
    return this.slab.get(session, PREV) as SessionHandle;
  }

  position(session: SessionHandle): number {
    return this.slab.get(session, STATE) & POSITION_MASK;
  }

  setPosition(session: SessionHandle, position: number): void {
    assert(position <= POSITION_MASK, 'positions are reclaimed');
    this.slab.set(session, STATE, (this.slab.get(session, STATE) & ~POSITION_MASK) | position);
  }

  /** Puts a session that is on no list behind `tail`, the last of a list, or alone where that is NO_SESSION. */
  link(session: SessionHandle, tail: SessionHandle, list: number, position: number): void {
    assert(position <= POSITION_MASK, 'positions are reclaimed');
    const row = this.slab.openRow(session, PREV, 2);
    const at = this.slab.rowAt(session);
    row[at + PREV] = tail;
    row[at + STATE] = ((row[at + STATE] as number) & RETRIEVED) | (list << LIST_SHIFT) | position;
    if (tail !== NO_SESSION) this.slab.setBeside(tail, NEXT, session);
  }

  /** Takes a session off its list: its neighbours know each other, and it knows none. */
  unlink(session: SessionHandle): void {
    const row = this.slab.openRow(session, NEXT, STATE + 1 - NEXT);
    const at = this.slab.rowAt(session);
    const next = row[at + NEXT] as SessionHandle;
    const prev = row[at + PREV] as SessionHandle;
    if (prev !== NO_SESSION) this.slab.setBeside(prev, NEXT, next);
    if (next !== NO_SESSION) this.slab.setBeside(next, PREV, prev);
    row[at + NEXT] = NO_SESSION;
    row[at + PREV] = NO_SESSION;
    row[at + STATE] = ((row[at + STATE] as number) & RETRIEVED) | (ON_NO_LIST << LIST_SHIFT);
  }

  retrieved(session: SessionHandle): boolean {
    return (this.slab.get(session, STATE) & RETRIEVED) !== 0;
  }

  setRetrieved(session: SessionHandle): void {
    this.slab.set(session, STATE, this.slab.get(session, STATE) | RETRIEVED);
  }

  /** hashName of the name. */
  hash(session: SessionHandle): number {
    return this.slab.get(session, HASH);
  }

  /** Where maps begin to look for the name. */
  place(session: SessionHandle): number {
    return this.slab.get(session, PLACE);
  }

  /** How far on they look, each time. */
  stride(session: SessionHandle): number {
    return this.slab.get(session, STRIDE);
  }

  /** The words of a name, to be looked at at once: there is one such array. */
  named(session: SessionHandle): Int32Array {
    this.loadName(session, this.#named, 0);
    return this.#named;
  }

  /** Copies the 64 bytes of the name. */
  loadName(session: SessionHandle, words: Int32Array, at: number): void {
    const row = this.slab.row(session);
    const from = this.slab.rowAt(session) + NAME;
    copyWords(words, at, row, from, HEAD);
    const tail = indexOf(session) * TAIL;
    copyWords(words, at + HEAD, this.#tails.piece(tail), tail & PIECE_MASK, TAIL);
  }

  /** Writes the 64 bytes of the name to memory. */
  storeName(session: SessionHandle, ram: Ram, address: number): void {
    const row = this.slab.row(session);
    const at = this.slab.rowAt(session) + NAME;
    const tail = indexOf(session) * TAIL;
    ram.storeRuns(address, row, at, HEAD, this.#tails.piece(tail), tail & PIECE_MASK, TAIL);
  }

  /** Where a session has this name, up to its NUL: the one behind it on its list; else OTHER_NAME. */
  nextIfNamed(session: SessionHandle, words: Int32Array, at: number): SessionHandle | typeof OTHER_NAME {
    const row = this.slab.peek(session);
    if (!this.#sameName(row, indexOf(session), words, at)) return OTHER_NAME;
    return row[this.slab.rowAt(session) + NEXT] as SessionHandle;
  }

  /** The session with this slab index if it lives, is on this list and has this normalised name; else NO_SESSION. */
  listed(index: number, list: number, words: Int32Array): SessionHandle {
    const row = this.slab.objects.piece(index * ROW);
    // The name of a session that was freed is poison.
    if (!this.#sameName(row, index, words, 0)) return NO_SESSION;
    const state = row[((index * ROW) & PIECE_MASK) + STATE] as number;
    if ((state & LIST_MASK) >>> LIST_SHIFT !== list) return NO_SESSION;
    return this.slab.handleAt(index) as SessionHandle;
  }

  name(session: SessionHandle): string {
    const words = new Int32Array(NAME_WORDS);
    this.loadName(session, words, 0);
    return nameText(words, 0);
  }

  #sameName(row: Int32Array, index: number, words: Int32Array, at: number): boolean {
    const name = ((index * ROW) & PIECE_MASK) + NAME;
    // Most names are the same and end in their first four words.
    const fourth = row[name + 3] as number;
    const differing =
      ((row[name] as number) ^ (words[at] as number)) |
      ((row[name + 1] as number) ^ (words[at + 1] as number)) |
      ((row[name + 2] as number) ^ (words[at + 2] as number)) |
      (fourth ^ (words[at + 3] as number));
    if (differing === 0 && fourth >>> 24 === 0) return true;
    for (let k = differing === 0 ? 4 : 0; k < HEAD; k++) {
      const word = row[name + k] as number;
      if (word !== words[at + k]) return false;
      if (word >>> 24 === 0) return true;
    }
    const i = index * TAIL;
    const tail = this.#tails.piece(i);
    const from = i & PIECE_MASK;
    for (let k = 0; k < TAIL; k++) {
      const word = tail[from + k] as number;
      if (word !== words[at + HEAD + k]) return false;
      if (word >>> 24 === 0) return true;
    }
    return true;
  }
}
