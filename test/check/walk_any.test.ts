/*
 * A walk over a handover ends and throws nothing, whatever memory holds.
 */
import { fc, test } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import { PAGE_SIZE } from '../../sim/base/limits.ts';
import type { Piece } from '../../sim/check/anatomy.ts';
import { HandoverWalk } from '../../sim/check/handover_walk.ts';
import { type Image, piecesOf } from '../support/handovers.ts';
import { BEDS, type BedName, type Change, FAR, put, ROOT } from './damage.ts';

describe('a walk ends, whatever memory holds', () => {
  const value = fc.oneof(
    fc.constantFrom(0, 1, 0xff, 2 ** 20, 2 ** 32, FAR, 2 ** 52),
    fc.nat({ max: 2 ** 28 }).map((page) => page * 8),
    fc.nat().map((nth) => -1 - nth),
  );
  const write = fc.tuple(fc.nat(), fc.nat({ max: 4095 }), value);
  const name = fc.constantFrom<BedName>('files', 'array', 'april', 'bitmaps');

  function walked({ memory, fdtPhys }: Image): void {
    const walk = new HandoverWalk(memory, fdtPhys);
    const paths = new Set<string>();
    for (const { path, phys, bytes, fields } of walk.pieces()) {
      expect(paths.has(path)).toBe(false);
      paths.add(path);
      expect(paths.size).toBeLessThan(100_000);
      expect(bytes === 0 || memory.has(phys, bytes)).toBe(true);
      for (const { offset, bytes: size } of fields) expect(memory.has(phys + offset, size)).toBe(true);
    }
    let blocks = 0;
    for (const { phys, order } of walk.preserved()) {
      expect(memory.has(phys, PAGE_SIZE * 2 ** order)).toBe(true);
      expect(++blocks).toBeLessThan(1_000_000);
    }
    expect([...walk.unreached()].length).toBeLessThanOrEqual(blocks);
  }

  test.prop([name, fc.array(write, { minLength: 1, maxLength: 6 })], { numRuns: 150 })(
    'and a word of any piece is anything',
    (bedName, writes) => {
      const { image, pieces } = BEDS[bedName];
      const changes = writes.map(([nth, offset, number]): Change => {
        const { phys, bytes } = pieces[nth % pieces.length] as Piece;
        // A negative number is the address of a piece.
        const word =
          number < 0 ? (pieces[-1 - number < pieces.length ? -1 - number : 0] as Piece).phys : number;
        return [phys + ((offset % Math.max(bytes - 7, 1)) & ~7), word];
      });
      const undo = put(image, changes);
      try {
        walked(image);
      } finally {
        undo();
      }
    },
  );

  test.prop([name, fc.nat(), fc.infiniteStream(fc.integer({ min: 0, max: 255 }))], { numRuns: 30 })(
    'and a page of any piece is noise',
    (bedName, nth, noise) => {
      const { image, pieces } = BEDS[bedName];
      const { phys } = pieces[nth % pieces.length] as Piece;
      const page = phys - (phys % PAGE_SIZE);
      const undo = put(image, [
        [page, Uint8Array.from({ length: PAGE_SIZE }, () => noise.next().value as number)],
      ]);
      try {
        walked(image);
      } finally {
        undo();
      }
    },
  );

  it('where the root is no page of memory', () => {
    for (const fdtPhys of [0, 8, FAR, 2 ** 60]) {
      const [piece, ...others] = piecesOf({ ...BEDS.files.image, fdtPhys });
      expect(others).toEqual([]);
      expect(piece).toMatchObject({ path: ROOT, bytes: 0, fields: [] });
      expect(piece?.problems).toEqual([
        `the address of the root is 0x${fdtPhys.toString(16)}: no page of memory`,
      ]);
    }
  });
});
