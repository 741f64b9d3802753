/*
 * What an ioctl on /dev/liveupdate or on a session answers, written from the description of the interface and not
 * from the simulator: the checks in their order, what they look at in the caller's bytes, what stands there afterwards.
 *
 *   1 number in the table   2 size readable   3 type, direction and size bits of the number   4 incoming or outgoing
 *   5 size large enough     6 tail readable and zero, byte by byte     7 all of the struct readable     8 the operation
 *
 * No session here has files. Numbers that the VFS answers itself (FIOCLEX and others) never get this far.
 */
import { ERRNO } from '../../sim/base/errno.ts';

export type Target = 'device' | 'incoming' | 'outgoing';

export interface Call {
  readonly target: Target;
  readonly number: number;
  /** The caller's memory from the argument pointer on. */
  readonly bytes: Uint8Array;
  /** Bytes of it that can be read, and written. */
  readonly readable: number;
  readonly writable: number;
}

/** How the interface of a revision differs from the others'. */
export interface Interface {
  readonly getName: boolean;
  readonly directionCheck: boolean;
  readonly nameCheck: boolean;
  readonly finishReserved: boolean;
}

export const INTERFACES: Readonly<Record<string, Interface>> = {
  'v6.19': { getName: false, directionCheck: false, nameCheck: false, finishReserved: false },
  'v7.0': { getName: false, directionCheck: false, nameCheck: false, finishReserved: false },
  'april-v1-p1': { getName: false, directionCheck: false, nameCheck: false, finishReserved: false },
  'april-v1': { getName: false, directionCheck: false, nameCheck: false, finishReserved: false },
  'v7.1': { getName: false, directionCheck: true, nameCheck: true, finishReserved: false },
  'v7.3': { getName: true, directionCheck: true, nameCheck: true, finishReserved: true },
};

/** The world in which a call is made. */
export interface Known {
  /** Names as they are stored, one character a byte: at most 63. */
  readonly outgoing: readonly string[];
  /** Incoming sessions: whether they were retrieved. */
  readonly incoming: ReadonlyMap<string, boolean>;
  /** Name of the session that a target's descriptor leads to. */
  readonly nameOf: Readonly<Record<'incoming' | 'outgoing', string>>;
  /** Descriptors that lead to a file. */
  readonly files: readonly number[];
  /** The lowest free descriptor. */
  readonly nextFd: number;
}

export type Effect = 'none' | 'created' | 'retrieved' | 'dropped';

export interface Answer {
  readonly result: number;
  /** The caller's memory afterwards. */
  readonly bytes: Uint8Array;
  readonly effect: Effect;
}

interface Command {
  readonly number: number;
  readonly size: number;
  readonly only?: 'incoming' | 'outgoing';
}

export const CREATE: Command = { number: 0xba00, size: 72 };
export const RETRIEVE: Command = { number: 0xba01, size: 72 };
export const PRESERVE_FD: Command = { number: 0xba40, size: 16, only: 'outgoing' };
export const RETRIEVE_FD: Command = { number: 0xba41, size: 16, only: 'incoming' };
export const FINISH: Command = { number: 0xba42, size: 8, only: 'incoming' };
export const GET_NAME: Command = { number: 0xba43, size: 72 };

const FD = 4;
const RESERVED = 4;
const NAME = 8;
const NAME_BYTES = 64;

const u32 = (bytes: Uint8Array, at: number): number => new DataView(bytes.buffer).getUint32(at, true);
const s32 = (bytes: Uint8Array, at: number): number => new DataView(bytes.buffer).getInt32(at, true);

/** The name in an argument, and whether it ends in its 64 bytes. */
function nameIn(bytes: Uint8Array): { readonly text: string; readonly ends: boolean } {
  const all = String.fromCharCode(...bytes.subarray(NAME, NAME + NAME_BYTES));
  const nul = all.indexOf('\0');
  return { text: nul === -1 ? all : all.slice(0, nul), ends: nul !== -1 };
}

export function expected(revision: Interface, known: Known, call: Call): Answer {
  const refused = (errno: number): Answer => ({ result: -errno, bytes: call.bytes, effect: 'none' });
  const { target, number, bytes, readable } = call;
  const session = [PRESERVE_FD, RETRIEVE_FD, FINISH, ...(revision.getName ? [GET_NAME] : [])];
  const table = target === 'device' ? [CREATE, RETRIEVE] : session;
  const command = table.find((each) => (each.number & 0xff) === (number & 0xff));
  if (command === undefined) return refused(ERRNO.EINVAL);
  if (readable < 4) return refused(ERRNO.EFAULT);
  if (number !== command.number) return refused(ERRNO.ENOTTY);
  if (revision.directionCheck && command.only !== undefined && command.only !== target) {
    return refused(ERRNO.EINVAL);
  }
  const size = u32(bytes, 0);
  if (size < command.size) return refused(ERRNO.EINVAL);
  for (let i = command.size; i < size; i++) {
    if (i >= readable) return refused(ERRNO.EFAULT);
    if (bytes[i] !== 0) return refused(ERRNO.E2BIG);
  }
  if (readable < command.size) return refused(ERRNO.EFAULT);
  switch (command) {
    case CREATE:
      return create(revision, known, call);
    case RETRIEVE:
      return retrieve(known, call);
    case PRESERVE_FD:
      return refused(known.files.includes(s32(bytes, FD)) ? ERRNO.ENOENT : ERRNO.EBADF);
    case RETRIEVE_FD:
      return refused(ERRNO.ENOENT);
    case FINISH:
      if (revision.finishReserved && u32(bytes, RESERVED) !== 0) return refused(ERRNO.EINVAL);
      return answer(call, bytes.slice(0, FINISH.size), 'none');
    default:
      return getName(known, call);
  }
}

function create(revision: Interface, known: Known, call: Call): Answer {
  const { text, ends } = nameIn(call.bytes);
  const refused = (errno: number): Answer => ({ result: -errno, bytes: call.bytes, effect: 'none' });
  if (revision.nameCheck && (text === '' || !ends)) return refused(ERRNO.EINVAL);
  if (known.outgoing.includes(text.slice(0, 63))) return refused(ERRNO.EEXIST);
  return answer(call, withFd(call.bytes, known.nextFd), 'created');
}

/** An answer that cannot be written drops the new file: the session is finished and gone. */
function retrieve(known: Known, call: Call): Answer {
  const { text, ends } = nameIn(call.bytes);
  const isRetrieved = ends ? known.incoming.get(text) : undefined;
  if (isRetrieved === undefined) return { result: -ERRNO.ENOENT, bytes: call.bytes, effect: 'none' };
  if (isRetrieved) return { result: -ERRNO.EINVAL, bytes: call.bytes, effect: 'none' };
  const done = answer(call, withFd(call.bytes, known.nextFd), 'retrieved');
  return done.result === 0 ? done : { ...done, effect: 'dropped' };
}

/** The name goes into the argument in pieces of 8 bytes, up to the one with its NUL. */
function getName(known: Known, call: Call): Answer {
  if (u32(call.bytes, RESERVED) !== 0) return { result: -ERRNO.EINVAL, bytes: call.bytes, effect: 'none' };
  const name = known.nameOf[call.target === 'incoming' ? 'incoming' : 'outgoing'];
  const argument = call.bytes.slice(0, GET_NAME.size);
  const length = Math.min(NAME_BYTES, (Math.floor(name.length / 8) + 1) * 8);
  for (let i = 0; i < length; i++) argument[NAME + i] = i < name.length ? name.charCodeAt(i) : 0;
  return answer(call, argument, 'none');
}

function withFd(bytes: Uint8Array, fd: number): Uint8Array {
  const argument = bytes.slice(0, CREATE.size);
  new DataView(argument.buffer).setInt32(FD, fd, true);
  return argument;
}

/** Writes as much of an answer as can be written; all of it, or -EFAULT and as if nothing had been. */
function answer(call: Call, argument: Uint8Array, effect: Effect): Answer {
  const count = Math.min(argument.length, call.writable);
  const bytes = call.bytes.slice();
  bytes.set(argument.subarray(0, count));
  if (count === argument.length) return { result: 0, bytes, effect };
  return { result: -ERRNO.EFAULT, bytes, effect: 'none' };
}
