/*
 * How much memory a kernel takes for itself before the page allocator runs, and where its image lies. Sizes follow
 * the machine, as on real ones:
 *
 *   image       1/64 of RAM, 1 to 32 MiB      at 1 MiB on a cold boot, in scratch after a kexec
 *   memmap      64 bytes a frame, per node    struct page
 *   hashes      1/1024 of RAM                 dentry and inode tables
 *
 * The page at 0 and the rest of the first MiB belong to the firmware.
 */
import { PAGE_SIZE, PAGEBLOCK_ORDER } from '../base/limits.ts';
import { type Phys, roundUp } from '../base/units.ts';
import { KHO_SCRATCH_SEGMENT_ALIGN } from '../kho/abi.ts';
import { locateSegment, type ScratchArea } from '../kho/scratch.ts';
import type { MachineParams, NodeSpan } from '../machine/machine.ts';

const MIB = 2 ** 20;
const STRUCT_PAGE_BYTES = 64;
const IMAGE_ALIGN = PAGE_SIZE << PAGEBLOCK_ORDER;

export const FIRMWARE_BYTES = MIB;
export const COLD_IMAGE_PHYS = FIRMWARE_BYTES as Phys;

export const imageBytes = ({ ramBytes }: MachineParams): number =>
  roundUp(Math.min(Math.max(ramBytes / 64, MIB), 32 * MIB), PAGE_SIZE);

export const memmapBytes = ({ start, end }: NodeSpan): number =>
  roundUp((end - start) * STRUCT_PAGE_BYTES, PAGE_SIZE);

export const hashBytes = (ramBytes: number): number => roundUp(ramBytes / 1024, PAGE_SIZE);

/** Where kexec puts its segments. */
export interface Segments {
  readonly image: Phys;
  readonly scratchArray: Phys;
}

/**
 * Places the segments in scratch, or undefined: -EADDRNOTAVAIL.
 * @kernel kexec_add_buffer @simplified of image and scratch array, which are all there is, both from the top
 */
export function placeSegments(params: MachineParams, scratch: readonly ScratchArea[]): Segments | undefined {
  const bytes = imageBytes(params);
  const image = locateSegment(scratch, bytes, IMAGE_ALIGN);
  if (image === undefined) return undefined;
  const scratchArray = locateSegment(scratch, PAGE_SIZE, KHO_SCRATCH_SEGMENT_ALIGN, [
    { start: image, bytes },
  ]);
  return scratchArray === undefined ? undefined : { image, scratchArray };
}
