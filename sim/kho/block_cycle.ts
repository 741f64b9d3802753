/*
 * The check that a chain of blocks ends, v7.3 (kernel/liveupdate/kho_block.c), made before anything of it is believed.
 *
 *   slow   block 0     1     2   ...     one link a step
 *   fast   block 0     2     4   ...     two; meets slow on a cycle, whatever leads into it
 *
 * Only links are read, and never more than 3 * maxBlocks of them, whatever memory holds.
 */
import type { Phys } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { KHO_BLOCK_HEADER_SER } from './abi.ts';

const NEXT = KHO_BLOCK_HEADER_SER.at.next;

/**
 * Whether a chain does not end: Floyd's two runners, for at most `maxBlocks` steps of the slow one. A chain of up to
 * twice as many blocks passes; `add` then refuses what is too much. @kernel kho_block_set_is_cyclic
 */
export function isCyclic(kernel: Kernel, headPhys: Phys, maxBlocks: number): boolean {
  const { ram } = kernel.machine;
  const next = (at: number): number => ram.load64(at + NEXT);
  let fast: number = headPhys;
  let slow: number = headPhys;
  for (let steps = 0; steps < maxBlocks; steps++) {
    for (let hop = 0; hop < 2; hop++) {
      fast = next(fast);
      if (fast === 0) return false;
    }
    slow = next(slow);
    if (slow === fast) break;
  }
  kernel.printk('kho_block: Block set is corrupted');
  return true;
}
