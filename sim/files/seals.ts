/*
 * Seals of memfds: promises about a file that can be added and never taken back. Linux 6.19 to 7.3, mm/memfd.c.
 */
import { ERRNO } from '../base/errno.ts';
import type { Op } from '../base/point.ts';
import type { Task } from '../sched/task.ts';
import { PINNED } from './page_cache.ts';
import type { Shmem } from './shmem.ts';
import {
  F_ALL_SEALS,
  F_SEAL_EXEC,
  F_SEAL_FUTURE_WRITE,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  type InodeHandle,
} from './shmem_inode.ts';

/** What F_SEAL_EXEC brings on a file that can be executed. */
const IMPLIED = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
const EXECUTE_BITS = 0o111;

/**
 * 0; -EINVAL for what is no seal; -EPERM where F_SEAL_SEAL is set; -EBUSY for F_SEAL_WRITE while the file is mapped
 * writable or pages are pinned. That the file is open for writing is the caller's to check. @kernel memfd_add_seals
 */
export function* addSeals(shmem: Shmem, task: Task, inode: InodeHandle, seals: number): Op<number> {
  const { lock } = shmem.inodes;
  if ((seals & ~F_ALL_SEALS) !== 0) return -ERRNO.EINVAL;
  if (!lock.tryLock(task, inode)) yield* lock.wait(task, inode);
  const err = addSealsLocked(shmem, inode, seals);
  lock.unlock(task, inode);
  return err;
}

/** The same for a file that nobody else has yet. */
export function addSealsLocked({ inodes, cache }: Shmem, inode: InodeHandle, seals: number): number {
  const own = inodes.seals(inode);
  if ((own & F_SEAL_SEAL) !== 0) return -ERRNO.EPERM;
  const isExecutable = (inodes.mode(inode) & EXECUTE_BITS) !== 0;
  const added = (seals & F_SEAL_EXEC) !== 0 && isExecutable ? seals | IMPLIED : seals;
  if ((added & ~own & F_SEAL_WRITE) !== 0) {
    if (inodes.writableMappings(inode) > 0) return -ERRNO.EBUSY;
    for (const folio of cache.of(inode)) if (cache.has(folio, PINNED)) return -ERRNO.EBUSY;
  }
  inodes.setSeals(inode, own | added);
  return 0;
}
