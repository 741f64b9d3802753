/*
 * ioctls on a session, as luo_session.c answers them, once the argument is copied in (liveupdate.ts). Each waits for a
 * reboot under way first (since serialize_rwsem); where the page of its answer has to be waited for, with the locks of
 * its operation.
 */
import { type Answer, after, giveWay } from '../base/answer.ts';
import { ERRNO } from '../base/errno.ts';
import type { Op } from '../base/point.ts';
import type { System } from '../boot/boot.ts';
import { FINISH_RESERVED, RETRIEVE_FD_GUARD } from '../kernel/patches.ts';
import type { FileHandle } from '../kernel/vfs.ts';
import type { Token } from '../luo/file.ts';
import { retrieveFile } from '../luo/file_incoming.ts';
import { copyName, NAME_WORDS } from '../luo/name.ts';
import type { LuoSessions } from '../luo/session.ts';
import type { SessionHandle } from '../luo/session_table.ts';
import type { Scheduler } from '../sched/scheduler.ts';
import type { Thread } from './process.ts';
import { answer, COPY_OUT, type UserMemory, waitsForPage } from './uaccess.ts';
import {
  FD_ARGUMENT,
  FINISH_ARGUMENT,
  LIVEUPDATE_SESSION_FINISH,
  LIVEUPDATE_SESSION_PRESERVE_FD,
  LIVEUPDATE_SESSION_RETRIEVE_FD,
  NAME_ARGUMENT,
} from './uapi.ts';

const FD_AT = FD_ARGUMENT.at.fd / 4;
const TOKEN_AT = FD_ARGUMENT.at.token / 4;
const RESERVED_AT = FINISH_ARGUMENT.at.reserved / 4;
const NAME_AT = NAME_ARGUMENT.at.name / 4;

export class SessionIoctls {
  readonly #system: System;
  readonly #sched: Scheduler;
  readonly #luo: LuoSessions;
  readonly #checksReserved: boolean;
  readonly #name = new Int32Array(NAME_WORDS);

  constructor(system: System) {
    this.#system = system;
    this.#sched = system.kernel.sched;
    this.#luo = system.luo.sessions;
    this.#checksReserved = system.kernel.has(FINISH_RESERVED);
  }

  /** Each waits for a reboot under way first. @kernel luo_session_ioctl */
  command(thread: Thread, number: number, session: SessionHandle, argument: UserMemory): Answer {
    if (number === LIVEUPDATE_SESSION_FINISH) return this.#finish(thread, session, argument);
    const call = { thread, session, argument };
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
  *#preserveFd({ thread, session, argument }: SessionCall): Op<number> {
    const { kernel, luo } = this.#system;
    const { sessions, files } = luo;
    const { task } = thread;
    const { mutex } = sessions.table;
    const fd = thread.argument.get(FD_AT);
    const token = tokenOf(thread);
    if (!sessions.tryEnter(task)) yield* sessions.waitEnter(task);
    if (!mutex.tryLock(task, session)) yield* mutex.wait(task, session);
    let err = yield* files.preserve(task, session, token, fd, thread);
    if (err === 0) {
      if (waitsForPage(thread, this.#sched)) yield COPY_OUT;
      err = answer(thread, argument, FD_ARGUMENT.size);
      if (err !== 0) {
        kernel.printk('luo_session: The file was successfully preserved, but response to user failed');
      }
    }
    mutex.unlock(task, session);
    sessions.leave(task);
    return err;
  }

  /** @kernel luo_session_retrieve_fd */
  *#retrieveFd({ thread, session, argument }: SessionCall): Op<number> {
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
        thread.argument.set(FD_AT, fd);
        if (waitsForPage(thread, this.#sched)) yield COPY_OUT;
        result = answer(thread, argument, FD_ARGUMENT.size);
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
  #finish(thread: Thread, session: SessionHandle, argument: UserMemory): Answer {
    const sessions = this.#luo;
    const { task } = thread;
    if (sessions.tryEnter(task)) return this.#finishEntered(thread, session, argument);
    return after(sessions.waitEnter(task), this, this.#finishEntered, thread, session, argument);
  }

  #finishEntered(thread: Thread, session: SessionHandle, argument: UserMemory): Answer {
    const refused = this.#checksReserved && thread.argument.get(RESERVED_AT) !== 0;
    const err = refused ? -ERRNO.EINVAL : this.#luo.finish(thread.task, session);
    if (typeof err === 'number') return this.#finished(thread, argument, err);
    return after(err, this, this.#finished, thread, argument);
  }

  #finished(thread: Thread, argument: UserMemory, err: number): Answer {
    if (err === 0 && waitsForPage(thread, this.#sched)) {
      return after(giveWay(COPY_OUT), this, this.#finishLeft, thread, err, argument);
    }
    return this.#finishLeft(thread, err, argument);
  }

  #finishLeft(thread: Thread, finished: number, argument: UserMemory): number {
    const err = finished === 0 ? answer(thread, argument, FINISH_ARGUMENT.size) : finished;
    this.#luo.leave(thread.task);
    return err;
  }

  /** @kernel luo_session_get_name */
  *#getName({ thread, session, argument }: SessionCall): Op<number> {
    const sessions = this.#luo;
    if (!sessions.tryEnter(thread.task)) yield* sessions.waitEnter(thread.task);
    let err: number = -ERRNO.EINVAL;
    if (thread.argument.get(RESERVED_AT) === 0) {
      sessions.table.loadName(session, this.#name, 0);
      copyName(thread.argument.words, NAME_AT, this.#name, 0);
      if (waitsForPage(thread, this.#sched)) yield COPY_OUT;
      err = answer(thread, argument, NAME_ARGUMENT.size);
    }
    sessions.leave(thread.task);
    return err;
  }
}

/** A session ioctl whose argument was copied in. */
interface SessionCall {
  readonly thread: Thread;
  readonly session: SessionHandle;
  readonly argument: UserMemory;
}

const tokenOf = ({ argument }: Thread): Token => ({
  low: argument.get(TOKEN_AT),
  high: argument.get(TOKEN_AT + 1),
});
