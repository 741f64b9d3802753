/*
 * Marks and rollback over everything a machine is made of at once: RAM, columns, page allocator, slab cache and
 * singletons, against deep copies of all that can be read of them.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SimulatorFault } from '../../sim/base/assert.ts';
import { Buddy } from '../../sim/machine/buddy.ts';
import { Column, type Storage } from '../../sim/machine/column.ts';
import { FrameTable, NO_FRAME, stateIsAllocated, stateOrder } from '../../sim/machine/frames.ts';
import { Journal, type Mark, type Stateful } from '../../sim/machine/journal.ts';
import { CMA, MOVABLE, UNMOVABLE } from '../../sim/machine/pageblock.ts';
import { PIECE_WORDS, PiecePool } from '../../sim/machine/pool.ts';
import { SlabCache } from '../../sim/machine/slab.ts';
import { order, pfn } from './buddy_world.ts';
import { RAM_BYTES, type Step as RamStep, RamWorld, step as ramStep } from './ram_world.ts';

const FRAMES = 4096;
/** Two pieces, of which every seventh word is used. */
const COLUMN_WORDS = 2 * PIECE_WORDS;

class Counter implements Stateful {
  value = 0;

  capture(): unknown {
    return this.value;
  }

  reinstate(state: unknown): void {
    this.value = state as number;
  }
}

/** A machine with two nodes and a CMA area, whose slab cache lives on its pages. */
class World {
  readonly storage: Storage = { pool: new PiecePool(), journal: new Journal() };
  readonly memory = new RamWorld(this.storage);
  readonly frames = new FrameTable(this.storage, FRAMES);
  readonly buddy: Buddy;
  readonly column = new Column(this.storage, 'column', COLUMN_WORDS);
  readonly counter = new Counter();
  readonly cache: SlabCache;
  readonly record: Column;

  constructor() {
    this.storage.journal.enlist(this.counter);
    this.buddy = new Buddy(this.storage, this.frames, [
      { start: pfn(0), end: pfn(1600) },
      { start: pfn(1600), end: pfn(FRAMES) },
    ]);
    this.buddy.setPageblocks(pfn(2048), pfn(3072), CMA);
    this.buddy.freeRange(pfn(100), pfn(4000));
    const owner = this.frames.owner('slab');
    this.cache = new SlabCache(this.storage, 'thing', 700, {
      allocPages: (o) => this.buddy.alloc(o, UNMOVABLE, 0, owner),
      freePages: (at, o) => this.buddy.free(at, o),
    });
    this.record = this.cache.records('record', 3);
  }

  /** Blocks that are not the slab cache's, from the lowest. */
  allocated(): number[] {
    const heads: number[] = [];
    for (let p = 0; p < FRAMES; ) {
      const state = this.frames.state(pfn(p));
      if (stateIsAllocated(state) && this.frames.instance(pfn(p)) !== 0) heads.push(p);
      p += state === 0 ? 1 : 2 ** stateOrder(state);
    }
    return heads;
  }

  handles(): number[] {
    const all = Array.from({ length: this.cache.indexEnd }, (_, i) => this.cache.handleAt(i));
    return all.filter((handle) => handle !== 0);
  }

  /** All that can be read: numbers in one array, the rest beside it. */
  look(): { readonly words: Int32Array; readonly rest: unknown } {
    const { memory, frames, buddy, cache } = this;
    const words: number[] = [];
    for (let i = 0; i < COLUMN_WORDS; i += 7) words.push(this.column.get(i));
    for (let p = 0; p < FRAMES; p++) {
      const at = pfn(p);
      words.push(frames.state(at), frames.isAllocatedHead(at) ? frames.refcount(at) : frames.stampOrder(at));
      if (frames.isAllocatedHead(at)) words.push(frames.instance(at));
    }
    for (let i = 0; i < cache.indexEnd * 3; i++) words.push(this.record.get(i));
    const all = new Int32Array(RAM_BYTES / 4 + words.length);
    memory.ram.loadWords(0, all, 0, RAM_BYTES / 4);
    all.set(words, RAM_BYTES / 4);
    const rest = {
      memory: [memory.ram.residentBytes, memory.ram.garbageRegions(), [...memory.ram.dirtyPages()]],
      free: [[...buddy.freeRuns()], buddy.managed],
      types: Array.from({ length: FRAMES / 512 }, (_, b) => buddy.typeOf(pfn(b * 512))),
      slab: [cache.live, cache.slabs, this.handles()],
      counter: this.counter.value,
    };
    return { words: all, rest };
  }

  expectAs(seen: ReturnType<World['look']>): void {
    const now = this.look();
    expect(now.rest).toEqual(seen.rest);
    expect(Buffer.from(now.words.buffer).equals(Buffer.from(seen.words.buffer))).toBe(true);
  }
}

type Step =
  | { kind: 'ram'; ram: RamStep }
  | {
      kind: 'alloc' | 'free' | 'adopt' | 'stamp' | 'ref' | 'new' | 'delete' | 'set' | 'count';
      a: number;
      b: number;
    }
  | { kind: 'mark' }
  | { kind: 'rollback'; a: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: ramStep.map((ram) => ({ kind: 'ram' as const, ram })) },
  {
    weight: 18,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'alloc',
        'alloc',
        'free',
        'adopt',
        'stamp',
        'ref',
        'new',
        'new',
        'delete',
        'set',
        'count',
      ),
      a: fc.nat(COLUMN_WORDS - 1),
      b: fc.nat(2 ** 30),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ kind: 'mark' as const }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('rollback' as const), a: fc.nat(3) }) },
);

function apply(world: World, s: Exclude<Step, { kind: 'mark' | 'rollback' }>): void {
  if (s.kind === 'ram') {
    world.memory.step(s.ram);
    return;
  }
  const { a, b } = s;
  const { frames, buddy, cache } = world;
  const heads = world.allocated();
  const head = pfn(heads[a % (heads.length || 1)] ?? -1);
  if (s.kind === 'alloc') {
    const at = buddy.alloc(
      order(a % 11),
      b % 2 === 0 ? MOVABLE : UNMOVABLE,
      b % 2,
      frames.owner(`owner ${a % 5}`),
    );
    if (at !== NO_FRAME) frames.setInstance(at, 1 + (b % 100));
  } else if (s.kind === 'free') {
    if (heads.length > 0) buddy.put(head);
  } else if (s.kind === 'ref') {
    if (heads.length > 0) frames.setRefcount(head, 1 + (b % 3));
  } else if (s.kind === 'adopt') {
    const at = pfn(4000 + (a % 96));
    if (buddy.adopt(at, order(0), frames.owner('adopted'))) frames.setInstance(at, 7);
  } else if (s.kind === 'stamp') {
    const at = pfn(a % 100);
    if (frames.state(at) === 0) frames.setStamp(at, b % 12);
  } else if (s.kind === 'new') {
    const handle = cache.alloc();
    if (handle !== 0) world.record.set(cache.index(handle) * 3, b);
  } else if (s.kind === 'delete') {
    const handle = world.handles()[a % (cache.live || 1)];
    if (handle !== undefined) cache.free(handle);
  } else if (s.kind === 'set') {
    world.column.set(a - (a % 7), b);
  } else {
    world.counter.value += b;
  }
}

describe('laws', () => {
  test('a rollback to any mark that stands restores everything', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }), (steps) => {
        const world = new World();
        const { journal } = world.storage;
        const marks: { mark: Mark; copy: ReturnType<RamWorld['copy']>; seen: ReturnType<World['look']> }[] =
          [];
        for (const s of steps) {
          if (s.kind === 'mark') {
            const seen = world.look();
            const copy = world.memory.copy();
            marks.push({ mark: journal.mark(), copy, seen });
          } else if (s.kind === 'rollback') {
            const to = marks[s.a % (marks.length || 1)];
            if (to === undefined) continue;
            journal.rollback(to.mark);
            marks.length = to.mark.depth;
            world.memory.restore(to.copy);
            world.expectAs(to.seen);
          } else {
            apply(world, s);
          }
        }
      }),
      { numRuns: 15 },
    );
  });

  test('after a rollback everything goes on as it did the first time', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 25, size: 'max' }),
        fc.array(step, { maxLength: 25, size: 'max' }),
        (first, second) => {
          const world = new World();
          const run = (steps: readonly Step[]): void => {
            for (const s of steps) if (s.kind !== 'mark' && s.kind !== 'rollback') apply(world, s);
          };
          run(first);
          const copy = world.memory.copy();
          const mark = world.storage.journal.mark();
          run(second);
          const once = world.look();
          world.storage.journal.rollback(mark);
          world.memory.restore(copy);
          run(second);
          world.expectAs(once);
        },
      ),
      { numRuns: 15 },
    );
  });

  test('nothing is logged while no mark stands, and nothing is kept once marks are forgotten', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30, size: 'max' }), (steps) => {
        const world = new World();
        const { journal } = world.storage;
        let logged = 0;
        const log = journal.log.bind(journal);
        journal.log = (target, key, old) => {
          logged++;
          log(target, key, old);
        };
        const run = (): void => {
          for (const s of steps) if (s.kind !== 'mark' && s.kind !== 'rollback') apply(world, s);
        };
        run();
        expect(logged).toBe(0);
        journal.mark();
        run();
        journal.forget();
        const seen = world.look();
        const copy = world.memory.copy();
        const mark = journal.mark();
        run();
        journal.rollback(mark);
        world.memory.restore(copy);
        world.expectAs(seen);
      }),
      { numRuns: 15 },
    );
  });
});

describe('examples', () => {
  test('a mark that was rolled over no longer stands', () => {
    const journal = new Journal();
    const outer = journal.mark();
    const inner = journal.mark();
    journal.rollback(outer);
    expect(() => journal.rollback(inner)).toThrow(SimulatorFault);
    const other = journal.mark();
    expect(() => journal.rollback(inner)).toThrow(SimulatorFault);
    journal.rollback(other);
    journal.forget();
    expect(() => journal.rollback(outer)).toThrow(SimulatorFault);
  });

  test('a singleton enlisted after a mark is not part of it', () => {
    const journal = new Journal();
    const [early, late] = [new Counter(), new Counter()];
    journal.enlist(early);
    const mark = journal.mark();
    journal.enlist(late);
    early.value = late.value = 5;
    journal.rollback(mark);
    expect([early.value, late.value]).toEqual([0, 5]);
    journal.mark();
    expect(journal.enlisted).toBe(1);
  });
});
