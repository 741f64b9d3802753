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
 * zero. The tail is looked at first, up to its first byte that cannot be read or is not zero. (Who calls has refused a
 * struct that is shorter.) @kernel copy_struct_from_user
 */
export function copyStructIn(
  target: ArgumentBuffer,
  bytes: number,
  source: UserMemory,
  userBytes: number,
): number {
  for (let i = bytes; i < userBytes; i++) {
    if (i >= source.readable) return -ERRNO.EFAULT;
    if (((source.get(i >>> 2) >>> ((i & 3) * 8)) & 0xff) !== 0) return -ERRNO.E2BIG;
  }
  if (source.readable < bytes) return -ERRNO.EFAULT;
  target.take(source, bytes >> 2);
  return 0;
}

/**
 * Copies the answer out, of a caller whose struct is no shorter: 0, or -EFAULT with what comes before the first byte that
 * cannot be written. @kernel luo_ucmd_respond
 */
export function respond(target: UserMemory, source: ArgumentBuffer, bytes: number): number {
  const count = Math.min(bytes, target.writable);
  const whole = count >> 2;
  target.take(source, whole);
  if (count === bytes) return 0;
  const mask = (1 << ((count & 3) * 8)) - 1;
  if (mask !== 0) target.set(whole, (target.get(whole) & ~mask) | (source.get(whole) & mask));
  return -ERRNO.EFAULT;
}

/** Whether the caller waits here for the page of its answer. */
export const waitsForPage = ({ process }: Thread, sched: Scheduler): boolean =>
  process.slowPages && !process.killed && sched.contended;

/** The answer of an ioctl, where there is a page to take it. */
export function answer({ process, argument }: Thread, target: UserMemory, bytes: number): number {
  if (process.slowPages && process.killed) return -ERRNO.EFAULT;
  return respond(target, argument, bytes);
}
