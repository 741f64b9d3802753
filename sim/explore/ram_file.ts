/*
 * The RAM file: what crossed a jump, as bytes. It is RAM, the two addresses and the run: the incoming kernel sees the
 * first three; agents, oracles and decisions resume from the run, whose input the file carries.
 *
 *   "luosim RAM file\n"        16 bytes
 *   header                     RamFileHeader as one line of JSON; spaces before its newline make it a multiple of 4
 *   `pages` times, ascending   u32 frame number, then the 4096 bytes of the page;
 *                              bit 31 of the frame number is set where the page is all zero and no bytes follow
 *   u64                        digest (base/digest.ts) over all words before it
 *
 * All words are little endian. A page that was written and is zero again is in the file: the next jump decides page by
 * page what becomes of what was written, and inside a garbage region a missing page would not read as zero.
 */
import { Digest } from '../base/digest.ts';
import { MAX_PAGE_ORDER, PAGE_SIZE } from '../base/limits.ts';
import { type Pfn, type Phys, physOf } from '../base/units.ts';
import { isObject, isWhole } from '../input/program_json.ts';
import type { RunInput } from '../input/run_input.ts';
import { runInputError } from '../input/run_input_json.ts';
import type { Ram } from '../machine/ram.ts';
import { FILL_BYTES, type StampedBlock } from '../machine/stamps.ts';
import type { Jump } from './run.ts';

/** 2: faults, departures and corruptions. 3: stamps; without them it is read as 2 is. */
export const RAM_FILE_SCHEMA_VERSION = 3;
const SCHEMA_VERSION_MIN = 2;

export interface RamFileHeader extends RunInput {
  readonly schemaVersion: typeof RAM_FILE_SCHEMA_VERSION;
  /** The kernel that left. */
  readonly generation: number;
  /** Digest of the kernels up to and with that one: whoever resumes must have got this far in the same way. */
  readonly digest: string;
  readonly fdtPhys: number;
  readonly scratchPhys: number;
  readonly garbage: readonly { readonly start: Phys; readonly bytes: number; readonly seed: number }[];
  /** Blocks that are a pattern, but for the pages of them that are in the file: machine/stamps.ts. */
  readonly stamps?: readonly StampedBlock[];
  readonly pages: number;
}

export interface RamPage {
  readonly frame: Pfn;
  /** Contents, 1024 words. */
  readonly words: Int32Array;
}

export interface RamFile {
  readonly header: RamFileHeader;
  readonly pages: readonly RamPage[];
}

export const RAM_FILE_MAGIC = new TextEncoder().encode('luosim RAM file\n');
const PAGE_WORDS = PAGE_SIZE / 4;
const ZERO_PAGE = new Int32Array(PAGE_WORDS);
const ALL_ZERO = 0x80000000;
/** Pages to a piece of the encoding: a megabyte. */
const PIECE_PAGES = 256;
const HEADER_BYTES_MAX = 64 * 2 ** 20;
/** Scratch areas are few; every access to untouched memory looks through the regions. */
const GARBAGE_MAX = 1024;
const REMEDY = 'save it again with luosim run --save-ram';

/** The bytes of a RAM file, in pieces of about a megabyte whose lengths are multiples of 4. */
export function* encodeRamFile(input: RunInput, jump: Jump): Generator<Uint8Array, void, void> {
  const digest = new Digest();
  const frames = [...jump.params.ram.dirtyPages()];
  for (const piece of contents(input, jump, frames)) {
    mixWords(digest, piece);
    yield piece;
  }
  yield digestBytes(digest);
}

function* contents(input: RunInput, jump: Jump, frames: readonly Pfn[]): Generator<Uint8Array, void, void> {
  yield RAM_FILE_MAGIC.slice();
  yield headerLine(input, jump, frames.length);
  const words = new Int32Array(PAGE_WORDS);
  for (let first = 0; first < frames.length; first += PIECE_PAGES) {
    const batch = frames.slice(first, first + PIECE_PAGES);
    const view = new DataView(new ArrayBuffer(batch.length * (4 + PAGE_SIZE)));
    let at = 0;
    for (const frame of batch) {
      jump.params.ram.loadWords(physOf(frame), words, 0, PAGE_WORDS);
      const zero = words.every((word) => word === 0);
      view.setUint32(at, zero ? frame + ALL_ZERO : frame, true);
      at += 4;
      if (zero) continue;
      for (let k = 0; k < PAGE_WORDS; k++, at += 4) view.setInt32(at, words[k] as number, true);
    }
    yield new Uint8Array(view.buffer, 0, at);
  }
}

function headerLine(input: RunInput, jump: Jump, pages: number): Uint8Array {
  const { machine, profile, seed, program, faults, departures, corruptions } = input;
  const header: RamFileHeader = {
    schemaVersion: RAM_FILE_SCHEMA_VERSION,
    machine,
    profile,
    seed,
    program,
    ...(faults === undefined ? {} : { faults }),
    ...(departures === undefined ? {} : { departures }),
    ...(corruptions === undefined ? {} : { corruptions }),
    generation: jump.generation,
    digest: jump.digest,
    fdtPhys: jump.params.fdtPhys,
    scratchPhys: jump.params.scratchPhys,
    garbage: jump.params.ram.garbageRegions(),
    stamps: jump.params.ram.stampedBlocks(),
    pages,
  };
  const bytes = new TextEncoder().encode(JSON.stringify(header));
  const line = new Uint8Array((bytes.length + 4) & ~3).fill(0x20);
  line.set(bytes);
  line[line.length - 1] = 0x0a;
  return line;
}

/** The file in these bytes, however they are cut into pieces; or what is wrong with it, to be said after its name. */
export function decodeRamFile(pieces: Iterable<Uint8Array>): RamFile | string {
  const reader = new Reader(pieces);
  const header = readHeader(reader);
  if (typeof header === 'string') return header;
  const pages = readPages(reader, header);
  if (typeof pages === 'string') return pages;
  const digest = digestBytes(reader.digest);
  const stored = reader.take(digest.length);
  if (stored === undefined) return cutOff(reader);
  if (!stored.every((byte, i) => byte === digest[i])) return `is damaged: its digest does not fit; ${REMEDY}`;
  if (reader.take(1) !== undefined) return `goes on after its end at byte ${reader.position - 1}; ${REMEDY}`;
  return { header, pages };
}

/** Makes RAM what the file says. */
export function placeRamFile({ header, pages }: RamFile, ram: Ram): void {
  ram.clear(header.garbage);
  for (const stamp of header.stamps ?? []) ram.stampPages(stamp.first as Pfn, 2 ** stamp.order, stamp);
  for (const { frame, words } of pages) ram.storeWords(physOf(frame), words, 0, PAGE_WORDS);
}

function readHeader(reader: Reader): RamFileHeader | string {
  const magic = reader.take(RAM_FILE_MAGIC.length);
  if (magic === undefined && reader.position > 0) return cutOff(reader);
  if (magic === undefined || !magic.every((byte, i) => byte === RAM_FILE_MAGIC[i])) {
    return 'is no RAM file; give one that luosim run --save-ram wrote';
  }
  const line = reader.line();
  if (line === undefined) return `has no whole header and ${cutOff(reader)}`;
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(line));
  } catch {
    return `is damaged: its header is no JSON; ${REMEDY}`;
  }
  const version = isObject(header) ? header.schemaVersion : undefined;
  if (isWhole(version, 1e6) && !isReadable(version)) {
    return `has layout ${version}, this luosim reads layout ${RAM_FILE_SCHEMA_VERSION}; ${REMEDY}`;
  }
  const error = headerError(header);
  return error === undefined ? (header as RamFileHeader) : `has a wrong header: ${error}; ${REMEDY}`;
}

const isReadable = (version: unknown): boolean =>
  isWhole(version, RAM_FILE_SCHEMA_VERSION) && version >= SCHEMA_VERSION_MIN;

function headerError(header: unknown): string | undefined {
  if (!isObject(header)) return 'it is no object';
  if (!isReadable(header.schemaVersion)) return 'schemaVersion is no number';
  const error = runInputError(header);
  if (error !== undefined) return error;
  const { machine, program } = header as unknown as RunInput;
  const jumps = program.generations.length - 1;
  if (!isWhole(header.generation, jumps - 1)) return `generation is none of the ${jumps} that jump`;
  return addressError(header, machine.ramBytes) ?? stampsError(header.stamps ?? [], machine.ramBytes);
}

/** Stamps are ascending, aligned, apart, and in memory. */
function stampsError(stamps: unknown, ramBytes: number): string | undefined {
  if (!Array.isArray(stamps)) return 'stamps is no list';
  let end = 0;
  for (const [i, stamp] of (stamps as unknown[]).entries()) {
    if (!isObject(stamp)) return `stamps[${i}] is no object`;
    const { first, order, seed, every, index } = stamp;
    const isBlock = isWhole(order, MAX_PAGE_ORDER) && isWhole(first, ramBytes / PAGE_SIZE - 2 ** order);
    if (!isBlock || first % 2 ** order !== 0 || first < end) return `stamps[${i}] is no block of pages`;
    if (typeof seed !== 'number' || seed !== (seed | 0)) return `stamps[${i}].seed is no 32-bit number`;
    if (!isWhole(every, 2 ** 32 - 1) || every % FILL_BYTES !== 0) return `stamps[${i}].every is no distance`;
    if (!isWhole(index, 2 ** 41)) return `stamps[${i}].index is no page of a file`;
    end = first + 2 ** order;
  }
  return undefined;
}

function addressError(header: Readonly<Record<string, unknown>>, ramBytes: number): string | undefined {
  const { digest, fdtPhys, scratchPhys, garbage, pages } = header;
  if (typeof digest !== 'string') return 'digest is no text';
  const isPage = (phys: unknown): boolean => isWhole(phys, ramBytes - 1) && phys % PAGE_SIZE === 0;
  if (!isPage(fdtPhys)) return 'fdtPhys is no page of RAM';
  if (!isPage(scratchPhys)) return 'scratchPhys is no page of RAM';
  if (!isWhole(pages, ramBytes / PAGE_SIZE)) return 'pages is not a number of pages that RAM has';
  if (!Array.isArray(garbage) || garbage.length > GARBAGE_MAX) return 'garbage is no list of regions';
  for (const [i, region] of (garbage as unknown[]).entries()) {
    if (!isObject(region)) return `garbage[${i}] is no object`;
    const { start, bytes, seed } = region;
    const inside = isWhole(start, ramBytes) && isWhole(bytes, ramBytes - start);
    if (!inside || start % PAGE_SIZE !== 0 || bytes % PAGE_SIZE !== 0)
      return `garbage[${i}] is no range of pages`;
    if (typeof seed !== 'number' || seed !== (seed | 0)) return `garbage[${i}].seed is no 32-bit number`;
  }
  return undefined;
}

function readPages(reader: Reader, { machine, pages: announced }: RamFileHeader): RamPage[] | string {
  const pages: RamPage[] = [];
  let last = -1;
  for (let i = 0; i < announced; i++) {
    const entry = reader.word();
    if (entry === undefined) return cutOff(reader);
    const frame = entry % ALL_ZERO;
    const place = `byte ${reader.position - 4}: page ${i} of ${announced}`;
    if (frame >= machine.ramBytes / PAGE_SIZE) return `is damaged at ${place} lies outside of RAM; ${REMEDY}`;
    if (frame === last) return `is damaged at ${place} is there twice; ${REMEDY}`;
    if (frame < last) return `is damaged at ${place} is out of order; ${REMEDY}`;
    last = frame;
    let words: Int32Array = ZERO_PAGE;
    if (entry < ALL_ZERO) {
      const bytes = reader.take(PAGE_SIZE);
      if (bytes === undefined) return cutOff(reader);
      words = wordsOf(bytes);
    }
    pages.push({ frame: frame as Pfn, words });
  }
  return pages;
}

const cutOff = (reader: Reader): string => `is cut off after ${reader.position} bytes; ${REMEDY}`;

/** Bytes out of pieces. What is taken in words counts for the digest. */
class Reader {
  readonly digest = new Digest();
  /** Bytes taken. */
  position = 0;
  readonly #pieces: Iterator<Uint8Array>;
  #piece: Uint8Array = new Uint8Array();

  constructor(pieces: Iterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.iterator]();
  }

  /** The next `n` bytes as a copy; undefined where fewer are left, which are gone then. */
  take(n: number): Uint8Array | undefined {
    const taken = new Uint8Array(n);
    let filled = 0;
    while (filled < n) {
      if (!this.#fill()) return undefined;
      const part = this.#piece.subarray(0, n - filled);
      taken.set(part, filled);
      this.#piece = this.#piece.subarray(part.length);
      filled += part.length;
      this.position += part.length;
    }
    if (n % 4 === 0) mixWords(this.digest, taken);
    return taken;
  }

  word(): number | undefined {
    const bytes = this.take(4);
    return bytes === undefined ? undefined : new DataView(bytes.buffer).getUint32(0, true);
  }

  /** Bytes up to a newline and with it; a whole number of words. */
  line(): Uint8Array | undefined {
    const parts: Uint8Array[] = [];
    const start = this.position;
    for (;;) {
      if (!this.#fill() || this.position - start > HEADER_BYTES_MAX) return undefined;
      const newline = this.#piece.indexOf(0x0a);
      const part = this.#piece.slice(0, newline === -1 ? this.#piece.length : newline + 1);
      parts.push(part);
      this.#piece = this.#piece.subarray(part.length);
      this.position += part.length;
      if (newline !== -1) break;
    }
    const line = new Uint8Array(this.position - start);
    let at = 0;
    for (const part of parts) {
      line.set(part, at);
      at += part.length;
    }
    if (line.length % 4 !== 0) return undefined;
    mixWords(this.digest, line);
    return line;
  }

  /** Whether there is a byte to take. */
  #fill(): boolean {
    while (this.#piece.length === 0) {
      const next = this.#pieces.next();
      if (next.done === true) return false;
      this.#piece = next.value;
    }
    return true;
  }
}

/** Bytes as little-endian words. */
export function wordsOf(bytes: Uint8Array): Int32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const words = new Int32Array(bytes.length / 4);
  for (let k = 0; k < words.length; k++) words[k] = view.getInt32(k * 4, true);
  return words;
}

function mixWords(digest: Digest, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; at += 4) digest.mix(view.getInt32(at, true));
}

/** The digest as it stands in the file. */
function digestBytes(digest: Digest): Uint8Array {
  const text = digest.toString();
  const view = new DataView(new ArrayBuffer(8));
  view.setUint32(0, Number.parseInt(text.slice(0, 8), 16), true);
  view.setUint32(4, Number.parseInt(text.slice(8), 16), true);
  return new Uint8Array(view.buffer);
}
