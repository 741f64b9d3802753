/*
 * A page allocator with everything around it, random machines for it, and what must hold of it at any moment.
 */
import fc from 'fast-check';
import type { Order, Pfn } from '../../sim/base/units.ts';
import { Buddy } from '../../sim/machine/buddy.ts';
import type { Storage } from '../../sim/machine/column.ts';
import { FrameTable, type Owner } from '../../sim/machine/frames.ts';
import { Journal } from '../../sim/machine/journal.ts';
import type { NodeSpan } from '../../sim/machine/machine.ts';
import { CMA, type MigrateType, MOVABLE, UNMOVABLE } from '../../sim/machine/pageblock.ts';
import { PiecePool } from '../../sim/machine/pool.ts';

export const pfn = (n: number): Pfn => n as Pfn;
export const order = (n: number): Order => n as Order;

export interface World {
  readonly storage: Storage;
  readonly frames: FrameTable;
  readonly buddy: Buddy;
  readonly owner: Owner;
  readonly nodes: readonly NodeSpan[];
}

export interface Shape {
  readonly frames: number;
  /** Where nodes after the first begin. */
  readonly boundaries: readonly number[];
  /** CMA stretches: start and length in pageblocks. */
  readonly cma: readonly (readonly [number, number])[];
}

export const shape: fc.Arbitrary<Shape> = fc
  .record({
    blocks: fc.integer({ min: 2, max: 4 }),
    ends: fc.constantFrom(0, 1, 700),
    boundaries: fc.uniqueArray(
      fc.oneof(fc.integer({ min: 1, max: 2500 }), fc.constantFrom(512, 1024, 1536)),
      {
        maxLength: 2,
      },
    ),
    cma: fc.array(fc.tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 1, max: 3 })), { maxLength: 2 }),
  })
  .map(({ blocks, ends, boundaries, cma }) => ({
    frames: blocks * 1024 - ends,
    boundaries: [...boundaries].filter((b) => b < blocks * 1024 - ends).sort((a, b) => a - b),
    cma,
  }));

/** One to four pageblocks, with a boundary that may cut one: little enough to run out of. */
export const tight: fc.Arbitrary<Shape> = fc
  .record({
    blocks: fc.integer({ min: 1, max: 4 }),
    boundary: fc.constantFrom([], [], [300], [512], [700]),
    cma: fc.constantFrom<Shape['cma']>([], [], [[1, 1]]),
  })
  .map(({ blocks, boundary, cma }) => ({
    frames: blocks * 512,
    boundaries: boundary.filter((b) => b < blocks * 512),
    cma,
  }));

/** The pageblocks of a shape's CMA stretches, as frame ranges inside the machine. */
export function cmaRanges({ frames, cma }: Shape): [number, number][] {
  return cma
    .map(([start, length]): [number, number] => [start * 512, Math.min((start + length) * 512, frames)])
    .filter(([start, end]) => start < end);
}

export function nodesOf({ frames, boundaries }: Shape): NodeSpan[] {
  const edges = [0, ...boundaries, frames];
  return edges.slice(1).map((end, i) => ({ start: pfn(edges[i] as number), end: pfn(end) }));
}

export function makeWorld(s: Shape): World {
  const storage = { pool: new PiecePool(), journal: new Journal() };
  const frames = new FrameTable(storage, s.frames);
  const nodes = nodesOf(s);
  const buddy = new Buddy(storage, frames, nodes);
  for (const [start, end] of cmaRanges(s)) buddy.setPageblocks(pfn(start), pfn(end), CMA);
  return { storage, frames, buddy, owner: frames.owner('test'), nodes };
}

/** A machine of one node without CMA, all of it handed over. */
export function plainWorld(frames: number): World {
  const world = makeWorld({ frames, boundaries: [], cma: [] });
  world.buddy.freeRange(pfn(0), pfn(frames));
  return world;
}

export interface FreeBlock {
  readonly node: number;
  readonly type: MigrateType;
  readonly order: number;
  readonly start: number;
}

/** Every free block, in list order. */
export function freeBlocks(buddy: Buddy): FreeBlock[] {
  const blocks: FreeBlock[] = [];
  for (const run of buddy.freeRuns()) {
    for (let i = 0; i < run.blocks; i++) {
      blocks.push({
        node: run.node,
        type: run.type,
        order: run.order,
        start: run.start + i * 2 ** run.order,
      });
    }
  }
  return blocks;
}

const key = (b: FreeBlock): string => `${b.start}/${b.order}`;

/** The free blocks as a set: where they lie, whatever list they are in. */
export const freeSet = (buddy: Buddy): string[] => freeBlocks(buddy).map(key).sort();

export const ALLOCATED = 1;
export const RESERVED = 2;

/**
 * What does not hold that must at any moment. `use` is who has each frame according to the test: 0 free, ALLOCATED,
 * RESERVED; `heads` the order of each allocated block.
 */
export function faultsOf(world: World, use: Uint8Array, heads: ReadonlyMap<number, number>): string[] {
  const faults: string[] = [];
  const must = (holds: boolean, what: string): void => {
    if (!holds) faults.push(what);
  };
  const { buddy, frames } = world;
  const blocks = freeBlocks(buddy);
  const seen = new Uint8Array(use.length);
  for (const { order: o, start } of blocks) {
    for (let p = start; p < start + 2 ** o; p++) seen[p] = (seen[p] as number) + 1;
  }
  for (const [head, o] of heads) {
    must(
      frames.isAllocatedHead(pfn(head)) && frames.order(pfn(head)) === o,
      `${head} is no block of order ${o}`,
    );
  }
  for (let p = 0; p < use.length; p++) {
    if (seen[p] !== (use[p] === 0 ? 1 : 0))
      faults.push(`frame ${p} is ${seen[p]} times free, its use is ${use[p]}`);
    if (frames.isAllocatedHead(pfn(p)) && !heads.has(p)) faults.push(`frame ${p} is the head of nothing`);
  }
  faultsOfBlocks(world, blocks, must);
  const free = use.filter((u) => u === 0).length;
  const allocated = use.filter((u) => u === ALLOCATED).length;
  must(buddy.nrFree === free, `${buddy.nrFree} pages are counted free, ${free} are`);
  must(
    buddy.managed === free + allocated,
    `${buddy.managed} pages are counted managed, ${free + allocated} are`,
  );
  return faults;
}

type Must = (holds: boolean, what: string) => void;

/** Alignment, node, type and merging of every block, and the counts of every list. */
function faultsOfBlocks({ buddy, nodes }: World, blocks: readonly FreeBlock[], must: Must): void {
  const present = new Map(blocks.map((block) => [key(block), block]));
  const pages = new Map<string, number>();
  const counts = new Map<string, number>();
  for (const block of blocks) {
    const { node, type, order: o, start } = block;
    const end = start + 2 ** o;
    const span = nodes[node] as NodeSpan;
    must(start % 2 ** o === 0, `${key(block)} is not aligned`);
    must(start >= span.start && end <= span.end, `${key(block)} is not on node ${node}`);
    for (let p = start; p < end; p += 512)
      must(buddy.typeOf(pfn(p)) === type, `${key(block)} has another type`);
    must(isMerged(block, present), `${key(block)} is not merged`);
    pages.set(`${node}/${type}`, (pages.get(`${node}/${type}`) ?? 0) + 2 ** o);
    counts.set(`${node}/${type}/${o}`, (counts.get(`${node}/${type}/${o}`) ?? 0) + 1);
  }
  for (const node of nodes.keys()) {
    for (const type of [MOVABLE, UNMOVABLE, CMA] as const) {
      const pair = `${node}/${type}`;
      must(buddy.freePages(node, type) === (pages.get(pair) ?? 0), `pages of ${pair}`);
      for (let o = 0; o <= 10; o++) {
        must(
          buddy.freeBlocks(node, type, order(o)) === (counts.get(`${pair}/${o}`) ?? 0),
          `blocks of ${pair}/${o}`,
        );
      }
    }
  }
}

/** No free block has a free buddy, but where CMA meets other memory. */
function isMerged(block: FreeBlock, present: ReadonlyMap<string, FreeBlock>): boolean {
  const buddy = present.get(`${block.start ^ (2 ** block.order)}/${block.order}`);
  if (block.order === 10 || buddy === undefined || buddy.node !== block.node) return true;
  return block.order === 9 && (block.type === CMA) !== (buddy.type === CMA);
}
