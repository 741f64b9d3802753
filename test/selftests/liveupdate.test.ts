/*
 * tools/testing/selftests/liveupdate/liveupdate.c, fixture liveupdate_device: its tests under their names, on every
 * revision, with the outcome that they have there. A test that asks for what a revision has not got fails on it as the
 * real one would; that is said in the table.
 */
import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../sim/base/errno.ts';
import { REVISIONS, type Revision } from '../../sim/kernel/revisions.ts';
import { UserMemory } from '../../sim/user/uaccess.ts';
import { LIVEUPDATE_SESSION_GET_NAME, NAME_ARGUMENT } from '../../sim/user/uapi.ts';
import { Caller } from '../support/caller.ts';
import { bootOn, MIB, machineFor } from '../support/system.ts';

/** The first expectation that does not hold, as errno; undefined where the test passes. */
type SelfTest = (user: Caller) => string | undefined;

const want = (what: string, got: unknown, expected: unknown): string | undefined =>
  Object.is(got, expected) ? undefined : `${what}: ${String(got)} instead of ${String(expected)}`;
const isFd = (what: string, fd: number): string | undefined => (fd >= 0 ? undefined : `${what}: ${fd}`);

function nameOf(user: Caller, session: number): string | number {
  const argument = new UserMemory(NAME_ARGUMENT.size);
  argument.words[0] = NAME_ARGUMENT.size;
  const result = user.ioctl(session, LIVEUPDATE_SESSION_GET_NAME, argument);
  if (result !== 0) return result;
  const bytes = new Uint8Array(argument.words.buffer, NAME_ARGUMENT.at.name);
  return String.fromCharCode(...bytes.subarray(0, bytes.indexOf(0)));
}

const TESTS: Record<string, SelfTest> = {
  basic_open_close: (user) => isFd('open', user.open()) ?? want('close', user.close(user.fd), 0),
  exclusive_open: (user) =>
    isFd('open', user.open()) ?? want('open', new Caller(user.system).open(), -ERRNO.EBUSY),
  create_duplicate_session: (user) => {
    user.open();
    const first = user.create('duplicate-session-test');
    return (
      isFd('create', first) ??
      want('create', user.create('duplicate-session-test'), -ERRNO.EEXIST) ??
      want('close', user.close(first), 0)
    );
  },
  create_distinct_sessions: (user) => {
    user.open();
    const fds = [1, 2].map((i) => user.create(`distinct-session-${i}`));
    return fds.map((fd) => isFd('create', fd) ?? want('close', user.close(fd), 0)).find((wrong) => wrong);
  },
  preserve_memfd: (user) => {
    user.open();
    const session = user.create('preserve-memfd-test');
    const fd = user.memfd('hello liveupdate');
    return (
      want('preserve', user.preserve(session, fd, 0x1234), 0) ??
      want('close', user.close(session), 0) ??
      want('read', user.read(fd), 'hello liveupdate')
    );
  },
  preserve_multiple_memfds: (user) => {
    user.open();
    const session = user.create('preserve-multi-fd-test');
    const fds = ['data for fd1', 'data for fd2'].map((text) => user.memfd(text));
    return (
      want('preserve', user.preserve(session, fds[0] as number, 0xaaaa), 0) ??
      want('preserve', user.preserve(session, fds[1] as number, 0xbbbb), 0) ??
      want('read', user.read(fds[0] as number), 'data for fd1') ??
      want('read', user.read(fds[1] as number), 'data for fd2')
    );
  },
  preserve_complex_scenario: (user) => {
    user.open();
    const sessions = ['complex-session-1', 'complex-session-2'].map((name) => user.create(name));
    const fds = ['data for file1', '', 'data for file3', ''].map((text) => user.memfd(text));
    const preserved = fds.map((fd, i) => user.preserve(sessions[i >> 1] as number, fd, 0x1111 * (i + 1)));
    return (
      want('preserve', preserved.join(), '0,0,0,0') ??
      want('read', fds.map((fd) => user.read(fd)).join('|'), 'data for file1||data for file3|')
    );
  },
  preserve_unsupported_fd: (user) => {
    user.open();
    const session = user.create('unsupported-fd-test');
    const fd = user.call((thread) => user.sys.open(thread, '/dev/null'));
    return want('preserve', user.preserve(session, fd, 0xdead), -ERRNO.ENOENT);
  },
  prevent_double_preservation: (user) => {
    user.open();
    const sessions = ['double-preserve-session-1', 'double-preserve-session-2'].map((name) =>
      user.create(name),
    );
    const fd = user.memfd('double preserve');
    return (
      want('preserve', user.preserve(sessions[0] as number, fd, 0x1111), 0) ??
      want('other session', user.preserve(sessions[1] as number, fd, 0x2222), -ERRNO.EBUSY) ??
      want('same session', user.preserve(sessions[0] as number, fd, 0x3333), -ERRNO.EBUSY)
    );
  },
  create_session_no_null_termination: (user) => {
    user.open();
    return want('create', user.create('X'.repeat(64)), -ERRNO.EINVAL);
  },
  create_session_empty_name: (user) => {
    user.open();
    return want('create', user.create(''), -ERRNO.EINVAL);
  },
  get_session_name: (user) => {
    user.open();
    return want('name', nameOf(user, user.create('get-name-test-session')), 'get-name-test-session');
  },
  get_session_name_max_length: (user) => {
    user.open();
    return want('name', nameOf(user, user.create('A'.repeat(63))), 'A'.repeat(63));
  },
  preserve_many_sessions: (user) => {
    user.open();
    const fds: number[] = [];
    for (let i = 0; i < 2000; i++) {
      const fd = user.create(`many-session-${i}`);
      if (fd < 0) return `create ${i}: ${fd}`;
      fds.push(fd);
    }
    return fds.map((fd) => want('close', user.close(fd), 0)).find((wrong) => wrong);
  },
  preserve_many_files: (user) => {
    user.open();
    const session = user.create('many-files-test');
    const fds: number[] = [];
    for (let i = 0; i < 500; i++) {
      const fd = user.memfd();
      const result = user.preserve(session, fd, i);
      if (result !== 0) return `preserve ${i}: ${result}`;
      fds.push(fd);
    }
    for (const fd of fds) user.close(fd);
    return want('close', user.close(session), 0);
  },
};

const CHECKED = new Set(['v7.1', 'v7.3']);

/** Why a test fails on a revision; undefined where it passes. */
function failure(test: string, { name, parts }: Revision): string | RegExp | undefined {
  const { EBUSY, EINVAL, ENOMEM, ENOSPC } = ERRNO;
  switch (test) {
    case 'prevent_double_preservation':
      return name === 'v6.19' ? `other session: 0 instead of ${-EBUSY}` : undefined;
    case 'create_session_no_null_termination':
    case 'create_session_empty_name':
      return CHECKED.has(name) ? undefined : /^create: \d+ instead of -22$/;
    case 'get_session_name':
    case 'get_session_name_max_length':
      return name === 'v7.3' ? undefined : new RegExp(`^name: ${-EINVAL} instead`);
    case 'preserve_many_sessions':
      return parts.sessionStore === 'array-16' ? `create 819: ${-ENOMEM}` : undefined;
    case 'preserve_many_files':
      return parts.fileStore === 'array-2' ? `preserve 128: ${-ENOSPC}` : undefined;
    default:
      return undefined;
  }
}

describe.each(REVISIONS.map((revision) => [revision.name, revision] as const))('on %s', (_name, revision) => {
  it.each(Object.entries(TESTS))('%s', (name, test) => {
    const user = new Caller(bootOn(machineFor({ ramBytes: 64 * MIB }), { revision }));
    const result = test(user);
    const expected = failure(name, revision);
    if (expected instanceof RegExp) expect(result).toMatch(expected);
    else expect(result).toBe(expected);
    expect(user.system.kernel.log.lines.filter(({ text }) => text.startsWith('WARNING'))).toEqual([]);
  });
});
