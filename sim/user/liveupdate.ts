/*
 * /dev/liveupdate and session descriptors: open, ioctl, close, as luo_core.c and luo_session.c answer them.
 *
 *   ioctl           number range -EINVAL | size unreadable -EFAULT | whole number -ENOTTY | session of the other
 *                   direction -EINVAL (since the direction check) | size too small -EINVAL | copy in -EFAULT, -E2BIG |
 *                   wait for a reboot under way (session ioctls, since serialize_rwsem) | execute
 *   create, retrieve   descriptor first (-EMFILE), then the session, then the answer (-EFAULT drops the new file),
 *                   fd_install last
 */
import { ERRNO } from '../base/errno.ts';
import type { Layout } from '../base/layout.ts';
import type { Op } from '../base/point.ts';
import type { System } from '../boot/boot.ts';
import { DIRECTION_CHECK, FINISH_RESERVED, GET_NAME } from '../kernel/patches.ts';
import type { FileHandle } from '../kernel/vfs.ts';
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

type Direction = 'incoming' | 'outgoing' | 'both';

interface Command {
  readonly number: number;
  readonly layout: Layout<string>;
  /** Sessions it is for, since there is a check of that. @kernel luo_ioctl_type_valid */
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

export class LiveUpdateDevice {
  readonly #system: System;
  readonly #kind: number;
  readonly #sessionCommands: readonly Command[];
  /** Registered at late init, only where live update is still on. @kernel liveupdate_ioctl_init */
  readonly present: boolean;

  constructor(system: System) {
    this.#system = system;
    this.present = system.luo.enabled;
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

  /** A descriptor, or -ENOENT, -EMFILE, -ENFILE, -ENOMEM, -EBUSY, -EIO. @kernel luo_open */
  *open({ task, process }: Thread): Op<number> {
    const { kernel, vfs, luo } = this.#system;
    kernel.enterSyscall();
    if (!this.present) return -ERRNO.ENOENT;
    const fd = process.reserveFd();
    if (fd < 0) return fd;
    const file = vfs.allocFile(task, this.#kind, 0);
    if (file < 0) {
      process.returnFd(fd);
      return file;
    }
    let err = luo.tryOpen();
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
  ioctl(thread: Thread, fd: number, number: number, argument: UserMemory): Op<number> | number {
    const { kernel, vfs, luo } = this.#system;
    kernel.enterSyscall();
    const file = thread.process.file(fd);
    if (file < 0) return file;
    const isSession = luo.sessions.isSessionFile(file as FileHandle);
    if (!isSession && vfs.kind(file as FileHandle) !== this.#kind) return -ERRNO.ENOTTY;
    const commands = isSession ? this.#sessionCommands : DEVICE_COMMANDS;
    const index = (number & 0xff) - (isSession ? SESSION_BASE : 0);
    const command = commands[index];
    if (command === undefined) return -ERRNO.EINVAL;
    const userBytes = argument.size();
    if (userBytes < 0) return -ERRNO.EFAULT;
    if (command.number !== number) return -ERRNO.ENOTTY;
    if (isSession && !this.#isFor(command, file as FileHandle)) return -ERRNO.EINVAL;
    if (userBytes < command.layout.size) return -ERRNO.EINVAL;
    const err = copyStructIn(thread.argument, command.layout.size, argument, userBytes);
    if (err !== 0) return err;
    if (!isSession) return this.#sessionFd(thread, number, argument, userBytes);
    const session = vfs.privateData(file as FileHandle) as SessionHandle;
    return this.#sessionCommand(thread, number, session, argument, userBytes);
  }

  #isFor({ direction }: Command, file: FileHandle): boolean {
    const { kernel, vfs, luo } = this.#system;
    if (direction === 'both' || !kernel.has(DIRECTION_CHECK)) return true;
    const retrieved = luo.sessions.table.retrieved(vfs.privateData(file) as SessionHandle);
    return retrieved === (direction === 'incoming');
  }

  /** @kernel luo_ioctl_create_session, luo_ioctl_retrieve_session */
  *#sessionFd(thread: Thread, number: number, argument: UserMemory, userBytes: number): Op<number> {
    const { luo } = this.#system;
    const { task, process } = thread;
    const fd = process.reserveFd();
    if (fd < 0) return fd;
    const file =
      number === LIVEUPDATE_IOCTL_CREATE_SESSION
        ? yield* luo.sessions.create(task, thread.argument, NAME_AT)
        : yield* luo.sessions.retrieve(task, thread.argument, NAME_AT);
    if (file < 0) {
      process.returnFd(fd);
      return file;
    }
    thread.argument[FD_AT] = fd;
    const err = respond(argument, thread.argument, SESSION_ARGUMENT.size, userBytes);
    if (err !== 0) {
      process.returnFd(fd);
      thread.dropped.push(file as FileHandle);
      return err;
    }
    process.install(fd, file as FileHandle);
    return 0;
  }

  /** @kernel luo_session_ioctl */
  *#sessionCommand(
    thread: Thread,
    number: number,
    session: SessionHandle,
    argument: UserMemory,
    userBytes: number,
  ): Op<number> {
    const { sessions } = this.#system.luo;
    yield* sessions.enter(thread.task);
    let err: number;
    if (number === LIVEUPDATE_SESSION_FINISH) err = yield* this.#finish(thread, session, argument, userBytes);
    else if (number === LIVEUPDATE_SESSION_GET_NAME)
      err = this.#getName(thread, session, argument, userBytes);
    else err = this.#withoutFiles(thread, number);
    sessions.leave(thread.task);
    return err;
  }

  /** @kernel luo_session_finish */
  *#finish(thread: Thread, session: SessionHandle, argument: UserMemory, userBytes: number): Op<number> {
    const { kernel, luo } = this.#system;
    if (kernel.has(FINISH_RESERVED) && thread.argument[RESERVED_AT] !== 0) return -ERRNO.EINVAL;
    const err = yield* luo.sessions.finish(thread.task, session);
    return err !== 0 ? err : respond(argument, thread.argument, FINISH_ARGUMENT.size, userBytes);
  }

  /** @kernel luo_session_get_name */
  #getName(thread: Thread, session: SessionHandle, argument: UserMemory, userBytes: number): number {
    if (thread.argument[RESERVED_AT] !== 0) return -ERRNO.EINVAL;
    this.#system.luo.sessions.table.loadName(session, thread.argument, NAME_AT);
    return respond(argument, thread.argument, NAME_ARGUMENT.size, userBytes);
  }

  /** Files are not modelled yet: no handler takes a descriptor, and no session holds one. */
  #withoutFiles({ process, argument }: Thread, number: number): number {
    if (number !== LIVEUPDATE_SESSION_PRESERVE_FD) return -ERRNO.ENOENT;
    const file = process.file(argument[FD_AT] as number);
    return file < 0 ? file : -ERRNO.ENOENT;
  }
}
