/*
 * Committed memory: what the kernel counts as promised equals a recount over all files.
 *
 *   vm_committed_as   the pages that inodes account for, in all
 *   an inode          accounts for no page that never was in a file, nor for less than it has
 *
 * More than it has it may account for where memory pressure took pages. Less it does before MEMFD_ACCT, which nobody need
 * mind as long as nothing is refused: that is told where the policy is to promise no more than there is.
 */
import type { System } from '../boot/boot.ts';
import type { InodeHandle } from '../files/shmem_inode.ts';
import { OVERCOMMIT_NEVER } from '../kernel/overcommit.ts';
import { MEMFD_ACCT } from '../kernel/patches.ts';
import type { Violations } from './violation.ts';

export function checkCommitted({ kernel, files, overcommit }: System, violations: Violations): void {
  const { cache, inodes } = files.shmem;
  const report = (text: string): void => violations.add('committed-memory', text);
  let alloced = 0;
  let excess = 0;
  let missing = 0;
  for (const inode of inodes.all() as Iterable<InodeHandle>) {
    const more = inodes.alloced(inode) - inodes.pages(inode);
    alloced += inodes.alloced(inode);
    if (more > 0) excess += more;
    else missing -= more;
  }
  if (overcommit.committed !== alloced) {
    report(`${overcommit.committed} pages are committed, inodes account for ${alloced}`);
  }
  if (excess > cache.reclaimed) report(`inodes account for ${excess} pages that are not there`);
  const isRelied = kernel.has(MEMFD_ACCT) || overcommit.policy === OVERCOMMIT_NEVER;
  if (missing > 0 && isRelied) report(`${missing} pages of files are not accounted for`);
}
