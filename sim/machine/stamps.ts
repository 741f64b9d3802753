/*
 * Contents of memory that are a pattern: a block of pages that somebody filled is remembered as a stamp and costs a row,
 * however large it is, until a page of it is written.
 *
 *   row     first page | order + 1, -1 where it is gone, 0 where none was | seed | every | index (2 words)
 *   slots   open addressing, hash(first page, order); blocks of stamps are aligned, and no two overlap
 *
 *   word at byte `at` of the file:  patternWord(seed, at), at any place, or at the first 8 bytes of every multiple of
 *   `every` and 0 elsewhere. index: which page of the file the first page of the block is.
 */

import { MAX_PAGE_ORDER, PAGE_SIZE } from '../base/limits.ts';
import { fromWords, highWord } from '../base/units.ts';
import { Column, type Storage } from './column.ts';
import type { Stateful } from './journal.ts';

export interface Stamp {
  /** Any number; its low 32 bits count. */
  readonly seed: number;
  /** A multiple of 8 below 2^32; 0 for a pattern that is everywhere. */
  readonly every: number;
  readonly index: number;
}

/** A stamp and where it is. */
export interface StampedBlock extends Stamp {
  readonly first: number;
  readonly order: number;
}

/** Bytes of a pattern at each multiple of `every`. */
export const FILL_BYTES = 8;

const WORDS = 6;
const FIRST = 0;
const ORDER = 1;
const SEED = 2;
const EVERY = 3;
const INDEX = 4;
const GONE = -1;
const NONE = -1;
const SLOTS_MIN = 256;

/** The word of the pattern `seed` at a multiple of 4 bytes of a file: no byte of it is 0. */
export function patternWord(seed: number, at: number): number {
  let h =
    Math.imul(seed ^ 0x2545f491, 0x9e3779b1) ^ Math.imul((at / 4) | 0, 0x85ebca6b) ^ Math.floor(at / 2 ** 34);
  h = Math.imul(h ^ (h >>> 15), 0xc2b2ae35);
  return (h ^ (h >>> 13)) | 0x01010101;
}

/** Writes the page of a stamp that begins at a place of its file into words[at..]. */
export function fillStamped(words: Int32Array, at: number, seed: number, every: number, place: number): void {
  for (let k = 0; k < PAGE_SIZE / 4; k++) words[at + k] = wordOf(seed, every, place + k * 4);
}

/** The word of a stamp at a multiple of 4 bytes of its file. */
const wordOf = (seed: number, every: number, at: number): number =>
  every === 0 || at % every < FILL_BYTES ? patternWord(seed, at) : 0;

export class Stamps implements Stateful {
  readonly #storage: Storage;
  #slots: Column;
  #mask = SLOTS_MIN - 1;
  /** Slots that are not empty. */
  #used = 0;
  /** Stamps of each order. */
  #live: number[] = new Array<number>(MAX_PAGE_ORDER + 1).fill(0);
  /** How many there are. */
  count = 0;

  constructor(storage: Storage) {
    this.#storage = storage;
    this.#slots = this.#newSlots();
    storage.journal.enlist(this);
  }

  /** The stamp that covers a page; undefined where none does. */
  of(page: number): StampedBlock | undefined {
    const row = this.#covering(page, 0);
    return row === NONE ? undefined : this.#block(row);
  }

  /** Puts a stamp on an aligned block; what was stamped there is not any more. Two halves of a block become one. */
  put(first: number, order: number, { seed, every, index }: Stamp): void {
    this.clear(first, order);
    let block: StampedBlock = { first, order, seed: seed | 0, every, index };
    for (let half = this.#otherHalf(block); half !== NONE; half = this.#otherHalf(block)) {
      const other = this.#block(half);
      this.#end(half, other.order);
      const lower = other.first < block.first ? other : block;
      block = { ...lower, order: lower.order + 1 };
    }
    if ((this.#used + 1) * 2 > this.#mask + 1) this.#rebuild();
    this.#place(block);
    this.#used++;
    this.#count(block.order, 1);
  }

  /** Ends what is stamped in an aligned block. Of a larger block the rest stays. */
  clear(first: number, order: number): void {
    if (this.count === 0) return;
    const outer = this.#covering(first, order + 1);
    if (outer !== NONE) this.#split(outer, first, order);
    for (let own = order; own >= 0; own--) {
      if (this.#live[own] === 0) continue;
      for (let at = first; at < first + 2 ** order; at += 2 ** own) {
        const row = this.#find(at, own);
        if (row !== NONE) this.#end(row, own);
      }
    }
  }

  /** Ends what is stamped in pages [start, end). */
  clearRange(start: number, end: number): void {
    if (this.count === 0) return;
    for (const { first, order } of this.blocks()) {
      const last = first + 2 ** order;
      if (first >= end || last <= start) continue;
      if (first >= start && last <= end) this.clear(first, order);
      else for (let page = Math.max(first, start); page < Math.min(last, end); page++) this.clear(page, 0);
    }
  }

  /** The word at an aligned address; undefined where nothing is stamped. */
  wordAt(address: number): number | undefined {
    const row = this.#covering(Math.floor(address / PAGE_SIZE), 0);
    if (row === NONE) return undefined;
    return wordOf(this.#get(row, SEED), this.#get(row, EVERY) >>> 0, this.#origin(row) + address);
  }

  /** Copies a stamped page into words[at..]; whether it is one. */
  fillPage(words: Int32Array, at: number, address: number): boolean {
    const row = this.#covering(address / PAGE_SIZE, 0);
    if (row === NONE) return false;
    fillStamped(words, at, this.#get(row, SEED), this.#get(row, EVERY) >>> 0, this.#origin(row) + address);
    return true;
  }

  /** Every block, ascending. */
  blocks(): StampedBlock[] {
    const found: StampedBlock[] = [];
    if (this.count === 0) return found;
    for (let row = 0; row <= this.#mask; row++) if (this.#get(row, ORDER) > 0) found.push(this.#block(row));
    return found.sort((x, y) => x.first - y.first);
  }

  reset(): void {
    this.#slots.dispose();
    this.#mask = SLOTS_MIN - 1;
    this.#slots = this.#newSlots();
    this.#used = 0;
    this.#live.fill(0);
    this.count = 0;
  }

  dispose(): void {
    this.#slots.dispose();
  }

  capture(): unknown {
    return [this.#slots, this.#mask, this.#used, this.#live.slice(), this.count];
  }

  reinstate(state: unknown): void {
    const [slots, mask, used, live, count] = state as [Column, number, number, number[], number];
    this.#slots = slots;
    this.#mask = mask;
    this.#used = used;
    this.#live = live.slice();
    this.count = count;
  }

  #newSlots(): Column {
    return new Column(this.#storage, 'stamps', (this.#mask + 1) * WORDS);
  }

  /** The row of the block of at least an order that a page lies in. */
  #covering(page: number, least: number): number {
    for (let order = least; order <= MAX_PAGE_ORDER; order++) {
      if (this.#live[order] === 0) continue;
      const row = this.#find(page - (page % 2 ** order), order);
      if (row !== NONE) return row;
    }
    return NONE;
  }

  #find(first: number, order: number): number {
    for (let row = hashBlock(first, order) & this.#mask; ; row = (row + 1) & this.#mask) {
      const own = this.#get(row, ORDER);
      if (own === 0) return NONE;
      if (own === order + 1 && this.#get(row, FIRST) === first) return row;
    }
  }

  /** The row of the block beside this one with which it makes a larger one of the same pattern. */
  #otherHalf({ first, order, seed, every, index }: StampedBlock): number {
    if (order === MAX_PAGE_ORDER || this.#live[order] === 0) return NONE;
    const buddy = buddyOf(first, order);
    const row = this.#find(buddy, order);
    const same =
      row !== NONE &&
      this.#get(row, SEED) === seed &&
      this.#get(row, EVERY) >>> 0 === every &&
      this.#index(row) - buddy === index - first;
    return same ? row : NONE;
  }

  /** A block goes, and its parts but for one stay: two at most of each order. */
  #split(row: number, first: number, order: number): void {
    const block = this.#block(row);
    this.#end(row, block.order);
    for (let own = block.order - 1; own >= order; own--) {
      const buddy = buddyOf(first - (first % 2 ** own), own);
      const { seed, every } = block;
      this.put(buddy, own, { seed, every, index: block.index + buddy - block.first });
    }
  }

  #end(row: number, order: number): void {
    this.#set(row, ORDER, GONE);
    this.#count(order, -1);
  }

  #count(order: number, by: number): void {
    this.#live[order] = (this.#live[order] as number) + by;
    this.count += by;
  }

  #block(row: number): StampedBlock {
    return {
      first: this.#get(row, FIRST),
      order: this.#get(row, ORDER) - 1,
      seed: this.#get(row, SEED),
      every: this.#get(row, EVERY) >>> 0,
      index: this.#index(row),
    };
  }

  #index(row: number): number {
    return fromWords(this.#get(row, INDEX), this.#get(row, INDEX + 1));
  }

  /** What is added to an address to get the place in the file. */
  #origin(row: number): number {
    return (this.#index(row) - this.#get(row, FIRST)) * PAGE_SIZE;
  }

  #place({ first, order, seed, every, index }: StampedBlock): void {
    let row = hashBlock(first, order) & this.#mask;
    while (this.#get(row, ORDER) !== 0) row = (row + 1) & this.#mask;
    this.#set(row, FIRST, first);
    this.#set(row, ORDER, order + 1);
    this.#set(row, SEED, seed | 0);
    this.#set(row, EVERY, every | 0);
    this.#set(row, INDEX, index | 0);
    this.#set(row, INDEX + 1, highWord(index));
  }

  #rebuild(): void {
    const blocks = this.blocks();
    const old = this.#slots;
    while (blocks.length * 4 > this.#mask + 1) this.#mask = this.#mask * 2 + 1;
    this.#slots = this.#newSlots();
    this.#used = blocks.length;
    for (const block of blocks) this.#place(block);
    // A mark may still need it.
    if (this.#storage.journal.depth === 0) old.dispose();
  }

  #get(row: number, word: number): number {
    return this.#slots.get(row * WORDS + word);
  }

  #set(row: number, word: number, value: number): void {
    this.#slots.set(row * WORDS + word, value);
  }
}

/** The largest aligned blocks that pages fall into, ascending. */
export function eachBlock(first: number, pages: number, visit: (block: number, order: number) => void): void {
  for (let page = first; page < first + pages; ) {
    let order = 0;
    while (order < MAX_PAGE_ORDER && page % 2 ** (order + 1) === 0) {
      if (page + 2 ** (order + 1) > first + pages) break;
      order++;
    }
    visit(page, order);
    page += 2 ** order;
  }
}

const buddyOf = (first: number, order: number): number =>
  Math.floor(first / 2 ** order) % 2 === 0 ? first + 2 ** order : first - 2 ** order;

function hashBlock(first: number, order: number): number {
  let h = Math.imul(first ^ 0x2545f491, 0x9e3779b1) ^ Math.imul(order + 1, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 15), 0xc2b2ae35);
  return (h ^ (h >>> 13)) >>> 0;
}
