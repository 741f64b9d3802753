/*
 * The radix tree of an extract: its pages where they lay, their contents from the blocks that are listed.
 *
 *   nodes       [address, level] of every table, in the order of a walk: root first, each before its children
 *   leaves      {pa, key, nbits}, ascending; key is that of the leaf's first bit, without its low 15 bits
 *   preserved   [address, order] of the blocks; may end before all of preserved_total are listed
 */
import { PAGE_SIZE } from '../base/limits.ts';
import { type Order, type Phys, pfnOf } from '../base/units.ts';
import { KHO_BITMAP_SIZE_LOG2, KHO_TABLE_SIZE_LOG2, KHO_TREE_MAX_DEPTH } from '../kho/abi.ts';
import { u64Bytes } from '../kho/fdt_abi.ts';
import { bitmapIndex, radixKey, tableIndex } from '../kho/radix.ts';
import type { Place } from './extracted_json.ts';
import type { Sheets } from './sheets.ts';

const TOP = KHO_TREE_MAX_DEPTH - 1;
const BITMAP_BITS = 2 ** KHO_BITMAP_SIZE_LOG2;
const ORDER_MAX = 52;

/** Puts every page of the tree in place; says in `missing` which blocks are not listed. How many are, and of how many. */
export function placeTree(
  map: Place,
  sheets: Sheets,
  missing: string[],
): { readonly listed: number; readonly total: number } {
  const bitmaps = bitmapsOf(map, missing);
  const tables = new Map<string, { readonly pa: Place; readonly bytes: Uint8Array }>();
  const nodes = map.get('nodes').list();
  let used = 0;
  const table = (level: number, key: number): Uint8Array => {
    const name = `${level} ${level === TOP ? 0 : prefix(key, level)}`;
    const known = tables.get(name);
    if (known !== undefined) return known.bytes;
    const node = nodes[used++] ?? map.get('nodes').wrong('fewer tables than its leaves need');
    const [pa, own] = node.list();
    if (pa === undefined || own?.whole(TOP) !== level) return node.wrong(`no table of level ${level}`);
    if (level === TOP && pa.page() !== map.get('root_pa').page()) pa.wrong('not root_pa');
    const bytes = new Uint8Array(PAGE_SIZE);
    tables.set(name, { pa, bytes });
    if (level < TOP) table(level + 1, key).set(u64Bytes(pa.page()), 8 * tableIndex(key, level + 1));
    return bytes;
  };
  for (const leaf of map.get('leaves').list()) {
    const key = leaf.get('key').number() * BITMAP_BITS;
    for (let level = TOP; level > 0; level--) table(level, key);
    table(1, key).set(u64Bytes(leaf.get('pa').page()), 8 * tableIndex(key, 1));
    sheets.put(leaf.get('pa'), bitmaps.get(key) as Uint8Array);
  }
  if (used < nodes.length) map.get('nodes').wrong('more tables than its leaves need');
  for (const { pa, bytes } of tables.values()) sheets.put(pa, bytes);
  return { listed: map.get('preserved').list().length, total: map.get('preserved_total').whole(2 ** 40) };
}

/** What a key has in common with the others below its table of a level. */
const prefix = (key: number, level: number): number =>
  Math.floor(key / 2 ** (KHO_TABLE_SIZE_LOG2 * level + KHO_BITMAP_SIZE_LOG2));

/** Contents of the leaves by the key of their first bit. */
function bitmapsOf(map: Place, missing: string[]): Map<number, Uint8Array> {
  const preserved = map.get('preserved');
  const bitmaps = new Map<number, Uint8Array>();
  const counts = new Map<number, number>();
  for (const leaf of map.get('leaves').list()) {
    bitmaps.set(leaf.get('key').number() * BITMAP_BITS, new Uint8Array(PAGE_SIZE));
  }
  for (const block of preserved.list()) {
    const [pa, order] = block.list();
    if (pa === undefined || order === undefined) return block.wrong('no [address, order]');
    const key = radixKey(pfnOf(pa.page() as Phys), order.whole(ORDER_MAX) as Order);
    const bit = bitmapIndex(key);
    const bitmap = bitmaps.get(key - bit) ?? block.wrong('no leaf has its bit');
    bitmap[bit >>> 3] = (bitmap[bit >>> 3] as number) | (1 << (bit & 7));
    counts.set(key - bit, (counts.get(key - bit) ?? 0) + 1);
  }
  const total = map.get('preserved_total').whole(2 ** 40);
  const listed = preserved.list().length;
  if (listed > total) preserved.wrong(`${listed} blocks, more than preserved_total`);
  if (listed < total) missing.push(`${total - listed} of ${total} preserved blocks`);
  for (const leaf of map.get('leaves').list()) {
    const nbits = leaf.get('nbits').whole(BITMAP_BITS);
    const have = counts.get(leaf.get('key').number() * BITMAP_BITS) ?? 0;
    if (have > nbits || (listed === total && have < nbits))
      leaf.get('nbits').wrong(`${have} blocks are listed`);
  }
  return bitmaps;
}
