/*
 * How much memory may be promised: vm.overcommit_memory, mm/util.c. Every kernel starts with the heuristic.
 *
 *   0 guess    refused is what alone is larger than memory
 *   1 always   nothing is refused
 *   2 never    what is promised in all, this included, stays below the limit
 *
 *   limit      overcommit_kbytes, or overcommit_ratio per cent of memory; who writes one takes the other away
 *   less       for nobody, admin_reserve: a 32nd of what was free at boot, at most 8 MiB
 *              for a process, a 32nd of what it has mapped, at most user_reserve: as admin_reserve, at most 128 MiB
 *
 * Memory is what the page allocator has: it grows, and the limit with it, as preserved memory is restored. What is
 * promised is counted by each CPU, and added to the sum a batch at a time; it is the sum that is compared.
 */
import { ERRNO } from '../base/errno.ts';
import { PAGE_SIZE } from '../base/limits.ts';
import type { Stateful } from '../machine/journal.ts';
import type { Kernel } from './kernel.ts';

export const OVERCOMMIT_GUESS = 0;
export const OVERCOMMIT_ALWAYS = 1;
export const OVERCOMMIT_NEVER = 2;

const PAGE_KIB = PAGE_SIZE / 1024;
const INT_MAX = 0x7fffffff;
const ADMIN_RESERVE_KIB_MAX = 2 ** 13;
const USER_RESERVE_KIB_MAX = 2 ** 17;
const RATIO = 50;
const BATCH_MIN = 32;

export class Overcommit implements Stateful {
  readonly #kernel: Kernel;
  /** Pages of vm.admin_reserve_kbytes and vm.user_reserve_kbytes. */
  readonly #adminReserve: number;
  readonly #userReserve: number;
  #policy = OVERCOMMIT_GUESS;
  #ratio = RATIO;
  #kbytes = 0;
  #batch: number;
  /** Pages in the sum, and those that each CPU has not added yet. */
  #sum = 0;
  #unadded: number[];

  /** Memory has just been handed out. @kernel init_admin_reserve @kernel init_user_reserve */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    const reserveKib = Math.floor((kernel.buddy.nrFree * PAGE_KIB) / 32);
    this.#adminReserve = Math.floor(Math.min(reserveKib, ADMIN_RESERVE_KIB_MAX) / PAGE_KIB);
    this.#userReserve = Math.floor(Math.min(reserveKib, USER_RESERVE_KIB_MAX) / PAGE_KIB);
    this.#unadded = kernel.machine.cpus.all.map(() => 0);
    this.#batch = this.#batchFor(OVERCOMMIT_GUESS);
    kernel.machine.journal.enlist(this);
  }

  get policy(): number {
    return this.#policy;
  }

  /** Pages that are promised, exactly: vm_committed_as. @kernel vm_memory_committed */
  get committed(): number {
    return this.#unadded.reduce((sum, pages) => sum + pages, this.#sum);
  }

  /** Pages by which what is promised may exceed the limit, and does not: each CPU holds back less than a batch. */
  get lag(): number {
    return this.#batch * this.#unadded.length;
  }

  /** A write to vm.overcommit_memory: 0 or -EINVAL. @kernel overcommit_policy_handler */
  setPolicy(policy: number): number {
    if (policy > OVERCOMMIT_NEVER) return -ERRNO.EINVAL;
    this.#batch = this.#batchFor(policy);
    if (policy === OVERCOMMIT_NEVER) {
      this.#sum = this.committed;
      this.#unadded = this.#unadded.map(() => 0);
    }
    this.#policy = policy;
    return 0;
  }

  /** A write to vm.overcommit_ratio: 0 or -EINVAL. @kernel overcommit_ratio_handler */
  setRatio(percent: number): number {
    if (percent > INT_MAX) return -ERRNO.EINVAL;
    this.#ratio = percent;
    this.#kbytes = 0;
    return 0;
  }

  /** A write to vm.overcommit_kbytes. @kernel overcommit_kbytes_handler */
  setKbytes(kbytes: number): number {
    this.#kbytes = kbytes;
    this.#ratio = 0;
    return 0;
  }

  /** CommitLimit, in pages. @kernel vm_commit_limit @simplified there is neither swap nor memory of huge pages */
  get limit(): number {
    if (this.#kbytes !== 0) return Math.floor(this.#kbytes / PAGE_KIB);
    return Math.floor((this.#kernel.buddy.managed * this.#ratio) / 100);
  }

  /** What the sum has to stay below, for somebody who has so many pages mapped. */
  allowed(capable: boolean, mappedPages: number): number {
    const reserve = Math.min(Math.floor(mappedPages / 32), this.#userReserve);
    return this.limit - (capable ? 0 : this.#adminReserve) - reserve;
  }

  /**
   * Promises pages: false, and nothing is promised, where that is too much.
   * @kernel __vm_enough_memory @simplified a process has nothing mapped but the file that it stores to; every refusal is
   * printed, without a pid
   */
  enough(pages: number, capable: boolean, mappedPages: number): boolean {
    this.#account(pages);
    if (this.#policy === OVERCOMMIT_ALWAYS) return true;
    const isEnough =
      this.#policy === OVERCOMMIT_GUESS
        ? pages <= this.#kernel.buddy.managed
        : Math.max(this.#sum, 0) < this.allowed(capable, mappedPages);
    if (isEnough) return true;
    const { name } = this.#kernel.sched.current;
    const bytes = pages * PAGE_SIZE;
    this.#kernel.printk(
      `__vm_enough_memory: comm: ${name}, bytes: ${bytes} not enough memory for the allocation`,
    );
    this.unaccount(pages);
    return false;
  }

  /** Takes a promise back. @kernel vm_unacct_memory */
  unaccount(pages: number): void {
    this.#account(-pages);
  }

  capture(): unknown {
    return [this.#policy, this.#ratio, this.#kbytes, this.#batch, this.#sum, [...this.#unadded]];
  }

  reinstate(state: unknown): void {
    let unadded: readonly number[];
    [this.#policy, this.#ratio, this.#kbytes, this.#batch, this.#sum, unadded] = state as [
      number,
      number,
      number,
      number,
      number,
      readonly number[],
    ];
    this.#unadded = [...unadded];
  }

  /** @kernel vm_acct_memory */
  #account(pages: number): void {
    const { id } = this.#kernel.machine.cpus.current;
    const unadded = (this.#unadded[id] as number) + pages;
    if (Math.abs(unadded) >= this.#batch) {
      this.#sum += unadded;
      this.#unadded[id] = 0;
    } else {
      this.#unadded[id] = unadded;
    }
  }

  /** @kernel mm_compute_batch */
  #batchFor(policy: number): number {
    const cpus = this.#unadded.length;
    const share = Math.floor(this.#kernel.buddy.managed / cpus);
    const batch = Math.floor(share / (policy === OVERCOMMIT_NEVER ? 256 : 4));
    return Math.max(Math.min(batch, INT_MAX), cpus * 2, BATCH_MIN);
  }
}
