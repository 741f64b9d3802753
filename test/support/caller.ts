/*
 * A process with a thread that calls the live-update interface directly, one call at a time.
 */
import { type Answer, settle } from '../../sim/base/answer.ts';
import type { Op } from '../../sim/base/point.ts';
import type { System } from '../../sim/boot/boot.ts';
import type { Contents } from '../../sim/files/shmem_write.ts';
import type { FileHandle } from '../../sim/kernel/vfs.ts';
import type { LockId } from '../../sim/sched/lock.ts';
import type { Task } from '../../sim/sched/task.ts';
import { LiveUpdateDevice } from '../../sim/user/liveupdate.ts';
import { dropFile, Process, Thread } from '../../sim/user/process.ts';
import { type Stat, Syscalls } from '../../sim/user/syscalls.ts';
import { UserMemory } from '../../sim/user/uaccess.ts';
import {
  FD_ARGUMENT,
  FINISH_ARGUMENT,
  LIVEUPDATE_IOCTL_CREATE_SESSION,
  LIVEUPDATE_IOCTL_RETRIEVE_SESSION,
  LIVEUPDATE_SESSION_FINISH,
  LIVEUPDATE_SESSION_PRESERVE_FD,
  LIVEUPDATE_SESSION_RETRIEVE_FD,
  SESSION_ARGUMENT,
} from '../../sim/user/uapi.ts';
import { putName } from './names.ts';
import { inTask } from './system.ts';

const encode = (name: string): Uint8Array => Uint8Array.from(name, (c) => c.charCodeAt(0));

export class Caller {
  readonly system: System;
  readonly device: LiveUpdateDevice;
  readonly process: Process;
  readonly sys: Syscalls;
  /** Descriptor of the open device. */
  fd = -1;

  constructor(system: System, limit?: number) {
    this.system = system;
    this.device = new LiveUpdateDevice(system);
    this.process = new Process(system, 'caller', limit);
    this.sys = new Syscalls(system);
  }

  /** Opens the device and remembers the descriptor: the descriptor or an errno. */
  open(): number {
    const result = this.call((thread) => this.device.open(thread));
    if (result >= 0) this.fd = result;
    return result;
  }

  /** A session's descriptor or an errno. `name` is bytes, one a character. */
  create(name: string): number {
    return this.#session(LIVEUPDATE_IOCTL_CREATE_SESSION, name);
  }

  retrieve(name: string): number {
    return this.#session(LIVEUPDATE_IOCTL_RETRIEVE_SESSION, name);
  }

  finish(fd: number): number {
    const argument = new UserMemory(FINISH_ARGUMENT.size);
    argument.words[0] = FINISH_ARGUMENT.size;
    return this.ioctl(fd, LIVEUPDATE_SESSION_FINISH, argument);
  }

  /** Preserves descriptor `fd` of the caller in a session: 0 or an errno. */
  preserve(session: number, fd: number, token: number | bigint): number {
    return this.ioctl(session, LIVEUPDATE_SESSION_PRESERVE_FD, fdArgument(fd, token));
  }

  /** A descriptor or an errno. */
  retrieveFd(session: number, token: number | bigint): number {
    const argument = fdArgument(-1, token);
    const result = this.ioctl(session, LIVEUPDATE_SESSION_RETRIEVE_FD, argument);
    return result < 0 ? result : (argument.words[FD_ARGUMENT.at.fd / 4] as number);
  }

  /** A memfd with those bytes, the position behind them. */
  memfd(text = '', flags = 0): number {
    const fd = this.call((thread) => this.sys.memfdCreate(thread, flags));
    if (fd >= 0 && text !== '') this.write(fd, text);
    return fd;
  }

  write(fd: number, text: string): number {
    return this.call((thread) => this.sys.write(thread, fd, bytesContents(encode(text))));
  }

  pwrite(fd: number, at: number, text: string): number {
    return this.call((thread) => this.sys.pwrite(thread, fd, at, bytesContents(encode(text))));
  }

  /** Stores through a shared mapping. */
  store(fd: number, at: number, text: string): number {
    return this.call((thread) => this.sys.mmapStore(thread, fd, at, encode(text)));
  }

  seal(fd: number, seals: number): number {
    return this.call((thread) => this.sys.addSeals(thread, fd, seals));
  }

  /** fallocate(2) of the first `bytes`. */
  allocate(fd: number, mode: number, bytes: number): number {
    return this.call((thread) => this.sys.fallocate(thread, fd, mode, 0, bytes));
  }

  /** Bytes that read(2) gives, or an errno. */
  readResult(fd: number): number {
    const read = this.read(fd);
    return typeof read === 'number' ? read : read.length;
  }

  truncate(fd: number, bytes: number): number {
    return this.call((thread) => this.sys.ftruncate(thread, fd, bytes));
  }

  /** Contents from `at`, a character a byte; an errno as a number. */
  read(fd: number, bytes = 64, at = 0): string | number {
    const read = this.sys.pread(new Thread(this.system.kernel.sched.boot, this.process), fd, at, bytes);
    return typeof read === 'number' ? read : String.fromCharCode(...read);
  }

  stat(fd: number): Stat {
    const stat = this.sys.stat(new Thread(this.system.kernel.sched.boot, this.process), fd);
    if (typeof stat === 'number') throw new Error(`fstat answered ${stat}`);
    return stat;
  }

  close(fd: number): number {
    return this.call((thread) => {
      const file = thread.process.detach(fd);
      return file < 0 ? file : dropFile(this.system, thread.task, file as FileHandle);
    });
  }

  ioctl(fd: number, number: number, argument: UserMemory): number {
    return this.call((thread) => this.device.ioctl(thread, fd, number, argument));
  }

  /** Runs one call in a task of its own, with what it defers to its return. It holds no lock then. */
  call(body: (thread: Thread) => Answer): number {
    const { system, process } = this;
    const result = inTask(system, (task) => {
      task.cred = process;
      return whole(system, task, new Thread(task, process), body);
    });
    const { sched } = system.kernel;
    const held = result === undefined ? [] : (sched.tasks.at(-1)?.held ?? []);
    if (held.length > 0) throw new Error(`the call left a lock held: ${sched.locks.name(held[0] as LockId)}`);
    return result;
  }

  #session(number: number, name: string): number {
    const argument = sessionArgument(name);
    const result = this.ioctl(this.fd, number, argument);
    return result < 0 ? result : (argument.words[SESSION_ARGUMENT.at.fd / 4] as number);
  }
}

const bytesContents = (bytes: Uint8Array): Contents => ({
  bytes: bytes.length,
  slice: (from, n) => bytes.subarray(from, from + n),
});

/** The argument of PRESERVE_FD and RETRIEVE_FD. */
export function fdArgument(fd: number, token: number | bigint): UserMemory {
  const argument = new UserMemory(FD_ARGUMENT.size);
  argument.words[0] = FD_ARGUMENT.size;
  argument.words[FD_ARGUMENT.at.fd / 4] = fd;
  argument.words[FD_ARGUMENT.at.token / 4] = Number(BigInt(token) & 0xffffffffn) | 0;
  argument.words[FD_ARGUMENT.at.token / 4 + 1] = Number(BigInt(token) >> 32n) | 0;
  return argument;
}

/** The argument of create and retrieve. */
export function sessionArgument(name: string): UserMemory {
  const argument = new UserMemory(SESSION_ARGUMENT.size);
  argument.words[0] = SESSION_ARGUMENT.size;
  putName(argument.words, SESSION_ARGUMENT.at.name / 4, encode(name));
  return argument;
}

function* whole(system: System, task: Task, thread: Thread, body: (thread: Thread) => Answer): Op<number> {
  const called = body(thread);
  const result = typeof called === 'number' ? called : yield* called;
  for (const file of thread.dropped) yield* settle(dropFile(system, task, file));
  return result;
}
