/*
 * From a name to the session on a list, at once. The modelled kernel walks its list; the simulator answers here and
 * charges what the walk would have cost (list_rank.ts). Open addressing over a column:
 *
 *   slot    0 empty | (upper 8 bits of the name's hash | session index + 1)
 *
 * A search begins at the name's place, looks at the three slots beside it, which are of the same line of a cache, and
 * goes on by the name's stride (Name): names that are numbered lie in order, and others in their way, numbered too, are
 * gone round together.
 *
 * Nothing is removed: an entry counts only while its session is live, on this list and of the name looked for, so one
 * that unlinking left behind is passed over, and dropped when the map is rebuilt.
 */
import { Column, type Storage } from '../machine/column.ts';
import type { Stateful } from '../machine/journal.ts';
import type { Name } from './name.ts';
import { NO_SESSION, type SessionHandle, type SessionTable } from './session_table.ts';

const EMPTY = 0;
const INDEX = 0xffffff;
const TAG = ~INDEX;
const SLOTS_MIN = 1024;

/** The slot to look at after `slot`, which was the `k`th: all four of its group, in any order, and then a stride on. */
const slotAfter = (slot: number, k: number, stride: number, mask: number): number =>
  (k & 3) === 0 ? ((slot ^ 3) + stride) & mask : slot ^ ((k & 1) === 0 ? 3 : 1);

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

  constructor(storage: Storage, table: SessionTable, label: string, list: number) {
    this.#storage = storage;
    this.#table = table;
    this.#label = label;
    this.#list = list;
    this.#slots = new Column(storage, label, SLOTS_MIN);
    storage.journal.enlist(this);
  }

  /** The session of this name, or NO_SESSION. */
  find({ words, hash, place, stride }: Name): SessionHandle {
    return this.#search(hash, place, stride, words, NO_SESSION);
  }

  /** Another session on the list that has a session's name, or NO_SESSION. */
  findNameOf(session: SessionHandle): SessionHandle {
    const table = this.#table;
    return this.#search(table.hash(session), table.place(session), table.stride(session), undefined, session);
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
  }

  #put(session: SessionHandle): void {
    const table = this.#table;
    const entry = (table.hash(session) & TAG) | ((session & INDEX) + 1);
    const mask = this.#mask;
    let slot = table.place(session) & mask;
    for (let k = 1; !this.#slots.replace(slot, EMPTY, entry); k++) {
      slot = slotAfter(slot, k, table.stride(session), mask);
    }
    this.#used++;
  }

  /** The session of a name, or NO_SESSION. The name is given, or a session's: its words are seldom looked at. */
  #search(
    hash: number,
    place: number,
    stride: number,
    words: Int32Array | undefined,
    named: SessionHandle,
  ): SessionHandle {
    const slots = this.#slots;
    const mask = this.#mask;
    let slot = place & mask;
    for (let k = 1; ; k++) {
      const entry = slots.get(slot);
      if (entry === EMPTY) return NO_SESSION;
      if (((entry ^ hash) & TAG) === 0) {
        const name = words ?? this.#table.named(named);
        const session = this.#table.listed((entry & INDEX) - 1, this.#list, name);
        if (session !== NO_SESSION) return session;
      }
      slot = slotAfter(slot, k, stride, mask);
    }
  }

  /** New slots, with the sessions that are on the list. */
  #rebuild(mask: number, first: SessionHandle): void {
    const old = this.#slots;
    this.#mask = mask;
    this.#slots = new Column(this.#storage, this.#label, mask + 1);
    this.#used = 0;
    for (let s = first; s !== NO_SESSION; s = this.#table.next(s)) this.#put(s);
    // A mark may still need it.
    if (this.#storage.journal.depth === 0) old.dispose();
  }
}
