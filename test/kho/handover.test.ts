import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../sim/base/errno.ts';
import { definePoint } from '../../sim/base/point.ts';
import { bytesOf, type Order, type Pfn, type Phys, pagesOf, pfnOf, physOf } from '../../sim/base/units.ts';
import type { System } from '../../sim/boot/boot.ts';
import { vmAddress, vzalloc } from '../../sim/kernel/vmalloc.ts';
import { KHO_VMALLOC_SIZE } from '../../sim/kho/abi.ts';
import {
  preserveVmalloc,
  restoreVmalloc,
  unpreserveVmalloc,
  type VmallocDescriptor,
} from '../../sim/kho/vmalloc.ts';
import type { BootParams } from '../../sim/machine/machine.ts';
import { CMA, MOVABLE } from '../../sim/machine/pageblock.ts';
import { bootOn, inTask, jump, jumpNow, MIB, machineFor, type TestMachine } from '../support/system.ts';

const PAGE = definePoint('test', 'page', 'fault');
const order = (n: number): Order => n as Order;

function outgoing(test: TestMachine = {}): System {
  return bootOn(machineFor({ ramBytes: 64 * MIB, ...test }));
}

function next(system: System): System {
  const params = jump(system);
  expect(typeof params).toBe('object');
  return bootOn(system.kernel.machine, {
    generation: system.kernel.generation + 1,
    params: params as BootParams,
  });
}

function alloc({ kernel }: System, o: number): Pfn {
  return kernel.pages.alloc(order(o), kernel.frames.owner('test'), PAGE) as Pfn;
}

const keys = ({ kho }: System): [number, number][] => {
  const found: [number, number][] = [];
  kho.out.tracker?.walk((address, o) => {
    found.push([pfnOf(address), o]);
    return 0;
  });
  return found;
};

describe('preserved folios', () => {
  it('keep contents, order and place over three generations, whatever becomes of the rest', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 12 }),
        fc.string(),
        (orders, seed) => {
          let system = outgoing({ seed });
          let folios = orders.map((o) => alloc(system, o));
          for (let generation = 0; generation < 3; generation++) {
            for (const [i, folio] of folios.entries()) {
              system.kernel.machine.ram.store32(physOf(folio), 1000 * generation + i);
              expect(inTask(system, (task) => system.kho.out.preserveFolio(task, folio))).toBe(0);
            }
            const previous = folios;
            system = next(system);
            // Reading needs no restore, and nothing preserved is free.
            for (const [i, folio] of previous.entries()) {
              expect(system.kernel.buddy.useOf(folio)).toBe('reserved');
              expect(system.kernel.machine.ram.load32(physOf(folio))).toBe(1000 * generation + i);
            }
            folios = previous.map(
              (folio) => system.kho.in.restoreFolio(physOf(folio), system.kernel.frames.owner('test')) as Pfn,
            );
            expect(folios).toEqual(previous);
            for (const [i, folio] of folios.entries())
              expect(system.kernel.frames.order(folio)).toBe(orders[i]);
          }
        },
      ),
      { numRuns: 15 },
    );
  });

  it('are restored once', () => {
    let system = outgoing();
    const folio = alloc(system, 2);
    inTask(system, (task) => system.kho.out.preserveFolio(task, folio));
    system = next(system);
    const owner = system.kernel.frames.owner('test');
    expect(system.kho.in.restoreFolio(physOf(folio), owner)).toBe(folio);
    expect(system.kernel.log.warnings).toBe(0);
    expect(system.kho.in.restoreFolio(physOf(folio), owner)).toBe(-1);
    expect(system.kernel.log.warnings).toBe(1);
  });

  it('are guarded against writes until they are restored', () => {
    let system = outgoing();
    const folio = alloc(system, 1);
    system.kernel.machine.ram.store32(physOf(folio), 1);
    inTask(system, (task) => system.kho.out.preserveFolio(task, folio));
    system = next(system);
    const { ram } = system.kernel.machine;
    const wild: number[] = [];
    ram.onWildWrite = ({ pfn }) => wild.push(pfn);
    ram.store32(physOf(folio) + 4096, 2);
    expect(wild).toEqual([folio + 1]);
    system.kho.in.restoreFolio(physOf(folio), system.kernel.frames.owner('test'));
    ram.store32(physOf(folio) + 4096, 3);
    expect(wild).toEqual([folio + 1]);
  });

  it('that were unpreserved are ordinary memory in the next kernel', () => {
    let system = outgoing();
    const folio = alloc(system, 3);
    inTask(system, (task) => system.kho.out.preserveFolio(task, folio));
    inTask(system, (task) => system.kho.out.unpreserveFolio(task, folio));
    system = next(system);
    expect(system.kernel.buddy.useOf(folio)).toBe('free');
  });

  it('count no references: preserved twice and unpreserved once is not preserved', () => {
    const system = outgoing();
    const before = keys(system);
    const folio = alloc(system, 1);
    for (let i = 0; i < 2; i++) inTask(system, (task) => system.kho.out.preserveFolio(task, folio));
    inTask(system, (task) => system.kho.out.unpreserveFolio(task, folio));
    expect(keys(system)).toEqual(before);
  });

  it('in scratch are refused', () => {
    const system = outgoing();
    const { kernel, kho } = system;
    // Exhaust movable memory until an allocation comes from CMA.
    let folio: Pfn;
    do {
      folio = kernel.pages.alloc(order(9), kernel.frames.owner('test'), PAGE, { type: MOVABLE }) as Pfn;
    } while (folio >= 0 && kernel.buddy.typeOf(folio) !== CMA);
    expect(kernel.buddy.typeOf(folio)).toBe(CMA);
    expect(inTask(system, (task) => kho.out.preserveFolio(task, folio))).toBe(-ERRNO.EINVAL);
    expect(kernel.log.warnings).toBe(1);
  });
});

describe('preserved page ranges', () => {
  // Worked by hand: the greedy split into aligned blocks.
  it.each([
    [
      0x100,
      5,
      [
        [0x100, 2],
        [0x104, 0],
      ],
    ],
    [
      0x101,
      5,
      [
        [0x101, 0],
        [0x102, 1],
        [0x104, 1],
      ],
    ],
    [
      0x3,
      13,
      [
        [0x3, 0],
        [0x4, 2],
        [0x8, 3],
      ],
    ],
    [0x1000, 511, [8, 7, 6, 5, 4, 3, 2, 1, 0].map((o) => [0x1000 + 512 - 2 ** (o + 1), o])],
  ])('from 0x%s, %i pages', (first, nr, blocks) => {
    const system = outgoing();
    const before = keys(system).length;
    expect(inTask(system, (task) => system.kho.out.preservePages(task, first as Pfn, nr))).toBe(0);
    const found = keys(system).filter(([f]) => f >= first && f < first + nr);
    expect(found.sort((x, y) => (x[0] as number) - (y[0] as number))).toEqual(blocks);
    expect(keys(system).length).toBe(before + blocks.length);
  });

  it('are cut at the border of memory nodes, alike at preserve and unpreserve', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 1, max: 80 }), (below, nr) => {
        const system = outgoing({ nodes: 3 });
        const border = system.kernel.machine.nodes[1]?.start as number;
        const before = keys(system);
        inTask(system, (task) => system.kho.out.preservePages(task, (border - below) as Pfn, nr));
        for (const [f, o] of keys(system)) {
          expect(f < border && f + pagesOf(order(o)) > border).toBe(false);
        }
        inTask(system, (task) => system.kho.out.unpreservePages(task, (border - below) as Pfn, nr));
        expect(keys(system)).toEqual(before);
      }),
      { numRuns: 15 },
    );
  });

  it('are undone whole when the tracker runs out of memory half way', () => {
    for (let nth = 0; nth < 3; nth++) {
      const system = outgoing({ faults: [{ point: 'kho_radix_add_page:node', nth: nth + nodesOfBoot() }] });
      const before = keys(system);
      const free = system.kernel.buddy.nrFree;
      const err = inTask(system, (task) => system.kho.out.preservePages(task, 0x1fff as Pfn, 0x1003));
      expect(err).toBe(-ERRNO.ENOMEM);
      expect(keys(system)).toEqual(before);
      // Nodes that hold a key of this call are kept, empty: the tree never shrinks.
      expect(system.kernel.buddy.nrFree).toBeLessThanOrEqual(free);
    }
  });
});

describe('kho_alloc_preserve', () => {
  it('answers 0 bytes with EINVAL, more than the largest block with E2BIG', () => {
    const system = outgoing();
    const ask = (bytes: number): number =>
      inTask(system, (task) =>
        system.kho.out.allocPreserve(task, bytes, system.kernel.frames.owner('test'), PAGE),
      );
    expect(ask(0)).toBe(-ERRNO.EINVAL);
    expect(ask(bytesOf(order(10)) + 1)).toBe(-ERRNO.E2BIG);
    expect(ask(bytesOf(order(10)))).toBeGreaterThan(0);
  });

  it('gives zeroed memory, and takes page and key back when either allocation fails', () => {
    for (const point of ['test:page', 'kho_radix_add_page:node']) {
      const system = outgoing({ faults: [{ point, nth: point === 'test:page' ? 0 : nodesOfBoot() }] });
      const before = keys(system);
      const free = system.kernel.buddy.nrFree;
      const owner = system.kernel.frames.owner('test');
      // Order 7 has no key yet: its nodes are allocated now.
      expect(inTask(system, (task) => system.kho.out.allocPreserve(task, 400_000, owner, PAGE))).toBe(
        -ERRNO.ENOMEM,
      );
      expect(keys(system)).toEqual(before);
      expect(system.kernel.buddy.nrFree).toBe(free);
    }
  });
});

describe('preserved vmalloc areas', () => {
  it.each([0, 1, 2, KHO_VMALLOC_SIZE - 1, KHO_VMALLOC_SIZE, KHO_VMALLOC_SIZE + 1, 2 * KHO_VMALLOC_SIZE])(
    'of %i pages come back',
    (nr) => {
      let system = outgoing();
      const owner = system.kernel.frames.owner('test');
      const area = vzalloc(system.kernel, nr * 4096, owner, PAGE);
      if (area === -1) expect.fail('out of memory');
      for (let i = 0; i < nr; i++) system.kernel.machine.ram.store32(vmAddress(area, i * 4096 + 8), 7000 + i);
      const { kernel, kho } = system;
      const descriptor = inTask(system, (task) =>
        preserveVmalloc(kernel, kho.out, task, area, kernel.frames.owner('chunk')),
      ) as VmallocDescriptor;
      // A chunk more as soon as one is full, even when nothing follows.
      const chunks = Math.floor(nr / KHO_VMALLOC_SIZE) + 1;
      expect(keys(system).length).toBe(keys(outgoing()).length + nr + chunks);
      system = next(system);
      const back = restoreVmalloc(
        system.kernel,
        system.kho.in,
        descriptor,
        system.kernel.frames.owner('test'),
      );
      expect(back?.pages).toEqual(area.pages);
      for (let i = 0; i < nr; i++)
        expect(system.kernel.machine.ram.load32(vmAddress(area, i * 4096 + 8))).toBe(7000 + i);
    },
  );

  it('leave nothing behind when they are unpreserved, or when a chunk cannot be had', () => {
    for (const fault of [undefined, 0, 1]) {
      const faults = fault === undefined ? [] : [{ point: 'new_vmalloc_chunk:page', nth: fault }];
      const system = outgoing({ faults });
      const before = keys(system);
      const area = vzalloc(system.kernel, 600 * 4096, system.kernel.frames.owner('test'), PAGE);
      if (area === -1) expect.fail('out of memory');
      const { kernel, kho } = system;
      const descriptor = inTask(system, (task) =>
        preserveVmalloc(kernel, kho.out, task, area, kernel.frames.owner('chunk')),
      );
      if (fault === undefined)
        inTask(system, (task) => unpreserveVmalloc(kernel, kho.out, task, descriptor as VmallocDescriptor));
      else expect(descriptor).toBe(-ERRNO.ENOMEM);
      expect(keys(system)).toEqual(before);
      const chunkOwner = kernel.frames.owner('kho vmalloc chunk');
      for (const page of area.pages) expect(kernel.frames.ownerOf(page)).not.toBe(chunkOwner);
    }
  });
});

describe('subtrees', () => {
  it('are found by the next kernel, once each, until they are removed', () => {
    let system = outgoing();
    const { kho } = system;
    const add = (name: string, blob: number): number =>
      inTask(system, (task) => kho.addSubtree(task, name, blob as Phys, 77));
    expect(add('first', 0x5000)).toBe(0);
    expect(add('second', 0x6000)).toBe(0);
    expect(add('first', 0x7000)).toBe(-ERRNO.EEXIST);
    inTask(system, (task) => kho.removeSubtree(task, 0x6000 as Phys));
    system = next(system);
    expect(system.kho.retrieveSubtree('first')).toEqual({ phys: 0x5000, bytes: 77 });
    expect(system.kho.retrieveSubtree('second')).toBe(-ERRNO.ENOENT);
  });

  it('fill a page and then get ENOMEM, without harm to those that are there', () => {
    const system = outgoing();
    let n = 0;
    const add = (): number =>
      inTask(system, (task) => system.kho.addSubtree(task, `subtree-${n}`, 0x5000 as Phys, 1));
    while (add() === 0) n++;
    expect(add()).toBe(-ERRNO.ENOMEM);
    const following = next(system);
    expect(following.kho.retrieveSubtree(`subtree-${n - 1}`)).toEqual({ phys: 0x5000, bytes: 1 });
    expect(following.kho.retrieveSubtree(`subtree-${n}`)).toBe(-ERRNO.ENOENT);
  });
});

it('kexec-metadata counts the jumps and names the release before', () => {
  let system = outgoing();
  for (let count = 1; count <= 3; count++) {
    system = next(system);
    expect(system.kho.incomingMetadata).toEqual({ previousRelease: '7.0.0-april-v1-p1', kexecCount: count });
    expect(system.kernel.log.has(`exec from: 7.0.0-april-v1-p1 (count ${count})`)).toBe(true);
  }
});

it('scratch areas are inherited unchanged, and hold every early allocation', () => {
  let system = outgoing({ nodes: 3 });
  const { scratch } = system.kho;
  for (let generation = 1; generation < 4; generation++) {
    system = next(system);
    expect(system.kho.scratch).toEqual(scratch);
    for (const { range, scratchOnly } of system.memblock.allocations) {
      expect(scratchOnly).toBe(true);
      expect(scratch.some(({ start, bytes }) => range.start >= start && range.end <= start + bytes)).toBe(
        true,
      );
    }
  }
});

it('a hook that was skipped still hands over: KHO itself needs none', () => {
  const system = outgoing();
  const folio = alloc(system, 0);
  inTask(system, (task) => system.kho.out.preserveFolio(task, folio));
  expect(system.kexec.fileLoad()).toBe(0);
  const params = jumpNow(system);
  const following = bootOn(system.kernel.machine, { generation: 1, params });
  expect(following.kho.in.restoreFolio(physOf(folio), following.kernel.frames.owner('test'))).toBe(folio);
});

/** Radix nodes that a boot allocates below the root. */
function nodesOfBoot(): number {
  return (outgoing().kho.out.tracker?.nodes().length ?? 0) - 1;
}
