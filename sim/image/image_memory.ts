/*
 * Memory of another machine, as a file holds it: read where somebody looks, whatever its size.
 *
 *   range     addresses at which that machine had memory; any other access is a PageFault
 *   source    pages by frame number; a page of a range that the source does not have is absent
 *
 * An absent page reads as zero and is remembered once it was looked at: what was concluded from it is doubtful. As the
 * backdrop of a machine's RAM, memory is everything below its end: a gap between ranges reads as zero, absent.
 */
import { PAGE_SIZE } from '../base/limits.ts';
import { fromWords, type Pfn, type Phys, physOf } from '../base/units.ts';
import type { Memory } from '../check/anatomy.ts';
import type { Backdrop } from '../machine/garbage.ts';
import { PageFault } from '../machine/page_fault.ts';

/** Bytes [start, end). */
export interface MemoryRange {
  readonly start: number;
  readonly end: number;
}

export interface PageSource {
  /** The 1024 words of a page, to be read only; undefined where the source does not have it. */
  page(frame: Pfn): Int32Array | undefined;
  /** Addresses of the pages there that begin with these bytes, ascending. */
  pagesBeginningWith(bytes: Uint8Array): Iterable<Phys>;
}

const ZERO_PAGE = new Int32Array(PAGE_SIZE / 4);
/** Absent pages remembered: the first are enough to know. */
const ABSENT_KEPT = 1000;

export class ImageMemory implements Memory, Backdrop {
  /** Ascending, with gaps between them. */
  readonly ranges: readonly MemoryRange[];
  /** End of the last range. */
  readonly bytes: number;
  readonly source: PageSource;
  /** Absent pages that were looked at. */
  readonly absent = new Set<Pfn>();
  /** The page looked at last. */
  #frame = -1;
  #words: Int32Array = ZERO_PAGE;

  constructor(ranges: readonly MemoryRange[], source: PageSource) {
    this.ranges = joined(ranges);
    this.bytes = this.ranges.at(-1)?.end ?? 0;
    this.source = source;
  }

  has(address: number, bytes: number): boolean {
    const range = this.ranges.length === 1 ? this.ranges[0] : this.#rangeOf(address);
    return range !== undefined && address >= range.start && address + bytes <= range.end;
  }

  load32(address: number): number {
    if (!this.has(address, 4)) throw new PageFault(address);
    if ((address & 3) === 0) return this.wordAt(address);
    let word = 0;
    for (let i = 3; i >= 0; i--) word = (word << 8) | this.#byteAt(address + i);
    return word;
  }

  load64(address: number): number {
    return fromWords(this.load32(address), this.load32(address + 4));
  }

  loadBytes(address: number, bytes: number): Uint8Array {
    if (!this.has(address, bytes)) throw new PageFault(address);
    return Uint8Array.from({ length: bytes }, (_, i) => this.#byteAt(address + i));
  }

  loadWords(address: number, target: Int32Array, at: number, n: number): void {
    if (!this.has(address, n * 4)) throw new PageFault(address);
    const aligned = (address & 3) === 0;
    for (let k = 0; k < n; k++) {
      target[at + k] = aligned ? this.wordAt(address + k * 4) : this.load32(address + k * 4);
    }
  }

  wordAt(address: number): number {
    const frame = Math.floor(address / PAGE_SIZE);
    if (frame !== this.#frame) this.#look(frame as Pfn);
    return this.#words[(address & (PAGE_SIZE - 1)) >>> 2] as number;
  }

  copyPage(address: number, words: Int32Array, at: number): void {
    const page = this.source.page((address / PAGE_SIZE) as Pfn);
    if (page !== undefined) words.set(page, at);
    this.#frame = -1;
  }

  #byteAt(address: number): number {
    return (this.wordAt(address - (address & 3)) >>> ((address & 3) * 8)) & 0xff;
  }

  #look(frame: Pfn): void {
    const page = this.source.page(frame);
    if (page === undefined && this.absent.size < ABSENT_KEPT) this.absent.add(frame);
    this.#words = page ?? ZERO_PAGE;
    this.#frame = frame;
  }

  #rangeOf(address: number): MemoryRange | undefined {
    let low = 0;
    let high = this.ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.ranges[middle] as MemoryRange).end <= address) low = middle + 1;
      else high = middle;
    }
    return this.ranges[low];
  }
}

/** Ascending; what touches or overlaps becomes one. */
function joined(ranges: readonly MemoryRange[]): MemoryRange[] {
  const all: MemoryRange[] = [];
  for (const range of [...ranges].sort((x, y) => x.start - y.start)) {
    if (range.end <= range.start) continue;
    const last = all.at(-1);
    if (last === undefined || range.start > last.end) all.push(range);
    else all[all.length - 1] = { start: last.start, end: Math.max(last.end, range.end) };
  }
  return all;
}

/** Pages kept in host memory, 1024 words each by frame number, and what the others read as. */
export class KeptPages implements PageSource {
  readonly #pages: ReadonlyMap<number, Int32Array>;
  readonly #other: (frame: Pfn) => Int32Array | undefined;

  constructor(
    pages: ReadonlyMap<number, Int32Array>,
    other: (frame: Pfn) => Int32Array | undefined = () => undefined,
  ) {
    this.#pages = pages;
    this.#other = other;
  }

  page(frame: Pfn): Int32Array | undefined {
    return this.#pages.get(frame) ?? this.#other(frame);
  }

  *pagesBeginningWith(bytes: Uint8Array): Generator<Phys, void, void> {
    for (const frame of [...this.#pages.keys()].sort((x, y) => x - y)) {
      const words = this.#pages.get(frame) as Int32Array;
      const begins = bytes.every(
        (byte, i) => (((words[i >>> 2] as number) >>> ((i & 3) * 8)) & 0xff) === byte,
      );
      if (begins) yield physOf(frame as Pfn);
    }
  }
}
