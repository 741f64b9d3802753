/*
 * Memory that lies in a file as it lay in the machine, in one run or several. Read by lines of 64 KiB, of which the
 * last few are kept, so a dump of any size costs what is looked at.
 *
 *   run      `bytes` bytes from `phys` on are at `offset` of the file; later runs do not overlay earlier ones
 *   line     64 KiB of memory, put together from the runs that touch it; what no run has is absent, by the page
 */
import { PAGE_SIZE } from '../base/limits.ts';
import { type Pfn, type Phys, roundUp } from '../base/units.ts';
import type { OpenFile } from '../explore/host_file.ts';
import type { PageSource } from './image_memory.ts';

export interface FileRun {
  readonly phys: number;
  readonly offset: number;
  readonly bytes: number;
}

/** Told, while all of memory is gone through, how many bytes of how many are done. */
export type OnScan = (done: number, all: number) => void;

const LINE_BYTES = 65536;
const LINE_PAGES = LINE_BYTES / PAGE_SIZE;
const PAGE_WORDS = PAGE_SIZE / 4;
/** Lines kept: 16 MiB. */
const LINES_KEPT = 256;
const SCAN_BYTES = 2 ** 20;

interface Line {
  readonly words: Int32Array;
  /** A bit for each page that the file has bytes of. */
  present: number;
}

export class FileRuns implements PageSource {
  readonly #file: OpenFile;
  readonly #runs: readonly FileRun[];
  /** By number, the one used last at the end. */
  readonly #lines = new Map<number, Line>();
  readonly #buffer = new Uint8Array(LINE_BYTES);
  readonly #onScan: OnScan;

  constructor(file: OpenFile, runs: readonly FileRun[], onScan: OnScan = () => {}) {
    this.#file = file;
    this.#runs = withoutOverlaps(runs);
    this.#onScan = onScan;
  }

  page(frame: Pfn): Int32Array | undefined {
    const line = this.#line(Math.floor(frame / LINE_PAGES));
    const page = frame % LINE_PAGES;
    if ((line.present & (1 << page)) === 0) return undefined;
    return line.words.subarray(page * PAGE_WORDS, (page + 1) * PAGE_WORDS);
  }

  *pagesBeginningWith(bytes: Uint8Array): Generator<Phys, void, void> {
    const buffer = new Uint8Array(SCAN_BYTES);
    const all = this.#runs.reduce((sum, run) => sum + run.bytes, 0);
    let done = 0;
    for (const run of this.#runs) {
      for (let at = roundUp(run.phys, PAGE_SIZE); at < run.phys + run.bytes; at += SCAN_BYTES) {
        const wanted = Math.min(SCAN_BYTES, run.phys + run.bytes - at);
        const got = this.#file.read(buffer.subarray(0, wanted), run.offset + at - run.phys);
        for (let page = 0; page + bytes.length <= got; page += PAGE_SIZE) {
          if (buffer[page] !== bytes[0]) continue;
          if (bytes.every((byte, i) => buffer[page + i] === byte)) yield (at + page) as Phys;
        }
        if (got < wanted) break;
        this.#onScan(done + at - run.phys, all);
      }
      done += run.bytes;
    }
    this.#onScan(all, all);
  }

  #line(number: number): Line {
    let line = this.#lines.get(number);
    if (line === undefined) {
      line = this.#readLine(number);
      if (this.#lines.size === LINES_KEPT) this.#lines.delete(this.#lines.keys().next().value as number);
    } else {
      this.#lines.delete(number);
    }
    this.#lines.set(number, line);
    return line;
  }

  #readLine(number: number): Line {
    const line: Line = { words: new Int32Array(LINE_BYTES / 4), present: 0 };
    const start = number * LINE_BYTES;
    this.#buffer.fill(0);
    for (let i = this.#firstBehind(start); i < this.#runs.length; i++) {
      const run = this.#runs[i] as FileRun;
      const from = Math.max(start, run.phys);
      const to = Math.min(start + LINE_BYTES, run.phys + run.bytes);
      if (to <= from) break;
      const got = this.#file.read(
        this.#buffer.subarray(from - start, to - start),
        run.offset + from - run.phys,
      );
      const last = Math.floor((from - start + got - 1) / PAGE_SIZE);
      for (let page = Math.floor((from - start) / PAGE_SIZE); page <= last; page++) line.present |= 1 << page;
    }
    const view = new DataView(this.#buffer.buffer);
    for (let k = 0; k < line.words.length; k++) line.words[k] = view.getInt32(k * 4, true);
    return line;
  }

  /** Number of the first run that ends behind an address. */
  #firstBehind(address: number): number {
    let low = 0;
    let high = this.#runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { phys, bytes } = this.#runs[middle] as FileRun;
      if (phys + bytes <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Ascending. Of memory that is there twice (a kernel's text in /proc/vmcore) the run that begins first counts. */
function withoutOverlaps(runs: readonly FileRun[]): FileRun[] {
  const apart: FileRun[] = [];
  let end = 0;
  for (const { phys, offset, bytes } of [...runs].sort((x, y) => x.phys - y.phys)) {
    const cut = Math.max(end - phys, 0);
    if (cut >= bytes) continue;
    apart.push({ phys: phys + cut, offset: offset + cut, bytes: bytes - cut });
    end = phys + bytes;
  }
  return apart;
}
