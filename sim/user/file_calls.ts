/*
 * The calls behind the file verbs of a program: one for every name of an action.
 *
 *   memfd        memfd_create, and ftruncate where a size is wanted (which an agent does in one breath)
 *   fill         a store at every multiple of a distance, through a mapping
 *   preserve     PRESERVE_FD with the descriptor of the name; the token counts up with the names
 */
import type { Answer } from '../base/answer.ts';
import { ERRNO } from '../base/errno.ts';
import { PAGE_SIZE } from '../base/limits.ts';
import type { Op } from '../base/point.ts';
import { orderOf } from '../base/units.ts';
import type { Column } from '../machine/column.ts';
import { patternContents } from './contents.ts';
import type { LiveUpdateDevice } from './liveupdate.ts';
import type { Thread } from './process.ts';
import { type FileAction, tokenAt, type U64 } from './program.ts';
import { MAX_RW_COUNT, MFD_ALLOW_SEALING, SEEK_SET, type Syscalls } from './syscalls.ts';
import { UserMemory } from './uaccess.ts';
import { FD_ARGUMENT, LIVEUPDATE_SESSION_PRESERVE_FD, LIVEUPDATE_SESSION_RETRIEVE_FD } from './uapi.ts';

const LOW = 0xffffffffn;

type WriteAction = Extract<FileAction, { do: 'write' }>;

/** What a read(2) of a whole file is done in. */
const READ_BYTES = 65536;

/** Descriptors + 1 by id of a name. */
export interface Descriptors {
  readonly files: Column;
  readonly sessions: Column;
}

export class FileCalls {
  readonly #calls: Syscalls;
  readonly #device: LiveUpdateDevice;
  readonly #argument = new UserMemory(FD_ARGUMENT.size);

  constructor(calls: Syscalls, device: LiveUpdateDevice) {
    this.#calls = calls;
    this.#device = device;
  }

  /** The descriptor that RETRIEVE_FD answered. */
  get answeredFd(): number {
    return this.#argument.get(FD_ARGUMENT.at.fd / 4);
  }

  /** The call for the name of id `name`, which is number `i` of the action; `session`: id of its session. */
  call(
    thread: Thread,
    action: FileAction,
    { files, sessions }: Descriptors,
    name: number,
    i: number,
    session: number,
  ): Answer {
    const fd = files.get(name) - 1;
    const calls = this.#calls;
    switch (action.do) {
      case 'memfd':
        return this.#create(thread, action.bytes, orderOf(action.folios ?? PAGE_SIZE));
      case 'open-file':
        return calls.open(thread, action.kind);
      case 'write':
        return action.bytes <= MAX_RW_COUNT
          ? calls.pwrite(thread, fd, action.at, patternContents(action.seed, action.at, action.bytes))
          : this.#writeAll(thread, fd, action);
      case 'fill':
        return calls.mmapFill(thread, fd, action.every, action.seed);
      case 'truncate':
        return calls.ftruncate(thread, fd, action.bytes);
      case 'allocate':
        return calls.fallocate(thread, fd, 0, 0, action.bytes);
      case 'seek':
        return calls.lseek(thread, fd, action.at, SEEK_SET);
      case 'seal':
        return calls.addSeals(thread, fd, action.seals);
      case 'read':
        return this.#read(thread, fd);
      case 'preserve':
        return this.#session(
          thread,
          LIVEUPDATE_SESSION_PRESERVE_FD,
          sessions.get(session) - 1,
          fd,
          tokenAt(action.token, i),
        );
      case 'retrieve-fd':
        return this.#session(
          thread,
          LIVEUPDATE_SESSION_RETRIEVE_FD,
          sessions.get(session) - 1,
          -1,
          tokenAt(action.token, i),
        );
      case 'close-file':
        return calls.close(thread, fd);
    }
  }

  *#create(thread: Thread, bytes: number, folioOrder: number): Op<number> {
    const fd = this.#calls.memfdCreate(thread, MFD_ALLOW_SEALING, folioOrder);
    if (fd < 0 || bytes === 0) return fd;
    const truncating = this.#calls.ftruncate(thread, fd, bytes);
    const err = typeof truncating === 'number' ? truncating : yield* truncating;
    if (err === 0) return fd;
    const closing = this.#calls.close(thread, fd);
    if (typeof closing !== 'number') yield* closing;
    return err;
  }

  /** One pwrite(2) after the other, as long as each takes all that it can. */
  *#writeAll(thread: Thread, fd: number, { at, bytes, seed }: WriteAction): Op<number> {
    for (let done = 0; ; ) {
      const contents = patternContents(seed, at + done, bytes - done);
      const writing = this.#calls.pwrite(thread, fd, at + done, contents);
      const written = typeof writing === 'number' ? writing : yield* writing;
      if (written < 0) return done > 0 ? done : written;
      done += written;
      if (written < MAX_RW_COUNT || done === bytes) return done;
    }
  }

  /** The first bytes, as many as one read(2) gives. What stands in the whole file is the oracle's to look at. */
  #read(thread: Thread, fd: number): number {
    const read = this.#calls.pread(thread, fd, 0, READ_BYTES);
    return typeof read === 'number' ? read : read.length;
  }

  #session(thread: Thread, number: number, session: number, fd: number, token: U64): Answer {
    if (session < 0) return -ERRNO.EBADF;
    const { words } = this.#argument;
    words[0] = FD_ARGUMENT.size;
    words[FD_ARGUMENT.at.fd / 4] = fd;
    const exact = typeof token === 'number' ? token : BigInt(token);
    words[FD_ARGUMENT.at.token / 4] = Number(typeof exact === 'number' ? exact % 2 ** 32 : exact & LOW) | 0;
    words[FD_ARGUMENT.at.token / 4 + 1] =
      typeof exact === 'number' ? Math.floor(exact / 2 ** 32) : Number(exact >> 32n) | 0;
    return this.#device.ioctl(thread, session, number, this.#argument);
  }
}
