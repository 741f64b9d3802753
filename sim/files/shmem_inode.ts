/*
 * Inodes of shmem files: objects of the shmem_inode_cache slab, all of them in their rows.
 *
 *   row   the cache's word | size (2 words) | seals | mode | links, state | first folio + 1 | orders of folios | pages |
 *         holder of i_rwsem | struct files | writable shared mappings | owner | pages accounted for
 *
 * state: the mapping is frozen (SHMEM_F_MAPPING_FROZEN), the order that folios are wanted in.
 */
import { fromWords, highWord } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { RowWord } from '../machine/row_word.ts';
import type { SlabCache } from '../machine/slab.ts';
import { MutexColumn } from '../sched/mutex.ts';
import type { Mapping } from './page_cache.ts';

declare const brand: unique symbol;
/** A shmem inode. 0 is none. */
export type InodeHandle = number & { readonly [brand]: 'inode' };

// Seals: what a file can promise for ever.
export const F_SEAL_SEAL = 0x01;
export const F_SEAL_SHRINK = 0x02;
export const F_SEAL_GROW = 0x04;
export const F_SEAL_WRITE = 0x08;
export const F_SEAL_FUTURE_WRITE = 0x10;
export const F_SEAL_EXEC = 0x20;
export const F_ALL_SEALS = 0x3f;

/** sizeof(struct shmem_inode_info) on x86-64, about. */
const INODE_BYTES = 704;

const ROW = 16;
const SIZE = 1;
const SEALS = 3;
const MODE = 4;
const STATE = 5;
const FIRST = 6;
const ORDERS = 7;
const PAGES = 8;
const MUTEX = 9;
const FILES = 10;
const MAPPINGS = 11;
const OWNER = 12;
const ALLOCED = 13;

const FROZEN = 1;
const LINKS_SHIFT = 1;
const LINKS_MASK = 0xff << LINKS_SHIFT;
const ORDER_SHIFT = 16;

export class InodeTable implements Mapping {
  readonly slab: SlabCache;
  /** i_rwsem, as far as it is taken here: by writers. */
  readonly lock: MutexColumn;

  constructor(kernel: Kernel) {
    this.slab = kernel.slab('shmem_inode_cache', INODE_BYTES, ROW);
    this.lock = new MutexColumn(kernel.sched, 'inode->i_rwsem', new RowWord(this.slab, MUTEX));
  }

  /** An empty file with that mode, owner and number of links, or 0 (-ENOMEM). */
  alloc(mode: number, seals: number, links: number, owner: number, folioOrder: number): InodeHandle | 0 {
    const inode = this.slab.alloc() as InodeHandle | 0;
    if (inode === 0) return 0;
    this.#set(inode, MODE, mode);
    this.#set(inode, SEALS, seals);
    this.#set(inode, OWNER, owner);
    this.#set(inode, STATE, (links << LINKS_SHIFT) | (folioOrder << ORDER_SHIFT));
    return inode;
  }

  free(inode: InodeHandle): void {
    this.slab.free(inode);
  }

  size(inode: InodeHandle): number {
    return fromWords(this.#get(inode, SIZE), this.#get(inode, SIZE + 1));
  }

  setSize(inode: InodeHandle, bytes: number): void {
    this.#set(inode, SIZE, bytes | 0);
    this.#set(inode, SIZE + 1, highWord(bytes));
  }

  seals(inode: InodeHandle): number {
    return this.#get(inode, SEALS);
  }

  setSeals(inode: InodeHandle, seals: number): void {
    this.#set(inode, SEALS, seals);
  }

  /** Permission bits. */
  mode(inode: InodeHandle): number {
    return this.#get(inode, MODE);
  }

  owner(inode: InodeHandle): number {
    return this.#get(inode, OWNER);
  }

  links(inode: InodeHandle): number {
    return (this.#get(inode, STATE) & LINKS_MASK) >>> LINKS_SHIFT;
  }

  setLinks(inode: InodeHandle, links: number): void {
    this.#set(inode, STATE, (this.#get(inode, STATE) & ~LINKS_MASK) | (links << LINKS_SHIFT));
  }

  /** Order of the folios that new pages are wanted in. */
  folioOrder(inode: InodeHandle): number {
    return this.#get(inode, STATE) >>> ORDER_SHIFT;
  }

  frozen(inode: InodeHandle): boolean {
    return (this.#get(inode, STATE) & FROZEN) !== 0;
  }

  /** @kernel shmem_freeze */
  setFrozen(inode: InodeHandle, frozen: boolean): void {
    this.#set(inode, STATE, (this.#get(inode, STATE) & ~FROZEN) | (frozen ? FROZEN : 0));
  }

  /** Pages of the file that have memory. */
  pages(inode: InodeHandle): number {
    return this.#get(inode, PAGES);
  }

  addPages(inode: InodeHandle, pages: number): void {
    this.#set(inode, PAGES, this.#get(inode, PAGES) + pages);
  }

  /** Pages that it accounts for (shmem_acct.ts). */
  alloced(inode: InodeHandle): number {
    return this.#get(inode, ALLOCED);
  }

  setAlloced(inode: InodeHandle, pages: number): void {
    this.#set(inode, ALLOCED, pages);
  }

  /** Struct files over it. */
  files(inode: InodeHandle): number {
    return this.#get(inode, FILES);
  }

  addFiles(inode: InodeHandle, files: number): void {
    this.#set(inode, FILES, this.#get(inode, FILES) + files);
  }

  /** Mappings through which it can be written. */
  writableMappings(inode: InodeHandle): number {
    return this.#get(inode, MAPPINGS);
  }

  addWritableMapping(inode: InodeHandle, mappings: number): void {
    this.#set(inode, MAPPINGS, this.#get(inode, MAPPINGS) + mappings);
  }

  // Mapping: what the page cache keeps here.

  first(inode: number): number {
    return this.#get(inode, FIRST);
  }

  setFirst(inode: number, link: number): void {
    this.#set(inode, FIRST, link);
  }

  orders(inode: number): number {
    return this.#get(inode, ORDERS);
  }

  setOrders(inode: number, orders: number): void {
    this.#set(inode, ORDERS, orders);
  }

  number(inode: number): number {
    return this.slab.index(inode);
  }

  *all(): Generator<number, void, void> {
    for (let index = 0; index < this.slab.indexEnd; index++) {
      const inode = this.slab.handleAt(index);
      if (inode !== 0) yield inode;
    }
  }

  #get(inode: number, word: number): number {
    return this.slab.row(inode)[this.slab.rowAt(inode) + word] as number;
  }

  #set(inode: number, word: number, value: number): void {
    this.slab.openRow(inode, word, 1)[this.slab.rowAt(inode) + word] = value;
  }
}
