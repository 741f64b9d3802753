/*
 * What shmem files have promised of memory. All files here are VM_NORESERVE, as memfds and files of tmpfs are: a size
 * promises nothing, a page does when it comes. An inode keeps how many pages it has accounted for.
 *
 *   a page comes     shmem_inode_acct_blocks: -ENOSPC where that is refused, whatever the page was wanted for
 *   pages are gone   shmem_recalc_inode, once for all: what was accounted for and is not there
 *
 * Memory pressure takes pages behind the inode's back: they count until its next page, truncate, punch or end.
 */
import type { Order } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Overcommit } from '../kernel/overcommit.ts';
import type { InodeHandle, InodeTable } from './shmem_inode.ts';

/** Who answers for blocks. */
export interface BlockCharges {
  /** False where the caller may not have the block. */
  charge(inode: InodeHandle, order: Order): boolean;
  /** The block that was charged last did not come. */
  uncharge(inode: InodeHandle, order: Order): void;
}

export class ShmemAccounts {
  readonly #kernel: Kernel;
  readonly #inodes: InodeTable;
  readonly #overcommit: Overcommit;

  constructor(kernel: Kernel, inodes: InodeTable, overcommit: Overcommit) {
    this.#kernel = kernel;
    this.#inodes = inodes;
    this.#overcommit = overcommit;
  }

  /**
   * Accounts for pages that are to come, of which the caller tells the inode; `mapped`: pages that the process has mapped.
   * @kernel shmem_inode_acct_blocks @simplified no mount has a limit of its own, and nobody a quota
   */
  mayAdd(pages: number, mapped = 0): boolean {
    return this.#overcommit.enough(pages, this.#kernel.sched.current.cred.capable, mapped);
  }

  /** The same, once more when what was taken behind the inode's back is accounted for. */
  mayAllocate(inode: InodeHandle, pages: number, mapped: number): boolean {
    if (this.mayAdd(pages, mapped)) return true;
    this.recalc(inode, 0);
    return this.mayAdd(pages, mapped);
  }

  /** So many pages were accounted for; what the inode has no more is given back. @kernel shmem_recalc_inode @simplified there is no swap */
  recalc(inode: InodeHandle, added: number): void {
    const alloced = this.#inodes.alloced(inode) + added;
    const freed = Math.max(alloced - this.#inodes.pages(inode), 0);
    if (added !== freed) this.#inodes.setAlloced(inode, alloced - freed);
    if (freed > 0) this.#overcommit.unaccount(freed);
  }
}
