/*
 * Whether the maps of two handovers name the same blocks, once it is known which page stands for which: the last part of
 * the comparison in bijection.ts.
 *
 *   reached by a piece   the one's block is the other's, with the same order
 *   reached by nobody    as many of each order
 *   a map known in part  names no block that the other has not; and the other has as many as there were in all
 */
import { PAGE_SIZE } from '../base/limits.ts';
import { hex } from '../base/units.ts';
import type { Difference, Handover } from './difference.ts';
import type { HandoverWalk } from './handover_walk.ts';
import type { PreservedBlock } from './tracker_view.ts';

const PATH = 'preserved-memory-map';

/** A handover and its walk, which is over. */
export interface Walked {
  readonly handover: Handover;
  readonly walk: HandoverWalk;
}

/** The first difference. `there`: pages of the one by those of the other that stand for them. */
export function mapDifference(
  one: Walked,
  other: Walked,
  there: ReadonlyMap<number, number>,
): Difference | undefined {
  const mine = new Blocks(one, there);
  const theirs = new Blocks(other, new Set(there.values()));
  const differs = (field: string, its: string, others: string): Difference => {
    return { path: PATH, field, one: its, other: others };
  };
  const twins = new Set<string>();
  for (const { phys, order } of mine.reached.values()) {
    const twin = nameOf(there.get(phys / PAGE_SIZE) as number, order);
    twins.add(twin);
    if (!theirs.inPart && !theirs.reached.has(twin)) return differs('block', textOf(phys, order), 'none');
  }
  for (const [name, { phys, order }] of theirs.reached) {
    if (!mine.inPart && !twins.has(name)) return differs('block', 'none', textOf(phys, order));
  }
  if (mine.inPart || theirs.inPart) {
    return mine.total === theirs.total ? undefined : differs('blocks', `${mine.total}`, `${theirs.total}`);
  }
  const orders = new Set([...mine.nobodys.keys(), ...theirs.nobodys.keys()]);
  for (const order of [...orders].sort((x, y) => x - y)) {
    const more = (mine.nobodys.get(order) ?? 0) - (theirs.nobodys.get(order) ?? 0);
    const field = `blocks of order ${order} that nobody reaches`;
    if (more !== 0) return differs(field, moreText(more), moreText(-more));
  }
  return undefined;
}

const nameOf = (page: number, order: number): string => `${page} ${order}`;
const textOf = (phys: number, order: number): string => `${hex(phys)} of order ${order}`;

export const moreText = (n: number): string => (n > 0 ? `${n} more` : 'fewer');

class Blocks {
  /** By page and order. */
  readonly reached = new Map<string, PreservedBlock>();
  /** How many others there are of each order. */
  readonly nobodys = new Map<number, number>();
  readonly total: number;
  readonly inPart: boolean;

  constructor({ handover, walk }: Walked, pages: { has(page: number): boolean }) {
    let total = 0;
    for (const block of walk.preserved()) {
      const page = block.phys / PAGE_SIZE;
      total++;
      if (pages.has(page)) this.reached.set(nameOf(page, block.order), block);
      else this.nobodys.set(block.order, (this.nobodys.get(block.order) ?? 0) + 1);
    }
    this.inPart = handover.preservedTotal !== undefined;
    this.total = handover.preservedTotal ?? total;
  }
}
