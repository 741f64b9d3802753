/*
 * errno values of Linux on x86-64 (include/uapi/asm-generic/errno-base.h and errno.h), those the live-update
 * interface can answer with. Kernel code returns them negated, as values; nothing is thrown.
 */

export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EIO: 5,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  ERANGE: 34,
  ENODATA: 61,
  EOPNOTSUPP: 95,
  EADDRNOTAVAIL: 99,
} as const;

export type ErrnoName = keyof typeof ERRNO;

const NAMES = new Map<number, ErrnoName>(
  (Object.entries(ERRNO) as [ErrnoName, number][]).map(([name, value]) => [value, name]),
);

/** Name of a kernel return value: `errnoName(-17)` is `EEXIST`; 0 and positive values are `OK`. */
export function errnoName(result: number): string {
  if (result >= 0) return 'OK';
  return NAMES.get(-result) ?? `E${-result}`;
}

/** What printk's %pe prints for an error pointer: `-EEXIST`. */
export function printErrno(result: number): string {
  return result < 0 ? `-${errnoName(result)}` : String(result);
}
