/*
 * Untouched free memory of a node: for every migrate type a row of spans of largest blocks, ascending and disjoint.
 * They are the tail of the free list of the largest order (freelist.ts); blocks are cut from the lowest span.
 *
 *   row of a type     start | end | start | end | ...
 *                     ^ first                     ^ behind
 *
 * A span costs two words, however large it is, so a terabyte is handed over and taken back in no time.
 */
import { assert } from '../base/assert.ts';
import { MAX_PAGE_ORDER } from '../base/limits.ts';
import type { Pfn } from '../base/units.ts';
import { Column, type Storage } from './column.ts';
import type { Stateful } from './journal.ts';
import { MIGRATE_TYPES } from './pageblock.ts';

/** Pages of the largest block: MAX_ORDER_NR_PAGES. */
export const MAX_BLOCK_PAGES = 2 ** MAX_PAGE_ORDER;

/** Words of a row: every second largest block of a terabyte may be a span. */
const ROW_SHIFT = 18;

export interface Span {
  readonly start: Pfn;
  readonly end: Pfn;
}

interface Captured {
  readonly first: Int32Array;
  readonly behind: Int32Array;
}

export class FreeSpans implements Stateful {
  readonly #words: Column;
  /** Per type: its spans are those numbered first..behind-1. */
  readonly #first: Int32Array;
  readonly #behind: Int32Array;

  constructor(storage: Storage) {
    this.#words = new Column(storage, 'free spans', MIGRATE_TYPES << ROW_SHIFT);
    this.#first = new Int32Array(MIGRATE_TYPES);
    this.#behind = new Int32Array(MIGRATE_TYPES);
    storage.journal.enlist(this);
  }

  /** Adds [start, end), whole largest blocks that are in no span yet. */
  add(type: number, start: Pfn, end: Pfn): void {
    assert(
      start % MAX_BLOCK_PAGES === 0 && end % MAX_BLOCK_PAGES === 0 && start < end,
      'a span is whole blocks',
    );
    const first = this.#first[type] as number;
    const behind = this.#behind[type] as number;
    const at = this.#numberAfter(type, start);
    assert(at === first || this.#endOf(type, at - 1) <= start, 'memory is handed over once');
    assert(at === behind || end <= this.#startOf(type, at), 'memory is handed over once');

    const joinsBefore = at > first && this.#endOf(type, at - 1) === start;
    const joinsAfter = at < behind && this.#startOf(type, at) === end;
    if (joinsBefore && joinsAfter) {
      this.#set(type, at - 1, this.#startOf(type, at - 1), this.#endOf(type, at));
      for (let n = at; n < behind - 1; n++) this.#copy(type, n + 1, n);
      this.#behind[type] = behind - 1;
    } else if (joinsBefore) {
      this.#set(type, at - 1, this.#startOf(type, at - 1), end);
    } else if (joinsAfter) {
      this.#set(type, at, start, this.#endOf(type, at));
    } else {
      assert(behind < 1 << (ROW_SHIFT - 1), 'a row has room for the spans of a terabyte');
      for (let n = behind - 1; n >= at; n--) this.#copy(type, n, n + 1);
      this.#set(type, at, start, end);
      this.#behind[type] = behind + 1;
    }
  }

  /** Takes the lowest block; there is one. */
  takeFirst(type: number): Pfn {
    const n = this.#first[type] as number;
    assert(n < (this.#behind[type] as number), 'no span is left');
    const start = this.#startOf(type, n);
    const rest = start + MAX_BLOCK_PAGES;
    if (rest === this.#endOf(type, n)) this.#first[type] = n + 1;
    else this.#words.set((type << ROW_SHIFT) + 2 * n, rest);
    return start as Pfn;
  }

  /** Whether a frame of [start, end) lies in a span. */
  overlaps(type: number, start: Pfn, end: Pfn): boolean {
    const at = this.#numberAfter(type, (end - 1) as Pfn);
    return at > (this.#first[type] as number) && start < this.#endOf(type, at - 1);
  }

  /** Ascending. */
  *of(type: number): Generator<Span, void, void> {
    for (let n = this.#first[type] as number; n < (this.#behind[type] as number); n++) {
      yield { start: this.#startOf(type, n) as Pfn, end: this.#endOf(type, n) as Pfn };
    }
  }

  capture(): unknown {
    const captured: Captured = { first: this.#first.slice(), behind: this.#behind.slice() };
    return captured;
  }

  reinstate(state: unknown): void {
    const { first, behind } = state as Captured;
    this.#first.set(first);
    this.#behind.set(behind);
  }

  /** Number of the first span that starts behind a frame. */
  #numberAfter(type: number, pfn: Pfn): number {
    let low = this.#first[type] as number;
    let high = this.#behind[type] as number;
    // Boot hands memory over in ascending order: look at the last one first.
    if (low < high && this.#startOf(type, high - 1) <= pfn) return high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#startOf(type, middle) <= pfn) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #startOf(type: number, n: number): number {
    return this.#words.get((type << ROW_SHIFT) + 2 * n);
  }

  #endOf(type: number, n: number): number {
    return this.#words.get((type << ROW_SHIFT) + 2 * n + 1);
  }

  #set(type: number, n: number, start: number, end: number): void {
    this.#words.set((type << ROW_SHIFT) + 2 * n, start);
    this.#words.set((type << ROW_SHIFT) + 2 * n + 1, end);
  }

  #copy(type: number, from: number, to: number): void {
    this.#set(type, to, this.#startOf(type, from), this.#endOf(type, from));
  }
}
