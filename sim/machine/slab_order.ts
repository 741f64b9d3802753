/*
 * How SLUB lays out a cache: the order of its slabs from the size of its objects, and kmalloc's sizes. Linux 6.19 to
 * 7.3 (mm/slub.c), without slub_min_objects=, slub_min_order= and slub_max_order= on the command line.
 *
 *   smallest order that holds enough objects (8 with one CPU, more with more) and wastes at most 1/16 of the slab;
 *   where none up to order 3 does, 1/8, 1/4, then 1/2; where not one object fits order 3, the order of one object
 */
import { assert } from '../base/assert.ts';
import { MAX_PAGE_ORDER, PAGE_SIZE } from '../base/limits.ts';
import { bytesOf, type Order, order, orderOf, type Pfn } from '../base/units.ts';

/** Where a cache gets the frames of its slabs. */
export interface PageSource {
  /** First frame of a block, -1 if there is none. */
  allocPages(order: Order): Pfn | -1;
  freePages(pfn: Pfn, order: Order): void;
}

/** slub_max_order: PAGE_ALLOC_COSTLY_ORDER. */
const SLUB_MAX_ORDER = 3;
/** MAX_OBJS_PER_PAGE: the objects of a slab are counted in 15 bits. */
const OBJECTS_MAX = 32767;

/** Order of the slabs of a cache whose objects take `bytes`, on a machine of `cpus`. @kernel calculate_order */
export function slabOrder(bytes: number, cpus: number): Order {
  assert(bytes > 0 && bytes <= bytesOf(order(MAX_PAGE_ORDER)), 'an object fits the largest block');
  const wanted = 4 * (32 - Math.clz32(cpus) + 1);
  const possible = Math.max(Math.floor(bytesOf(order(SLUB_MAX_ORDER)) / bytes), 1);
  const smallest = orderOf(Math.min(wanted, possible) * bytes);
  if (Math.floor(bytesOf(smallest) / bytes) > OBJECTS_MAX) return order(orderOf(bytes * OBJECTS_MAX) - 1);
  for (let fraction = 16; fraction > 1; fraction /= 2) {
    for (let o: number = smallest; o <= SLUB_MAX_ORDER; o++) {
      const slabBytes = bytesOf(order(o));
      if (slabBytes % bytes <= Math.floor(slabBytes / fraction)) return order(o);
    }
  }
  return orderOf(bytes);
}

const KMALLOC_BYTES = [8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192] as const;

/** Bytes that kmalloc takes for `bytes`: those of its cache, or whole pages above the largest. @kernel kmalloc_size_roundup */
export function kmallocBytes(bytes: number): number {
  return KMALLOC_BYTES.find((size) => size >= bytes) ?? PAGE_SIZE * 2 ** orderOf(bytes);
}
