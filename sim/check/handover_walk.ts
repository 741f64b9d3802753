/*
 * A walk over a handover: everything that its reader can reach from the root, piece by piece, decoded, and what the
 * reader would refuse or stumble over. Formats are known by the compatible strings alone, so it needs no kernel.
 *
 *   walk_kho.ts       root, map of preserved memory, kexec-metadata, what lib/test_kho.c saved
 *   walk_luo.ts       LUO's root, sessions, FLBs
 *   walk_files.ts     files of a session, memfd
 *
 * It ends for any contents of memory, and throws for none: an address that leads nowhere is a problem of the piece it
 * stands in, a block that is met again is not gone into. A piece that reaches beyond memory has 0 bytes.
 */
import { pfnOf } from '../base/units.ts';
import type { Memory, Piece } from './anatomy.ts';
import type { PreservedBlock } from './tracker_view.ts';
import { Walk } from './walk.ts';
import { khoPieces } from './walk_kho.ts';

export class HandoverWalk {
  readonly #walk: Walk;
  readonly #fdtPhys: number;

  constructor(memory: Memory, fdtPhys: number) {
    this.#walk = new Walk(memory);
    this.#fdtPhys = fdtPhys;
  }

  /** Every piece, each before what it leads to. Once. */
  pieces(): Generator<Piece, void, void> {
    return khoPieces(this.#walk, this.#fdtPhys);
  }

  /** What the map names, in the order in which it is read; none before `pieces` began. */
  *preserved(): Generator<PreservedBlock, void, void> {
    if (this.#walk.tracker !== undefined) yield* this.#walk.tracker.blocks();
  }

  /** Of those the blocks that no piece begins: preserved, and reachable by nobody. After `pieces` ended. */
  *unreached(): Generator<PreservedBlock, void, void> {
    for (const block of this.preserved()) if (!this.#walk.met.has(pfnOf(block.phys))) yield block;
  }
}

/** Every piece of the handover whose root lies at an address, each before what it leads to. */
export function walkHandover(memory: Memory, fdtPhys: number): Generator<Piece, void, void> {
  return new HandoverWalk(memory, fdtPhys).pieces();
}
