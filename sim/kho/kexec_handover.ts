/*
 * Kexec HandOver: the hooks that boot runs, in order, and what subsystems call.
 *
 *   populate        setup_arch      accept or refuse what the previous kernel left; scratch-only from here
 *   memoryInit      before free_all reserve and stamp every preserved block, or take scratch areas at a cold boot
 *   init            fs_initcall     outgoing tracker, root FDT, kexec-metadata; scratch becomes CMA at a cold boot
 *
 *   locks           kho_out.lock around edits of the root FDT; radix_tree.lock around keys; both are leaves
 *
 * A refused handover is a cold boot in which the preserved memory is ordinary memory: old data is overwritten.
 */
import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { PAGE_SIZE, PAGEBLOCK_ORDER } from '../base/limits.ts';
import { definePoint, kernelFunction, type Op } from '../base/point.ts';
import { bytesOf, type Order, type Pfn, type Phys, pagesOf, pfnOf, wide } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Memblock } from '../kernel/memblock.ts';
import {
  KHO_BLOB_SIZE,
  KHO_EXTENDED_SCRATCH,
  KHO_POPULATE_CLEANUP,
  KHO_RADIX_DESTROY,
  KHO_RADIX_TREE,
} from '../kernel/patches.ts';
import { STEP } from '../machine/cpu.ts';
import type { Stateful } from '../machine/journal.ts';
import type { BootParams } from '../machine/machine.ts';
import { PageFault } from '../machine/page_fault.ts';
import { CMA } from '../machine/pageblock.ts';
import { Mutex } from '../sched/mutex.ts';
import type { Task } from '../sched/task.ts';
import {
  KEXEC_METADATA,
  KEXEC_METADATA_NODE,
  KHO_DATA_PROPERTY,
  KHO_SCRATCH,
  KHO_V1_DATA_PROPERTY,
} from './abi.ts';
import { BitmapTracker } from './bitmaps.ts';
import { extendScratch } from './extended_scratch.ts';
import { type KexecMetadata, readKexecMetadata, writeKexecMetadata } from './metadata.ts';
import { KhoOut } from './preserve.ts';
import { KhoIn } from './restore.ts';
import { RootFdt, readRoot, retrieveSubtree, type Subtree, type SubtreeFormat } from './root_fdt.ts';
import {
  framesOf,
  readScratchArray,
  reserveScratch,
  type ScratchArea,
  writeScratchArray,
} from './scratch.ts';
import { makeTracker, walkIncoming } from './trackers.ts';

const RESERVE = kernelFunction('kho_preserved_memory_reserve');
const ROOT_FDT = definePoint('kho_init', 'fdt', 'fault');
const METADATA = definePoint('kho_kexec_metadata_init', 'page', 'fault');
const ORDER_0 = 0 as Order;

export class Kho implements Stateful {
  readonly out: KhoOut;
  readonly in: KhoIn;
  readonly #kernel: Kernel;
  readonly #fdtLock: Mutex;
  /** `kho=` and every boot step so far. @kernel kho_is_enabled */
  enabled: boolean;
  scratch: readonly ScratchArea[] = [];
  scratchArrayPhys = wide(0);
  /** Root FDT of the previous kernel; 0 unless this boot is a handover. @kernel kho_get_fdt */
  incomingFdtPhys = wide(0);
  /** What the previous kernel said of itself. */
  incomingMetadata: KexecMetadata | undefined;
  #incomingMapPhys = wide(0);
  #root: RootFdt | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.enabled = kernel.options.kho;
    this.out = new KhoOut(kernel, () => this.scratch);
    this.in = new KhoIn(kernel);
    this.#fdtLock = new Mutex(kernel.sched, 'kho_out.lock');
    kernel.machine.journal.enlist(this);
  }

  /** Address of the outgoing root FDT; 0 while KHO is off. */
  get outgoingFdtPhys(): Phys {
    return (this.#root?.phys ?? 0) as Phys;
  }

  /** @kernel is_kho_boot */
  get isKhoBoot(): boolean {
    return this.incomingFdtPhys !== 0;
  }

  /**
   * Accepts the handover or says why not and goes on as a cold boot.
   * @kernel kho_populate @simplified the length of the scratch array follows from the machine's nodes; an array outside
   * memory is refused without its own line in the log; x86's first MiB is not scratch meanwhile
   */
  populate(params: BootParams, memblock: Memblock): void {
    const { machine, revision } = this.#kernel;
    const map = readRoot(machine.ram, params.fdtPhys, revision.khoCompatible);
    if (typeof map === 'object') {
      this.#print(map.refused);
      this.#print(`disabling KHO revival${this.#kernel.has(KHO_POPULATE_CLEANUP) ? '' : `: ${map.err}`}`);
      return;
    }
    const nr = machine.nodes.length + 2;
    if (!machine.ram.has(params.scratchPhys, nr * KHO_SCRATCH.size)) {
      this.#print('disabling KHO revival');
      return;
    }
    this.scratch = readScratchArray(machine.ram, params.scratchPhys, nr);
    for (const { start, bytes } of this.scratch) memblock.markScratch(start, bytes);
    memblock.reserve(params.scratchPhys, PAGE_SIZE);
    memblock.setScratchOnly(true);
    this.incomingFdtPhys = params.fdtPhys;
    this.#incomingMapPhys = map;
    this.scratchArrayPhys = params.scratchPhys;
    this.#print('found kexec handover data.');
  }

  /**
   * Before struct pages are set up: early allocations get room. kho_populate has added the areas to memblock as they
   * stand in the array; the first use of one that no memory answers is the end. So is it where mem= takes the array
   * itself away [inferred: it is read through the direct map, which ends with memory]. @kernel kho_memory_init_early
   */
  memoryInitEarly(memblock: Memblock): void {
    if (!this.isKhoBoot) return;
    const { ram } = this.#kernel.machine;
    const lost = this.scratch.find(({ start, bytes }) => bytes > 0 && start + bytes > ram.bytes);
    if (lost !== undefined) throw new PageFault(lost.start);
    if (!ram.has(this.scratchArrayPhys, this.scratch.length * KHO_SCRATCH.size)) {
      throw new PageFault(this.scratchArrayPhys);
    }
    if (this.#kernel.has(KHO_EXTENDED_SCRATCH))
      extendScratch(this.#kernel, memblock, this.#incomingMapPhys as Phys);
  }

  /**
   * Runs right before memory is handed to the page allocator.
   * @kernel kho_memory_init @simplified there are no kdump kernels, in which v7.3 switches KHO off
   */
  memoryInit(memblock: Memblock): void {
    if (this.isKhoBoot) {
      this.#releaseScratch();
      this.#retrieveMemory(memblock);
    } else {
      this.#reserveScratch(memblock);
    }
  }

  /**
   * @kernel kho_init @simplified without debugfs; a failure in a handover boot leaves the scratch areas alone, which the
   * kernel gives back although they are free already
   */
  *init(task: Task): Op<void> {
    const kernel = this.#kernel;
    if (!this.enabled) return;
    const tracker = makeTracker(kernel, () => this.scratch);
    if (tracker === undefined) return this.#disable();
    this.out.tracker = tracker;
    const fdt = yield* this.out.allocPreserve(task, PAGE_SIZE, kernel.frames.owner('kho root fdt'), ROOT_FDT);
    if (fdt < 0) return this.#disable();
    this.#root = new RootFdt(kernel.machine.ram, fdt as Phys, this.#subtreeFormat);
    const err = this.#root.setup(kernel.revision.khoCompatible, tracker.mapPhys);
    assert(err === 0, 'the empty root FDT fits a page');
    const metadata = kernel.revision.kexecMetadata ? yield* this.#initMetadata(task) : 0;
    if (metadata < 0) {
      this.#print(`failed to initialize kexec-metadata subtree: ${metadata}`);
      return this.#disable();
    }
    if (!this.isKhoBoot) this.#scratchToCma();
  }

  /**
   * Lists the bitmaps for the next kernel and says where the list is: 0, -EOPNOTSUPP with KHO off, -ENOMEM. Nothing to
   * do for a radix tree, which is always as the next kernel will read it. @kernel kho_finalize
   */
  *finalize(task: Task): Op<number> {
    const { tracker } = this.out;
    if (!this.enabled) return -ERRNO.EOPNOTSUPP;
    if (!(tracker instanceof BitmapTracker)) return 0;
    assert(this.#root !== undefined, 'kho_finalize before kho_init');
    if (!this.#fdtLock.tryLock(task)) yield* this.#fdtLock.wait(task);
    const err = tracker.finalize();
    if (err === 0) this.#root.setMap(tracker.mapPhys);
    this.#fdtLock.unlock(task);
    return err;
  }

  /** 0, -EEXIST, -ENOMEM. The blob is not preserved by this. @kernel kho_add_subtree */
  *addSubtree(task: Task, name: string, blob: Phys, bytes: number): Op<number> {
    assert(this.#root !== undefined, 'kho_add_subtree before kho_init');
    if (!this.#fdtLock.tryLock(task)) yield* this.#fdtLock.wait(task);
    const err = this.#root.add(name, blob, bytes);
    this.#fdtLock.unlock(task);
    return err;
  }

  /** @kernel kho_remove_subtree */
  *removeSubtree(task: Task, blob: Phys): Op<void> {
    assert(this.#root !== undefined, 'kho_remove_subtree before kho_init');
    if (!this.#fdtLock.tryLock(task)) yield* this.#fdtLock.wait(task);
    this.#root.remove(blob);
    this.#fdtLock.unlock(task);
  }

  /** A blob of the previous kernel; -ENOENT, -EINVAL. @kernel kho_retrieve_subtree */
  retrieveSubtree(name: string): Subtree | number {
    if (!this.isKhoBoot) return -ERRNO.ENOENT;
    const { ram } = this.#kernel.machine;
    return retrieveSubtree(ram, this.incomingFdtPhys as Phys, this.#subtreeFormat, name, (line) =>
      this.#print(line),
    );
  }

  get #subtreeFormat(): SubtreeFormat {
    const sized = this.#kernel.has(KHO_BLOB_SIZE);
    const dataProperty = this.#kernel.has(KHO_RADIX_TREE) ? KHO_DATA_PROPERTY : KHO_V1_DATA_PROPERTY;
    return { dataProperty, sized };
  }

  capture(): unknown {
    return [this.enabled, this.scratch, this.scratchArrayPhys, this.incomingFdtPhys, this.incomingMetadata];
  }

  reinstate(state: unknown): void {
    [this.enabled, this.scratch, this.scratchArrayPhys, this.incomingFdtPhys, this.incomingMetadata] =
      state as [boolean, readonly ScratchArea[], number, number, KexecMetadata | undefined];
  }

  /**
   * Marks the pageblocks of the inherited areas; free_all then gives them to the CMA lists. (v7.3 has no such step: it
   * marks them when it initialises the memory map, to the same end.) @kernel kho_release_scratch
   */
  #releaseScratch(): void {
    for (const area of this.scratch) {
      const { start, end } = framesOf(area);
      if (end > start) this.#kernel.buddy.setPageblocks(start as Pfn, end as Pfn, CMA);
    }
  }

  /**
   * Reserves and stamps every preserved block. One that mem= has taken away, in part or as a whole, is the end
   * [inferred: it has no struct page to stamp; the real kernel has them up to the end of a section of 128 MiB, and ends
   * at the first read of what lies there].
   * @kernel kho_mem_retrieve
   * @kernel kho_preserved_memory_reserve @simplified the size of a block is exact, where some kernels compute it in 32
   * bits, which order 19 overflows
   */
  #retrieveMemory(memblock: Memblock): void {
    const { machine, frames, trace } = this.#kernel;
    walkIncoming(this.#kernel, machine.ram, this.#incomingMapPhys as Phys, (address, order) => {
      if (!machine.ram.has(address, bytesOf(order))) throw new PageFault(address);
      const frame = pfnOf(address);
      memblock.reserve(address, bytesOf(order));
      frames.setStamp(frame, order);
      machine.ram.guardPages(frame, pagesOf(order), true);
      this.#kernel.charge(STEP.pageReserved, 1);
      trace.event(RESERVE, frame, order);
      return 0;
    });
  }

  #reserveScratch(memblock: Memblock): void {
    if (!this.enabled) return;
    const { machine, options, revision } = this.#kernel;
    const taken = reserveScratch(memblock, machine.nodes.length, revision.scratchAlignBytes, options.scratch);
    if (typeof taken === 'string') {
      this.#print(taken);
      this.#print('Failed to reserve scratch area, disabling kexec handover');
      this.enabled = false;
      return;
    }
    this.scratch = taken.areas;
    this.scratchArrayPhys = taken.arrayPhys;
    writeScratchArray(machine.ram, taken.arrayPhys, taken.areas);
  }

  /**
   * Turns the areas into CMA pageblocks and gives them to the buddy allocator.
   * @kernel init_cma_reserved_pageblock @simplified an area goes as a whole to the tails of the lists, where the kernel
   * frees it block by block to their heads
   */
  #scratchToCma(): void {
    const { buddy } = this.#kernel;
    for (const area of this.scratch) {
      const { start, end } = framesOf(area);
      if (end === start) continue;
      assert(start % 2 ** PAGEBLOCK_ORDER === 0, 'scratch is made of whole pageblocks');
      buddy.setPageblocks(start as Pfn, end as Pfn, CMA);
      buddy.freeRange(start as Pfn, end as Pfn);
    }
  }

  /** @kernel kho_kexec_metadata_init */
  *#initMetadata(task: Task): Op<number> {
    const kernel = this.#kernel;
    const { ram } = kernel.machine;
    const incoming = this.retrieveSubtree(KEXEC_METADATA_NODE);
    if (typeof incoming === 'object') {
      const read = readKexecMetadata(ram, incoming);
      if (typeof read === 'string') {
        this.#print(read);
      } else {
        this.incomingMetadata = read;
        this.#print(`exec from: ${read.previousRelease} (count ${read.kexecCount})`);
      }
    }
    const owner = kernel.frames.owner('kexec-metadata');
    const page = yield* this.out.allocPreserve(task, KEXEC_METADATA.size, owner, METADATA);
    if (page < 0) return page;
    writeKexecMetadata(ram, page as Phys, {
      previousRelease: kernel.revision.release,
      kexecCount: (this.incomingMetadata?.kexecCount ?? 0) + 1,
    });
    const err = yield* this.addSubtree(task, KEXEC_METADATA_NODE, page as Phys, KEXEC_METADATA.size);
    if (err < 0) yield* this.out.unpreserveFree(task, page as Phys);
    return err;
  }

  /**
   * A boot step failed: what was set up is freed, the scratch areas go back to ordinary memory.
   * @kernel kho_radix_destroy_tree, __kho_radix_destroy_tree
   */
  #disable(): void {
    const { pages, buddy } = this.#kernel;
    if (this.#root !== undefined) pages.put(pfnOf(this.#root.phys));
    const nodes = this.out.tracker?.nodes() ?? [];
    // Before kho_radix_destroy_tree only the root goes; what keys needed is lost.
    const freed = this.#kernel.has(KHO_RADIX_DESTROY) ? nodes : nodes.slice(0, 1);
    for (const node of freed) pages.free(node, ORDER_0);
    this.#root = undefined;
    this.out.tracker = undefined;
    this.enabled = false;
    if (this.isKhoBoot) return;
    for (const area of this.scratch) {
      const { start, end } = framesOf(area);
      if (end > start) buddy.freeRange(start as Pfn, end as Pfn);
    }
    this.scratch = [];
  }

  #print(line: string): void {
    this.#kernel.printk(`KHO: ${line}`);
  }
}
