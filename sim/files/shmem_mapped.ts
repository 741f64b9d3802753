/*
 * Stores to a shmem file through a shared mapping, which is one of the whole file and is there for the call.
 *
 *   beyond the last page        -EFAULT (SIGBUS)
 *   a page that cannot come     -ENOMEM; where it is not accounted for (shmem_acct.ts) -EFAULT (SIGBUS)
 *
 * What was stored before stays.
 */
import { ERRNO } from '../base/errno.ts';
import { PAGE_SIZE } from '../base/limits.ts';
import { type Pfn, pagesOf } from '../base/units.ts';
import type { Ram } from '../machine/ram.ts';
import { FILL_BYTES } from '../machine/stamps.ts';
import type { Shmem } from './shmem.ts';
import type { InodeHandle } from './shmem_inode.ts';

/** Stores bytes: 0 or a negative errno. */
export function storeMapped(
  ram: Ram,
  shmem: Shmem,
  inode: InodeHandle,
  at: number,
  bytes: Uint8Array,
): number {
  if (Math.ceil((at + bytes.length) / PAGE_SIZE) > Math.ceil(shmem.inodes.size(inode) / PAGE_SIZE))
    return -ERRNO.EFAULT;
  for (let done = 0; done < bytes.length; ) {
    const chunk = Math.min(bytes.length - done, PAGE_SIZE - ((at + done) % PAGE_SIZE));
    const folio = fault(shmem, inode, Math.floor((at + done) / PAGE_SIZE));
    if (folio < 0) return folio;
    ram.storeBytes(shmem.addressOf(folio as Pfn, at + done), bytes.subarray(done, done + chunk));
    done += chunk;
  }
  return 0;
}

/**
 * The first 8 bytes of a pattern at every multiple of a distance, as far as the file goes: 0 or a negative errno. A block
 * that was a hole is stamped where no place of it reaches into the next.
 */
export function fillMapped(
  ram: Ram,
  shmem: Shmem,
  inode: InodeHandle,
  every: number,
  contents: (at: number, bytes: number) => Uint8Array,
  seed: number,
): number {
  const size = shmem.inodes.size(inode);
  for (let at = 0; at + FILL_BYTES <= size; ) {
    const index = Math.floor(at / PAGE_SIZE);
    const isHole = shmem.cache.find(inode, index) === -1;
    const folio = fault(shmem, inode, index);
    if (folio < 0) return folio;
    const first = shmem.cache.index(folio as Pfn);
    const pages = pagesOf(shmem.cache.order(folio as Pfn));
    const end = (first + pages) * PAGE_SIZE;
    if (isHole && at % PAGE_SIZE === 0 && every % FILL_BYTES === 0 && every < 2 ** 32 && end <= size) {
      ram.stampPages(folio as Pfn, pages, { seed, every, index: first });
      at = Math.ceil(end / every) * every;
      continue;
    }
    const err = storeMapped(ram, shmem, inode, at, contents(at, FILL_BYTES));
    if (err !== 0) return err;
    at += every;
  }
  return 0;
}

/** @kernel shmem_fault */
function fault(shmem: Shmem, inode: InodeHandle, index: number): Pfn | number {
  const folio = shmem.usePage(inode, index, Math.ceil(shmem.inodes.size(inode) / PAGE_SIZE));
  return folio === -ERRNO.ENOSPC ? -ERRNO.EFAULT : folio;
}
