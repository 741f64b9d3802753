/*
 * What 7.3.4 and 7.1.13 answered, row by row in the order of the recording, state carried over: the rows that need no
 * preserved file. Rows whose answer the recording keeps back are carried out, too; what they must be is written here.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { errnoName } from '../../sim/base/errno.ts';
import { REVISIONS } from '../../sim/kernel/revisions.ts';
import type { FileHandle } from '../../sim/kernel/vfs.ts';
import { nameText } from '../../sim/luo/name.ts';
import type { BootParams } from '../../sim/machine/machine.ts';
import { UserMemory } from '../../sim/user/uaccess.ts';
import { Caller, sessionArgument } from '../support/caller.ts';
import { bootOn, inTask, jumpNow, MIB, machineFor } from '../support/system.ts';
import { CREATE, FINISH, GET_NAME, PRESERVE_FD, RETRIEVE_FD } from './ioctl_model.ts';

interface Row {
  readonly stage: 1 | 2;
  readonly t?: string;
  readonly name?: string;
  readonly withheld?: boolean;
  readonly get_name?: string;
}

const rowsOf = (file: string): Row[] =>
  JSON.parse(readFileSync(new URL(`../golden/${file}`, import.meta.url), 'utf8')).rows;

/** Rows about files, and about read, write and mmap, which are not modelled for these descriptors. */
const OTHER =
  /^(preserve: (memfd|same|dup of|other memfd|bad fd|token|pipe|eventfd|epoll|timerfd|\/dev\/(null|zero)|rootfs|tmpfs|directory|O_PATH|hugetlb|empty memfd|sparse|read-only)|after (preserve|retrieve): |memfd |preserve (in gamma|the |after |a retrieved)|ftruncate |retrieve_fd: token|retrieve_fd gamma|same inode|(session: )?(read|write)\(\)|mmap |boot$|end$)/;

const Y63 = 'y'.repeat(63);

class Player {
  user: Caller;
  fds = new Map<string, number>();
  dup = -1;
  answered = '';

  constructor(user: Caller) {
    this.user = user;
  }

  /** A call with an argument of `bytes`, which says its size as `said`. */
  call(
    fd: number,
    number: number,
    bytes: number,
    said = bytes,
    fill: (m: UserMemory) => void = () => {},
  ): number {
    const argument = new UserMemory(Math.max(bytes, 72));
    argument.words[0] = said;
    fill(argument);
    const result = this.user.ioctl(fd, number, argument);
    if (number === GET_NAME.number && result === 0) this.answered = nameText(argument.words, 2);
    return result;
  }

  create(name: string, said = 72, bytes = said, fill: (m: UserMemory) => void = () => {}): number {
    const argument = new UserMemory(Math.max(bytes, 72));
    argument.words.set(sessionArgument(name).words);
    argument.words[0] = said;
    fill(argument);
    const result = this.user.ioctl(this.user.fd, CREATE.number, argument);
    if (result === 0) this.fds.set(name, argument.words[1] as number);
    return result;
  }

  retrieve(name: string): number {
    const fd = this.user.retrieve(name);
    if (fd >= 0) this.fds.set(name, fd);
    return fd;
  }

  fd(name: string): number {
    return this.fds.get(name) ?? -1;
  }

  close(name: string): number {
    const result = this.user.close(this.fd(name));
    this.fds.delete(name);
    return result;
  }

  /** dup(2) of the device. */
  duplicate(): number {
    const { process, system, fd } = this.user;
    const file = process.file(fd) as FileHandle;
    system.vfs.get(file);
    this.dup = process.reserveFd();
    process.install(this.dup, file);
    return this.dup;
  }

  /** Jumps, as a reboot(2) does that comes back to nobody. */
  reboot(): number {
    const { system } = this.user;
    const { machine, revision } = system.kernel;
    inTask(system, (task) => system.kexec.reboot(task));
    expect(system.kernel.state).toBe('rebooting');
    const params: BootParams = jumpNow(system);
    this.user = new Caller(bootOn(machine, { revision, generation: 1, params }));
    this.fds.clear();
    return 0;
  }
}

type Act = (p: Player) => number;

const unwritable = (m: UserMemory): void => {
  m.writable = 0;
};
const unmapped = (m: UserMemory): void => {
  m.readable = 0;
  m.writable = 0;
};

/** What a row does, and what it must answer where the recording does not say. */
const ROWS: Readonly<Record<string, Act | readonly [Act, string]>> = {
  'open /dev/liveupdate': (p) => p.user.open(),
  'open /dev/liveupdate second time (same process)': (p) => p.user.open(),
  'open /dev/liveupdate second time O_RDONLY': [(p) => p.user.open(), 'EBUSY'],
  'open second time (child process)': (p) => new Caller(p.user.system).open(),
  'dup of /dev/liveupdate fd then ioctl via dup': (p) =>
    p.call(p.duplicate(), CREATE.number, 72, 72, (m) => m.words.set(sessionArgument('dup').words)),
  'reopen while a dup is still open': (p) => {
    expect(p.user.close(p.user.fd)).toBe(0);
    return p.user.open();
  },
  'reopen after all closed': (p) => {
    expect(p.user.close(p.dup)).toBe(0);
    return p.user.open();
  },
  'create: empty name': (p) => p.create(''),
  'create: 64 non-NUL bytes': (p) => p.create(`${Y63}y`),
  'create: 63 bytes + NUL': [(p) => p.create(Y63), 'OK'],
  "create: first 'alpha'": (p) => p.create('alpha'),
  "create: duplicate name 'alpha'": (p) => p.create('alpha'),
  "create: 'Alpha' (case differs)": (p) => p.create('Alpha'),
  "create: 'alpha ' (trailing space)": (p) => p.create('alpha '),
  "create: name with garbage after NUL ('alpha\\0zzz')": [(p) => p.create('alpha\0zzz'), 'EEXIST'],
  "create: name '.'": (p) => p.create('.'),
  "create: name 'a/b'": (p) => p.create('a/b'),
  'create: name newline': (p) => p.create('\n'),
  'create: name 0xFF bytes': (p) => p.create('\xff\xff'),
  'create: utf-8 name': [(p) => p.create('\xc3\xa4\xc3\xb6'), 'OK'],
  'create: name of a closed session again': (p) => {
    expect(p.close('.')).toBe(0);
    return p.create('.');
  },
  'create: size larger than struct, zero tail': (p) => p.create('larger', 80),
  'create: size larger than struct, non-zero tail': (p) =>
    p.create('larger too', 80, 80, (m) => {
      m.words[19] = 1;
    }),
  'create: size 71 (one short)': (p) => p.create('short', 71),
  'create: size 0': [(p) => p.create('none', 0), 'EINVAL'],
  'create: size 16384 zero tail': (p) => p.create('large', 16384),
  'create: NULL argument': (p) => p.create('null', 72, 72, unmapped),
  'create: bad pointer': (p) => p.create('bad', 72, 72, unmapped),
  'create: argument read-only (response faults)': (p) => p.create('fault', 72, 72, unwritable),
  'create: same name after the response fault': [(p) => p.create('fault'), 'OK'],
  'ioctl nr 0x02 on device': (p) => p.call(p.user.fd, 0xba02, 72),
  'ioctl nr 0x3f on device': (p) => p.call(p.user.fd, 0xba3f, 72),
  'ioctl nr 0x40 (session op) on device': (p) => p.call(p.user.fd, PRESERVE_FD.number, 72),
  'ioctl wrong magic 0xBB nr 0': (p) => p.call(p.user.fd, 0xbb00, 72),
  'ioctl _IOWR(0xBA,0)': [(p) => p.call(p.user.fd, 0xc048ba00, 72), 'ENOTTY'],
  'retrieve: name of an outgoing session': (p) => p.retrieve('alpha'),
  'retrieve: unknown name (first boot)': (p) => p.retrieve('nobody'),
  'retrieve: empty name': (p) => p.retrieve(''),
  'retrieve: 64 non-NUL bytes': (p) => p.retrieve(`${Y63}y`),
  'create: fd table full (RLIMIT_NOFILE)': [
    (p) => {
      // No descriptor is below it.
      const process = p.user.process as { limit: number };
      const { limit } = process;
      process.limit = 3;
      const result = p.create('full');
      process.limit = limit;
      return result;
    },
    'EMFILE',
  ],
  'create: same name after EMFILE': (p) => p.create('full'),
  'session: ioctl nr 0x00 on session fd': (p) => p.call(p.fd('alpha'), CREATE.number, 72),
  'session: ioctl nr 0x44 on session fd': (p) => p.call(p.fd('alpha'), 0xba44, 72),
  'session: ioctl nr 0x3f on session fd': (p) => p.call(p.fd('alpha'), 0xba3f, 72),
  'session: wrong magic 0xBB nr 0x40': [(p) => p.call(p.fd('alpha'), 0xbb40, 72), 'ENOTTY'],
  'preserve: size 15': (p) => p.call(p.fd('alpha'), PRESERVE_FD.number, 16, 15),
  'preserve: size 8': (p) => p.call(p.fd('alpha'), PRESERVE_FD.number, 16, 8),
  'preserve: NULL': (p) => p.call(p.fd('alpha'), PRESERVE_FD.number, 16, 16, unmapped),
  'session: finish on an outgoing session': (p) => p.call(p.fd('alpha'), FINISH.number, 8),
  'session: retrieve_fd on an outgoing session': [
    (p) => p.call(p.fd('alpha'), RETRIEVE_FD.number, 16),
    'EINVAL',
  ],
  'session: get_name': (p) => p.call(p.fd('alpha'), GET_NAME.number, 72),
  'session: get_name reserved=1': (p) =>
    p.call(p.fd('alpha'), GET_NAME.number, 72, 72, (m) => {
      m.words[1] = 1;
    }),
  'session: get_name size 8': (p) => p.call(p.fd('alpha'), GET_NAME.number, 72, 8),
  "create: 'beta'": (p) => p.create('beta'),
  'preserve: fd -1': [(p) => p.call(p.fd('alpha'), PRESERVE_FD.number, 16, 16, descriptor(-1)), 'EBADF'],
  'preserve: fd 9999': (p) => p.call(p.fd('alpha'), PRESERVE_FD.number, 16, 16, descriptor(9999)),
  'preserve: /dev/liveupdate fd itself': (p) =>
    p.call(p.fd('alpha'), PRESERVE_FD.number, 16, 16, descriptor(p.user.fd)),
  'preserve: own session fd': (p) =>
    p.call(p.fd('alpha'), PRESERVE_FD.number, 16, 16, descriptor(p.fd('alpha'))),
  'preserve: other session fd': (p) =>
    p.call(p.fd('alpha'), PRESERVE_FD.number, 16, 16, descriptor(p.fd('beta'))),
  "create: 'gamma' (preserve then close session => unpreserve)": (p) => p.create('gamma'),
  'close(gamma)': (p) => p.close('gamma'),
  'create gamma again': (p) => p.create('gamma'),
  'close /dev/liveupdate (sessions stay)': [(p) => p.user.close(p.user.fd), 'OK'],
  'reboot(KEXEC) with no image loaded': (p) =>
    inTask(p.user.system, (task) => p.user.system.kexec.reboot(task)),
  kexec_file_load: (p) => p.user.system.kexec.fileLoad(),
  'create after kexec_file_load': [
    (p) => {
      expect(p.user.open()).toBeGreaterThan(0);
      return p.create('after-load');
    },
    'OK',
  ],
  'reboot(LINUX_REBOOT_CMD_KEXEC)': (p) => p.reboot(),
  "create: name that waits in the incoming list ('alpha')": (p) => p.user.create('alpha'),
  'retrieve: unknown name': (p) => p.retrieve('nobody'),
  "retrieve: 'ALPHA'": (p) => p.retrieve('ALPHA'),
  'retrieve: empty': [(p) => p.retrieve(''), 'ENOENT'],
  'retrieve: 64 non-NUL bytes whose first 63 match a session': (p) => p.retrieve(`${Y63}y`),
  'retrieve: the 63-byte name': (p) => p.retrieve(Y63),
  "retrieve: a session never closed, no files ('a/b')": (p) => p.retrieve('a/b'),
  "retrieve: 'after-load'": (p) => p.retrieve('after-load'),
  "retrieve: 'alpha'": [(p) => p.retrieve('alpha'), 'OK'],
  "retrieve: 'alpha' twice": (p) => p.user.retrieve('alpha'),
  'preserve on an incoming session': (p) =>
    p.call(p.fd('alpha'), PRESERVE_FD.number, 16, 16, descriptor(p.user.fd)),
  'retrieve_fd: unknown token': (p) => p.call(p.fd('alpha'), RETRIEVE_FD.number, 16),
  'finish: reserved=1': (p) =>
    p.call(p.fd('alpha'), FINISH.number, 8, 8, (m) => {
      m.words[1] = 1;
    }),
  'finish: size 4': (p) => p.call(p.fd('alpha'), FINISH.number, 8, 4),
  "finish: 'alpha', all retrieved": [(p) => p.user.finish(p.fd('alpha')), 'OK'],
  "finish: 'alpha' second time": (p) => p.user.finish(p.fd('alpha')),
  'retrieve_fd after finish': (p) => p.call(p.fd('alpha'), RETRIEVE_FD.number, 16),
  'retrieve session after finish, fd still open': (p) => p.user.retrieve('alpha'),
  'close(alpha)': (p) => p.close('alpha'),
  'retrieve session after finish and close': (p) => p.retrieve('alpha'),
  "retrieve: 'beta'": (p) => p.retrieve('beta'),
  "finish: 'beta' with one file not retrieved": (p) => p.user.finish(p.fd('beta')),
  'retrieve_fd after that finish': [(p) => p.call(p.fd('beta'), RETRIEVE_FD.number, 16), 'ENOENT'],
  "retrieve: 'gamma'": (p) => p.retrieve('gamma'),
  'close(gamma) without finish': (p) => p.close('gamma'),
  "retrieve: 'gamma' after close without finish": (p) => p.retrieve('gamma'),
  "create: 'gamma' as outgoing now": [(p) => p.create('gamma'), 'OK'],
};

const descriptor =
  (fd: number) =>
  (m: UserMemory): void => {
    m.words[1] = fd;
  };

describe.each([
  ['v7.3', 'k734-errno.json'],
  ['v7.1', 'k7113-errno.json'],
])('%s', (name, file) => {
  it('answers what the real kernel answered', () => {
    const revision = REVISIONS.find((known) => known.name === name);
    if (revision === undefined) expect.fail(`no revision ${name}`);
    const player = new Player(new Caller(bootOn(machineFor({ ramBytes: 64 * MIB }), { revision })));
    const answers: string[] = [];
    const recorded: string[] = [];
    for (const { t, name: answer, get_name: got } of rowsOf(file)) {
      if (got !== undefined) expect(player.answered).toBe(got);
      if (t === undefined || (OTHER.test(t) && !(t in ROWS))) continue;
      const row = ROWS[t] ?? expect.fail(`nobody knows what to do for "${t}"`);
      const [act, kept] = typeof row === 'function' ? [row, undefined] : row;
      answers.push(`${t}: ${errnoName(act(player))}`);
      recorded.push(`${t}: ${answer ?? kept ?? 'OK'}`);
    }
    expect(answers).toEqual(recorded);
    expect(answers.length).toBeGreaterThanOrEqual(Object.keys(ROWS).length - 1);
  });
});
