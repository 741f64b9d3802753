/*
 * What a walk says of damaged files and memfds; and that it ends and throws nothing, whatever memory holds.
 */
import { fc, test } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import { PAGE_SIZE } from '../../sim/base/limits.ts';
import type { Piece } from '../../sim/check/anatomy.ts';
import { HandoverWalk } from '../../sim/check/handover_walk.ts';
import { type Image, piecesOf, problemsOf } from '../support/handovers.ts';
import { BEDS, type BedName, type Change, FAR, MEMFD, put, ROOT, saysOf, turned } from './damage.ts';

describe('files', () => {
  saysOf([
    [
      'are fewer than the session counts',
      'files',
      (b) => [[b.at('session[0]', 'file_set_ser.count'), 3]],
      'session[0].file-block[0] ends a chain of 2 entries, where 3 are expected',
    ],
    [
      'are more than the region has',
      'array',
      (b) => [[b.at('session[0]', 'file_set_ser.count'), 129]],
      'session[0] counts 129 files of 128',
    ],
    [
      'of two sessions lie in one block',
      'files',
      (b) => [[b.at('session[3]', 'file_set_ser.files'), b.phys('session[0].file-block[0]')]],
      'session[3].file-block[0] lies where another piece does',
    ],
    [
      'are in a region of another order',
      'array',
      (b) => [turned(b, b.phys('session[0].file-block[0]'), 1, 'radix-leaf[1]')],
      'session[0].file-block[0] is not preserved',
    ],
    [
      'have no handler',
      'files',
      (b) => [[b.phys('session[0].file[0]'), 'memfd-v3']],
      `session[0].file[0] no handler is known for 'memfd-v3'`,
    ],
    [
      'have data elsewhere',
      'files',
      (b) => [[b.at('session[0].file[0]', 'data'), FAR]],
      'session[0].file[0] data is 0x200000000000: no page of memory',
    ],
    [
      'have seals of another time',
      'files',
      (b) => [[b.at(MEMFD, 'seals'), '\x40']],
      `${MEMFD} has seals 0x40, which no reader knows`,
    ],
    [
      'have flags',
      'files',
      (b) => [[b.at(MEMFD, 'flags'), '\x01']],
      `${MEMFD} has flags 0x1, which no reader knows`,
    ],
    [
      'have more folios than their array',
      'files',
      (b) => [[b.at(MEMFD, 'nr_folios'), 257]],
      `${MEMFD} counts 257 folios, its array has room for 256`,
    ],
    [
      'have folios nowhere',
      'files',
      (b) => [[b.at(MEMFD, 'folios.first'), 0]],
      `${MEMFD} folios.first is 0x0: no page of memory`,
    ],
    [
      'have an array of no known kind',
      'files',
      (b) => [[b.at(MEMFD, 'folios.flags'), '\x05']],
      `${MEMFD} folios.flags has 0x4, which no reader knows`,
    ],
    [
      'have an array of no order',
      'files',
      (b) => [[b.at(MEMFD, 'folios.order'), '\x0b']],
      `${MEMFD} folios.order is 11: no order of a page`,
    ],
    [
      'have a chunk that is not preserved',
      'files',
      (b) => [turned(b, b.phys(`${MEMFD}.chunk[0]`), 0, 'radix-leaf[0]')],
      `${MEMFD}.chunk[0] is not preserved`,
    ],
    [
      'have a chunk that leads elsewhere',
      'files',
      (b) => [[b.at(`${MEMFD}.chunk[0]`, 'next'), 4]],
      `${MEMFD}.chunk[0] next is 0x4: no page of memory`,
    ],
    [
      'have a chunk with a page elsewhere',
      'files',
      (b) => [[b.at(`${MEMFD}.chunk[0]`, 'phys[0]'), FAR]],
      `${MEMFD}.chunk[0] phys[0] is 0x200000000000: no page of memory`,
    ],
    [
      'have a page too many',
      'files',
      (b) => [[b.at(`${MEMFD}.chunk[0]`, 'phys[0]') + 8, 0x900000]],
      `${MEMFD}.chunk[0] brings the list to 2 pages, of an area of 1`,
    ],
    [
      'have a page too few',
      'files',
      (b) => [[b.at(`${MEMFD}.chunk[0]`, 'phys[0]'), 0]],
      `${MEMFD}.chunk[0] brings the list to 0 pages, of an area of 1`,
    ],
    [
      'have a folio elsewhere',
      'files',
      (b) => [[b.at(`${MEMFD}.folio[0]`, 'pfn'), '\xff\xff\xff\xff\xff\xff']],
      `${MEMFD}.folio[0] the page of pfn is 0xffffffffffff000: no page of memory`,
    ],
    [
      'have a folio with flags',
      'files',
      (b) => [[b.at(`${MEMFD}.folio[0]`, 'flags'), '\x70\x00']],
      `${MEMFD}.folio[0] has flags 0x4, which no reader knows`,
    ],
    [
      'have a folio twice',
      'files',
      (b) => [
        [
          b.at('session[0].file[1].memfd.folio[1]', 'pfn'),
          b.image.memory.loadBytes(b.phys('session[0].file[1].memfd.folio[0]'), 6),
        ],
      ],
      'session[0].file[1].memfd.contents[1] lies where another piece does',
    ],
    [
      'have a folio that is not preserved',
      'array',
      (b) => [turned(b, b.phys(`${MEMFD}.contents[0]`), 0, 'radix-leaf[2]')],
      `${MEMFD}.contents[0] is not preserved`,
    ],
  ]);

  it('of the first format have no seals and their folios 8 bytes earlier', () => {
    const bed = BEDS.files;
    const [file, record] = [bed.phys('session[0].file[0]'), bed.phys(MEMFD)];
    const words = bed.image.memory.loadBytes(record, 48);
    const v1 = new Uint8Array(48);
    v1.set(words.subarray(0, 16));
    v1.set(words.subarray(24), 16);
    const undo = put(bed.image, [
      [file, 'memfd-v1'],
      [record, v1],
    ]);
    try {
      const pieces = piecesOf(bed.image);
      expect(problemsOf(pieces)).toEqual([]);
      const found = pieces.find(({ path }) => path === MEMFD);
      expect(found?.fields.map(({ name, value }) => [name, value])).toEqual([
        ['pos', 24],
        ['size', 24],
        ['nr_folios', 1],
        ['folios.first', 0xa31000],
        ['folios.total_pages', 1],
        ['folios.flags', 1],
        ['folios.order', 0],
      ]);
    } finally {
      undo();
    }
  });

  it('that are unreached are told', () => {
    const bed = BEDS.files;
    const undo = put(bed.image, [
      [bed.at('session[0]', 'file_set_ser.files'), 0],
      [bed.at('session[0]', 'file_set_ser.count'), 0],
    ]);
    const walk = new HandoverWalk(bed.image.memory, bed.image.fdtPhys);
    expect(problemsOf(walk.pieces())).toEqual([]);
    const unreached = [...walk.unreached()].map(({ phys }) => phys);
    undo();
    const files = bed.pieces.filter(
      ({ path, order }) => path.startsWith('session[0].') && order !== undefined,
    );
    expect(unreached).toEqual(files.map(({ phys }) => phys).sort((x, y) => x - y));
  });
});

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
    const wrong: string[] = [];
    for (const { path, phys, bytes, fields } of walk.pieces()) {
      if (paths.has(path)) wrong.push(`${path} is there twice`);
      paths.add(path);
      const inside = bytes === 0 || memory.has(phys, bytes);
      if (!inside || !fields.every(({ offset, bytes: size }) => memory.has(phys + offset, size)))
        wrong.push(path);
      if (paths.size > 100_000) throw new Error('a walk does not end');
    }
    expect(wrong).toEqual([]);
    let blocks = 0;
    for (const { phys, order } of walk.preserved()) {
      if (!memory.has(phys, PAGE_SIZE * 2 ** order)) throw new Error('a block beyond memory');
      if (++blocks > 1_000_000) throw new Error('a map does not end');
    }
    expect([...walk.unreached()].length).toBeLessThanOrEqual(blocks);
  }

  test.prop([name, fc.array(write, { minLength: 1, maxLength: 6 })], { numRuns: 60 })(
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

  test.prop([name, fc.nat(), fc.infiniteStream(fc.integer({ min: 0, max: 255 }))], { numRuns: 12 })(
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
