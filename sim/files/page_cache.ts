/*
 * Pages of shmem files: which folio holds which page of which file, at once, for files of any size. A folio is named by
 * its first frame; what is known of it lies in a row, whose number the frame table keeps as the block's instance.
 *
 *   row     number of the file | index in it | flags | next of the file's folios + 1, or of the free rows | previous + 1
 *           row 0 is none
 *   slots   open addressing, hash(file, index) -> frame + 1; as in luo/name_map.ts an entry counts only while the frame
 *           is a folio of that file at that index, and what was left behind goes when the table is rebuilt
 *
 * A large folio is found through each order that the file has folios of. Cost grows with folios, not with bytes.
 */
import { assert } from '../base/assert.ts';
import { MAX_PAGE_ORDER } from '../base/limits.ts';
import type { Order, Pfn } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { Column } from '../machine/column.ts';
import type { Owner } from '../machine/frames.ts';
import type { Stateful } from '../machine/journal.ts';

export const DIRTY = 1;
export const UPTODATE = 2;
/** References of memfd_pin_folios: FOLL_PIN. */
export const PINNED = 4;

const ROW = 5;
const FILE = 0;
const INDEX = 1;
const FLAGS = 2;
const NEXT = 3;
const PREV = 4;
const SLOTS_MIN = 1024;

/** Where a file keeps its first folio and how many it has. */
export interface Mapping {
  first(file: number): number;
  setFirst(file: number, link: number): void;
  /** Bit o: there are folios of order o. */
  orders(file: number): number;
  setOrders(file: number, orders: number): void;
  /** Number of the file from 0, unique among live ones. */
  number(file: number): number;
  /** Every file that has folios. */
  all(): Iterable<number>;
}

export class PageCache implements Stateful {
  readonly owner: Owner;
  /** Of folios that are pinned, to be preserved. */
  readonly pinnedOwner: Owner;
  readonly #kernel: Kernel;
  readonly #mapping: Mapping;
  readonly #rows: Column;
  /** First of the rows that are free, and behind the last that was ever used. */
  #free = 0;
  #end = 1;
  #slots: Column;
  #mask = SLOTS_MIN - 1;
  #used = 0;
  /** Folios in the cache. */
  folios = 0;
  /** Pages that memory pressure ever took. */
  reclaimed = 0;

  constructor(kernel: Kernel, mapping: Mapping) {
    this.#kernel = kernel;
    this.#mapping = mapping;
    this.owner = kernel.frames.owner('shmem');
    this.pinnedOwner = kernel.frames.owner('memfd folio');
    this.#rows = new Column(kernel.storage, 'shmem folios');
    this.#slots = new Column(kernel.storage, 'shmem pages', SLOTS_MIN);
    kernel.machine.journal.enlist(this);
  }

  /** The folio that holds a page of a file, or -1. @kernel filemap_get_folio */
  find(file: number, index: number): Pfn | -1 {
    const orders = this.#mapping.orders(file);
    const number = this.#mapping.number(file);
    for (let order = 0; order <= MAX_PAGE_ORDER; order++) {
      if ((orders & (1 << order)) === 0) continue;
      const folio = this.#lookup(number, index - (index % 2 ** order), order);
      if (folio !== -1) return folio;
    }
    return -1;
  }

  /** Puts an allocated block into a file: it is shmem's from here on. @kernel shmem_add_to_page_cache */
  add(file: number, index: number, folio: Pfn, flags: number): void {
    const { frames } = this.#kernel;
    assert(index % 2 ** frames.order(folio) === 0, 'a folio is aligned in its file');
    frames.setOwner(folio, this.owner);
    frames.setInstance(folio, this.#takeRow());
    this.#set(folio, FILE, this.#mapping.number(file));
    const first = this.#mapping.first(file);
    this.#set(folio, INDEX, index | 0);
    this.#set(folio, FLAGS, flags | (Math.floor(index / 2 ** 32) << 8));
    this.#set(folio, NEXT, first);
    this.#set(folio, PREV, 0);
    if (first !== 0) this.#set((first - 1) as Pfn, PREV, folio + 1);
    this.#mapping.setFirst(file, folio + 1);
    this.#mapping.setOrders(file, this.#mapping.orders(file) | (1 << frames.order(folio)));
    this.folios++;
    if ((this.#used + 1) * 2 > this.#mask + 1) this.#rebuild();
    else this.#place(folio);
  }

  /** Takes a folio out of its file; the reference of the cache is the caller's to drop. @kernel filemap_remove_folio */
  remove(file: number, folio: Pfn): void {
    const next = this.#get(folio, NEXT);
    const prev = this.#get(folio, PREV);
    if (prev === 0) this.#mapping.setFirst(file, next);
    else this.#set((prev - 1) as Pfn, NEXT, next);
    if (next !== 0) this.#set((next - 1) as Pfn, PREV, prev);
    this.#set(folio, NEXT, this.#free);
    this.#free = this.#kernel.frames.instance(folio);
    this.#kernel.frames.setInstance(folio, 0);
    this.folios--;
    if (this.#mapping.first(file) === 0) this.#mapping.setOrders(file, 0);
  }

  /** Every folio of a file, in no order. The one that was given may be removed before the next is asked for. */
  *of(file: number): Generator<Pfn, void, void> {
    for (let link = this.#mapping.first(file); link !== 0; ) {
      const folio = (link - 1) as Pfn;
      link = this.#get(folio, NEXT);
      yield folio;
    }
  }

  /** Index of a folio's first page in its file. */
  index(folio: Pfn): number {
    return (this.#get(folio, INDEX) >>> 0) + (this.#get(folio, FLAGS) >>> 8) * 2 ** 32;
  }

  order(folio: Pfn): Order {
    return this.#kernel.frames.order(folio);
  }

  has(folio: Pfn, flag: number): boolean {
    return (this.#get(folio, FLAGS) & flag) !== 0;
  }

  /** A pin is a reference that keeps the folio where it is. */
  pin(folio: Pfn): void {
    const { frames } = this.#kernel;
    this.mark(folio, PINNED);
    frames.setOwner(folio, this.pinnedOwner);
    frames.setRefcount(folio, frames.refcount(folio) + 1);
  }

  unpin(folio: Pfn): void {
    this.unmark(folio, PINNED);
    this.#kernel.frames.setOwner(folio, this.owner);
    this.#kernel.pages.put(folio);
  }

  mark(folio: Pfn, flags: number): void {
    this.#set(folio, FLAGS, this.#get(folio, FLAGS) | flags);
  }

  unmark(folio: Pfn, flags: number): void {
    this.#set(folio, FLAGS, this.#get(folio, FLAGS) & ~flags);
  }

  capture(): unknown {
    return [this.#slots, this.#mask, this.#used, this.folios, this.reclaimed, this.#free, this.#end];
  }

  reinstate(state: unknown): void {
    [this.#slots, this.#mask, this.#used, this.folios, this.reclaimed, this.#free, this.#end] = state as [
      Column,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
  }

  #lookup(number: number, index: number, order: number): Pfn | -1 {
    const { frames } = this.#kernel;
    for (let slot = hashPage(number, index) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const entry = this.#slots.get(slot);
      if (entry === 0) return -1;
      const folio = (entry - 1) as Pfn;
      if (!frames.isAllocatedHead(folio)) continue;
      const owner = frames.ownerOf(folio);
      if (owner !== this.owner && owner !== this.pinnedOwner) continue;
      if (frames.instance(folio) === 0) continue;
      const isIt = this.#get(folio, FILE) === number && this.index(folio) === index;
      if (isIt && frames.order(folio) === order) return folio;
    }
  }

  #place(folio: Pfn): void {
    let slot = hashPage(this.#get(folio, FILE), this.index(folio)) & this.#mask;
    while (this.#slots.get(slot) !== 0) slot = (slot + 1) & this.#mask;
    this.#slots.set(slot, folio + 1);
    this.#used++;
  }

  #rebuild(): void {
    const old = this.#slots;
    while (this.folios * 4 > this.#mask + 1) this.#mask = this.#mask * 2 + 1;
    this.#slots = new Column(this.#kernel.storage, 'shmem pages', this.#mask + 1);
    this.#used = 0;
    for (const file of this.#mapping.all()) for (const folio of this.of(file)) this.#place(folio);
    // A mark may still need it.
    if (this.#kernel.storage.journal.depth === 0) old.dispose();
  }

  #takeRow(): number {
    const row = this.#free;
    if (row === 0) return this.#end++;
    this.#free = this.#rows.get(row * ROW + NEXT);
    return row;
  }

  #get(folio: Pfn, word: number): number {
    return this.#rows.get(this.#kernel.frames.instance(folio) * ROW + word);
  }

  #set(folio: Pfn, word: number, value: number): void {
    this.#rows.set(this.#kernel.frames.instance(folio) * ROW + word, value);
  }
}

function hashPage(file: number, index: number): number {
  let h = Math.imul(file ^ 0x2545f491, 0x9e3779b1) ^ Math.imul((index | 0) + 1, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 15) ^ Math.floor(index / 2 ** 32), 0xc2b2ae35);
  return (h ^ (h >>> 13)) >>> 0;
}
