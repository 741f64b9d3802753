/*
 * What a process may do to itself and to others: limits, credentials, signals.
 *
 *   setrlimit    RLIMIT_NOFILE, soft and hard in one: -EPERM above fs.nr_open, and for nobody above what it has
 *   memory.max   memory_cgroup.ts
 *   /proc/sys    fs.file-max, vm.overcommit_* (kernel/overcommit.ts): root's, for the whole system
 *   setuid       root becomes nobody, for good: it opens no device of mode 0600, boots nothing, exceeds no fs.file-max
 *   kill         SIGKILL: threads of the process go on to the end of their calls, whatever lock they wait for, and then
 *                exit; only a page that is waited for never comes: the call that wants it answers -EFAULT. The last
 *                thread closes what is open.
 */
import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { NR_OPEN } from '../base/limits.ts';
import type { Op } from '../base/point.ts';
import type { System } from '../boot/boot.ts';
import { MemoryCgroups } from './memory_cgroup.ts';
import { exitProcess, type Process, Thread } from './process.ts';

/** Told that a process is gone, which had no thread left to say so. */
export type OnGone = (thread: Thread) => void;

export class ProcessCalls {
  readonly #system: System;
  readonly #find: (name: string) => Process | undefined;
  readonly #cgroups: MemoryCgroups;

  constructor(system: System, find: (name: string) => Process | undefined) {
    this.#system = system;
    this.#find = find;
    this.#cgroups = new MemoryCgroups(system, find);
  }

  /** @kernel do_prlimit @simplified of RLIMIT_NOFILE alone, whose hard limit is the soft one */
  setLimit({ process }: Thread, limit: number): number {
    this.#system.kernel.enterSyscall();
    if (limit > NR_OPEN || (limit > process.limit && !process.capable)) return -ERRNO.EPERM;
    process.limit = limit;
    return 0;
  }

  /** mkdir, a write to memory.max, and one to cgroup.procs: 0, -EACCES. */
  setMemoryMax({ process }: Thread, bytes: number): number {
    this.#system.kernel.enterSyscall();
    if (!process.capable) return -ERRNO.EACCES;
    this.#cgroups.setMax(process, bytes);
    return 0;
  }

  /** @kernel __sys_setuid @simplified there are two users: root and nobody */
  dropPrivileges({ process }: Thread): number {
    this.#system.kernel.enterSyscall();
    process.capable = false;
    return 0;
  }

  /** A write to /proc/sys/fs/file-max: 0, -EACCES. */
  setFileMax({ process }: Thread, files: number): number {
    this.#system.kernel.enterSyscall();
    if (!process.capable) return -ERRNO.EACCES;
    this.#system.vfs.fileMax = files;
    return 0;
  }

  /** A write to /proc/sys/vm/overcommit_memory: 0, -EACCES, -EINVAL. */
  setOvercommitMemory({ process }: Thread, policy: number): number {
    this.#system.kernel.enterSyscall();
    return process.capable ? this.#system.overcommit.setPolicy(policy) : -ERRNO.EACCES;
  }

  /** A write to /proc/sys/vm/overcommit_ratio: 0, -EACCES, -EINVAL. */
  setOvercommitRatio({ process }: Thread, percent: number): number {
    this.#system.kernel.enterSyscall();
    return process.capable ? this.#system.overcommit.setRatio(percent) : -ERRNO.EACCES;
  }

  /** A write to /proc/sys/vm/overcommit_kbytes: 0, -EACCES. */
  setOvercommitKbytes({ process }: Thread, kbytes: number): number {
    this.#system.kernel.enterSyscall();
    return process.capable ? this.#system.overcommit.setKbytes(kbytes) : -ERRNO.EACCES;
  }

  /** UFFDIO_REGISTER of the pages that arguments lie in, or the end of it. */
  slowPages({ process }: Thread, slow: boolean): number {
    this.#system.kernel.enterSyscall();
    process.slowPages = slow;
    return 0;
  }

  /**
   * 0, -ESRCH, -EPERM. A process that no thread runs in is closed by the caller.
   * @kernel __x64_sys_kill @simplified SIGKILL to all threads of one process; asleep in user mode it exits at once
   */
  kill(thread: Thread, name: string, onGone: OnGone): Op<number> | number {
    this.#system.kernel.enterSyscall();
    const process = this.#find(name);
    if (process?.alive !== true) return -ERRNO.ESRCH;
    if (process.capable && !thread.process.capable) return -ERRNO.EPERM;
    process.killed = true;
    return process.threads > 0 ? 0 : this.#close(new Thread(thread.task, process), onGone);
  }

  *#close(thread: Thread, onGone: OnGone): Op<number> {
    assert(thread.process.threads === 0, 'a process with threads closes its files itself');
    yield* exitProcess(this.#system, thread.task, thread.process);
    onGone(thread);
    return 0;
  }
}
