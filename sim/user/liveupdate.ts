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
import type { Layout } from '../base/layout.ts';
import { definePoint, type Op } from '../base/point.ts';
import type { System } from '../boot/boot.ts';
import { DIRECTION_CHECK, GET_NAME } from '../kernel/patches.ts';
import type { FileHandle } from '../kernel/vfs.ts';
import type { SessionHandle } from '../luo/session_table.ts';
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

type Direction = 'incoming' | 'outgoing' | 'both';

interface Command {
  readonly number: number;
  readonly layout: Layout<string>;
  /** Sessions it is for, since there is a check of that. */
  readonly direction: Direction;
}

const DEVICE_COMMANDS: readonly Command[] = [
  { number: LIVEUPDATE_IOCTL_CREATE_SESSION, layout: SESSION_ARGUMENT, direction: 'both' },
  { number: LIVEUPDATE_IOCTL_RETRIEVE_SESSION, layout: SESSION_ARGUMENT, direction: 'both' },
];

const SESSION_COMMANDS: readonly Command[] = [
  { number: LIVEUPDATE_SESSION_PRESERVE_FD, layout: FD_ARGUMENT, direction: 'outgoing' },
  { number: LIVEUPDATE_SESSION_RETRIEVE_FD, layout: FD_ARGUMENT, direction: 'incoming' },
  { number: LIVEUPDATE_SESSION_FINISH, layout: FINISH_ARGUMENT, direction: 'incoming' },
];

const GET_NAME_COMMAND: Command = {
  number: LIVEUPDATE_SESSION_GET_NAME,
  layout: NAME_ARGUMENT,
  direction: 'both',
};

const SESSION_BASE = 0x40;

const GET_USER = definePoint('get_user', 'page');
const COPY_IN = definePoint('copy_struct_from_user', 'page');

export class LiveUpdateDevice {
  readonly #system: System;
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
    const { kernel, vfs, luo } = this.#system;
    kernel.enterSyscall();
    const file = thread.fdget(fd);
    if (file < 0) return file;
    const kind = vfs.kind(file as FileHandle);
    const isSession = kind === luo.sessions.fileKind;
    if (!isSession && kind !== this.#kind) return -ERRNO.ENOTTY;
    const commands = isSession ? this.#sessionCommands : DEVICE_COMMANDS;
    const index = (number & 0xff) - (isSession ? SESSION_BASE : 0);
    const command = commands[index];
    if (command === undefined) return -ERRNO.EINVAL;
    if (thread.process.slowPages) {
      return this.#slowly({ thread, file: file as FileHandle, isSession, command, number, argument });
    }
    const userBytes = this.#accepts(file as FileHandle, isSession, command, number, argument);
    return this.#copyIn(thread, file as FileHandle, isSession, command, argument, userBytes);
  }

  /** The first word and what it decides: the caller's size, or a negative errno. */
  #accepts(
    file: FileHandle,
    isSession: boolean,
    command: Command,
    number: number,
    argument: UserMemory,
  ): number {
    const userBytes = argument.size();
    if (userBytes < 0) return -ERRNO.EFAULT;
    if (command.number !== number) return -ERRNO.ENOTTY;
    if (isSession && !this.#isFor(command, file)) return -ERRNO.EINVAL;
    return userBytes < command.layout.size ? -ERRNO.EINVAL : userBytes;
  }

  /** `userBytes` may be a negative errno. */
  #copyIn(
    thread: Thread,
    file: FileHandle,
    isSession: boolean,
    command: Command,
    argument: UserMemory,
    userBytes: number,
  ): Answer {
    if (userBytes < 0) return userBytes;
    const err = copyStructIn(thread.argument, command.layout.size, argument, userBytes);
    if (err !== 0) return err;
    if (!isSession) return this.#sessionFd(thread, command.number, argument, userBytes);
    const session = this.#system.vfs.privateData(file) as SessionHandle;
    return this.#sessions.command(thread, command.number, session, argument, userBytes);
  }

  /** The same, waiting for pages; a signal that kills ends the wait. */
  #slowly(call: IoctlCall): Answer {
    const { thread, file, isSession, command, argument } = call;
    return after(this.#fetch(call), this, this.#copyIn, thread, file, isSession, command, argument);
  }

  /** The caller's size once all of the argument is there, or a negative errno. */
  *#fetch({ thread, file, isSession, command, number, argument }: IoctlCall): Op<number> {
    const { sched } = this.#system.kernel;
    const { process } = thread;
    if (sched.contended) yield GET_USER;
    if (process.killed) return -ERRNO.EFAULT;
    const userBytes = this.#accepts(file, isSession, command, number, argument);
    if (userBytes < 0) return userBytes;
    if (sched.contended) yield COPY_IN;
    return process.killed ? -ERRNO.EFAULT : userBytes;
  }

  /** @kernel luo_ioctl_type_valid */
  #isFor({ direction }: Command, file: FileHandle): boolean {
    const { vfs, luo } = this.#system;
    if (direction === 'both' || !this.#checksDirection) return true;
    const retrieved = luo.sessions.table.retrieved(vfs.privateData(file) as SessionHandle);
    return retrieved === (direction === 'incoming');
  }

  /** @kernel luo_ioctl_create_session, luo_ioctl_retrieve_session */
  #sessionFd(thread: Thread, number: number, argument: UserMemory, userBytes: number): Answer {
    const { sessions } = this.#system.luo;
    const { task, process } = thread;
    const fd = process.reserveFd();
    if (fd < 0) return fd;
    const file =
      number === LIVEUPDATE_IOCTL_CREATE_SESSION
        ? sessions.create(task, thread.argument, NAME_AT)
        : sessions.retrieve(task, thread.argument, NAME_AT);
    if (typeof file !== 'number') {
      return after(file, this, this.#sessionFile, thread, fd, argument, userBytes);
    }
    return this.#sessionFile(thread, fd, argument, userBytes, file);
  }

  /** The descriptor and the answer for the file of a session, or a negative errno. */
  #sessionFile(
    thread: Thread,
    fd: number,
    argument: UserMemory,
    userBytes: number,
    file: FileHandle | number,
  ): Answer {
    const { process } = thread;
    if (file < 0) {
      process.returnFd(fd);
      return file;
    }
    thread.argument[FD_AT] = fd;
    if (waitsForPage(thread, this.#system.kernel.sched.contended)) {
      return after(
        giveWay(COPY_OUT),
        this,
        this.#sessionOpened,
        thread,
        fd,
        file as FileHandle,
        argument,
        userBytes,
      );
    }
    return this.#sessionOpened(thread, fd, file as FileHandle, argument, userBytes);
  }

  #sessionOpened(
    thread: Thread,
    fd: number,
    file: FileHandle,
    argument: UserMemory,
    userBytes: number,
  ): number {
    const { process } = thread;
    const err = answer(thread, argument, SESSION_ARGUMENT.size, userBytes);
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
  readonly file: FileHandle;
  readonly isSession: boolean;
  readonly command: Command;
  readonly number: number;
  readonly argument: UserMemory;
}
