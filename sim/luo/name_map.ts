/*
 * From a name to the session on a list, at once. The modelled kernel walks its list; the simulator answers here and
 * charges what the walk would have cost (list_rank.ts). Open addressing over a column:
 *
 *   slot    0 empty | 1 was used | (7-bit tag << 24 | session index + 2)
 */
import { assert } from '../base/assert.ts';
import { Column, type Storage } from '../machine/column.ts';
import type { Stateful } from '../machine/journal.ts';
import { hashName, NAME_WORDS } from './name.ts';
import { NO_SESSION, type SessionHandle, type SessionTable } from './session_table.ts';

const EMPTY = 0;
const USED = 1;
const INDEX = 0xffffff;
const SLOTS_MIN = 1024;

export class NameMap implements Stateful {
  readonly #storage: Storage;
  readonly #table: SessionTable;
  readonly #label: string;
  #slots: Column;
  #mask = SLOTS_MIN - 1;
  #live = 0;
  #used = 0;

  constructor(storage: Storage, table: SessionTable, label: string) {
    this.#storage = storage;
    this.#table = table;
    this.#label = label;
    this.#slots = new Column(storage, label, SLOTS_MIN);
    storage.journal.enlist(this);
  }

  /** The session of this normalised name, or NO_SESSION. */
  find(words: Int32Array, at: number): SessionHandle {
    const hash = hashName(words, at);
    const tag = hash & 0x7f000000;
    for (let slot = hash & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const entry = this.#slots.get(slot);
      if (entry === EMPTY) return NO_SESSION;
      if (entry === USED || (entry & 0x7f000000) !== tag) continue;
      const session = this.#table.slab.handleAt((entry & INDEX) - 2) as SessionHandle;
      if (this.#sameName(session, words, at)) return session;
    }
  }

  /** Adds a session whose name is not in the map. */
  add(session: SessionHandle): void {
    if ((this.#used + 1) * 2 > this.#mask + 1) this.#rebuild();
    if (this.#place(session) === EMPTY) this.#used++;
    this.#live++;
  }

  remove(session: SessionHandle): void {
    const index = this.#table.slab.index(session) + 2;
    const hash = hashName(this.#table.nameWords(session), this.#table.nameAt(session));
    let slot = hash & this.#mask;
    while ((this.#slots.get(slot) & INDEX) !== index) {
      assert(this.#slots.get(slot) !== EMPTY, `${this.#label}: a listed session is not in the map`);
      slot = (slot + 1) & this.#mask;
    }
    this.#live--;
    // A slot before an empty one ends no chain: nothing needs to remember it.
    if (this.#slots.get((slot + 1) & this.#mask) === EMPTY) {
      this.#slots.set(slot, EMPTY);
      this.#used--;
    } else {
      this.#slots.set(slot, USED);
    }
  }

  capture(): unknown {
    return [this.#slots, this.#mask, this.#live, this.#used];
  }

  reinstate(state: unknown): void {
    [this.#slots, this.#mask, this.#live, this.#used] = state as [Column, number, number, number];
  }

  /** What the slot held before: EMPTY or USED. */
  #place(session: SessionHandle): number {
    const hash = hashName(this.#table.nameWords(session), this.#table.nameAt(session));
    let slot = hash & this.#mask;
    while (this.#slots.get(slot) > USED) slot = (slot + 1) & this.#mask;
    const before = this.#slots.get(slot);
    this.#slots.set(slot, (hash & 0x7f000000) | (this.#table.slab.index(session) + 2));
    return before;
  }

  /** Doubles where sessions fill half of it, else only drops the used slots. */
  #rebuild(): void {
    const old = this.#slots;
    const oldMask = this.#mask;
    if (this.#live * 4 > oldMask + 1) this.#mask = oldMask * 2 + 1;
    this.#slots = new Column(this.#storage, this.#label, this.#mask + 1);
    for (let slot = 0; slot <= oldMask; slot++) {
      const entry = old.get(slot);
      if (entry > USED) this.#place(this.#table.slab.handleAt((entry & INDEX) - 2) as SessionHandle);
    }
    this.#used = this.#live;
    // A mark may still need it.
    if (this.#storage.journal.depth === 0) old.dispose();
  }

  #sameName(session: SessionHandle, words: Int32Array, at: number): boolean {
    const own = this.#table.nameWords(session);
    const ownAt = this.#table.nameAt(session);
    for (let k = 0; k < NAME_WORDS; k++) {
      if (own[ownAt + k] !== words[at + k]) return false;
    }
    return true;
  }
}
