/*
 * Files that can be preserved: shmem, and the handler that registers with live update.
 *
 *   late_initcall   memfd_luo_init, after LUO's own: -EOPNOTSUPP where live update is off is nothing to speak of
 */
import { ERRNO, printErrno } from '../base/errno.ts';
import type { Op } from '../base/point.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Overcommit } from '../kernel/overcommit.ts';
import type { Vfs } from '../kernel/vfs.ts';
import type { Kho } from '../kho/kexec_handover.ts';
import type { Luo } from '../luo/core.ts';
import type { Task } from '../sched/task.ts';
import { MemfdHandler } from './memfd.ts';
import { Shmem } from './shmem.ts';

export class Files {
  readonly shmem: Shmem;
  readonly memfd: MemfdHandler;
  readonly #kernel: Kernel;
  readonly #luo: Luo;

  constructor(kernel: Kernel, kho: Kho, vfs: Vfs, luo: Luo, overcommit: Overcommit) {
    this.#kernel = kernel;
    this.#luo = luo;
    this.shmem = new Shmem(kernel, vfs, overcommit);
    this.memfd = new MemfdHandler(kernel, kho, vfs, this.shmem);
  }

  /** @kernel memfd_luo_init */
  *init(task: Task): Op<void> {
    const err = yield* this.#luo.files.handlers.register(task, this.memfd);
    if (err !== 0 && err !== -ERRNO.EOPNOTSUPP) {
      this.#kernel.printk(`memfd_luo: Could not register luo filesystem handler: ${printErrno(err)}`);
    }
  }
}
