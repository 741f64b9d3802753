/*
 * Name indexes: every design finds what the list has, charges what a search in it takes, and takes and gives back its
 * memory. Laws shared by all, then what each charges against a naive one that is really walked.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import manySessions from '../../scenarios/many_sessions.ts';
import { Decisions, type Fault } from '../../sim/base/decisions.ts';
import { CACHE_BYTES, PAGE_SIZE } from '../../sim/base/limits.ts';
import { pfn } from '../../sim/base/units.ts';
import type { RunResult } from '../../sim/explore/result.ts';
import { run } from '../../sim/explore/run.ts';
import { Kernel } from '../../sim/kernel/kernel.ts';
import { revisionByName } from '../../sim/kernel/revisions.ts';
import { hashName, NAME_WORDS } from '../../sim/luo/name.ts';
import { chargeHops, chargeLoads } from '../../sim/luo/name_index.ts';
import { depthOf } from '../../sim/luo/name_trees.ts';
import { SessionList } from '../../sim/luo/session_list.ts';
import { NO_SESSION, type SessionHandle, SessionTable } from '../../sim/luo/session_table.ts';
import { STEP, type StepKind } from '../../sim/machine/cpu.ts';
import { putName } from '../support/names.ts';
import { runs } from '../support/seed.ts';
import { ALL_ON, MIB, machineFor } from '../support/system.ts';

const DESIGNS = {
  'list-scan': 'v7.3',
  hash: 'v7.3 +name-hash',
  rbtree: 'v7.3 +name-rbtree',
  xarray: 'v7.3 +name-xarray',
  'sort-at-deserialize': 'v7.3 +name-sort',
} as const;
type Design = keyof typeof DESIGNS;
const NAMES = Object.keys(DESIGNS) as Design[];

const wordsOf = (i: number): Int32Array => {
  const words = new Int32Array(NAME_WORDS);
  putName(words, 0, new TextEncoder().encode(`session-${i}`));
  return words;
};

/** A list on a kernel with memory and nothing else, and the names on it in their order. */
class World {
  readonly kernel: Kernel;
  readonly table: SessionTable;
  readonly list: SessionList;
  readonly names: number[] = [];
  readonly sessions = new Map<number, SessionHandle>();

  constructor(design: Design, name: 'outgoing' | 'incoming' = 'outgoing', faults: readonly Fault[] = []) {
    const machine = machineFor({ ramBytes: 64 * MIB, faults });
    const revision = revisionByName(DESIGNS[design]);
    if (revision === undefined) throw new Error(design);
    this.kernel = new Kernel(machine, revision, ALL_ON, 0);
    this.kernel.buddy.freeRange(pfn(256), pfn(machine.params.ramBytes / PAGE_SIZE));
    this.table = new SessionTable(this.kernel);
    this.list = new SessionList(this.kernel, this.table, name);
  }

  steps(kind: StepKind): number {
    return this.kernel.machine.cpus.steps[STEP[kind]] as number;
  }

  /** Steps of a kind that something takes. */
  taken(kind: StepKind, what: () => void): number {
    const before = this.steps(kind);
    what();
    return this.steps(kind) - before;
  }

  append(i: number): number {
    const session = this.table.alloc(wordsOf(i), 0);
    const err = this.list.append(session);
    if (err !== 0) {
      this.table.free(session);
      return err;
    }
    this.names.push(i);
    this.sessions.set(i, session);
    return 0;
  }

  /** Whether the name of a session that is to join is found to be taken. */
  isTaken(i: number): boolean {
    const session = this.table.alloc(wordsOf(i), 0);
    return this.list.taken(session);
  }

  remove(i: number): void {
    const session = this.sessions.get(i) as SessionHandle;
    this.list.unlink(session);
    this.table.free(session);
    this.names.splice(this.names.indexOf(i), 1);
    this.sessions.delete(i);
  }

  pages(owner: string): number {
    const { frames } = this.kernel;
    let pages = 0;
    for (let at = 256; at < frames.nr; at++) {
      const frame = pfn(at);
      if (frames.isAllocatedHead(frame) && frames.ownerName(frames.ownerOf(frame)) === owner) {
        pages += 2 ** frames.order(frame);
      }
    }
    return pages;
  }
}

const change = fc.record({
  what: fc.constantFrom('append', 'append', 'append', 'remove', 'scan'),
  n: fc.nat(),
});

describe.each(NAMES)('%s', (design) => {
  it('finds what is on the list and nothing else, whatever came and went', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 250, size: 'max' }), (changes) => {
        const world = new World(design);
        let next = 0;
        for (const { what, n } of changes) {
          if (what === 'append') {
            expect(world.append(next++)).toBe(0);
          } else if (what === 'remove' && world.names.length > 0) {
            world.remove(world.names[n % world.names.length] as number);
          } else if (what === 'scan') {
            const wanted = n % (next + 1);
            expect(world.list.scan(wordsOf(wanted), 0)).toBe(world.sessions.get(wanted) ?? NO_SESSION);
          }
        }
      }),
      { numRuns: runs(10) },
    );
  });

  it.each([52, 820])('keeps %i sessions over three generations with every store', (sessions) => {
    const patch = DESIGNS[design].split(' ')[1];
    for (const name of ['v6.19', 'april-v1-p1', 'v7.3']) {
      const revision = patch === undefined ? name : `${name} ${patch}`;
      const program = manySessions({ revisions: [revision], generations: 3, sessions, pattern: 's%d' });
      const machine = machineFor({ ramBytes: 64 * MIB });
      const result = run({ machine, seed: '1', decisions: Decisions.none(), program });
      machine.dispose();
      expect(result.violations).toEqual([]);
      expect(result.generations.map(({ bootKind }) => bootKind)).toEqual(['cold', 'handover', 'handover']);
    }
  });
});

describe('hash', () => {
  it('charges the walk of one chain, newest first, in a table that doubles when three quarters full', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 400, size: 'max' }), (changes) => {
        const world = new World('hash');
        let chains: number[][] = [];
        const chainOf = (i: number): number[] => {
          const at = (hashName(wordsOf(i), 0) >>> 0) % chains.length;
          return chains[at] as number[];
        };
        let next = 0;
        for (const { what, n } of changes) {
          if (what === 'append') {
            if ((world.names.length + 1) * 4 > chains.length * 3) {
              chains = Array.from({ length: Math.max(chains.length * 2, 64) }, () => []);
              for (const i of world.names) chainOf(i).unshift(i);
            }
            world.append(next);
            chainOf(next).unshift(next);
            next++;
          } else if (what === 'remove' && world.names.length > 0) {
            const gone = world.names[n % world.names.length] as number;
            world.remove(gone);
            chainOf(gone).splice(chainOf(gone).indexOf(gone), 1);
          } else if (what === 'scan') {
            const wanted = n % (next + 1);
            const hops = world.taken('hop', () => world.list.scan(wordsOf(wanted), 0));
            const chain = chains.length === 0 ? [] : chainOf(wanted);
            const place = chain.indexOf(wanted);
            expect(hops).toBe(place === -1 ? chain.length : place + 1);
          }
        }
        expect(world.pages('session name index')).toBe(Math.ceil((chains.length * 8) / PAGE_SIZE));
        expect(world.list.indexPages).toBe(world.pages('session name index'));
      }),
      { numRuns: runs(20) },
    );
  });

  it('goes on with a table that cannot grow', () => {
    const world = new World('hash', 'outgoing', [{ point: 'rhashtable_insert_slow:table', nth: 1 }]);
    for (let i = 0; i < 49; i++) expect(world.append(i)).toBe(0);
    for (let i = 0; i < 49; i++) expect(world.list.scan(wordsOf(i), 0)).not.toBe(NO_SESSION);
  });

  it('refuses the first session where there is no table at all', () => {
    const world = new World('hash', 'outgoing', [{ point: 'rhashtable_insert_slow:table', nth: 0 }]);
    expect(world.append(0)).toBe(-12);
    expect(world.list.count).toBe(0);
    expect(world.append(0)).toBe(0);
  });
});

describe('rbtree', () => {
  it.each([
    [0, 0],
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 3],
    [1023, 10],
    [1024, 11],
  ])('with %i sessions compares %i names', (sessions, levels) => {
    expect(depthOf(sessions)).toBe(levels);
    const world = new World('rbtree');
    for (let i = 0; i < sessions; i++) world.append(i);
    expect(world.taken('hop', () => world.list.scan(wordsOf(0), 0))).toBe(levels);
  });
});

describe('xarray', () => {
  /** Nodes of an array that has these names: a prefix a level. */
  const nodesFor = (names: readonly number[]): number => {
    const prefixes = new Set<string>();
    for (const i of names) {
      const hash = BigInt(hashName(wordsOf(i), 0) >>> 0);
      for (let level = 1n; level <= 6n; level++) prefixes.add(`${level}:${hash >> (6n * level)}`);
    }
    return prefixes.size;
  };
  const nodes = (world: World): number =>
    world.kernel.slabs.find(({ name }) => name === 'radix_tree_node')?.live ?? 0;

  it('has a node for every prefix that is there, and none once all are gone', () => {
    const some = fc.uniqueArray(fc.nat({ max: 5000 }), { maxLength: 120, size: 'max' });
    fc.assert(
      fc.property(some, fc.infiniteStream(fc.nat()), (all, picks) => {
        const world = new World('xarray');
        for (const i of all) world.append(i);
        expect(nodes(world)).toBe(nodesFor(all));
        expect(world.list.indexPages).toBe(world.pages('slab:radix_tree_node'));
        for (const pick of picks) {
          if (world.names.length === 0) break;
          world.remove(world.names[pick % world.names.length] as number);
          expect(nodes(world)).toBe(nodesFor(world.names));
        }
        expect(nodes(world)).toBe(0);
      }),
      { numRuns: runs(10) },
    );
  });

  it('changes nothing where any of its nodes cannot be had', () => {
    for (let nth = 0; nth < 6; nth++) {
      const world = new World('xarray', 'outgoing', [{ point: 'xas_alloc:node', nth }]);
      expect(world.append(7)).toBe(-12);
      expect([nodes(world), world.list.count]).toEqual([0, 0]);
      expect(world.append(7)).toBe(0);
      expect(nodes(world)).toBe(6);
    }
  });
});

describe('sort-at-deserialize', () => {
  it('looks for duplicates when all have joined, and only then', () => {
    const world = new World('sort-at-deserialize', 'incoming');
    for (const i of [1, 2, 1]) {
      expect(world.isTaken(i)).toBe(false);
      expect(world.append(i)).toBe(0);
    }
    expect(world.steps('hop')).toBe(0);
    expect(world.list.settle()).toBe(-17);
  });

  it.each([
    [1, 0],
    [2, 2],
    [3, 5],
    [4, 8],
    [1000, 9976],
  ])('charges at most what a merge sort of %i and a pass over it compare: %i', (sessions, hops) => {
    const world = new World('sort-at-deserialize', 'incoming');
    for (let i = 0; i < sessions; i++) world.append(i);
    expect(world.taken('hop', () => expect(world.list.settle()).toBe(0))).toBe(hops);
    expect(world.pages('session name index')).toBe(Math.ceil((sessions * 8) / PAGE_SIZE));
    expect(world.list.indexPages).toBe(world.pages('session name index'));
  });

  it('scans what is created', () => {
    const world = new World('sort-at-deserialize', 'outgoing');
    for (let i = 0; i < 9; i++) world.append(i);
    expect(world.taken('hop', () => world.isTaken(9))).toBe(9);
  });
});

describe('waiting for memory', () => {
  const CACHED = Math.floor(CACHE_BYTES / 192);

  it('is charged for every hop in a list that the cache cannot hold, and for none in a smaller one', () => {
    const world = new World('list-scan');
    const hops = (count: number): number =>
      world.taken('miss', () => chargeHops({ kernel: world.kernel, count }, 7));
    expect([hops(0), hops(CACHED), hops(CACHED + 1), hops(2 * CACHED)]).toEqual([0, 0, 7, 7]);
    expect(world.steps('hop')).toBe(4 * 7);
  });

  it('is charged for loads from more bytes than the cache has', () => {
    const { kernel } = new World('list-scan');
    const loads = (bytes: number): number => {
      const before = kernel.machine.cpus.steps[STEP.miss] as number;
      chargeLoads(kernel, bytes, 3);
      return (kernel.machine.cpus.steps[STEP.miss] as number) - before;
    };
    expect([loads(0), loads(CACHE_BYTES), loads(CACHE_BYTES + 1)]).toEqual([0, 0, 3]);
  });

  it('meets the two lowest levels of an xarray, found or not, once its nodes are too many', () => {
    const world = new World('xarray');
    const search = (i: number): number => world.taken('miss', () => world.list.scan(wordsOf(i), 0));
    for (let i = 0; i < 1000; i++) world.append(i);
    expect([search(5), search(-1)]).toEqual([0, 0]);
    for (let i = 1000; world.pages('slab:radix_tree_node') * PAGE_SIZE < CACHE_BYTES * 1.05; i += 500) {
      for (let k = 0; k < 500; k++) world.append(i + k);
    }
    expect([search(5), search(-1)]).toEqual([2, 2]);
  });
});

it('a create that the index has no room for is refused and leaves nothing', () => {
  const names = { pattern: 's%d', first: 0, count: 40 };
  const revision = DESIGNS.xarray;
  const machine = machineFor({ ramBytes: 64 * MIB });
  const result: RunResult = run({
    machine,
    seed: '1',
    decisions: Decisions.seeded('1', [{ point: 'xas_alloc:node', nth: 30 }]),
    program: {
      generations: [
        { revision, stages: [[{ process: 'p', actions: [{ do: 'open' }, { do: 'create', names }] }]] },
      ],
    },
  });
  machine.dispose();
  expect(result.violations).toEqual([]);
  expect(result.generations[0]?.actions[1]?.result).toBe('ENOMEM');
  expect(result.generations[0]?.outgoingSessions).toBe(result.generations[0]?.actions[1]?.calls);
});
