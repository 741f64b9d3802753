import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf, type Order, type Pfn, type Phys, pfnOf, physOf } from '../../sim/base/units.ts';
import { KHOSER_BITMAP_SIZE, KHOSER_MEM_BITMAP_PTR, KHOSER_MEM_CHUNK } from '../../sim/kho/abi.ts';
import { walkBitmapChunks } from '../../sim/kho/bitmap_chunks.ts';
import { BitmapTracker } from '../../sim/kho/bitmaps.ts';
import { EndlessWalk } from '../../sim/kho/radix.ts';
import { PageFault } from '../../sim/machine/page_fault.ts';
import type { Ram } from '../../sim/machine/ram.ts';
import { bareKernel, type TestMachine } from '../support/system.ts';
import { walked } from './tracker.laws.ts';

const { next: NEXT, order: ORDER, num_elms: NUM_ELMS } = KHOSER_MEM_CHUNK.at;
const { phys_start: PHYS_START, bitmap: BITMAP } = KHOSER_MEM_BITMAP_PTR.at;
const order = (n: number): Order => n as Order;

interface List {
  readonly ram: Ram;
  readonly first: Phys;
  readonly second: Phys;
  readonly low: Phys;
  readonly high: Phys;
}

/** Two chunks: a bitmap of order 0 with frame 3 (`low`), one of order 9 with frame 512 (`high`). */
function makeList(test: TestMachine = {}): List {
  const kernel = bareKernel(test);
  const tracker = new BitmapTracker(kernel);
  tracker.add(3 as Pfn, order(0));
  tracker.add(512 as Pfn, order(9));
  tracker.finalize();
  const { ram } = kernel.machine;
  const [low, high] = tracker.nodes().map(physOf) as [Phys, Phys];
  const first = tracker.mapPhys;
  return { ram, first, second: ram.load64(first + NEXT) as Phys, low, high };
}

describe('the list of bitmaps', () => {
  it('is read chunk by chunk, each page before what it holds', () => {
    const { ram, first, second, low, high } = makeList();
    const seen: [string, number][] = [];
    const result = walkBitmapChunks(
      ram,
      first,
      (address, o) => seen.push(['block', address], ['order', o]) * 0,
      (page) => seen.push(['page', physOf(page)]),
    );
    expect(result).toBe(0);
    expect(seen).toEqual([
      ['page', first],
      ['page', low],
      ['block', 3 * 4096],
      ['order', 0],
      ['page', second],
      ['page', high],
      ['block', 512 * 4096],
      ['order', 9],
    ]);
  });

  it('stops at the first answer', () => {
    const { ram, first } = makeList();
    let seen = 0;
    expect(walkBitmapChunks(ram, first, () => (++seen === 1 ? -5 : 0))).toBe(-5);
    expect(seen).toBe(1);
  });
});

describe('a list from a corrupted handover', () => {
  it.each([32, 2 ** 20])('that comes back to itself is not walked for ever, with %i MiB', (mib) => {
    const { ram, first, second } = makeList({ ramBytes: mib * 2 ** 20 });
    ram.store64(second + NEXT, first);
    const visits: number[] = [];
    const walk = (): number => walkBitmapChunks(ram, first, (address) => (visits.push(address) > 9 ? -1 : 0));
    expect(walk).toThrow(EndlessWalk);
    expect(visits).toEqual([3 * 4096, 512 * 4096]);
    ram.store64(first + NEXT, first);
    expect(walk).toThrow(EndlessWalk);
  });

  it('with more entries than a chunk holds is read on in the memory behind it', () => {
    const { ram, first, low, high } = makeList();
    for (let i = 1; i < KHOSER_BITMAP_SIZE; i++) ram.store64(first + 16 + i * 16 + BITMAP, low);
    // Entry 255 is the start of the next page.
    ram.store64(first + 4096 + PHYS_START, 2 ** 30);
    ram.store64(first + 4096 + BITMAP, high);
    ram.store64(first + NEXT, 0);
    ram.store32(first + NUM_ELMS, KHOSER_BITMAP_SIZE + 1);
    const blocks = walked((visit) => walkBitmapChunks(ram, first, visit));
    expect(blocks).toHaveLength(KHOSER_BITMAP_SIZE + 1);
    expect(blocks.at(-1)).toEqual({ frame: 2 ** 18 + 1, order: 0 });
  });

  it('with a bitmap at NULL faults', () => {
    const { ram, first } = makeList();
    ram.store32(first + NUM_ELMS, 2);
    expect(() => walkBitmapChunks(ram, first, () => 0)).toThrow(PageFault);
  });

  it('with more entries than memory has frames ends all the same', () => {
    const { ram, first, low } = makeList();
    // Every word of memory from the chunk on looks like an entry.
    for (let at = first + 16; at < ram.bytes; at += 16) ram.store64(at + BITMAP, low);
    ram.store32(first + NUM_ELMS, -1);
    let visits = 0;
    expect(() => walkBitmapChunks(ram, first, () => visits++ * 0)).toThrow(EndlessWalk);
    expect(visits).toBeLessThan(ram.bytes / 4096);
  });

  it('that points outside memory faults, at a chunk and at a bitmap', () => {
    const { ram, first } = makeList();
    ram.store64(first + NEXT, ram.bytes);
    expect(() => walkBitmapChunks(ram, first, () => 0)).toThrow(PageFault);
    ram.store64(first + NEXT, 0);
    expect(walkBitmapChunks(ram, first, () => 0)).toBe(0);
    ram.store64(first + 16 + BITMAP, ram.bytes - 8);
    expect(() => walkBitmapChunks(ram, first, () => 0)).toThrow(PageFault);
  });

  it('with an impossible order gives blocks that lie in no memory, not nonsense', () => {
    const { ram, first, low } = makeList();
    ram.store32(low, 0b1001);
    ram.store64(first + NEXT, 0);
    ram.store64(first + 16 + PHYS_START, 2 ** 32);
    for (const bad of [20, 53, 1100, 0xffffffff]) {
      ram.store32(first + ORDER, bad);
      const blocks: [number, number][] = [];
      walkBitmapChunks(ram, first, (address, o) => blocks.push([address, o]) * 0);
      expect(blocks).toEqual([
        [2 ** 32, bad],
        [2 ** 32 + 3 * bytesOf(order(bad)), bad],
      ]);
      for (const [address, o] of blocks) expect(ram.has(address, bytesOf(order(o)))).toBe(false);
    }
  });

  it('ends in one of three ways, whatever its bytes are', () => {
    const { ram, first, second, low, high } = makeList();
    const pages = [first, second, low, high];
    const pointer = fc.oneof(
      fc.constantFrom(...pages),
      fc.nat(ram.bytes),
      fc.double({ min: 0, max: 2 ** 64, noNaN: true }).map(Math.floor),
    );
    const patch = fc.record({
      page: fc.constantFrom(...pages),
      word: fc.oneof({ withCrossShrink: true }, fc.nat(7), fc.nat(510)),
      value: fc.oneof(pointer, fc.constant(0)),
    });
    fc.assert(
      fc.property(fc.array(patch, { minLength: 1, maxLength: 6 }), (patches) => {
        const saved = pages.map((page) => ram.loadBytes(page, 4096));
        for (const { page, word, value } of patches) ram.store64(page + 8 * word, value);
        let budget = 3000;
        try {
          walkBitmapChunks(ram, first, () => (--budget === 0 ? 1 : 0));
        } catch (error) {
          expect(error instanceof PageFault || error instanceof EndlessWalk).toBe(true);
        }
        for (const [i, page] of pages.entries()) ram.storeBytes(page, saved[i] as Uint8Array);
      }),
      { numRuns: 100 },
    );
  });

  it('that is a page of zeroes names nothing', () => {
    const { ram, first } = makeList();
    ram.zeroPages(pfnOf(first), 1);
    expect(walkBitmapChunks(ram, first, () => 1)).toBe(0);
  });
});
