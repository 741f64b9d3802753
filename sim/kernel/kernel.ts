/*
 * What all kernel code is given: the revision with its patches, memory, log, warnings, cost, tasks. One Kernel is one
 * boot; it ends at the jump, in a panic, or with the run.
 *
 *   booting -> running -> rebooting (the hook succeeded, nothing comes back) -> left
 *         \-> panicked   (terminal; the machine needs a cold boot)
 *
 * What a real kernel would see as a crash is an exception here, and part of the run: an oops kills the task that ran
 * into it and leaves its locks held, a panic ends the kernel.
 */

import { assert } from '../base/assert.ts';
import { PAGE_SIZE } from '../base/limits.ts';
import { definePoint, nameHash } from '../base/point.ts';
import { Trace } from '../base/trace.ts';
import type { Pfn } from '../base/units.ts';
import { Buddy } from '../machine/buddy.ts';
import { type Column, Storage } from '../machine/column.ts';
import { STEP } from '../machine/cpu.ts';
import { FrameTable } from '../machine/frames.ts';
import type { Stateful } from '../machine/journal.ts';
import type { Machine } from '../machine/machine.ts';
import { PageFault } from '../machine/page_fault.ts';
import { SlabCache } from '../machine/slab.ts';
import { UseAfterFree } from '../machine/slab_handle.ts';
import type { PageSource } from '../machine/slab_order.ts';
import { Scheduler } from '../sched/scheduler.ts';
import type { Task } from '../sched/task.ts';
import type { ScratchSize } from './command_line.ts';
import { KernelLog } from './log.ts';
import { PageAllocator } from './mm.ts';
import type { Patch } from './patches.ts';
import type { Revision } from './revisions.ts';

export type KernelState = 'booting' | 'running' | 'rebooting' | 'left' | 'panicked';

/** How this kernel came to run. */
export type BootKind = 'cold' | 'handover' | 'rejected';

/** The kernel's configuration, and its command line as far as it matters here. */
export interface BootOptions {
  readonly kho: boolean;
  readonly liveupdate: boolean;
  /** mem=: memory ends here, if not before. */
  readonly memBytes?: number;
  /** kho_scratch= */
  readonly scratch?: ScratchSize;
  /** CONFIG_KEXEC_HANDOVER_DEBUG: preserving memory in scratch is refused. */
  readonly khoDebug: boolean;
  /** CONFIG_LIVEUPDATE_TEST: three FLBs are tied to every file handler. */
  readonly liveupdateTest?: boolean;
}

/** The kernel died of a panic(). */
export class Panic extends Error {
  override readonly name = 'Panic';
}

/** A task ran into BUG(), a bad address or freed memory. */
export class Oops extends Error {
  override readonly name = 'Oops';
}

const SLAB_PAGES = definePoint('kmem_cache_alloc', 'pages', 'fault');

export class Kernel implements Stateful {
  readonly machine: Machine;
  readonly revision: Revision;
  readonly options: BootOptions;
  /** 0 for the first kernel of the run. */
  readonly generation: number;
  /** Where memory ends for this kernel: that of the machine, or as mem= says. */
  readonly memBytes: number;
  readonly trace = new Trace();
  readonly log: KernelLog;
  readonly frames: FrameTable;
  readonly buddy: Buddy;
  readonly pages: PageAllocator;
  readonly sched: Scheduler;
  readonly storage: Storage;
  state: KernelState = 'booting';
  bootKind: BootKind = 'cold';
  /** Singletons of the journal that are older than this kernel. */
  readonly #enlistedBefore: number;
  readonly #columns: Column[] = [];
  readonly #slabs: SlabCache[] = [];
  readonly #patches: ReadonlySet<Patch>;

  constructor(machine: Machine, revision: Revision, options: BootOptions, generation: number) {
    this.machine = machine;
    this.#enlistedBefore = machine.journal.enlisted;
    this.revision = revision;
    this.options = options;
    this.generation = generation;
    this.#patches = new Set(revision.patches);
    this.storage = new Storage(machine.pool, machine.journal, this.#columns);
    this.log = new KernelLog(this.trace, machine.cpus);
    this.memBytes = Math.min(options.memBytes ?? machine.params.ramBytes, machine.params.ramBytes);
    this.frames = new FrameTable(this.storage, machine.params.ramBytes / PAGE_SIZE);
    this.buddy = new Buddy(this.storage, this.frames, machine.nodes);
    this.pages = new PageAllocator(machine, this.buddy, this.trace);
    this.sched = new Scheduler({
      machine,
      trace: this.trace,
      oopses: [Oops, PageFault, UseAfterFree, Panic],
      onOops: (task, error) => this.#oops(task, error),
      onBug: ({ kind, lock, task }) => this.warn(`${lock} ${kind} (${task.name})`),
    });
    machine.ram.guarded = (first, pages) => this.frames.firstStampedIn(first, pages);
    machine.journal.enlist(this);
    machine.journal.enlist(this.log);
    this.trace.digest.mixText(revision.name);
    this.trace.digest.mix(generation);
  }

  /** Whether a patch is applied to this revision. */
  has(patch: Patch): boolean {
    return this.#patches.has(patch);
  }

  charge(kind: number, steps: number): void {
    this.machine.cpus.charge(kind, steps);
  }

  printk(text: string): void {
    this.log.print(text);
  }

  /** A WARN_ON that fired. */
  warn(where: string): void {
    this.log.warnings++;
    this.log.print(`WARNING: ${where}`);
  }

  /** A task crashed: it is gone, its locks stay held. */
  #oops(task: Task, error: Error): void {
    if (error instanceof Panic) return;
    this.log.oopses++;
    this.log.print(`BUG: ${error.message}`);
    this.log.print(`Oops: 0000 [#${this.log.oopses}] ${task.name}`);
  }

  /** @kernel panic @simplified the machine stops there: no panic= timeout, no crash kernel */
  panic(text: string): never {
    this.log.print(`Kernel panic - not syncing: ${text}`);
    this.state = 'panicked';
    this.sched.stop();
    throw new Panic(text);
  }

  /**
   * The slab cache of a name, whose objects lie on this kernel's frames; made when first asked for, with rows
   * of so many words (machine/slab.ts).
   * @kernel kmem_cache_create @simplified slabs of the order that one CPU would give them
   */
  slab(name: string, objectBytes: number, rowWords = 1): SlabCache {
    const known = this.#slabs.find((cache) => cache.name === name);
    if (known !== undefined) {
      assert(known.objectBytes === objectBytes, `slab ${name} has objects of ${known.objectBytes} bytes`);
      return known;
    }
    const owner = this.frames.owner(`slab:${name}`);
    const pages: PageSource = {
      allocPages: (order) => this.pages.alloc(order, owner, SLAB_PAGES),
      freePages: (frame: Pfn, order) => this.pages.free(frame, order),
    };
    const cache = new SlabCache(this.storage, name, objectBytes, pages, { rowWords });
    this.#slabs.push(cache);
    return cache;
  }

  get slabs(): readonly SlabCache[] {
    return this.#slabs;
  }

  /** The digest of everything this kernel did, with its clocks and step counts. */
  digest(): string {
    const { digest } = this.trace;
    const saved = digest.capture();
    for (const cpu of this.machine.cpus.all) {
      digest.mixNumber(cpu.seconds);
      digest.mix(cpu.ns);
    }
    for (const steps of this.machine.cpus.steps) digest.mixNumber(steps);
    digest.mix(nameHash(this.state));
    const text = digest.toString();
    digest.reinstate(saved);
    return text;
  }

  /** Charges a system call. */
  enterSyscall(): void {
    this.charge(STEP.syscall, 1);
  }

  /** The machine jumped. Memory goes back to the pool, unless a mark may bring this kernel back. */
  leave(): void {
    this.state = 'left';
    if (this.machine.journal.depth === 0) this.dispose();
  }

  /** Gives all memory back to the pool: this kernel is gone. */
  dispose(): void {
    const { journal } = this.machine;
    if (journal.depth === 0) journal.dismiss(this.#enlistedBefore);
    for (const column of this.#columns) column.dispose();
    this.#columns.length = 0;
  }

  capture(): unknown {
    return [this.state, this.bootKind, this.trace.capture()];
  }

  reinstate(state: unknown): void {
    const [kernelState, bootKind, trace] = state as [KernelState, BootKind, ReturnType<Trace['capture']>];
    this.state = kernelState;
    this.bootKind = bootKind;
    this.trace.reinstate(trace);
  }
}
