/*
 * Cases of the errno runs in the kernel that preserves, by the text of their row: what the program that ran on real
 * kernels did, and what is answered here. State carries over from case to case.
 */

import { F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_WRITE } from '../../sim/files/shmem_inode.ts';
import { O_PATH, O_RDONLY } from '../../sim/kernel/vfs.ts';
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  MFD_ALLOW_SEALING,
  MFD_HUGETLB,
  MFD_NOEXEC_SEAL,
} from '../../sim/user/syscalls.ts';
import { UserMemory } from '../../sim/user/uaccess.ts';
import {
  LIVEUPDATE_IOCTL_CREATE_SESSION,
  LIVEUPDATE_SESSION_GET_NAME,
  LIVEUPDATE_SESSION_PRESERVE_FD,
  LIVEUPDATE_SESSION_RETRIEVE_FD,
  NAME_ARGUMENT,
  SESSION_ARGUMENT,
} from '../../sim/user/uapi.ts';
import { fdArgument, sessionArgument } from '../support/caller.ts';
import type { Guest } from './guest.ts';

export type Case = (guest: Guest) => number;

const CREATE = LIVEUPDATE_IOCTL_CREATE_SESSION;
const TOKEN_MAX = 2n ** 64n - 1n;

/** An argument of `size` bytes as the caller says, its tail filled. */
function sized(size: number, name: string, tail = 0): UserMemory {
  const argument = new UserMemory(Math.max(size, SESSION_ARGUMENT.size));
  argument.words.set(sessionArgument(name).words);
  argument.words[0] = size;
  if (tail !== 0) argument.words[argument.words.length - 1] = tail;
  return argument;
}

function unreadable(): UserMemory {
  const argument = sessionArgument('never');
  argument.readable = 0;
  argument.writable = 0;
  return argument;
}

const short = (bytes: number, fd: number): UserMemory => {
  const argument = fdArgument(fd, 99);
  argument.words[0] = bytes;
  return argument;
};

const getName = (reserved: number, size = NAME_ARGUMENT.size): UserMemory => {
  const argument = new UserMemory(NAME_ARGUMENT.size);
  argument.words[0] = size;
  argument.words[1] = reserved;
  return argument;
};

const DEVICE: Record<string, Case> = {
  'open /dev/liveupdate': ({ user }) => user.open(),
  'open /dev/liveupdate second time (same process)': (guest) => guest.openAgain(),
  'open /dev/liveupdate second time O_RDONLY': (guest) => guest.openAgain(),
  'open second time (child process)': (guest) => guest.other().open(),
  'dup of /dev/liveupdate fd then ioctl via dup': (guest) => {
    const { user } = guest;
    const dup = user.call((thread) => user.sys.dup(thread, user.fd));
    guest.fds.dup = dup;
    return user.ioctl(dup, CREATE, sessionArgument('via dup'));
  },
  'reopen while a dup is still open': (guest) => {
    guest.user.close(guest.user.fd);
    return guest.openAgain();
  },
  'reopen after all closed': ({ user, fds }) => {
    user.close(fds.dup as number);
    return user.open();
  },
  'read() on /dev/liveupdate': ({ user }) => user.readResult(user.fd),
  'write() on /dev/liveupdate': ({ user }) => user.write(user.fd, 'x'),
  'mmap /dev/liveupdate': ({ user }) => user.store(user.fd, 0, 'x'),
  'ioctl nr 0x02 on device': ({ user }) => user.ioctl(user.fd, 0xba02, sessionArgument('x')),
  'ioctl nr 0x3f on device': ({ user }) => user.ioctl(user.fd, 0xba3f, sessionArgument('x')),
  'ioctl nr 0x40 (session op) on device': ({ user }) => user.ioctl(user.fd, 0xba40, sessionArgument('x')),
  'ioctl wrong magic 0xBB nr 0': ({ user }) => user.ioctl(user.fd, 0xbb00, sessionArgument('x')),
  'ioctl _IOWR(0xBA,0)': ({ user }) => user.ioctl(user.fd, 0xc048ba00 | 0, sessionArgument('x')),
};

const CREATION: Record<string, Case> = {
  'create: empty name': ({ user }) => user.create(''),
  'create: 64 non-NUL bytes': ({ user }) => user.create('n'.repeat(64)),
  'create: 63 bytes + NUL': (guest) => guest.create('n'.repeat(63)),
  "create: first 'alpha'": (guest) => guest.create('alpha'),
  "create: duplicate name 'alpha'": ({ user }) => user.create('alpha'),
  "create: 'Alpha' (case differs)": (guest) => guest.create('Alpha'),
  "create: 'alpha ' (trailing space)": (guest) => guest.create('alpha '),
  "create: name with garbage after NUL ('alpha\\0zzz')": ({ user }) => user.create('alpha\0zzz'),
  "create: name '.'": (guest) => guest.create('.'),
  "create: name 'a/b'": (guest) => guest.create('a/b'),
  'create: name newline': (guest) => guest.create('\n'),
  'create: name 0xFF bytes': (guest) => guest.create('\xff\xff'),
  'create: utf-8 name': (guest) => guest.create('\xc3\xa4\xc3\xb6'),
  'create: name of a closed session again': ({ user }) => {
    user.close(user.create('closed'));
    return user.create('closed');
  },
  'create: size larger than struct, zero tail': ({ user }) =>
    user.ioctl(user.fd, CREATE, sized(80, 'larger')),
  'create: size larger than struct, non-zero tail': ({ user }) =>
    user.ioctl(user.fd, CREATE, sized(80, 'tail', 1)),
  'create: size 71 (one short)': ({ user }) => user.ioctl(user.fd, CREATE, sized(71, 'short')),
  'create: size 0': ({ user }) => user.ioctl(user.fd, CREATE, sized(0, 'none')),
  'create: size 16384 zero tail': ({ user }) => user.ioctl(user.fd, CREATE, sized(16384, 'huge')),
  'create: NULL argument': ({ user }) => user.ioctl(user.fd, CREATE, unreadable()),
  'create: bad pointer': ({ user }) => user.ioctl(user.fd, CREATE, unreadable()),
  'create: argument read-only (response faults)': ({ user }) => {
    const argument = sessionArgument('read-only');
    argument.writable = 0;
    return user.ioctl(user.fd, CREATE, argument);
  },
  'create: same name after the response fault': (guest) => guest.create('read-only'),
  'retrieve: name of an outgoing session': ({ user }) => user.retrieve('alpha'),
  'retrieve: unknown name (first boot)': ({ user }) => user.retrieve('nobody'),
  'retrieve: empty name': ({ user }) => user.retrieve(''),
  'retrieve: 64 non-NUL bytes': ({ user }) => user.retrieve('n'.repeat(64)),
  'create: fd table full (RLIMIT_NOFILE)': (guest) =>
    guest.withoutDescriptors(() => guest.user.create('full')),
  'create: same name after EMFILE': (guest) => guest.create('full'),
  "create: 'beta'": (guest) => guest.create('beta'),
  "create: 'gamma' (preserve then close session => unpreserve)": (guest) => guest.create('gamma'),
  'create gamma again': (guest) => guest.create('gamma'),
  // The device was closed some rows before, and the session is there after the update: it was opened again.
  'create after kexec_file_load': (guest) => {
    guest.user.open();
    return guest.create('after-load');
  },
};

const SESSION: Record<string, Case> = {
  'session: ioctl nr 0x00 on session fd': ({ user, fds }) =>
    user.ioctl(fds.alpha as number, CREATE, sessionArgument('x')),
  'session: ioctl nr 0x44 on session fd': ({ user, fds }) =>
    user.ioctl(fds.alpha as number, 0xba44, getName(0)),
  'session: ioctl nr 0x3f on session fd': ({ user, fds }) =>
    user.ioctl(fds.alpha as number, 0xba3f, getName(0)),
  'session: wrong magic 0xBB nr 0x40': ({ user, fds }) =>
    user.ioctl(fds.alpha as number, 0xbb40, fdArgument(0, 1)),
  'preserve: size 15': ({ user, fds }) =>
    user.ioctl(fds.alpha as number, LIVEUPDATE_SESSION_PRESERVE_FD, short(15, 0)),
  'preserve: size 8': ({ user, fds }) =>
    user.ioctl(fds.alpha as number, LIVEUPDATE_SESSION_PRESERVE_FD, short(8, 0)),
  'preserve: NULL': ({ user, fds }) =>
    user.ioctl(fds.alpha as number, LIVEUPDATE_SESSION_PRESERVE_FD, unreadable()),
  'session: finish on an outgoing session': ({ user, fds }) => user.finish(fds.alpha as number),
  'session: retrieve_fd on an outgoing session': ({ user, fds }) =>
    user.ioctl(fds.alpha as number, LIVEUPDATE_SESSION_RETRIEVE_FD, fdArgument(-1, 1)),
  'session: get_name': ({ user, fds }) =>
    user.ioctl(fds.alpha as number, LIVEUPDATE_SESSION_GET_NAME, getName(0)),
  'session: get_name reserved=1': ({ user, fds }) =>
    user.ioctl(fds.alpha as number, LIVEUPDATE_SESSION_GET_NAME, getName(1)),
  'session: get_name size 8': ({ user, fds }) =>
    user.ioctl(fds.alpha as number, LIVEUPDATE_SESSION_GET_NAME, getName(0, 8)),
  'session: read()': ({ user, fds }) => user.readResult(fds.alpha as number),
  'session: write()': ({ user, fds }) => user.write(fds.alpha as number, 'x'),
  'close(gamma)': ({ user, fds }) => user.close(fds.gamma as number),
  'close /dev/liveupdate (sessions stay)': ({ user }) => user.close(user.fd),
  'reboot(KEXEC) with no image loaded': (guest) => guest.reboot(),
  kexec_file_load: ({ user }) => user.system.kexec.fileLoad(),
};

/** A descriptor of a kind that is opened for the case, preserved in alpha. */
const kind = (name: Parameters<Guest['openKind']>[0], token: number): Case => {
  return (guest) => guest.user.preserve(guest.fds.alpha as number, guest.openKind(name), token);
};

const PRESERVATION: Record<string, Case> = {
  'preserve: memfd token 1': (guest) => {
    const fd = guest.user.memfd('hello live update', MFD_ALLOW_SEALING);
    guest.fds.hello = fd;
    return guest.user.preserve(guest.fds.alpha as number, fd, 1);
  },
  'preserve: same token, other memfd': (guest) => {
    guest.fds.second = guest.user.memfd('second');
    return guest.user.preserve(guest.fds.alpha as number, guest.fds.second, 1);
  },
  'preserve: same token, same fd': ({ user, fds }) =>
    user.preserve(fds.alpha as number, fds.hello as number, 1),
  'preserve: same fd, other token': ({ user, fds }) =>
    user.preserve(fds.alpha as number, fds.hello as number, 2),
  'preserve: dup of same fd, other token': ({ user, fds }) => {
    const dup = user.call((thread) => user.sys.dup(thread, fds.hello as number));
    return user.preserve(fds.alpha as number, dup, 2);
  },
  'preserve: same memfd re-opened through /proc, other token': ({ user, fds }) => {
    const again = user.call((thread) => user.sys.reopen(thread, fds.hello as number, 2));
    return user.preserve(fds.alpha as number, again, 2);
  },
  'preserve: same fd in another session': ({ user, fds }) =>
    user.preserve(fds.beta as number, fds.hello as number, 2),
  'preserve: other memfd, token 1 in another session': ({ user, fds }) =>
    user.preserve(fds.beta as number, fds.second as number, 1),
  'preserve: fd -1': ({ user, fds }) => user.preserve(fds.alpha as number, -1, 3),
  'preserve: fd 9999': ({ user, fds }) => user.preserve(fds.alpha as number, 9999, 3),
  'preserve: bad fd with used token': ({ user, fds }) => user.preserve(fds.alpha as number, 9999, 1),
  'preserve: token 0': ({ user, fds }) => user.preserve(fds.alpha as number, user.memfd('t0'), 0),
  'preserve: token 2^64-1': ({ user, fds }) =>
    user.preserve(fds.alpha as number, user.memfd('tm'), TOKEN_MAX),
  'preserve: pipe': kind('pipe', 10),
  'preserve: eventfd': kind('eventfd', 11),
  'preserve: epoll': kind('epoll', 12),
  'preserve: timerfd': kind('timerfd', 13),
  'preserve: /dev/null': kind('/dev/null', 14),
  'preserve: /dev/zero': kind('/dev/zero', 15),
  'preserve: /dev/liveupdate fd itself': ({ user, fds }) => user.preserve(fds.alpha as number, user.fd, 16),
  'preserve: own session fd': ({ user, fds }) => user.preserve(fds.alpha as number, fds.alpha as number, 17),
  'preserve: other session fd': ({ user, fds }) => user.preserve(fds.alpha as number, fds.beta as number, 18),
  'preserve: rootfs regular file': kind('rootfs file', 19),
  'preserve: tmpfs regular file (linked)': kind('tmpfs file', 20),
  'preserve: tmpfs file, unlinked': (guest) => {
    const fd = guest.openKind('unlinked tmpfs file');
    guest.user.write(fd, 'zz');
    return guest.user.preserve(guest.fds.alpha as number, fd, 21);
  },
  'preserve: tmpfs O_TMPFILE': kind('O_TMPFILE', 22),
  'preserve: directory': kind('directory', 23),
  'preserve: O_PATH memfd': ({ user, fds }) => {
    const path = user.call((thread) => user.sys.reopen(thread, fds.second as number, O_PATH));
    return user.preserve(fds.alpha as number, path, 24);
  },
  'preserve: hugetlb memfd': ({ user, fds }) =>
    user.preserve(fds.alpha as number, user.memfd('', MFD_HUGETLB), 25),
  'preserve: empty memfd': ({ user, fds }) => user.preserve(fds.alpha as number, user.memfd(), 30),
  'preserve: sparse 1 MiB memfd': ({ user, fds }) => {
    const fd = user.memfd();
    user.truncate(fd, 2 ** 20);
    return user.preserve(fds.alpha as number, fd, 31);
  },
  'preserve: memfd with F_SEAL_SEAL|SHRINK|GROW|WRITE': ({ user, fds }) => {
    const fd = user.memfd('seal', MFD_ALLOW_SEALING);
    user.seal(fd, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    return user.preserve(fds.alpha as number, fd, 32);
  },
  'preserve: memfd MFD_NOEXEC_SEAL': ({ user, fds }) =>
    user.preserve(fds.alpha as number, user.memfd('exec', MFD_NOEXEC_SEAL), 33),
  'preserve: read-only fd of memfd': ({ user, fds }) => {
    const fd = user.memfd('ro');
    const readOnly = user.call((thread) => user.sys.reopen(thread, fd, O_RDONLY));
    return user.preserve(fds.alpha as number, readOnly, 34);
  },
  'preserve in gamma': (guest) => {
    guest.fds.gone = guest.user.memfd('gone');
    return guest.user.preserve(guest.fds.gamma as number, guest.fds.gone, 1);
  },
  'preserve the same memfd again after close': ({ user, fds }) =>
    user.preserve(fds.gamma as number, fds.gone as number, 1),
  'preserve after the device was closed': ({ user, fds }) =>
    user.preserve(fds.alpha as number, user.memfd('late'), 40),
  'preserve after failed reboot(KEXEC)': ({ user, fds }) =>
    user.preserve(fds.alpha as number, user.memfd('later'), 41),
};

const AFTER: Record<string, Case> = {
  'after preserve: pwrite inside size': ({ user, fds }) => user.pwrite(fds.hello as number, 0, 'H'),
  'after preserve: pwrite past end': ({ user, fds }) => user.pwrite(fds.hello as number, 17, 'x'),
  'after preserve: ftruncate grow': ({ user, fds }) => user.truncate(fds.hello as number, 8192),
  'after preserve: ftruncate shrink': ({ user, fds }) => user.truncate(fds.hello as number, 1),
  'after preserve: fallocate': ({ user, fds }) => user.allocate(fds.hello as number, 0, 8192),
  'after preserve: punch hole': ({ user, fds }) =>
    user.allocate(fds.hello as number, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096),
  'after preserve: add seal': ({ user, fds }) => user.seal(fds.hello as number, F_SEAL_SHRINK),
  'after preserve: mmap+store inside page': ({ user, fds }) => user.store(fds.hello as number, 1, 'E'),
  'memfd closed by user after preserve; LUO keeps its own reference': ({ user, fds }) => {
    user.call((thread) => user.sys.lseek(thread, fds.hello as number, 5, 0));
    return user.close(fds.hello as number);
  },
  'ftruncate after unpreserve of another cycle': ({ user, fds }) => user.truncate(fds.gone as number, 8192),
};

export const STAGE_1: Record<string, Case> = {
  ...DEVICE,
  ...CREATION,
  ...SESSION,
  ...PRESERVATION,
  ...AFTER,
};
