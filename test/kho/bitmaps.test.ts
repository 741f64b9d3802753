import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Fault } from '../../sim/base/decisions.ts';
import { ERRNO } from '../../sim/base/errno.ts';
import { type Order, type Pfn, pfnOf, physOf } from '../../sim/base/units.ts';
import { KHOSER_BITMAP_SIZE, KHOSER_MEM_CHUNK } from '../../sim/kho/abi.ts';
import { walkBitmapChunks } from '../../sim/kho/bitmap_chunks.ts';
import { BitmapTracker } from '../../sim/kho/bitmaps.ts';
import type { Ram } from '../../sim/machine/ram.ts';
import { runs } from '../support/seed.ts';
import { bareKernel, type TestMachine } from '../support/system.ts';
import {
  applyChanges,
  arbitraryBlocks,
  arbitraryChanges,
  type Block,
  failureLaw,
  keyOf,
  nodesLaw,
  pagesInUse,
  rollbackLaw,
  setLaw,
  type TrackerUnderTest,
  type WalkOrder,
  walked,
  walkStopsLaw,
} from './tracker.laws.ts';

const BITS = 32768;
const { next: NEXT, order: ORDER, num_elms: NUM_ELMS } = KHOSER_MEM_CHUNK.at;
const frame = (n: number): Pfn => n as Pfn;
const order = (n: number): Order => n as Order;

/** Smaller orders first, then by address. */
const BY_LIST: WalkOrder = (x, y) => x.order - y.order || x.frame - y.frame;

/** Where an addition allocates. */
const ADD_POINTS = ['__kho_preserve_order:order', 'xa_load_or_alloc:bitmap', 'xa_load_or_alloc:node'];

type Bitmaps = TrackerUnderTest<BitmapTracker>;

function makeTracker(test: TestMachine = {}, inScratch?: (page: Pfn) => boolean): Bitmaps {
  const kernel = bareKernel(test);
  return { kernel, tracker: new BitmapTracker(kernel, inScratch) };
}

const withFaults = (...faults: Fault[]): Bitmaps => makeTracker({ faults });
const ramOf = ({ kernel }: Bitmaps): Ram => kernel.machine.ram;

/** What the next kernel would find. */
const handedOver = (test: Bitmaps): Block[] =>
  walked((visit) => walkBitmapChunks(ramOf(test), test.tracker.mapPhys, visit));

const ownWalk = ({ tracker }: Bitmaps): Block[] => walked((visit) => tracker.walk(visit));

/** Pages of the handed-over list in the order of reading. */
function pagesRead(test: Bitmaps): Pfn[] {
  const pages: Pfn[] = [];
  walkBitmapChunks(
    ramOf(test),
    test.tracker.mapPhys,
    () => 0,
    (page) => pages.push(page),
  );
  return pages;
}

/** The list as {order, number of entries} per chunk. */
function chunksOf(test: Bitmaps): { order: number; entries: number }[] {
  const ram = ramOf(test);
  const chunks: { order: number; entries: number }[] = [];
  for (let at: number = test.tracker.mapPhys; at !== 0; at = ram.load64(at + NEXT)) {
    chunks.push({ order: ram.load32(at + ORDER), entries: ram.load32(at + NUM_ELMS) });
  }
  return chunks;
}

/** Adds `n` blocks of an order, each in a bitmap of its own. */
function fillBitmaps({ tracker }: Bitmaps, n: number, o: number): void {
  for (let i = 0; i < n; i++) expect(tracker.add(frame(i * BITS * 2 ** o), order(o))).toBe(0);
}

describe('the bitmap tracker', () => {
  it('is a set of blocks, walked smaller orders first', () => setLaw(makeTracker, BY_LIST));
  it('stops a walk at the first answer', () => walkStopsLaw(makeTracker));
  it('owns the frames it names', () => nodesLaw(makeTracker));
  it('undoes what runs out of memory', () => failureLaw(makeTracker, ADD_POINTS));
  it('rolls back', () =>
    rollbackLaw(makeTracker, (tracker) => expect((tracker as BitmapTracker).finalize()).toBe(0)));

  it('puts bit b of bitmap n where the block at (32768 n + b) << order is', () => {
    const test = makeTracker();
    // Frame 0x12345 at order 0: bitmap 2, bit 0x2345, in word 0x11a at bit 5.
    test.tracker.add(frame(0x12345), order(0));
    const [bitmap] = test.tracker.nodes() as [Pfn];
    const at = physOf(bitmap) + 4 * 0x11a;
    expect(ramOf(test).load32(at)).toBe(1 << 5);
    test.tracker.del(frame(0x12345), order(0));
    expect(ramOf(test).load32(at)).toBe(0);
  });

  it('allocates a page for every 128 MiB << order that holds a block', () => {
    const test = makeTracker();
    for (const [f, o] of [
      [0, 0],
      [BITS - 1, 0],
      [BITS, 0],
      [0, 9],
      [(BITS - 1) * 512, 9],
      [BITS * 512, 9],
    ] as const) {
      test.tracker.add(frame(f), order(o));
    }
    expect(test.tracker.nodes()).toHaveLength(4);
  });

  it('warns once of a key whose bitmap is missing, and is silent about a clear bit', () => {
    const { kernel, tracker } = makeTracker();
    tracker.del(frame(5), order(0));
    tracker.del(frame(5), order(0));
    expect(kernel.log.warnings).toBe(1);
    tracker.add(frame(5), order(0));
    tracker.del(frame(6), order(0));
    expect(kernel.log.warnings).toBe(1);
    // The second WARN_ON_ONCE: the order is there, the bitmap is not.
    tracker.del(frame(BITS), order(0));
    tracker.del(frame(2 * BITS), order(0));
    expect(kernel.log.warnings).toBe(2);
    expect(walked((visit) => tracker.walk(visit))).toEqual([{ frame: 5, order: 0 }]);
  });
});

describe('an addition that runs out of memory', () => {
  it.each(ADD_POINTS)('at %s is undone, and works when tried again', (point) => {
    const test = withFaults({ point, nth: 0 });
    const before = pagesInUse(test.kernel);
    expect(test.tracker.add(frame(0x123), order(3))).toBe(-ERRNO.ENOMEM);
    expect(pagesInUse(test.kernel)).toBe(before);
    expect(test.tracker.nodes()).toEqual([]);
    expect(test.tracker.has(frame(0x120), order(3))).toBe(false);
    expect(test.tracker.add(frame(0x120), order(3))).toBe(0);
    expect(ownWalk(test)).toEqual([{ frame: 0x120, order: 3 }]);
  });

  it.each([0, 1])('for slab pages (%i) is undone', (nth) => {
    const test = withFaults({ point: 'kmem_cache_alloc:pages', nth });
    const before = pagesInUse(test.kernel);
    expect(test.tracker.add(frame(0x120), order(3))).toBe(-ERRNO.ENOMEM);
    expect(pagesInUse(test.kernel)).toBe(before);
    expect(test.tracker.add(frame(0x120), order(3))).toBe(0);
  });

  it('keeps the order without a bitmap, and lists it as an empty chunk', () => {
    const test = withFaults({ point: 'xa_load_or_alloc:bitmap', nth: 1 });
    test.tracker.add(frame(7), order(0));
    expect(test.tracker.add(frame(0), order(4))).toBe(-ERRNO.ENOMEM);
    expect(test.tracker.finalize()).toBe(0);
    expect(chunksOf(test)).toEqual([
      { order: 0, entries: 1 },
      { order: 4, entries: 0 },
    ]);
    expect(handedOver(test)).toEqual([{ frame: 7, order: 0 }]);
    expect(test.kernel.log.warnings).toBe(0);
  });
});

describe('a page of the tracker in scratch', () => {
  it('is refused with a warning, as a bitmap and as a chunk', () => {
    let inScratch = true;
    const test = makeTracker({}, () => inScratch);
    const before = pagesInUse(test.kernel);
    expect(test.tracker.add(frame(1), order(0))).toBe(-ERRNO.EINVAL);
    expect(pagesInUse(test.kernel)).toBe(before);
    inScratch = false;
    expect(test.tracker.add(frame(1), order(0))).toBe(0);
    inScratch = true;
    expect(test.tracker.finalize()).toBe(-ERRNO.EINVAL);
    expect(test.tracker.mapPhys).toBe(0);
    expect(pagesInUse(test.kernel)).toBe(before + 1);
    expect(test.kernel.log.warnings).toBe(2);
  });
});

describe('finalize', () => {
  it('hands over exactly the set, in the order of the walk', () => {
    fc.assert(
      fc.property(arbitraryChanges, (changes) => {
        const test = makeTracker();
        const set = applyChanges(test.tracker, changes);
        expect(test.tracker.mapPhys).toBe(0);
        expect(test.tracker.finalize()).toBe(0);
        if (test.tracker.mapPhys === 0) {
          // Never an addition: no order, no list.
          expect(changes.every(({ add }) => !add)).toBe(true);
          return;
        }
        expect(handedOver(test)).toEqual([...set].sort(BY_LIST));
        expect(handedOver(test)).toEqual(ownWalk(test));
        const pages = pagesRead(test);
        expect(new Set(pages)).toEqual(new Set(test.tracker.nodes()));
        expect(pages).toHaveLength(test.tracker.nodes().length);
      }),
      { numRuns: runs(25) },
    );
  });

  it('run twice hands over the same and frees the first list', () => {
    fc.assert(
      fc.property(arbitraryBlocks, (blocks) => {
        const test = makeTracker();
        for (const block of blocks) test.tracker.add(block.frame, block.order);
        test.tracker.finalize();
        const first = { list: handedOver(test), chunks: chunksOf(test), pages: pagesInUse(test.kernel) };
        const oldMap = test.tracker.mapPhys;
        expect(test.tracker.finalize()).toBe(0);
        expect({ list: handedOver(test), chunks: chunksOf(test), pages: pagesInUse(test.kernel) }).toEqual(
          first,
        );
        expect(test.tracker.mapPhys).not.toBe(oldMap);
        expect(test.kernel.frames.refcount(pfnOf(oldMap))).toBe(0);
      }),
      { numRuns: 30 },
    );
  });

  it('shows later changes to listed bitmaps, and new bitmaps only when run again', () => {
    fc.assert(
      fc.property(arbitraryChanges, arbitraryChanges, (before, after) => {
        const test = makeTracker();
        test.tracker.add(frame(1), order(0));
        const known = applyChanges(test.tracker, before, [{ frame: frame(1), order: order(0) }]);
        test.tracker.finalize();
        // Where a block was ever added there is a bitmap, whether a bit is left in it or not.
        const bitmapOf = ({ frame: f, order: o }: Block): string => `${o}:${Math.floor(f / 2 ** o / BITS)}`;
        const listed = new Set(before.filter(({ add }) => add).map(bitmapOf)).add('0:0');
        const set = applyChanges(test.tracker, after, known);
        const visible = set.filter((block) => listed.has(bitmapOf(block)));
        expect(handedOver(test).map(keyOf)).toEqual(visible.sort(BY_LIST).map(keyOf));
        expect(test.tracker.finalize()).toBe(0);
        expect(handedOver(test)).toEqual([...set].sort(BY_LIST));
      }),
      { numRuns: runs(25) },
    );
  });

  it.each([0, 1, 2, 3])('that runs out of memory at chunk %i leaves the old list in place', (nth) => {
    // Three chunks the first time, which pass; order 0 then takes two of the four.
    const test = withFaults({ point: 'new_chunk:chunk', nth: 3 + nth });
    for (const o of [0, 1, 9]) test.tracker.add(frame(0), order(o));
    expect(test.tracker.finalize()).toBe(0);
    const map = test.tracker.mapPhys;
    const before = handedOver(test);
    fillBitmaps(test, KHOSER_BITMAP_SIZE + 1, 0);
    const pages = pagesInUse(test.kernel);
    expect(test.tracker.finalize()).toBe(-ERRNO.ENOMEM);
    expect(test.tracker.mapPhys).toBe(map);
    expect(handedOver(test)).toEqual(before);
    expect(pagesInUse(test.kernel)).toBe(pages);
    expect(test.tracker.finalize()).toBe(0);
    expect(handedOver(test)).toEqual(ownWalk(test));
    expect(chunksOf(test).map(({ order: o }) => o)).toEqual([0, 0, 1, 9]);
  });

  it.each([
    [1, [1]],
    [255, [255]],
    [256, [255, 1]],
    [510, [255, 255]],
    [600, [255, 255, 90]],
  ])('lists %i bitmaps of an order in chunks of %j', (n, entries) => {
    const test = makeTracker();
    fillBitmaps(test, n, 0);
    test.tracker.add(frame(512), order(9));
    expect(test.tracker.finalize()).toBe(0);
    expect(chunksOf(test)).toEqual([
      ...entries.map((e) => ({ order: 0, entries: e })),
      { order: 9, entries: 1 },
    ]);
    expect(handedOver(test)).toEqual(ownWalk(test));
    expect(handedOver(test)).toHaveLength(n + 1);
  });

  it('writes the bytes of the ABI', () => {
    const test = makeTracker();
    test.tracker.add(frame(BITS * 2), order(0));
    test.tracker.add(frame(BITS * 16 * 3), order(4));
    const [low, high] = test.tracker.nodes() as [Pfn, Pfn];
    test.tracker.finalize();
    const ram = ramOf(test);
    const first = test.tracker.mapPhys;
    const second = ram.load64(first);
    expect([ram.load32(first + 8), ram.load32(first + 12)]).toEqual([0, 1]);
    expect([ram.load64(first + 16), ram.load64(first + 24)]).toEqual([2 * 128 * 2 ** 20, physOf(low)]);
    expect([ram.load64(second), ram.load32(second + 8), ram.load32(second + 12)]).toEqual([0, 4, 1]);
    expect([ram.load64(second + 16), ram.load64(second + 24)]).toEqual([3 * 2048 * 2 ** 20, physOf(high)]);
    expect(KHOSER_BITMAP_SIZE).toBe(255);
  });

  it('of nothing has no list', () => {
    const test = makeTracker();
    expect(test.tracker.finalize()).toBe(0);
    expect(test.tracker.mapPhys).toBe(0);
  });
});
