/*
 * Physical memory: sparse, little-endian, byte addressed. A 64 KiB chunk exists once something was written to it;
 * whatever was never written reads as garbage.ts has it: as zero, mostly.
 *
 *   chunk (64 KiB)   words, and three masks with a bit per 4 KiB page:
 *     dirty   the page may differ from what an untouched page reads as
 *     open    the page may be written without further ado (dirty, not guarded, saved if a mark stands)
 *     guard   the page was handed over and not restored: writing it is a wild write
 *
 * RAM is the only thing that crosses the jump. A stamp (stamps.ts) is a block that was filled with a pattern: untouched
 * pages read as that, whatever else they would. A garbage region is a stretch that something unmodelled wrote (the
 * kexec image landing in scratch): its untouched pages read as a pattern of the region's seed and their address.
 * Accesses outside RAM raise a PageFault, which the running kernel turns into an oops.
 */
import { assert } from '../base/assert.ts';
import { PAGE_SHIFT, PAGE_SIZE } from '../base/limits.ts';
import { fromWords, highWord, type Pfn, type Phys, physOf } from '../base/units.ts';
import { copyWords } from '../base/words.ts';
import { ByteMemory } from './byte_memory.ts';
import { ABSENT, CHUNK_BYTES, CHUNK_PAGES, type Chunk, Chunks } from './chunks.ts';
import type { Storage } from './column.ts';
import { type Backdrop, fillPattern, type GarbageRegion } from './garbage.ts';
import type { Stateful, Undoable } from './journal.ts';
import { PageFault } from './page_fault.ts';
import { PIECE_WORDS } from './pool.ts';
import { SavedPages } from './saved_pages.ts';
import { eachBlock, fillStamped, type Stamp, type StampedBlock } from './stamps.ts';
import { Untouched } from './untouched.ts';

const CHUNK_MASK = CHUNK_BYTES - 1;
const PAGE_WORDS = PAGE_SIZE / 4;
const VIEW_WORDS = 64;

/** A write to a page that was handed over and not restored yet. */
export interface WildWrite {
  readonly pfn: Pfn;
}

export class Ram extends ByteMemory implements Undoable, Stateful {
  readonly bytes: number;
  /** The kernel that runs maps memory up to here; beyond it there is a page fault. */
  end: number;
  readonly #storage: Storage;
  readonly #chunks: Chunks;
  readonly #untouched: Untouched;
  readonly #saved = new SavedPages();
  /** Where the words of the last view begin, and a copy of them where they do not lie in one place. */
  viewAt = 0;
  readonly #viewed = new Int32Array(VIEW_WORDS);
  /** Told of writes to guarded pages. */
  onWildWrite: ((write: WildWrite) => void) | undefined;
  /** The first guarded one of `pages` pages, or -1; the frame table knows. For pages that have not materialised. */
  guarded: ((first: Pfn, pages: number) => Pfn | -1) | undefined;

  constructor(storage: Storage, bytes: number) {
    super();
    assert(bytes % CHUNK_BYTES === 0, 'RAM size is a multiple of 64 KiB');
    this.bytes = bytes;
    this.end = bytes;
    this.#storage = storage;
    this.#chunks = new Chunks(bytes);
    this.#untouched = new Untouched(storage);
    storage.journal.enlist(this);
  }

  /** Host bytes that hold RAM contents. */
  get residentBytes(): number {
    return this.#chunks.numbers.length * CHUNK_BYTES;
  }

  /** Whether the whole range is memory that the running kernel can reach. */
  override has(address: number, bytes: number): boolean {
    return address >= 0 && address + bytes <= this.end;
  }

  override load32(address: number): number {
    if (!(address >= 0 && address + 4 <= this.end)) throw new PageFault(address);
    if ((address & 3) !== 0) {
      return [3, 2, 1, 0].reduce((word, i) => (word << 8) | this.load8(address + i), 0);
    }
    const chunk = this.#chunks.at((address / CHUNK_BYTES) | 0);
    if (chunk === ABSENT && !this.#untouched.blank) return this.#untouched.wordAt(address);
    return chunk.words[(address & CHUNK_MASK) >>> 2] as number;
  }

  /** An unsigned 64-bit field as a number: exact below 2^53, rounded (order kept) above. */
  load64(address: number): number {
    const words = this.view(address, 2);
    return fromWords(words[this.viewAt] as number, words[this.viewAt + 1] as number);
  }

  override store32(address: number, word: number): void {
    if (!(address >= 0 && address + 4 <= this.end)) throw new PageFault(address);
    if ((address & 3) !== 0) {
      for (let i = 0; i < 4; i++) this.store8(address + i, word >>> (i * 8));
      return;
    }
    this.#writable(address).words[(address & CHUNK_MASK) >>> 2] = word;
  }

  store64(address: number, value: number): void {
    if (!this.has(address, 8)) throw new PageFault(address);
    this.store32(address, value | 0);
    this.store32(address + 4, highWord(value));
  }

  /**
   * Where to read `n` words, from `viewAt` on: at once, before anything else is asked of memory. At most VIEW_WORDS. A
   * whole piece is where they lie: what follows them there follows them in memory, too.
   */
  view(address: number, n: number): Int32Array {
    if (!this.has(address, n * 4)) throw new PageFault(address);
    const at = (address & CHUNK_MASK) >>> 2;
    const chunk = this.#chunks.at((address / CHUNK_BYTES) | 0);
    const inPlace = chunk !== ABSENT && at + n <= PIECE_WORDS && (address & 3) === 0;
    if (!inPlace) this.loadWords(address, this.#viewed, 0, n);
    this.viewAt = inPlace ? at : 0;
    return inPlace ? chunk.words : this.#viewed;
  }

  /** Copies `n` words from an aligned address. */
  override loadWords(address: number, target: Int32Array, at: number, n: number): void {
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
      const chunk = this.#chunks.at((from / CHUNK_BYTES) | 0);
      if (chunk === ABSENT && !this.#untouched.blank) {
        this.#untouched.loadWords(from, target, at + done, run);
      } else {
        const { words } = chunk;
        copyWords(target, at + done, words, offset, run);
      }
      done += run;
    }
  }

  /** Writes `n` words to an aligned address. */
  override storeWords(address: number, source: Int32Array, from: number, n: number): void {
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
      copyWords(words, offset, source, from + done, run);
      done += run;
    }
  }

  /** Writes `n` words and behind them `m` others, in all no more than a page. */
  storeRuns(
    address: number,
    source: Int32Array,
    from: number,
    n: number,
    behind: Int32Array,
    at: number,
    m: number,
  ): void {
    const to = (address & CHUNK_MASK) >>> 2;
    const bytes = (n + m) * 4;
    if (!this.has(address, bytes)) throw new PageFault(address);
    if ((address & 3) !== 0 || bytes === 0 || to + n + m > PIECE_WORDS) {
      this.storeWords(address, source, from, n);
      this.storeWords(address + n * 4, behind, at, m);
      return;
    }
    const { words } = this.#writable(address);
    if (((address ^ (address + bytes - 4)) & -PAGE_SIZE) !== 0) this.#writable(address + bytes - 4);
    copyWords(words, to, source, from, n);
    copyWords(words, to + n, behind, at, m);
  }

  /** Zeroes whole pages. Pages that read as zero already are not materialised. */
  zeroPages(first: Pfn, pages: number): void {
    if (!this.has(physOf(first), pages * PAGE_SIZE)) throw new PageFault(physOf(first));
    eachBlock(first, pages, (block, order) => this.#untouched.stamps.clear(block, order));
    for (let i = 0; i < pages; ) {
      const address = physOf((first + i) as Pfn);
      const chunk = this.#chunks.at((address / CHUNK_BYTES) | 0);
      const page = (address >>> PAGE_SHIFT) & (CHUNK_PAGES - 1);
      if (chunk === ABSENT && !this.#untouched.garbage.covers(address)) {
        const run = Math.min(CHUNK_PAGES - page, pages - i);
        const stop = this.#untouched.garbage.blank ? run : 1;
        this.#tellGuarded((first + i) as Pfn, stop);
        i += stop;
        continue;
      }
      if ((chunk.dirty & (1 << page)) !== 0 || chunk === ABSENT) {
        this.#writable(address).words.fill(0, page * PAGE_WORDS, (page + 1) * PAGE_WORDS);
      } else if ((chunk.guard & (1 << page)) !== 0) {
        this.onWildWrite?.({ pfn: (first + i) as Pfn });
      }
      i++;
    }
  }

  /** Fills whole pages with a pattern. What has not materialised does not for that. */
  stampPages(first: Pfn, pages: number, { seed, every, index }: Stamp): void {
    if (!this.has(physOf(first), pages * PAGE_SIZE)) throw new PageFault(physOf(first));
    eachBlock(first, pages, (block, order) => {
      const stamp = { seed, every, index: index + block - first };
      let absent = false;
      for (let page = block; page < block + 2 ** order; page++) {
        const chunk = this.#chunks.at(Math.floor(page / CHUNK_PAGES));
        if (chunk === ABSENT) {
          const run = Math.min(CHUNK_PAGES - (page % CHUNK_PAGES), block + 2 ** order - page);
          this.#tellGuarded(page as Pfn, run);
          absent = true;
          page += run - 1;
          continue;
        }
        const { words } = this.#writable(physOf(page as Pfn));
        const place = (stamp.index + page - block) * PAGE_SIZE;
        fillStamped(words, (page % CHUNK_PAGES) * PAGE_WORDS, seed, every, place);
      }
      if (absent) this.#untouched.stamps.put(block, order, stamp);
      else this.#untouched.stamps.clear(block, order);
    });
  }

  /** The stamp of just this block, where nothing in it was written since; undefined where its bytes have to be read. */
  stampOf(first: Pfn, order: number): Stamp | undefined {
    const stamp = this.#untouched.stamps.count === 0 ? undefined : this.#untouched.stamps.of(first);
    if (stamp === undefined || stamp.order < order) return undefined;
    if (!this.#chunks.isAbsent(first, 2 ** order)) return undefined;
    return { seed: stamp.seed, every: stamp.every, index: stamp.index + first - stamp.first };
  }

  /** Blocks that are stamped, ascending; pages of them may have been written since: those are dirty. */
  stampedBlocks(): readonly StampedBlock[] {
    return this.#untouched.stamps.blocks();
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
    this.#untouched.overwrite({ start, bytes, seed });
    for (const cn of this.#chunks.numbers) {
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
      const chunk = this.#chunks.at((address / CHUNK_BYTES) | 0);
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
    for (const cn of this.#chunks.numbers) {
      const chunk = this.#chunks.at(cn);
      if (chunk.guard === 0) continue;
      if (this.#storage.journal.depth !== 0) this.#storage.journal.log(this, -1 - cn, chunk.guard);
      chunk.guard = 0;
    }
  }

  /** Pages that may differ from untouched ones, ascending. */
  dirtyPages(): Generator<Pfn, void, void> {
    return this.#chunks.dirtyPages();
  }

  /** Garbage regions as (start, bytes, seed). */
  garbageRegions(): readonly GarbageRegion[] {
    return this.#untouched.garbage.regions;
  }

  /** All contents go: pages read as the garbage of these regions, else as the backdrop. Only while no mark stands. */
  clear(garbage: readonly GarbageRegion[], backdrop?: Backdrop): void {
    assert(this.#storage.journal.depth === 0, 'memory is cleared while a mark stands');
    assert(this.guarded === undefined, 'memory is cleared under a running kernel');
    while (this.#chunks.numbers.length > 0) this.#dematerialise(this.#chunks.numbers.at(-1) as number);
    this.#untouched.reset(garbage, backdrop);
  }

  capture(): unknown {
    // The first mark: what was saved for marks that were forgotten is of no more use.
    if (this.#storage.journal.depth === 1) this.#saved.clear();
    return [this.guarded, this.onWildWrite, this.end];
  }

  reinstate(state: unknown): void {
    [this.guarded, this.onWildWrite, this.end] = state as [Ram['guarded'], Ram['onWildWrite'], number];
  }

  /** key >= 0: a page saved in slot `old`, or a materialised chunk (old -1); key < 0: a guard mask. */
  undo(key: number, old: number): void {
    if (key < 0) {
      this.#chunks.at(-1 - key).guard = old;
    } else if (old === -1) {
      this.#dematerialise(key);
    } else {
      const chunk = this.#chunks.at(Math.floor(key / CHUNK_PAGES));
      const page = key % CHUNK_PAGES;
      this.#saved.restore(chunk.words, page * PAGE_WORDS);
      if (old === 0) chunk.dirty &= ~(1 << page);
    }
  }

  dispose(): void {
    while (this.#chunks.numbers.length > 0) this.#dematerialise(this.#chunks.numbers.at(-1) as number);
    this.#chunks.dispose();
    this.#untouched.stamps.dispose();
  }

  /** Pages that have not materialised are written. */
  #tellGuarded(first: Pfn, pages: number): void {
    if (this.guarded === undefined) return;
    for (let at: number = first; at < first + pages; at++) {
      at = this.guarded(at as Pfn, first + pages - at);
      if (at === -1) return;
      this.onWildWrite?.({ pfn: at as Pfn });
    }
  }

  #writable(address: number): Chunk {
    const cn = (address / CHUNK_BYTES) | 0;
    const chunk = this.#chunks.at(cn);
    const bit = 1 << ((address >>> PAGE_SHIFT) & (CHUNK_PAGES - 1));
    if (chunk.epoch === this.#storage.journal.epoch && (chunk.open & bit) !== 0) return chunk;
    return this.#openPage(cn, bit, address);
  }

  /** First write to a page since it was guarded, marked or made. */
  #openPage(cn: number, bit: number, address: number): Chunk {
    const { journal } = this.#storage;
    let chunk = this.#chunks.at(cn);
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
      this.#saved.save(chunk.words, page * PAGE_WORDS);
      journal.log(this, cn * CHUNK_PAGES + page, chunk.dirty & bit ? 1 : 0);
    }
    chunk.saved |= bit;
    chunk.dirty |= bit;
    if ((chunk.guard & bit) === 0) chunk.open |= bit;
    return chunk;
  }

  #materialise(cn: number): Chunk {
    const { journal, pool } = this.#storage;
    const chunk = this.#chunks.add(cn, pool.take());
    if (journal.depth !== 0) {
      journal.log(this, cn, -1);
      // Nothing to save: undoing drops the chunk whole.
      chunk.saved = CHUNK_MASK;
      chunk.epoch = journal.epoch;
    }
    chunk.dirty = this.#untouched.fillChunk(chunk.words, cn * CHUNK_BYTES);
    if (this.guarded !== undefined) {
      for (let page = 0; page < CHUNK_PAGES; page++) {
        if (this.guarded((cn * CHUNK_PAGES + page) as Pfn, 1) !== -1) chunk.guard |= 1 << page;
      }
    }
    return chunk;
  }

  #dematerialise(cn: number): void {
    this.#storage.pool.give(this.#chunks.remove(cn));
  }
}
