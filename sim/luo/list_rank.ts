/*
 * Where an element stands in a list, without walking it: what a linear scan would have cost, found in O(log n).
 *
 *   position   handed out at append, ascending; a bit says whether its element is still listed
 *   group      1024 positions; a Fenwick tree over the groups counts the listed ones
 *
 * Positions that removals emptied are reclaimed by renumbering when they outnumber the elements.
 */
import { Column, type Storage } from '../machine/column.ts';
import type { Stateful } from '../machine/journal.ts';

const GROUP_SHIFT = 10;
const GROUP_WORDS = 32;
/** Positions below which renumbering is not worth it. */
const RENUMBER_MIN = 8192;

export class ListRank implements Stateful {
  readonly #bits: Column;
  /** Fenwick tree over groups, from 1. */
  readonly #tree: Column;
  #next = 0;
  #live = 0;
  #groups = 0;

  constructor(storage: Storage, name: string) {
    this.#bits = new Column(storage, `${name} bits`);
    this.#tree = new Column(storage, `${name} tree`);
    storage.journal.enlist(this);
  }

  /** Whether so many positions are empty that the list should be renumbered before the next append. */
  get sparse(): boolean {
    return this.#next > RENUMBER_MIN && this.#next > 4 * this.#live;
  }

  /** The position of an element appended to the list. */
  append(): number {
    const position = this.#next++;
    const group = (position >>> GROUP_SHIFT) + 1;
    if (group > this.#groups) this.#addGroup(group);
    this.#flip(position);
    this.#count(group, 1);
    this.#live++;
    return position;
  }

  remove(position: number): void {
    this.#flip(position);
    this.#count((position >>> GROUP_SHIFT) + 1, -1);
    this.#live--;
  }

  /** Number of listed elements in front of a position. */
  rank(position: number): number {
    const group = position >>> GROUP_SHIFT;
    let before = 0;
    for (let i = group; i > 0; i -= i & -i) before += this.#tree.get(i);
    const last = position >>> 5;
    for (let word = group * GROUP_WORDS; word < last; word++) before += bitCount(this.#bits.get(word));
    return before + bitCount(this.#bits.get(last) & ((1 << (position & 31)) - 1));
  }

  /** Forgets all positions; the list appends its elements again. */
  reset(): void {
    for (let word = 0; word <= this.#next >>> 5; word++) {
      if (this.#bits.get(word) !== 0) this.#bits.set(word, 0);
    }
    this.#next = 0;
    this.#live = 0;
    this.#groups = 0;
  }

  capture(): unknown {
    return [this.#next, this.#live, this.#groups];
  }

  reinstate(state: unknown): void {
    [this.#next, this.#live, this.#groups] = state as [number, number, number];
  }

  #addGroup(group: number): void {
    this.#groups = group;
    let sum = 0;
    for (let i = group - 1; i > group - (group & -group); i -= i & -i) sum += this.#tree.get(i);
    this.#tree.set(group, sum);
  }

  #flip(position: number): void {
    const word = position >>> 5;
    this.#bits.set(word, this.#bits.get(word) ^ (1 << (position & 31)));
  }

  #count(group: number, delta: number): void {
    for (let i = group; i <= this.#groups; i += i & -i) this.#tree.set(i, this.#tree.get(i) + delta);
  }
}

function bitCount(word: number): number {
  let n = word - ((word >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
