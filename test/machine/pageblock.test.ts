/*
 * Migrate types of pageblocks against an array of them.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Journal } from '../../sim/machine/journal.ts';
import {
  CMA,
  type MigrateType,
  MOVABLE,
  PAGEBLOCK_PAGES,
  PageblockTypes,
  UNMOVABLE,
} from '../../sim/machine/pageblock.ts';
import { PiecePool } from '../../sim/machine/pool.ts';
import { pfn } from './buddy_world.ts';

/** 9 GiB: more than four of the regions that are passed over whole. */
const BLOCKS = 4608;
const FRAMES = BLOCKS * PAGEBLOCK_PAGES;

const type = fc.constantFrom<MigrateType>(MOVABLE, UNMOVABLE, CMA);
const place = fc.oneof(
  fc.nat(FRAMES - 1),
  fc.nat(BLOCKS - 1).map((block) => block * PAGEBLOCK_PAGES),
  fc.nat(BLOCKS / 16 - 1).map((word) => word * 16 * PAGEBLOCK_PAGES),
);

test('types are those of an array, and runs end where the type does', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(place, place, type), { maxLength: 6 }),
      fc.array(fc.tuple(place, type), { maxLength: 6 }),
      fc.array(fc.tuple(place, place), { minLength: 1, maxLength: 4 }),
      (fills, sets, probes) => {
        const types = new PageblockTypes({ pool: new PiecePool(), journal: new Journal() }, FRAMES);
        const model = new Uint8Array(BLOCKS);
        for (const [a, b, t] of fills) {
          const [start, end] = a < b ? [a, b] : [b, a];
          types.fill(pfn(start), pfn(end), t);
          if (start < end) {
            model.fill(t, Math.floor(start / PAGEBLOCK_PAGES), Math.ceil(end / PAGEBLOCK_PAGES));
          }
        }
        for (const [at, t] of sets) {
          types.set(pfn(at), t);
          model[Math.floor(at / PAGEBLOCK_PAGES)] = t;
        }
        const read = Uint8Array.from({ length: BLOCKS }, (_, b) => types.get(pfn(b * PAGEBLOCK_PAGES + 511)));
        expect(Buffer.from(read).equals(Buffer.from(model))).toBe(true);
        for (const [a, b] of probes) {
          const [start, end] = a < b ? [a, b] : [b, a];
          const first = Math.floor(start / PAGEBLOCK_PAGES);
          let block = first;
          while (block * PAGEBLOCK_PAGES < end && model[block] === model[first]) block++;
          if (start < end) {
            expect(types.runEnd(pfn(start), pfn(end))).toBe(Math.min(block * PAGEBLOCK_PAGES, end));
          }
        }
      },
    ),
    { numRuns: 150 },
  );
});

test('memory without types of its own takes no room', () => {
  const pool = new PiecePool();
  const types = new PageblockTypes({ pool, journal: new Journal() }, 2 ** 28);
  types.fill(pfn(0), pfn(2 ** 28), MOVABLE);
  types.set(pfn(512), MOVABLE);
  expect(types.runEnd(pfn(0), pfn(2 ** 28))).toBe(2 ** 28);
  expect(pool.taken).toBe(0);
});
