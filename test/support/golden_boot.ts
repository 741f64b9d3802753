/*
 * Simulated kernels that boot on what real ones left: memory as an image has it, scratch overwritten, the loader's
 * segments in it.
 */
import { pfnOf } from '../../sim/base/units.ts';
import type { System } from '../../sim/boot/boot.ts';
import { placeSegments } from '../../sim/boot/image.ts';
import { Tally } from '../../sim/check/census.ts';
import type { Crossing } from '../../sim/check/handover.ts';
import { HandoverWalk } from '../../sim/check/handover_walk.ts';
import type { ExtractedImage } from '../../sim/image/extracted_image.ts';
import type { BootOptions } from '../../sim/kernel/kernel.ts';
import type { Revision } from '../../sim/kernel/revisions.ts';
import { KHO_BITMAP_SIZE_LOG2 } from '../../sim/kho/abi.ts';
import { u64Bytes } from '../../sim/kho/fdt_abi.ts';
import { bitmapIndex, radixKey } from '../../sim/kho/radix.ts';
import type { Ram } from '../../sim/machine/ram.ts';
import { goldenExtract, placeImage } from './golden.ts';
import { goldenHandover } from './handovers.ts';
import { bootOn, machineFor } from './system.ts';

/** Boots on an image. `prepare` may add to memory before. */
export function bootHanded(
  image: ExtractedImage,
  revision: Revision,
  options: Partial<BootOptions> = {},
  prepare: (ram: Ram) => void = () => undefined,
): System {
  const machine = machineFor({ ramBytes: image.ramBytes });
  placeImage(image, machine.ram);
  prepare(machine.ram);
  for (const { start, bytes } of image.scratch) if (bytes > 0) machine.ram.overwrite(start, bytes, 1);
  const segments = placeSegments(machine.params, image.scratch);
  if (segments === undefined) throw new Error('scratch has no room for an image');
  machine.ram.zeroPages(pfnOf(segments.scratchArray), 1);
  for (const [i, { start, bytes }] of image.scratch.entries()) {
    machine.ram.storeBytes(segments.scratchArray + i * 16, u64Bytes(start));
    machine.ram.storeBytes(segments.scratchArray + i * 16 + 8, u64Bytes(bytes));
  }
  const params = { ram: machine.ram, fdtPhys: image.fdtPhys, scratchPhys: segments.scratchArray };
  return bootOn(machine, { revision, options, generation: 1, params });
}

/** Who of the kernel that left owned the block that a piece begins, as the laws name owners. */
const OWNERS: readonly (readonly [RegExp, string])[] = [
  [/^kho-root$/, 'kho root fdt'],
  [/^session-block/, 'luo session block'],
  [/^flb-page$/, 'luo flb page'],
  [/\.file-block\[/, 'luo file block'],
  [/\.memfd$/, 'memfd_luo_ser'],
  [/\.chunk\[/, 'memfd vmalloc chunk'],
  [/\.page\[/, 'memfd folios_ser'],
  [/\.contents\[/, 'memfd folio'],
];

/** What crossed, as far as an image can tell. */
export function crossingOf(stem: string): Crossing {
  const { memory, fdtPhys } = goldenHandover(stem);
  const all = new Tally();
  const owners = new Map<string, Tally>();
  for (const { path, struct, phys, order } of new HandoverWalk(memory, fdtPhys).pieces()) {
    if (order === undefined) continue;
    const luo = struct === 'luo_ser' ? 'luo ser' : 'luo fdt';
    const owner = path === 'luo' ? luo : (OWNERS.find(([pattern]) => pattern.test(path))?.[1] ?? path);
    const tally = owners.get(owner) ?? new Tally();
    tally.add(pfnOf(phys), order);
    all.add(pfnOf(phys), order);
    owners.set(owner, tally);
  }
  return { all, owners, published: true };
}

/**
 * An extract that lists a part of the preserved blocks shows more of them: those that what it holds leads to. Names
 * these in the map, too; how many were added. That all are of order 0 is what the keys of the leaves say.
 */
export function preserveReached(stem: string, ram: Ram): number {
  const { kho_map: map } = goldenExtract(stem).json as { kho_map: { leaves: { pa: string; key: string }[] } };
  const { memory, fdtPhys } = goldenHandover(stem);
  let added = 0;
  for (const { phys, problems } of new HandoverWalk(memory, fdtPhys).pieces()) {
    if (!problems.includes('is not preserved')) continue;
    const key = radixKey(pfnOf(phys), 0 as never);
    const bit = bitmapIndex(key);
    const leaf = map.leaves.find((found) => Number(found.key) === (key - bit) / 2 ** KHO_BITMAP_SIZE_LOG2);
    if (leaf === undefined) throw new Error(`no leaf has the bit of 0x${phys.toString(16)}`);
    const at = Number(leaf.pa) + (bit >>> 3);
    ram.store8(at, ram.load8(at) | (1 << (bit & 7)));
    added++;
  }
  return added;
}
