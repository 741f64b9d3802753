/*
 * Extended scratch (v7.3): early boot may also use every 1 GiB block that holds neither a preserved page nor a page of
 * the tree. What the next kernel is told of scratch, and where kexec puts its segments, is unchanged.
 *
 * The real kernel collects the busy blocks in a second, temporary radix tree whose pages come from memblock and go
 * back to it; here a set stands for that tree, and its allocations cannot fail.
 */
import { bytesOf, type Phys, physOf } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Memblock } from '../kernel/memblock.ts';
import { walkIncoming } from './trackers.ts';

/** KHO_SCRATCH_EXT_BLKSIZE. */
const BLOCK_BYTES = 2 ** 30;

/**
 * Marks all free blocks as scratch.
 * @kernel kho_extend_scratch, kho_ext_walk_leaf, kho_ext_walk_node, kho_ext_mark_scratch @simplified a set stands for
 * the temporary tree, and cannot fail for want of memory
 */
export function extendScratch(kernel: Kernel, memblock: Memblock, mapPhys: Phys): void {
  const { ram } = kernel.machine;
  const busy = new Set<number>();
  const mark = (start: number, bytes: number): void => {
    for (let block = Math.floor(start / BLOCK_BYTES); block * BLOCK_BYTES < start + bytes; block++)
      busy.add(block);
  };
  walkIncoming(
    kernel,
    ram,
    mapPhys,
    (address, order) => {
      if (ram.has(address, bytesOf(order))) mark(address, bytesOf(order));
      return 0;
    },
    (node) => mark(physOf(node), 1),
  );
  for (let block = 0; block * BLOCK_BYTES < ram.end; block++) {
    const start = block * BLOCK_BYTES;
    if (!busy.has(block)) memblock.markScratch(start, Math.min(BLOCK_BYTES, ram.end - start));
  }
}
