/*
 * kexec-metadata: a page that tells the next kernel which release ran before it and how many jumps the machine has
 * seen. v7.1 and later; layout: abi.ts.
 */
import type { Phys } from '../base/units.ts';
import type { Ram } from '../machine/ram.ts';
import { KEXEC_METADATA, KEXEC_METADATA_VERSION } from './abi.ts';
import type { Subtree } from './root_fdt.ts';

export interface KexecMetadata {
  readonly previousRelease: string;
  readonly kexecCount: number;
}

const AT = KEXEC_METADATA.at;
const RELEASE_BYTES = AT.kexec_count - AT.previous_release;

/** Reads the incoming page; a string is the kernel's complaint. @kernel kho_in_kexec_metadata */
export function readKexecMetadata(ram: Ram, blob: Subtree): KexecMetadata | string {
  if (blob.bytes < 4) return `kexec-metadata blob too small (${blob.bytes} bytes)`;
  const version = ram.load32(blob.phys + AT.version) >>> 0;
  if (version !== KEXEC_METADATA_VERSION) {
    return `kexec-metadata version ${version} not supported (expected ${KEXEC_METADATA_VERSION})`;
  }
  if (blob.bytes < KEXEC_METADATA.size) return `kexec-metadata blob too small (${blob.bytes} bytes)`;
  const bytes = ram.loadBytes(blob.phys + AT.previous_release, RELEASE_BYTES - 1);
  const end = bytes.indexOf(0);
  return {
    previousRelease: String.fromCharCode(...bytes.subarray(0, end === -1 ? bytes.length : end)),
    kexecCount: ram.load32(blob.phys + AT.kexec_count) >>> 0,
  };
}

/** Fills the outgoing page, which is zeroed. @kernel kho_out_kexec_metadata */
export function writeKexecMetadata(
  ram: Ram,
  page: Phys,
  { previousRelease, kexecCount }: KexecMetadata,
): void {
  ram.store32(page + AT.version, KEXEC_METADATA_VERSION);
  for (let i = 0; i < Math.min(previousRelease.length, RELEASE_BYTES - 1); i++) {
    ram.store8(page + AT.previous_release + i, previousRelease.charCodeAt(i));
  }
  ram.store32(page + AT.kexec_count, kexecCount);
}
