/*
 * Slab caches: objects keep apart, on frames that the cache was given; a stale handle is found out; a record is zero
 * when it begins and poisoned when it ends.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Order, Pfn } from '../../sim/base/units.ts';
import type { Column, Storage } from '../../sim/machine/column.ts';
import { Journal, type Mark } from '../../sim/machine/journal.ts';
import { PiecePool } from '../../sim/machine/pool.ts';
import { RowWord } from '../../sim/machine/row_word.ts';
import { POISON, SlabCache } from '../../sim/machine/slab.ts';
import { UseAfterFree } from '../../sim/machine/slab_handle.ts';

const indexOf = (handle: number): number => handle & (2 ** 24 - 1);

/** Blocks at ascending addresses, some of which it was told not to have; freed ones are used again. */
class Pages {
  readonly lent = new Map<number, number>();
  budget = Infinity;
  #next = 16;
  #returned: number[] = [];

  allocPages(order: Order): Pfn {
    if (this.budget === 0) return -1 as Pfn;
    this.budget--;
    const at = this.#returned.pop() ?? this.#next;
    if (at === this.#next) this.#next += 2 ** order;
    this.lent.set(at, order);
    return at as Pfn;
  }

  freePages(at: Pfn, order: Order): void {
    expect(this.lent.get(at)).toBe(order);
    this.lent.delete(at);
    this.#returned.push(at);
  }

  capture(): unknown {
    return [new Map(this.lent), this.budget, this.#next, [...this.#returned]];
  }

  reinstate(state: unknown): void {
    const [lent, budget, next, returned] = state as [Map<number, number>, number, number, number[]];
    this.lent.clear();
    for (const [at, order] of lent) this.lent.set(at, order);
    this.budget = budget;
    this.#next = next;
    this.#returned = [...returned];
  }
}

const RECORD = 5;
/** Words of an object in its row, with the cache's own. */
const ROW = 4;

class World {
  readonly storage: Storage = { pool: new PiecePool(), journal: new Journal() };
  readonly pages = new Pages();
  readonly cache: SlabCache;
  readonly record: Column;
  /** Handle to what the test wrote into its record. */
  readonly live = new Map<number, number>();
  readonly dead: number[] = [];

  constructor(bytes: number) {
    this.cache = new SlabCache(this.storage, 'thing', bytes, this.pages, { rowWords: ROW });
    this.record = this.cache.records('thing record', RECORD);
    this.storage.journal.enlist(this.pages);
  }

  /** What an object contains, beside its row and in it. */
  row(index: number): number[] {
    const beside = Array.from({ length: RECORD }, (_, k) => this.record.get(index * RECORD + k));
    return [...beside, ...[1, 2, 3].map((word) => this.cache.objects.get(index * ROW + word))];
  }

  alloc(value: number): number {
    const { live, slabs } = this.cache;
    const handle = this.cache.alloc();
    // A new slab only where every other is full.
    if (this.cache.slabs > slabs) expect(live).toBe(slabs * this.cache.objectsPerSlab);
    if (handle === 0) {
      expect(this.pages.budget).toBe(0);
      return 0;
    }
    expect(this.live.has(handle)).toBe(false);
    expect(this.row(this.cache.index(handle))).toEqual(Array(8).fill(0));
    for (let k = 0; k < RECORD; k++) this.record.set(this.cache.index(handle) * RECORD + k, value);
    this.cache.openRow(handle, 1, 1)[this.cache.rowAt(handle) + 1] = value;
    new RowWord(this.cache, 2).set(handle, value);
    this.cache.setBeside(handle, 3, value);
    this.live.set(handle, value);
    return handle;
  }

  free(which: number): void {
    const handle = [...this.live.keys()][which % (this.live.size || 1)];
    if (handle === undefined) return;
    // It is the object looked at last, or is not.
    if (which % 2 === 0) this.cache.row(handle);
    this.cache.free(handle);
    expect(() => this.cache.row(handle)).toThrow(UseAfterFree);
    this.live.delete(handle);
    this.dead.push(handle);
    expect(this.row(indexOf(handle))).toEqual(Array(8).fill(POISON));
  }

  /** Everything that must hold at any moment. */
  check(): void {
    const { cache, pages } = this;
    const slabPages = 2 ** cache.order;
    expect(cache.live).toBe(this.live.size);
    expect(cache.slabs).toBe(pages.lent.size);
    const indices = new Set<number>();
    const addresses: number[] = [];
    for (const [handle, value] of this.live) {
      const index = cache.index(handle);
      expect(cache.handleAt(index)).toBe(handle);
      expect(index).toBeLessThan(cache.indexEnd);
      indices.add(index);
      addresses.push(cache.physOf(handle));
      expect(this.row(index)).toEqual(Array(8).fill(value));
      for (const row of [cache.row(handle), cache.peek(handle)])
        expect(row[cache.rowAt(handle) + 1]).toBe(value);
    }
    expect(indices.size).toBe(this.live.size);
    addresses.sort((a, b) => a - b);
    const used = new Set<number>();
    for (const [i, address] of addresses.entries()) {
      if (i > 0) expect(address - (addresses[i - 1] as number)).toBeGreaterThanOrEqual(cache.objectBytes);
      const block = [...pages.lent.keys()].find(
        (at) => address >= at * 4096 && address < (at + slabPages) * 4096,
      );
      expect(address + cache.objectBytes).toBeLessThanOrEqual(((block ?? -1) + slabPages) * 4096);
      used.add(block ?? -1);
    }
    const slab = cache.objectsPerSlab;
    const blocks = new Set([-1]);
    for (let first = 0; first < cache.indexEnd; first += slab) {
      for (const index of [first, first + slab - 1]) blocks.add(cache.frameOf(index));
      const here = Array.from({ length: slab }, (_, k) => cache.handleAt(first + k));
      expect(cache.liveFrom(first, slab)).toBe(here.filter((handle) => handle !== 0).length);
    }
    expect(blocks).toEqual(new Set([-1, ...pages.lent.keys()]));
    // No slab without an object keeps its frames.
    expect(used.size).toBe(pages.lent.size);
    for (let index = 0; index < cache.indexEnd; index++) {
      if (!indices.has(index) && cache.handleAt(index) !== 0) expect(index).toBe('free');
    }
    const stale = this.dead.filter((handle) => !this.live.has(handle));
    expect(stale.filter((handle) => cache.isLive(handle))).toEqual([]);
    for (const handle of [...stale.slice(-3), 0]) {
      expect(() => cache.index(handle)).toThrow(UseAfterFree);
      expect(() => cache.row(handle)).toThrow(UseAfterFree);
      const word = new RowWord(cache, 1);
      expect(() => word.get(handle)).toThrow(UseAfterFree);
      expect(() => word.set(handle, 1)).toThrow(UseAfterFree);
      expect(() => word.replace(handle, POISON, 1)).toThrow(UseAfterFree);
      expect(() => cache.setBeside(handle, 1, 1)).toThrow(UseAfterFree);
      expect(() => cache.physOf(handle)).toThrow(UseAfterFree);
      expect(() => cache.free(handle)).toThrow(UseAfterFree);
    }
  }
}

/** Few objects a slab, so that slabs fill and empty: 3, 8, 16, 1 and 5. */
const bytes = fc.constantFrom(10000, 512, 250, 20000, 6000);
const ops = fc.array(fc.tuple(fc.constantFrom('alloc', 'alloc', 'alloc', 'free', 'free'), fc.nat(9999)), {
  maxLength: 90,
  size: 'max',
});

describe('laws', () => {
  test('objects keep apart, records are theirs, stale handles are found out', () => {
    fc.assert(
      fc.property(bytes, ops, (size, steps) => {
        const world = new World(size);
        for (const [i, [what, n]] of steps.entries()) {
          if (what === 'alloc') world.alloc(n + 1);
          else world.free(n);
          if (i % 10 === 0) world.check();
        }
        world.check();
        while (world.live.size > 0) world.free(0);
        world.check();
        expect(world.pages.lent.size).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  test('without frames there is no object, and nothing changes', () => {
    fc.assert(
      fc.property(bytes, ops, fc.nat(6), (size, steps, budget) => {
        const world = new World(size);
        world.pages.budget = budget;
        for (const [what, n] of steps) {
          if (what === 'alloc') {
            const { live, slabs } = world.cache;
            if (world.alloc(n + 1) === 0)
              expect([world.cache.live, world.cache.slabs]).toEqual([live, slabs]);
          } else {
            world.free(n);
          }
        }
        world.check();
      }),
      { numRuns: 40 },
    );
  });

  test('the same operations give the same handles', () => {
    fc.assert(
      fc.property(bytes, ops, (size, steps) => {
        const [one, other] = [new World(size), new World(size)];
        for (const [what, n] of steps) {
          for (const world of [one, other]) {
            if (what === 'alloc') world.alloc(n);
            else world.free(n);
          }
        }
        expect([...one.live]).toEqual([...other.live]);
      }),
      { numRuns: 30 },
    );
  });

  test('a rollback restores objects, records and slabs', () => {
    const step = fc.oneof(
      { weight: 8, arbitrary: fc.tuple(fc.constantFrom('alloc', 'alloc', 'free'), fc.nat(9999)) },
      { weight: 2, arbitrary: fc.tuple(fc.constantFrom('mark', 'rollback'), fc.nat(5)) },
    );
    fc.assert(
      fc.property(bytes, fc.array(step, { maxLength: 80, size: 'max' }), (size, steps) => {
        const world = new World(size);
        const marks: { mark: Mark; live: Map<number, number>; dead: number; words: number[] }[] = [];
        const words = (): number[] =>
          Array.from({ length: world.cache.indexEnd }, (_, i) => world.row(i)).flat();
        for (const [what, n] of steps) {
          if (what === 'alloc') world.alloc(n + 1);
          else if (what === 'free') world.free(n);
          else if (what === 'mark') {
            const mark = world.storage.journal.mark();
            marks.push({ mark, live: new Map(world.live), dead: world.dead.length, words: words() });
          } else {
            const to = marks[n % (marks.length || 1)];
            if (to === undefined) continue;
            world.storage.journal.rollback(to.mark);
            marks.length = to.mark.depth;
            const younger = [...world.live.keys()].filter((handle) => !to.live.has(handle));
            for (const handle of younger.reverse()) {
              expect(() => world.cache.row(handle)).toThrow(UseAfterFree);
            }
            world.live.clear();
            for (const [handle, value] of to.live) world.live.set(handle, value);
            world.dead.length = to.dead;
            expect(words()).toEqual(to.words);
            world.check();
          }
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe('examples', () => {
  test('every way to write a word of a row is rolled back', () => {
    const { cache, storage } = new World(512);
    const handle = cache.alloc();
    const mark = storage.journal.mark();
    cache.set(handle, 1, 7);
    cache.setBeside(handle, 2, 7);
    expect(cache.replace(handle, 3, 0, 7)).toBe(true);
    expect([1, 2, 3].map((word) => cache.get(handle, word))).toEqual([7, 7, 7]);
    storage.journal.rollback(mark);
    expect([1, 2, 3].map((word) => cache.get(handle, word))).toEqual([0, 0, 0]);
  });

  test('the object freed last is allocated next, under another handle', () => {
    const world = new World(512);
    const handles = Array.from({ length: 5 }, () => world.cache.alloc());
    world.cache.free(handles[1] as number);
    world.cache.free(handles[3] as number);
    const next = [world.cache.alloc(), world.cache.alloc(), world.cache.alloc()];
    expect(next.map(indexOf)).toEqual([3, 1, 5]);
    expect(world.cache.isLive(handles[3] as number)).toBe(false);
  });

  test('a full slab that gets a free object waits behind those that did earlier', () => {
    const world = new World(512);
    const perSlab = world.cache.objectsPerSlab;
    const handles = Array.from({ length: 3 * perSlab }, () => world.cache.alloc());
    for (const slab of [2, 0, 1]) world.cache.free(handles[slab * perSlab + 4] as number);
    const next = [world.cache.alloc(), world.cache.alloc(), world.cache.alloc()];
    expect(next.map(indexOf)).toEqual([2, 0, 1].map((slab) => slab * perSlab + 4));
  });

  test('generations repeat after 127 lives of a place', () => {
    const world = new World(512);
    const keep = world.cache.alloc();
    const first = world.cache.alloc();
    const seen = new Set([first]);
    let handle = first;
    for (let life = 1; life < 127; life++) {
      world.cache.free(handle);
      handle = world.cache.alloc();
      expect(indexOf(handle)).toBe(indexOf(first));
      expect(handle).toBeGreaterThan(0);
      expect(world.cache.isLive(first)).toBe(false);
      seen.add(handle);
    }
    expect(seen.size).toBe(127);
    world.cache.free(handle);
    expect(world.cache.alloc()).toBe(first);
    expect(world.cache.isLive(keep)).toBe(true);
  });

  test('a stale handle stays stale when its slab was given back and its number used again', () => {
    const world = new World(512);
    const handle = world.cache.alloc();
    world.cache.free(handle);
    expect(world.cache.slabs).toBe(0);
    const other = world.cache.alloc();
    expect(indexOf(other)).toBe(indexOf(handle));
    expect(() => world.cache.index(handle)).toThrow(`use after free of thing object ${indexOf(handle)}`);
    expect(() => world.cache.free(handle)).toThrow('double free of thing object');
    expect(world.cache.isLive(0)).toBe(false);
  });

  test('a record may cross pieces', () => {
    const storage = { pool: new PiecePool(), journal: new Journal() };
    const cache = new SlabCache(storage, 'thing', 64, new Pages());
    const record = cache.records('long', 1000);
    const handles = Array.from({ length: 40 }, () => cache.alloc());
    for (const handle of handles) cache.free(handle);
    for (let i = 0; i < 40_000; i += 1) {
      if (record.get(i) !== POISON) expect([i, record.get(i)]).toEqual([i, POISON]);
    }
    expect(record.get(40_000)).toBe(0);
    expect(cache.alloc()).not.toBe(0);
  });

  test('a sparse record is poisoned and cleared in pieces that something was written to, and in no other', () => {
    const storage = { pool: new PiecePool(), journal: new Journal() };
    const cache = new SlabCache(storage, 'thing', 64, new Pages());
    const record = cache.records('seldom', 64, true);
    // 256 records in a piece.
    const handles = Array.from({ length: 600 }, () => cache.alloc());
    const at = [1, 2, 300].map((k) => cache.index(handles[k] as number) * 64) as [number, number, number];
    const contents = (): number[] => at.map((i) => record.get(i));
    const free = (k: number): void => cache.free(handles[k] as number);
    free(1);
    expect(contents()).toEqual([0, 0, 0]);
    record.set(at[1], 7);
    for (const k of [2, 300]) free(k);
    expect(contents()).toEqual([0, POISON, 0]);
    while (!cache.isLive(cache.handleAt(at[1] / 64))) cache.alloc();
    expect(contents()).toEqual([0, 0, 0]);
  });

  test('a cache gives its host memory back', () => {
    const world = new World(192);
    for (let i = 0; i < 50_000; i++) world.record.set(world.cache.index(world.cache.alloc()) * RECORD, i);
    expect(world.storage.pool.taken).toBeGreaterThan(0);
    world.cache.dispose();
    expect(world.storage.pool.taken).toBe(0);
  });

  test('a slab in which an object lives is not given back', () => {
    const { cache } = new World(192);
    const [one, other] = [cache.alloc(), cache.alloc()];
    cache.free(one);
    cache.objects.set(indexOf(one) * ROW, 1 << 31);
    expect(() => cache.free(other)).toThrow('a slab is given back, and an object in it lives');
  });

  test('live objects are counted in slabs that cross a piece of rows, and behind it', () => {
    const { cache } = new World(192);
    const handles = Array.from({ length: 8400 }, () => cache.alloc());
    for (const [i, handle] of handles.entries()) if (i % 3 === 0) cache.free(handle);
    const expectCounted = (first: number, n: number): void => {
      const here = Array.from({ length: n }, (_, k) => cache.handleAt(first + k));
      const live = here.filter((handle) => handle !== 0).length;
      expect([first, n, cache.liveFrom(first, n)]).toEqual([first, n, live]);
    };
    // 4096 rows of 4 words are a piece, and 21 objects a slab.
    expect(4096 % cache.objectsPerSlab).not.toBe(0);
    for (let first = 0; first < cache.indexEnd; first += 21) expectCounted(first, 21);
    for (const n of [0, 1, 4095, 4096, 4097, 8192, 8400]) expectCounted(0, n);
    for (const first of [4095, 4096, 4097]) for (const n of [1, 2, 4096, 4097]) expectCounted(first, n);
  });

  test('300 000 objects take about 4 bytes each of bookkeeping', () => {
    const storage = { pool: new PiecePool(), journal: new Journal() };
    const cache = new SlabCache(storage, 'thing', 192, new Pages());
    for (let i = 0; i < 300_000; i++) cache.alloc();
    expect(cache.live).toBe(300_000);
    expect((storage.pool.taken * 65536) / 300_000).toBeLessThan(6);
    cache.dispose();
  });
});
