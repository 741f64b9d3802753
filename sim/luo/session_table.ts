/*
 * struct luo_session, of which there may be millions: a record of the luo_session slab whose fields lie in columns.
 *
 *   name[64]   16 words, truncated to 63 bytes and NUL
 *   row         5 words: next, prev (list links), position (for counting hops), flags, holder of session.mutex
 *
 * A session is named by its slab handle; a handle that outlives its record is a use after free.
 */

import type { Kernel } from '../kernel/kernel.ts';
import type { Column } from '../machine/column.ts';
import { STEP } from '../machine/cpu.ts';
import type { SlabCache } from '../machine/slab.ts';
import { MutexColumn } from '../sched/mutex.ts';
import { NAME_WORDS, nameText, truncateName } from './name.ts';

declare const brand: unique symbol;
/** A luo_session. 0 is no session. */
export type SessionHandle = number & { readonly [brand]: 'session' };

export const NO_SESSION = 0 as SessionHandle;

/** sizeof(struct luo_session) is 160 to 168; kzalloc serves it from kmalloc-192. */
export const SESSION_BYTES = 192;

const WORDS = 5;
const NEXT = 0;
const PREV = 1;
const POSITION = 2;
const FLAGS = 3;
const MUTEX = 4;

const RETRIEVED = 1;
const LIST_SHIFT = 1;
const LIST_MASK = 3 << LIST_SHIFT;

/** Which list a session is on. */
export const ON_NO_LIST = 0;
export const ON_OUTGOING = 1;
export const ON_INCOMING = 2;

export class SessionTable {
  readonly slab: SlabCache;
  readonly #kernel: Kernel;
  readonly mutex: MutexColumn;
  readonly #names: Column;
  readonly #rows: Column;
  readonly #name = new Int32Array(NAME_WORDS);

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.slab = kernel.slab('luo_session', SESSION_BYTES);
    this.#names = this.slab.records('luo_session.name', NAME_WORDS);
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
    for (let k = 0; k < NAME_WORDS; k++) this.#name[k] = words[at + k] as number;
    truncateName(this.#name, 0);
    this.#names.setRun(this.slab.index(session) * NAME_WORDS, this.#name, 0, NAME_WORDS);
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

  setNext(session: SessionHandle, next: SessionHandle): void {
    this.#set(session, NEXT, next);
  }

  prev(session: SessionHandle): SessionHandle {
    return this.#get(session, PREV) as SessionHandle;
  }

  setPrev(session: SessionHandle, prev: SessionHandle): void {
    this.#set(session, PREV, prev);
  }

  position(session: SessionHandle): number {
    return this.#get(session, POSITION);
  }

  setPosition(session: SessionHandle, position: number): void {
    this.#set(session, POSITION, position);
  }

  /** The list a session is on. (The kernel knows by where it is linked.) */
  list(session: SessionHandle): number {
    return (this.#get(session, FLAGS) & LIST_MASK) >>> LIST_SHIFT;
  }

  setList(session: SessionHandle, list: number): void {
    this.#set(session, FLAGS, (this.#get(session, FLAGS) & ~LIST_MASK) | (list << LIST_SHIFT));
  }

  retrieved(session: SessionHandle): boolean {
    return (this.#get(session, FLAGS) & RETRIEVED) !== 0;
  }

  setRetrieved(session: SessionHandle): void {
    this.#set(session, FLAGS, this.#get(session, FLAGS) | RETRIEVED);
  }

  /** The piece and the index in it where the 16 words of the name begin, for reading. */
  nameWords(session: SessionHandle): Int32Array {
    return this.#names.piece(this.slab.index(session) * NAME_WORDS);
  }

  nameAt(session: SessionHandle): number {
    return (this.slab.index(session) * NAME_WORDS) % this.nameWords(session).length;
  }

  name(session: SessionHandle): string {
    return nameText(this.nameWords(session), this.nameAt(session));
  }

  #get(session: SessionHandle, word: number): number {
    return this.#rows.get(this.slab.index(session) * WORDS + word);
  }

  #set(session: SessionHandle, word: number, value: number): void {
    this.#rows.set(this.slab.index(session) * WORDS + word, value);
  }
}
