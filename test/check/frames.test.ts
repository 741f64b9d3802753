import { describe, expect, it } from 'vitest';
import { definePoint } from '../../sim/base/point.ts';
import { order, type Pfn, pfn, pfnOf, physOf } from '../../sim/base/units.ts';
import type { System } from '../../sim/boot/boot.ts';
import { blockHash, takeCensus } from '../../sim/check/census.ts';
import { MOVABLE, UNMOVABLE } from '../../sim/machine/pageblock.ts';
import { MIB } from '../support/system.ts';
import {
  atJump,
  BLOCK_ORDER,
  bed,
  blockPhys,
  close,
  coldBoot,
  create,
  expectOnly,
  nextKernel,
  ownership,
  PER_BLOCK,
  reported,
  takeOver,
} from './life.ts';

const PAGE = definePoint('test_ownership', 'page', 'fault');

function alloc({ kernel }: System, owner: string, o = 0, movable = false): Pfn {
  const type = movable ? MOVABLE : UNMOVABLE;
  const frame = kernel.pages.alloc(order(o), kernel.frames.owner(owner), PAGE, { type });
  expect(frame).toBeGreaterThan(0);
  return frame as Pfn;
}

function trackerOf({ kho }: System) {
  const { tracker } = kho.out;
  if (tracker === undefined) throw new Error('KHO is off');
  return tracker;
}

/** A free frame that is not the first of its block. */
function freeFrame({ kernel: { buddy, frames } }: System): Pfn {
  let at = pfn(frames.nr - 1);
  while (buddy.useOf(at) !== 'free' || buddy.blockOf(at) === at) at = pfn(at - 1);
  return at;
}

const block = (system: System): Pfn => pfnOf(blockPhys(system, 0));

/** A frame in a scratch area, owned. */
function inScratch(system: System, owner: string): Pfn {
  for (;;) {
    const frame = alloc(system, owner, 0, true);
    const phys = physOf(frame);
    if (system.kho.scratch.some(({ start, bytes }) => phys >= start && phys < start + bytes)) return frame;
    expect(trackerOf(system).add(frame, order(0))).toBe(0);
  }
}

describe('ownership holds', () => {
  it.each([
    [16, 1],
    [32, 2],
    [64, 3],
    [2 ** 20, 8],
  ])('through a cycle on %i MiB with %i nodes', (mib, nodes) => {
    let system = coldBoot({ ramBytes: mib * MIB, nodes });
    for (let generation = 0; generation < 3; generation++) {
      expect(reported(ownership(system))).toEqual([]);
      if (generation > 0) takeOver(system, 3);
      const files = create(system, PER_BLOCK + 2);
      expect(reported(ownership(system))).toEqual([]);
      close(system, files.slice(3));
      expect(reported(ownership(system))).toEqual([]);
      expect(reported(ownership(atJump(system)))).toEqual([]);
      system = nextKernel(system);
    }
    system.kernel.machine.dispose();
  });

  it('over a terabyte at the cost of what was touched', () => {
    const system = coldBoot({ ramBytes: 2 ** 40, nodes: 2 });
    create(system, 10);
    const start = process.hrtime.bigint();
    for (let i = 0; i < 20; i++) expect(reported(ownership(system))).toEqual([]);
    // 3 to 5 ms each on a quiet machine.
    expect(Number(process.hrtime.bigint() - start) / 1e6).toBeLessThan(4000);
    system.kernel.machine.dispose();
  });

  it('with slabs whose first page has no object', () => {
    const system = coldBoot();
    const cache = system.kernel.slab('test', 1500);
    const objects = Array.from({ length: 5 }, () => cache.alloc());
    const first = pfnOf(cache.physOf(objects[0] as number));
    for (const object of objects.slice(0, 3)) cache.free(object);
    expect(pfnOf(cache.physOf(objects[3] as number))).toBeGreaterThan(first);
    expect(reported(ownership(system))).toEqual([]);
  });

  it('while a call has a block that is not preserved yet', () => {
    const system = coldBoot();
    const frame = alloc(system, 'luo session block', BLOCK_ORDER);
    expect(reported(ownership(system, false))).toEqual([]);
    expectOnly(
      ownership(system),
      'ownership',
      new RegExp(`${physOf(frame).toString(16)} of order 4, which has no key`),
    );
  });

  it('and looking takes no part', () => {
    const system = coldBoot();
    create(system, 3);
    const digest = system.kernel.digest();
    const owners = system.kernel.frames.capture();
    ownership(system)({ add: () => {} } as never);
    expect(system.kernel.digest()).toBe(digest);
    expect(system.kernel.frames.capture()).toBe(owners);
  });
});

describe('ownership is broken by', () => {
  const inBed = bed(() => {
    const system = coldBoot();
    create(system, 3);
    return system;
  });
  const defects: [string, (system: System) => void, RegExp][] = [
    ['a cleared key', (s) => trackerOf(s).del(block(s), order(4)), /"luo session block" owns .* has no key/],
    [
      'a key of a free block',
      (s) => trackerOf(s).add(freeFrame(s), order(0)),
      /key .* which is not allocated/,
    ],
    ['a key of another order', (s) => trackerOf(s).add(block(s), order(0)), /key .* which is of order 4/],
    [
      'a key inside a block',
      (s) => trackerOf(s).add(pfn(block(s) + 1), order(0)),
      /key .* which is not allocated/,
    ],
    [
      'a key of a tracker node',
      (s) => trackerOf(s).add(trackerOf(s).nodes()[0] as Pfn, order(0)),
      /"kho radix node" owns and nobody preserves/,
    ],
    [
      'a key outside of memory',
      (s) => trackerOf(s).add(pfn(s.kernel.frames.nr + 5), order(0)),
      /outside of memory/,
    ],
    [
      'a preserved block that was freed',
      (s) => s.kernel.pages.free(block(s), order(4)),
      /key .* which is not allocated/,
    ],
    [
      'a free block in an allocated one',
      (s) => s.kernel.buddy.freeRange(pfn(block(s) + 8), pfn(block(s) + 16)),
      /a free block at .* of order 3 overlaps what lies before it/,
    ],
    ['a page counted that is not there', (s) => s.kernel.buddy.managed++, /the allocator counts \d+ pages/],
    ['an owner without a rule', (s) => alloc(s, 'nobody'), /"nobody": no rule/],
    [
      'a tracker node that is lost',
      (s) => alloc(s, 'kho radix node'),
      /the tracker has 11 blocks of 11 pages as nodes, and owns 12/,
    ],
    [
      'a tree that leads nowhere',
      (s) => s.kernel.machine.ram.store64(trackerOf(s).mapPhys + 8 * 511, 2 ** 41),
      /leads nowhere/,
    ],
    [
      'a tree that leads back',
      (s) => s.kernel.machine.ram.store64(trackerOf(s).mapPhys + 8 * 511, trackerOf(s).mapPhys),
      /the tracker has|a key of the tracker/,
    ],
    [
      'an object too many',
      (s) => s.luo.sessions.table.slab.live++,
      /slab luo_session counts 4 objects, 3 live/,
    ],
    [
      'an object too few',
      (s) => s.luo.sessions.table.slab.live--,
      /slab luo_session counts 2 objects, 3 live/,
    ],
    [
      'a slab too few',
      (s) => s.luo.sessions.table.slab.slabs--,
      /slab luo_session counts 0 slabs, 1 have objects/,
    ],
    [
      'two slabs that are each other’s',
      (s) => {
        const { frames } = s.kernel;
        const of = (name: string): Pfn => {
          const slab = s.kernel.slabs.find((cache) => cache.name === name);
          let index = 0;
          while (slab?.handleAt(index) === 0) index++;
          return frames.blockOf(pfnOf(slab?.physOf(slab.handleAt(index)) as never));
        };
        const [one, other] = [of('luo_session'), of('filp')];
        frames.setOwner(one, frames.owner('slab:filp'));
        frames.setOwner(other, frames.owner('slab:luo_session'));
      },
      /slab (filp|luo_session) lies in 1 blocks .*, and owns 1 blocks/,
    ],
    [
      'a slab too many',
      (s) => s.luo.sessions.table.slab.slabs++,
      /slab luo_session counts 2 slabs, 1 have objects/,
    ],
    [
      'a slab page that is somebody else’s',
      (s) => {
        const { slab } = s.luo.sessions.table;
        const frame = pfnOf(slab.physOf(s.luo.sessions.outgoing.head));
        s.kernel.frames.setOwner(s.kernel.frames.blockOf(frame), s.kernel.frames.owner('slab:filp'));
      },
      /slab (filp|luo_session) lies in .*, and owns/,
    ],
    [
      'a page of a slab that holds none of its objects',
      (s) => alloc(s, 'slab:dentry', s.kernel.slabs.find(({ name }) => name === 'dentry')?.order),
      /slab dentry lies in 1 blocks .*, and owns 2/,
    ],
    [
      'a stamp in free memory',
      (s) => s.kernel.frames.setStamp(freeFrame(s), 0),
      /a stamped block at .* overlaps what lies before it/,
    ],
    ['a stamp of no order', (s) => s.kernel.frames.setStamp(pfn(1), 50), /has a stamp of order 50/],
    [
      'a preserved page in scratch',
      (s) => {
        trackerOf(s).add(inScratch(s, 'kho_test'), order(0));
      },
      /preserved block .* lies in a scratch area/,
    ],
    [
      'a tracker node in scratch',
      (s) => {
        const frame = inScratch(s, 'kho_test');
        s.kernel.frames.setOwner(frame, s.kernel.frames.owner('kho radix node'));
        s.kernel.machine.ram.zeroPages(frame, 1);
        s.kernel.machine.ram.store64(trackerOf(s).mapPhys + 8 * 511, physOf(frame));
      },
      /tracker node .* lies in a scratch area/,
    ],
  ];

  it.each(defects)('%s', (_what, plant, text) => {
    inBed((system) => {
      expect(reported(ownership(system))).toEqual([]);
      plant(system);
      expectOnly(ownership(system), 'ownership', text);
    });
  });

  it('memory that nobody reserved and nobody has, in a kernel after a handover', () => {
    const first = coldBoot();
    create(first, 3);
    const system = nextKernel(first);
    const { frames } = system.kernel;
    const stamped = pfnOf(system.luo.sessions.incomingHead as never);
    expect(frames.stampOrder(stamped)).toBe(BLOCK_ORDER);
    frames.clearStamp(stamped);
    expectOnly(ownership(system), 'ownership', /reserved memory is \[.*\) where the kernel's own is/);
  });

  it('preserved memory that is handed out before it is restored', () => {
    const first = coldBoot();
    create(first, 3);
    const system = nextKernel(first);
    const { buddy, frames } = system.kernel;
    const stamped = pfnOf(system.luo.sessions.incomingHead as never);
    // In the middle of the block: its stamp stays.
    buddy.freeRange(pfn(stamped + 8), pfn(stamped + 16));
    expect(frames.stampOrder(stamped)).toBe(BLOCK_ORDER);
    expectOnly(ownership(system), 'ownership', /overlaps what lies before it/);
  });

  it('the kernel’s own memory that is handed out', () => {
    const system = coldBoot();
    system.kernel.buddy.freeRange(pfn(0), pfn(8));
    expectOnly(
      ownership(system),
      'ownership',
      /reserved memory is \[0x8000, .*where the kernel's own is \[0x0, /,
    );
  });
});

describe('a census', () => {
  it('tells blocks apart, whatever the order in which it meets them', () => {
    const seen = new Set<number>();
    for (let frame = 0; frame < 4096; frame++) for (let o = 0; o < 11; o++) seen.add(blockHash(frame, o));
    // 45,056 blocks in 2^32 words: 0.2 collisions expected.
    expect(seen.size).toBeGreaterThan(45_050);
  });

  it('counts every frame once', () => {
    const system = coldBoot({ nodes: 2 });
    create(system, 5);
    const { kernel } = system;
    const { free, allocated, untouchedPages, holes } = takeCensus(kernel);
    const reserved = holes.reduce((sum, { start, end }) => sum + end - start, 0);
    expect(free.pages + untouchedPages + allocated.pages + reserved).toBe(kernel.frames.nr);
    let used = 0;
    for (let frame = 0; frame < kernel.frames.nr; frame++)
      if (kernel.buddy.useOf(pfn(frame)) === 'allocated') used++;
    expect(allocated.pages).toBe(used);
  });
});
