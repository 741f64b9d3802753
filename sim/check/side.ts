/*
 * One side of the model: names in the order in which they were acknowledged, with a state and an actor each. There may be
 * millions, and mostly one follows the other: the order is kept as runs of names that count up.
 *
 *   run        first place | name at it; the next ones count up, to where the next run begins
 *   of a name  a byte with state and actor; beside it the actor, if there are many; its last place, if it had several
 *
 *   place      0   1   2 | 3   4 | 5
 *   name       7   8   9 | 3   4 | 8      name 8 has place 5, and place 1 is empty
 */
import { Column, type Storage } from '../machine/column.ts';
import type { Stateful } from '../machine/journal.ts';
import { PIECE_MASK, ZERO_PIECE } from '../machine/pool.ts';

export const ABSENT = 0;
export const LISTED = 1;
export const RETRIEVED = 2;

/** Names in an order, by place; a name that went leaves its place empty. */
export interface Order {
  readonly length: number;
  /** The name at a place, or -1 where it has gone. */
  at(place: number): number;
}

/** Entry of a name: state in the low 2 bits, actor above; not 0 once it had a place. */
export const stateOf = (entry: number): number => entry & 3;
export const actorOf = (entry: number): number => entry >>> 2;
const entryOf = (state: number, actor: number): number => (actor << 2) | state;
/** That of a name that has gone: its entry is not 0. */
const GONE_ACTOR = 1;
/** Actors from this one on stand beside the byte of an entry. */
const BESIDE = 63;

// Words of a run.
const RUN = 2;
const PLACE = 0;
const NAME = 1;

export class Side implements Stateful, Order {
  readonly #runs: Column;
  /** Entries by name, four in a word. */
  readonly #entries: Column;
  /** By name, where its entry says so. */
  readonly #actors: Column;
  /** Of a name that had a place when it was added: its last place + 1. */
  readonly #again: Column;
  length = 0;
  /** Names that have not gone. */
  count = 0;
  #nrRuns = 0;
  /** The name that would lengthen the last run. */
  #following = -1;
  /** The run that was looked at last: its places, and the name at the first. */
  #from = 0;
  #to = 0;
  #name = 0;

  constructor(storage: Storage, label: string) {
    this.#runs = new Column(storage, `${label} order`);
    this.#entries = new Column(storage, `${label} names`);
    this.#actors = new Column(storage, `${label} actors`);
    this.#again = new Column(storage, `${label} names, again`);
    storage.journal.enlist(this);
  }

  /** State and actor of a name. */
  entry(name: number): number {
    const entry = (this.#entries.get(name >>> 2) >>> ((name & 3) << 3)) & 0xff;
    return entry < BESIDE << 2 ? entry : this.#beside(name, entry);
  }

  add(name: number, actor: number): void {
    if (this.#setEntry(name, LISTED, actor) !== 0) this.#again.set(name, this.length + 1);
    if (name !== this.#following) this.#beginRun(name);
    this.#following = name + 1;
    this.length++;
    this.count++;
  }

  setState(name: number, state: number, actor: number): void {
    if (state === ABSENT) this.count--;
    this.#setEntry(name, state, state === ABSENT ? GONE_ACTOR : actor);
  }

  at(place: number): number {
    if (place < this.#from || place >= this.#to) this.#seek(place);
    const name = this.#name + place - this.#from;
    return this.count === this.length || this.#isAt(name, place) ? name : -1;
  }

  clear(): void {
    for (let run = 0; run < this.#nrRuns; run++) {
      const { place, name, end } = this.#run(run);
      clearFrom(this.#entries, name >>> 2, ((name + end - place - 1) >>> 2) + 1);
      clearFrom(this.#again, name, name + end - place);
    }
    this.length = 0;
    this.count = 0;
    this.#nrRuns = 0;
    this.#following = -1;
    this.#forget();
  }

  capture(): unknown {
    return [this.length, this.count, this.#nrRuns, this.#following];
  }

  reinstate(state: unknown): void {
    [this.length, this.count, this.#nrRuns, this.#following] = state as [number, number, number, number];
    this.#forget();
  }

  #beside(name: number, entry: number): number {
    return entryOf(stateOf(entry), this.#actors.get(name));
  }

  /** Makes the entry of a name; the byte that it had. */
  #setEntry(name: number, state: number, actor: number): number {
    const words = this.#entries.open(name >>> 2, 1);
    const at = (name >>> 2) & PIECE_MASK;
    const shift = (name & 3) << 3;
    const word = words[at] as number;
    const beside = actor >= BESIDE;
    if (beside) this.#actors.set(name, actor);
    words[at] = (word & ~(0xff << shift)) | (entryOf(state, beside ? BESIDE : actor) << shift);
    return (word >>> shift) & 0xff;
  }

  #beginRun(name: number): void {
    const run = this.#nrRuns++ * RUN;
    const words = this.#runs.open(run, RUN);
    words[(run & PIECE_MASK) + PLACE] = this.length;
    words[(run & PIECE_MASK) + NAME] = name;
  }

  #run(run: number): { readonly place: number; readonly name: number; readonly end: number } {
    const end = run + 1 === this.#nrRuns ? this.length : this.#runs.get((run + 1) * RUN + PLACE);
    return { place: this.#runs.get(run * RUN + PLACE), name: this.#runs.get(run * RUN + NAME), end };
  }

  /** Looks at the run of a place. */
  #seek(place: number): void {
    let low = 0;
    for (let high = this.#nrRuns; high - low > 1; ) {
      const middle = (low + high) >>> 1;
      if (this.#runs.get(middle * RUN + PLACE) <= place) low = middle;
      else high = middle;
    }
    const { place: from, name, end } = this.#run(low);
    this.#from = from;
    this.#to = end;
    this.#name = name;
  }

  #forget(): void {
    this.#from = 0;
    this.#to = 0;
  }

  /** Whether a name that has or had a place has it. */
  #isAt(name: number, place: number): boolean {
    if (stateOf(this.entry(name)) === ABSENT) return false;
    const again = this.#again.get(name);
    return again === 0 || again === place + 1;
  }
}

/** Makes the words from one to another 0, as far as there are any. */
function clearFrom(column: Column, from: number, end: number): void {
  for (let at = from, next = at; at < end; at = next) {
    next = Math.min((at | PIECE_MASK) + 1, end);
    if (column.piece(at) !== ZERO_PIECE) column.fill(at, next - at, 0);
  }
}
