/*
 * Scratch areas: memory that no preserved page may lie in, because the next kernel boots in it.
 *
 *   [0] lowmem   below 4 GiB     200 % of what this kernel reserved below 4 GiB
 *   [1] global   anywhere        the same for all memory, less lowmem
 *   [2..] one per memory node    the same for the node
 *
 * Taken at a cold boot before memory is handed out, aligned to a pageblock (CMA_MIN_ALIGNMENT_BYTES) up to v7.1, to
 * the largest buddy block in v7.3,
 * inherited unchanged at every handover. Their pageblocks are CMA, so only movable allocations use them meanwhile.
 * Rounding comes last, so an area may have size 0 (global, on a machine below 4 GiB). `kho_scratch=` sets the
 * percentage, or the three sizes, that of a node for each node with memory.
 */
import { PAGE_SHIFT, PAGE_SIZE } from '../base/limits.ts';
import { type Phys, roundUp } from '../base/units.ts';
import type { ScratchSize } from '../kernel/command_line.ts';
import type { Memblock } from '../kernel/memblock.ts';
import type { Ram } from '../machine/ram.ts';
import { KHO_SCRATCH } from './abi.ts';

export interface ScratchArea {
  readonly start: Phys;
  readonly bytes: number;
}

/** ARCH_LOW_ADDRESS_LIMIT on x86. */
const LOW_LIMIT = 2 ** 32;
const DEFAULT: ScratchSize = { percent: 200 };

export interface ScratchReservation {
  /** Where the array of areas lies. */
  readonly arrayPhys: Phys;
  readonly areas: readonly ScratchArea[];
}

/**
 * Takes the areas at a cold boot; a string is the reason why it could not.
 * @kernel kho_reserve_scratch @simplified v6.19, too, logs which area it was
 * @kernel scratch_size_update @simplified without huge pages to subtract; v6.19 rounds lowmem before it subtracts it
 * from global, here lowmem is rounded afterwards
 * @kernel scratch_size_node @simplified without huge pages to subtract; a node without memory has an area of size 0
 */
export function reserveScratch(
  memblock: Memblock,
  nodes: number,
  alignBytes: number,
  wanted: ScratchSize = DEFAULT,
): ScratchReservation | string {
  const sizes = scratchSizes(memblock, nodes, wanted);

  const arrayPhys = memblock.alloc(roundUp(sizes.length * KHO_SCRATCH.size, PAGE_SIZE), { align: PAGE_SIZE });
  if (arrayPhys === undefined) return 'Failed to reserve scratch array';
  const areas: ScratchArea[] = [];
  for (const [i, size] of sizes.entries()) {
    const bytes = roundUp(size, alignBytes);
    const limits = i === 0 ? { below: LOW_LIMIT } : i === 1 ? {} : { node: i - 2 };
    const start = memblock.alloc(bytes, { align: alignBytes, ...limits });
    if (start === undefined) {
      for (const area of areas) memblock.free(area.start, area.bytes);
      memblock.free(arrayPhys, PAGE_SIZE);
      const which = i === 0 ? 'lowmem' : i === 1 ? 'global' : `nid ${i - 2}`;
      return `Failed to reserve ${which} scratch buffer`;
    }
    areas.push({ start, bytes });
  }
  return { arrayPhys, areas };
}

function scratchSizes(memblock: Memblock, nodes: number, wanted: ScratchSize): number[] {
  const each = Array.from({ length: nodes }, (_, node) => node);
  if (!('percent' in wanted)) {
    const { lowmem, global, node } = wanted;
    return [lowmem, global, ...each.map((n) => (memblock.hasMemory(n) ? node : 0))];
  }
  const scaled = (bytes: number): number => Math.floor((bytes * wanted.percent) / 100);
  const low = scaled(memblock.kernelBytes({ below: LOW_LIMIT }));
  const global = scaled(memblock.kernelBytes({})) - low;
  return [low, global, ...each.map((node) => scaled(memblock.kernelBytes({ node })))];
}

/** Writes the array of areas for the next kernel. */
export function writeScratchArray(ram: Ram, arrayPhys: Phys, areas: readonly ScratchArea[]): void {
  for (const [i, { start, bytes }] of areas.entries()) {
    const entry = arrayPhys + i * KHO_SCRATCH.size;
    ram.store64(entry + KHO_SCRATCH.at.addr, start);
    ram.store64(entry + KHO_SCRATCH.at.size, bytes);
  }
}

/** Reads the array that the previous kernel passed: `nr` areas. */
export function readScratchArray(ram: Ram, arrayPhys: Phys, nr: number): ScratchArea[] {
  return Array.from({ length: nr }, (_, i) => {
    const entry = arrayPhys + i * KHO_SCRATCH.size;
    return {
      start: ram.load64(entry + KHO_SCRATCH.at.addr) as Phys,
      bytes: ram.load64(entry + KHO_SCRATCH.at.size),
    };
  });
}

/** Whether [address, address + bytes) touches an area. @kernel kho_scratch_overlap */
export function scratchOverlap(areas: readonly ScratchArea[], address: Phys, bytes: number): boolean {
  return areas.some((area) => address < area.start + area.bytes && address + bytes > area.start);
}

/**
 * Where a kexec segment goes: top down in the first area with room above what `taken` says is used; undefined is
 * -EADDRNOTAVAIL.
 * @kernel kho_walk_scratch
 * @kernel kho_locate_mem_hole @simplified with KHO off it is not modelled where a segment goes
 */
export function locateSegment(
  areas: readonly ScratchArea[],
  bytes: number,
  align: number,
  taken: readonly ScratchArea[] = [],
): Phys | undefined {
  for (const area of areas) {
    const floor = area.start;
    let end = area.start + area.bytes;
    for (const used of taken) {
      if (used.start >= area.start && used.start < end) end = used.start;
    }
    const start = Math.floor((end - bytes) / align) * align;
    if (start >= floor && area.bytes > 0) return start as Phys;
  }
  return undefined;
}

export const framesOf = (area: ScratchArea): { readonly start: number; readonly end: number } => ({
  start: Math.floor(area.start / 2 ** PAGE_SHIFT),
  end: Math.floor((area.start + area.bytes) / 2 ** PAGE_SHIFT),
});
