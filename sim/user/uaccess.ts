/*
 * A caller's memory: what an ioctl's argument pointer points at. Bytes beyond `readable` fault when they are read,
 * beyond `writable` when they are written.
 */

import { ERRNO } from '../base/errno.ts';
import { definePoint } from '../base/point.ts';
import { copyWords } from '../base/words.ts';
import type { Thread } from './process.ts';

/** Where a caller may have to wait for the page that takes its answer. */
export const COPY_OUT = definePoint('luo_ucmd_respond', 'page');

export class UserMemory {
  readonly words: Int32Array;
  /** Bytes that can be read; the rest of the argument is unmapped. */
  readable: number;
  /** Bytes that can be written. */
  writable: number;

  constructor(bytes: number) {
    this.words = new Int32Array(Math.ceil(bytes / 4));
    this.readable = bytes;
    this.writable = bytes;
  }

  /** The caller's first u32, or -1 where it cannot be read. @kernel get_user */
  size(): number {
    return this.readable < 4 ? -1 : (this.words[0] as number) >>> 0;
  }
}

/**
 * Copies an argument in: 0, -EFAULT, or -E2BIG where the caller's struct is longer than `bytes` and its tail is not
 * zero. The tail is looked at first, up to its first byte that cannot be read or is not zero. Shorter input is filled
 * with zeroes. @kernel copy_struct_from_user
 */
export function copyStructIn(
  target: Int32Array,
  bytes: number,
  source: UserMemory,
  userBytes: number,
): number {
  for (let i = bytes; i < userBytes; i++) {
    if (i >= source.readable) return -ERRNO.EFAULT;
    if (byteOf(source.words, i) !== 0) return -ERRNO.E2BIG;
  }
  const { words: from } = source;
  const words = bytes >> 2;
  const given = Math.min(userBytes, bytes);
  if (source.readable < given) return -ERRNO.EFAULT;
  const whole = given >> 2;
  copyWords(target, 0, from, 0, whole);
  for (let k = whole; k < words; k++) target[k] = partialWord(from, k, given);
  return 0;
}

/**
 * Copies the answer out, at most the caller's size: 0, or -EFAULT with what comes before the first byte that cannot be
 * written. @kernel luo_ucmd_respond
 */
export function respond(target: UserMemory, source: Int32Array, bytes: number, userBytes: number): number {
  const wanted = Math.min(userBytes, bytes);
  const count = Math.min(wanted, target.writable);
  const whole = count >> 2;
  const { words } = target;
  copyWords(words, 0, source, 0, whole);
  const mask = (1 << ((count & 3) * 8)) - 1;
  if (mask !== 0) {
    words[whole] = ((words[whole] as number) & ~mask) | ((source[whole] as number) & mask);
  }
  return count < wanted ? -ERRNO.EFAULT : 0;
}

/** Whether the caller waits here for the page of its answer. */
export const waitsForPage = ({ process }: Thread, contended: boolean): boolean =>
  process.slowPages && !process.killed && contended;

/** The answer of an ioctl, where there is a page to take it. */
export function answer(
  { process, argument }: Thread,
  target: UserMemory,
  bytes: number,
  userBytes: number,
): number {
  if (process.slowPages && process.killed) return -ERRNO.EFAULT;
  return respond(target, argument, bytes, userBytes);
}

const byteOf = (words: Int32Array, i: number): number =>
  ((words[i >>> 2] as number) >>> ((i & 3) * 8)) & 0xff;

function partialWord(words: Int32Array, k: number, given: number): number {
  let word = 0;
  for (let i = k * 4; i < Math.min(given, k * 4 + 4); i++) word |= byteOf(words, i) << ((i & 3) * 8);
  return word;
}
