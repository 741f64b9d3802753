/*
 * SLUB's layouts: known caches, and what holds of any size.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { kmallocBytes, slabOrder } from '../../sim/machine/slab_order.ts';

test('a slab holds enough objects, or is as large as it may be, and wastes little', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4096 }), fc.integer({ min: 1, max: 64 }), (eights, cpus) => {
      const bytes = eights * 8;
      const order = slabOrder(bytes, cpus);
      const objects = Math.floor((4096 * 2 ** order) / bytes);
      expect(objects).toBeGreaterThanOrEqual(1);
      expect(order).toBeLessThanOrEqual(3);
      const wanted = Math.min(4 * (Math.floor(Math.log2(cpus)) + 2), Math.floor(32768 / bytes));
      expect(objects).toBeGreaterThanOrEqual(wanted);
      const waste = 4096 * 2 ** order - objects * bytes;
      if (order < 3) expect(waste).toBeLessThanOrEqual((4096 * 2 ** order) / 2);
      // No smaller slab would do as well.
      for (let o = 0; o < order; o++) {
        const slab = 4096 * 2 ** o;
        const enough = Math.floor(slab / bytes) >= wanted;
        expect(enough && slab % bytes <= slab / 16).toBe(false);
      }
    }),
    { numRuns: 500 },
  );
});

test('layouts of well-known sizes, worked out by hand', () => {
  // bytes, CPUs -> order
  const known = [
    [192, 1, 0], // kmalloc-192: 21 a slab
    [192, 4, 0],
    [256, 4, 0], // 16 a slab
    [256, 8, 1], // 20 wanted
    [512, 4, 1], // kmalloc-512: 16 a slab
    [1024, 4, 2],
    [2048, 4, 3],
    [4096, 4, 3],
    [8192, 4, 3],
    [640, 1, 1], // 12 of 12.8
    [8, 1, 0],
    [40000, 1, 4], // larger than order 3: one object
  ] as const;
  for (const [bytes, cpus, order] of known)
    expect([bytes, cpus, slabOrder(bytes, cpus)]).toEqual([bytes, cpus, order]);
});

test('kmalloc rounds up to its caches, and to pages above them', () => {
  expect([1, 8, 9, 65, 97, 160, 193, 8192, 8193, 20000].map(kmallocBytes)).toEqual([
    8, 8, 16, 96, 128, 192, 256, 8192, 16384, 32768,
  ]);
});
