/*
 * Block sets on a bare kernel: memory, a tracker of its own and the outgoing side of KHO, nothing else booted.
 */
import { expect } from 'vitest';
import { Decisions } from '../../sim/base/decisions.ts';
import { PAGE_SIZE } from '../../sim/base/limits.ts';
import { definePoint, type Op } from '../../sim/base/point.ts';
import { type Order, type Pfn, type Phys, pagesOf, pfnOf } from '../../sim/base/units.ts';
import type { Kernel } from '../../sim/kernel/kernel.ts';
import { ZEROED } from '../../sim/kernel/mm.ts';
import { KHO_BLOCK_HEADER_SER } from '../../sim/kho/abi.ts';
import { type BlockGeometry, KhoBlockSet } from '../../sim/kho/block_set.ts';
import { KhoBlockTable } from '../../sim/kho/block_table.ts';
import { KhoOut } from '../../sim/kho/preserve.ts';
import { RadixTracker } from '../../sim/kho/radix.ts';
import type { Ram } from '../../sim/machine/ram.ts';
import { bareKernel, type TestMachine } from '../support/system.ts';

export const PAGE = definePoint('test', 'block page', 'fault');
const ROOT = definePoint('test', 'block world root', 'fault');
export const { next: NEXT, count: COUNT } = KHO_BLOCK_HEADER_SER.at;
export const PAYLOAD = KHO_BLOCK_HEADER_SER.size;

export interface BlockWorld {
  readonly kernel: Kernel;
  readonly ram: Ram;
  readonly out: KhoOut;
  readonly tracker: RadixTracker;
  readonly table: KhoBlockTable;
  newSet(geometry: BlockGeometry): KhoBlockSet;
  /** What nobody holds: constant while every page that is not free belongs to a block, a slab or the tracker. */
  free(sets: readonly KhoBlockSet[]): number;
  /** Keys of the tracker. */
  preserved(): Phys[];
  grow(set: KhoBlockSet, count: number): number;
  /** Gives pages back, as kho_unpreserve_free does. */
  give(addresses: readonly Phys[]): void;
}

export function blockWorld(test: TestMachine = {}): BlockWorld {
  const kernel = bareKernel(test);
  const { ram } = kernel.machine;
  const out = new KhoOut(kernel, () => []);
  const root = kernel.pages.alloc(0 as Order, kernel.frames.owner('kho radix node'), ROOT, ZEROED) as Pfn;
  const tracker = new RadixTracker(kernel, root);
  out.tracker = tracker;
  const table = new KhoBlockTable(kernel);
  const owner = kernel.frames.owner('test block');
  const run = <T>(op: Op<T>): T => kernel.sched.complete(op);
  let sets = 0;
  return {
    kernel,
    ram,
    out,
    tracker,
    table,
    newSet: (geometry) => KhoBlockSet.alone(table, geometry, `test set ${sets++}`),
    free: (all) =>
      kernel.buddy.nrFree +
      table.slab.slabs * pagesOf(table.slab.order) +
      tracker.nodes().length +
      all.reduce((pages, set) => pages + set.nblocks, 0),
    preserved: () => {
      const keys: Phys[] = [];
      tracker.walk((address, order) => {
        expect(order).toBe(0);
        keys.push(address);
        return 0;
      });
      return keys;
    },
    grow: (set, count) => run(set.grow(kernel.sched.boot, out, count, owner, PAGE)),
    give: (addresses) => {
      for (const address of addresses) run(out.unpreserveFree(kernel.sched.boot, address));
    },
  };
}

/** The chain as the next kernel walks it. */
export function chainIn(ram: Ram, head: number, most = 20_001): Phys[] {
  const chain: Phys[] = [];
  for (let at = head; at !== 0 && chain.length < most; at = ram.load64(at + NEXT)) chain.push(at as Phys);
  return chain;
}

/** The set's list, and that everything said of it twice is said the same. */
export function listOf(set: KhoBlockSet): Phys[] {
  const { table } = set;
  const forwards = [...set.addresses()];
  const backwards: Phys[] = [];
  for (let block = set.last; block !== 0; block = table.prev(block)) backwards.unshift(table.address(block));
  expect(backwards).toEqual(forwards);
  expect(set.nblocks).toBe(forwards.length);
  expect(set.isEmpty).toBe(forwards.length === 0);
  expect(set.headPhys).toBe(forwards[0] ?? 0);
  return forwards;
}

const words = new Int32Array(PAGE_SIZE / 4);

function wordsAt(ram: Ram, address: Phys): string {
  ram.loadWords(address, words, 0, words.length);
  return words.join();
}

/** Everything of a set that anyone could see, and all bytes of its pages. */
export function pictureOf(world: BlockWorld, set: KhoBlockSet): unknown {
  const list = listOf(set);
  return {
    list,
    incoming: set.incoming,
    words: list.map((address) => wordsAt(world.ram, address)),
    live: world.table.slab.live,
    preserved: world.preserved(),
    free: world.free([set]),
  };
}

/** Arms one point from here on: its nth occurrence fails. True once it did. */
export function failAt(kernel: Kernel, point: string, nth: number): () => boolean {
  const decisions = Decisions.seeded('fault', [{ point, nth }]);
  kernel.machine.decisions = decisions;
  return () => decisions.departures.length > 0;
}

export const disarm = (kernel: Kernel): void => {
  kernel.machine.decisions = Decisions.none();
};

export const frameOf = (address: number): Pfn => pfnOf(address as Phys);
