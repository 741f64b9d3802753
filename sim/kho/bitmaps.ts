/*
 * The KHO bitmaps (kho-v1, v6.19): preserved blocks as bits of one-page bitmaps, a sparse set of them for each order,
 * and the list of all bitmaps that kho_finalize writes for the next kernel. Layout: abi.ts.
 *
 *   orders   0 --> bitmap 0, bitmap 4, ...       bitmap n of order o: 32768 blocks from frame n << (15 + o) on
 *            9 --> bitmap 0
 *
 *   map --> chunk of order 0 --next--> chunk of order 9 --next--> 0       orders and bitmaps ascending
 *             {phys_start, bitmap} ...   {phys_start, bitmap}
 *
 *   before the first finalize there is no map: the next kernel refuses the handover
 *   afterwards a bit in a bitmap that is listed reaches the next kernel; a bitmap added later does not until finalize
 *   runs again, which replaces the list
 *
 * Bitmaps and chunks are zeroed pages that are not preserved themselves: the next kernel reads them where they lie.
 * Bitmaps are never freed. The bits are in RAM, the sets in a column.
 *
 * Simplified: the real sets are xarrays (order -> struct kho_mem_phys -> bitmap), which take nodes as their largest
 * index grows and insert without a lock of KHO's; here every bitmap costs one node, and `lock` stands for the
 * xarrays' own spinlocks.
 */
import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { PAGE_SIZE } from '../base/limits.ts';
import { definePoint, type Point } from '../base/point.ts';
import { type Order, type Pfn, type Phys, pfnOf, physOf, wide } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { ZEROED } from '../kernel/mm.ts';
import { Column } from '../machine/column.ts';
import { STEP } from '../machine/cpu.ts';
import { BLOCK_ORDER_MAX, type Owner } from '../machine/frames.ts';
import type { Stateful } from '../machine/journal.ts';
import type { SlabCache } from '../machine/slab.ts';
import { Mutex } from '../sched/mutex.ts';
import {
  KHO_PRESERVE_BITS_LOG2,
  KHOSER_BITMAP_SIZE,
  KHOSER_MEM_BITMAP_PTR,
  KHOSER_MEM_CHUNK,
} from './abi.ts';
import { visitBits } from './bitmap_chunks.ts';
import type { BlockVisitor, PageTracker } from './tracker.ts';

const ORDER = definePoint('__kho_preserve_order', 'order', 'fault');
const BITMAP = definePoint('xa_load_or_alloc', 'bitmap', 'fault');
const NODE = definePoint('xa_load_or_alloc', 'node', 'fault');
const CHUNK = definePoint('new_chunk', 'chunk', 'fault');

const ORDER_0 = 0 as Order;
const BITS = 2 ** KHO_PRESERVE_BITS_LOG2;
/** sizeof(struct kho_mem_phys), an xarray, and of an xarray's node. */
const MEM_PHYS_BYTES = 16;
const XA_NODE_BYTES = 576;
/** An xarray's node has 64 slots. */
const XA_CHUNK_SIZE = 64;

/** Sites of WARN_ON_ONCE. */
const NO_ORDER = 1;
const NO_BITMAP = 2;

/** Bitmaps that cover the largest machine: a row of the column for every order. */
const ROW = 2 ** (BLOCK_ORDER_MAX - KHO_PRESERVE_BITS_LOG2);

/** Called for each bitmap with what its first bit stands for; a value other than 0 ends the round. */
type BitmapVisitor = (start: Phys, bitmap: Pfn, order: Order) => number;

export class BitmapTracker implements PageTracker, Stateful {
  readonly lock: Mutex;
  readonly #kernel: Kernel;
  readonly #inScratch: (page: Pfn) => boolean;
  readonly #orders: SlabCache;
  readonly #xaNodes: SlabCache;
  readonly #bitmapOwner: Owner;
  readonly #chunkOwner: Owner;
  /** Frame + 1 of each bitmap, rows of ROW by order. */
  readonly #bitmaps: Column;
  /** A bit for each order that has its struct kho_mem_phys, perhaps without a bitmap. */
  #known = 0;
  #warned = 0;
  #mapPhys = wide(0) as Phys;

  /** `inScratch` says of a page of the tracker whether a scratch area holds it (CONFIG_KEXEC_HANDOVER_DEBUG). */
  constructor(kernel: Kernel, inScratch: (page: Pfn) => boolean = () => false) {
    this.#kernel = kernel;
    this.#inScratch = inScratch;
    this.lock = new Mutex(kernel.sched, 'xa_lock');
    this.#orders = kernel.slab('kho_mem_phys', MEM_PHYS_BYTES);
    this.#xaNodes = kernel.slab('radix_tree_node', XA_NODE_BYTES);
    this.#bitmapOwner = kernel.frames.owner('kho bitmap');
    this.#chunkOwner = kernel.frames.owner('kho bitmap list');
    this.#bitmaps = new Column(kernel.storage, 'kho_mem_phys.phys_bits', (BLOCK_ORDER_MAX + 1) * ROW);
    kernel.machine.journal.enlist(this);
  }

  /** First chunk of the list that finalize wrote last; 0 before. */
  get mapPhys(): Phys {
    return this.#mapPhys;
  }

  /**
   * Also -EINVAL where a new bitmap lies in scratch.
   * @kernel __kho_preserve_order @simplified every bitmap costs one xarray node, and one mutex stands for the xarrays' spinlocks
   */
  add(frame: Pfn, order: Order): number {
    const slot = slotOf(frame, order);
    this.#chargeLookup(slot % ROW);
    if ((this.#known & (1 << order)) === 0) {
      if (this.#allocRecord(this.#orders, ORDER) === 0) return -ERRNO.ENOMEM;
      this.#known |= 1 << order;
    }
    let bitmap = this.#bitmaps.get(slot) - 1;
    if (bitmap === -1) {
      bitmap = this.#allocBitmap();
      if (bitmap < 0) return bitmap;
      this.#bitmaps.set(slot, bitmap + 1);
    }
    const { ram } = this.#kernel.machine;
    const { word, mask } = bitOf(bitmap as Pfn, frame, order);
    ram.store32(word, ram.load32(word) | mask);
    return 0;
  }

  /**
   * Warns, the first time, where there is no bitmap; silent about a clear bit.
   * @kernel __kho_unpreserve_order @simplified under a mutex, where the kernel has no lock
   */
  del(frame: Pfn, order: Order): void {
    const slot = slotOf(frame, order);
    this.#chargeLookup(slot % ROW);
    const bitmap = this.#bitmaps.get(slot) - 1;
    if (bitmap === -1) {
      this.#warnOnce((this.#known & (1 << order)) === 0 ? NO_ORDER : NO_BITMAP);
      return;
    }
    const { ram } = this.#kernel.machine;
    const { word, mask } = bitOf(bitmap as Pfn, frame, order);
    ram.store32(word, ram.load32(word) & ~mask);
  }

  has(frame: Pfn, order: Order): boolean {
    const bitmap = this.#bitmaps.get(slotOf(frame, order)) - 1;
    if (bitmap === -1) return false;
    const { word, mask } = bitOf(bitmap as Pfn, frame, order);
    return (this.#kernel.machine.ram.load32(word) & mask) !== 0;
  }

  /** Smaller orders first, then by address: what the next kernel meets if finalize runs now. */
  walk(visit: BlockVisitor): number {
    const { ram } = this.#kernel.machine;
    const bits = new Int32Array(PAGE_SIZE / 4);
    return this.#eachBitmap((start, bitmap, order) => {
      ram.loadWords(physOf(bitmap), bits, 0, bits.length);
      return visitBits(bits, start, order, visit);
    });
  }

  /** Bitmaps, then the chunks of the list. Without the slab pages of the sets, which no later kernel reads. */
  nodes(): Pfn[] {
    const nodes: Pfn[] = [];
    this.#eachBitmap((_start, bitmap) => {
      nodes.push(bitmap);
      return 0;
    });
    nodes.push(...this.#chunks());
    return nodes;
  }

  /**
   * Lists all bitmaps for the next kernel and frees the list there was: 0. On -ENOMEM (or -EINVAL: a chunk lies in
   * scratch) the old list stands. The caller puts `mapPhys` into the root FDT. @kernel kho_mem_serialize, kho_mem_ser_free
   */
  finalize(): number {
    const chunks: Pfn[] = [];
    let err = 0;
    for (let order = 0; order <= BLOCK_ORDER_MAX && err === 0; order++) {
      if ((this.#known & (1 << order)) !== 0) err = this.#serializeOrder(order as Order, chunks);
    }
    // kho_mem_ser_free: of what was begun, or of what is replaced.
    for (const chunk of err === 0 ? this.#chunks() : chunks) this.#kernel.pages.free(chunk, ORDER_0);
    if (err === 0) this.#mapPhys = chunks[0] === undefined ? (0 as Phys) : physOf(chunks[0]);
    return err;
  }

  capture(): unknown {
    return [this.#known, this.#warned, this.#mapPhys];
  }

  reinstate(state: unknown): void {
    [this.#known, this.#warned, this.#mapPhys] = state as [number, number, Phys];
  }

  /** Writes the chunks of one order, at least one, behind those there are: 0 or why a chunk is missing. */
  #serializeOrder(order: Order, chunks: Pfn[]): number {
    const { ram } = this.#kernel.machine;
    let err = this.#newChunk(order, chunks);
    if (err !== 0) return err;
    let nr = 0;
    return this.#eachBitmap((start, bitmap) => {
      if (nr === KHOSER_BITMAP_SIZE) {
        err = this.#newChunk(order, chunks);
        if (err !== 0) return err;
        nr = 0;
      }
      const chunk = physOf(chunks.at(-1) as Pfn);
      const entry = chunk + KHOSER_MEM_CHUNK.size + nr * KHOSER_MEM_BITMAP_PTR.size;
      ram.store64(entry + KHOSER_MEM_BITMAP_PTR.at.phys_start, start);
      ram.store64(entry + KHOSER_MEM_BITMAP_PTR.at.bitmap, physOf(bitmap));
      ram.store32(chunk + KHOSER_MEM_CHUNK.at.num_elms, ++nr);
      this.#kernel.charge(STEP.entryCopied, 1);
      return 0;
    }, order);
  }

  /** Appends an empty chunk: 0, -ENOMEM, -EINVAL. @kernel new_chunk */
  #newChunk(order: Order, chunks: Pfn[]): number {
    const { pages, machine } = this.#kernel;
    const chunk = pages.alloc(ORDER_0, this.#chunkOwner, CHUNK, ZEROED);
    if (chunk === -1) return -ERRNO.ENOMEM;
    if (this.#refused(chunk, 'new_chunk')) return -ERRNO.EINVAL;
    machine.ram.store32(physOf(chunk) + KHOSER_MEM_CHUNK.at.order, order);
    const last = chunks.at(-1);
    if (last !== undefined) machine.ram.store64(physOf(last) + KHOSER_MEM_CHUNK.at.next, physOf(chunk));
    chunks.push(chunk);
    return 0;
  }

  /**
   * Frame of a zeroed bitmap, or -ENOMEM, -EINVAL.
   * @kernel xa_load_or_alloc @simplified every bitmap costs one xarray node, and one mutex stands for the xarrays' spinlocks
   */
  #allocBitmap(): number {
    const { pages } = this.#kernel;
    const bitmap = pages.alloc(ORDER_0, this.#bitmapOwner, BITMAP, ZEROED);
    if (bitmap === -1) return -ERRNO.ENOMEM;
    if (this.#refused(bitmap, 'xa_load_or_alloc')) return -ERRNO.EINVAL;
    if (this.#allocRecord(this.#xaNodes, NODE) === 0) {
      pages.free(bitmap, ORDER_0);
      return -ERRNO.ENOMEM;
    }
    return bitmap;
  }

  /** Gives a page back that the next kernel would overwrite, with a warning. */
  #refused(page: Pfn, where: string): boolean {
    if (!this.#inScratch(page)) return false;
    this.#kernel.warn(`${where}: page lies in scratch`);
    this.#kernel.pages.free(page, ORDER_0);
    return true;
  }

  #allocRecord(cache: SlabCache, point: Point): number {
    this.#kernel.charge(STEP.slabAlloc, 1);
    return this.#kernel.machine.decisions.fails(point) ? 0 : cache.alloc();
  }

  /** Pages of the list that stands, in its order. */
  #chunks(): Pfn[] {
    const { ram } = this.#kernel.machine;
    const chunks: Pfn[] = [];
    for (let at: number = this.#mapPhys; at !== 0; at = ram.load64(at + KHOSER_MEM_CHUNK.at.next)) {
      chunks.push(pfnOf(at as Phys));
    }
    return chunks;
  }

  /** Goes over the bitmaps of one order, or of all, in the order of the list. */
  #eachBitmap(see: BitmapVisitor, only?: Order): number {
    for (let order = only ?? 0; order <= (only ?? BLOCK_ORDER_MAX); order++) {
      if ((this.#known & (1 << order)) === 0) continue;
      for (let n = 0; n < Math.max(1, ROW / 2 ** order); n++) {
        const bitmap = this.#bitmaps.get(order * ROW + n) - 1;
        if (bitmap === -1) continue;
        const result = see(physOf((n * BITS * 2 ** order) as Pfn), bitmap as Pfn, order as Order);
        if (result !== 0) return result;
      }
    }
    return 0;
  }

  /** Two xarrays: of orders, one level, and of bitmaps, a level for every 64-fold of the index. */
  #chargeLookup(index: number): void {
    let levels = 2;
    for (let rest = index; rest >= XA_CHUNK_SIZE; rest = Math.floor(rest / XA_CHUNK_SIZE)) levels++;
    this.#kernel.charge(STEP.treeLevel, levels);
  }

  #warnOnce(site: number): void {
    if ((this.#warned & site) !== 0) return;
    this.#warned |= site;
    this.#kernel.warn(`__kho_unpreserve_order: no such ${site === NO_ORDER ? 'order' : 'bitmap'}`);
  }
}

/** Where the bitmap of a block is remembered. */
function slotOf(frame: Pfn, order: Order): number {
  assert(order <= BLOCK_ORDER_MAX && frame < 2 ** BLOCK_ORDER_MAX, 'a block of the largest machine');
  return order * ROW + Math.floor(frame / 2 ** order / BITS);
}

/** Address of the word, and the bit in it, of a block in its bitmap. */
function bitOf(bitmap: Pfn, frame: Pfn, order: Order): { readonly word: number; readonly mask: number } {
  const bit = Math.floor(frame / 2 ** order) % BITS;
  return { word: physOf(bitmap) + 4 * (bit >>> 5), mask: 1 << (bit & 31) };
}
