/*
 * The handover of v6.19, whose map of preserved memory is a list that kho_finalize writes.
 */
import { describe, expect, it } from 'vitest';
import type { Fault } from '../../sim/base/decisions.ts';
import { ERRNO } from '../../sim/base/errno.ts';
import { definePoint } from '../../sim/base/point.ts';
import { type Order, type Pfn, pagesOf, physOf } from '../../sim/base/units.ts';
import type { System } from '../../sim/boot/boot.ts';
import { type Revision, revisionByName, V6_19 } from '../../sim/kernel/revisions.ts';
import type { BootParams } from '../../sim/machine/machine.ts';
import { bootOn, inTask, jump, jumpNow, MIB, machineFor } from '../support/system.ts';

const PAGE = definePoint('test', 'finalize page', 'fault');
const order = (n: number): Order => n as Order;

const outgoing = (faults: readonly Fault[] = [], revision: Revision = V6_19): System =>
  bootOn(machineFor({ ramBytes: 64 * MIB, faults }), { revision });

function next(system: System, params: BootParams | number): System {
  expect(typeof params).toBe('object');
  const { kernel } = system;
  const { revision } = kernel;
  return bootOn(kernel.machine, {
    revision,
    generation: kernel.generation + 1,
    params: params as BootParams,
  });
}

/** A preserved folio that says which it is. */
function preserved(system: System, o: number, mark: number): Pfn {
  const { kernel, kho } = system;
  const folio = kernel.pages.alloc(order(o), kernel.frames.owner('test'), PAGE) as Pfn;
  kernel.machine.ram.store32(physOf(folio), mark);
  expect(inTask(system, (task) => kho.out.preserveFolio(task, folio))).toBe(0);
  return folio;
}

const logOf = ({ kernel }: System): string[] => kernel.log.lines.map(({ text }) => text);

describe('reboot(KEXEC) of v6.19', () => {
  it('hands folios over, generation after generation', () => {
    let system = outgoing();
    let folios = [0, 3, 9].map((o, i) => preserved(system, o, i));
    for (let generation = 1; generation < 4; generation++) {
      system = next(system, jump(system));
      expect(system.kernel.bootKind).toBe('handover');
      expect(system.luo.liveupdateNum).toBe(generation);
      const { kernel, kho } = system;
      folios = folios.map((folio, i) => {
        expect(kernel.machine.ram.load32(physOf(folio))).toBe(i);
        expect(kho.in.restoreFolio(physOf(folio), kernel.frames.owner('test'))).toBe(folio);
        expect(inTask(system, (task) => kho.out.preserveFolio(task, folio))).toBe(0);
        return folio;
      });
    }
    expect(system.kernel.log.warnings).toBe(0);
  });

  it('fails with -EAGAIN where there is no memory for the list, and may be tried again', () => {
    const system = outgoing([{ point: 'new_chunk:chunk', nth: 0 }]);
    const folio = preserved(system, 2, 77);
    expect(jump(system)).toBe(-ERRNO.EAGAIN);
    expect(system.kernel.state).toBe('running');
    expect(logOf(system)).toContain(`luo_core: kho_finalize failed ${-ERRNO.ENOMEM}`);
    const after = next(system, jump(system));
    expect(after.kernel.bootKind).toBe('handover');
    expect(after.kernel.frames.stampOrder(folio)).toBe(2);
  });

  it('finalizes by itself only where there is a list to write', () => {
    // The same fault on a kernel with a radix tree never fires.
    const v7 = outgoing([{ point: 'new_chunk:chunk', nth: 0 }], revisionByName('v7.0') as Revision);
    expect(next(v7, jump(v7)).kernel.bootKind).toBe('handover');
  });
});

describe('a kexec of v6.19 without the hook', () => {
  it('and without finalize is refused: there is no map', () => {
    const system = outgoing();
    preserved(system, 0, 1);
    expect(system.kexec.fileLoad()).toBe(0);
    const after = next(system, jumpNow(system));
    expect(after.kernel.bootKind).toBe('rejected');
    expect(logOf(after)).toContain(`KHO: disabling KHO revival: ${-ERRNO.ENOENT}`);
    expect(after.kho.isKhoBoot).toBe(false);
  });

  it('keeps what listed bitmaps say at the jump, and loses a bitmap that came after finalize', () => {
    const system = outgoing();
    const before = preserved(system, 3, 1);
    const dropped = preserved(system, 3, 2);
    expect(inTask(system, (task) => system.kho.finalize(task))).toBe(0);
    const listed = preserved(system, 3, 3);
    const lost = preserved(system, 5, 4);
    inTask(system, (task) => system.kho.out.unpreserveFolio(task, dropped));
    expect(system.kexec.fileLoad()).toBe(0);
    const { kernel } = next(system, jumpNow(system));
    expect(kernel.bootKind).toBe('handover');
    expect([before, dropped, listed, lost].map((folio) => kernel.frames.stampOrder(folio))).toEqual([
      3, -1, 3, -1,
    ]);
  });
});

describe('kho_finalize', () => {
  it('is not supported with KHO off', () => {
    const system = bootOn(machineFor({ ramBytes: 64 * MIB }), { revision: V6_19, options: { kho: false } });
    expect(inTask(system, (task) => system.kho.finalize(task))).toBe(-ERRNO.EOPNOTSUPP);
  });
});

describe('a block larger than the allocator has', () => {
  const restored = (name: string): { result: boolean; warnings: number } => {
    const revision = revisionByName(name) as Revision;
    const system = bootOn(machineFor({ ramBytes: 64 * MIB }), { revision, options: { khoDebug: false } });
    // 8 MiB at 16 MiB, whoever owns them: one block of order 11.
    const first = 4096 as Pfn;
    const nr = pagesOf(order(11));
    expect(inTask(system, (task) => system.kho.out.preservePages(task, first, nr))).toBe(0);
    const { kernel, kho } = next(system, jump(system));
    expect(kernel.frames.stampOrder(first)).toBe(11);
    const result = kho.in.restorePages(physOf(first), nr, kernel.frames.owner('test'));
    return { result, warnings: kernel.log.warnings };
  };

  it('is refused at restore by v6.19, and by no later kernel', () => {
    expect(restored('v6.19')).toEqual({ result: false, warnings: 1 });
    expect(restored('v6.19 +kho-restore-any-order')).toEqual({ result: true, warnings: 0 });
    expect(restored('v7.0')).toEqual({ result: true, warnings: 0 });
    expect(restored('v7.3 -kho-restore-any-order')).toEqual({ result: false, warnings: 1 });
  });
});
