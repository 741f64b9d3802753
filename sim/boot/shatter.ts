/*
 * Memory after years of use: much of it free, little of it in one piece. The years are not run. Once the first kernel
 * is up and before any task runs, all free memory outside of scratch is taken in pieces of 16 pages; of so many percent
 * of the pieces one page stays taken, for ever and unmovable, and all the rest goes back:
 *
 *   a whole piece       | 16                   |     one block, or merged with its neighbours
 *   a shattered piece   | 8        | 4  | 1|x|2 |     15 pages are free: blocks of 8, 4, 2 and 1
 *
 * Which pieces, and which page of each, is drawn from one decision. Kernels after it start with memory of their own: a
 * kexec gives back what nobody preserved.
 *
 * It takes no virtual time. All pageblocks outside of scratch are unmovable afterwards, which is harder on a movable
 * allocation than life is; compaction, which could not move these pages either, is not modelled.
 */
import { MAX_PAGE_ORDER } from '../base/limits.ts';
import { definePoint, kernelFunction } from '../base/point.ts';
import { RandomStream } from '../base/random.ts';
import { type Order, type Pfn, pagesOf } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { NO_FRAME } from '../machine/frames.ts';
import { MOVABLE, UNMOVABLE } from '../machine/pageblock.ts';

const ALLOC_PAGES = kernelFunction('alloc_pages');
const PATTERN = definePoint('alloc_pages', 'long-lived pages', 'fragments');

/** Pieces are as large as the largest block that a session store takes. */
export const PIECE_ORDER = 4 as Order;
const PIECE_PAGES = pagesOf(PIECE_ORDER);

/** Owner of the pages that stay. */
export const LONG_LIVED = 'long-lived page';

/** Takes a page out of `percent` of the free pieces of 16 pages, rounded to whole pieces. */
export function shatterMemory(kernel: Kernel, percent: number): void {
  const { buddy, frames, machine } = kernel;
  const owner = frames.owner(LONG_LIVED);
  const seed = machine.decisions.choose(PATTERN, 0x7fffffff);
  const stream = new RandomStream(`long-lived pages/${seed}`);
  const pieces: Pfn[] = [];
  for (let piece = takePiece(); piece !== NO_FRAME; piece = takePiece()) pieces.push(piece);
  let left = Math.round((pieces.length * percent) / 100);
  for (const [i, piece] of pieces.entries()) {
    if (stream.below(pieces.length - i) >= left) {
      buddy.free(piece, PIECE_ORDER);
      continue;
    }
    left--;
    const stays = piece + stream.below(PIECE_PAGES);
    buddy.split(piece, PIECE_ORDER);
    for (let page = piece; page < piece + PIECE_PAGES; page = (page + 1) as Pfn) {
      if (page !== stays) buddy.free(page, 0 as Order);
    }
    kernel.trace.event(ALLOC_PAGES, stays, 0, owner);
  }

  function takePiece(): Pfn {
    return buddy.alloc(PIECE_ORDER, UNMOVABLE, 0, owner);
  }
}

/** Pieces of 16 aligned pages that are free outside of scratch. */
export function wholePieces({ buddy }: Kernel): number {
  let pieces = 0;
  for (let node = 0; node < buddy.nrNodes; node++) {
    for (const type of [MOVABLE, UNMOVABLE] as const) {
      for (let order = PIECE_ORDER; order <= MAX_PAGE_ORDER; order = (order + 1) as Order) {
        pieces += buddy.freeBlocks(node, type, order) * 2 ** (order - PIECE_ORDER);
      }
    }
  }
  return pieces;
}
