/*
 * Where the next kernel boots: the scratch areas of an image. The array that the loader copies for it is written at the
 * jump, so a dump taken before has none; the areas are those of kho_scratch[] then, or have to be assumed.
 *
 *   lowmem    below 4 GiB, the largest stretch there without a preserved page
 *   global    empty
 *   node      the largest stretch of what is left
 *
 * Memory nodes are not in an image: a node begins behind the area of the one before.
 */
import { MAX_PAGE_ORDER, NODES_MAX, PAGE_SIZE } from '../base/limits.ts';
import { bytesOf, hex, type Order, type Pfn, type Phys, pfnOf, roundDown, roundUp } from '../base/units.ts';
import { hashBytes, imageBytes, memmapBytes, placeSegments } from '../boot/image.ts';
import type { Memory } from '../check/anatomy.ts';
import { KHO_SCRATCH } from '../kho/abi.ts';
import { type ScratchArea, writeScratchArray } from '../kho/scratch.ts';
import type { Machine, MachineParams, NodeSpan } from '../machine/machine.ts';
import type { ImageContents } from './image_contents.ts';
import type { Image } from './image_file.ts';
import type { MemoryRange } from './image_memory.ts';
import type { ImageReport } from './image_report.ts';

export interface BootPlace {
  readonly machine: MachineParams;
  /** Undefined for equal ones. */
  readonly nodes: readonly NodeSpan[] | undefined;
  readonly scratch: ImageReport['scratch'];
  /** The array that the kernel is given; undefined where it has to be written. */
  readonly arrayPhys: Phys | undefined;
  /** Whether there is room for a kernel. */
  readonly boots: boolean;
  readonly notes: readonly string[];
}

/** What the array of areas is called among the pieces. */
export const SCRATCH = 'scratch';

/** kho_scratch[0] and [1] are of no node. */
const NODELESS = 2;
const LOW_LIMIT = 2 ** 32;
const ALIGN = bytesOf(MAX_PAGE_ORDER as Order);
/** Assumed areas hold what the early boot needs twice, as the kernel takes them. */
const SCALE = 2;

/** `asked` is the address of an array; a string is why that cannot be used. */
export function bootPlace(
  image: Image,
  asked: number | undefined,
  contents: ImageContents,
): BootPlace | string {
  const { memory, ramBytes, scratch } = image;
  if (asked !== undefined) {
    const areas = readAreas(memory, asked);
    if (typeof areas !== 'string') return placeIn(ramBytes, areas, `the array at ${hex(asked)}`);
    return `has no array of scratch areas at ${hex(asked)}: ${areas}; give another --scratch`;
  }
  if (scratch !== undefined && 'arrayPhys' in scratch) {
    const { arrayPhys, machine } = scratch;
    const read = readAreas(memory, arrayPhys);
    const areas = typeof read === 'string' ? [] : read;
    if (typeof read === 'string') contents.addProblem({ path: SCRATCH, phys: arrayPhys, text: read });
    const known = { source: `the array at ${hex(arrayPhys)}`, areas, nodes: machine.nodes };
    return { machine, nodes: undefined, scratch: known, arrayPhys, boots: true, notes: [] };
  }
  if (scratch !== undefined && areasError(memory, scratch.areas) === undefined)
    return placeIn(ramBytes, scratch.areas, scratch.source);
  return assumedPlace(image, contents);
}

/** Address of the array of areas, written where the loader would if it is not there. */
export function scratchArray(machine: Machine, { arrayPhys, scratch }: BootPlace): Phys {
  if (arrayPhys !== undefined) return arrayPhys;
  const areas = scratch?.areas ?? [];
  const address = placeSegments(machine.params, areas)?.scratchArray ?? (0 as Phys);
  machine.ram.zeroPages(pfnOf(address), 1);
  writeScratchArray(machine.ram, address, areas);
  return address;
}

function placeIn(ramBytes: number, areas: readonly ScratchArea[], source: string): BootPlace {
  const nodes = nodesFor(ramBytes, areas);
  const machine = { ramBytes, nodes: nodes.length, cpus: 1 };
  const boots = placeSegments(machine, areas) !== undefined;
  const notes = boots ? [] : ['the scratch areas have no room for a kernel: not booted'];
  const scratch = { source, areas, nodes: nodes.length };
  return { machine, nodes, scratch, arrayPhys: undefined, boots, notes };
}

function assumedPlace({ ramBytes, memory }: Image, contents: ImageContents): BootPlace {
  const machine = { ramBytes, nodes: 1, cpus: 1 };
  const taken = [...contents.taken(), ...gapsOf(memory.ranges, ramBytes)];
  const areas = assumedAreas(machine, taken);
  if (areas === undefined) {
    const why =
      'scratch areas not known, and no stretch of free memory is large enough: not booted; give --scratch';
    return {
      machine,
      nodes: undefined,
      scratch: undefined,
      arrayPhys: undefined,
      boots: false,
      notes: [why],
    };
  }
  const note =
    'scratch areas not known: assumed in the largest stretches that are not preserved; or give --scratch';
  return { ...placeIn(ramBytes, areas, 'assumed'), notes: [note] };
}

/** The areas in the array at an address, up to its first empty entry; or what is wrong with it. */
function readAreas(memory: Memory, arrayPhys: number): ScratchArea[] | string {
  const areas: ScratchArea[] = [];
  for (let entry = arrayPhys; areas.length <= NODELESS + NODES_MAX; entry += KHO_SCRATCH.size) {
    if (!memory.has(entry, KHO_SCRATCH.size)) return 'it lies outside of memory';
    const start = memory.load64(entry + KHO_SCRATCH.at.addr) as Phys;
    const bytes = memory.load64(entry + KHO_SCRATCH.at.size);
    if (start === 0 && bytes === 0) break;
    areas.push({ start, bytes });
  }
  return areasError(memory, areas) ?? areas;
}

function areasError(memory: Memory, areas: readonly ScratchArea[]): string | undefined {
  const bad = areas.findIndex(({ start, bytes }) => {
    return start % PAGE_SIZE !== 0 || bytes % PAGE_SIZE !== 0 || (bytes > 0 && !memory.has(start, bytes));
  });
  if (bad !== -1) return `its entry ${bad} names no pages of memory`;
  if (areas.length > NODELESS + NODES_MAX) return `it has areas for more than ${NODES_MAX} nodes`;
  if (areas.length <= NODELESS) return `it has ${areas.length} areas, and a machine ${NODELESS + 1} or more`;
  return undefined;
}

/** The nodes of a machine with these areas; one where they do not tell. */
function nodesFor(ramBytes: number, areas: readonly ScratchArea[]): NodeSpan[] {
  let ends = areas
    .slice(NODELESS)
    .map(({ start, bytes }) => roundUp(start + bytes, ALIGN) / PAGE_SIZE)
    .sort((x, y) => x - y);
  ends[ends.length - 1] = ramBytes / PAGE_SIZE;
  if (ends.some((end, i) => end <= (ends[i - 1] ?? 0))) ends = ends.slice(-1);
  return ends.map((end, i) => ({ start: (ends[i - 1] ?? 0) as Pfn, end: end as Pfn }));
}

/** Where there is no memory. */
const gapsOf = (ranges: readonly MemoryRange[], ramBytes: number): MemoryRange[] =>
  [...ranges, { start: ramBytes, end: ramBytes }].map(({ start }, i) => ({
    start: ranges[i - 1]?.end ?? 0,
    end: start,
  }));

/** Areas in the largest stretches of memory without what is taken; undefined where there is no room. */
function assumedAreas(machine: MachineParams, taken: readonly MemoryRange[]): ScratchArea[] | undefined {
  const frames = { start: 0 as Pfn, end: (machine.ramBytes / PAGE_SIZE) as Pfn };
  const bytes = roundUp(
    SCALE * (imageBytes(machine) + memmapBytes(frames) + hashBytes(machine.ramBytes)),
    ALIGN,
  );
  const low = largest(freeStretches(machine.ramBytes, taken), bytes, LOW_LIMIT);
  if (low === undefined) return undefined;
  const node = largest(freeStretches(machine.ramBytes, [...taken, low]), bytes, machine.ramBytes);
  if (node === undefined) return undefined;
  const area = ({ start, end }: MemoryRange): ScratchArea => ({ start: start as Phys, bytes: end - start });
  return [area(low), { start: low.end as Phys, bytes: 0 }, area(node)];
}

/** The top of the largest stretch below a limit, at most `bytes`; undefined where it is less than half of that. */
function largest(free: readonly MemoryRange[], bytes: number, below: number): MemoryRange | undefined {
  let best = { start: 0, end: 0 };
  for (const { start, end } of free) {
    const top = Math.min(end, below);
    if (top - start > best.end - best.start) best = { start, end: top };
  }
  if (best.end - best.start < bytes / SCALE) return undefined;
  return { start: Math.max(best.start, best.end - bytes), end: best.end };
}

/** Largest blocks that nothing taken touches, as stretches; without the first, which is the firmware's. */
function freeStretches(ramBytes: number, taken: readonly MemoryRange[]): MemoryRange[] {
  const free: MemoryRange[] = [];
  let at = ALIGN;
  for (const { start, end } of [...taken].sort((x, y) => x.start - y.start)) {
    const to = roundDown(start, ALIGN);
    if (to > at) free.push({ start: at, end: to });
    at = Math.max(at, roundUp(end, ALIGN));
  }
  if (at < ramBytes) free.push({ start: at, end: ramBytes });
  return free;
}
