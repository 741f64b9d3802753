/*
 * LUO's root as struct luo_ser (v7.3): the KHO blob itself. Layout: abi.ts. sessions_pa is 0 but from a successful
 * serialization on.
 */
import type { Phys } from '../base/units.ts';
import type { Subtree } from '../kho/root_fdt.ts';
import type { Ram } from '../machine/ram.ts';
import { LUO_SER } from './abi.ts';

/** LUO_ABI_COMPAT_LEN. */
export const LUO_COMPATIBLE_BYTES = LUO_SER.at.liveupdate_num - LUO_SER.at.compatible;

export interface SerRoot {
  readonly number: number;
  readonly sessionsPa: Phys;
  readonly flbsPa: Phys;
}

/** A string in a field of fixed size, NUL padded. */
export function textBytes(text: string, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  bytes.set(new TextEncoder().encode(text).subarray(0, size));
  return bytes;
}

/** The incoming root, or the kernel's complaint (-EINVAL). @kernel luo_early_startup */
export function readSerRoot(ram: Ram, blob: Subtree, compatible: string): SerRoot | string {
  if (blob.bytes < LUO_SER.size) return `LUO state is too small (${blob.bytes} < ${LUO_SER.size})`;
  const wanted = textBytes(compatible, LUO_COMPATIBLE_BYTES);
  const found = ram.loadBytes(blob.phys, LUO_COMPATIBLE_BYTES);
  // strncmp: what stands behind the NUL does not count.
  const end = wanted.indexOf(0);
  const length = end === -1 ? wanted.length : end + 1;
  if (!wanted.subarray(0, length).every((byte, i) => byte === found[i])) {
    return `LUO state is incompatible with '${compatible}'`;
  }
  return {
    number: ram.load64(blob.phys + LUO_SER.at.liveupdate_num),
    sessionsPa: ram.load64(blob.phys + LUO_SER.at.sessions_pa) as Phys,
    flbsPa: ram.load64(blob.phys + LUO_SER.at.flbs_pa) as Phys,
  };
}
