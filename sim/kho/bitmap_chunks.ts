/*
 * The list of bitmaps of kho-v1 (v6.19) as the next kernel reads it. Layout: abi.ts; who writes it: bitmaps.ts.
 *
 *   chunk by chunk along next; in a chunk entry by entry; in a bitmap the bits ascending
 *
 * The real kernel checks nothing: entries beyond the end of a chunk are whatever follows in memory, and a list that
 * comes back to itself is walked for ever. Simplified: a real block size has 32 bits and comes out as 0 from order 20
 * on; here the visitor gets the order as it stands in the chunk, and decides what a block beyond memory means.
 */
import { assert } from '../base/assert.ts';
import { PAGE_SIZE } from '../base/limits.ts';
import { type Order, type Pfn, type Phys, pfnOf } from '../base/units.ts';
import { PageFault } from '../machine/page_fault.ts';
import type { Ram } from '../machine/ram.ts';
import { KHOSER_MEM_BITMAP_PTR, KHOSER_MEM_CHUNK } from './abi.ts';
import { EndlessWalk } from './radix.ts';
import type { BlockVisitor } from './tracker.ts';

const { next: NEXT, order: ORDER, num_elms: NUM_ELMS } = KHOSER_MEM_CHUNK.at;

/**
 * Visits every block that a handed-over list names. `onNode` sees each page of the list before what it holds. Throws
 * EndlessWalk where the list comes back to itself or names more bitmaps than memory has frames, a PageFault at an
 * address without memory and for a bitmap at NULL.
 * @kernel kho_mem_deserialize @simplified a list without end is found out, and the boot ends in a panic
 * @kernel deserialize_bitmap @simplified the size of a block is exact, where the kernel computes it in 32 bits
 */
export function walkBitmapChunks(
  ram: Ram,
  firstChunkPhys: Phys,
  visit: BlockVisitor,
  onNode: (node: Pfn) => void = () => {},
): number {
  assert(firstChunkPhys !== 0, 'walk of a list without a chunk');
  const bits = new Int32Array(PAGE_SIZE / 4);
  const seen = new Set<number>();
  let budget = ram.bytes / PAGE_SIZE;
  const see = (node: number): void => {
    if (budget-- <= 0) throw new EndlessWalk('kho_mem_deserialize: more bitmaps than frames');
    onNode(pfnOf(node as Phys));
  };
  for (let chunk: number = firstChunkPhys; chunk !== 0; chunk = ram.load64(chunk + NEXT)) {
    if (seen.has(chunk)) throw new EndlessWalk('kho_mem_deserialize: the list comes back to itself');
    seen.add(chunk);
    see(chunk);
    const order = ram.load32(chunk + ORDER) >>> 0;
    const nr = ram.load32(chunk + NUM_ELMS) >>> 0;
    for (let i = 0; i < nr; i++) {
      const entry = chunk + KHOSER_MEM_CHUNK.size + i * KHOSER_MEM_BITMAP_PTR.size;
      const start = ram.load64(entry + KHOSER_MEM_BITMAP_PTR.at.phys_start);
      const bitmap = ram.load64(entry + KHOSER_MEM_BITMAP_PTR.at.bitmap);
      if (bitmap === 0) throw new PageFault(0);
      see(bitmap);
      ram.loadWords(bitmap, bits, 0, bits.length);
      const result = visitBits(bits, start, order, visit);
      if (result !== 0) return result;
    }
  }
  return 0;
}

/** Every set bit, ascending. The order may be garbage: a block of more than 2^1000 bytes is still no NaN. */
export function visitBits(bits: Int32Array, start: number, order: number, visit: BlockVisitor): number {
  const bytes = PAGE_SIZE * 2 ** order;
  for (let w = 0; w < bits.length; w++) {
    let word = bits[w] as number;
    while (word !== 0) {
      const bit = w * 32 + 31 - Math.clz32(word & -word);
      word &= word - 1;
      const result = visit((bit === 0 ? start : start + bit * bytes) as Phys, order as Order);
      if (result !== 0) return result;
    }
  }
  return 0;
}
