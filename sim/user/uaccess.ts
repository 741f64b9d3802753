/*
 * A caller's memory: what an ioctl's argument pointer points at. Bytes beyond `readable` fault when they are read,
 * beyond `writable` when they are written.
 */
import { ERRNO } from '../base/errno.ts';

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
 * zero. Shorter input is filled with zeroes. @kernel copy_struct_from_user
 */
export function copyStructIn(
  target: Int32Array,
  bytes: number,
  source: UserMemory,
  userBytes: number,
): number {
  if (source.readable < Math.min(userBytes, bytes)) return -ERRNO.EFAULT;
  for (let i = bytes; i < userBytes; i++) {
    if (i >= source.readable) return -ERRNO.EFAULT;
    if (byteOf(source.words, i) !== 0) return -ERRNO.E2BIG;
  }
  const words = bytes >>> 2;
  const given = Math.min(userBytes, bytes);
  for (let k = 0; k < words; k++) {
    target[k] = k * 4 + 4 <= given ? (source.words[k] as number) : partialWord(source.words, k, given);
  }
  return 0;
}

/**
 * Copies the answer out: at most the caller's size; 0 or -EFAULT.
 * @kernel luo_ucmd_respond @simplified a copy that would fault writes nothing, where the kernel writes up to there
 */
export function respond(target: UserMemory, source: Int32Array, bytes: number, userBytes: number): number {
  const count = Math.min(userBytes, bytes);
  if (target.writable < count) return -ERRNO.EFAULT;
  for (let k = 0; k < count >>> 2; k++) target.words[k] = source[k] as number;
  return 0;
}

const byteOf = (words: Int32Array, i: number): number =>
  ((words[i >>> 2] as number) >>> ((i & 3) * 8)) & 0xff;

function partialWord(words: Int32Array, k: number, given: number): number {
  let word = 0;
  for (let i = k * 4; i < Math.min(given, k * 4 + 4); i++) word |= byteOf(words, i) << ((i & 3) * 8);
  return word;
}
