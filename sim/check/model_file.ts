/*
 * A file as its user knows it: what was written, in order, and nothing of pages. Comparing replays the writes over each
 * page that the kernel has, and wants a page wherever something was written.
 */
import { PAGE_SIZE } from '../base/limits.ts';
import { type Pfn, pagesOf, physOf } from '../base/units.ts';
import type { System } from '../boot/boot.ts';
import { UPTODATE } from '../files/page_cache.ts';
import type { InodeHandle } from '../files/shmem_inode.ts';
import { FILL_BYTES, patternWord } from '../machine/stamps.ts';

/** Bytes of the pattern of a seed; every: again at each multiple of it. Zeroes where `seed` is undefined. */
interface Write {
  readonly at: number;
  readonly end: number;
  readonly every: number;
  readonly seed: number | undefined;
}

const WORDS = PAGE_SIZE / 4;
const page = new Uint8Array(PAGE_SIZE);
const words = new Int32Array(page.buffer);
const stored = new Int32Array(WORDS);

export class ModelFile {
  size = 0;
  pos = 0;
  seals = 0;
  /** A call that had not answered at the jump, or did a part of what it was to do, may have changed it. */
  uncertain = false;
  readonly #writes: Write[] = [];

  clone(): ModelFile {
    const copy = new ModelFile();
    copy.size = this.size;
    copy.pos = this.pos;
    copy.seals = this.seals;
    copy.uncertain = this.uncertain;
    copy.#writes.push(...this.#writes);
    return copy;
  }

  write(at: number, bytes: number, seed: number): void {
    this.#writes.push({ at, end: at + bytes, every: 0, seed });
    this.size = Math.max(this.size, at + bytes);
  }

  /** A few bytes at every multiple of `every`. */
  fill(every: number, seed: number): void {
    const last = Math.floor((this.size - FILL_BYTES) / every) * every;
    if (this.size >= FILL_BYTES) this.#writes.push({ at: 0, end: last + FILL_BYTES, every, seed });
  }

  truncate(bytes: number): void {
    if (bytes < this.size) {
      this.#writes.push({ at: bytes, end: Number.MAX_SAFE_INTEGER, every: 0, seed: undefined });
    }
    this.size = bytes;
  }

  /** What differs in the kernel's file, in words; undefined where nothing does. */
  differsFrom(system: System, inode: InodeHandle): string | undefined {
    const { shmem } = system.files;
    if (this.uncertain) return undefined;
    const size = shmem.inodes.size(inode);
    if (size !== this.size) return `it has ${size} bytes, ${this.size} were there`;
    const folios = [...shmem.cache.of(inode)].sort((x, y) => shmem.cache.index(x) - shmem.cache.index(y));
    let next = 0;
    for (const folio of folios) {
      const first = shmem.cache.index(folio);
      const pages = pagesOf(shmem.cache.order(folio));
      const wrong = this.#holeDiffers(next, first) ?? this.#folioDiffers(system, folio, first, pages);
      if (wrong !== undefined) return wrong;
      next = first + pages;
    }
    return this.#holeDiffers(next, Math.ceil(this.size / PAGE_SIZE));
  }

  /** Pages [first, last) have no folio: whether anything was written there. */
  #holeDiffers(first: number, last: number): string | undefined {
    for (const index of this.#pages(first, last)) {
      if (this.#expect(index)) return `page ${index} reads as zeroes, and was written`;
    }
    return undefined;
  }

  /** By their stamps where the memory of the folio has them, and should; else byte by byte. */
  #folioDiffers(system: System, folio: Pfn, first: number, pages: number): string | undefined {
    const { shmem } = system.files;
    const isUptodate = shmem.cache.has(folio, UPTODATE);
    if (isUptodate && this.#isStamped(system, folio, shmem.cache.order(folio), first)) return undefined;
    for (let i = 0; i < pages; i++) {
      if (isUptodate && this.#isStamped(system, (folio + i) as Pfn, 0, first + i)) continue;
      const wrong = this.#pageDiffers(system, folio, first + i, i);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }

  /** Whether a block of memory has the stamp that it should have. */
  #isStamped(system: System, block: Pfn, order: number, first: number): boolean {
    const stamp = system.kernel.machine.ram.stampOf(block, order);
    const expected = stamp === undefined ? undefined : this.#stamp(first, 2 ** order);
    if (stamp === undefined || expected === undefined) return false;
    return stamp.seed === (expected.seed | 0) && stamp.every === expected.every && stamp.index === first;
  }

  /** The pattern that pages are whole; undefined where they are not, or nobody need know. */
  #stamp(first: number, pages: number): { readonly seed: number; readonly every: number } | undefined {
    const [start, stop] = [first * PAGE_SIZE, (first + pages) * PAGE_SIZE];
    const reach = ({ at, end }: Write): boolean => at < stop && end > start;
    const last = this.#writes.findLastIndex(reach);
    const write = this.#writes[last];
    if (write?.seed === undefined || write.at > start || stop > this.size) return undefined;
    const { seed, every } = write;
    if (every === 0) return write.end >= stop ? { seed, every } : undefined;
    // Between its words a fill leaves what was there: nothing, where it is the first.
    const wordsEnd = Math.ceil(stop / every) * every - every + FILL_BYTES;
    const isFirst = last === this.#writes.findIndex(reach);
    return isFirst && every % FILL_BYTES === 0 && write.end >= wordsEnd ? { seed, every } : undefined;
  }

  /** Pages of [first, last) in which something was written, some more than once. */
  *#pages(first: number, last: number): Generator<number, void, void> {
    const [start, stop] = [first * PAGE_SIZE, last * PAGE_SIZE];
    for (const { at, end, every, seed } of this.#writes) {
      if (seed === undefined) continue;
      const from =
        every === 0 ? Math.max(at, start) : Math.max(Math.floor((start - FILL_BYTES) / every), 0) * every;
      for (let pos = from; pos < Math.min(end, stop, this.size); ) {
        const page = Math.floor(pos / PAGE_SIZE);
        if (page >= first) yield page;
        if (every !== 0 && page + 1 < last && (pos % PAGE_SIZE) + FILL_BYTES > PAGE_SIZE) yield page + 1;
        pos = every === 0 ? (page + 1) * PAGE_SIZE : pos + every;
      }
    }
  }

  #pageDiffers(system: System, folio: Pfn, index: number, i: number): string | undefined {
    const { ram } = system.kernel.machine;
    this.#expect(index);
    if (system.files.shmem.cache.has(folio, UPTODATE)) {
      ram.loadWords(physOf(folio) + i * PAGE_SIZE, stored, 0, WORDS);
    } else {
      stored.fill(0);
    }
    const stop = Math.min(this.size - index * PAGE_SIZE, PAGE_SIZE);
    for (let k = 0; k * 4 < stop; k++) {
      const mask = stop - k * 4 >= 4 ? -1 : 2 ** ((stop - k * 4) * 8) - 1;
      if (((stored[k] as number) & mask) !== ((words[k] as number) & mask)) {
        return `byte ${index * PAGE_SIZE + k * 4} and those after it are not what was written`;
      }
    }
    return undefined;
  }

  /** Makes `page` what is expected of a page; whether anything in it is. */
  #expect(index: number): boolean {
    page.fill(0);
    const start = index * PAGE_SIZE;
    const stop = start + PAGE_SIZE;
    let any = false;
    for (const { at, end, every, seed } of this.#writes) {
      if (at >= stop || end <= start) continue;
      if (every === 0) {
        put(seed, Math.max(at, start), Math.min(end, stop), start);
        any = seed !== undefined || at > start;
      } else {
        for (
          let pos = Math.max(Math.floor((start - FILL_BYTES) / every), 0) * every;
          pos < stop;
          pos += every
        ) {
          if (pos + FILL_BYTES <= start || pos >= end) continue;
          put(seed, Math.max(pos, start), Math.min(pos + FILL_BYTES, stop), start);
          any = true;
        }
      }
    }
    return any;
  }
}

/** Writes [from, to) of a pattern into `page`, which begins at `start`. */
function put(seed: number | undefined, from: number, to: number, start: number): void {
  if (seed === undefined) {
    page.fill(0, from - start, to - start);
    return;
  }
  const byte = (at: number): void => {
    page[at - start] = (patternWord(seed, at - (at % 4)) >>> ((at % 4) * 8)) & 0xff;
  };
  let at = from;
  for (; at < to && at % 4 !== 0; at++) byte(at);
  for (; at + 4 <= to; at += 4) words[(at - start) / 4] = patternWord(seed, at);
  for (; at < to; at++) byte(at);
}
