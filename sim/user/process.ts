/*
 * Processes and their descriptor tables. A process lives until it exits or its kernel is gone, whether or not a task
 * runs in it: an agent that made its sessions and sleeps keeps them.
 *
 *   descriptor -> a word each: 31 close on exec | struct file; the lowest free number is handed out
 *   limit        RLIMIT_NOFILE, at most fs.nr_open
 *   credentials  root with all capabilities, or nobody with none
 */
import { type Answer, after } from '../base/answer.ts';
import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { NR_OPEN } from '../base/limits.ts';
import type { Op } from '../base/point.ts';
import type { System } from '../boot/boot.ts';
import { type FileHandle, O_PATH, type Vfs } from '../kernel/vfs.ts';
import type { Descriptors } from '../luo/file.ts';
import { Column } from '../machine/column.ts';
import type { Stateful } from '../machine/journal.ts';
import { PIECE_MASK } from '../machine/pool.ts';
import type { Task } from '../sched/task.ts';
import { ArgumentBuffer } from './buffer.ts';
import { ARGUMENT_WORDS } from './uapi.ts';

/** A number that is taken and leads to no file of ours: reserved, or a standard stream. */
const RESERVED = -1;
const CLOSE_ON_EXEC = 1 << 31;
/** stdin, stdout, stderr. */
const STANDARD_STREAMS = 3;

/** Whether the word of a descriptor has a file. */
const leadsOn = (word: number): boolean => word !== 0 && word !== RESERVED;

export class Process implements Stateful {
  readonly name: string;
  /** RLIMIT_NOFILE: what is open beyond it stays open. */
  limit: number;
  /** root, with every capability. */
  capable = true;
  /** Pages that its calls' arguments lie in may have to be waited for, as with userfaultfd. */
  slowPages = false;
  /** A SIGKILL is pending: its threads exit when they next come to user mode. */
  killed = false;
  /** Threads that have not ended. */
  threads = 0;
  readonly #files: Column;
  readonly #vfs: Vfs;
  /** Descriptors below this one are taken. */
  #next = 0;
  /** One more than the highest descriptor ever taken. */
  #top = 0;
  /** Descriptors taken. */
  open = 0;
  alive = true;

  constructor(system: System, name: string, limit: number = NR_OPEN) {
    assert(limit >= 0 && limit <= NR_OPEN, 'RLIMIT_NOFILE is at most fs.nr_open');
    this.name = name;
    this.limit = limit;
    this.#files = new Column(system.kernel.storage, `${name} files`, NR_OPEN);
    this.#vfs = system.vfs;
    system.kernel.machine.journal.enlist(this);
    for (let fd = 0; fd < Math.min(STANDARD_STREAMS, limit); fd++) this.reserveFd();
  }

  /**
   * The lowest free descriptor, taken; or -EMFILE.
   * @kernel get_unused_fd_flags @simplified the table takes no memory and cannot fail to grow; descriptors have no flags
   */
  reserveFd(): number {
    let fd = this.#next;
    while (fd < this.#top && this.#files.get(fd) !== 0) fd++;
    if (fd >= this.limit) return -ERRNO.EMFILE;
    this.#files.set(fd, RESERVED);
    this.#next = fd + 1;
    if (fd >= this.#top) this.#top = fd + 1;
    this.open++;
    return fd;
  }

  /** @kernel put_unused_fd */
  returnFd(fd: number): void {
    assert(this.#files.get(fd) === RESERVED, 'only a reserved descriptor is returned');
    this.#files.set(fd, 0);
    this.#freed(fd);
  }

  /** @kernel fd_install */
  install(fd: number, file: FileHandle, closeOnExec = false): void {
    const piece = this.#files.open(fd, 1);
    assert(piece[fd & PIECE_MASK] === RESERVED, 'a file goes to a reserved descriptor');
    piece[fd & PIECE_MASK] = closeOnExec ? file | CLOSE_ON_EXEC : file;
  }

  /**
   * The file behind a descriptor, or -EBADF.
   * @kernel fdget_raw @simplified takes no reference: no caller of it waits
   */
  file(fd: number): FileHandle | number {
    if (fd < 0 || fd >= this.#top) return -ERRNO.EBADF;
    const word = this.#files.get(fd);
    return leadsOn(word) ? word & ~CLOSE_ON_EXEC : -ERRNO.EBADF;
  }

  /** The file behind a descriptor that was opened, and not just named by O_PATH; or -EBADF. */
  opened(fd: number): FileHandle | number {
    const file = this.file(fd);
    return file >= 0 && (this.#vfs.flags(file as FileHandle) & O_PATH) !== 0 ? -ERRNO.EBADF : file;
  }

  /** Whether exec closes the descriptor. */
  closesOnExec(fd: number): boolean {
    const word = this.#files.get(fd);
    return leadsOn(word) && (word & CLOSE_ON_EXEC) !== 0;
  }

  /** Takes a file off its descriptor; the caller drops it. The file, or -EBADF. @kernel file_close_fd */
  detach(fd: number): FileHandle | number {
    if (fd < 0 || fd >= this.#top) return -ERRNO.EBADF;
    const piece = this.#files.open(fd, 1);
    const word = piece[fd & PIECE_MASK] as number;
    if (!leadsOn(word)) return -ERRNO.EBADF;
    piece[fd & PIECE_MASK] = 0;
    this.#freed(fd);
    return word & ~CLOSE_ON_EXEC;
  }

  /** One more reference to a file of this process. @kernel get_file */
  hold(file: FileHandle): void {
    this.#vfs.get(file);
  }

  /** The lowest open descriptor from `fd` on, or -1. */
  nextOpen(fd: number): number {
    for (let at = fd; at < this.#top; at++) if (leadsOn(this.#files.get(at))) return at;
    return -1;
  }

  /** Tells of the file behind every open descriptor, ascending. */
  eachFile(tell: (file: FileHandle) => void): void {
    let left = this.open;
    for (let fd = 0; left > 0 && fd < this.#top; fd = (fd | PIECE_MASK) + 1) {
      const words = this.#files.piece(fd);
      const n = Math.min(this.#top - fd, words.length);
      for (let i = 0; i < n && left > 0; i++) {
        const word = words[i] as number;
        if (word === 0) continue;
        left--;
        if (leadsOn(word)) tell((word & ~CLOSE_ON_EXEC) as FileHandle);
      }
    }
  }

  capture(): unknown {
    const { limit, capable, slowPages, killed, threads } = this;
    return [this.#next, this.#top, this.open, this.alive, { limit, capable, slowPages, killed, threads }];
  }

  reinstate(state: unknown): void {
    const [next, top, open, alive, more] = state as [number, number, number, boolean, Partial<Process>];
    [this.#next, this.#top, this.open, this.alive] = [next, top, open, alive];
    Object.assign(this, more);
  }

  /** A descriptor is no longer taken. */
  #freed(fd: number): void {
    if (fd < this.#next) this.#next = fd;
    this.open--;
  }
}

/**
 * Drops a reference that a caller held; what release answers is not told.
 * @kernel fput @simplified releases at once, not in task work
 */
export function dropFile({ vfs }: System, task: Task, file: FileHandle): Answer {
  if (!vfs.put(file)) return 0;
  const released = vfs.release(task, file);
  if (typeof released === 'number') return dropped(vfs, file);
  return after(released, undefined, dropped, vfs, file);
}

function dropped(vfs: Vfs, file: FileHandle): number {
  vfs.free(file);
  return 0;
}

/**
 * Closes everything, ascending.
 * @kernel do_exit @simplified closes the descriptors, and nothing else of the process has to go
 */
export function* exitProcess(system: System, task: Task, process: Process): Op<number> {
  process.alive = false;
  for (let fd = process.nextOpen(0); fd !== -1; fd = process.nextOpen(fd)) {
    const dropping = dropFile(system, task, process.detach(fd) as FileHandle);
    if (typeof dropping !== 'number') yield* dropping;
  }
  return 0;
}

/** A thread of a process: its task, and the stack on which an ioctl keeps its argument. */
export class Thread implements Descriptors {
  readonly task: Task;
  readonly process: Process;
  readonly argument = new ArgumentBuffer(ARGUMENT_WORDS);
  /** Id of the session's name that its call under way is about; -1 for none. */
  calling = -1;
  /** Files to drop before the running call returns to user mode (task_work of fput). */
  readonly dropped: FileHandle[] = [];

  constructor(task: Task, process: Process) {
    this.task = task;
    this.process = process;
  }

  /**
   * The file behind a descriptor, or -EBADF; it stays until the running call returns, even where another thread closes
   * the descriptor meanwhile. @kernel fdget
   */
  fdget(fd: number): FileHandle | number {
    const { process } = this;
    const file = process.opened(fd);
    if (file >= 0 && process.threads > 1) {
      process.hold(file as FileHandle);
      this.dropped.push(file as FileHandle);
    }
    return file;
  }

  /** @kernel fget */
  fget(fd: number): FileHandle | number {
    const file = this.process.opened(fd);
    if (file >= 0) this.process.hold(file as FileHandle);
    return file;
  }

  /** @kernel fput */
  fput(file: FileHandle): void {
    this.dropped.push(file);
  }
}
