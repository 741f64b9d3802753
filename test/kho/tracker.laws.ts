/*
 * Laws of every page tracker: it is a set of (frame, order), whatever it is made of. A tracker states the order in
 * which the next kernel meets its blocks; the set is the law, the order is checked against what it states.
 */

import fc from 'fast-check';
import { expect } from 'vitest';
import { Decisions } from '../../sim/base/decisions.ts';
import { ERRNO } from '../../sim/base/errno.ts';
import { type Order, type Pfn, pagesOf, pfnOf } from '../../sim/base/units.ts';
import type { Kernel } from '../../sim/kernel/kernel.ts';
import type { BlockVisitor, PageTracker } from '../../sim/kho/tracker.ts';

export interface Block {
  readonly frame: Pfn;
  readonly order: Order;
}

/** Negative where a walk meets the first block before the second. */
export type WalkOrder = (x: Block, y: Block) => number;

export interface TrackerUnderTest<T extends PageTracker = PageTracker> {
  readonly kernel: Kernel;
  readonly tracker: T;
}

/** A block inside a machine of 2^40 bytes. */
export const arbitraryBlock = fc
  .tuple(fc.integer({ min: 0, max: 18 }), fc.nat(), fc.boolean())
  .map(([order, n, low]): Block => {
    const blocks = 2 ** (28 - order);
    const index = low ? n % Math.min(blocks, 64) : n % blocks;
    return { frame: (index * 2 ** order) as Pfn, order: order as Order };
  });

export const keyOf = ({ frame, order }: Block): string => `${order}:${frame}`;

export const arbitraryBlocks = fc.uniqueArray(arbitraryBlock, {
  minLength: 1,
  maxLength: 20,
  selector: keyOf,
});

export interface Change extends Block {
  readonly add: boolean;
}

/** Changes to a few blocks, so that the same block comes and goes. */
export const arbitraryChanges = arbitraryBlocks.chain((blocks) =>
  fc.array(
    fc
      .record({ add: fc.boolean(), which: fc.nat(blocks.length - 1) })
      .map(({ add, which }): Change => ({ add, ...(blocks[which] as Block) })),
    { maxLength: 60 },
  ),
);

/** Applies changes and returns the set that is there afterwards. */
export function applyChanges(
  tracker: PageTracker,
  changes: readonly Change[],
  before: readonly Block[] = [],
): Block[] {
  const set = new Map(before.map((block) => [keyOf(block), block]));
  for (const { add, frame, order } of changes) {
    if (add) {
      expect(tracker.add(frame, order)).toBe(0);
      set.set(keyOf({ frame, order }), { frame, order });
    } else {
      tracker.del(frame, order);
      set.delete(keyOf({ frame, order }));
    }
    expect(tracker.has(frame, order)).toBe(add);
  }
  return [...set.values()];
}

/** The blocks that a walk visits, in its order. */
export function walked(walk: (visit: BlockVisitor) => number): Block[] {
  const blocks: Block[] = [];
  const result = walk((address, order) => {
    blocks.push({ frame: pfnOf(address), order });
    return 0;
  });
  expect(result).toBe(0);
  return blocks;
}

/** A block is there once it was added, however often, until it is deleted once; the walk has the stated order. */
export function setLaw(make: () => TrackerUnderTest, order: WalkOrder): void {
  fc.assert(
    fc.property(arbitraryChanges, (changes) => {
      const { tracker } = make();
      const set = applyChanges(tracker, changes);
      const found = walked((visit) => tracker.walk(visit));
      expect(new Set(found.map(keyOf))).toEqual(new Set(set.map(keyOf)));
      expect(found).toHaveLength(set.length);
      expect(found).toEqual([...set].sort(order));
    }),
    { numRuns: 60 },
  );
}

/** The first non-zero answer of the visitor ends the walk and is its result. */
export function walkStopsLaw(make: () => TrackerUnderTest): void {
  fc.assert(
    fc.property(arbitraryBlocks, fc.nat(), (blocks, n) => {
      const { tracker } = make();
      for (const { frame, order } of blocks) tracker.add(frame, order);
      const stopAt = (n % blocks.length) + 1;
      let seen = 0;
      expect(tracker.walk(() => (++seen === stopAt ? -7 : 0))).toBe(-7);
      expect(seen).toBe(stopAt);
    }),
    { numRuns: 30 },
  );
}

/** The frames that a tracker says it occupies are its own, and all it has but for slab objects. */
export function nodesLaw(make: () => TrackerUnderTest): void {
  fc.assert(
    fc.property(arbitraryChanges, (changes) => {
      const { kernel, tracker } = make();
      const before = pagesInUse(kernel) - tracker.nodes().length;
      applyChanges(tracker, changes);
      const nodes = tracker.nodes();
      expect(new Set(nodes).size).toBe(nodes.length);
      for (const node of nodes) {
        expect(kernel.frames.refcount(node)).toBe(1);
        expect(kernel.frames.order(node)).toBe(0);
      }
      expect(pagesInUse(kernel)).toBe(before + nodes.length);
    }),
    { numRuns: 30 },
  );
}

/**
 * An addition that runs out of memory, at whichever of the points, leaves the set and all pages as they were; tried
 * again it works.
 */
export function failureLaw(make: () => TrackerUnderTest, points: readonly string[]): void {
  const seen = new Set<string>();
  const arbitraryFault = fc.record({ point: fc.constantFrom(...points), nth: fc.nat(4) });
  fc.assert(
    fc.property(arbitraryChanges, arbitraryBlock, arbitraryFault, (changes, { frame, order }, fault) => {
      const { kernel, tracker } = make();
      applyChanges(tracker, changes);
      const picture = (): unknown => [
        walked((visit) => tracker.walk(visit)),
        tracker.nodes(),
        tracker.has(frame, order),
        pagesInUse(kernel),
      ];
      const before = picture();
      const { warnings } = kernel.log;
      kernel.machine.decisions = Decisions.seeded('', [fault]);
      const err = tracker.add(frame, order);
      if (err !== 0) {
        expect(err).toBe(-ERRNO.ENOMEM);
        expect(picture()).toEqual(before);
        seen.add(fault.point);
        expect(tracker.add(frame, order)).toBe(0);
      }
      expect(tracker.has(frame, order)).toBe(true);
      expect(kernel.log.warnings).toBe(warnings);
    }),
    { numRuns: 150 },
  );
  expect([...seen].sort()).toEqual([...points].sort());
}

/** Rolled back to a mark, a tracker is what it was, and does the same again. */
export function rollbackLaw(
  make: () => TrackerUnderTest,
  finish: (tracker: PageTracker) => void = () => {},
): void {
  const pictureOf = ({ kernel, tracker }: TrackerUnderTest): unknown => [
    walked((visit) => tracker.walk(visit)),
    tracker.nodes(),
    tracker.mapPhys,
    pagesInUse(kernel),
    kernel.log.warnings,
  ];
  fc.assert(
    fc.property(arbitraryChanges, arbitraryChanges, (before, after) => {
      const test = make();
      applyChanges(test.tracker, before);
      finish(test.tracker);
      const atMark = pictureOf(test);
      const { journal } = test.kernel.machine;
      const mark = journal.mark();
      applyChanges(test.tracker, after);
      finish(test.tracker);
      const first = pictureOf(test);
      journal.rollback(mark);
      expect(pictureOf(test)).toEqual(atMark);
      applyChanges(test.tracker, after);
      finish(test.tracker);
      expect(pictureOf(test)).toEqual(first);
    }),
    { numRuns: 30 },
  );
}

/** Pages that are allocated and hold no slab objects, from an arbitrary zero. */
export function pagesInUse(kernel: Kernel): number {
  const slabPages = kernel.slabs.reduce((sum, cache) => sum + cache.slabs * pagesOf(cache.order), 0);
  return -kernel.buddy.nrFree - slabPages;
}
