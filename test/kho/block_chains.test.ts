import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../sim/base/errno.ts';
import type { Phys } from '../../sim/base/units.ts';
import type { Kernel } from '../../sim/kernel/kernel.ts';
import { BLOCK_SET_WORDS, type BlockGeometry, blocksOf, KhoBlockSet } from '../../sim/kho/block_set.ts';
import { KhoBlockTable } from '../../sim/kho/block_table.ts';
import { Column } from '../../sim/machine/column.ts';
import { PageFault } from '../../sim/machine/page_fault.ts';
import type { Ram } from '../../sim/machine/ram.ts';
import { bareKernel } from '../support/system.ts';
import { blockWorld, COUNT, disarm, failAt, listOf, NEXT } from './block_world.ts';

/** Three entries a block, five blocks. */
const SMALL: BlockGeometry = { entryBytes: 1360, maxBlocks: 5 };
const CORRUPTED = 'kho_block: Block set is corrupted';

/** Headers 16 bytes apart in a bare kernel's memory: chains of any length and shape for little. */
const BASE = 0x10_000;
const at = (block: number): Phys => (BASE + block * 16) as Phys;

interface Chain {
  readonly set: KhoBlockSet;
  readonly freed: number[];
  restore(): number;
}

/** One kernel for many chains. */
class Site {
  readonly kernel: Kernel = bareKernel();
  readonly ram: Ram = this.kernel.machine.ram;
  readonly table = new KhoBlockTable(this.kernel);
  readonly #rows = new Column(this.kernel.storage, 'test rows');
  #sets = 0;

  get lines(): string[] {
    return this.kernel.log.lines.map(({ text }) => text);
  }

  chain(length: number, geometry: BlockGeometry, lastNext = 0): Chain {
    writeChain(this.ram, length, lastNext);
    const set = new KhoBlockSet(this.table, geometry, this.#rows, BLOCK_SET_WORDS * this.#sets++);
    const freed: number[] = [];
    const free = (address: Phys): void => {
      if (freed.push(address) > 20_002) expect.fail('freeing does not end');
    };
    return { set, freed, restore: () => set.restore(at(0), free) };
  }
}

function writeChain(ram: Ram, length: number, lastNext = 0): void {
  for (let block = 0; block < length; block++) {
    ram.store64(at(block) + NEXT, block + 1 < length ? at(block + 1) : lastNext);
    ram.store64(at(block) + COUNT, 1);
  }
}

const whole = (length: number): Phys[] => Array.from({ length }, (_, block) => at(block));

describe('the length of a chain', () => {
  it.each([
    [9_999, 0],
    [10_000, 0],
    [10_001, -ERRNO.ENOSPC],
    [19_999, -ERRNO.ENOSPC],
    [20_000, -ERRNO.ENOSPC],
    [20_001, -ERRNO.EINVAL],
    [20_002, -ERRNO.EINVAL],
  ])('%i blocks that end: %i', (length, answer) => {
    const site = new Site();
    const chain = site.chain(length, blocksOf(80));
    expect(chain.restore()).toBe(answer);
    expect(chain.set.nblocks).toBe(answer === 0 ? length : 0);
    expect(chain.freed).toEqual(answer === -ERRNO.ENOSPC ? whole(length) : []);
    expect(site.lines).toEqual(answer === -ERRNO.EINVAL ? [CORRUPTED] : []);
    expect(site.table.slab.live).toBe(chain.set.nblocks);
  });

  it.each([1, 2, 3, 9_999, 10_000, 10_001])(
    'a cycle of %i blocks is refused, and nothing of it freed',
    (length) => {
      const site = new Site();
      const chain = site.chain(length, blocksOf(80), at(0));
      expect(chain.restore()).toBe(-ERRNO.EINVAL);
      expect(site.lines).toEqual([CORRUPTED]);
      expect(chain.freed).toEqual([]);
      expect(chain.set.headPhys).toBe(0);
      expect(chain.set.isEmpty).toBe(true);
    },
  );

  it('decides at every small limit as at the large one', () => {
    const site = new Site();
    for (let maxBlocks = 1; maxBlocks <= 6; maxBlocks++) {
      const geometry = { entryBytes: 80, maxBlocks };
      for (let length = 1; length <= 15; length++) {
        const answer = length <= maxBlocks ? 0 : length <= 2 * maxBlocks ? -ERRNO.ENOSPC : -ERRNO.EINVAL;
        expect(site.chain(length, geometry).restore()).toBe(answer);
        for (let back = 0; back < length; back++) {
          expect(site.chain(length, geometry, at(back)).restore()).toBe(-ERRNO.EINVAL);
        }
      }
    }
  });
});

describe('a chain above 4 GiB', () => {
  it('is taken over and given back where it lies', () => {
    const kernel = bareKernel({ ramBytes: 16 * 2 ** 30 });
    const { ram } = kernel.machine;
    const places = [5, 9, 4, 13].map((gib) => gib * 2 ** 30 + 0x8000_0000 - 4096);
    for (const [i, place] of places.entries()) {
      ram.store64(place + NEXT, places[i + 1] ?? 0);
      ram.store64(place + COUNT, 1);
    }
    const set = KhoBlockSet.alone(new KhoBlockTable(kernel), SMALL, 'incoming');
    expect(set.restore(places[0] as Phys, () => {})).toBe(0);
    expect(listOf(set)).toEqual(places);
    const freed: number[] = [];
    set.destroy((address) => freed.push(address));
    expect(freed).toEqual(places);
  });
});

/** What restore must answer, found without running after anything: by remembering every place. */
function reference(ram: Ram, maxBlocks: number): { answer: number | 'fault'; freed: number[] } {
  const places: number[] = [];
  for (let place = at(0) as number; place !== 0; ) {
    // The fast one has gone two steps at each count: what is behind these is not looked at, memory or not.
    if (places.length === 2 * maxBlocks) return { answer: -ERRNO.EINVAL, freed: [] };
    if (places.includes(place)) return { answer: -ERRNO.EINVAL, freed: [] };
    if (place + 8 > ram.bytes) return { answer: 'fault', freed: [] };
    places.push(place);
    place = ram.load64(place + NEXT);
  }
  for (const [i, place] of places.entries()) {
    if (place + 16 > ram.bytes) return { answer: 'fault', freed: [] };
    const n = ram.load64(place + COUNT);
    if (n < 1 || n > 3) return { answer: -ERRNO.EINVAL, freed: places };
    if (i === maxBlocks) return { answer: -ERRNO.ENOSPC, freed: places };
  }
  return { answer: 0, freed: [] };
}

describe('any bytes', () => {
  const word = fc.oneof(
    { weight: 12, arbitrary: fc.nat({ max: 15 }).map((block) => at(block) as number) },
    { weight: 3, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.nat({ max: 40_000 }).map((n) => BASE + n) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(32 * 2 ** 20 - 8, 32 * 2 ** 20 - 4, 32 * 2 ** 20, 2 ** 40, 2 ** 63),
    },
  );
  const number = fc.oneof(
    { weight: 12, arbitrary: fc.integer({ min: 1, max: 3 }) },
    { weight: 1, arbitrary: fc.constantFrom(0, 4, 2 ** 32 + 1, 2 ** 63) },
  );

  it('are answered as by a reference that remembers every place, within a bounded number of reads', () => {
    const site = new Site();
    const { ram } = site;
    const load64 = ram.load64.bind(ram);
    fc.assert(
      fc.property(fc.array(fc.tuple(word, number), { minLength: 16, maxLength: 16 }), (headers) => {
        ram.load64 = load64;
        const chain = site.chain(0, SMALL);
        for (const [block, [next, n]] of headers.entries()) {
          ram.store64(at(block) + NEXT, next);
          ram.store64(at(block) + COUNT, n);
        }
        const expected = reference(ram, SMALL.maxBlocks);
        let reads = 0;
        ram.load64 = (address) => {
          reads++;
          return load64(address);
        };
        let answer: number | 'fault';
        try {
          answer = chain.restore();
        } catch (error) {
          expect(error).toBeInstanceOf(PageFault);
          answer = 'fault';
        }
        expect(answer).toBe(expected.answer);
        if (answer !== 'fault') expect(chain.freed).toEqual(expected.freed);
        expect(reads).toBeLessThanOrEqual(10 * SMALL.maxBlocks + 10);
      }),
      { numRuns: 500 },
    );
  });
});

describe('memory that runs out', () => {
  it('while a chain is taken over frees all of it', () => {
    const length = 300;
    for (let nth = 0; ; nth++) {
      const world = blockWorld();
      writeChain(world.ram, length);
      const set = world.newSet(blocksOf(80));
      const freed: number[] = [];
      const failed = failAt(world.kernel, 'kmem_cache_alloc:pages', nth);
      const answer = set.restore(at(0), (address) => freed.push(address));
      disarm(world.kernel);
      if (!failed()) {
        expect(nth).toBe(3);
        expect(answer).toBe(0);
        break;
      }
      expect(answer).toBe(-ERRNO.ENOMEM);
      expect(freed).toEqual(whole(length));
      expect(listOf(set)).toEqual([]);
      expect(world.table.slab.live).toBe(0);
    }
  });
});
