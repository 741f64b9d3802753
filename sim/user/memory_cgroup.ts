/*
 * Memory cgroups: how much of the pages of memfds a process may have to answer for. A process with a limit is in a
 * cgroup of its own; it is charged for every page that it is the first to touch, from then on: by a write, a fault, a
 * pin of a hole, and by a retrieve for what the kernel before handed over.
 *
 *   over memory.max   shmem cannot be reclaimed without swap, so the process is killed; the call that wanted the page
 *                     answers as where no page is left (a partial write: what it wrote), and is its last
 *
 * Charges go with the pages, whoever takes them out of the file.
 */
import { PAGE_SIZE } from '../base/limits.ts';
import { type Order, pagesOf } from '../base/units.ts';
import type { System } from '../boot/boot.ts';
import type { BlockCharges } from '../files/shmem_acct.ts';
import type { InodeHandle } from '../files/shmem_inode.ts';
import type { Stateful } from '../machine/journal.ts';
import type { Process } from './process.ts';

interface Cgroup {
  readonly pagesMax: number;
  /** Pages charged, by file. */
  readonly charged: ReadonlyMap<InodeHandle, number>;
}

export class MemoryCgroups implements Stateful, BlockCharges {
  readonly #system: System;
  readonly #find: (name: string) => Process | undefined;
  #cgroups: ReadonlyMap<string, Cgroup> = new Map();

  constructor(system: System, find: (name: string) => Process | undefined) {
    this.#system = system;
    this.#find = find;
    system.kernel.machine.journal.enlist(this);
  }

  /** The process moves to a new cgroup with this memory.max; what it had before stays charged to the old one. */
  setMax(process: Process, bytes: number): void {
    const pagesMax = Math.floor(bytes / PAGE_SIZE);
    this.#cgroups = new Map(this.#cgroups).set(process.name, { pagesMax, charged: new Map() });
    this.#system.files.shmem.charges = this;
  }

  capture(): unknown {
    return [this.#cgroups, this.#system.files.shmem.charges];
  }

  reinstate(state: unknown): void {
    const { shmem } = this.#system.files;
    [this.#cgroups, shmem.charges] = state as [ReadonlyMap<string, Cgroup>, typeof shmem.charges];
  }

  /** @kernel mem_cgroup_charge, mem_cgroup_out_of_memory @simplified of shmem pages alone; the only process of the cgroup is the victim */
  charge(inode: InodeHandle, order: Order): boolean {
    const pages = pagesOf(order);
    const { kernel, files } = this.#system;
    const { name } = kernel.sched.current;
    const cgroup = this.#cgroups.get(name);
    if (cgroup === undefined) return true;
    const { inodes } = files.shmem;
    let sum = pages;
    const charged = new Map<InodeHandle, number>();
    for (const [file, count] of cgroup.charged) {
      if (!inodes.slab.isLive(file)) continue;
      const there = Math.min(count, inodes.pages(file));
      charged.set(file, there);
      sum += there;
    }
    if (sum > cgroup.pagesMax) {
      const process = this.#find(name);
      if (process !== undefined && !process.killed) {
        kernel.printk(`Memory cgroup out of memory: Killed process (${name})`);
        process.killed = true;
      }
      return false;
    }
    charged.set(inode, (charged.get(inode) ?? 0) + pages);
    this.#cgroups = new Map(this.#cgroups).set(name, { ...cgroup, charged });
    return true;
  }

  /** @kernel mem_cgroup_uncharge @simplified of a block that never came into its file; others go with the pages */
  uncharge(inode: InodeHandle, order: Order): void {
    const { name } = this.#system.kernel.sched.current;
    const cgroup = this.#cgroups.get(name);
    if (cgroup === undefined) return;
    const charged = new Map(cgroup.charged);
    charged.set(inode, (charged.get(inode) as number) - pagesOf(order));
    this.#cgroups = new Map(this.#cgroups).set(name, { ...cgroup, charged });
  }
}
