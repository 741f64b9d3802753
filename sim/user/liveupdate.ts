/*
 * /dev/liveupdate and session descriptors: open, ioctl, close, as luo_core.c and luo_session.c answer them.
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
import { DIRECTION_CHECK, FINISH_RESERVED, GET_NAME, RETRIEVE_FD_GUARD } from '../kernel/patches.ts';
import type { FileHandle } from '../kernel/vfs.ts';
import type { Token } from '../luo/file.ts';
import { retrieveFile } from '../luo/file_incoming.ts';
import { copyName, NAME_WORDS } from '../luo/name.ts';
import type { SessionHandle } from '../luo/session_table.ts';
import type { Thread } from './process.ts';
import { copyStructIn, respond, type UserMemory } from './uaccess.ts';
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
const RESERVED_AT = FINISH_ARGUMENT.at.reserved / 4;
const TOKEN_AT = FD_ARGUMENT.at.token / 4;

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
const COPY_OUT = definePoint('luo_ucmd_respond', 'page');

export class LiveUpdateDevice {
  readonly #system: System;
  readonly #kind: number;
  readonly #sessionCommands: readonly Command[];
  readonly #checksDirection: boolean;
  readonly #checksReserved: boolean;
  readonly #name = new Int32Array(NAME_WORDS);
  /**
   * Registered at late init, only where live update is still on.
   * @kernel liveupdate_ioctl_init @simplified registering a device cannot fail
   */
  readonly present: boolean;

  constructor(system: System) {
    this.#system = system;
    this.present = system.luo.enabled;
    this.#checksDirection = system.kernel.has(DIRECTION_CHECK);
    this.#checksReserved = system.kernel.has(FINISH_RESERVED);
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
    const isSession = luo.sessions.isSessionFile(file as FileHandle);
    if (!isSession && vfs.kind(file as FileHandle) !== this.#kind) return -ERRNO.ENOTTY;
    const commands = isSession ? this.#sessionCommands : DEVICE_COMMANDS;
    const index = (number & 0xff) - (isSession ? SESSION_BASE : 0);
    const command = commands[index];
    if (command === undefined) return -ERRNO.EINVAL;
    if (thread.process.slowPages) {
      return this.#slowly({ thread, file: file as FileHandle, isSession, command, number, argument });
    }
    const userBytes = this.#accepts(file as FileHandle, isSession, command, number, argument);
    if (userBytes < 0) return userBytes;
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

  #copyIn(
    thread: Thread,
    file: FileHandle,
    isSession: boolean,
    command: Command,
    argument: UserMemory,
    userBytes: number,
  ): Answer {
    const err = copyStructIn(thread.argument, command.layout.size, argument, userBytes);
    if (err !== 0) return err;
    if (!isSession) return this.#sessionFd(thread, command.number, argument, userBytes);
    const session = this.#system.vfs.privateData(file) as SessionHandle;
    return this.#sessionCommand(thread, command.number, session, argument, userBytes);
  }

  /** The same, waiting for pages; a signal that kills ends the wait. */
  #slowly(call: IoctlCall): Answer {
    const { thread, file, isSession, command, argument } = call;
    return after(this.#fetch(call), (userBytes) =>
      userBytes < 0 ? userBytes : this.#copyIn(thread, file, isSession, command, argument, userBytes),
    );
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

  /** Whether the caller waits here for the page of its answer. */
  #waits({ process }: Thread): boolean {
    return process.slowPages && !process.killed && this.#system.kernel.sched.contended;
  }

  /** The answer, where there is a page to take it. */
  #respond({ process, argument }: Thread, target: UserMemory, bytes: number, userBytes: number): number {
    if (process.slowPages && process.killed) return -ERRNO.EFAULT;
    return respond(target, argument, bytes, userBytes);
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
      return after(file, (late) => this.#sessionFile(thread, fd, late, argument, userBytes));
    }
    return this.#sessionFile(thread, fd, file, argument, userBytes);
  }

  /** The descriptor and the answer for the file of a session, or a negative errno. */
  #sessionFile(
    thread: Thread,
    fd: number,
    file: FileHandle | number,
    argument: UserMemory,
    userBytes: number,
  ): Answer {
    const { process } = thread;
    if (file < 0) {
      process.returnFd(fd);
      return file;
    }
    thread.argument[FD_AT] = fd;
    if (this.#waits(thread)) {
      return after(giveWay(COPY_OUT), () =>
        this.#sessionOpened(thread, fd, file as FileHandle, argument, userBytes),
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
    const err = this.#respond(thread, argument, SESSION_ARGUMENT.size, userBytes);
    if (err !== 0) {
      process.returnFd(fd);
      thread.dropped.push(file);
      return err;
    }
    process.install(fd, file, true);
    return 0;
  }

  /** Each waits for a reboot under way first. @kernel luo_session_ioctl */
  #sessionCommand(
    thread: Thread,
    number: number,
    session: SessionHandle,
    argument: UserMemory,
    userBytes: number,
  ): Answer {
    if (number === LIVEUPDATE_SESSION_FINISH) return this.#finish(thread, session, argument, userBytes);
    const call = { thread, session, argument, userBytes };
    switch (number) {
      case LIVEUPDATE_SESSION_PRESERVE_FD:
        return this.#preserveFd(call);
      case LIVEUPDATE_SESSION_RETRIEVE_FD:
        return this.#retrieveFd(call);
      default:
        return this.#getName(call);
    }
  }

  /** A response that cannot be written changes nothing: the file stays preserved. @kernel luo_session_preserve_fd */
  *#preserveFd({ thread, session, argument, userBytes }: SessionCall): Op<number> {
    const { kernel, luo } = this.#system;
    const { sessions, files } = luo;
    const { task } = thread;
    const { mutex } = sessions.table;
    const fd = thread.argument[FD_AT] as number;
    const token = tokenOf(thread);
    if (!sessions.tryEnter(task)) yield* sessions.waitEnter(task);
    if (!mutex.tryLock(task, session)) yield* mutex.wait(task, session);
    let err = yield* files.preserve(task, session, token, fd, thread);
    if (err === 0) {
      if (this.#waits(thread)) yield COPY_OUT;
      err = this.#respond(thread, argument, FD_ARGUMENT.size, userBytes);
      if (err !== 0) {
        kernel.printk('luo_session: The file was successfully preserved, but response to user failed');
      }
    }
    mutex.unlock(task, session);
    sessions.leave(task);
    return err;
  }

  /** @kernel luo_session_retrieve_fd */
  *#retrieveFd({ thread, session, argument, userBytes }: SessionCall): Op<number> {
    const { kernel, luo } = this.#system;
    const { sessions, files } = luo;
    const { task, process } = thread;
    const { mutex } = sessions.table;
    const token = tokenOf(thread);
    if (!sessions.tryEnter(task)) yield* sessions.waitEnter(task);
    const fd = process.reserveFd();
    let result = fd;
    if (fd >= 0) {
      if (!mutex.tryLock(task, session)) yield* mutex.wait(task, session);
      result = yield* retrieveFile(files, task, session, token);
      const keepsMutex = !kernel.has(RETRIEVE_FD_GUARD);
      if (!keepsMutex) mutex.unlock(task, session);
      if (result < 0) {
        process.returnFd(fd);
      } else {
        const file = result as FileHandle;
        thread.argument[FD_AT] = fd;
        if (this.#waits(thread)) yield COPY_OUT;
        result = this.#respond(thread, argument, FD_ARGUMENT.size, userBytes);
        if (result === 0) {
          process.install(fd, file, true);
        } else {
          process.returnFd(fd);
          thread.fput(file);
        }
      }
      if (keepsMutex) mutex.unlock(task, session);
    }
    sessions.leave(task);
    return result;
  }

  /** @kernel luo_session_finish */
  #finish(thread: Thread, session: SessionHandle, argument: UserMemory, userBytes: number): Answer {
    const { sessions } = this.#system.luo;
    const { task } = thread;
    if (sessions.tryEnter(task)) return this.#finishEntered(thread, session, argument, userBytes);
    return after(sessions.waitEnter(task), () => this.#finishEntered(thread, session, argument, userBytes));
  }

  #finishEntered(thread: Thread, session: SessionHandle, argument: UserMemory, userBytes: number): Answer {
    const refused = this.#checksReserved && thread.argument[RESERVED_AT] !== 0;
    const err = refused ? -ERRNO.EINVAL : this.#system.luo.sessions.finish(thread.task, session);
    if (typeof err === 'number') return this.#finished(thread, err, argument, userBytes);
    return after(err, (late) => this.#finished(thread, late, argument, userBytes));
  }

  #finished(thread: Thread, err: number, argument: UserMemory, userBytes: number): Answer {
    if (err === 0 && this.#waits(thread)) {
      return after(giveWay(COPY_OUT), () => this.#finishLeft(thread, err, argument, userBytes));
    }
    return this.#finishLeft(thread, err, argument, userBytes);
  }

  #finishLeft(thread: Thread, finished: number, argument: UserMemory, userBytes: number): number {
    const err = finished === 0 ? this.#respond(thread, argument, FINISH_ARGUMENT.size, userBytes) : finished;
    this.#system.luo.sessions.leave(thread.task);
    return err;
  }

  /** @kernel luo_session_get_name */
  *#getName({ thread, session, argument, userBytes }: SessionCall): Op<number> {
    const { sessions } = this.#system.luo;
    if (!sessions.tryEnter(thread.task)) yield* sessions.waitEnter(thread.task);
    let err: number = -ERRNO.EINVAL;
    if (thread.argument[RESERVED_AT] === 0) {
      sessions.table.loadName(session, this.#name, 0);
      copyName(thread.argument, NAME_AT, this.#name, 0);
      if (this.#waits(thread)) yield COPY_OUT;
      err = this.#respond(thread, argument, NAME_ARGUMENT.size, userBytes);
    }
    sessions.leave(thread.task);
    return err;
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

/** A session ioctl whose argument was copied in. */
interface SessionCall {
  readonly thread: Thread;
  readonly session: SessionHandle;
  readonly argument: UserMemory;
  readonly userBytes: number;
}

const tokenOf = ({ argument }: Thread): Token => ({
  low: argument[TOKEN_AT] as number,
  high: argument[TOKEN_AT + 1] as number,
});
