/*
 * Physical memory against an array of bytes: loads and stores of every width, at any address, over garbage, guarded
 * pages and the memory of another machine; what a rollback restores, and that memory given back is zero.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Pfn, Phys } from '../../sim/base/units.ts';
import { Journal, type Mark } from '../../sim/machine/journal.ts';
import { PageFault } from '../../sim/machine/page_fault.ts';
import { PiecePool } from '../../sim/machine/pool.ts';
import { Ram } from '../../sim/machine/ram.ts';
import { patternWord } from '../../sim/machine/stamps.ts';
import { runs } from '../support/seed.ts';
import { type Copy, RAM_BYTES, RamWorld, step } from './ram_world.ts';

describe('laws', () => {
  test('a terabyte of stamps costs their number, and blocks that are cut stay what they were', () => {
    const ram = new Ram({ pool: new PiecePool(), journal: new Journal() }, 2 ** 40);
    for (let i = 0; i < 1000; i++) {
      ram.stampPages((i * 262_144) as Pfn, 512, { seed: i, every: 0, index: 0 });
      expect(ram.stampOf((i * 262_144) as Pfn, 9)).toEqual({ seed: i, every: 0, index: 0 });
    }
    expect([ram.residentBytes, ram.stampedBlocks().length]).toEqual([0, 1000]);
    ram.zeroPages(100 as Pfn, 1);
    const words = new Int32Array(3072);
    ram.loadWords(99 * 4096, words, 0, 3072);
    expect(words.subarray(1024, 2048).every((word) => word === 0)).toBe(true);
    expect([words[0], words[2048]]).toEqual([patternWord(0, 99 * 4096), patternWord(0, 101 * 4096)]);
    // 256 + 128 + 64 pages around, and 64 cut down to the one that went.
    expect(
      ram
        .stampedBlocks()
        .filter(({ first }) => first < 512)
        .map(({ order }) => order),
    ).toEqual([6, 5, 2, 0, 1, 3, 4, 7, 8]);
    expect(ram.residentBytes).toBe(0);
  });

  test('memory is an array of bytes, and what is not memory faults', () => {
    fc.assert(
      fc.property(fc.boolean(), fc.array(step, { maxLength: 60, size: 'max' }), (backed, steps) => {
        const world = new RamWorld(undefined, backed);
        for (const s of steps) world.step(s);
        world.check();
      }),
      { numRuns: runs(20) },
    );
  });

  test('a rollback restores every byte', () => {
    const marked = fc.oneof(
      { weight: 5, arbitrary: step },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('mark' as const) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('rollback' as const), which: fc.nat(5) }) },
    );
    fc.assert(
      fc.property(fc.boolean(), fc.array(marked, { maxLength: 60, size: 'max' }), (backed, steps) => {
        const world = new RamWorld(undefined, backed);
        const { journal } = world.storage;
        const marks: { mark: Mark; copy: Copy }[] = [];
        for (const s of steps) {
          if (s.kind === 'mark') {
            const copy = world.copy();
            marks.push({ mark: journal.mark(), copy });
          } else if (s.kind === 'rollback') {
            const to = marks[s.which % (marks.length || 1)];
            if (to === undefined) continue;
            journal.rollback(to.mark);
            marks.length = to.mark.depth;
            world.restore(to.copy);
            world.check();
          } else {
            world.step(s);
          }
        }
        world.check();
      }),
      { numRuns: runs(20) },
    );
  });

  test('memory given back is zero', () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.array(step, { maxLength: 40, size: 'max' }),
        fc.nat(40),
        (backed, steps, markAt) => {
          const world = new RamWorld(undefined, backed);
          const { journal, pool } = world.storage;
          let mark: Mark | undefined;
          for (const [i, s] of steps.entries()) {
            if (i === markAt) mark = journal.mark();
            world.step(s);
          }
          if (mark !== undefined) journal.rollback(mark);
          world.ram.dispose();
          expect(pool.taken).toBe(0);
          for (let n = 0; n < RAM_BYTES / 65536; n++) expect(pool.take().every((w) => w === 0)).toBe(true);
        },
      ),
      { numRuns: 20 },
    );
  });
});

describe('examples', () => {
  const machine = (bytes: number): { ram: Ram; pool: PiecePool; journal: Journal } => {
    const storage = { pool: new PiecePool(), journal: new Journal() };
    return { ram: new Ram(storage, bytes), ...storage };
  };

  test('a terabyte costs what is written to it', () => {
    const { ram, journal } = machine(2 ** 40);
    const mark = journal.mark();
    ram.store64(2 ** 40 - 8, 2 ** 52 + 1);
    ram.store32(2 ** 39 + 2, -2);
    expect(ram.load64(2 ** 40 - 8)).toBe(2 ** 52 + 1);
    expect(ram.load32(2 ** 39 + 2)).toBe(-2);
    expect(ram.residentBytes).toBe(2 * 65536);
    expect(() => ram.load8(2 ** 40)).toThrow(new PageFault(2 ** 40));
    expect([...ram.dirtyPages()]).toEqual([2 ** 27, 2 ** 28 - 1]);
    journal.rollback(mark);
    expect(ram.residentBytes).toBe(0);
    expect(ram.load64(2 ** 40 - 8)).toBe(0);
  });

  test('memory of any number of chunks is there to its last byte', () => {
    for (const mib of [1, 63, 64, 65, 100, 128]) {
      const { ram } = machine(mib * 2 ** 20);
      ram.store32(mib * 2 ** 20 - 4, 7);
      expect([ram.load32(mib * 2 ** 20 - 4), ram.load32(0)]).toEqual([7, 0]);
    }
  });

  test('a stamp is told of blocks without a page that was written, and of all of those', () => {
    const stamp = { seed: 1, every: 0, index: 0 };
    for (const written of [0, 15, 16, 31, 32, 63]) {
      const { ram } = machine(2 ** 20);
      ram.stampPages(0 as Pfn, 64, stamp);
      ram.store32(written * 4096, 7);
      for (const [first, order] of [
        ...[0, 16, 32, 48].map((page) => [page, 0] as const),
        ...[0, 16, 32, 48].map((page) => [page, 4] as const),
        ...[0, 32].map((page) => [page, 5] as const),
      ]) {
        // Memory materialises by chunks of 16 pages.
        const chunks = [first >> 4, (first + 2 ** order - 1) >> 4] as const;
        const isWritten = written >> 4 >= chunks[0] && written >> 4 <= chunks[1];
        const told = ram.stampOf(first as Pfn, order);
        expect([written, first, order, told]).toEqual([
          written,
          first,
          order,
          isWritten ? undefined : { ...stamp, index: first },
        ]);
      }
    }
  });

  test('reading and zeroing what was never written takes no memory', () => {
    const { ram } = machine(2 ** 24);
    ram.zeroPages(0 as Pfn, 4096);
    expect(ram.load32(12345)).toBe(0);
    expect(ram.residentBytes).toBe(0);
    ram.overwrite(0 as Phys, 2 ** 24, 7);
    expect(ram.load32(4096)).not.toBe(0);
    expect(ram.residentBytes).toBe(0);
    expect(ram.garbageRegions()).toEqual([{ start: 0, bytes: 2 ** 24, seed: 7 }]);
  });

  test('two runs of words that go on in the next page, or chunk, are written and taken back in both', () => {
    for (const edge of [4096, 65536]) {
      const { ram, journal } = machine(131072);
      const told: Pfn[] = [];
      ram.store32(edge - 4, 5);
      ram.store32(edge, 6);
      ram.guardPages((edge / 4096) as Pfn, 1, true);
      ram.onWildWrite = ({ pfn }) => told.push(pfn);
      const mark = journal.mark();
      ram.storeRuns(edge - 8, Int32Array.of(1), 0, 1, Int32Array.of(2, 3, 4), 0, 3);
      expect([-8, -4, 0, 4].map((at) => ram.load32(edge + at))).toEqual([1, 2, 3, 4]);
      expect(told).toEqual([edge / 4096]);
      journal.rollback(mark);
      expect([-8, -4, 0, 4].map((at) => ram.load32(edge + at))).toEqual([0, 5, 6, 0]);
    }
  });

  test('two runs without words write nothing, on a page that must not be written neither', () => {
    const { ram } = machine(131072);
    const told: Pfn[] = [];
    ram.store32(4096, 5);
    ram.guardPages(0 as Pfn, 2, true);
    ram.onWildWrite = ({ pfn }) => told.push(pfn);
    for (const at of [0, 4096]) ram.storeRuns(at, Int32Array.of(1), 0, 0, Int32Array.of(2), 0, 0);
    expect([told, ram.load32(0), ram.load32(4096)]).toEqual([[], 0, 5]);
  });

  test('the address of a fault is the one accessed', () => {
    const { ram } = machine(65536);
    expect(() => ram.load32(65534)).toThrow('unable to handle page fault for address: 0xfffe');
    expect(() => ram.store8(65537, 1)).toThrow(new PageFault(65537));
    expect(() => ram.zeroPages(15 as Pfn, 2)).toThrow(PageFault);
  });
});
