/*
 * Handovers to be damaged: images of both real kernels and of two simulated ones, and what a walk says of them once a
 * defect is planted.
 */
import { expect, it } from 'vitest';
import { PAGE_SIZE } from '../../sim/base/limits.ts';
import { type Phys, pfnOf } from '../../sim/base/units.ts';
import type { Piece } from '../../sim/check/anatomy.ts';
import { APRIL_V1, V6_19 } from '../../sim/kernel/revisions.ts';
import { u64Bytes } from '../../sim/kho/fdt_abi.ts';
import { bitmapIndex, radixKey } from '../../sim/kho/radix.ts';
import { goldenHandover, handoverOf, type Image, left, piecesOf, problemsOf } from '../support/handovers.ts';

/** An image with the pieces that it has while it is whole. */
export class Bed {
  readonly image: Image;
  readonly pieces: readonly Piece[];

  constructor(image: Image) {
    this.image = image;
    this.pieces = piecesOf(image);
  }

  piece(path: string): Piece {
    const piece = this.pieces.find((found) => found.path === path);
    if (piece === undefined) throw new Error(`no ${path}`);
    return piece;
  }

  phys(path: string): number {
    return this.piece(path).phys;
  }

  /** Address of a field. */
  at(path: string, name: string): number {
    const field = this.piece(path).fields.find((found) => found.name === name);
    if (field === undefined) throw new Error(`no ${path}.${name}`);
    return this.phys(path) + field.offset;
  }

  /** Where a text stands in a piece's page. */
  text(path: string, text: string): number {
    const page = Buffer.from(this.image.memory.loadBytes(this.phys(path), PAGE_SIZE));
    return this.phys(path) + page.indexOf(text);
  }
}

export const BEDS = {
  /** v7.3, two sessions of four with two memfds each, three FLBs. */
  files: new Bed(goldenHandover('k734-flb-test-4sessions')),
  /** v7.1, two memfds in the first session of three. */
  array: new Bed(goldenHandover('k7113-3sessions-2files')),
  april: new Bed(handoverOf(left({ revision: APRIL_V1, sessions: 820 }))),
  bitmaps: new Bed(handoverOf(left({ revision: V6_19, sessions: 2 }))),
} as const;
export type BedName = keyof typeof BEDS;

/** Bytes to be put in place of others. */
export type Change = readonly [at: number, bytes: Uint8Array | number | bigint | string];

export function put({ memory }: Image, changes: readonly Change[]): () => void {
  const before = changes.map(([at, value]): [number, Uint8Array] => {
    const bytes =
      typeof value === 'number' || typeof value === 'bigint'
        ? u64Bytes(value)
        : typeof value === 'string'
          ? Buffer.from(value, 'latin1')
          : value;
    const old = memory.loadBytes(at, bytes.length);
    memory.storeBytes(at, bytes);
    return [at, old];
  });
  return () => {
    for (const [at, old] of before.reverse()) memory.storeBytes(at, old);
  };
}

/** The bit of a block in the leaf of its order, turned over. */
export function turned(bed: Bed, phys: number, order: number, leaf: string): Change {
  const bit = bitmapIndex(radixKey(pfnOf(phys as Phys), order as never));
  const at = bed.phys(leaf) + (bit >>> 3);
  return [at, Uint8Array.of(bed.image.memory.load8(at) ^ (1 << (bit & 7)))];
}

export const FAR = 2 ** 45;

export type Defect = readonly [
  what: string,
  bed: BedName,
  changes: (bed: Bed) => readonly Change[],
  says: string,
];

export function saysOf(defects: readonly Defect[]): void {
  it.each(defects)('%s', (_what, name, changes, says) => {
    const bed = BEDS[name];
    expect(problemsOf(bed.pieces)).toEqual([]);
    const undo = put(bed.image, changes(bed));
    try {
      expect(problemsOf(piecesOf(bed.image))).toContain(says);
    } finally {
      undo();
    }
  });
}

/** Paths that many defects are about. */
export const ROOT = 'kho-root';
export const MEMFD = 'session[0].file[0].memfd';
