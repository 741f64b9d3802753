/*
 * The page allocator: every frame is in one place, blocks merge as far as they can, types keep apart, and the
 * addresses are those of a plain implementation of the kernel's lists.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BadFree } from '../../sim/machine/buddy.ts';
import { NO_FRAME } from '../../sim/machine/frames.ts';
import { CMA, MOVABLE, UNMOVABLE } from '../../sim/machine/pageblock.ts';
import {
  ALLOCATED,
  cmaRanges,
  faultsOf,
  freeBlocks,
  freeSet,
  makeWorld,
  nodesOf,
  order,
  pfn,
  RESERVED,
  type Shape,
  shape,
  tight,
  type World,
} from './buddy_world.ts';
import { NaiveBuddy } from './naive_buddy.ts';

/** Three numbers that a test reads as an operation and its operands. */
const ops = (n: number) =>
  fc.array(fc.tuple(fc.nat(999), fc.nat(999), fc.nat(999)), { maxLength: n, size: 'max' });

const ORDERS = [0, 0, 0, 1, 2, 3, 4, 6, 8, 9, 10] as const;
/** Orders that fill a few pageblocks within a test, so that types fall back to one another. */
const TIGHT_ORDERS = [8, 7, 7, 6, 6, 5, 4, 9, 0] as const;
const orderFrom = (n: number): number => ORDERS[n % ORDERS.length] as number;

/** Cuts [0, frames) at the given places and drops some of the pieces: ascending ranges, and what is left over. */
function ranges(frames: number, cuts: readonly number[], keep: readonly boolean[]): [number, number][] {
  const edges = [...new Set([0, ...cuts.map((c) => c % frames), frames])].sort((a, b) => a - b);
  const pieces = edges.slice(1).map((end, i): [number, number] => [edges[i] as number, end]);
  return pieces.filter((_, i) => keep[i % (keep.length || 1)] ?? true);
}

const cuts = fc.array(fc.nat(4095), { maxLength: 8 });
const keep = fc.array(fc.boolean(), { maxLength: 5 });

/** Applies random operations and keeps the books. */
class Books {
  readonly world: World;
  readonly use: Uint8Array;
  readonly heads = new Map<number, number>();
  readonly bad: BadFree[] = [];

  constructor(s: Shape, handedOver: readonly [number, number][]) {
    this.world = makeWorld(s);
    this.use = new Uint8Array(s.frames).fill(RESERVED);
    for (const [start, end] of handedOver) {
      this.world.buddy.freeRange(pfn(start), pfn(end));
      this.use.fill(0, start, end);
    }
    this.world.buddy.onBadFree = (what) => this.bad.push(what);
  }

  step([a, b, c]: readonly [number, number, number]): void {
    const what = a % 10;
    if (what < 5) this.alloc(orderFrom(b), c);
    else if (what < 8) this.free(b);
    else if (what === 8) this.adopt(b * 8 + c, orderFrom(c));
    else this.split(b);
  }

  alloc(o: number, c: number): void {
    const { buddy, owner, nodes } = this.world;
    const type = c % 2 === 0 ? UNMOVABLE : MOVABLE;
    const node = c % nodes.length;
    const before = freeBlocks(buddy);
    const fits = (n: number): boolean =>
      before.some((f) => f.order >= o && f.node === n && (type === MOVABLE || f.type !== CMA));
    const wanted = nodes.map((_, i) => (node + i) % nodes.length).find(fits);
    const at = buddy.alloc(order(o), type, node, owner);
    expect(at === NO_FRAME).toBe(wanted === undefined);
    if (at === NO_FRAME) return;
    expect(buddy.nodeOf(at)).toBe(wanted);
    expect(at % 2 ** o).toBe(0);
    expect(this.use.subarray(at, at + 2 ** o).every((u) => u === 0)).toBe(true);
    if (type === UNMOVABLE) {
      for (let p = at as number; p < at + 2 ** o; p += 512) expect(buddy.typeOf(pfn(p))).not.toBe(CMA);
    }
    expect(this.world.frames.refcount(at)).toBe(1);
    expect(this.world.frames.ownerOf(at)).toBe(owner);
    this.use.fill(ALLOCATED, at, at + 2 ** o);
    this.heads.set(at, o);
  }

  free(b: number): void {
    const head = [...this.heads.keys()][b % (this.heads.size || 1)];
    if (head === undefined) return;
    const o = this.heads.get(head) as number;
    expect(this.world.buddy.free(pfn(head), order(o))).toBe(true);
    this.use.fill(0, head, head + 2 ** o);
    this.heads.delete(head);
  }

  adopt(b: number, o: number): void {
    const at = (b - (b % 2 ** o)) % this.use.length;
    if (at % 2 ** o !== 0 || at + 2 ** o > this.use.length) return;
    const { buddy, owner } = this.world;
    const mayAdopt = this.use.subarray(at, at + 2 ** o).every((u) => u === RESERVED);
    expect(buddy.adopt(pfn(at), order(o), owner)).toBe(mayAdopt);
    if (!mayAdopt) return;
    this.use.fill(ALLOCATED, at, at + 2 ** o);
    this.heads.set(at, o);
  }

  split(b: number): void {
    const head = [...this.heads.keys()][b % (this.heads.size || 1)];
    if (head === undefined) return;
    const o = this.heads.get(head) as number;
    this.world.buddy.split(pfn(head), order(o));
    let references = 0;
    for (let p = head; p < head + 2 ** o; p++) {
      this.heads.set(p, 0);
      references += this.world.frames.refcount(pfn(p));
    }
    expect(references).toBe(2 ** o);
  }

  freeEverything(): void {
    for (const [head, o] of this.heads) {
      this.world.buddy.free(pfn(head), order(o));
      this.use.fill(0, head, head + 2 ** o);
    }
    this.heads.clear();
    expect(this.bad).toEqual([]);
  }

  check(): void {
    expect(faultsOf(this.world, this.use, this.heads)).toEqual([]);
    expect(this.bad).toEqual([]);
  }
}

describe('laws', () => {
  test('every frame is free, allocated or reserved, and counted so', () => {
    fc.assert(
      fc.property(shape, cuts, keep, ops(40), (s, at, kept, steps) => {
        const books = new Books(s, ranges(s.frames, at, kept));
        books.check();
        for (const [i, step] of steps.entries()) {
          books.step(step);
          if (i % 8 === 0) books.check();
        }
        books.check();
        for (let p = 0; p < s.frames; p += 37) {
          const is = ['free', 'allocated', 'reserved'][books.use[p] as number];
          expect(books.world.buddy.useOf(pfn(p))).toBe(is);
          expect(books.world.buddy.isFree(pfn(p))).toBe(is === 'free');
        }
      }),
      { numRuns: 40 },
    );
  });

  test('what is free does not depend on how it was handed over', () => {
    fc.assert(
      fc.property(shape, cuts, cuts, keep, fc.nat(), (s, at, otherCuts, kept, turn) => {
        const whole = ranges(s.frames, at, kept);
        const inPieces = whole.flatMap(([start, end]) =>
          ranges(end - start, otherCuts, [true]).map(([x, y]): [number, number] => [start + x, start + y]),
        );
        const pivot = turn % (inPieces.length || 1);
        const turned = [...inPieces.slice(pivot), ...inPieces.slice(0, pivot).reverse()];
        const sets = [whole, inPieces, turned].map((pieces) => {
          const books = new Books(s, pieces);
          books.check();
          return freeSet(books.world.buddy);
        });
        expect(sets[1]).toEqual(sets[0]);
        expect(sets[2]).toEqual(sets[0]);
      }),
      { numRuns: 40 },
    );
  });

  test('freeing everything merges everything', () => {
    fc.assert(
      fc.property(shape, cuts, keep, ops(60), (s, at, kept, steps) => {
        const books = new Books(s, ranges(s.frames, at, kept));
        for (const step of steps) books.step(step);
        books.freeEverything();
        books.check();
        const fresh = new Books(s, ranges(s.frames, at, kept));
        for (let p = 0; p < s.frames; p++) {
          if (books.use[p] !== 0 || fresh.use[p] === 0) continue;
          fresh.world.buddy.freeRange(pfn(p), pfn(p + 1));
        }
        expect(freeSet(books.world.buddy)).toEqual(freeSet(fresh.world.buddy));
      }),
      { numRuns: 40 },
    );
  });

  test('the addresses are those of plain lists', () => {
    fc.assert(
      fc.property(fc.oneof(shape, tight), cuts, keep, ops(150), (s, at, kept, steps) => {
        const orders = s.frames > 2048 ? ORDERS : TIGHT_ORDERS;
        const { buddy, owner } = makeWorld(s);
        const naive = new NaiveBuddy(s.frames, nodesOf(s));
        for (const [start, end] of cmaRanges(s)) {
          for (let p = start; p < end; p += 512) naive.types[p >> 9] = CMA;
        }
        for (const [start, end] of ranges(s.frames, at, kept)) {
          buddy.freeRange(pfn(start), pfn(end));
          naive.freeRange(start, end);
        }
        const live: (readonly [number, number])[] = [];
        for (const [a, b, c] of steps) {
          if (a % 5 < 3) {
            const o = orders[b % orders.length] as number;
            const type = c % 3 === 0 ? UNMOVABLE : MOVABLE;
            const got = buddy.alloc(order(o), type, c % buddy.nrNodes, owner);
            expect(got).toBe(naive.alloc(o, type, c % buddy.nrNodes));
            if (got !== NO_FRAME) live.push([got, o]);
          } else if (live.length > 0) {
            const [[head, o]] = live.splice(b % live.length, 1) as [readonly [number, number]];
            buddy.free(pfn(head), order(o));
            naive.free(head);
          }
        }
        const lists = new Map<string, number[]>();
        for (const { node, type, order: o, start } of freeBlocks(buddy)) {
          const key = `${node}/${type}/${o}`;
          lists.set(key, [...(lists.get(key) ?? []), start]);
        }
        for (const [key, list] of naive.lists) expect([key, lists.get(key) ?? []]).toEqual([key, list]);
        for (const [block, type] of naive.types.entries()) expect(buddy.typeOf(pfn(block * 512))).toBe(type);
      }),
      { numRuns: 120 },
    );
  });

  test('a bad free is reported and changes nothing', () => {
    fc.assert(
      fc.property(
        shape,
        cuts,
        keep,
        ops(30),
        fc.nat(8191),
        fc.integer({ min: 0, max: 10 }),
        (s, at, kept, steps, p, o) => {
          const books = new Books(s, ranges(s.frames, at, kept));
          for (const step of steps) books.step(step);
          const { buddy } = books.world;
          const frame = p % s.frames;
          const before = freeBlocks(buddy);
          if (books.heads.get(frame) === o) return;
          const expected: BadFree = books.heads.has(frame)
            ? 'wrong order'
            : ((['double free', 'not the head', 'reserved'] as const)[books.use[frame] as number] as BadFree);
          expect(buddy.free(pfn(frame), order(o))).toBe(false);
          expect(books.bad.splice(0)).toEqual([expected]);
          if (!books.heads.has(frame)) {
            expect(buddy.put(pfn(frame))).toBe(-1);
            expect(books.bad.splice(0)).toEqual([expected]);
          }
          expect(freeBlocks(buddy)).toEqual(before);
          books.check();
        },
      ),
      { numRuns: 40 },
    );
  });

  test('a rollback restores lists, types, counts and frames', () => {
    fc.assert(
      fc.property(shape, cuts, keep, ops(30), ops(30), (s, at, kept, first, second) => {
        const books = new Books(s, ranges(s.frames, at, kept));
        const { buddy, frames, storage } = books.world;
        const look = (): unknown => [
          [...buddy.freeRuns()],
          buddy.managed,
          Array.from(
            { length: s.frames },
            (_, p) => `${frames.state(pfn(p))}/${frames.refcount(pfn(p))}`,
          ).join(),
          Array.from({ length: s.frames / 512 }, (_, b) => buddy.typeOf(pfn(b * 512))),
        ];
        for (const step of first) books.step(step);
        const before = look();
        const use = books.use.slice();
        const heads = new Map(books.heads);
        const mark = storage.journal.mark();
        for (let again = 0; again < 2; again++) {
          for (const step of second) books.step(step);
          storage.journal.rollback(mark);
          expect(look()).toEqual(before);
          books.use.set(use);
          books.heads.clear();
          for (const [head, o] of heads) books.heads.set(head, o);
          books.check();
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe('a terabyte', () => {
  const FRAMES = 2 ** 28;

  test('costs what is touched', () => {
    const world = makeWorld({ frames: FRAMES, boundaries: [FRAMES / 2], cma: [] });
    const { buddy, storage, owner } = world;
    buddy.setPageblocks(pfn(0), pfn(2 ** 18), CMA);
    buddy.setPageblocks(pfn(FRAMES / 2), pfn(FRAMES / 2 + 2 ** 18), CMA);
    const mark = storage.journal.mark();
    buddy.freeRange(pfn(1000), pfn(FRAMES - 777));
    expect(buddy.nrFree).toBe(FRAMES - 1777);
    expect(storage.pool.taken * 64).toBeLessThan(1024);
    const at = buddy.alloc(order(10), UNMOVABLE, 1, owner);
    expect(at).toBe(FRAMES / 2 + 2 ** 18);
    expect(buddy.useOf(pfn(FRAMES - 5000))).toBe('free');
    expect(buddy.useOf(pfn(FRAMES - 1))).toBe('reserved');
    storage.journal.rollback(mark);
    expect(buddy.nrFree).toBe(0);
    expect(freeBlocks(buddy)).toEqual([]);
    expect(buddy.useOf(at)).toBe('reserved');
  });

  test('takes a preserved block larger than the allocator has', () => {
    const { buddy, frames, owner } = makeWorld({ frames: FRAMES, boundaries: [], cma: [] });
    const at = pfn(2 ** 20);
    frames.setStamp(at, 18);
    expect(buddy.adopt(at, order(18), owner)).toBe(true);
    expect(buddy.blockOf(pfn(at + 2 ** 18 - 1))).toBe(at);
    expect(buddy.free(at, order(18))).toBe(true);
    expect(freeBlocks(buddy).map((b) => b.order)).toEqual(new Array(256).fill(10));
    expect(buddy.adopt(at, order(18), owner)).toBe(false);
  });
});
