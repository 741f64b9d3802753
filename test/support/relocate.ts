/*
 * The same handover with its pages elsewhere: blocks are copied to other places, every address is turned, and the map is
 * built anew as it would have been for those places.
 */
import { PAGE_SIZE } from '../../sim/base/limits.ts';
import { RandomStream } from '../../sim/base/random.ts';
import { type Order, type Pfn, type Phys, pagesOf, pfnOf, physOf } from '../../sim/base/units.ts';
import { FrameSet } from '../../sim/check/frame_set.ts';
import { HandoverWalk } from '../../sim/check/handover_walk.ts';
import { isMapPiece } from '../../sim/check/tracker_view.ts';
import { u64Bytes } from '../../sim/kho/fdt_abi.ts';
import { bitmapIndex, radixKey, tableIndex } from '../../sim/kho/radix.ts';
import { Journal } from '../../sim/machine/journal.ts';
import { PiecePool } from '../../sim/machine/pool.ts';
import { Ram } from '../../sim/machine/ram.ts';
import type { Image } from './handovers.ts';

/** Frames that nobody has yet, at random. */
class Places {
  readonly #taken = new FrameSet();
  readonly #random: RandomStream;
  readonly #frames: number;

  constructor(seed: string, frames: number) {
    this.#random = new RandomStream(seed);
    this.#frames = frames;
  }

  take(order: number): Phys {
    const pages = 2 ** order;
    for (;;) {
      const first = this.#random.below(this.#frames / pages) * pages;
      const isFree =
        first > 0 && Array.from({ length: pages }, (_, i) => first + i).every((f) => !this.#taken.has(f));
      if (!isFree) continue;
      this.#taken.add(first, pages);
      return physOf(first as Pfn);
    }
  }
}

/** A copy of a handover whose map is a radix tree, everything at another place. */
export function relocated({ memory, fdtPhys }: Image, seed: string): Image {
  const ram = new Ram({ pool: new PiecePool(), journal: new Journal() }, memory.bytes);
  const places = new Places(seed, memory.bytes / PAGE_SIZE);
  const walk = new HandoverWalk(memory, fdtPhys);
  const pieces = [...walk.pieces()].filter((piece) => !isMapPiece(piece));
  const moved = new Map<number, number>();
  const blocks: [Pfn, Order][] = [];
  for (const { phys, order } of walk.preserved()) {
    const to = places.take(order);
    blocks.push([pfnOf(to), order]);
    for (let page = 0; page < pagesOf(order); page++) moved.set(pfnOf(phys) + page, pfnOf(to) + page);
    const words = new Int32Array((pagesOf(order) * PAGE_SIZE) / 4);
    memory.loadWords(phys, words, 0, words.length);
    ram.storeWords(to, words, 0, words.length);
  }
  const turned = (address: number): number => {
    const page = moved.get(Math.floor(address / PAGE_SIZE));
    if (page === undefined) throw new Error(`0x${address.toString(16)} is in no block`);
    return page * PAGE_SIZE + (address % PAGE_SIZE);
  };
  const root = buildTree(ram, blocks, places);
  for (const { phys, fields } of pieces) {
    for (const { name, offset, bytes, kind, value } of fields) {
      if (kind !== 'address' || value === 0) continue;
      const to = name === 'preserved-memory-map' ? root : turned(Number(value));
      // Six bytes hold a frame number.
      ram.storeBytes(turned(phys + offset), u64Bytes(bytes === 6 ? to / PAGE_SIZE : to).subarray(0, bytes));
    }
  }
  return { memory: ram, fdtPhys: turned(fdtPhys) };
}

/** Writes a tree of these blocks: its root. */
function buildTree(ram: Ram, blocks: readonly (readonly [Pfn, Order])[], places: Places): Phys {
  const root = places.take(0);
  for (const [frame, order] of blocks) {
    const key = radixKey(frame, order);
    let node: number = root;
    for (let level = 5; level > 0; level--) {
      const slot = node + 8 * tableIndex(key, level);
      if (ram.load64(slot) === 0) ram.store64(slot, places.take(0));
      node = ram.load64(slot);
    }
    const bit = bitmapIndex(key);
    ram.store8(node + (bit >>> 3), ram.load8(node + (bit >>> 3)) | (1 << (bit & 7)));
  }
  return root;
}
