/*
 * /dev/liveupdate: open, ioctl, close, as luo_core.c answers them, and what ioctls on sessions have in common with its
 * own (session_ioctl.ts).
 *
 *   ioctl           number range -EINVAL | size unreadable -EFAULT | whole number -ENOTTY | session of the other
 *                   direction -EINVAL (since the direction check) | size too small -EINVAL | copy in -EFAULT, -E2BIG |
 *                   wait for a reboot under way (session ioctls, since serialize_rwsem) | execute
 *                   Where a page of the argument has to be waited for, the caller waits at each of its copies, with
 *                   the locks that it holds there: none on the way in; on the way out those of its operation
 *   create, retrieve   descriptor first (-EMFILE), then the session, then the answer (-EFAULT drops the new file),
 *                   fd_install last
 */
import { type Answer, after, giveWay } from '../base/answer.ts';
import { ERRNO } from '../base/errno.ts';
import { definePoint, type Op } from '../base/point.ts';
import type { System } from '../boot/boot.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { DIRECTION_CHECK, GET_NAME } from '../kernel/patches.ts';
import type { FileHandle, Vfs } from '../kernel/vfs.ts';
import type { LuoSessions } from '../luo/session.ts';
import type { SessionHandle } from '../luo/session_table.ts';
import type { Scheduler } from '../sched/scheduler.ts';
import type { Thread } from './process.ts';
import { SessionIoctls } from './session_ioctl.ts';
import { answer, COPY_OUT, copyStructIn, type UserMemory, waitsForPage } from './uaccess.ts';
import {
  FD_ARGUMENT,
  FINISH_ARGUMENT,
  LIVEUPDATE_IOCTL_CREATE_SESSION,
  LIVEUPDATE_IOCTL_RETRIEVE_SESSION,
  LIVEUPDATE_SESSION_FINISH,
  LIVEUPDATE_SESSION_GET_NAME,
  LIVEUPDATE_SESSION_PRESERVE_FD,
  LIVEUPDATE_SESSION_RETRIEVE_FD,
  NAME_ARGUMENT,
  SESSION_ARGUMENT,
} from './uapi.ts';

const NAME_AT = SESSION_ARGUMENT.at.name / 4;
const FD_AT = SESSION_ARGUMENT.at.fd / 4;

interface Command {
  readonly number: number;
  /** Bytes of its argument. */
  readonly size: number;
  /** Since there is a check of that: whether it is for retrieved sessions, or for others; undefined where for all. */
  readonly retrieved: boolean | undefined;
}

const DEVICE_COMMANDS: readonly Command[] = [
  { number: LIVEUPDATE_IOCTL_CREATE_SESSION, size: SESSION_ARGUMENT.size, retrieved: undefined },
  { number: LIVEUPDATE_IOCTL_RETRIEVE_SESSION, size: SESSION_ARGUMENT.size, retrieved: undefined },
];

const SESSION_COMMANDS: readonly Command[] = [
  { number: LIVEUPDATE_SESSION_PRESERVE_FD, size: FD_ARGUMENT.size, retrieved: false },
  { number: LIVEUPDATE_SESSION_RETRIEVE_FD, size: FD_ARGUMENT.size, retrieved: true },
  { number: LIVEUPDATE_SESSION_FINISH, size: FINISH_ARGUMENT.size, retrieved: true },
];

const GET_NAME_COMMAND: Command = {
  number: LIVEUPDATE_SESSION_GET_NAME,
  size: NAME_ARGUMENT.size,
  retrieved: undefined,
};

const SESSION_BASE = 0x40;

/** In place of a session: the ioctl is the device's own. */
const DEVICE = -1;

const GET_USER = definePoint('get_user', 'page');
const COPY_IN = definePoint('copy_struct_from_user', 'page');

export class LiveUpdateDevice {
  readonly #system: System;
  readonly #kernel: Kernel;
  readonly #sched: Scheduler;
  readonly #vfs: Vfs;
  readonly #luo: LuoSessions;
  readonly #kind: number;
  readonly #sessionCommands: readonly Command[];
  readonly #checksDirection: boolean;
  readonly #sessions: SessionIoctls;
  /**
   * Registered at late init, only where live update is still on.
   * @kernel liveupdate_ioctl_init @simplified registering a device cannot fail
   */
  readonly present: boolean;

  constructor(system: System) {
    this.#system = system;
    this.#kernel = system.kernel;
    this.#sched = system.kernel.sched;
    this.#vfs = system.vfs;
    this.#luo = system.luo.sessions;
    this.present = system.luo.enabled;
    this.#checksDirection = system.kernel.has(DIRECTION_CHECK);
    this.#sessions = new SessionIoctls(system);
    this.#sessionCommands = system.kernel.has(GET_NAME)
      ? [...SESSION_COMMANDS, GET_NAME_COMMAND]
      : SESSION_COMMANDS;
    this.#kind = system.vfs.registerKind({
      name: '/dev/liveupdate',
      release: () => {
        system.luo.release();
        return 0;
      },
    });
  }

  /** A descriptor, or -ENOENT, -EMFILE, -ENFILE, -ENOMEM, -EACCES, -EBUSY, -EIO. @kernel luo_open */
  *open({ task, process }: Thread): Op<number> {
    const { kernel, vfs, luo } = this.#system;
    kernel.enterSyscall();
    const fd = process.reserveFd();
    if (fd < 0) return fd;
    if (!this.present) {
      process.returnFd(fd);
      return -ERRNO.ENOENT;
    }
    const file = vfs.allocFile(task, this.#kind, 0);
    if (file < 0) {
      process.returnFd(fd);
      return file;
    }
    // The node belongs to root, mode 0600, as every misc device's does.
    let err = process.capable ? luo.tryOpen() : -ERRNO.EACCES;
    if (err === 0) {
      err = yield* luo.sessions.deserialize(task);
      if (err !== 0) err = luo.openFailed();
    }
    if (err !== 0) {
      // Not opened: the file goes without release.
      vfs.put(file as FileHandle);
      vfs.free(file as FileHandle);
      process.returnFd(fd);
      return err;
    }
    process.install(fd, file as FileHandle);
    return fd;
  }

  /** ioctl(2) on any descriptor: 0 or a negative errno, perhaps after waiting. @kernel luo_ioctl, luo_session_ioctl */
  ioctl(thread: Thread, fd: number, number: number, argument: UserMemory): Answer {
    this.#kernel.enterSyscall();
    const file = thread.fdget(fd);
    if (file < 0) return file;
    const vfs = this.#vfs;
    const kind = vfs.kind(file as FileHandle);
    const isSession = kind === this.#luo.fileKind;
    if (!isSession && kind !== this.#kind) return -ERRNO.ENOTTY;
    const index = (number & 0xff) - (isSession ? SESSION_BASE : 0);
    const command = (isSession ? this.#sessionCommands : DEVICE_COMMANDS)[index];
    if (command === undefined) return -ERRNO.EINVAL;
    const session = isSession ? vfs.privateData(file as FileHandle) : DEVICE;
    if (thread.process.slowPages) return this.#slowly({ thread, session, command, number, argument });
    const userBytes = this.#accepts(session, command, number, argument);
    return this.#copyIn(thread, session, command, argument, userBytes);
  }

  /** The first word and what it decides: the caller's size, or a negative errno. @kernel luo_ioctl_type_valid */
  #accepts(session: number, command: Command, number: number, argument: UserMemory): number {
    const userBytes = argument.size();
    if (userBytes < 0) return -ERRNO.EFAULT;
    if (command.number !== number) return -ERRNO.ENOTTY;
    const { retrieved } = command;
    if (retrieved !== undefined && this.#checksDirection) {
      if (this.#luo.table.retrieved(session as SessionHandle) !== retrieved) return -ERRNO.EINVAL;
    }
    return userBytes < command.size ? -ERRNO.EINVAL : userBytes;
  }

  /** `userBytes` may be a negative errno. */
  #copyIn(
    thread: Thread,
    session: number,
    command: Command,
    argument: UserMemory,
    userBytes: number,
  ): Answer {
    if (userBytes < 0) return userBytes;
    const err = copyStructIn(thread.argument, command.size, argument, userBytes);
    if (err !== 0) return err;
    if (session === DEVICE) return this.#sessionFd(thread, command.number, argument);
    return this.#sessions.command(thread, command.number, session as SessionHandle, argument);
  }

  /** The same, waiting for pages; a signal that kills ends the wait. */
  #slowly(call: IoctlCall): Answer {
    const { thread, session, command, argument } = call;
    return after(this.#fetch(call), this, this.#copyIn, thread, session, command, argument);
  }

  /** The caller's size once all of the argument is there, or a negative errno. */
  *#fetch({ thread, session, command, number, argument }: IoctlCall): Op<number> {
    const sched = this.#sched;
    const { process } = thread;
    if (sched.contended) yield GET_USER;
    if (process.killed) return -ERRNO.EFAULT;
    const userBytes = this.#accepts(session, command, number, argument);
    if (userBytes < 0) return userBytes;
    if (sched.contended) yield COPY_IN;
    return process.killed ? -ERRNO.EFAULT : userBytes;
  }

  /** @kernel luo_ioctl_create_session, luo_ioctl_retrieve_session */
  #sessionFd(thread: Thread, number: number, argument: UserMemory): Answer {
    const sessions = this.#luo;
    const { task, process, argument: copy } = thread;
    const fd = process.reserveFd();
    if (fd < 0) return fd;
    const file =
      number === LIVEUPDATE_IOCTL_CREATE_SESSION
        ? sessions.create(task, copy.content, NAME_AT)
        : sessions.retrieve(task, copy.content, NAME_AT);
    if (typeof file !== 'number') {
      return after(file, this, this.#sessionFile, thread, fd, argument);
    }
    return this.#sessionFile(thread, fd, argument, file);
  }

  /** The descriptor and the answer for the file of a session, or a negative errno. */
  #sessionFile(thread: Thread, fd: number, argument: UserMemory, file: FileHandle | number): Answer {
    const { process } = thread;
    if (file < 0) {
      process.returnFd(fd);
      return file;
    }
    thread.argument.set(FD_AT, fd);
    if (waitsForPage(thread, this.#sched)) {
      return after(giveWay(COPY_OUT), this, this.#sessionOpened, thread, fd, file as FileHandle, argument);
    }
    return this.#sessionOpened(thread, fd, file as FileHandle, argument);
  }

  #sessionOpened(thread: Thread, fd: number, file: FileHandle, argument: UserMemory): number {
    const { process } = thread;
    const err = answer(thread, argument, SESSION_ARGUMENT.size);
    if (err !== 0) {
      process.returnFd(fd);
      thread.dropped.push(file);
      return err;
    }
    process.install(fd, file, true);
    return 0;
  }
}

/** An ioctl whose argument is not copied in yet. */
interface IoctlCall {
  readonly thread: Thread;
  /** What the descriptor leads to, or DEVICE. */
  readonly session: number;
  readonly command: Command;
  readonly number: number;
  readonly argument: UserMemory;
}
