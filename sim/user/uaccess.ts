/*
 * A caller's memory: what an ioctl's argument pointer points at. Bytes beyond `readable` fault when they are read,
 * beyond `writable` when they are written.
 */

import { ERRNO } from '../base/errno.ts';
import { definePoint } from '../base/point.ts';
import type { Scheduler } from '../sched/scheduler.ts';
import { ArgumentBuffer } from './buffer.ts';
import type { Thread } from './process.ts';

const INT_MAX = 0x7fffffff;

/** Where a caller may have to wait for the page that takes its answer. */
export const COPY_OUT = definePoint('luo_ucmd_respond', 'page');

export class UserMemory extends ArgumentBuffer {
  /** Bytes that can be read; the rest of the argument is unmapped. */
  readable: number;
  /** Bytes that can be written. */
  writable: number;

  constructor(bytes: number) {
    super(Math.ceil(bytes / 4));
    this.readable = bytes;
    this.writable = bytes;
  }

  /**
   * The caller's first u32, or -1 where it cannot be read.
   * @kernel get_user @simplified a size of 2 GiB and more is one byte less: no argument has as much behind it
   */
  size(): number {
    if (this.readable < 4) return -1;
    const size = this.get(0);
    return size < 0 ? INT_MAX : size;
  }
}

/**
 * Copies an argument in: 0, -EFAULT, or -E2BIG where the caller's struct is longer than `bytes` and its tail is not
 * zero. The tail is looked at first, up to its first byte that cannot be read or is not zero. Shorter input is filled
 * with zeroes. @kernel copy_struct_from_user
 */
export function copyStructIn(
  target: ArgumentBuffer,
  bytes: number,
  source: UserMemory,
  userBytes: number,
): number {
  for (let i = bytes; i < userBytes; i++) {
    if (i >= source.readable) return -ERRNO.EFAULT;
    if (byteOf(source.get(i >>> 2), i) !== 0) return -ERRNO.E2BIG;
  }
  const given = Math.min(userBytes, bytes);
  if (source.readable < given) return -ERRNO.EFAULT;
  target.take(source, given >> 2);
  for (let k = given >> 2; k < bytes >> 2; k++) target.set(k, partialWord(source.get(k), k, given));
  return 0;
}

/**
 * Copies the answer out, at most the caller's size: 0, or -EFAULT with what comes before the first byte that cannot be
 * written. @kernel luo_ucmd_respond
 */
export function respond(
  target: UserMemory,
  source: ArgumentBuffer,
  bytes: number,
  userBytes: number,
): number {
  const wanted = Math.min(userBytes, bytes);
  const count = Math.min(wanted, target.writable);
  const whole = count >> 2;
  target.take(source, whole);
  const mask = (1 << ((count & 3) * 8)) - 1;
  if (mask !== 0) target.set(whole, (target.get(whole) & ~mask) | (source.get(whole) & mask));
  return count < wanted ? -ERRNO.EFAULT : 0;
}

/** Whether the caller waits here for the page of its answer. */
export const waitsForPage = ({ process }: Thread, sched: Scheduler): boolean =>
  process.slowPages && !process.killed && sched.contended;

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

/** Byte `i` of memory, out of the word that it lies in. */
const byteOf = (word: number, i: number): number => (word >>> ((i & 3) * 8)) & 0xff;

/** Word `k` of memory of which `given` bytes are there. */
function partialWord(word: number, k: number, given: number): number {
  let part = 0;
  for (let i = k * 4; i < Math.min(given, k * 4 + 4); i++) part |= byteOf(word, i) << ((i & 3) * 8);
  return part;
}
