/*
 * From a name to the session on a list, at once. The modelled kernel walks its list; the simulator answers here and
 * charges what the walk would have cost (list_rank.ts). Open addressing over a column:
 *
 *   slot    0 empty | (upper 8 bits of its place << 24 | session index + 1)
 *
 * A search begins where the name's neighbours lie (Name): what is looked for in order is found in a cache.
 *
 * Nothing is removed: an entry counts only while its session is live, on this list and of the name looked for, so one
 * that unlinking left behind is passed over, and dropped when the map is rebuilt.
 */
import { Column, type Storage } from '../machine/column.ts';
import type { Stateful } from '../machine/journal.ts';
import { PIECE_MASK } from '../machine/pool.ts';
import type { Name } from './name.ts';
import { NO_SESSION, type SessionHandle, type SessionTable } from './session_table.ts';

const EMPTY = 0;
const INDEX = 0xffffff;
const TAG = ~INDEX;
const SLOTS_MIN = 1024;
const NOWHERE = -1;

export class NameMap implements Stateful {
  readonly #storage: Storage;
  readonly #table: SessionTable;
  readonly #label: string;
  /** The list whose sessions count, as SessionTable.list says. */
  readonly #list: number;
  #slots: Column;
  #mask = SLOTS_MIN - 1;
  /** Slots that are not empty. */
  #used = 0;
  /** Where the last search in vain ended, and of what place it was: what is added there need not search again. */
  #sought = 0;
  #end = NOWHERE;

  constructor(storage: Storage, table: SessionTable, label: string, list: number) {
    this.#storage = storage;
    this.#table = table;
    this.#label = label;
    this.#list = list;
    this.#slots = new Column(storage, label, SLOTS_MIN);
    storage.journal.enlist(this);
  }

  /** The session of this name, or NO_SESSION. */
  find({ words, place }: Name): SessionHandle {
    return this.#search(place, words, NO_SESSION);
  }

  /** Another session on the list that has a session's name, or NO_SESSION. */
  findNameOf(session: SessionHandle): SessionHandle {
    return this.#search(this.#table.place(session), undefined, session);
  }

  /** Adds a session that was put on the list, which begins with `first` and has `live` sessions now. */
  add(session: SessionHandle, first: SessionHandle, live: number): void {
    const mask = this.#mask;
    if ((this.#used + 1) * 2 <= mask + 1) this.#put(session);
    // Twice the size where the sessions of the list need it; else only what was left behind goes.
    else this.#rebuild(live * 4 > mask + 1 ? mask * 2 + 1 : mask, first);
  }

  /** Takes the size for so many sessions at once, and not by and by. The list begins with `first`. */
  reserve(sessions: number, first: SessionHandle): void {
    let mask = this.#mask;
    while (sessions * 2 > mask + 1) mask = mask * 2 + 1;
    if (mask !== this.#mask) this.#rebuild(mask, first);
  }

  capture(): unknown {
    return [this.#slots, this.#mask, this.#used];
  }

  reinstate(state: unknown): void {
    [this.#slots, this.#mask, this.#used] = state as [Column, number, number];
    this.#end = NOWHERE;
  }

  #put(session: SessionHandle): void {
    const place = this.#table.place(session);
    let slot = this.#end !== NOWHERE && this.#sought === place ? this.#end : place & this.#mask;
    while (!this.#slots.replace(slot, EMPTY, (place & TAG) | ((session & INDEX) + 1))) {
      slot = (slot + 1) & this.#mask;
    }
    this.#used++;
  }

  /** The session of a name, or NO_SESSION. The name is given, or a session's: its words are seldom looked at. */
  #search(place: number, words: Int32Array | undefined, named: SessionHandle): SessionHandle {
    const slots = this.#slots;
    const mask = this.#mask;
    let slot = place & mask;
    let piece = slots.piece(slot);
    for (;;) {
      const entry = piece[slot & PIECE_MASK] as number;
      if (entry === EMPTY) {
        this.#sought = place;
        this.#end = slot;
        return NO_SESSION;
      }
      if (((entry ^ place) & TAG) === 0) {
        const name = words ?? this.#table.named(named);
        const session = this.#table.listed((entry & INDEX) - 1, this.#list, name);
        if (session !== NO_SESSION) return session;
      }
      slot = (slot + 1) & mask;
      if ((slot & PIECE_MASK) === 0) piece = slots.piece(slot);
    }
  }

  /** New slots, with the sessions that are on the list. */
  #rebuild(mask: number, first: SessionHandle): void {
    const old = this.#slots;
    this.#mask = mask;
    this.#slots = new Column(this.#storage, this.#label, mask + 1);
    this.#used = 0;
    this.#end = NOWHERE;
    for (let s = first; s !== NO_SESSION; s = this.#table.next(s)) this.#put(s);
    // A mark may still need it.
    if (this.#storage.journal.depth === 0) old.dispose();
  }
}
