/*
 * Where an element stands in a list, without walking it: what a linear scan would have cost.
 *
 *   position   handed out at append, ascending
 *   front      position of the first element: below it nobody is listed
 *   hole       a position above the front whose element was removed; a bit says so
 *   group      1024 positions; a Fenwick tree over the groups counts holes
 *
 * A list that is consumed from its front has no holes, and a rank there is a subtraction; else it takes O(log n).
 * Positions that removals emptied are reclaimed by renumbering when they outnumber the elements.
 */
import { assert } from '../base/assert.ts';
import { Column, type Storage } from '../machine/column.ts';
import type { Stateful } from '../machine/journal.ts';

const GROUP_SHIFT = 10;
const GROUP_WORDS = 32;
/** Positions below which renumbering is not worth it. */
const RENUMBER_MIN = 8192;

/** Groups that the tree has room for at first; a power of two. */
const GROUPS_MIN = 16;

export class ListRank implements Stateful {
  readonly #bits: Column;
  /** Fenwick tree over groups, from 1. */
  readonly #tree: Column;
  #front = 0;
  #next = 0;
  #live = 0;
  #holes = 0;
  /** Groups that the tree has room for. */
  #groups = GROUPS_MIN;

  constructor(storage: Storage, name: string) {
    this.#bits = new Column(storage, `${name} holes`);
    this.#tree = new Column(storage, `${name} tree`);
    storage.journal.enlist(this);
  }

  /** Whether so many positions are empty that the list should be renumbered before the next append. */
  get sparse(): boolean {
    return this.#next > RENUMBER_MIN && this.#next > 4 * this.#live;
  }

  /** The position of an element appended to the list. */
  append(): number {
    this.#live++;
    return this.#next++;
  }

  remove(position: number): void {
    assert(position >= this.#front && position < this.#next, 'only what is listed is removed');
    this.#live--;
    if (position !== this.#front) {
      this.#flip(position, 1);
      return;
    }
    this.#front++;
    while (this.#holes !== 0 && this.#isHole(this.#front)) this.#flip(this.#front++, -1);
  }

  /** Number of listed elements in front of a position. */
  rank(position: number): number {
    return this.#holes === 0 ? position - this.#front : position - this.#front - this.#holesBefore(position);
  }

  /** Forgets all positions; the list appends its elements again. */
  reset(): void {
    for (let position = this.#front; this.#holes !== 0; position++) {
      if (this.#isHole(position)) this.#flip(position, -1);
    }
    this.#front = 0;
    this.#next = 0;
    this.#live = 0;
  }

  capture(): unknown {
    return [this.#front, this.#next, this.#live, this.#holes, this.#groups];
  }

  reinstate(state: unknown): void {
    [this.#front, this.#next, this.#live, this.#holes, this.#groups] = state as [
      number,
      number,
      number,
      number,
      number,
    ];
  }

  #isHole(position: number): boolean {
    return ((this.#bits.get(position >>> 5) >>> (position & 31)) & 1) === 1;
  }

  #holesBefore(position: number): number {
    const group = position >>> GROUP_SHIFT;
    let before = 0;
    for (let i = Math.min(group, this.#groups); i > 0; i -= i & -i) before += this.#tree.get(i);
    const last = position >>> 5;
    for (let word = group * GROUP_WORDS; word < last; word++) before += bitCount(this.#bits.get(word));
    return before + bitCount(this.#bits.get(last) & ((1 << (position & 31)) - 1));
  }

  /** A position becomes a hole (1) or is none any more (-1). */
  #flip(position: number, delta: number): void {
    const word = position >>> 5;
    this.#bits.set(word, this.#bits.get(word) ^ (1 << (position & 31)));
    this.#holes += delta;
    const group = (position >>> GROUP_SHIFT) + 1;
    while (group > this.#groups) {
      // The node at twice the size counts what the node at this size does, and groups without a hole.
      this.#tree.set(this.#groups * 2, this.#tree.get(this.#groups));
      this.#groups *= 2;
    }
    for (let i = group; i <= this.#groups; i += i & -i) this.#tree.set(i, this.#tree.get(i) + delta);
  }
}

function bitCount(word: number): number {
  let n = word - ((word >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
