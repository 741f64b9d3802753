/*
 * Flattened device trees as bytes: format version 17, readable by 16, the same in every modelled kernel. Source: the
 * devicetree specification 0.4, chapter 5, and libfdt.h. Read by fdt.ts, written by fdt_writer.ts and fdt_tree.ts.
 *
 *   header, 40 bytes, big-endian words          structure block, 4-byte tokens
 *    0 magic d00dfeed  20 version 17             1 BEGIN_NODE  name, NUL, padding to 4
 *    4 totalsize       24 last compatible 16     3 PROP        length, name offset, value, padding to 4
 *    8 struct offset   28 boot cpu               2 END_NODE
 *   12 strings offset  32 strings bytes          4 NOP
 *   16 reserve map     36 struct bytes           9 END
 *
 *   +--------+-------------+-----------+---------+----- - -
 *   | header | reserve map | structure | strings |  slack     the slack is there while a tree is being edited
 *   +--------+-------------+-----------+---------+----- - -
 */
import { assert } from '../base/assert.ts';

/** Error numbers of libfdt; functions return them negated. Source: libfdt.h. */
export const FDT_ERR = {
  NOTFOUND: 1,
  EXISTS: 2,
  NOSPACE: 3,
  BADOFFSET: 4,
  BADPATH: 5,
  BADPHANDLE: 6,
  BADSTATE: 7,
  TRUNCATED: 8,
  BADMAGIC: 9,
  BADVERSION: 10,
  BADSTRUCTURE: 11,
  BADLAYOUT: 12,
  INTERNAL: 13,
  BADNCELLS: 14,
  BADVALUE: 15,
  BADOVERLAY: 16,
  NOPHANDLES: 17,
  BADFLAGS: 18,
  ALIGNMENT: 19,
} as const;

export const FDT_MAGIC = 0xd00dfeed;
/** Stands in place of the magic while the sequential writer is at work: the complement of FDT_MAGIC. */
export const FDT_SW_MAGIC = 0x2ff20112;
export const FDT_VERSION = 17;
export const FDT_LAST_COMPATIBLE_VERSION = 16;
/** Oldest version the readers take; before it names and padding were different. */
export const FDT_VERSION_MIN = 16;
/** libfdt keeps sizes in an int. */
export const FDT_TOTALSIZE_MAX = 2 ** 31 - 1;

/** Byte offset of each word of the header. */
export const FDT_HEADER = {
  magic: 0,
  totalsize: 4,
  structOffset: 8,
  stringsOffset: 12,
  reserveOffset: 16,
  version: 20,
  lastCompatible: 24,
  bootCpu: 28,
  stringsBytes: 32,
  structBytes: 36,
} as const;
export const FDT_HEADER_BYTES = 40;
/** The header of version 16 ends before the size of the structure block. */
export const FDT_HEADER_BYTES_V16 = 36;
/** One entry of the reserve map: address and size, u64 each. The map ends with a zero size. */
export const FDT_RESERVE_ENTRY_BYTES = 16;

export const FDT_TAG = { BEGIN_NODE: 1, END_NODE: 2, PROP: 3, NOP: 4, END: 9 } as const;
export const FDT_TAG_BYTES = 4;
/** Tag, length, name offset: what stands before the value of a property. */
export const FDT_PROP_BYTES = 12;

/** Rounds up to the 4 bytes on which tokens start. */
export const tagAlign = (bytes: number): number => Math.ceil(bytes / FDT_TAG_BYTES) * FDT_TAG_BYTES;

/** Big-endian word at `offset`; bytes behind the end read as 0. */
export function readWord(fdt: Uint8Array, offset: number): number {
  const high = ((fdt[offset] ?? 0) << 24) | ((fdt[offset + 1] ?? 0) << 16);
  return (high | ((fdt[offset + 2] ?? 0) << 8) | (fdt[offset + 3] ?? 0)) >>> 0;
}

export function writeWord(fdt: Uint8Array, offset: number, word: number): void {
  assert(offset >= 0 && offset + 4 <= fdt.length, 'a word outside the device tree');
  fdt[offset] = word >>> 24;
  fdt[offset + 1] = word >>> 16;
  fdt[offset + 2] = word >>> 8;
  fdt[offset + 3] = word;
}

/** Bytes of a name, one per character. Names in blobs are byte strings: any bytes but NUL. */
export function nameBytes(name: string): Uint8Array {
  const bytes = new Uint8Array(name.length);
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    assert(code > 0 && code < 256, `character ${i} of the device tree name is not a byte`);
    bytes[i] = code;
  }
  return bytes;
}

/** The same with the NUL that ends it in a blob. */
export function nulTerminated(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length + 1);
  bytes.set(nameBytes(text));
  return bytes;
}

/** Where `needle` lies within `bytes` from `start` on, relative to it; -1 if nowhere. @kernel fdt_find_string_ */
export function findBytes(bytes: Uint8Array, start: number, size: number, needle: Uint8Array): number {
  for (let offset = 0; offset + needle.length <= size; offset++) {
    let same = 0;
    while (same < needle.length && bytes[start + offset + same] === needle[same]) same++;
    if (same === needle.length) return offset;
  }
  return -1;
}

/** An 8-byte value as the kernel stores it: little-endian, not in device tree cells. */
export interface NativeU64 {
  readonly lo: number;
  readonly hi: number;
  /** hi * 2^32 + lo. Rounded, and `exact` false, from 2^53 on; no physical address is that large. */
  readonly value: number;
  readonly exact: boolean;
}

/** Reads a native u64; undefined unless the value is exactly 8 bytes long. */
export function nativeU64(value: Uint8Array | undefined): NativeU64 | undefined {
  if (value === undefined || value.length !== 8) return undefined;
  const [b0 = 0, b1 = 0, b2 = 0, b3 = 0, b4 = 0, b5 = 0, b6 = 0, b7 = 0] = value;
  const lo = (b0 | (b1 << 8) | (b2 << 16) | (b3 << 24)) >>> 0;
  const hi = (b4 | (b5 << 8) | (b6 << 16) | (b7 << 24)) >>> 0;
  return { lo, hi, value: hi * 2 ** 32 + lo, exact: hi < 2 ** 21 };
}

/** The 8 bytes of a native u64. A number has to be a whole one below 2^53. */
export function u64Bytes(value: number | bigint): Uint8Array {
  const whole =
    typeof value === 'bigint' ? value >= 0n && value < 2n ** 64n : Number.isSafeInteger(value) && value >= 0;
  assert(whole, `${value} is not a u64`);
  const bytes = new Uint8Array(8);
  let rest = BigInt(value);
  for (let i = 0; i < 8; i++) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}
