/*
 * Which page tracker a revision has, and how the next kernel reads it.
 */
import { PAGE_SIZE } from '../base/limits.ts';
import { definePoint } from '../base/point.ts';
import { type Order, type Pfn, type Phys, physOf } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { ZEROED } from '../kernel/mm.ts';
import type { Ram } from '../machine/ram.ts';
import { walkBitmapChunks } from './bitmap_chunks.ts';
import { BitmapTracker } from './bitmaps.ts';
import { RadixTracker, walkRadixTree } from './radix.ts';
import { type ScratchArea, scratchOverlap } from './scratch.ts';
import type { BlockVisitor, PageTracker } from './tracker.ts';

const ROOT_NODE = definePoint('kho_init', 'radix root', 'fault');

/** The outgoing tracker, empty; or undefined where its first page cannot be had. @kernel kho_radix_init_tree */
export function makeTracker(kernel: Kernel, scratch: () => readonly ScratchArea[]): PageTracker | undefined {
  if (kernel.revision.parts.tracker === 'bitmaps') {
    const inScratch = (page: Pfn): boolean =>
      kernel.options.khoDebug && scratchOverlap(scratch(), physOf(page), PAGE_SIZE);
    return new BitmapTracker(kernel, inScratch);
  }
  const root = kernel.pages.alloc(0 as Order, kernel.frames.owner('kho radix node'), ROOT_NODE, ZEROED);
  return root === -1 ? undefined : new RadixTracker(kernel, root);
}

/** Visits every block that the previous kernel preserved; `onNode` sees the pages of its tracker. */
export function walkIncoming(
  { revision }: Kernel,
  ram: Ram,
  mapPhys: Phys,
  visit: BlockVisitor,
  onNode?: (node: Pfn) => void,
): number {
  const walk = revision.parts.tracker === 'bitmaps' ? walkBitmapChunks : walkRadixTree;
  return walk(ram, mapPhys, visit, onNode);
}
