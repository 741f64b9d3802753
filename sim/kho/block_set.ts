/*
 * struct kho_block_set, v7.3 (kernel/liveupdate/kho_block.c): entries of one size in a chain of preserved pages that
 * grows and shrinks by the block. Layout of a block: abi.ts.
 *
 *   set --> block --> block --> block        kho_block records, for this kernel (block_table.ts)
 *             |         |         |
 *   head_pa > page ---> page ---> page --> 0 what the next kernel reads
 *
 *   row of a set      4 words: first, last, nblocks, incoming; all zero is an empty outgoing set
 *   head_pa           address of the first block, 0 without one: whenever no function of the set is running
 *
 * A KhoBlockSet is a view of such a row, so sets by the million cost a row each, and marks cover them. No locking of
 * its own: the lock of whoever owns the set. Nothing here waits but `grow`; where pages are given back through a
 * function that can wait, the blocks are unlinked first and their addresses handed to the caller.
 *
 * Removal takes blocks from the end whatever they hold: the entries count, not their places, which the next
 * serialization writes anew.
 */
import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { kernelFunction, type Op, type Point } from '../base/point.ts';
import { type Phys, pfnOf } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { Column } from '../machine/column.ts';
import type { Owner } from '../machine/frames.ts';
import type { Ram } from '../machine/ram.ts';
import type { Task } from '../sched/task.ts';
import { KHO_BLOCK_HEADER_SER, KHO_BLOCK_SIZE, KHO_MAX_BLOCKS } from './abi.ts';
import { isCyclic } from './block_cycle.ts';
import { type BlockHandle, type KhoBlockTable, NO_BLOCK } from './block_table.ts';
import type { KhoOut } from './preserve.ts';

const RESTORE = kernelFunction('kho_block_set_restore');
const DESTROY = kernelFunction('kho_block_set_destroy');

const HEADER = KHO_BLOCK_HEADER_SER.at;
const HEADER_BYTES = KHO_BLOCK_HEADER_SER.size;
/** The header's count and the entries: all of a block but its link. */
const ZEROS = new Int32Array((KHO_BLOCK_SIZE - HEADER.count) / 4);

/** Words of a set's row. */
export const BLOCK_SET_WORDS = 4;
const FIRST = 0;
const LAST = 1;
const NBLOCKS = 2;
const INCOMING = 3;

export interface BlockGeometry {
  /** Bytes of an entry. */
  readonly entryBytes: number;
  /** KHO_MAX_BLOCKS, but for tests that come to the end sooner. */
  readonly maxBlocks: number;
}

/** What blocks hold whose entries take `bytes`. */
export const blocksOf = (bytes: number): BlockGeometry => ({ entryBytes: bytes, maxBlocks: KHO_MAX_BLOCKS });

/**
 * Takes a page that is no longer in any set: it unpreserves or restores it, and frees it.
 * @kernel kho_block_free_ser
 */
export type FreeBlock = (address: Phys) => void;

export class KhoBlockSet {
  readonly table: KhoBlockTable;
  readonly entryBytes: number;
  /** Entries in a block: count_per_block. */
  readonly perBlock: number;
  readonly #maxBlocks: number;
  readonly #rows: Column;
  readonly #row: number;

  /**
   * The set whose row begins at word `row` of `rows`.
   * @kernel kho_block_set_init @simplified entries larger than a block are a fault of luosim, not a warning
   */
  constructor(table: KhoBlockTable, { entryBytes, maxBlocks }: BlockGeometry, rows: Column, row: number) {
    this.table = table;
    this.entryBytes = entryBytes;
    this.perBlock = Math.floor((KHO_BLOCK_SIZE - HEADER_BYTES) / entryBytes);
    // The kernel warns and goes on with a set that holds nothing; no caller has such entries.
    assert(this.perBlock > 0, 'an entry fits a block');
    this.#maxBlocks = maxBlocks;
    this.#rows = rows;
    this.#row = row;
  }

  /** A set that exists once and has its row to itself. */
  static alone(table: KhoBlockTable, geometry: BlockGeometry, name: string): KhoBlockSet {
    return new KhoBlockSet(table, geometry, new Column(table.kernel.storage, name, BLOCK_SET_WORDS), 0);
  }

  get first(): BlockHandle {
    return this.#get(FIRST) as BlockHandle;
  }

  get last(): BlockHandle {
    return this.#get(LAST) as BlockHandle;
  }

  get nblocks(): number {
    return this.#get(NBLOCKS);
  }

  /** Whether the blocks were handed over: they are restored, not unpreserved, when they go. */
  get incoming(): boolean {
    return this.#get(INCOMING) !== 0;
  }

  /** @kernel kho_block_set_head_pa */
  get headPhys(): number {
    return this.first === NO_BLOCK ? 0 : this.table.address(this.first);
  }

  /** @kernel kho_block_set_is_empty */
  get isEmpty(): boolean {
    return this.first === NO_BLOCK;
  }

  /** Addresses of the blocks, first to last. */
  *addresses(): Generator<Phys, void, void> {
    for (let block = this.first; block !== NO_BLOCK; block = this.table.next(block)) {
      yield this.table.address(block);
    }
  }

  /** Whether `count` entries need one more block. */
  needsBlock(count: number): boolean {
    return count > this.nblocks * this.perBlock;
  }

  /** Whether `count` entries do without the last block. */
  sparesBlock(count: number): boolean {
    return this.nblocks > 0 && count <= (this.nblocks - 1) * this.perBlock;
  }

  /**
   * Links a page, allocated and preserved, or handed over, as the last block. 0, -ENOSPC at the limit, -ENOMEM; on
   * an error the page is still the caller's. @kernel kho_block_add
   */
  add(address: Phys): number {
    const { table } = this;
    if (this.nblocks >= this.#maxBlocks) return -ERRNO.ENOSPC;
    const block = table.alloc(address);
    if (block === NO_BLOCK) return -ERRNO.ENOMEM;
    const { last } = this;
    table.setPrev(block, last);
    if (last === NO_BLOCK) {
      this.#set(FIRST, block);
    } else {
      table.setNext(last, block);
      this.#link(last, address);
    }
    this.#set(LAST, block);
    this.#set(NBLOCKS, this.nblocks + 1);
    return 0;
  }

  /**
   * Makes room for `count` entries in all: 0; -EINVAL for a set that was handed over; -ENOMEM, -ENOSPC with the blocks
   * there were. A page is allocated and preserved before anything can be said against it.
   * @kernel kho_block_set_grow, kho_block_set_grow_one, kho_block_alloc_ser
   */
  *grow(task: Task, out: KhoOut, count: number, owner: Owner, point: Point): Op<number> {
    if (this.incoming) {
      this.#kernel.warn('kho_block_set_grow: set is incoming');
      return -ERRNO.EINVAL;
    }
    const before = this.nblocks;
    let err = 0;
    while (err === 0 && this.needsBlock(count)) {
      const address = yield* out.allocPreserve(task, KHO_BLOCK_SIZE, owner, point);
      err = address < 0 ? address : this.add(address as Phys);
      if (err !== 0 && address >= 0) yield* out.unpreserveFree(task, address as Phys);
    }
    while (err !== 0 && this.nblocks > before) yield* out.unpreserveFree(task, this.shrinkOne());
    return err;
  }

  /**
   * Unlinks the last block: its address, for the caller to give back; 0 without one.
   * @kernel kho_block_set_shrink_one @simplified the block is unlinked before its page is freed, and not after
   */
  shrinkOne(): Phys | 0 {
    const { table, last } = this;
    assert((last === NO_BLOCK) === (this.nblocks === 0), 'a set has the blocks it counts');
    if (last === NO_BLOCK) return 0;
    const address = table.address(last);
    const prev = table.prev(last);
    if (prev === NO_BLOCK) {
      this.#set(FIRST, NO_BLOCK);
    } else {
      table.setNext(prev, NO_BLOCK);
      this.#link(prev, 0);
    }
    this.#set(LAST, prev);
    this.#set(NBLOCKS, this.nblocks - 1);
    table.free(last);
    return address;
  }

  /** Unlinks what `count` entries do without, last block first. @kernel kho_block_set_shrink */
  shrink(count: number, free: FreeBlock): void {
    while (this.sparesBlock(count)) free(this.shrinkOne() as Phys);
  }

  /** Unlinks every block, first to last. @kernel kho_block_set_destroy */
  destroy(free: FreeBlock): void {
    const { table } = this;
    this.#kernel.trace.event(DESTROY, this.nblocks);
    let block = this.first;
    this.#set(FIRST, NO_BLOCK);
    this.#set(LAST, NO_BLOCK);
    this.#set(NBLOCKS, 0);
    while (block !== NO_BLOCK) {
      const next = table.next(block);
      free(table.address(block));
      table.free(block);
      block = next;
    }
  }

  /** Zeroes counts and entries; the chain stays. @kernel kho_block_set_clear */
  clear(): void {
    for (const address of this.addresses())
      this.#ram.storeWords(address + HEADER.count, ZEROS, 0, ZEROS.length);
  }

  /**
   * Takes over the chain that a previous kernel left at `headPhys`, 0 for none. -EINVAL for a chain without end, which
   * stays where it is; -EINVAL for a count that cannot be, -ENOSPC, -ENOMEM, and then every page of the chain is freed.
   * Whether a page was handed over at all is not checked: an address outside memory faults. @kernel kho_block_set_restore
   */
  restore(headPhys: Phys | 0, restoreFree: FreeBlock): number {
    assert(this.isEmpty, 'a chain is taken over by an empty set');
    this.#set(INCOMING, 1);
    if (headPhys === 0) return 0;
    const err = isCyclic(this.#kernel, headPhys, this.#maxBlocks)
      ? -ERRNO.EINVAL
      : this.#adopt(headPhys, restoreFree);
    this.#kernel.trace.event(RESTORE, pfnOf(headPhys), this.nblocks, err);
    return err;
  }

  /** Links the blocks of a chain that is known to end, or frees them all. */
  #adopt(headPhys: Phys, restoreFree: FreeBlock): number {
    let at: number = headPhys;
    let err = 0;
    while (at !== 0) {
      const count = this.#ram.load64(at + HEADER.count);
      if (count === 0 || count > this.perBlock) {
        this.#print(`Block contains invalid entry count: ${printU64(this.#ram, at + HEADER.count)}`);
        err = -ERRNO.EINVAL;
      } else {
        err = this.add(at as Phys);
      }
      if (err !== 0) break;
      at = this.#ram.load64(at + HEADER.next);
    }
    if (err === 0) return 0;
    this.destroy(restoreFree);
    while (at !== 0) {
      const next = this.#ram.load64(at + HEADER.next);
      restoreFree(at as Phys);
      at = next;
    }
    return err;
  }

  /**
   * Writes a block's link. A page that was handed over is the set's own, though not restored yet: no wild write. While
   * a chain is taken over its links are right already.
   */
  #link(block: BlockHandle, next: Phys | 0): void {
    const at = this.table.address(block) + HEADER.next;
    if (this.#ram.load64(at) === next) return;
    const frame = pfnOf(at as Phys);
    const guarded = this.incoming && this.#kernel.frames.isStamped(frame);
    if (guarded) this.#ram.guardPages(frame, 1, false);
    this.#ram.store64(at, next);
    if (guarded) this.#ram.guardPages(frame, 1, true);
  }

  get #kernel(): Kernel {
    return this.table.kernel;
  }

  get #ram(): Ram {
    return this.table.kernel.machine.ram;
  }

  #get(word: number): number {
    return this.#rows.get(this.#row + word);
  }

  #set(word: number, value: number): void {
    this.#rows.set(this.#row + word, value);
  }

  #print(line: string): void {
    this.#kernel.printk(`kho_block: ${line}`);
  }
}

/** What %llu makes of a u64 in memory. */
function printU64(ram: Ram, at: number): string {
  return String((BigInt(ram.load32(at + 4) >>> 0) << 32n) | BigInt(ram.load32(at) >>> 0));
}
