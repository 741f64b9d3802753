import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../sim/base/errno.ts';
import type { Phys } from '../../sim/base/units.ts';
import { KHO_BLOCK_HEADER_SER, KHO_BLOCK_SIZE, KHO_MAX_BLOCKS } from '../../sim/kho/abi.ts';
import { type BlockGeometry, blocksOf, KhoBlockSet } from '../../sim/kho/block_set.ts';
import { KhoBlockSetIt } from '../../sim/kho/block_set_it.ts';
import { Column } from '../../sim/machine/column.ts';
import { runs } from '../support/seed.ts';
import { MIB } from '../support/system.ts';
import {
  type BlockWorld,
  blockWorld,
  COUNT,
  chainIn,
  disarm,
  failAt,
  listOf,
  PAYLOAD,
  pictureOf,
} from './block_world.ts';

/** Three entries a block, five blocks: edges come up often. */
const SMALL: BlockGeometry = { entryBytes: 1360, maxBlocks: 5 };

/** Entry sizes with their entries in a block: the smallest remainder, none, one entry, all of the page. */
const SIZES = [
  [80, 51],
  [64, 63],
  [1360, 3],
  [2040, 2],
  [2041, 1],
  [4080, 1],
  [8, 510],
] as const;

describe('the layout', () => {
  it('is a page with a header of a link and a count', () => {
    expect(KHO_BLOCK_SIZE).toBe(4096);
    expect(KHO_BLOCK_HEADER_SER.at).toEqual({ next: 0, count: 8 });
    expect(KHO_BLOCK_HEADER_SER.size).toBe(16);
    expect(KHO_MAX_BLOCKS).toBe(10_000);
  });

  it.each(SIZES)('has for entries of %i bytes %i in a block', (bytes, perBlock) => {
    expect(blockWorld().newSet(blocksOf(bytes)).perBlock).toBe(perBlock);
  });
});

type Step = readonly ['grow' | 'shrink' | 'clear' | 'destroy' | 'write', number];

const steps = fc.array(
  fc.tuple(
    fc.constantFrom('grow', 'grow', 'shrink', 'shrink', 'clear', 'destroy', 'write'),
    fc.nat({ max: 18 }),
  ),
  { maxLength: 25 },
) as fc.Arbitrary<Step[]>;

/** Does one step; addresses that came out of the set are given back. */
function apply(world: BlockWorld, set: KhoBlockSet, [what, n]: Step): number {
  const out: Phys[] = [];
  let err = 0;
  if (what === 'grow') err = world.grow(set, n);
  if (what === 'shrink') set.shrink(n, (address) => out.push(address));
  if (what === 'destroy') set.destroy((address) => out.push(address));
  if (what === 'clear') set.clear();
  if (what === 'write') {
    const it = new KhoBlockSetIt(set);
    for (let i = 0, at = it.reserveEntry(); i < n && at !== 0; i++, at = it.reserveEntry()) {
      world.ram.store32(at, 0x1000 + i);
    }
  }
  world.give(out);
  return err;
}

describe('growing and shrinking', () => {
  it('has the blocks a reference counts, and the chain in memory is the list, after any steps', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const world = blockWorld();
        const set = world.newSet(SMALL);
        const free = world.free([set]);
        let blocks = 0;
        for (const step of all) {
          const [what, n] = step;
          const wanted = Math.ceil(n / 3);
          const err = apply(world, set, step);
          expect(err).toBe(what === 'grow' && wanted > 5 ? -ERRNO.ENOSPC : 0);
          if (what === 'grow' && err === 0) blocks = Math.max(blocks, wanted);
          if (what === 'shrink') blocks = Math.min(blocks, wanted);
          if (what === 'destroy') blocks = 0;
          const list = listOf(set);
          expect(list).toHaveLength(blocks);
          expect(chainIn(world.ram, set.headPhys)).toEqual(list);
          expect(world.preserved()).toEqual([...list].sort((x, y) => x - y));
          expect(world.table.slab.live).toBe(blocks);
          expect(world.free([set])).toBe(free);
        }
      }),
      { numRuns: runs(25) },
    );
  });

  it.each(SIZES)('for %i bytes, leaves ceil(count / %i) blocks behind every count', (bytes, perBlock) => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 4 * perBlock + 1 }), { minLength: 1, maxLength: 8 }), (counts) => {
        const world = blockWorld();
        const set = world.newSet(blocksOf(bytes));
        for (const count of counts) {
          expect(world.grow(set, count)).toBe(0);
          apply(world, set, ['shrink', count]);
          expect(set.nblocks).toBe(Math.ceil(count / perBlock));
          expect(set.needsBlock(set.nblocks * perBlock)).toBe(false);
          expect(set.needsBlock(set.nblocks * perBlock + 1)).toBe(true);
        }
      }),
      { numRuns: 15 },
    );
  });

  it('gives blocks back from the end when shrinking, from the start when destroying', () => {
    const world = blockWorld();
    const set = world.newSet(SMALL);
    world.grow(set, 15);
    const list = listOf(set);
    const out: Phys[] = [];
    set.shrink(7, (address) => out.push(address));
    expect(out).toEqual([list[4], list[3]]);
    set.destroy((address) => out.push(address));
    expect(out.slice(2)).toEqual(list.slice(0, 3));
    expect(set.shrinkOne()).toBe(0);
    world.give(out);
    expect(world.preserved()).toEqual([]);
  });

  it('is undone to the blocks there were, whichever allocation fails and whenever', () => {
    const points = ['test:block page', 'kho_radix_add_page:node', 'kmem_cache_alloc:pages'];
    for (const point of points) {
      for (const before of [0, 1, 126]) {
        let fired = 0;
        for (let nth = 0; ; nth++) {
          const world = blockWorld({ ramBytes: 16 * MIB });
          const set = world.newSet(blocksOf(4080));
          world.grow(set, before);
          const picture = pictureOf(world, set);
          const failed = failAt(world.kernel, point, nth);
          const err = world.grow(set, before + 4);
          disarm(world.kernel);
          if (!failed()) {
            expect(err).toBe(0);
            break;
          }
          fired++;
          expect(err).toBe(-ERRNO.ENOMEM);
          // Tracker nodes of a key that was added and deleted again stay, as in the kernel: `free` counts them.
          expect(pictureOf(world, set)).toEqual(picture);
          expect(world.grow(set, before + 4)).toBe(0);
          expect(chainIn(world.ram, set.headPhys)).toEqual(listOf(set));
        }
        if (point === 'test:block page') expect(fired).toBe(4);
        if (before === 0) expect(fired).toBeGreaterThan(0);
      }
    }
  });

  it('fails of memory before it fails of the limit', () => {
    const world = blockWorld();
    const set = world.newSet(SMALL);
    expect(world.grow(set, 15)).toBe(0);
    const failed = failAt(world.kernel, 'test:block page', 0);
    expect(world.grow(set, 16)).toBe(-ERRNO.ENOMEM);
    expect(failed()).toBe(true);
    disarm(world.kernel);
    expect(world.grow(set, 16)).toBe(-ERRNO.ENOSPC);
  });

  it('to the 10,001st block, session 510,001, is -ENOSPC with every page given back', () => {
    const world = blockWorld({ ramBytes: 64 * MIB });
    const set = world.newSet(blocksOf(80));
    expect(world.grow(set, 509_999)).toBe(0);
    expect(world.grow(set, 510_000)).toBe(0);
    expect(set.nblocks).toBe(10_000);
    const free = world.free([set]);
    const list = listOf(set);
    expect(world.grow(set, 510_001)).toBe(-ERRNO.ENOSPC);
    expect(listOf(set)).toEqual(list);
    expect(chainIn(world.ram, set.headPhys)).toEqual(list);
    expect(world.free([set])).toBe(free);
    expect(world.preserved()).toHaveLength(10_000);
  });

  it('is refused, with a warning, for a set that was handed over', () => {
    const world = blockWorld();
    const set = world.newSet(SMALL);
    expect(set.restore(0, () => expect.fail('nothing to free'))).toBe(0);
    expect(world.grow(set, 1)).toBe(-ERRNO.EINVAL);
    expect(world.kernel.log.warnings).toBe(1);
    expect(set.isEmpty).toBe(true);
  });
});

describe('clearing', () => {
  it('zeroes counts and entries and keeps the chain', () => {
    const world = blockWorld();
    const set = world.newSet(SMALL);
    world.grow(set, 9);
    const list = listOf(set);
    for (const address of list) {
      for (let at = COUNT; at < KHO_BLOCK_SIZE; at += 4) world.ram.store32(address + at, -1);
    }
    set.clear();
    expect(chainIn(world.ram, set.headPhys)).toEqual(list);
    for (const address of list) {
      expect(world.ram.loadBytes(address + COUNT, KHO_BLOCK_SIZE - COUNT).every((byte) => byte === 0)).toBe(
        true,
      );
    }
  });
});

describe('the iterator', () => {
  it('writes and goes back as a cursor over all slots does, and keeps the counts', () => {
    const moves = fc.array(fc.constantFrom('reserve', 'reserve', 'prev'), { maxLength: 40 });
    fc.assert(
      fc.property(fc.nat({ max: 5 }), moves, (blocks, all) => {
        const world = blockWorld();
        const set = world.newSet(SMALL);
        world.grow(set, blocks * 3);
        const list = listOf(set);
        const slots = list.flatMap((address) => [0, 1, 2].map((i) => address + PAYLOAD + i * 1360));
        const counts = list.map(() => 0);
        const it = new KhoBlockSetIt(set);
        let at = 0;
        for (const move of all) {
          if (move === 'reserve') {
            expect(it.reserveEntry()).toBe(slots[at] ?? 0);
            if (at < slots.length) counts[Math.floor(at / 3)] = (at % 3) + 1;
            at = Math.min(at + 1, slots.length);
          } else {
            at--;
            expect(it.prev()).toBe(slots[at] ?? 0);
            at = Math.max(at, 0);
          }
          expect(list.map((address) => world.ram.load64(address + COUNT))).toEqual(counts);
        }
      }),
      { numRuns: runs(25) },
    );
  });

  it('reads what the counts say, block by block', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 5 }), (counts) => {
        const world = blockWorld();
        const set = world.newSet(SMALL);
        world.grow(set, counts.length * 3);
        const list = listOf(set);
        const expected = list.flatMap((address, block) => {
          world.ram.store64(address + COUNT, counts[block] as number);
          return Array.from({ length: counts[block] as number }, (_, i) => address + PAYLOAD + i * 1360);
        });
        const it = new KhoBlockSetIt(set);
        for (const entry of expected) expect(it.readEntry()).toBe(entry);
        expect(it.readEntry()).toBe(0);
        expect(it.readEntry()).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  it('looks for the very count: a block emptied behind its back is not skipped but read to its count of 0', () => {
    const world = blockWorld();
    const set = world.newSet(SMALL);
    world.grow(set, 6);
    const [first, second] = listOf(set) as [Phys, Phys];
    world.ram.store64(first + COUNT, 1);
    const it = new KhoBlockSetIt(set);
    expect(it.readEntry()).toBe(first + PAYLOAD);
    // One step goes on to the next block without looking at its count.
    expect(it.readEntry()).toBe(second + PAYLOAD);
    expect(it.readEntry()).toBe(second + PAYLOAD + 1360);
  });

  it('is used after free where its block is gone', () => {
    const world = blockWorld();
    const set = world.newSet(SMALL);
    world.grow(set, 6);
    const it = new KhoBlockSetIt(set);
    for (let i = 0; i < 4; i++) it.reserveEntry();
    apply(world, set, ['shrink', 3]);
    expect(() => it.prev()).toThrow('use after free');
  });
});

describe('sets in a shared column', () => {
  it('do not see each other', () => {
    const world = blockWorld();
    const rows = new Column(world.kernel.storage, 'test rows');
    const sets = [0, 4, 400, 65_536].map((row) => new KhoBlockSet(world.table, SMALL, rows, row));
    for (const [i, set] of sets.entries()) expect(world.grow(set, 3 * i + 1)).toBe(0);
    expect(sets.map((set) => set.nblocks)).toEqual([1, 2, 3, 4]);
    for (const set of sets) expect(chainIn(world.ram, set.headPhys)).toEqual(listOf(set));
    const all = sets.flatMap(listOf);
    expect(new Set(all).size).toBe(10);
    // A view is nothing but the place of its row.
    expect(listOf(new KhoBlockSet(world.table, SMALL, rows, 4))).toEqual(listOf(sets[1] as KhoBlockSet));
  });
});

describe('a mark', () => {
  it('brings set, chain and iterator back, any number of times, and the same steps do the same again', () => {
    fc.assert(
      fc.property(steps, steps, (first, second) => {
        const world = blockWorld();
        const set = world.newSet(SMALL);
        const it = new KhoBlockSetIt(set);
        world.kernel.machine.journal.enlist(it);
        for (const step of first) apply(world, set, step);
        it.init();
        const before = pictureOf(world, set);
        const mark = world.kernel.machine.mark();
        const runs: unknown[] = [];
        for (let run = 0; run < 2; run++) {
          expect(it.prev()).toBe(0);
          it.reserveEntry();
          for (const step of second) apply(world, set, step);
          runs.push(pictureOf(world, set));
          world.kernel.machine.rollback(mark);
          expect(pictureOf(world, set)).toEqual(before);
        }
        expect(runs[1]).toEqual(runs[0]);
      }),
      { numRuns: 25 },
    );
  });
});
