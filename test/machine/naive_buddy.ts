/*
 * The page allocator written a second time, the naive way: every free block in an array per node, type and order
 * (front first), every pageblock's type in another. It hands out the same addresses as sim/machine/buddy.ts, or one of
 * them is wrong. The rules are those of Linux 6.19's mm/page_alloc.c, read separately from the code under test.
 */
import { CMA, MOVABLE, UNMOVABLE } from '../../sim/machine/pageblock.ts';

interface Block {
  order: number;
  type: number;
}

export class NaiveBuddy {
  readonly lists = new Map<string, number[]>();
  readonly types: number[];
  readonly allocated = new Map<number, Block>();
  readonly #nodes: readonly { start: number; end: number }[];

  constructor(frames: number, nodes: readonly { start: number; end: number }[]) {
    this.#nodes = nodes;
    this.types = new Array<number>(Math.ceil(frames / 512)).fill(MOVABLE);
  }

  list(node: number, type: number, order: number): number[] {
    const key = `${node}/${type}/${order}`;
    const list = this.lists.get(key) ?? [];
    this.lists.set(key, list);
    return list;
  }

  freePages(node: number, type: number): number {
    let pages = 0;
    for (let order = 0; order <= 10; order++) pages += this.list(node, type, order).length * 2 ** order;
    return pages;
  }

  /** In the pieces that memblock_free_all cuts: as large as alignment and end allow. */
  freeRange(from: number, to: number): void {
    for (const { start, end } of this.#nodes) {
      let at = Math.max(from, start);
      const stop = Math.min(to, end);
      while (at < stop) {
        let order = 10;
        while (at % 2 ** order !== 0 || at + 2 ** order > stop) order--;
        this.#give(at, order, true);
        at += 2 ** order;
      }
    }
  }

  alloc(order: number, type: number, node: number): number {
    for (let i = 0; i < this.#nodes.length; i++) {
      const at = this.#take((node + i) % this.#nodes.length, order, type);
      if (at < 0) continue;
      this.allocated.set(at, { order, type });
      return at;
    }
    return -1;
  }

  free(at: number): void {
    const block = this.allocated.get(at) as Block;
    this.allocated.delete(at);
    this.#give(at, block.order, false);
  }

  #nodeOf(pfn: number): number {
    return this.#nodes.findIndex(({ start, end }) => pfn >= start && pfn < end);
  }

  #give(at: number, order: number, tail: boolean): void {
    for (let part = at; part < at + 2 ** order; part += 2 ** Math.min(order, 9)) {
      this.#giveOne(part, Math.min(order, 9), tail);
    }
  }

  #giveOne(start: number, startOrder: number, tail: boolean): void {
    const node = this.#nodeOf(start);
    const type = this.types[start >> 9] as number;
    let at = start;
    let order = startOrder;
    for (; order < 10; order++) {
      const buddy = at ^ (2 ** order);
      const found = [MOVABLE, UNMOVABLE, CMA].find((t) => this.list(node, t, order).includes(buddy));
      if (found === undefined || (found !== type && (found === CMA || type === CMA))) break;
      const list = this.list(node, found, order);
      list.splice(list.indexOf(buddy), 1);
      if (found !== type) this.types[buddy >> 9] = type;
      at = Math.min(at, buddy);
    }
    const list = this.list(node, type, order);
    if (tail || this.#nearlyMerges(node, at, order)) list.push(at);
    else list.unshift(at);
  }

  #nearlyMerges(node: number, at: number, order: number): boolean {
    if (order > 8) return false;
    const pair = at - (at % 2 ** (order + 1));
    const next = pair ^ (2 ** (order + 1));
    return [MOVABLE, UNMOVABLE, CMA].some((type) => this.list(node, type, order + 1).includes(next));
  }

  #take(node: number, order: number, type: number): number {
    const free = [MOVABLE, UNMOVABLE, CMA].reduce((sum, t) => sum + this.freePages(node, t), 0);
    if (type === MOVABLE && this.freePages(node, CMA) > Math.floor(free / 2)) {
      const at = this.#smallest(node, order, CMA, CMA);
      if (at >= 0) return at;
    }
    let at = this.#smallest(node, order, type, type);
    if (at < 0 && type === MOVABLE) at = this.#smallest(node, order, CMA, CMA);
    if (at < 0) at = this.#claim(node, order, type);
    const other = type === MOVABLE ? UNMOVABLE : MOVABLE;
    return at < 0 ? this.#smallest(node, order, other, other) : at;
  }

  #smallest(node: number, order: number, from: number, rest: number): number {
    for (let o = order; o <= 10; o++) {
      const at = this.list(node, from, o).shift();
      if (at !== undefined) return this.#cut(node, at, o, order, rest);
    }
    return -1;
  }

  #cut(node: number, at: number, high: number, low: number, type: number): number {
    for (let o = high - 1; o >= low; o--) this.list(node, type, o).unshift(at + 2 ** o);
    return at;
  }

  #claim(node: number, order: number, type: number): number {
    const other = type === MOVABLE ? UNMOVABLE : MOVABLE;
    for (let o = 10; o >= order; o--) {
      if (type === MOVABLE && o < 4) return -1;
      const at = this.list(node, other, o)[0];
      if (at === undefined) continue;
      if (o >= 9) {
        this.list(node, other, o).shift();
        for (let p = at; p < at + 2 ** o; p += 512) this.types[p >> 9] = type;
        return this.#cut(node, at, o, order, type);
      }
      if (this.#claimPageblock(node, at, type, other)) return this.#smallest(node, order, type, type);
    }
    return -1;
  }

  #claimPageblock(node: number, at: number, type: number, other: number): boolean {
    const start = at - (at % 512);
    const span = this.#nodes[node] as { start: number; end: number };
    if (start < span.start || start + 512 > span.end) return false;
    const inside: { at: number; order: number }[] = [];
    for (let o = 0; o < 9; o++) {
      for (const block of this.list(node, other, o)) {
        if (block >= start && block < start + 512) inside.push({ at: block, order: o });
      }
    }
    const free = inside.reduce((sum, block) => sum + 2 ** block.order, 0);
    let movable = 0;
    for (const [block, { order, type: asked }] of this.allocated) {
      if (asked === MOVABLE && block >= start && block < start + 512) movable += 2 ** order;
    }
    const alike = type === MOVABLE ? movable : 512 - free - movable;
    if (free + alike < 256) return false;
    inside.sort((x, y) => x.at - y.at);
    for (const block of inside) {
      const list = this.list(node, other, block.order);
      list.splice(list.indexOf(block.at), 1);
      this.list(node, type, block.order).push(block.at);
    }
    this.types[start >> 9] = type;
    return true;
  }
}
