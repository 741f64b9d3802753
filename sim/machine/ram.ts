/*
 * Physical memory: sparse, little-endian, byte addressed. A 64 KiB chunk exists once something was written to it;
 * whatever was never written reads as garbage.ts has it: as zero, mostly.
 *
 *   chunk (64 KiB)   words, and three masks with a bit per 4 KiB page:
 *     dirty   the page may differ from what an untouched page reads as
 *     open    the page may be written without further ado (dirty, not guarded, saved if a mark stands)
 *     guard   the page was handed over and not restored: writing it is a wild write
 *
 * RAM is the only thing that crosses the jump. A garbage region is a stretch that something unmodelled wrote (the
 * kexec image landing in scratch): its untouched pages read as a pattern of the region's seed and their address.
 * Accesses outside RAM raise a PageFault, which the running kernel turns into an oops.
 */
import { assert } from '../base/assert.ts';
import { PAGE_SHIFT, PAGE_SIZE } from '../base/limits.ts';
import { hex, type Pfn, type Phys, physOf } from '../base/units.ts';
import type { Storage } from './column.ts';
import { type Backdrop, fillPattern, GarbageMap, type GarbageRegion } from './garbage.ts';
import type { Stateful, Undoable } from './journal.ts';
import { DIRECTORY_MASK, DIRECTORY_PIECES, DIRECTORY_SHIFT, PIECE_WORDS } from './pool.ts';

const CHUNK_BYTES = 65536;
const CHUNK_MASK = CHUNK_BYTES - 1;
const CHUNK_PAGES = 16;
const PAGE_WORDS = PAGE_SIZE / 4;
const HIGH = 4294967296;

/** An access to an address that no memory answers. */
export class PageFault extends Error {
  override readonly name = 'PageFault';
  readonly address: number;

  constructor(address: number) {
    super(`unable to handle page fault for address: ${hex(address)}`);
    this.address = address;
  }
}

/** A write to a page that was handed over and not restored yet. */
export interface WildWrite {
  readonly pfn: Pfn;
}

interface Chunk {
  words: Int32Array;
  dirty: number;
  open: number;
  guard: number;
  /** Journal epoch in which `open` holds. */
  epoch: number;
  /** Pages saved in that epoch. */
  saved: number;
}

type RamState = [GarbageMap, Ram['guarded'], Ram['onWildWrite'], number];

const ABSENT: Chunk = { words: new Int32Array(PIECE_WORDS), dirty: 0, open: 0, guard: 0, epoch: 0, saved: 0 };
const ABSENT_DIRECTORY: Chunk[] = new Array<Chunk>(DIRECTORY_PIECES).fill(ABSENT);

export class Ram implements Undoable, Stateful {
  readonly bytes: number;
  /** The kernel that runs maps memory up to here; beyond it there is a page fault. */
  end: number;
  readonly #storage: Storage;
  #directories: Chunk[][];
  #garbage = GarbageMap.NONE;
  #savedPages: Int32Array[] = [];
  /** Chunks that exist, in order of materialisation (journalled by position). */
  #materialised: number[] = [];
  /** Told of writes to guarded pages. */
  onWildWrite: ((write: WildWrite) => void) | undefined;
  /** Whether a page that is about to materialise is guarded; the frame table knows. */
  guarded: ((page: Pfn) => boolean) | undefined;

  constructor(storage: Storage, bytes: number) {
    assert(bytes % CHUNK_BYTES === 0, 'RAM size is a multiple of 64 KiB');
    this.bytes = bytes;
    this.end = bytes;
    this.#storage = storage;
    const directories = Math.ceil(bytes / (CHUNK_BYTES * DIRECTORY_PIECES));
    this.#directories = new Array<Chunk[]>(directories).fill(ABSENT_DIRECTORY);
    storage.journal.enlist(this);
  }

  /** Host bytes that hold RAM contents. */
  get residentBytes(): number {
    return this.#materialised.length * CHUNK_BYTES;
  }

  /** Whether the whole range is memory that the running kernel can reach. */
  has(address: number, bytes: number): boolean {
    return address >= 0 && address + bytes <= this.end;
  }

  load32(address: number): number {
    if (!(address >= 0 && address + 4 <= this.end)) throw new PageFault(address);
    if ((address & 3) !== 0) return this.#loadUnaligned(address);
    const chunk = this.#chunkAt((address / CHUNK_BYTES) | 0);
    if (chunk === ABSENT && !this.#garbage.blank) return this.#garbage.wordAt(address);
    return chunk.words[(address & CHUNK_MASK) >>> 2] as number;
  }

  /** An unsigned 64-bit field as a number: exact below 2^53, rounded (order kept) above. */
  load64(address: number): number {
    return (this.load32(address) >>> 0) + (this.load32(address + 4) >>> 0) * HIGH;
  }

  store32(address: number, word: number): void {
    if (!(address >= 0 && address + 4 <= this.end)) throw new PageFault(address);
    if ((address & 3) !== 0) {
      this.#storeUnaligned(address, word);
      return;
    }
    this.#writable(address).words[(address & CHUNK_MASK) >>> 2] = word;
  }

  store64(address: number, value: number): void {
    if (!this.has(address, 8)) throw new PageFault(address);
    this.store32(address, value | 0);
    this.store32(address + 4, Math.floor(value / HIGH) | 0);
  }

  load8(address: number): number {
    if (!(address >= 0 && address < this.end)) throw new PageFault(address);
    return (this.load32(address - (address & 3)) >>> ((address & 3) * 8)) & 0xff;
  }

  store8(address: number, byte: number): void {
    if (!this.has(address, 1)) throw new PageFault(address);
    const aligned = address - (address & 3);
    const shift = (address & 3) * 8;
    const word = this.load32(aligned);
    this.store32(aligned, (word & ~(0xff << shift)) | ((byte & 0xff) << shift));
  }

  /** Copies `n` words from an aligned address. */
  loadWords(address: number, target: Int32Array, at: number, n: number): void {
    if (!this.has(address, n * 4)) throw new PageFault(address);
    if ((address & 3) !== 0) {
      for (let k = 0; k < n; k++) target[at + k] = this.load32(address + k * 4);
      return;
    }
    let done = 0;
    while (done < n) {
      const from = address + done * 4;
      const offset = (from & CHUNK_MASK) >>> 2;
      const run = Math.min(n - done, PIECE_WORDS - offset);
      const chunk = this.#chunkAt((from / CHUNK_BYTES) | 0);
      if (chunk === ABSENT && !this.#garbage.blank) {
        for (let k = 0; k < run; k++) target[at + done + k] = this.#garbage.wordAt(from + k * 4);
      } else {
        const { words } = chunk;
        for (let k = 0; k < run; k++) target[at + done + k] = words[offset + k] as number;
      }
      done += run;
    }
  }

  /** Writes `n` words to an aligned address. */
  storeWords(address: number, source: Int32Array, from: number, n: number): void {
    if (!this.has(address, n * 4)) throw new PageFault(address);
    if ((address & 3) !== 0) {
      for (let k = 0; k < n; k++) this.store32(address + k * 4, source[from + k] as number);
      return;
    }
    let done = 0;
    while (done < n) {
      const to = address + done * 4;
      const inPage = (to & (PAGE_SIZE - 1)) >>> 2;
      const run = Math.min(n - done, PAGE_WORDS - inPage);
      const words = this.#writable(to).words;
      const offset = (to & CHUNK_MASK) >>> 2;
      for (let k = 0; k < run; k++) words[offset + k] = source[from + done + k] as number;
      done += run;
    }
  }

  /** A copy of `bytes` bytes. */
  loadBytes(address: number, bytes: number): Uint8Array {
    if (!this.has(address, bytes)) throw new PageFault(address);
    const copy = new Uint8Array(bytes);
    for (let i = 0; i < bytes; i++) copy[i] = this.load8(address + i);
    return copy;
  }

  storeBytes(address: number, source: Uint8Array): void {
    if (!this.has(address, source.length)) throw new PageFault(address);
    for (let i = 0; i < source.length; i++) this.store8(address + i, source[i] as number);
  }

  /** Zeroes whole pages. Pages that read as zero already are not materialised. */
  zeroPages(first: Pfn, pages: number): void {
    if (!this.has(physOf(first), pages * PAGE_SIZE)) throw new PageFault(physOf(first));
    for (let i = 0; i < pages; i++) {
      const address = physOf((first + i) as Pfn);
      const chunk = this.#chunkAt((address / CHUNK_BYTES) | 0);
      const page = (address >>> PAGE_SHIFT) & (CHUNK_PAGES - 1);
      if ((chunk.dirty & (1 << page)) !== 0 || this.#garbage.covers(address)) {
        this.#writable(address).words.fill(0, page * PAGE_WORDS, (page + 1) * PAGE_WORDS);
        continue;
      }
      const pfn = (first + i) as Pfn;
      const guarded = chunk === ABSENT ? this.guarded?.(pfn) : (chunk.guard & (1 << page)) !== 0;
      if (guarded === true) this.onWildWrite?.({ pfn });
    }
  }

  /** Fills a page with the pattern of a seed. */
  scribble(page: Pfn, seed: number): void {
    const base = physOf(page);
    if (!this.has(base, PAGE_SIZE)) throw new PageFault(base);
    fillPattern(this.#writable(base).words, (base & CHUNK_MASK) >>> 2, PAGE_WORDS, seed, base);
  }

  /** Declares that something unmodelled overwrote [start, start + bytes): present contents are gone. */
  overwrite(start: Phys, bytes: number, seed: number): void {
    assert(this.has(start, bytes) && (start | bytes) % PAGE_SIZE === 0, 'whole pages are lost');
    this.#garbage = this.#garbage.with({ start, bytes, seed });
    for (const cn of this.#materialised) {
      for (let page = 0; page < CHUNK_PAGES; page++) {
        const address = cn * CHUNK_BYTES + page * PAGE_SIZE;
        if (address >= start && address < start + bytes) this.scribble((address / PAGE_SIZE) as Pfn, seed);
      }
    }
  }

  /**
   * Forbids writes to pages, or allows them again; see WildWrite. Chunks that do not exist yet ask `guarded` when
   * they materialise.
   */
  guardPages(first: Pfn, pages: number, guarded: boolean): void {
    if (!this.has(physOf(first), pages * PAGE_SIZE)) throw new PageFault(physOf(first));
    for (let i = 0; i < pages; i++) {
      const address = physOf((first + i) as Pfn);
      const chunk = this.#chunkAt((address / CHUNK_BYTES) | 0);
      const page = (address >>> PAGE_SHIFT) & (CHUNK_PAGES - 1);
      if (chunk === ABSENT) {
        i += CHUNK_PAGES - 1 - page;
        continue;
      }
      const bit = 1 << page;
      if (this.#storage.journal.depth !== 0) {
        this.#storage.journal.log(this, -1 - ((address / CHUNK_BYTES) | 0), chunk.guard);
      }
      if (guarded) {
        chunk.guard |= bit;
        chunk.open &= ~bit;
      } else {
        chunk.guard &= ~bit;
      }
    }
  }

  /** Guards are a kernel's: at the jump they end. */
  endGuards(): void {
    this.guarded = undefined;
    for (const cn of this.#materialised) {
      const chunk = this.#chunkAt(cn);
      if (chunk.guard === 0) continue;
      if (this.#storage.journal.depth !== 0) this.#storage.journal.log(this, -1 - cn, chunk.guard);
      chunk.guard = 0;
    }
  }

  /** Pages that may differ from untouched ones, ascending. */
  *dirtyPages(): Generator<Pfn, void, void> {
    for (const cn of [...this.#materialised].sort((x, y) => x - y)) {
      const dirty = this.#chunkAt(cn).dirty;
      for (let page = 0; page < CHUNK_PAGES; page++) {
        if ((dirty & (1 << page)) !== 0) yield (cn * CHUNK_PAGES + page) as Pfn;
      }
    }
  }

  /** Garbage regions as (start, bytes, seed). */
  garbageRegions(): readonly GarbageRegion[] {
    return this.#garbage.regions;
  }

  /** All contents go: pages read as the garbage of these regions, else as the backdrop. Only while no mark stands. */
  clear(garbage: readonly GarbageRegion[], backdrop?: Backdrop): void {
    assert(this.#storage.journal.depth === 0, 'memory is cleared while a mark stands');
    assert(this.guarded === undefined, 'memory is cleared under a running kernel');
    while (this.#materialised.length > 0) this.#dematerialise(this.#materialised.at(-1) as number);
    this.#garbage = new GarbageMap(garbage, backdrop);
  }

  capture(): unknown {
    // The first mark: what was saved for marks that were forgotten is of no more use.
    if (this.#storage.journal.depth === 1) this.#savedPages.length = 0;
    return [this.#garbage, this.guarded, this.onWildWrite, this.end];
  }

  reinstate(state: unknown): void {
    [this.#garbage, this.guarded, this.onWildWrite, this.end] = state as RamState;
  }

  /** key >= 0: a page saved in slot `old`, or a materialised chunk (old -1); key < 0: a guard mask. */
  undo(key: number, old: number): void {
    if (key < 0) {
      this.#chunkAt(-1 - key).guard = old;
    } else if (old === -1) {
      this.#dematerialise(key);
    } else {
      const saved = this.#savedPages.pop() as Int32Array;
      const chunk = this.#chunkAt(Math.floor(key / CHUNK_PAGES));
      const page = key % CHUNK_PAGES;
      chunk.words.set(saved.subarray(0, PAGE_WORDS), page * PAGE_WORDS);
      if (old === 0) chunk.dirty &= ~(1 << page);
      freePages.push(saved);
    }
  }

  dispose(): void {
    while (this.#materialised.length > 0) this.#dematerialise(this.#materialised.at(-1) as number);
    this.#directories = [];
  }

  #chunkAt(cn: number): Chunk {
    return (this.#directories[cn >>> DIRECTORY_SHIFT] as Chunk[])[cn & DIRECTORY_MASK] as Chunk;
  }

  #writable(address: number): Chunk {
    const cn = (address / CHUNK_BYTES) | 0;
    const chunk = this.#chunkAt(cn);
    const bit = 1 << ((address >>> PAGE_SHIFT) & (CHUNK_PAGES - 1));
    if (chunk.epoch === this.#storage.journal.epoch && (chunk.open & bit) !== 0) return chunk;
    return this.#openPage(cn, bit, address);
  }

  /** First write to a page since it was guarded, marked or made. */
  #openPage(cn: number, bit: number, address: number): Chunk {
    const { journal } = this.#storage;
    let chunk = this.#chunkAt(cn);
    if (chunk === ABSENT) chunk = this.#materialise(cn);
    if (chunk.epoch !== journal.epoch) {
      chunk.epoch = journal.epoch;
      chunk.open = 0;
      chunk.saved = 0;
    }
    if ((chunk.guard & bit) !== 0) {
      this.onWildWrite?.({ pfn: Math.floor(address / PAGE_SIZE) as Pfn });
    }
    if (journal.depth !== 0 && (chunk.saved & bit) === 0) {
      const page = 31 - Math.clz32(bit);
      const saved = freePages.pop() ?? new Int32Array(PAGE_WORDS);
      saved.set(chunk.words.subarray(page * PAGE_WORDS, (page + 1) * PAGE_WORDS));
      this.#savedPages.push(saved);
      journal.log(this, cn * CHUNK_PAGES + page, chunk.dirty & bit ? 1 : 0);
    }
    chunk.saved |= bit;
    chunk.dirty |= bit;
    if ((chunk.guard & bit) === 0) chunk.open |= bit;
    return chunk;
  }

  #materialise(cn: number): Chunk {
    const { journal, pool } = this.#storage;
    let directory = this.#directories[cn >>> DIRECTORY_SHIFT] as Chunk[];
    if (directory === ABSENT_DIRECTORY) {
      directory = ABSENT_DIRECTORY.slice();
      this.#directories[cn >>> DIRECTORY_SHIFT] = directory;
    }
    const chunk: Chunk = { words: pool.take(), dirty: 0, open: 0, guard: 0, epoch: 0, saved: 0 };
    directory[cn & DIRECTORY_MASK] = chunk;
    this.#materialised.push(cn);
    if (journal.depth !== 0) {
      journal.log(this, cn, -1);
      // Nothing to save: undoing drops the chunk whole.
      chunk.saved = CHUNK_MASK;
      chunk.epoch = journal.epoch;
    }
    this.#fillWithGarbage(cn, chunk);
    if (this.guarded !== undefined) {
      for (let page = 0; page < CHUNK_PAGES; page++) {
        if (this.guarded((cn * CHUNK_PAGES + page) as Pfn)) chunk.guard |= 1 << page;
      }
    }
    return chunk;
  }

  #dematerialise(cn: number): void {
    assert(this.#materialised.at(-1) === cn, 'chunks are dropped in reverse order');
    this.#materialised.pop();
    const chunk = this.#chunkAt(cn);
    for (let page = 0; page < CHUNK_PAGES; page++) {
      if ((chunk.dirty & (1 << page)) !== 0) {
        chunk.words.fill(0, page * PAGE_WORDS, (page + 1) * PAGE_WORDS);
      }
    }
    this.#storage.pool.give(chunk.words);
    (this.#directories[cn >>> DIRECTORY_SHIFT] as Chunk[])[cn & DIRECTORY_MASK] = ABSENT;
  }

  #fillWithGarbage(cn: number, chunk: Chunk): void {
    if (this.#garbage.blank) return;
    for (let page = 0; page < CHUNK_PAGES; page++) {
      const base = cn * CHUNK_BYTES + page * PAGE_SIZE;
      if (this.#garbage.fillPage(chunk.words, page * PAGE_WORDS, base)) chunk.dirty |= 1 << page;
    }
  }

  #loadUnaligned(address: number): number {
    let word = 0;
    for (let i = 3; i >= 0; i--) word = (word << 8) | this.load8(address + i);
    return word;
  }

  #storeUnaligned(address: number, word: number): void {
    for (let i = 0; i < 4; i++) this.store8(address + i, word >>> (i * 8));
  }
}

const freePages: Int32Array[] = [];
