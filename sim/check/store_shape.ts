/*
 * How sessions lie in memory in each store, as its reader decodes them: what the oracles need to walk one without the
 * store's own code.
 *
 *   array-16          count                 819 sessions    16 pages
 *   block-chain-16    next, count           819 a block     16 pages each
 *   block-set-1       next, count            51 a block     1 page each, never empty
 *
 * and files: 128 in an array of 2 pages, 127 in a block of 2 pages, 63 in a block of 1 page.
 */
import { entriesIn, type Layout } from '../base/layout.ts';
import { type Order, orderOf } from '../base/units.ts';
import type { Parts } from '../kernel/revisions.ts';
import { KHO_BLOCK_HEADER_SER, KHO_BLOCK_SIZE, KHO_MAX_BLOCKS } from '../kho/abi.ts';
import {
  LUO_FILE_BLOCK_SER,
  LUO_FILE_BYTES,
  LUO_FILE_SER,
  LUO_MAX_BLOCKS,
  LUO_SESSION_ARRAY_SER,
  LUO_SESSION_BLOCK_SER,
  LUO_SESSION_BYTES,
  LUO_SESSION_SER,
} from '../luo/abi.ts';

export interface StoreShape {
  readonly header: Layout<string>;
  readonly headerBytes: number;
  readonly countAt: number;
  /** Where the address of the next block stands; undefined where there is one region. */
  readonly nextAt: number | undefined;
  readonly perBlock: number;
  readonly order: Order;
  readonly blocksMax: number;
  /** Whether the reader takes a block with count 0. */
  readonly emptyBlocks: boolean;
  /** Whether the root names the first block from boot on, or only once sessions are serialized. */
  readonly publishedAtBoot: boolean;
}

const SHAPES: Readonly<Record<Parts['sessionStore'], StoreShape>> = {
  'array-16': {
    header: LUO_SESSION_ARRAY_SER,
    headerBytes: LUO_SESSION_ARRAY_SER.size,
    countAt: LUO_SESSION_ARRAY_SER.at.count,
    nextAt: undefined,
    perBlock: entriesIn(LUO_SESSION_BYTES, LUO_SESSION_ARRAY_SER, LUO_SESSION_SER),
    order: orderOf(LUO_SESSION_BYTES),
    blocksMax: 1,
    emptyBlocks: true,
    publishedAtBoot: true,
  },
  'block-chain-16': {
    header: LUO_SESSION_BLOCK_SER,
    headerBytes: LUO_SESSION_BLOCK_SER.size,
    countAt: LUO_SESSION_BLOCK_SER.at.count,
    nextAt: LUO_SESSION_BLOCK_SER.at.next,
    perBlock: entriesIn(LUO_SESSION_BYTES, LUO_SESSION_BLOCK_SER, LUO_SESSION_SER),
    order: orderOf(LUO_SESSION_BYTES),
    blocksMax: LUO_MAX_BLOCKS,
    emptyBlocks: true,
    publishedAtBoot: true,
  },
  'block-set-1': {
    header: KHO_BLOCK_HEADER_SER,
    headerBytes: KHO_BLOCK_HEADER_SER.size,
    countAt: KHO_BLOCK_HEADER_SER.at.count,
    nextAt: KHO_BLOCK_HEADER_SER.at.next,
    perBlock: entriesIn(KHO_BLOCK_SIZE, KHO_BLOCK_HEADER_SER, LUO_SESSION_SER),
    order: orderOf(KHO_BLOCK_SIZE),
    blocksMax: KHO_MAX_BLOCKS,
    emptyBlocks: false,
    publishedAtBoot: false,
  },
};

export const shapeOf = (store: Parts['sessionStore']): StoreShape => SHAPES[store];

/** How the files of a session lie in memory. */
export interface FileShape {
  readonly headerBytes: number;
  /** Where a region counts its files; undefined where only the session's slot does. */
  readonly countAt: number | undefined;
  readonly nextAt: number | undefined;
  readonly perBlock: number;
  readonly order: Order;
  readonly blocksMax: number;
}

const FILE_SHAPES: Readonly<Record<Parts['fileStore'], FileShape>> = {
  'array-2': {
    headerBytes: 0,
    countAt: undefined,
    nextAt: undefined,
    perBlock: Math.floor(LUO_FILE_BYTES / LUO_FILE_SER.size),
    order: orderOf(LUO_FILE_BYTES),
    blocksMax: 1,
  },
  'block-chain-2': {
    headerBytes: LUO_FILE_BLOCK_SER.size,
    countAt: LUO_FILE_BLOCK_SER.at.count,
    nextAt: LUO_FILE_BLOCK_SER.at.next,
    perBlock: entriesIn(LUO_FILE_BYTES, LUO_FILE_BLOCK_SER, LUO_FILE_SER),
    order: orderOf(LUO_FILE_BYTES),
    blocksMax: LUO_MAX_BLOCKS,
  },
  'block-set-1': {
    headerBytes: KHO_BLOCK_HEADER_SER.size,
    countAt: KHO_BLOCK_HEADER_SER.at.count,
    nextAt: KHO_BLOCK_HEADER_SER.at.next,
    perBlock: entriesIn(KHO_BLOCK_SIZE, KHO_BLOCK_HEADER_SER, LUO_FILE_SER),
    order: orderOf(KHO_BLOCK_SIZE),
    blocksMax: KHO_MAX_BLOCKS,
  },
};

export const fileShapeOf = (store: Parts['fileStore']): FileShape => FILE_SHAPES[store];

/** Sessions, or files of a session, that a store has room for. */
export const capacityOf = ({ perBlock, blocksMax }: Pick<StoreShape, 'perBlock' | 'blocksMax'>): number =>
  perBlock * blocksMax;
