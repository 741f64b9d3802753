/*
 * The page cache against maps: folios of every order in three files, far apart and next to one another; they come and
 * go, are flagged, pinned and rolled back.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { definePoint } from '../../sim/base/point.ts';
import { order as orderOf, type Pfn } from '../../sim/base/units.ts';
import { DIRTY, type Mapping, PageCache, PINNED, UPTODATE } from '../../sim/files/page_cache.ts';
import type { Kernel } from '../../sim/kernel/kernel.ts';
import type { Stateful } from '../../sim/machine/journal.ts';
import { MOVABLE } from '../../sim/machine/pageblock.ts';
import { runs } from '../support/seed.ts';
import { bareKernel, MIB } from '../support/system.ts';

const FOLIO = definePoint('page_cache_test', 'folio', 'fault');
const FILES = 3;

class Inodes implements Mapping, Stateful {
  #firsts: number[] = [0, 0, 0];
  #orders: number[] = [0, 0, 0];
  first = (file: number): number => this.#firsts[file] as number;
  orders = (file: number): number => this.#orders[file] as number;
  number = (file: number): number => file;
  setFirst(file: number, link: number): void {
    this.#firsts[file] = link;
  }
  setOrders(file: number, orders: number): void {
    this.#orders[file] = orders;
  }
  all(): number[] {
    return [0, 1, 2].filter((file) => this.first(file) !== 0);
  }
  capture(): unknown {
    return [this.#firsts.slice(), this.#orders.slice()];
  }
  reinstate(state: unknown): void {
    [this.#firsts, this.#orders] = (state as [number[], number[]]).map((all) => all.slice()) as [
      number[],
      number[],
    ];
  }
}

interface World {
  readonly kernel: Kernel;
  readonly cache: PageCache;
  readonly inodes: Inodes;
}

function makeWorld(): World {
  const kernel = bareKernel({ ramBytes: 64 * MIB });
  const inodes = new Inodes();
  kernel.machine.journal.enlist(inodes);
  return { kernel, inodes, cache: new PageCache(kernel, inodes) };
}

function put({ kernel, cache }: World, file: number, index: number, order: number, flags: number): Pfn {
  const folio = kernel.pages.alloc(orderOf(order), cache.owner, FOLIO, { type: MOVABLE });
  if (folio === -1) expect.fail('there is no memory');
  cache.add(file, index, folio, flags);
  return folio;
}

function take({ kernel, cache }: World, file: number, folio: Pfn): void {
  cache.remove(file, folio);
  kernel.pages.put(folio);
}

interface Known {
  readonly file: number;
  readonly index: number;
  readonly order: number;
  readonly folio: Pfn;
  readonly flags: number;
}

/** Where folios lie: at the beginning, and on both sides of what 31, 32 and 33 bits hold. */
const PLACES = [0, 2 ** 31 - 2048, 2 ** 32 - 2048, 2 ** 32 + 2 ** 31, 2 ** 33 - 2048] as const;

const step = fc.record({
  what: fc.constantFrom('add', 'add', 'add', 'remove', 'flag', 'pin', 'mark', 'rollback'),
  file: fc.nat(FILES - 1),
  place: fc.constantFrom(...PLACES),
  order: fc.constantFrom(0, 0, 0, 1, 2, 9, 10),
  at: fc.nat(2047),
  n: fc.integer({ min: 1, max: 300 }),
  flags: fc.constantFrom(0, DIRTY, UPTODATE, DIRTY | UPTODATE),
});

const covers = ({ index, order }: Known, page: number): boolean => page >= index && page < index + 2 ** order;

function expectKnown({ cache, kernel }: World, known: readonly Known[], at: number): void {
  expect(cache.folios).toBe(known.length);
  for (let file = 0; file < FILES; file++) {
    const own = known.filter((folio) => folio.file === file);
    expect([...cache.of(file)].sort()).toEqual(own.map(({ folio }) => folio).sort());
    for (const place of PLACES) {
      for (const page of [0, 1, at, at + 1, at + 511].map((i) => place + i)) {
        const there = own.find((folio) => covers(folio, page))?.folio ?? -1;
        if (cache.find(file, page) !== there)
          expect([file, page, cache.find(file, page)]).toEqual([file, page, there]);
      }
    }
  }
  for (const { folio, index, order, flags } of known) {
    const has = [DIRTY, UPTODATE, PINNED].filter((flag) => cache.has(folio, flag)).reduce((x, y) => x + y, 0);
    const found = [cache.index(folio), cache.order(folio), has, kernel.frames.refcount(folio)];
    const wanted = [index, order, flags, (flags & PINNED) === 0 ? 1 : 2];
    if (found.join() !== wanted.join()) expect([folio, ...found]).toEqual([folio, ...wanted]);
  }
}

it('a page is found in its folio, and a folio is what it was put in as', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const world = makeWorld();
      const { cache, kernel } = world;
      const { journal } = kernel.machine;
      let known: Known[] = [];
      const marks: [ReturnType<typeof journal.mark>, Known[]][] = [];
      for (const { what, file, place, order, at, n, flags } of steps) {
        if (what === 'add') {
          for (let k = 0; k < (order > 2 ? 1 : n); k++) {
            const index = place + Math.floor((at + k * 2 ** order) / 2 ** order) * 2 ** order;
            const end = index + 2 ** order;
            if (
              known.some((one) => one.file === file && one.index < end && index < one.index + 2 ** one.order)
            )
              continue;
            known.push({ file, index, order, flags, folio: put(world, file, index, order, flags) });
          }
        } else if (what === 'remove') {
          for (const { file: of, folio } of known.splice(at % (known.length + 1), n)) {
            if (cache.has(folio, PINNED)) cache.unpin(folio);
            take(world, of, folio);
          }
        } else if (what === 'flag') {
          known = known.map((one, i) => {
            if (i % 3 === 0) return one;
            if (i % 3 === 1) cache.mark(one.folio, flags);
            else cache.unmark(one.folio, flags);
            return { ...one, flags: i % 3 === 1 ? one.flags | flags : one.flags & ~flags };
          });
        } else if (what === 'pin') {
          known = known.map((one, i) => {
            if (i % 2 === 0) return one;
            if ((one.flags & PINNED) === 0) cache.pin(one.folio);
            else cache.unpin(one.folio);
            const owner = kernel.frames.ownerOf(one.folio);
            expect(owner).toBe((one.flags & PINNED) === 0 ? cache.pinnedOwner : cache.owner);
            return { ...one, flags: one.flags ^ PINNED };
          });
        } else if (what === 'mark' && marks.length < 2) {
          marks.push([journal.mark(), known.slice()]);
        } else if (what === 'rollback' && marks.length > 0) {
          const [mark, then] = marks.at(-1) as (typeof marks)[number];
          journal.rollback(mark);
          known = then.slice();
        }
        expectKnown(world, known, at);
      }
    }),
    { numRuns: runs(30) },
  );
});

it('a folio takes the row of the one that went last, and nothing of what stood there', () => {
  const world = makeWorld();
  const { kernel, cache } = world;
  const rowOf = (folio: Pfn): number => kernel.frames.instance(folio);
  const add = (index: number): Pfn => put(world, 0, index, 0, 0);
  const [a, b, c] = [1, 2, 3].map((page) => put(world, 0, 2 ** 32 + page, 0, DIRTY | PINNED)) as [
    Pfn,
    Pfn,
    Pfn,
  ];
  const rows = [a, b, c].map(rowOf) as [number, number, number];
  expect(new Set(rows).size).toBe(3);
  take(world, 0, a);
  take(world, 0, c);
  const mark = kernel.machine.journal.mark();
  for (const _ of ['once', 'again']) {
    const [d, e, f] = [add(4), add(5), add(6)] as [Pfn, Pfn, Pfn];
    expect([rowOf(d), rowOf(e)]).toEqual([rows[2], rows[0]]);
    expect(rowOf(f)).toBe(Math.max(...rows) + 1);
    expect([d, e, f].map((folio) => cache.index(folio))).toEqual([4, 5, 6]);
    expect([d, e, f].some((folio) => cache.has(folio, DIRTY | PINNED))).toBe(false);
    take(world, 0, b);
    expect(rowOf(add(7))).toBe(rows[1]);
    kernel.machine.journal.rollback(mark);
  }
});

it('pages are found after the table has grown under a mark, however often that is taken back', () => {
  const world = makeWorld();
  const { kernel, cache } = world;
  const { journal } = kernel.machine;
  const folios: Pfn[] = [];
  const more = (n: number): void => {
    for (; n > 0; n--) folios.push(put(world, 0, folios.length, 0, 0));
  };
  const found = (): number[] => folios.map((_, page) => cache.find(0, page));
  for (const kept of [400, 60, 80, 450]) {
    more(kept);
    const mark = journal.mark();
    for (const _ of [1, 2]) {
      const { length } = folios;
      more(600);
      expect(found()).toEqual(folios);
      journal.rollback(mark);
      folios.length = length;
      expect(found()).toEqual(folios);
    }
    journal.forget();
  }
});

it('a folio in the row of one that stood behind another stands first, and can go', () => {
  const world = makeWorld();
  const add = (index: number): Pfn => put(world, 0, index, 0, 0);
  const [behind, first] = [add(1), add(2)];
  take(world, 0, behind);
  take(world, 0, add(3));
  take(world, 0, add(3));
  expect([...world.cache.of(0)]).toEqual([first]);
});

it('a folio is not found once it was taken out, though it is still referenced or its frame is another’s', () => {
  const world = makeWorld();
  const { cache, kernel } = world;
  const { frames, pages } = kernel;
  const kept = put(world, 0, 0, 0, 0);
  const gone = put(world, 0, 1, 0, 0);
  const row = frames.instance(gone);
  cache.remove(0, kept);
  take(world, 0, gone);
  world.inodes.setOrders(0, 1);
  expect(cache.find(0, 0)).toBe(-1);
  let frame: Pfn | -1 = -1;
  while (frame !== gone) frame = pages.alloc(orderOf(0), frames.owner('another'), FOLIO, { type: MOVABLE });
  frames.setInstance(gone, row);
  expect(cache.find(0, 1)).toBe(-1);
});

it('a page is not found in other files, however many share the table', () => {
  const world = makeWorld();
  world.inodes.setOrders(1, 1);
  for (let page = 0; page < 1100; page++) {
    put(world, 0, page, 0, 0);
    expect(world.cache.find(1, page)).toBe(-1);
  }
  for (let file = 1; file < 50; file++) {
    world.inodes.setOrders(file, 1);
    for (let page = 0; page < 1100; page++) {
      if (world.cache.find(file, page) !== -1) expect.fail(`file ${file} has page ${page}`);
    }
  }
});
