import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../sim/base/errno.ts';
import { definePoint } from '../../sim/base/point.ts';
import type { Order, Pfn, Phys } from '../../sim/base/units.ts';
import { ZEROED } from '../../sim/kernel/mm.ts';
import {
  bitmapIndex,
  EndlessWalk,
  RadixTracker,
  radixBlock,
  radixKey,
  tableIndex,
  walkRadixTree,
} from '../../sim/kho/radix.ts';
import { PageFault } from '../../sim/machine/page_fault.ts';
import { bareKernel } from '../support/system.ts';
import {
  arbitraryBlock,
  arbitraryBlocks,
  failureLaw,
  nodesLaw,
  pagesInUse,
  rollbackLaw,
  setLaw,
  type TrackerUnderTest,
  type WalkOrder,
  walked,
  walkStopsLaw,
} from './tracker.laws.ts';

const ROOT = definePoint('test', 'radix root', 'fault');
const NODE_POINT = 'kho_radix_add_page:node';
const frame = (n: number): Pfn => n as Pfn;
const order = (n: number): Order => n as Order;

/** Ascending keys: larger orders first, then by address. */
const BY_KEY: WalkOrder = (x, y) => y.order - x.order || x.frame - y.frame;

function makeTracker(nth?: number): TrackerUnderTest<RadixTracker> {
  const faults = nth === undefined ? [] : [{ point: NODE_POINT, nth }];
  const kernel = bareKernel({ faults });
  const root = kernel.pages.alloc(order(0), kernel.frames.owner('test'), ROOT, ZEROED);
  return { kernel, tracker: new RadixTracker(kernel, root as Pfn) };
}

describe('keys', () => {
  it('decode to what was encoded, over all of 1 TiB and orders up to 18', () => {
    fc.assert(
      fc.property(arbitraryBlock, (block) => {
        expect(radixBlock(radixKey(block.frame, block.order))).toEqual(block);
      }),
    );
  });

  // Worked by hand from the key's definition: phys, order, key, [L5, L4, L3, L2, L1, bit].
  it.each([
    [0x1000, 0, 0x10000000000001, [2, 0, 0, 0, 0, 1]],
    [0x100000, 0, 0x10000000000100, [2, 0, 0, 0, 0, 256]],
    [0x40000000, 0, 0x10000000040000, [2, 0, 0, 0, 8, 0]],
    [0x40000000, 1, 0x8000000020000, [1, 0, 0, 0, 4, 0]],
    [0x40000000, 4, 0x1000000004000, [0, 64, 0, 0, 0, 16384]],
    [0x40200000, 9, 0x80000000201, [0, 2, 0, 0, 0, 513]],
    [0x123456000, 0, 0x10000000123456, [2, 0, 0, 0, 36, 13398]],
    [0x400000000, 10, 0x40000001000, [0, 1, 0, 0, 0, 4096]],
  ])('of 0x%s order %i', (address, o, key, indices) => {
    expect(radixKey(frame(address / 4096), order(o))).toBe(key);
    const found = [5, 4, 3, 2, 1].map((level) => tableIndex(key, level));
    expect([...found, bitmapIndex(key)]).toEqual(indices);
  });
});

describe('the radix tracker', () => {
  it('is a set of blocks, walked larger orders first', () => setLaw(makeTracker, BY_KEY));
  it('stops a walk at the first answer', () => walkStopsLaw(makeTracker));
  it('owns the frames it names', () => nodesLaw(makeTracker));
  it('rolls back', () => rollbackLaw(makeTracker));
  it('undoes what runs out of memory', () => failureLaw(makeTracker, [NODE_POINT]));

  it('is walked in strictly ascending keys', () => {
    fc.assert(
      fc.property(arbitraryBlocks, (blocks) => {
        const { tracker } = makeTracker();
        for (const block of blocks) tracker.add(block.frame, block.order);
        const keys = walked((visit) => tracker.walk(visit)).map((block) =>
          radixKey(block.frame, block.order),
        );
        expect(keys).toHaveLength(blocks.length);
        for (let i = 1; i < keys.length; i++) expect(keys[i]).toBeGreaterThan(keys[i - 1] as number);
      }),
      { numRuns: 30 },
    );
  });

  it('undoes an addition that runs out of pages, at each of its five allocations', () => {
    for (let nth = 0; nth < 5; nth++) {
      const clean = makeTracker();
      const faulty = makeTracker(nth);
      const before = pagesInUse(faulty.kernel);
      expect(faulty.tracker.add(frame(0x123), order(0))).toBe(-ERRNO.ENOMEM);
      expect(pagesInUse(faulty.kernel)).toBe(before);
      expect(faulty.tracker.nodes()).toHaveLength(1);
      expect(faulty.tracker.has(frame(0x123), order(0))).toBe(false);
      // Tried again it does what a first attempt does.
      expect(faulty.tracker.add(frame(0x123), order(0))).toBe(0);
      expect(clean.tracker.add(frame(0x123), order(0))).toBe(0);
      expect(faulty.tracker.nodes()).toHaveLength(clean.tracker.nodes().length);
    }
  });

  it('warns of a key whose tables are missing, and is silent about a clear bit', () => {
    const { kernel, tracker } = makeTracker();
    tracker.del(frame(0x5), order(0));
    expect(kernel.log.warnings).toBe(1);
    tracker.add(frame(0x5), order(0));
    tracker.del(frame(0x6), order(0));
    expect(kernel.log.warnings).toBe(1);
  });
});

describe('a tree from a corrupted handover', () => {
  const kernel = bareKernel();
  const { ram } = kernel.machine;
  const page = (): Pfn => kernel.pages.alloc(order(0), kernel.frames.owner('test'), ROOT, ZEROED) as Pfn;

  it('that points at itself is walked for no longer than memory has frames', () => {
    const root = (page() * 4096) as Phys;
    for (let slot = 0; slot < 512; slot++) ram.store64(root + slot * 8, root);
    expect(() => walkRadixTree(ram, root, () => 0)).toThrow(EndlessWalk);
  });

  it('that points outside memory faults', () => {
    const root = (page() * 4096) as Phys;
    ram.store64(root, 2 ** 45);
    expect(() => walkRadixTree(ram, root, () => 0)).toThrow(PageFault);
  });

  it('with key 0 decodes it as the kernel does', () => {
    expect(radixBlock(0)).toEqual({ frame: 0, order: 53 });
  });
});
