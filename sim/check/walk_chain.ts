/*
 * Regions of entries as their reader goes over them: one array, or a chain of blocks {next, count}. The reader of every
 * format takes at most LUO_MAX_BLOCKS blocks.
 */
import type { Phys } from '../base/units.ts';
import { LUO_MAX_BLOCKS } from '../luo/abi.ts';
import type { Piece } from './anatomy.ts';
import { numberOf, structFields } from './decode.ts';
import type { StoreShape } from './store_shape.ts';
import { headOf, type Walk } from './walk.ts';

/** What a region holds. */
export interface Entries {
  readonly bytes: number;
  /** Path of the blocks, without their number. */
  readonly block: string;
  /** In all, where it is said elsewhere, too. */
  readonly expected: number | undefined;
  visit(phys: Phys, number: number): Generator<Piece, void, void>;
}

/** Blocks from `head` on, which is a page of memory, each with its entries behind it. */
export function* chainPieces(
  walk: Walk,
  head: Phys,
  shape: StoreShape,
  { bytes, block: path, expected, visit }: Entries,
): Generator<Piece, void, void> {
  const { header, nextAt, perBlock } = shape;
  let at: number = head;
  let sum = 0;
  for (let n = 0; at !== 0; n++) {
    const block = walk.begin(at as Phys, shape.order);
    const { problems, phys } = block;
    const fields = structFields(walk.memory, phys, header, ['next']);
    const count = numberOf(fields, 'count');
    if (count > perBlock) problems.push(`counts ${count} entries of ${perBlock}`);
    if (count === 0 && !shape.emptyBlocks) problems.push('counts 0 entries: its reader refuses the chain');
    const next = nextAt === undefined ? 0 : numberOf(fields, 'next');
    let follows = block.fresh && next !== 0 && walk.leads(next, 'next', problems);
    if (follows && n + 1 === LUO_MAX_BLOCKS) {
      problems.push(`is block ${n + 1}, and not the last: its reader refuses the chain`);
      follows = false;
    }
    const here = block.fresh ? Math.min(count, perBlock) : 0;
    if (!follows && expected !== undefined && sum + here !== expected) {
      problems.push(`ends a chain of ${sum + here} entries, where ${expected} are expected`);
    }
    yield headOf(`${path}[${n}]`, header.name, block, header.size, fields);
    for (let i = 0; i < here; i++) yield* visit((phys + header.size + i * bytes) as Phys, sum + i);
    sum += here;
    at = follows ? next : 0;
  }
}
