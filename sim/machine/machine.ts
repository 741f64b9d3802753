/*
 * The machine: RAM, CPUs, memory nodes, and the jump. Kernels come and go on it.
 *
 *   outgoing kernel --- jump() ---> BootParams {ram, fdtPhys, scratchPhys} --- boot ---> incoming kernel
 *
 * Only RAM crosses. What was not kept arrives as leftovers: intact, zeroed or overwritten, as decided; the scratch
 * areas, where the image of the next kernel lands, are always overwritten.
 */
import { assert } from '../base/assert.ts';
import type { Decisions } from '../base/decisions.ts';
import {
  CPUS_MAX,
  NODES_MAX,
  PAGE_SIZE,
  RAM_BYTES_MAX,
  RAM_BYTES_MIN,
  SHATTERED_RAM_BYTES_MAX,
} from '../base/limits.ts';
import { definePoint } from '../base/point.ts';
import { RandomStream } from '../base/random.ts';
import { type Pfn, type Phys, roundDown, roundUp } from '../base/units.ts';
import { type Column, Storage } from './column.ts';
import { type CostProfile, Cpus } from './cpu.ts';
import { Journal, type Mark } from './journal.ts';
import type { PiecePool } from './pool.ts';
import { Ram } from './ram.ts';

export interface MachineParams {
  readonly ramBytes: number;
  readonly nodes: number;
  readonly cpus: number;
  /** Of the free memory that the first kernel finds, how many pieces of 16 pages lack one: 0 to 100 percent, else 0. */
  readonly fragmentedPercent?: number;
}

/** Frames [start, end) of a memory node. */
export interface NodeSpan {
  readonly start: Pfn;
  readonly end: Pfn;
}

/** All that the next kernel is given. */
export interface BootParams {
  readonly ram: Ram;
  /** Root FDT of the handover, 0 where there is none. */
  readonly fdtPhys: Phys;
  /** Array of scratch areas, 0 where there is none. */
  readonly scratchPhys: Phys;
}

/** What a jump keeps and what it overwrites. */
export interface JumpPlan {
  readonly fdtPhys: Phys;
  readonly scratchPhys: Phys;
  readonly scratch: readonly { readonly start: Phys; readonly bytes: number }[];
  /** What the loader copies into scratch for the next kernel. */
  readonly segments: readonly { readonly phys: Phys; readonly contents: Uint8Array }[];
  /** How many of `pages` frames cross intact whatever happens. */
  kept(first: Pfn, pages: number): number;
}

/** How the frames that were not kept arrive. */
export const LEFTOVERS = ['intact', 'zeroed', 'overwritten', 'mixed'] as const;

const LEFTOVER_MODE = definePoint('machine_kexec', 'leftovers', 'leftovers');
const LEFTOVER_SEED = definePoint('machine_kexec', 'pattern', 'leftovers');

/** Why these parameters make no machine, or undefined where they do. */
export function machineParamsError({
  ramBytes,
  nodes,
  cpus,
  fragmentedPercent = 0,
}: MachineParams): string | undefined {
  if (!Number.isInteger(ramBytes) || ramBytes < RAM_BYTES_MIN || ramBytes > RAM_BYTES_MAX) {
    return `a machine has between ${RAM_BYTES_MIN / 2 ** 20} MiB and ${RAM_BYTES_MAX / 2 ** 40} TiB of RAM`;
  }
  if (ramBytes % (4 * 2 ** 20) !== 0) return 'RAM is a multiple of 4 MiB';
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > NODES_MAX) return `nodes: 1 to ${NODES_MAX}`;
  if (!Number.isInteger(cpus) || cpus < 1 || cpus > CPUS_MAX) return `CPUs: 1 to ${CPUS_MAX}`;
  if (!Number.isInteger(fragmentedPercent) || fragmentedPercent < 0 || fragmentedPercent > 100) {
    return 'fragmented memory: a whole percentage, 0 to 100';
  }
  if (fragmentedPercent > 0 && ramBytes > SHATTERED_RAM_BYTES_MAX) {
    return `fragmented memory: at most ${SHATTERED_RAM_BYTES_MAX / 2 ** 30} GiB of RAM`;
  }
  if (ramBytes / nodes < RAM_BYTES_MIN) return `every node has at least ${RAM_BYTES_MIN / 2 ** 20} MiB`;
  return undefined;
}

export class Machine {
  readonly params: MachineParams;
  readonly pool: PiecePool;
  readonly journal = new Journal();
  readonly ram: Ram;
  readonly cpus: Cpus;
  readonly nodes: readonly NodeSpan[];
  /** Those that outlive kernels: whoever looks on has some. */
  readonly columns: Column[] = [];
  /** Answers everything undetermined; replaced for each run from a mark. */
  decisions: Decisions;

  /** `nodes` are ascending, without a gap, and cover memory; equal ones unless given. */
  constructor(
    params: MachineParams,
    profile: CostProfile,
    pool: PiecePool,
    decisions: Decisions,
    nodes: readonly NodeSpan[] = nodeSpans(params),
  ) {
    const error = machineParamsError(params);
    assert(error === undefined, error ?? '');
    assert(nodes.length === params.nodes && covers(nodes, params), 'nodes cover memory');
    this.params = params;
    this.pool = pool;
    this.decisions = decisions;
    this.ram = new Ram(new Storage(pool, this.journal), params.ramBytes);
    this.cpus = new Cpus(params.cpus, profile);
    this.journal.enlist(this.cpus);
    this.nodes = nodes;
  }

  /** The node a frame belongs to. */
  nodeOf(frame: Pfn): number {
    return this.nodes.findIndex((span) => frame >= span.start && frame < span.end);
  }

  /** At quiescence only: remembers machine and kernels as they are. */
  mark(): Mark {
    return this.journal.mark();
  }

  rollback(mark: Mark): void {
    this.journal.rollback(mark);
  }

  /**
   * The jump: every CPU but the first stops, scratch is overwritten, leftovers are decided.
   * @kernel machine_kexec @simplified what the purgatory and the next image do to memory is a decision
   */
  jump(plan: JumpPlan): BootParams {
    this.cpus.synchronise();
    this.ram.end = this.ram.bytes;
    this.ram.endGuards();
    const mode = LEFTOVERS[this.decisions.choose(LEFTOVER_MODE, LEFTOVERS.length)] ?? 'intact';
    const seed = this.decisions.choose(LEFTOVER_SEED, 0x7fffffff);
    if (mode !== 'intact') this.#leaveOver(plan, mode, seed);
    for (const { start, bytes } of plan.scratch) {
      // Images are loaded by whole pages; an area out of a damaged handover may begin inside of one.
      const first = roundUp(start, PAGE_SIZE);
      const end = roundDown(start + bytes, PAGE_SIZE);
      if (end > first) this.ram.overwrite(first as Phys, end - first, seed);
    }
    for (const { phys, contents } of plan.segments) this.ram.storeBytes(phys, contents);
    return { ram: this.ram, fdtPhys: plan.fdtPhys, scratchPhys: plan.scratchPhys };
  }

  /** Page by page of what was written, then block by block of what was stamped. */
  #leaveOver({ kept }: JumpPlan, mode: (typeof LEFTOVERS)[number], seed: number): void {
    const { ram } = this;
    const leftovers = new RandomStream(`leftovers/${seed}`);
    const fate = (): number => (mode === 'mixed' ? leftovers.below(3) : LEFTOVERS.indexOf(mode));
    for (const frame of [...ram.dirtyPages()]) {
      if (kept(frame, 1) > 0) continue;
      const own = fate();
      if (own === 1) ram.zeroPages(frame, 1);
      if (own === 2) ram.scribble(frame, seed ^ frame);
    }
    const part = (first: Pfn, pages: number): void => {
      const crossing = kept(first, pages);
      if (crossing === pages) return;
      if (crossing > 0) {
        part(first, pages / 2);
        part((first + pages / 2) as Pfn, pages / 2);
        return;
      }
      const own = fate();
      if (own === 1) ram.zeroPages(first, pages);
      if (own === 2) ram.stampPages(first, pages, { seed: seed ^ first, every: 0, index: first });
    };
    for (const { first, order } of ram.stampedBlocks()) part(first as Pfn, 2 ** order);
  }

  /** Gives all host memory back but that of a kernel. */
  dispose(): void {
    this.journal.forget();
    this.ram.dispose();
    for (const column of this.columns) column.dispose();
    this.columns.length = 0;
  }
}

const covers = (nodes: readonly NodeSpan[], { ramBytes }: MachineParams): boolean =>
  nodes[0]?.start === 0 &&
  nodes.at(-1)?.end === ramBytes / PAGE_SIZE &&
  nodes.every(({ start, end }, i) => start < end && (nodes[i + 1]?.start ?? end) === end);

function nodeSpans({ ramBytes, nodes }: MachineParams): NodeSpan[] {
  const frames = ramBytes / PAGE_SIZE;
  const boundary = (i: number): number =>
    i === 0 ? 0 : i === nodes ? frames : Math.floor((frames * i) / nodes);
  return Array.from({ length: nodes }, (_, i) => ({
    start: boundary(i) as Pfn,
    end: boundary(i + 1) as Pfn,
  }));
}
