/*
 * From a name to the session on a list, at once. The modelled kernel walks its list; the simulator answers here and
 * charges what the walk would have cost (list_rank.ts). Open addressing over a column:
 *
 *   slot    0 empty | (8-bit tag << 24 | session index + 1)
 *
 * A search begins where the name's neighbours lie (NameKey): what is looked for in order is found in a cache.
 *
 * Nothing is removed: an entry counts only while its session is live, on this list and of the name looked for, so one
 * that unlinking left behind is passed over, and dropped when the map is rebuilt.
 */
import { Column, type Storage } from '../machine/column.ts';
import type { Stateful } from '../machine/journal.ts';
import { NameKey } from './name.ts';
import { NO_SESSION, type SessionHandle, type SessionTable } from './session_table.ts';

const EMPTY = 0;
const INDEX = 0xffffff;
const TAG = ~INDEX;
const SLOTS_MIN = 1024;

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
  readonly #key = new NameKey();

  constructor(storage: Storage, table: SessionTable, label: string, list: number) {
    this.#storage = storage;
    this.#table = table;
    this.#label = label;
    this.#list = list;
    this.#slots = new Column(storage, label, SLOTS_MIN);
    storage.journal.enlist(this);
  }

  /** The session of this name, or NO_SESSION. */
  find({ words, hash, home }: NameKey): SessionHandle {
    for (let slot = home & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const entry = this.#slots.get(slot);
      if (entry === EMPTY) return NO_SESSION;
      if (((entry ^ hash) & TAG) !== 0) continue;
      const session = this.#table.listed((entry & INDEX) - 1, this.#list, words, 0);
      if (session !== NO_SESSION) return session;
    }
  }

  /** Adds a session of this name that was put on the list, which begins with `first` and has `live` sessions now. */
  add(session: SessionHandle, key: NameKey, first: SessionHandle, live: number): void {
    if ((this.#used + 1) * 2 > this.#mask + 1) this.#rebuild(first, live);
    else this.#place(session, key);
  }

  capture(): unknown {
    return [this.#slots, this.#mask, this.#used];
  }

  reinstate(state: unknown): void {
    [this.#slots, this.#mask, this.#used] = state as [Column, number, number];
  }

  #place(session: SessionHandle, { hash, home }: NameKey): void {
    let slot = home & this.#mask;
    while (this.#slots.get(slot) !== EMPTY) slot = (slot + 1) & this.#mask;
    this.#slots.set(slot, (hash & TAG) | (this.#table.slab.index(session) + 1));
    this.#used++;
  }

  /** Twice the size where the sessions of the list need it; else only what was left behind goes. */
  #rebuild(first: SessionHandle, live: number): void {
    const old = this.#slots;
    if (live * 4 > this.#mask + 1) this.#mask = this.#mask * 2 + 1;
    this.#slots = new Column(this.#storage, this.#label, this.#mask + 1);
    this.#used = 0;
    for (let s = first; s !== NO_SESSION; s = this.#table.next(s)) {
      this.#table.key(s, this.#key);
      this.#place(s, this.#key);
    }
    // A mark may still need it.
    if (this.#storage.journal.depth === 0) old.dispose();
  }
}
