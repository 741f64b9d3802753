/*
 * The frame table: owners, references, stamps, and finding the block that a frame lies in.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SimulatorFault } from '../../sim/base/assert.ts';
import type { Storage } from '../../sim/machine/column.ts';
import { allocatedState, FrameTable, freeState, KHO_PAGE_MAGIC, NO_FRAME } from '../../sim/machine/frames.ts';
import { Journal } from '../../sim/machine/journal.ts';
import { PiecePool } from '../../sim/machine/pool.ts';
import { order, pfn } from './buddy_world.ts';

const FRAMES = 2 ** 14;

const storage = (): Storage => ({ pool: new PiecePool(), journal: new Journal() });

/** Aligned blocks, none inside another: each is added where the earlier ones leave room. */
const blocks = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 12 }), fc.nat(FRAMES - 1), fc.boolean()), {
    maxLength: 12,
    size: 'max',
  })
  .map((wanted) => {
    const kept: { start: number; order: number; free: boolean }[] = [];
    for (const [o, at, free] of wanted) {
      const start = at - (at % 2 ** o);
      const meets = kept.some((b) => start < b.start + 2 ** b.order && b.start < start + 2 ** o);
      if (!meets) kept.push({ start, order: o, free });
    }
    return kept;
  });

describe('laws', () => {
  test('a frame is found in its block, by whatever frame of it', () => {
    fc.assert(
      fc.property(blocks, fc.array(fc.nat(FRAMES - 1), { maxLength: 20 }), (all, probes) => {
        const frames = new FrameTable(storage(), FRAMES);
        const owner = frames.owner('someone');
        for (const { start, order: o, free } of all) {
          const rows = frames.open(pfn(start));
          if (free) frames.makeFree(rows, pfn(start), freeState(o, 1, 3), 0, 0);
          else frames.makeAllocated(rows, pfn(start), allocatedState(o, 1, 3, owner));
        }
        const edges = all.flatMap(({ start, order: o }) => [
          start - 1,
          start,
          start + 2 ** o - 1,
          start + 2 ** o,
        ]);
        for (const p of [...probes, ...edges].filter((p) => p >= 0 && p < FRAMES)) {
          const block = all.find((b) => p >= b.start && p < b.start + 2 ** b.order);
          expect(frames.blockOf(pfn(p))).toBe(block?.start ?? NO_FRAME);
          const isHead = block?.start === p;
          expect(frames.isFreeHead(pfn(p))).toBe(isHead && block.free);
          expect(frames.isAllocatedHead(pfn(p))).toBe(isHead && !block.free);
          expect(frames.refcount(pfn(p))).toBe(isHead && !block.free ? 1 : 0);
          if (isHead) expect(frames.order(pfn(p))).toBe(block.order);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('a stamped block is found by its frames until its stamp is cleared', () => {
    fc.assert(
      fc.property(blocks, fc.nat(), (all, which) => {
        const frames = new FrameTable(storage(), FRAMES);
        for (const { start, order: o } of all) frames.setStamp(pfn(start), o);
        const cleared = all[which % (all.length || 1)];
        if (cleared !== undefined) frames.clearStamp(pfn(cleared.start));
        for (const block of all) {
          const { start, order: o } = block;
          const expected = block === cleared ? NO_FRAME : start;
          for (const p of [start, start + 2 ** o - 1]) {
            expect(frames.stampedBlockOf(pfn(p))).toBe(expected);
            expect(frames.isStamped(pfn(p))).toBe(block !== cleared);
          }
          expect(frames.stampOrder(pfn(start))).toBe(block === cleared ? -1 : o);
          expect(frames.state(pfn(start))).toBe(0);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('a block is plain when no frame in it is a head', () => {
    fc.assert(
      fc.property(blocks, fc.integer({ min: 0, max: 14 }), fc.nat(FRAMES - 1), (all, o, at) => {
        const frames = new FrameTable(storage(), FRAMES);
        for (const b of all) {
          frames.makeFree(frames.open(pfn(b.start)), pfn(b.start), freeState(b.order, 0, 0), 0, 0);
        }
        const start = at - (at % 2 ** o);
        const headInside = all.some((b) => b.start >= start && b.start < start + 2 ** o);
        expect(frames.isPlain(pfn(start), order(o))).toBe(!headInside);
      }),
      { numRuns: 200 },
    );
  });
});

describe('examples', () => {
  const table = (): FrameTable => new FrameTable(storage(), 1000);

  test('owner, instance and references of an allocated block', () => {
    const frames = table();
    const [fdt, node] = [frames.owner('kho root fdt'), frames.owner('kho radix node')];
    expect(frames.owner('kho root fdt')).toBe(fdt);
    expect([fdt, node].map((owner) => frames.ownerName(owner))).toEqual(['kho root fdt', 'kho radix node']);
    frames.makeAllocated(frames.open(pfn(8)), pfn(8), allocatedState(3, 0, 7, fdt));
    expect(frames.ownerOf(pfn(8))).toBe(fdt);
    frames.setOwner(pfn(8), node);
    frames.setInstance(pfn(8), 0xfffffffe);
    frames.setRefcount(pfn(8), -2);
    expect(frames.ownerOf(pfn(8))).toBe(node);
    expect(frames.instance(pfn(8))).toBe(0xfffffffe);
    expect(frames.refcount(pfn(8))).toBe(-2);
    expect(frames.order(pfn(8))).toBe(3);
    expect(() => frames.ownerOf(pfn(9))).toThrow(SimulatorFault);
    expect(() => frames.setRefcount(pfn(9), 1)).toThrow(SimulatorFault);
    expect(() => frames.order(pfn(9))).toThrow(SimulatorFault);
  });

  test('frames begin with no references of an earlier block', () => {
    const frames = table();
    const rows = frames.open(pfn(8));
    frames.makeAllocated(rows, pfn(8), allocatedState(0, 0, 0, frames.owner('a')));
    frames.setInstance(pfn(8), 5);
    frames.setRefcount(pfn(8), 3);
    frames.makeAllocated(rows, pfn(8), allocatedState(0, 0, 0, frames.owner('a')));
    expect([frames.refcount(pfn(8)), frames.instance(pfn(8))]).toEqual([1, 0]);
  });

  test('a stamp holds any 32-bit order, and becoming a head wipes it', () => {
    const frames = table();
    frames.setStamp(pfn(5), 0xfffffff0);
    expect(frames.stampOrder(pfn(5))).toBe(0xfffffff0);
    expect(frames.stampedBlockOf(pfn(5))).toBe(5);
    expect(KHO_PAGE_MAGIC).toBe(Buffer.from('KHOP').readUInt32BE());
    frames.makeFree(frames.open(pfn(5)), pfn(5), freeState(0, 0, 0), 0, 0);
    expect(frames.stampOrder(pfn(5))).toBe(-1);
    expect(() => frames.setStamp(pfn(5), 1)).toThrow(SimulatorFault);
    frames.makePlain(frames.open(pfn(5)), pfn(5));
    expect(frames.stampOrder(pfn(5))).toBe(-1);
  });

  test('only frames of the machine are online', () => {
    const frames = table();
    expect([-1, 0, 999, 1000].map((p) => frames.online(pfn(p)))).toEqual([false, true, true, false]);
  });

  test('names of owners roll back, so their numbers depend on nothing but the run', () => {
    const store = storage();
    const frames = new FrameTable(store, 1000);
    frames.owner('first');
    const mark = store.journal.mark();
    frames.owner('tried');
    store.journal.rollback(mark);
    expect(frames.ownerName(frames.owner('other'))).toBe('other');
    expect(frames.owner('other')).toBe(1);
    expect(frames.owner('tried')).toBe(2);
  });
});
