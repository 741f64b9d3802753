/*
 * Slab caches: kernel objects of one kind on real frames. Linux 6.19 to 7.3 (SLUB).
 *
 *   index     slab number * objects per slab + place in the slab
 *
 *   row of an object      its word | words of whoever made the cache, which has it all in one place
 *   word of an object     31 live | 30 .. 24 generation, of the next handle while free | 23 .. 0 next free place + 1
 *   row of a slab         frame + 1 | objects in use, objects ever used << 16 | first free place + 1 | prev | next | -
 *
 * Counts and free places of the current slab are kept here, and written to its row when it is current no more.
 *
 * Freeing an object counts its generation, so a stale handle is told from the live one that took its place (127 times;
 * then generations repeat). What an object contains lies in its row, and in columns beside it (see records); the cache
 * poisons and zeroes both.
 *
 *   alloc     current slab: last freed object, else the next unused one; else the oldest partial slab; else a new one
 *   free      a full slab becomes partial; an empty one gives its frames back at once
 *
 * SLUB keeps a few empty slabs a node, and its per-CPU slabs and sheaves delay what is said above; one CPU's view
 * without them is modelled. Slab numbers of freed slabs are used again, the last freed first.
 */
import { assert } from '../base/assert.ts';
import { PAGE_SIZE } from '../base/limits.ts';
import { bytesOf, type Order, type Pfn, type Phys, roundUp } from '../base/units.ts';
import { countNegative, fillWords } from '../base/words.ts';
import { Column, type Storage } from './column.ts';
import { NO_FRAME } from './frames.ts';
import type { Journal, Stateful } from './journal.ts';
import { PIECE_MASK, PIECE_WORDS, ZERO_PIECE } from './pool.ts';
import { GENERATION_MASK, GENERATION_ONE, INDEX_BITS, INDEX_MASK, UseAfterFree } from './slab_handle.ts';
import { type PageSource, slabOrder } from './slab_order.ts';
import { SlabRecords } from './slab_records.ts';

/** POISON_FREE, in every byte. */
export const POISON = 0x6b6b6b6b;

const LIVE = 1 << 31;
/** Not 0 either, which many mean by it and nobody may look at. */
const NO_HANDLE = -1;
const LINK_MASK = INDEX_MASK;

/** A power of two: the row of a slab lies in one piece. */
const ROW = 8;
const FRAME = 0;
const COUNTS = 1;
const FREE = 2;
const PREVIOUS = 3;
const NEXT = 4;
const IN_USE_MASK = 0xffff;
const USED_SHIFT = 16;
const USED_ONE = 1 << USED_SHIFT;

export class SlabCache implements Stateful {
  readonly name: string;
  /** Bytes that an object takes in its slab. */
  readonly objectBytes: number;
  readonly order: Order;
  readonly objectsPerSlab: number;
  /** Objects allocated and not freed. */
  live = 0;
  /** Slabs that have frames. */
  slabs = 0;
  readonly #storage: Storage;
  readonly #journal: Journal;
  readonly #pages: PageSource;
  /** Rows of objects, by index; word 0 of each is the cache's own. */
  readonly objects: Column;
  readonly #rowShift: number;
  readonly #rows: Column;
  readonly #records = new SlabRecords();
  // Slab numbers + 1, 0 for none.
  #current = 0;
  /** Row words of the current slab, and the index of its first object. */
  #counts = 0;
  #free = 0;
  #base = 0;
  #firstPartial = 0;
  #lastPartial = 0;
  #freeNumber = 0;
  /** Slab numbers ever used. */
  #numbers = 0;
  /** A handle that was looked at last, and lives, and the piece that has its row. */
  #known = NO_HANDLE;
  #knownRow: Int32Array = ZERO_PIECE;
  /** The same of the one that was allocated last: a call goes on with it, and the next with what was known before. */
  #made = NO_HANDLE;
  #madeRow: Int32Array = ZERO_PIECE;

  /**
   * `objectBytes` is the size of the real struct; `rowWords` what is kept of it in a row, a power of two with word 0;
   * `cpus` counts in the order of the slabs.
   * @kernel kmem_cache_create @simplified caches of one size are not merged
   */
  constructor(
    storage: Storage,
    name: string,
    objectBytes: number,
    pages: PageSource,
    { rowWords = 1, cpus = 1 } = {},
  ) {
    this.#rowShift = 31 - Math.clz32(rowWords);
    assert(1 << this.#rowShift === rowWords && rowWords <= PIECE_WORDS, 'a row is a power of two words');
    this.name = name;
    this.objectBytes = roundUp(objectBytes, 8);
    this.order = slabOrder(this.objectBytes, cpus);
    this.objectsPerSlab = Math.floor(bytesOf(this.order) / this.objectBytes);
    this.#storage = storage;
    this.#journal = storage.journal;
    this.#pages = pages;
    this.objects = new Column(storage, `${name} objects`, 2 ** INDEX_BITS * rowWords);
    this.#rows = new Column(
      storage,
      `${name} slabs`,
      Math.ceil((1 << INDEX_BITS) / this.objectsPerSlab) * ROW,
    );
    storage.journal.enlist(this);
  }

  /** Every index is below this. */
  get indexEnd(): number {
    return this.#numbers * this.objectsPerSlab;
  }

  /** First frame of the slab that an index is in, -1 where it has none. */
  frameOf(index: number): Pfn | -1 {
    return (this.#rows.get(((index / this.objectsPerSlab) | 0) * ROW + FRAME) - 1) as Pfn | -1;
  }

  /**
   * A column with a row of `words` words per object, at index * words: zero when the object is allocated, POISON
   * once it is freed. `sparse`: most rows stay zero; those in a piece that nobody wrote to are not poisoned.
   */
  records(name: string, words: number, sparse = false): Column {
    assert(this.indexEnd === 0, `${this.name}: records are declared before the first object`);
    assert(words >= 1 && words <= PIECE_WORDS, `${this.name}: a record fits a piece`);
    const column = new Column(this.#storage, name, (1 << INDEX_BITS) * words);
    this.#records.add(column, words, sparse);
    return column;
  }

  /**
   * Handle of a new object, 0 if there are no frames for it.
   * @kernel kmem_cache_alloc @simplified one CPU's view: no sheaves and no slab for each CPU
   */
  alloc(): number {
    if (this.#current === 0 && !this.#findSlab()) return 0;
    const counts = this.#counts;
    const free = this.#free;
    const index = this.#base + (free === 0 ? counts >>> USED_SHIFT : free - 1);
    const shift = this.#rowShift;
    const objects = this.objects.open(index << shift, 1 << shift);
    const at = (index << shift) & PIECE_MASK;
    const word = objects[at] as number;
    this.live++;
    this.#counts = free === 0 ? counts + 1 + USED_ONE : counts + 1;
    if (free !== 0) this.#free = word & LINK_MASK;
    if ((counts & IN_USE_MASK) + 1 === this.objectsPerSlab) this.#retire();
    let generation = GENERATION_ONE;
    // What was never used is zero.
    if (word !== 0) {
      generation = word & GENERATION_MASK;
      this.#fill(index, objects, 0);
    }
    objects[at] = LIVE | generation;
    this.#made = generation | index;
    // Mostly the same: to set a reference costs more than to compare it.
    if (objects !== this.#madeRow) this.#madeRow = objects;
    return generation | index;
  }

  /**
   * Frees an object; throws UseAfterFree if it is not live.
   * @kernel kmem_cache_free @simplified one CPU's view: no sheaves; an empty slab is given back at once
   */
  free(handle: number): void {
    const index = handle & INDEX_MASK;
    const generation = handle & GENERATION_MASK;
    const shift = this.#rowShift;
    const at = (index << shift) & PIECE_MASK;
    if (this.objects.get(index << shift) !== (LIVE | generation)) {
      throw new UseAfterFree(this.name, handle, 'double free');
    }
    if (handle === this.#known) this.#known = NO_HANDLE;
    if (handle === this.#made) this.#made = NO_HANDLE;
    const objects = this.objects.open(index << shift, 1 << shift);
    this.#fill(index, objects, POISON);
    this.live--;
    const next = generation === GENERATION_MASK ? GENERATION_ONE : generation + GENERATION_ONE;
    const slab = (index / this.objectsPerSlab) | 0;
    const place = index - slab * this.objectsPerSlab;
    objects[at] = next | (slab === this.#current - 1 ? this.#takeBack(place) : this.#giveTo(slab, place));
  }

  isLive(handle: number): boolean {
    return this.objects.get((handle & INDEX_MASK) << this.#rowShift) === (LIVE | (handle & GENERATION_MASK));
  }

  /** Index of a live object; throws UseAfterFree if it is not live. */
  index(handle: number): number {
    this.row(handle);
    return handle & INDEX_MASK;
  }

  /**
   * The piece of `objects` that has the row of a live object from rowAt on, for reading; for writing too where `alloc` has
   * just given the handle, and logged it. Throws UseAfterFree.
   */
  row(handle: number): Int32Array {
    if (handle === this.#made) return this.#madeRow;
    if (handle !== this.#known) this.#look(handle);
    return this.#knownRow;
  }

  /** The same in passing: what was looked at last stays at hand. */
  peek(handle: number): Int32Array {
    const i = (handle & INDEX_MASK) << this.#rowShift;
    const piece = this.objects.piece(i);
    if (piece[i & PIECE_MASK] !== (LIVE | (handle & GENERATION_MASK))) {
      throw new UseAfterFree(this.name, handle, 'use after free');
    }
    return piece;
  }

  rowAt(handle: number): number {
    return ((handle & INDEX_MASK) << this.#rowShift) & PIECE_MASK;
  }

  /** The same for writing `n` words of the row from word `word` on: they are logged now. */
  openRow(handle: number, word: number, n: number): Int32Array {
    const piece = this.row(handle);
    if (this.#journal.depth === 0) return piece;
    return this.objects.open(((handle & INDEX_MASK) << this.#rowShift) + word, n);
  }

  /** A word of the row of a live object; throws UseAfterFree, as the next two do. */
  get(handle: number, word: number): number {
    return this.row(handle)[this.rowAt(handle) + word] as number;
  }

  set(handle: number, word: number, value: number): void {
    this.openRow(handle, word, 1)[this.rowAt(handle) + word] = value;
  }

  /** The same for a neighbour of the object that was looked at last, which stays at hand. */
  setBeside(handle: number, word: number, value: number): void {
    const piece = this.peek(handle);
    const i = ((handle & INDEX_MASK) << this.#rowShift) + word;
    (this.#journal.depth === 0 ? piece : this.objects.open(i, 1))[i & PIECE_MASK] = value;
  }

  /** Whether the word was `from`; then it is `to`. */
  replace(handle: number, word: number, from: number, to: number): boolean {
    const i = ((handle & INDEX_MASK) << this.#rowShift) + word;
    const piece = this.row(handle);
    if (piece[i & PIECE_MASK] !== from) return false;
    if (this.#journal.depth !== 0) this.objects.open(i, 1);
    piece[i & PIECE_MASK] = to;
    return true;
  }

  /** How many of the objects from an index on, `n` of them, live. */
  liveFrom(index: number, n: number): number {
    const shift = this.#rowShift;
    let live = 0;
    for (let at = index << shift, end = (index + n) << shift; at < end; ) {
      const piece = this.objects.piece(at);
      const last = Math.min(end - (at & ~PIECE_MASK), PIECE_WORDS);
      live += countNegative(piece, at & PIECE_MASK, last, 1 << shift);
      at = (at & ~PIECE_MASK) + PIECE_WORDS;
    }
    return live;
  }

  /** Handle of the live object with an index, 0 if there is none. */
  handleAt(index: number): number {
    const word = this.objects.get(index << this.#rowShift);
    return (word & LIVE) === 0 ? 0 : (word & GENERATION_MASK) | index;
  }

  /** Address of a live object. */
  physOf(handle: number): Phys {
    const index = this.index(handle);
    const place = index % this.objectsPerSlab;
    return (this.frameOf(index) * PAGE_SIZE + place * this.objectBytes) as Phys;
  }

  /** Gives the host memory back; the frames stay with whoever lent them. The cache cannot be used again. */
  dispose(): void {
    this.objects.dispose();
    this.#rows.dispose();
    this.#records.dispose();
  }

  capture(): unknown {
    return [
      this.live,
      this.slabs,
      this.#current,
      this.#counts,
      this.#free,
      this.#base,
      this.#firstPartial,
      this.#lastPartial,
      this.#freeNumber,
      this.#numbers,
    ];
  }

  reinstate(state: unknown): void {
    [
      this.live,
      this.slabs,
      this.#current,
      this.#counts,
      this.#free,
      this.#base,
      this.#firstPartial,
      this.#lastPartial,
      this.#freeNumber,
      this.#numbers,
    ] = state as [number, number, number, number, number, number, number, number, number, number];
    this.#known = NO_HANDLE;
    this.#made = NO_HANDLE;
  }

  /**
   * Makes a slab with a free object the current one.
   * @kernel get_partial @simplified of one list, the oldest first
   * @kernel new_slab @simplified does not fall back to a smaller slab where no block of the order is left
   */
  #findSlab(): boolean {
    if (this.#firstPartial !== 0) {
      const slab = this.#firstPartial - 1;
      this.#removePartial(slab);
      this.#load(slab);
      return true;
    }
    const number = this.#freeNumber !== 0 ? this.#freeNumber - 1 : this.#numbers;
    assert((number + 1) * this.objectsPerSlab <= 1 << INDEX_BITS, `${this.name}: indices have 24 bits`);
    const pfn = this.#pages.allocPages(this.order);
    if (pfn === NO_FRAME) return false;
    if (this.#freeNumber !== 0) this.#freeNumber = this.#rows.get(number * ROW + NEXT);
    else this.#numbers++;
    this.#rows.set(number * ROW + FRAME, pfn + 1);
    this.#load(number);
    this.slabs++;
    return true;
  }

  /** A place of the current slab is free. The first free one before it, + 1. */
  #takeBack(place: number): number {
    const free = this.#free;
    this.#free = place + 1;
    this.#counts--;
    if ((this.#counts & IN_USE_MASK) === 0) {
      this.#discard(this.#current - 1);
      this.#current = 0;
    }
    return free;
  }

  /** A place of another slab is free. The first free one before it, + 1. */
  #giveTo(slab: number, place: number): number {
    const rows = this.#rows.open(slab * ROW + COUNTS, 2);
    const row = (slab * ROW) & PIECE_MASK;
    const free = rows[row + FREE] as number;
    const counts = (rows[row + COUNTS] as number) - 1;
    rows[row + FREE] = place + 1;
    rows[row + COUNTS] = counts;
    const inUse = counts & IN_USE_MASK;
    const wasFull = inUse + 1 === this.objectsPerSlab;
    if (inUse === 0) {
      if (!wasFull) this.#removePartial(slab);
      this.#discard(slab);
    } else if (wasFull) this.#addPartial(slab);
    return free;
  }

  #look(handle: number): void {
    const row = this.peek(handle);
    if (row !== this.#knownRow) this.#knownRow = row;
    this.#known = handle;
  }

  /** Makes `word` of all that an object contains. Its own word too: whoever calls sets that one. */
  #fill(index: number, objects: Int32Array, word: number): void {
    const n = 1 << this.#rowShift;
    fillWords(objects, (index * n) & PIECE_MASK, n, word);
    this.#records.fill(index, word);
  }

  #load(slab: number): void {
    this.#current = slab + 1;
    this.#base = slab * this.objectsPerSlab;
    this.#counts = this.#rows.get(slab * ROW + COUNTS);
    this.#free = this.#rows.get(slab * ROW + FREE);
  }

  /** The current slab is full. */
  #retire(): void {
    const row = (this.#current - 1) * ROW;
    this.#rows.set(row + COUNTS, this.#counts);
    this.#rows.set(row + FREE, this.#free);
    this.#current = 0;
  }

  /** Gives the frames of an empty slab back. @kernel discard_slab */
  #discard(slab: number): void {
    // Nobody counts the objects of a slab without frames.
    const lives = this.liveFrom(slab * this.objectsPerSlab, this.objectsPerSlab);
    assert(lives === 0, `${this.name}: a slab is given back, and an object in it lives`);
    const row = slab * ROW;
    const pfn = (this.#rows.get(row + FRAME) - 1) as Pfn;
    this.#rows.set(row + FRAME, 0);
    this.#rows.set(row + COUNTS, 0);
    this.#rows.set(row + FREE, 0);
    this.#rows.set(row + NEXT, this.#freeNumber);
    this.#freeNumber = slab + 1;
    this.slabs--;
    this.#pages.freePages(pfn, this.order);
  }

  #addPartial(slab: number): void {
    const last = this.#lastPartial;
    this.#rows.set(slab * ROW + PREVIOUS, last);
    this.#rows.set(slab * ROW + NEXT, 0);
    if (last !== 0) this.#rows.set((last - 1) * ROW + NEXT, slab + 1);
    else this.#firstPartial = slab + 1;
    this.#lastPartial = slab + 1;
  }

  #removePartial(slab: number): void {
    const previous = this.#rows.get(slab * ROW + PREVIOUS);
    const next = this.#rows.get(slab * ROW + NEXT);
    if (previous !== 0) this.#rows.set((previous - 1) * ROW + NEXT, next);
    else this.#firstPartial = next;
    if (next !== 0) this.#rows.set((next - 1) * ROW + PREVIOUS, previous);
    else this.#lastPartial = previous;
  }
}
