/*
 * Laws of every page tracker: it is a set of (frame, order), whatever it is made of.
 */

import fc from 'fast-check';
import { expect } from 'vitest';
import { type Order, type Pfn, type Phys, physOf } from '../../sim/base/units.ts';
import type { PageTracker } from '../../sim/kho/tracker.ts';

export interface TrackerUnderTest {
  readonly tracker: PageTracker;
  /** Pages allocated now, for the law of failure. */
  pagesInUse(): number;
}

/** A block inside a machine of 2^40 bytes. */
export const arbitraryBlock = fc
  .tuple(fc.integer({ min: 0, max: 18 }), fc.nat(), fc.boolean())
  .map(([order, n, low]) => {
    const blocks = 2 ** (28 - order);
    const index = low ? n % Math.min(blocks, 64) : n % blocks;
    return { frame: (index * 2 ** order) as Pfn, order: order as Order };
  });

const arbitraryChange = fc.record({ add: fc.boolean(), block: arbitraryBlock });
const keyOf = (frame: number, order: number): string => `${order}:${frame}`;

export function setLaw(make: () => TrackerUnderTest): void {
  fc.assert(
    fc.property(fc.array(arbitraryChange, { maxLength: 60 }), (changes) => {
      const { tracker } = make();
      const reference = new Map<string, { frame: number; order: number }>();
      for (const { add, block } of changes) {
        const key = keyOf(block.frame, block.order);
        if (add) {
          expect(tracker.add(block.frame, block.order)).toBe(0);
          reference.set(key, block);
        } else if (reference.has(key)) {
          tracker.del(block.frame, block.order);
          reference.delete(key);
        }
        expect(tracker.has(block.frame, block.order)).toBe(add);
      }
      const walked: { address: Phys; order: Order }[] = [];
      tracker.walk((address, order) => {
        walked.push({ address, order });
        return 0;
      });
      // Ascending keys: larger orders first, then by address.
      const expected = [...reference.values()]
        .sort((x, y) => y.order - x.order || x.frame - y.frame)
        .map(({ frame, order }) => ({ address: physOf(frame as Pfn), order }));
      expect(walked).toEqual(expected);
    }),
    { numRuns: 60 },
  );
}

/** The first non-zero answer of the visitor ends the walk and is its result. */
export function walkStopsLaw(make: () => TrackerUnderTest): void {
  fc.assert(
    fc.property(
      fc.uniqueArray(arbitraryBlock, {
        minLength: 1,
        maxLength: 20,
        selector: (b) => keyOf(b.frame, b.order),
      }),
      fc.nat(),
      (blocks, n) => {
        const { tracker } = make();
        for (const { frame, order } of blocks) tracker.add(frame, order);
        const stopAt = (n % blocks.length) + 1;
        let seen = 0;
        expect(tracker.walk(() => (++seen === stopAt ? -7 : 0))).toBe(-7);
        expect(seen).toBe(stopAt);
      },
    ),
    { numRuns: 30 },
  );
}
