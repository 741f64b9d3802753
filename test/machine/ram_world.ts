/*
 * RAM beside a plain array of bytes: every operation is done to both, and every answer compared.
 */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { Pfn, Phys } from '../../sim/base/units.ts';
import type { Storage } from '../../sim/machine/column.ts';
import { type Backdrop, patternWord } from '../../sim/machine/garbage.ts';
import { Journal } from '../../sim/machine/journal.ts';
import { PageFault } from '../../sim/machine/page_fault.ts';
import { PiecePool } from '../../sim/machine/pool.ts';
import { Ram } from '../../sim/machine/ram.ts';
import { patternWord as contentWord, eachBlock, type Stamp } from '../../sim/machine/stamps.ts';

/** Four chunks. */
export const RAM_BYTES = 4 * 65536;
export const PAGES = RAM_BYTES / 4096;

/** Pages that most steps meet in: the first, and those around a chunk border. */
const HOT = [0, 15, 16, 17] as const;

/** Addresses in few pages, around page and chunk borders, at the end of RAM, and beyond it. */
const address = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(fc.constantFrom(...HOT), fc.integer({ min: -9, max: 40 }))
      .map(([p, d]) => p * 4096 + d),
  },
  { weight: 4, arbitrary: fc.nat(RAM_BYTES - 1) },
  {
    weight: 4,
    arbitrary: fc.tuple(fc.nat(PAGES), fc.integer({ min: -9, max: 9 })).map(([p, d]) => p * 4096 + d),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.nat(4), fc.integer({ min: -9, max: 9 })).map(([c, d]) => c * 65536 + d),
  },
  { weight: 1, arbitrary: fc.constantFrom(-4, -1, RAM_BYTES, 2 ** 40, 2 ** 52, Number.NaN) },
);
const page = fc.oneof(fc.constantFrom(...HOT), fc.nat(PAGES - 1));
const pages = fc.tuple(page, fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 20 })));
const word = fc.oneof(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.constant(0));
const words = fc.array(word, { minLength: 0, maxLength: 40 });
const data = fc.uint8Array({ minLength: 0, maxLength: 40 });
const long = fc.maxSafeInteger().map((n) => Math.abs(n));

const stamp: fc.Arbitrary<Stamp> = fc.record({
  seed: fc.nat(3),
  every: fc.constantFrom(0, 8, 64, 4096, 12_288),
  index: fc.oneof(fc.nat(40), fc.constant(2 ** 33 + 5)),
});

export type Step =
  | { kind: 'store8' | 'store32'; at: number; word: number }
  | { kind: 'store64'; at: number; value: number }
  | { kind: 'storeWords' | 'storeRuns'; at: number; words: number[] }
  | { kind: 'storeBytes'; at: number; data: Uint8Array }
  | { kind: 'zero' | 'guard' | 'unguard'; pages: [number, number] }
  | { kind: 'scribble'; page: number; seed: number }
  | { kind: 'overwrite'; pages: [number, number]; seed: number }
  | { kind: 'stamp'; pages: [number, number]; stamp: Stamp }
  | { kind: 'load'; at: number; n: number };

const record = <T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(model);

export const step: fc.Arbitrary<Step> = fc.oneof(
  record<{ kind: 'store8' | 'store32'; at: number; word: number }>({
    kind: fc.constantFrom('store8', 'store32'),
    at: address,
    word,
  }),
  record<{ kind: 'store64'; at: number; value: number }>({
    kind: fc.constant('store64'),
    at: address,
    value: long,
  }),
  record<{ kind: 'storeWords' | 'storeRuns'; at: number; words: number[] }>({
    kind: fc.constantFrom('storeWords', 'storeRuns'),
    at: address,
    words,
  }),
  record<{ kind: 'storeBytes'; at: number; data: Uint8Array }>({
    kind: fc.constant('storeBytes'),
    at: address,
    data,
  }),
  record<{ kind: 'zero' | 'guard' | 'unguard'; pages: [number, number] }>({
    kind: fc.constantFrom('zero', 'guard', 'unguard'),
    pages,
  }),
  record<{ kind: 'scribble'; page: number; seed: number }>({
    kind: fc.constant('scribble'),
    page,
    seed: word,
  }),
  record<{ kind: 'overwrite'; pages: [number, number]; seed: number }>({
    kind: fc.constant('overwrite'),
    pages,
    seed: word,
  }),
  record<{ kind: 'stamp'; pages: [number, number]; stamp: Stamp }>({
    kind: fc.constant('stamp'),
    pages: fc.oneof(pages, fc.constantFrom<[number, number]>([0, 64], [0, 16], [32, 32], [16, 8])),
    stamp,
  }),
  record<{ kind: 'load'; at: number; n: number }>({ kind: fc.constant('load'), at: address, n: fc.nat(30) }),
);

/** A copy of all that the model knows. */
export interface Copy {
  readonly bytes: Uint8Array;
  readonly guarded: ReadonlySet<number>;
  readonly resident: number;
  readonly dirty: readonly number[];
}

export class RamWorld {
  readonly storage: Storage;
  readonly ram: Ram;
  readonly bytes = new Uint8Array(RAM_BYTES);
  readonly guarded = new Set<number>();
  /** Pages that the last step wrote though guarded, by RAM's account and by the model's. */
  readonly wild = new Set<number>();
  readonly expectedWild = new Set<number>();

  readonly #backed: boolean;

  /** `backed`: memory is not zero to begin with, but that of another machine; every third page is. */
  constructor(storage: Storage = { pool: new PiecePool(), journal: new Journal() }, backed = false) {
    this.storage = storage;
    this.#backed = backed;
    this.ram = new Ram(storage, RAM_BYTES);
    if (backed) {
      for (let p = 0; p < PAGES; p++) if (p % 3 !== 0) this.#fill(p, 1, p);
      this.ram.clear([], backdropOf(this.bytes.slice()));
    }
    this.ram.guarded = (first, pages) => {
      for (let frame = first; frame < first + pages; frame++) if (this.guarded.has(frame)) return frame;
      return -1;
    };
    this.ram.onWildWrite = ({ pfn }) => this.wild.add(pfn);
  }

  copy(): Copy {
    const { residentBytes: resident } = this.ram;
    const dirty = [...this.ram.dirtyPages()];
    return { bytes: this.bytes.slice(), guarded: new Set(this.guarded), resident, dirty };
  }

  restore(copy: Copy): void {
    this.bytes.set(copy.bytes);
    this.guarded.clear();
    for (const frame of copy.guarded) this.guarded.add(frame);
    expect(this.ram.residentBytes).toBe(copy.resident);
    expect([...this.ram.dirtyPages()]).toEqual(copy.dirty);
  }

  step(s: Step): void {
    this.wild.clear();
    this.expectedWild.clear();
    if (s.kind === 'load') this.#load(s.at, s.n);
    else if ('at' in s) this.#store(s);
    else this.#stepPages(s);
    expect(this.wild).toEqual(this.expectedWild);
  }

  /** Every byte, read in two ways. */
  check(): void {
    const words = new Int32Array(RAM_BYTES / 4);
    this.ram.loadWords(0, words, 0, words.length);
    expect(Buffer.from(words.buffer).equals(Buffer.from(this.bytes))).toBe(true);
    const places = Array.from({ length: 60 }, (_, i) => i * 4369);
    expect(places.filter((at) => this.ram.load8(at) !== this.bytes[at])).toEqual([]);
    const untouched = new Set(Array.from({ length: PAGES }, (_, p) => p));
    for (const p of this.ram.dirtyPages()) untouched.delete(p);
    const regions = this.ram.garbageRegions();
    if (this.#backed) return;
    for (const { first, order } of this.ram.stampedBlocks()) {
      for (let p = first; p < first + 2 ** order; p++) untouched.delete(p);
    }
    for (const p of untouched) {
      if (regions.some(({ start, bytes }) => p * 4096 >= start && p * 4096 < start + bytes)) continue;
      expect(this.bytes.subarray(p * 4096, (p + 1) * 4096).every((b) => b === 0)).toBe(true);
    }
  }

  #inside(at: number, n: number): boolean {
    return at >= 0 && at + n <= RAM_BYTES;
  }

  #note(at: number, n: number): void {
    for (let p = Math.floor(at / 4096); p * 4096 < at + n; p++) {
      if (this.guarded.has(p)) this.expectedWild.add(p);
    }
  }

  #store(s: Extract<Step, { at: number }>): void {
    const view = storeBytesOf(s);
    const run = (): void => {
      if (s.kind === 'store8') this.ram.store8(s.at, s.word);
      else if (s.kind === 'store32') this.ram.store32(s.at, s.word);
      else if (s.kind === 'store64') this.ram.store64(s.at, s.value);
      else if (s.kind === 'storeWords')
        this.ram.storeWords(s.at, Int32Array.from([1, ...s.words]), 1, s.words.length);
      else if (s.kind === 'storeRuns') {
        const half = s.words.length >> 1;
        const behind = Int32Array.from([1, 2, ...s.words.slice(half)]);
        this.ram.storeRuns(s.at, Int32Array.from([1, ...s.words]), 1, half, behind, 2, s.words.length - half);
      } else if (s.kind === 'storeBytes') this.ram.storeBytes(s.at, s.data);
    };
    if (!this.#inside(s.at, view.length)) {
      expect(run).toThrow(PageFault);
      return;
    }
    run();
    this.bytes.set(view, s.at);
    if (view.length > 0) this.#note(s.at, view.length);
  }

  #load(at: number, n: number): void {
    const { ram } = this;
    const expected = (bytes: number) => new DataView(this.bytes.buffer, at, bytes);
    const words = new Int32Array(n + 2).fill(5);
    const cases: [number, () => unknown, () => unknown][] = [
      [1, () => ram.load8(at), () => expected(1).getUint8(0)],
      [4, () => ram.load32(at), () => expected(4).getInt32(0, true)],
      [8, () => ram.load64(at), () => Number(expected(8).getBigUint64(0, true))],
      [n, () => [...ram.loadBytes(at, n)], () => [...this.bytes.subarray(at, at + n)]],
      [
        n * 4,
        () => {
          ram.loadWords(at, words, 1, n);
          return [...words];
        },
        () => [5, ...Array.from({ length: n }, (_, k) => expected(n * 4).getInt32(k * 4, true)), 5],
      ],
    ];
    const viewed = Math.min(n, 64);
    cases.push([
      viewed * 4,
      () => Array.from(ram.view(at, viewed)).slice(ram.viewAt, ram.viewAt + viewed),
      () => Array.from({ length: viewed }, (_, k) => expected(viewed * 4).getInt32(k * 4, true)),
    ]);
    for (const [bytes, load, model] of cases) {
      if (this.#inside(at, bytes)) expect(load()).toEqual(model());
      else expect(load).toThrow(PageFault);
    }
  }

  #stepPages(s: Exclude<Step, { at: number }>): void {
    if (s.kind === 'scribble') {
      this.ram.scribble(s.page as Pfn, s.seed);
      this.#fill(s.page, 1, s.seed);
      this.#note(s.page * 4096, 4096);
      return;
    }
    const [first, n] = s.pages;
    if (first + n > PAGES) {
      if (s.kind === 'stamp') {
        expect(() => this.ram.stampPages(first as Pfn, n, s.stamp)).toThrow(PageFault);
      }
      if (s.kind === 'zero') expect(() => this.ram.zeroPages(first as Pfn, n)).toThrow(PageFault);
      if (s.kind === 'guard') expect(() => this.ram.guardPages(first as Pfn, n, true)).toThrow(PageFault);
      return;
    }
    if (s.kind === 'zero') {
      this.ram.zeroPages(first as Pfn, n);
      this.bytes.fill(0, first * 4096, (first + n) * 4096);
      if (n > 0) this.#note(first * 4096, n * 4096);
    } else if (s.kind === 'stamp') {
      this.ram.stampPages(first as Pfn, n, s.stamp);
      for (let at = first * 4096; at < (first + n) * 4096; at += 4) {
        const place = at + (s.stamp.index - first) * 4096;
        const isThere = s.stamp.every === 0 || place % s.stamp.every < 8;
        new DataView(this.bytes.buffer).setInt32(at, isThere ? contentWord(s.stamp.seed, place) : 0, true);
      }
      if (n > 0) this.#note(first * 4096, n * 4096);
      this.#checkStamps(first, n, s.stamp);
    } else if (s.kind === 'overwrite') {
      if (n === 0) return;
      // Whoever overwrites does not ask for leave: nothing is guarded across the jump.
      for (let p = first; p < first + n; p++) this.#guard(p, 1, false);
      this.ram.overwrite((first * 4096) as Phys, n * 4096, s.seed);
      this.#fill(first, n, s.seed);
    } else {
      this.#guard(first, n, s.kind === 'guard');
    }
  }

  /** A block that was just stamped is told as that, unless bytes of it were kept anyway. */
  #checkStamps(first: number, n: number, { seed, every, index }: Stamp): void {
    eachBlock(first, n, (block, order) => {
      const found = this.ram.stampOf(block as Pfn, order);
      if (found !== undefined) expect(found).toEqual({ seed, every, index: index + block - first });
      if (this.ram.residentBytes === 0) expect(found).toBeDefined();
    });
  }

  #guard(first: number, n: number, guarded: boolean): void {
    for (let p = first; p < first + n; p++) {
      if (guarded) this.guarded.add(p);
      else this.guarded.delete(p);
    }
    this.ram.guardPages(first as Pfn, n, guarded);
  }

  #fill(first: number, n: number, seed: number): void {
    const view = new DataView(this.bytes.buffer);
    for (let at = first * 4096; at < (first + n) * 4096; at += 4)
      view.setInt32(at, patternWord(seed, at), true);
  }
}

function backdropOf(bytes: Uint8Array): Backdrop {
  const words = new Int32Array(bytes.buffer);
  return {
    wordAt: (address) => words[address / 4] as number,
    copyPage: (address, target, at) => target.set(words.subarray(address / 4, address / 4 + 1024), at),
  };
}

function storeBytesOf(s: Extract<Step, { at: number }>): Uint8Array {
  if (s.kind === 'storeBytes') return s.data;
  if (s.kind === 'store8') return Uint8Array.of(s.word);
  if (s.kind === 'store32') return new Uint8Array(Int32Array.of(s.word).buffer);
  if (s.kind === 'store64') return new Uint8Array(BigUint64Array.of(BigInt(s.value)).buffer);
  if (s.kind === 'storeWords' || s.kind === 'storeRuns')
    return new Uint8Array(Int32Array.from(s.words).buffer);
  return new Uint8Array();
}
