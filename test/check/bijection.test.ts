/*
 * Two handovers are the same but for where their pages lie, or the first difference is named. Laws of the comparison:
 *
 *   every handover is the same as itself, and as any copy of it with its pages elsewhere
 *   a changed byte that is part of no address is a difference, and so are two addresses that changed places
 */
import { fc, test } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import type { Piece } from '../../sim/check/anatomy.ts';
import { handoverDifference } from '../../sim/check/bijection.ts';
import type { Difference } from '../../sim/check/difference.ts';
import { HandoverWalk } from '../../sim/check/handover_walk.ts';
import { isMapPiece } from '../../sim/check/tracker_view.ts';
import { REVISIONS, V6_19, V7_1, V7_3 } from '../../sim/kernel/revisions.ts';
import { u64Bytes } from '../../sim/kho/fdt_abi.ts';
import type { Ram } from '../../sim/machine/ram.ts';
import { goldenHandover, handoverOf, type Image, left, piecesOf, problemsOf } from '../support/handovers.ts';
import { relocated } from '../support/relocate.ts';
import { MIB } from '../support/system.ts';

/** A handover, and another that is the same and can be changed. */
type Pair = readonly [Image, Image];

/** Two of a real kernel; folios that are not known are filled so that no two are equal. */
function golden(stem: string): Pair {
  const image = (): Image => {
    const { memory, fdtPhys } = goldenHandover(stem);
    for (const [i, { path, phys }] of piecesOf({ memory, fdtPhys }).entries()) {
      if (path.includes('.contents[')) memory.store32(phys + 2048, i);
    }
    return { memory, fdtPhys };
  };
  return [image(), image()];
}

function simulated(...lefts: Parameters<typeof left>): Pair {
  return [handoverOf(left(...lefts)), handoverOf(left(...lefts))];
}

const FILES = 'k734-flb-test-4sessions';
const IMAGES: Readonly<Record<string, Pair>> = {
  [FILES]: golden(FILES),
  'k7113-3sessions-2files': golden('k7113-3sessions-2files'),
  'v6.19': simulated({ revision: V6_19, sessions: 3 }),
  'v7.1': simulated({ revision: V7_1, sessions: 2 }),
};
const anyImage = fc.constantFrom(...Object.keys(IMAGES));
const imageOf = (name: string): Pair => IMAGES[name] as Pair;

describe('placement', () => {
  it.each(Object.keys(IMAGES))('%s is the same as itself', (name) => {
    const [image, same] = imageOf(name);
    expect(handoverDifference(image, image)).toBeUndefined();
    expect(handoverDifference(image, same)).toBeUndefined();
  });

  const withTree = fc.constantFrom(...Object.keys(IMAGES).filter((name) => name !== 'v6.19'));
  test.prop([withTree, fc.integer()], { numRuns: 6 })('does not count', (name, seed) => {
    const [image] = imageOf(name);
    const copy = relocated(image, `${seed}`);
    expect(copy.fdtPhys).not.toBe(image.fdtPhys);
    expect(handoverDifference(image, copy)).toBeUndefined();
    expect(handoverDifference(copy, image)).toBeUndefined();
  });

  it.each(REVISIONS)('does not count for what $name leaves on machines of different sizes', (revision) => {
    const [one, other] = [32 * MIB, 512 * MIB].map((ramBytes) => left({ revision, sessions: 60, ramBytes }));
    expect(handoverDifference(handoverOf(one as never), handoverOf(other as never))).toBeUndefined();
  });

  it('does not count where lib/test_kho.c saved, too; but its last byte does', () => {
    const one = handoverOf(left({ revision: V7_3, sessions: 2, khoTest: true }));
    const other = relocated(one, 'kho_test');
    expect(handoverDifference(one, other)).toBeUndefined();
    const pieces = piecesOf(other);
    expect(problemsOf(pieces)).toEqual([]);
    const { path, phys, bytes } = pieces.findLast((p) => p.path.startsWith('kho_test.folio')) as Piece;
    other.memory.store8(phys + bytes - 1, other.memory.load8(phys + bytes - 1) ^ 1);
    expect(handoverDifference(one, other)).toMatchObject({ path, field: `byte ${bytes - 1}` });
  });
});

/** Pages of the map that hold addresses: they follow from where blocks lie. */
const LINKS = ['kho_radix_node', 'khoser_mem_chunk'];

/** Pieces, and which bytes are parts of addresses. */
function anatomyOf({ memory, fdtPhys }: Image): { pieces: Piece[]; addresses: Set<number> } {
  const pieces = [...new HandoverWalk(memory, fdtPhys).pieces()].filter(
    ({ struct }) => !LINKS.includes(struct),
  );
  const addresses = new Set<number>();
  for (const { phys, fields } of pieces) {
    for (const { kind, offset, bytes } of fields) {
      if (kind === 'address') for (let i = 0; i < bytes; i++) addresses.add(phys + offset + i);
    }
  }
  return { pieces, addresses };
}

const ANATOMIES = new Map(Object.entries(IMAGES).map(([name, [image]]) => [name, anatomyOf(image)]));

/** Changes memory, compares, and takes the change back. */
function differenceBy([image, other]: Pair, at: number, bytes: Uint8Array): Difference | undefined {
  const before = other.memory.loadBytes(at, bytes.length);
  other.memory.storeBytes(at, bytes);
  try {
    return handoverDifference(image, other);
  } finally {
    other.memory.storeBytes(at, before);
  }
}

describe('a changed byte', () => {
  const spot = fc.tuple(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }));
  test.prop([anyImage, spot], { numRuns: 60 })(
    'is a difference, wherever it is',
    (name, [nth, byte, mask]) => {
      const pair = imageOf(name);
      const { pieces, addresses } = ANATOMIES.get(name) as ReturnType<typeof anatomyOf>;
      const { phys, bytes, order } = pieces[nth % pieces.length] as Piece;
      // Of a block all of it, behind its last entry, too.
      const at = phys + (byte % (order === undefined ? bytes : 4096 * 2 ** order));
      fc.pre(!addresses.has(at));
      const changed = Uint8Array.of(pair[1].memory.load8(at) ^ mask);
      expect(differenceBy(pair, at, changed)).toBeDefined();
    },
  );
});

describe('two addresses that changed places', () => {
  const two = fc.tuple(fc.nat(), fc.nat());
  test.prop([anyImage, two], { numRuns: 40 })('are a difference', (name, [first, second]) => {
    const pair = imageOf(name);
    const [, { memory }] = pair;
    const { pieces } = ANATOMIES.get(name) as ReturnType<typeof anatomyOf>;
    const all = pieces
      .filter((piece) => !isMapPiece(piece))
      .flatMap(({ phys, fields }) => fields.map((field) => ({ ...field, at: phys + field.offset })))
      .filter(({ kind, value }) => kind === 'address' && value !== 0);
    const [one, other] = [all[first % all.length], all[second % all.length]];
    fc.pre(
      one !== undefined && other !== undefined && one.value !== other.value && one.bytes === other.bytes,
    );
    if (one === undefined || other === undefined) return;
    const [mine, theirs] = [memory.loadBytes(one.at, one.bytes), memory.loadBytes(other.at, other.bytes)];
    memory.storeBytes(other.at, mine);
    try {
      expect(differenceBy(pair, one.at, theirs)).toBeDefined();
    } finally {
      memory.storeBytes(other.at, theirs);
    }
  });
});

describe('a difference is named', () => {
  const at = (path: string): Piece =>
    ANATOMIES.get(FILES)?.pieces.find((piece) => piece.path === path) as Piece;
  const inside = (path: string, name: string): number =>
    at(path).phys + (at(path).fields.find((field) => field.name === name)?.offset ?? 0);
  const u64 = (value: number): Uint8Array => u64Bytes(value);
  const text = (letters: string): Uint8Array => new TextEncoder().encode(letters);
  const memory: Ram = imageOf(FILES)[1].memory;
  const leaf = at('radix-leaf[0]').phys;
  /** The word of the leaf that has the bit of a block of order 0. */
  const word = (phys: number): number => leaf + 4 * ((phys / 4096) >>> 5);

  const named: [string, number, Uint8Array, Difference][] = [
    [
      'a name',
      inside('session[1]', 'name'),
      text('S'),
      { path: 'session[1]', field: 'name', one: '"session-0001"', other: '"Session-0001"' },
    ],
    [
      'what stands behind the end of a name',
      inside('session[1]', 'name') + 20,
      text('x'),
      { path: 'session[1]', field: 'name', one: '0x00', other: '0x78' },
    ],
    [
      'what stands behind the last session',
      at('session-block[0]').phys + 4000,
      text('x'),
      { path: 'session-block[0]', field: 'byte 4000', one: '0x00', other: '0x78' },
    ],
    [
      'a number',
      inside('session[0].file[1]', 'token'),
      u64(0x1002),
      { path: 'session[0].file[1]', field: 'token', one: '4097', other: '4098' },
    ],
    [
      'a byte of a folio',
      at('session[3].file[0].memfd.contents[0]').phys + 5,
      text('X'),
      { path: 'session[3].file[0].memfd.contents[0]', field: 'byte 5', one: '0x6f', other: '0x58' },
    ],
    [
      'an address that is 0',
      inside('session[3]', 'file_set_ser.files'),
      u64(0),
      { path: 'session[3]', field: 'file_set_ser.files', one: '0xa39000', other: '0x0' },
    ],
    [
      'an address with another offset in its page',
      inside('session[3]', 'file_set_ser.files'),
      u64(0xa39008),
      { path: 'session[3]', field: 'file_set_ser.files', one: '0xa39000', other: '0xa39008' },
    ],
    [
      'a second address of a page that one stands for already',
      inside('session[3]', 'file_set_ser.files'),
      u64(at('session[0].file-block[0]').phys),
      { path: 'session[3]', field: 'file_set_ser.files', one: '0xa39000', other: '0xa2d000' },
    ],
    [
      'a session less',
      inside('session-block[0]', 'count'),
      u64(3),
      { path: 'session-block[0]', field: 'count', one: '4', other: '3' },
    ],
    [
      'a block that is not preserved',
      word(at('flb-page').phys),
      u64(memory.load64(word(at('flb-page').phys)) - 2 ** ((at('flb-page').phys / 4096) % 32)).subarray(0, 4),
      { path: 'flb-page', field: 'order', one: '0', other: 'undefined' },
    ],
    [
      'one more that nobody reaches',
      word(0x400000),
      Uint8Array.of(1),
      {
        path: 'preserved-memory-map',
        field: 'blocks of order 0 that nobody reaches',
        one: 'fewer',
        other: '1 more',
      },
    ],
    [
      'a map that is broken elsewhere',
      at('radix-leaf[0]').phys - 8,
      u64(2 ** 45),
      { path: 'preserved-memory-map', field: 'problems', one: 'fewer', other: '1 more' },
    ],
  ];

  it.each(named)('%s', (_what, where, bytes, difference) => {
    expect(differenceBy(imageOf(FILES), where, bytes)).toEqual(difference);
  });

  it('another sequence of pieces', () => {
    const [image] = imageOf(FILES);
    const other = imageOf('k7113-3sessions-2files')[0];
    expect(handoverDifference(image, other)).toMatchObject({ path: 'kho-root', field: 'compatible' });
    expect(handoverDifference({ ...image, fdtPhys: 0x1000 }, image)).toMatchObject({ path: 'kho-root' });
  });
});
