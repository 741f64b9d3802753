/*
 * From BootParams to a running kernel, in the order of a real boot:
 *
 *   setup_arch        kho_populate accepts or refuses; scratch-only if accepted; then only the command line is parsed:
 *                     kho=off comes too late for a handover, mem= may take away what lies in it
 *   mm_core_init      struct pages and hash tables (early allocations); kho_memory_init; memblock_free_all
 *   early_initcall    liveupdate_early_init: the incoming tree, a panic if it is broken
 *   fs_initcall       kho_init: outgoing tracker and root FDT
 *   late_initcall     luo_late_startup, then the device, then file handlers
 *   (years later)     shattered memory, where the machine is to have that (shatter.ts): after power-on only
 *
 * A bad address or an endless walk this early is the end of a real kernel: a panic here.
 */
import { assert } from '../base/assert.ts';
import { NR_FILE, PAGE_SIZE } from '../base/limits.ts';
import { kernelFunction } from '../base/point.ts';
import { type Pfn, type Phys, pfnOf } from '../base/units.ts';
import { Files } from '../files/files.ts';
import { type CommandLine, type Parsed, parseCommandLine } from '../kernel/command_line.ts';
import { type BootOptions, Kernel, Panic } from '../kernel/kernel.ts';
import { Memblock } from '../kernel/memblock.ts';
import { Overcommit } from '../kernel/overcommit.ts';
import type { Revision } from '../kernel/revisions.ts';
import { Vfs } from '../kernel/vfs.ts';
import { KHO_SCRATCH } from '../kho/abi.ts';
import { Kho } from '../kho/kexec_handover.ts';
import { EndlessWalk } from '../kho/radix.ts';
import { readScratchArray } from '../kho/scratch.ts';
import { Luo } from '../luo/core.ts';
import { STEP } from '../machine/cpu.ts';
import type { BootParams, Machine } from '../machine/machine.ts';
import { PageFault } from '../machine/page_fault.ts';
import {
  COLD_IMAGE_PHYS,
  FIRMWARE_BYTES,
  hashBytes,
  imageBytes,
  memmapBytes,
  placeSegments,
} from './image.ts';
import { Kexec } from './kexec.ts';
import { shatterMemory } from './shatter.ts';

const START_KERNEL = kernelFunction('start_kernel');

/** A kernel with its subsystems; after a panic only `kernel` is to be trusted. */
export interface System {
  readonly kernel: Kernel;
  readonly memblock: Memblock;
  readonly kho: Kho;
  readonly vfs: Vfs;
  readonly overcommit: Overcommit;
  readonly luo: Luo;
  readonly files: Files;
  readonly kexec: Kexec;
}

/** A kernel on its way up: it has its last three parts once memory is handed out. */
export type Booting = Pick<System, 'kernel' | 'memblock' | 'kho'> & Partial<System>;

export interface BootRequest {
  readonly revision: Revision;
  /** What holds where the command line says nothing. */
  readonly options: BootOptions;
  readonly commandLine?: CommandLine;
  readonly generation: number;
  /** What the previous kernel passed; none at power-on. */
  readonly params?: BootParams;
  /** Called before anything has happened in the kernel. */
  readonly onStart?: (system: Booting) => void;
}

/**
 * Boots. The result may have panicked: `system.kernel.state`.
 * @kernel start_kernel @simplified the stages that live update takes part in; the rest is a price
 */
export function boot(machine: Machine, request: BootRequest): System {
  const { revision, generation, params } = request;
  machine.cpus.reset();
  const { dmesg, ...given }: Parsed = parseCommandLine(request.commandLine ?? {});
  const kernel = new Kernel(machine, revision, { ...request.options, ...given }, generation);
  const memblock = new Memblock({ start: 0, end: kernel.memBytes }, machine.nodes);
  const kho = new Kho(kernel);
  const booting = { kernel, memblock, kho };
  request.onStart?.(booting);
  kernel.charge(STEP.boot, 1);
  kernel.trace.event(START_KERNEL, generation);
  kernel.printk(`Linux version ${revision.release}`);
  const early = (): void => {
    setupArch(kernel, memblock, kho, params, dmesg);
    initMemory(kernel, memblock, kho);
  };
  endsInPanic(kernel, early);
  const vfs = new Vfs(kernel, fileMax(kernel));
  const overcommit = new Overcommit(kernel);
  const luo = new Luo(kernel, kho, vfs);
  const files = new Files(kernel, kho, vfs, luo, overcommit);
  const kexec = new Kexec(kernel, kho, luo);
  const system = Object.assign(booting, { vfs, overcommit, luo, files, kexec });
  if (kernel.state !== 'panicked') {
    endsInPanic(kernel, () => {
      luo.earlyInit();
      const { sched } = kernel;
      sched.complete(kho.init(sched.boot));
      sched.complete(luo.lateStartup(sched.boot));
      sched.complete(files.init(sched.boot));
      kernel.state = 'running';
    });
  }
  const { fragmentedPercent = 0 } = machine.params;
  if (params === undefined && fragmentedPercent > 0 && kernel.state === 'running') {
    shatterMemory(kernel, fragmentedPercent);
  }
  return system;
}

/** @kernel setup_arch @simplified memory is one range, of which firmware and the image take their parts */
function setupArch(
  kernel: Kernel,
  memblock: Memblock,
  kho: Kho,
  params: BootParams | undefined,
  dmesg: readonly string[],
): void {
  const { machine } = kernel;
  const image = imagePhys(machine, params);
  memblock.reserve(0, FIRMWARE_BYTES);
  memblock.reserveKernel(image, imageBytes(machine.params));
  if (params !== undefined && params.fdtPhys !== 0) {
    assert(params.ram === machine.ram, 'the RAM that crossed is the RAM there is');
    kho.populate(params, memblock);
    kernel.bootKind = kho.isKhoBoot ? 'handover' : 'rejected';
  }
  for (const line of dmesg) kernel.printk(line);
  machine.ram.end = kernel.memBytes;
  // [inferred: its page tables are reached through the direct map, which ends with memory]
  if (!machine.ram.has(image, imageBytes(machine.params))) throw new PageFault(image);
}

/** @kernel mm_core_init @simplified struct pages and one block of hash tables stand for all that is allocated so early */
function initMemory(kernel: Kernel, memblock: Memblock, kho: Kho): void {
  const { machine, buddy } = kernel;
  const anywhere = { align: PAGE_SIZE };
  const take = (bytes: number, node?: number): void => {
    // Struct pages of a node without room for them lie on another.
    const found = node === undefined ? undefined : memblock.alloc(bytes, { ...anywhere, node });
    if ((found ?? memblock.alloc(bytes, anywhere)) === undefined)
      kernel.panic(`memblock: out of memory for ${bytes} bytes`);
  };
  kho.memoryInitEarly(memblock);
  const last = Math.ceil(kernel.memBytes / PAGE_SIZE) as Pfn;
  for (const [node, { start, end }] of machine.nodes.entries()) {
    if (memblock.hasMemory(node)) take(memmapBytes({ start, end: Math.min(end, last) as Pfn }), node);
  }
  take(hashBytes(kernel.memBytes));
  kho.memoryInit(memblock);
  memblock.setScratchOnly(false);
  for (const { start, end } of memblock.freeRanges()) {
    buddy.freeRange(pfnOf(start as Phys), pfnOf(end as Phys));
  }
}

/** Where the running image lies: the loader of the previous kernel and this one follow the same rule. */
function imagePhys(machine: Machine, params: BootParams | undefined): Phys {
  if (params === undefined || params.scratchPhys === 0) return COLD_IMAGE_PHYS;
  const { ram, nodes } = machine;
  const nr = nodes.length + 2;
  if (!ram.has(params.scratchPhys, nr * KHO_SCRATCH.size)) return COLD_IMAGE_PHYS;
  const areas = readScratchArray(ram, params.scratchPhys, nr).filter((area) =>
    ram.has(area.start, area.bytes),
  );
  return placeSegments(machine.params, areas)?.image ?? COLD_IMAGE_PHYS;
}

/**
 * fs.file-max: a tenth of free memory in KiB.
 * @kernel files_maxfiles_init @simplified memory in use counts once, not one and a half times
 */
function fileMax({ buddy }: Kernel): number {
  return Math.max(Math.floor((buddy.nrFree * (PAGE_SIZE / 1024)) / 10), NR_FILE);
}

function endsInPanic(kernel: Kernel, stage: () => void): void {
  try {
    stage();
  } catch (error) {
    if (error instanceof Panic) return;
    if (!(error instanceof PageFault || error instanceof EndlessWalk)) throw error;
    kernel.log.oopses++;
    kernel.printk(`BUG: ${error.message}`);
    try {
      kernel.panic('Attempted to kill the idle task!');
    } catch (panic) {
      if (!(panic instanceof Panic)) throw panic;
    }
  }
}
