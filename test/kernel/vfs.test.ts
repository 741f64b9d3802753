/*
 * Files and their dentries, which need not have the same handle once an allocation has failed between the two.
 */
import { expect, it } from 'vitest';
import type { FileHandle } from '../../sim/kernel/vfs.ts';
import { Process } from '../../sim/user/process.ts';
import { bootOn, machineFor } from '../support/system.ts';

it('every file gives its own dentry back, whichever allocation of theirs fails', () => {
  let apart = 0;
  for (let nth = 0; nth < 40; nth++) {
    const machine = machineFor({ faults: [{ point: 'kmem_cache_alloc:pages', nth }] });
    const { kernel, vfs } = bootOn(machine);
    const kind = vfs.registerKind({ name: 'test', release: () => 0 });
    const dentries = kernel.slabs.find(({ name }) => name === 'dentry');
    const files = Array.from({ length: 30 }, (_, i) => vfs.allocFile(kernel.sched.boot, kind, i));
    const made = files.filter((file) => file > 0) as FileHandle[];
    if (made.length < files.length && dentries?.live === made.length) apart++;
    for (const [i, file] of made.entries()) {
      expect(vfs.put(file)).toBe(true);
      vfs.free(file);
      expect([vfs.open, dentries?.live]).toEqual([made.length - i - 1, made.length - i - 1]);
    }
    machine.dispose();
  }
  expect(apart).toBeGreaterThan(1);
});

it('a descriptor leads to the same file with close-on-exec and without', () => {
  const system = bootOn(machineFor());
  const process = new Process(system, 'test');
  const kind = system.vfs.registerKind({ name: 'test', release: () => 0 });
  for (const closes of [true, false]) {
    const file = system.vfs.allocFile(system.kernel.sched.boot, kind, 0) as FileHandle;
    const fd = process.reserveFd();
    expect([process.file(fd), process.closesOnExec(fd)]).toEqual([-9, false]);
    process.install(fd, file, closes);
    expect([process.file(fd), process.closesOnExec(fd)]).toEqual([file, closes]);
    expect(process.nextOpen(0)).toBe(fd);
    expect(process.detach(fd)).toBe(file);
    expect([process.file(fd), process.closesOnExec(fd)]).toEqual([-9, false]);
  }
});

it('fs.file-max is what it was, after a rollback', () => {
  const { vfs, kernel } = bootOn(machineFor());
  const { fileMax } = vfs;
  const mark = kernel.machine.mark();
  vfs.fileMax = 3;
  kernel.machine.rollback(mark);
  expect([fileMax > 3, vfs.fileMax]).toEqual([true, fileMax]);
});
