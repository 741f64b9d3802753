/*
 * The two-stage tests of tools/testing/selftests/liveupdate (luo_test_utils.c): stage 1 preserves and leaves by kexec,
 * stage 2 runs in the next kernel. Which stage it is a session of its own says, with a memfd that holds the number of
 * the next; the device is closed before the jump, and descriptors are kept by a daemon.
 */
import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../sim/base/errno.ts';
import { REVISIONS, type Revision } from '../../sim/kernel/revisions.ts';
import type { BootParams } from '../../sim/machine/machine.ts';
import { Caller } from '../support/caller.ts';
import { bootOn, jump, MIB, machineFor } from '../support/system.ts';

interface SelfTest {
  readonly state: string;
  readonly token: number;
  readonly stage1: (user: Caller) => void;
  readonly stage2: (user: Caller) => void;
}

/** A memfd of one page, written through a mapping. */
function pageOf(user: Caller, text: string): number {
  const fd = user.memfd();
  expect(user.truncate(fd, 4096)).toBe(0);
  expect(user.store(fd, 0, `${text}\0`)).toBe(0);
  return fd;
}

const textOf = (user: Caller, fd: number): string => String(user.read(fd, 64)).replace(/\0.*$/s, '');

function preserve(user: Caller, session: number, token: number, text: string): void {
  expect(user.preserve(session, pageOf(user, text), token)).toBe(0);
}

function verify(user: Caller, session: number, token: number, text: string): void {
  const fd = user.retrieveFd(session, token);
  expect(fd).toBeGreaterThanOrEqual(0);
  expect(textOf(user, fd)).toBe(text);
  user.close(fd);
}

function finish(user: Caller, session: number): void {
  expect(user.finish(session)).toBe(0);
  expect(user.close(session)).toBe(0);
}

const numbers = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

const TESTS: Record<string, SelfTest> = {
  luo_kexec_simple: {
    state: 'kexec_simple_state',
    token: 999,
    stage1: (user) => preserve(user, user.create('test-session'), 0x1a, 'hello kexec world'),
    stage2: (user) => {
      const session = user.retrieve('test-session');
      verify(user, session, 0x1a, 'hello kexec world');
      finish(user, session);
    },
  },
  luo_multi_session: {
    state: 'kexec_multi_state',
    token: 998,
    stage1: (user) => {
      for (const name of ['multi-test-empty-1', 'multi-test-empty-2']) user.create(name);
      preserve(user, user.create('multi-test-files-1'), 0x1001, 'data-for-1001');
      const two = user.create('multi-test-files-2');
      preserve(user, two, 0x2002, 'data-for-2002');
      preserve(user, two, 0x3003, 'data-for-3003');
    },
    stage2: (user) => {
      for (const name of ['multi-test-empty-1', 'multi-test-empty-2']) finish(user, user.retrieve(name));
      const one = user.retrieve('multi-test-files-1');
      verify(user, one, 0x1001, 'data-for-1001');
      const two = user.retrieve('multi-test-files-2');
      verify(user, two, 0x2002, 'data-for-2002');
      verify(user, two, 0x3003, 'data-for-3003');
      finish(user, one);
      finish(user, two);
    },
  },
  luo_stress_sessions: {
    state: 'kexec_many_state',
    token: 999,
    stage1: (user) => {
      for (const i of numbers(2000)) expect([i, user.create(`many-test-${i}`) >= 0]).toEqual([i, true]);
    },
    stage2: (user) => {
      for (const i of numbers(2000)) finish(user, user.retrieve(`many-test-${i}`));
    },
  },
  luo_stress_files: {
    state: 'kexec_many_files_state',
    token: 9999,
    stage1: (user) => {
      const session = user.create('many_files_session');
      for (const i of numbers(500)) {
        expect([i, user.preserve(session, pageOf(user, `file-data-${i}`), i)]).toEqual([i, 0]);
      }
    },
    stage2: (user) => {
      const session = user.retrieve('many_files_session');
      for (const i of numbers(500)) verify(user, session, i, `file-data-${i}`);
      finish(user, session);
    },
  },
};

/** What stage 1 of a test cannot do on a revision; undefined where all goes well. */
function refusal(test: string, { parts }: Revision): number[] | undefined {
  // With the state session there is one session more than the loop counts.
  if (test === 'luo_stress_sessions' && parts.sessionStore === 'array-16') return [818];
  if (test === 'luo_stress_files' && parts.fileStore === 'array-2') return [128, -ERRNO.ENOSPC];
  return undefined;
}

describe.each(REVISIONS.map((revision) => [revision.name, revision] as const))('on %s', (_name, revision) => {
  it.each(Object.entries(TESTS))('%s', (name, { state, token, stage1, stage2 }) => {
    const machine = machineFor({ ramBytes: 64 * MIB });
    const user = new Caller(bootOn(machine, { revision }));
    user.open();
    expect(user.retrieve(state)).toBe(-ERRNO.ENOENT);
    preserve(user, user.create(state), token, '2');
    const refused = refusal(name, revision);
    if (refused !== undefined) {
      expect(() => stage1(user)).toThrow(new RegExp(`${refused[0]}`));
      return;
    }
    stage1(user);
    user.close(user.fd);
    const params = jump(user.system) as BootParams;
    const next = new Caller(bootOn(machine, { revision, generation: 1, params }));
    next.open();
    const session = next.retrieve(state);
    verify(next, session, token, '2');
    stage2(next);
    finish(next, session);
    const { luo, files, kernel } = next.system;
    expect([luo.sessions.incoming.count, luo.files.table.slab.live, files.shmem.cache.folios]).toEqual([
      0, 0, 0,
    ]);
    expect(kernel.log.lines.filter(({ text }) => text.startsWith('WARNING'))).toEqual([]);
  });
});
