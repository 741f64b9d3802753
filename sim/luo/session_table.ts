/*
 * struct luo_session, of which there may be millions: a record of the luo_session slab whose fields lie in columns.
 *
 *   name[64]   two columns of 8 words, truncated to 63 bytes and NUL: bytes 0 to 31, and the rest, which a shorter name
 *              never touches
 *   row        4 words: next, prev (list links)
 *              31 retrieved | 30, 29 list | 27 .. 0 position (for counting hops)
 *              holder of session.mutex
 *
 * A session is named by its slab handle; a handle that outlives its record is a use after free.
 */
import { assert } from '../base/assert.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Column } from '../machine/column.ts';
import { STEP } from '../machine/cpu.ts';
import { PIECE_MASK } from '../machine/pool.ts';
import type { SlabCache } from '../machine/slab.ts';
import { MutexColumn } from '../sched/mutex.ts';
import { HALF_WORDS as HALF, NAME_WORDS, type NameKey, nameText, truncateName } from './name.ts';

declare const brand: unique symbol;
/** A luo_session. 0 is no session. */
export type SessionHandle = number & { readonly [brand]: 'session' };

export const NO_SESSION = 0 as SessionHandle;

/** sizeof(struct luo_session) is 160 to 168; kzalloc serves it from kmalloc-192. */
export const SESSION_BYTES = 192;

const INDEX_MASK = 0xffffff;

const WORDS = 4;
const NEXT = 0;
const PREV = 1;
const STATE = 2;
const MUTEX = 3;

const RETRIEVED = 1 << 31;
const LIST_SHIFT = 29;
const LIST_MASK = 3 << LIST_SHIFT;
const POSITION_MASK = (1 << 28) - 1;

/** Which list a session is on. */
export const ON_NO_LIST = 0;
export const ON_OUTGOING = 1;
export const ON_INCOMING = 2;

/** Whether a name goes on behind its first half. */
const isLong = (lastOfHalf: number): boolean => lastOfHalf >>> 24 !== 0;

export class SessionTable {
  readonly slab: SlabCache;
  readonly #kernel: Kernel;
  readonly mutex: MutexColumn;
  readonly #names: Column;
  readonly #tails: Column;
  readonly #rows: Column;
  readonly #name = new Int32Array(NAME_WORDS);

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.slab = kernel.slab('luo_session', SESSION_BYTES);
    this.#names = this.slab.records('luo_session.name', HALF);
    this.#tails = this.slab.records('luo_session.name, from byte 32', HALF, true);
    this.#rows = this.slab.records('luo_session', WORDS);
    this.mutex = new MutexColumn(
      kernel.sched,
      'luo_session.mutex',
      this.#rows,
      (session) => this.slab.index(session) * WORDS + MUTEX,
    );
  }

  /** A session that is on no list, or NO_SESSION (-ENOMEM). `words[at..]` is its name. @kernel luo_session_alloc */
  alloc(words: Int32Array, at: number): SessionHandle {
    this.#kernel.charge(STEP.slabAlloc, 1);
    const session = this.slab.alloc() as SessionHandle;
    if (session === NO_SESSION) return NO_SESSION;
    const name = this.#name;
    for (let k = 0; k < NAME_WORDS; k++) name[k] = words[at + k] as number;
    truncateName(name, 0);
    const half = (session & INDEX_MASK) * HALF;
    this.#names.setRun(half, name, 0, HALF);
    if (isLong(name[HALF - 1] as number)) this.#tails.setRun(half, name, HALF, HALF);
    return session;
  }

  /** @kernel luo_session_free */
  free(session: SessionHandle): void {
    this.#kernel.charge(STEP.slabFree, 1);
    this.slab.free(session);
  }

  next(session: SessionHandle): SessionHandle {
    return this.#get(session, NEXT) as SessionHandle;
  }

  prev(session: SessionHandle): SessionHandle {
    return this.#get(session, PREV) as SessionHandle;
  }

  position(session: SessionHandle): number {
    return this.#get(session, STATE) & POSITION_MASK;
  }

  setPosition(session: SessionHandle, position: number): void {
    assert(position <= POSITION_MASK, 'positions are reclaimed');
    this.#set(session, STATE, (this.#get(session, STATE) & ~POSITION_MASK) | position);
  }

  /** Puts a session that is on no list behind `tail`, the last of a list, or alone where that is NO_SESSION. */
  link(session: SessionHandle, tail: SessionHandle, list: number, position: number): void {
    assert(position <= POSITION_MASK, 'positions are reclaimed');
    const i = this.slab.index(session) * WORDS;
    const row = this.#rows.open(i, WORDS);
    const at = i & PIECE_MASK;
    row[at + PREV] = tail;
    row[at + STATE] = ((row[at + STATE] as number) & RETRIEVED) | (list << LIST_SHIFT) | position;
    if (tail !== NO_SESSION) this.#set(tail, NEXT, session);
  }

  /** Takes a session off its list: its neighbours know each other, and it knows none. */
  unlink(session: SessionHandle): void {
    const i = this.slab.index(session) * WORDS;
    const row = this.#rows.open(i, WORDS);
    const at = i & PIECE_MASK;
    const next = row[at + NEXT] as SessionHandle;
    const prev = row[at + PREV] as SessionHandle;
    if (prev !== NO_SESSION) this.#set(prev, NEXT, next);
    if (next !== NO_SESSION) this.#set(next, PREV, prev);
    row[at + NEXT] = NO_SESSION;
    row[at + PREV] = NO_SESSION;
    row[at + STATE] = ((row[at + STATE] as number) & RETRIEVED) | (ON_NO_LIST << LIST_SHIFT);
  }

  retrieved(session: SessionHandle): boolean {
    return (this.#get(session, STATE) & RETRIEVED) !== 0;
  }

  setRetrieved(session: SessionHandle): void {
    this.#set(session, STATE, this.#get(session, STATE) | RETRIEVED);
  }

  /** Copies the 64 bytes of the name. */
  loadName(session: SessionHandle, words: Int32Array, at: number): void {
    const half = this.slab.index(session) * HALF;
    copyHalf(this.#names.piece(half), half & PIECE_MASK, words, at);
    copyHalf(this.#tails.piece(half), half & PIECE_MASK, words, at + HALF);
  }

  /** Makes a key that of the session's name. */
  key(session: SessionHandle, key: NameKey): void {
    const half = this.slab.index(session) * HALF;
    key.set(this.#names.piece(half), half & PIECE_MASK, this.#tails.piece(half), half & PIECE_MASK);
  }

  /** Whether this is the normalised name of a session. */
  hasName(session: SessionHandle, words: Int32Array, at: number): boolean {
    return this.#sameName(this.slab.index(session), words, at);
  }

  /** The session with this slab index if it lives, is on this list and has this normalised name; else NO_SESSION. */
  listed(index: number, list: number, words: Int32Array, at: number): SessionHandle {
    // The name of a session that was freed is poison.
    if (!this.#sameName(index, words, at)) return NO_SESSION;
    if ((this.#rows.get(index * WORDS + STATE) & LIST_MASK) >>> LIST_SHIFT !== list) return NO_SESSION;
    return this.slab.handleAt(index) as SessionHandle;
  }

  name(session: SessionHandle): string {
    const words = new Int32Array(NAME_WORDS);
    this.loadName(session, words, 0);
    return nameText(words, 0);
  }

  #sameName(index: number, words: Int32Array, at: number): boolean {
    const half = index * HALF;
    const from = half & PIECE_MASK;
    const name = this.#names.piece(half);
    for (let k = 0; k < HALF; k++) {
      const word = words[at + k];
      if (name[from + k] !== word) return false;
      if (word === 0) return true;
    }
    if (!isLong(words[at + HALF - 1] as number)) return true;
    const tail = this.#tails.piece(half);
    for (let k = 0; k < HALF; k++) if (tail[from + k] !== words[at + HALF + k]) return false;
    return true;
  }

  #get(session: SessionHandle, word: number): number {
    return this.#rows.get(this.slab.index(session) * WORDS + word);
  }

  #set(session: SessionHandle, word: number, value: number): void {
    this.#rows.set(this.slab.index(session) * WORDS + word, value);
  }
}

function copyHalf(source: Int32Array, from: number, target: Int32Array, at: number): void {
  for (let k = 0; k < HALF; k++) target[at + k] = source[from + k] as number;
}
