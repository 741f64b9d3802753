/*
 * Ownership: every frame is free, owned once, or reserved, and the tracker names exactly what is to cross.
 *
 *   counters    free and managed pages, free lists, and what each slab cache says equal a recount
 *   holes       what is neither free nor allocated nor stamped is what the kernel reserved for itself, all of it
 *   owners      every allocated block has an owner whose rule is known (owners.ts)
 *   keys        a key of the tracker <-> an allocated block of that order of an owner that preserves
 *   scratch     no preserved block and no tracker node lies where the next kernel boots
 *
 * Runs at quiescence, after boot and at the jump. While a call is under way (a jump does not wait for other tasks)
 * a block may be allocated and not preserved yet; the rest holds at every step.
 */
import { PAGE_SIZE } from '../base/limits.ts';
import { bytesOf, type Order, type Pfn, type Phys, pfnOf, physOf } from '../base/units.ts';
import type { System } from '../boot/boot.ts';
import { FIRMWARE_BYTES } from '../boot/image.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { EndlessWalk } from '../kho/radix.ts';
import { readScratchArray, scratchOverlap } from '../kho/scratch.ts';
import type { PageTracker } from '../kho/tracker.ts';
import { NO_FRAME, type Owner } from '../machine/frames.ts';
import { PageFault } from '../machine/page_fault.ts';
import type { SlabCache } from '../machine/slab.ts';
import { UseAfterFree } from '../machine/slab_handle.ts';
import { type Census, type FrameRange, freePages, hexBlock, Tally, takeCensus } from './census.ts';
import { type OwnerRule, ruleOf } from './owners.ts';
import type { Law, Violations } from './violation.ts';

/** Allocated blocks by the name of their owner; none for an owner without blocks. */
export type TallyByOwner = ReadonlyMap<string, Tally>;

export function talliesByOwner(kernel: Kernel, census: Census): TallyByOwner {
  const byName = new Map<string, Tally>();
  for (const [owner, tally] of census.owners.entries()) {
    if (tally !== undefined) byName.set(kernel.frames.ownerName(owner as Owner), tally);
  }
  return byName;
}

/** All blocks of the owners whose rule is such. */
export function tallyOf(tallies: TallyByOwner, such: (rule: OwnerRule) => boolean): Tally {
  const sum = new Tally();
  for (const [owner, tally] of tallies) {
    const rule = ruleOf(owner);
    if (rule !== undefined && such(rule)) sum.addAll(tally);
  }
  return sum;
}

/** `settled`: no task stands in the middle of a call. Returns the census for other laws. */
export function checkOwnership(system: System, violations: Violations, settled: boolean): Census {
  const { kernel } = system;
  const census = takeCensus(kernel);
  const report = (text: string): void => violations.add('ownership', text);
  for (const fault of census.faults) report(fault);
  checkCounters(kernel, census, report);
  checkHoles(system, census, report);
  const tallies = talliesByOwner(kernel, census);
  for (const owner of tallies.keys()) {
    if (ruleOf(owner) === undefined) report(`blocks of "${owner}": no rule says what becomes of them`);
  }
  for (const cache of kernel.slabs)
    checkSlab(cache, tallies.get(`slab:${cache.name}`) ?? new Tally(), report);
  following(violations, 'ownership', () => checkKeys(system, tallies, settled, report));
  return census;
}

/** Runs a check that follows addresses and handles: one that leads nowhere breaks the law, and not the oracle. */
export function following(violations: Violations, law: Law, check: () => void): void {
  try {
    check();
  } catch (error) {
    const leadsNowhere =
      error instanceof PageFault || error instanceof EndlessWalk || error instanceof UseAfterFree;
    if (!leadsNowhere) throw error;
    violations.add(law, `an address or a handle leads nowhere: ${error.message}`);
  }
}

type Report = (text: string) => void;

function checkCounters({ buddy }: Kernel, census: Census, report: Report): void {
  const free = freePages(census);
  if (buddy.nrFree !== free) report(`the allocator counts ${buddy.nrFree} free pages, there are ${free}`);
  const managed = free + census.allocated.pages;
  if (buddy.managed !== managed) {
    report(`the allocator counts ${buddy.managed} pages, free and allocated are ${managed}`);
  }
}

/** Memory in no block is the kernel's own: not a page more (lost), not a page less (handed out). */
function checkHoles(system: System, { holes }: Census, report: Report): void {
  const own = ownRanges(system);
  for (let i = 0; i < Math.max(own.length, holes.length); i++) {
    const [mine, hole] = [own[i], holes[i]];
    if (mine?.start === hole?.start && mine?.end === hole?.end) continue;
    report(`reserved memory is ${text(hole)} where the kernel's own is ${text(mine)}`);
    return;
  }
}

const text = (range: FrameRange | undefined): string =>
  range === undefined
    ? 'none'
    : `[0x${(range.start * PAGE_SIZE).toString(16)}, 0x${(range.end * PAGE_SIZE).toString(16)})`;

/** What the kernel keeps for itself as long as it runs, in frames, ascending, neighbours joined. */
function ownRanges({ kernel, memblock, kho }: System): FrameRange[] {
  const bytes = [{ start: 0, end: FIRMWARE_BYTES }, ...memblock.kernelRanges];
  const { ramBytes } = kernel.machine.params;
  // What mem= takes away is nobody's.
  if (kernel.memBytes < ramBytes) bytes.push({ start: kernel.memBytes, end: ramBytes });
  const isHandover = kernel.bootKind === 'handover';
  if (isHandover) bytes.push({ start: kho.scratchArrayPhys, end: kho.scratchArrayPhys + PAGE_SIZE });
  let own: FrameRange[] = [];
  const frames = bytes.map(({ start, end }) => ({
    start: Math.floor(start / PAGE_SIZE),
    end: Math.ceil(end / PAGE_SIZE),
  }));
  for (const range of frames.sort((x, y) => x.start - y.start)) {
    const last = own.at(-1);
    if (last === undefined || range.start > last.end) own.push(range);
    else own[own.length - 1] = { start: last.start, end: Math.max(last.end, range.end) };
  }
  // Scratch areas taken at a cold boot went to the allocator afterwards; inherited ones were never the kernel's.
  if (isHandover || kho.scratchArrayPhys === 0) return own;
  const { ram, nodes } = kernel.machine;
  const areas =
    kho.scratch.length > 0
      ? kho.scratch
      : readScratchArray(ram, kho.scratchArrayPhys as Phys, nodes.length + 2);
  for (const { start, bytes: size } of areas) {
    if (size > 0) own = without(own, pfnOf(start), pfnOf((start + size) as Phys));
  }
  return own;
}

function without(ranges: readonly FrameRange[], start: number, end: number): FrameRange[] {
  return ranges.flatMap((range) => {
    const rest = [
      { start: range.start, end: Math.min(range.end, start) },
      { start: Math.max(range.start, end), end: range.end },
    ];
    return range.end <= start || range.start >= end ? [range] : rest.filter((part) => part.start < part.end);
  });
}

/** A slab with frames has a live object; one without had none when it gave them back (slab.ts). */
function checkSlab(cache: SlabCache, owned: Tally, report: Report): void {
  const { objectsPerSlab, order, indexEnd } = cache;
  const found = new Tally();
  let live = 0;
  for (let first = 0; first < indexEnd; first += objectsPerSlab) {
    const frame = cache.frameOf(first);
    const here = frame === NO_FRAME ? 0 : cache.liveFrom(first, objectsPerSlab);
    if (here === 0) continue;
    live += here;
    found.add(frame, order);
  }
  if (live !== cache.live) report(`slab ${cache.name} counts ${cache.live} objects, ${live} live`);
  if (found.blocks !== cache.slabs)
    report(`slab ${cache.name} counts ${cache.slabs} slabs, ${found.blocks} have objects`);
  if (!found.same(owned)) report(`slab ${cache.name} lies in ${found}, and owns ${owned}`);
}

/** Keys of the tracker against blocks of owners that preserve, both ways. */
function checkKeys({ kernel, kho }: System, tallies: TallyByOwner, settled: boolean, report: Report): void {
  const { tracker } = kho.out;
  const toCross = tallyOf(tallies, ({ preserved }) => preserved);
  if (tracker === undefined) {
    if (settled && toCross.blocks > 0) report(`KHO is off, and ${toCross} are owned by who preserves`);
    return;
  }
  const keys = new Tally();
  tracker.walk((address, order) => {
    const wrong = keyFault(kernel, pfnOf(address), order);
    if (wrong !== undefined)
      report(`a key of the tracker names ${hexBlock(pfnOf(address), order)}, ${wrong}`);
    if (scratchOverlap(kho.scratch, address, bytesOf(order))) {
      report(`the preserved block ${hexBlock(pfnOf(address), order)} lies in a scratch area`);
    }
    keys.add(pfnOf(address), order);
    return 0;
  });
  checkNodes(
    kernel,
    tracker,
    kho.scratch,
    tallyOf(tallies, ({ kept }) => kept === 'tracker'),
    report,
  );
  if (settled && !keys.same(toCross)) report(missingKey(kernel, tracker));
}

/** Why a key cannot be right; undefined where it can. */
function keyFault({ frames }: Kernel, pfn: Pfn, order: Order): string | undefined {
  if (!frames.online(pfn)) return 'which is outside of memory';
  if (!frames.isAllocatedHead(pfn)) return 'which is not allocated';
  if (frames.order(pfn) !== order) return `which is of order ${frames.order(pfn)}`;
  const owner = frames.ownerName(frames.ownerOf(pfn));
  return ruleOf(owner)?.preserved === true ? undefined : `which "${owner}" owns and nobody preserves`;
}

/** The tracker's pages: allocated, its own, each once, and where the next kernel can still read them. */
function checkNodes(
  { frames }: Kernel,
  tracker: PageTracker,
  scratch: Parameters<typeof scratchOverlap>[0],
  owned: Tally,
  report: Report,
): void {
  const nodes = new Tally();
  for (const pfn of tracker.nodes()) {
    nodes.add(pfn, 0);
    if (scratchOverlap(scratch, physOf(pfn), PAGE_SIZE)) {
      report(`the tracker node ${hexBlock(pfn, 0)} lies in a scratch area`);
    }
    if (!frames.isAllocatedHead(pfn)) report(`the tracker node ${hexBlock(pfn, 0)} is not allocated`);
  }
  if (!nodes.same(owned)) report(`the tracker has ${nodes} as nodes, and owns ${owned}`);
}

function missingKey(kernel: Kernel, tracker: PageTracker): string {
  let missing = 'a key of the tracker is there twice';
  takeCensus(kernel, (pfn, order, owner) => {
    const name = kernel.frames.ownerName(owner);
    if (ruleOf(name)?.preserved !== true || tracker.has(pfn, order as Order)) return;
    missing = `"${name}" owns ${hexBlock(pfn, order)}, which has no key in the tracker: it would not cross`;
  });
  return missing;
}
