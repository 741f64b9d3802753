import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../sim/base/errno.ts';
import type { BootParams } from '../../sim/machine/machine.ts';
import { UserMemory } from '../../sim/user/uaccess.ts';
import {
  LIVEUPDATE_IOCTL_CREATE_SESSION,
  LIVEUPDATE_IOCTL_RETRIEVE_SESSION,
  LIVEUPDATE_SESSION_FINISH,
  LIVEUPDATE_SESSION_PRESERVE_FD,
  SESSION_ARGUMENT,
} from '../../sim/user/uapi.ts';
import { Caller, sessionArgument } from '../support/caller.ts';
import { bootOn, jump, MIB, machineFor, type TestMachine } from '../support/system.ts';

const { EBUSY, EINVAL, ENOENT, EEXIST, EFAULT, E2BIG, ENOTTY, EBADF, EMFILE, ENFILE, ENOMEM, EIO } = ERRNO;

function caller(test: TestMachine = {}, limit?: number): Caller {
  const user = new Caller(bootOn(machineFor({ ramBytes: 64 * MIB, ...test })), limit);
  user.open();
  return user;
}

/** The caller's successor in the next kernel, with the device open. */
function afterUpdate(user: Caller): Caller {
  const params = jump(user.system);
  if (typeof params === 'number') expect.fail(`reboot answered ${params}`);
  const { machine, generation } = user.system.kernel;
  const next = new Caller(bootOn(machine, { generation: generation + 1, params: params as BootParams }));
  return next;
}

describe('the device', () => {
  it('is opened by one at a time', () => {
    const user = caller();
    const other = new Caller(user.system);
    expect(user.open()).toBe(-EBUSY);
    expect(other.open()).toBe(-EBUSY);
    expect(user.close(user.fd)).toBe(0);
    expect(other.open()).toBeGreaterThanOrEqual(3);
  });

  it('is not there when live update is off', () => {
    const user = new Caller(bootOn(machineFor(), { options: { liveupdate: false } }));
    expect(user.open()).toBe(-ENOENT);
  });

  it('closed, leaves sessions alone', () => {
    const user = caller();
    const fd = user.create('a');
    user.close(user.fd);
    expect(user.system.luo.sessions.outgoing.count).toBe(1);
    expect(user.finish(fd)).toBe(0);
    user.open();
    expect(user.create('a')).toBe(-EEXIST);
  });

  const create = LIVEUPDATE_IOCTL_CREATE_SESSION;
  const withSize = (size: number, bytes = size): UserMemory => {
    const argument = new UserMemory(Math.max(bytes, 4));
    argument.words[0] = size;
    argument.words[2] = 0x61;
    return argument;
  };
  const tail = (nonZero: boolean): UserMemory => {
    const argument = withSize(80);
    argument.words[18] = nonZero ? 1 : 0;
    return argument;
  };
  const unreadable = (readable: number): UserMemory => {
    const argument = sessionArgument('a');
    argument.readable = readable;
    return argument;
  };
  it.each([
    ['number behind the last', 0xba02, () => sessionArgument('a'), -EINVAL],
    ['a session number', 0xba40, () => sessionArgument('a'), -EINVAL],
    ['another type, known number', 0xbb00, () => sessionArgument('a'), -ENOTTY],
    ['a number that encodes a size', 0xc048ba00 | 0, () => sessionArgument('a'), -ENOTTY],
    ['size 0', create, () => withSize(0, 72), -EINVAL],
    ['size one short', create, () => withSize(71, 72), -EINVAL],
    ['zero tail', create, () => tail(false), 0],
    ['non-zero tail', create, () => tail(true), -E2BIG],
    ['nothing readable', create, () => unreadable(0), -EFAULT],
    ['only the size readable', create, () => unreadable(4), -EFAULT],
    ['one byte unreadable', create, () => unreadable(71), -EFAULT],
  ])('answers an ioctl with %s', (_what, number, argument, expected) => {
    const user = caller();
    expect(user.ioctl(user.fd, number, argument())).toBe(expected);
  });

  it('answers on descriptors that are not its own', () => {
    const user = caller();
    expect(user.ioctl(-1, create, sessionArgument('a'))).toBe(-EBADF);
    expect(user.ioctl(9999, create, sessionArgument('a'))).toBe(-EBADF);
    expect(user.ioctl(0, create, sessionArgument('a'))).toBe(-EBADF);
  });
});

describe('creating a session', () => {
  it('refuses a name twice, takes it again after close', () => {
    const user = caller();
    const fd = user.create('x');
    expect(user.create('x')).toBe(-EEXIST);
    expect(user.create('X')).toBeGreaterThan(0);
    expect(user.create('x ')).toBeGreaterThan(0);
    expect(user.close(fd)).toBe(0);
    expect(user.create('x')).toBe(fd);
  });

  it('checks no names on this revision: empty ones, and long ones cut to 63 bytes', () => {
    const user = caller();
    expect(user.create('')).toBeGreaterThan(0);
    expect(user.create('')).toBe(-EEXIST);
    expect(user.create('y'.repeat(64))).toBeGreaterThan(0);
    expect(user.create('y'.repeat(63))).toBe(-EEXIST);
  });

  it('whose answer cannot be written is undone', () => {
    const user = caller();
    const argument = sessionArgument('x');
    argument.writable = 0;
    const open = user.system.vfs.open;
    expect(user.ioctl(user.fd, LIVEUPDATE_IOCTL_CREATE_SESSION, argument)).toBe(-EFAULT);
    expect(user.system.vfs.open).toBe(open);
    expect(user.system.luo.sessions.outgoing.count).toBe(0);
    expect(user.create('x')).toBe(user.fd + 1);
  });

  it('stops at the descriptor limit, and that leaves nothing behind', () => {
    const user = caller({}, 8);
    for (let i = 4; i < 8; i++) expect(user.create(`s${i}`)).toBe(i);
    expect(user.create('one more')).toBe(-EMFILE);
    expect(user.system.luo.sessions.outgoing.count).toBe(4);
    user.close(5);
    expect(user.create('one more')).toBe(5);
  });

  it('is refused by file-max without CAP_SYS_ADMIN', () => {
    const user = caller();
    const { vfs } = user.system;
    user.process.capable = false;
    expect(vfs.fileMax).toBe(8192);
    for (let i = 0; vfs.open < vfs.fileMax; i++) user.create(`s${i}`);
    expect(user.create('one more')).toBe(-ENFILE);
    user.process.capable = true;
    expect(user.create('one more')).toBeGreaterThan(0);
  });

  it('undoes every step when any allocation fails, and a retry succeeds', () => {
    const points = [
      'kmem_cache_alloc:pages',
      'alloc_file:filp',
      'luo_session_insert:block',
      'kho_radix_add_page:node',
    ];
    for (const point of points) {
      // The 820th session of this test needs a block; the faults are armed from the start, so count occurrences.
      for (let nth = 0; nth < 24; nth++) {
        const user = caller({ faults: [{ point, nth }] });
        if (user.fd < 0 || !user.system.luo.enabled) continue;
        const { sessions } = user.system.luo;
        const dentries = user.system.kernel.slabs.find((slab) => slab.name === 'dentry');
        let failures = 0;
        for (let i = 0; i < 830; i++) {
          const counts = (): unknown[] => [
            sessions.outgoing.count,
            user.process.open,
            user.system.vfs.open,
            dentries?.live,
          ];
          const before = counts();
          const result = user.create(`s${i}`);
          if (result >= 0) continue;
          failures++;
          expect([point, nth, result]).toEqual([point, nth, -ENOMEM]);
          expect(counts()).toEqual(before);
          expect(user.create(`s${i}`)).toBeGreaterThan(0);
        }
        expect(failures).toBeLessThanOrEqual(1);
        expect(sessions.outgoing.count).toBe(830);
        expect(user.system.kernel.log.warnings).toBe(0);
        if (nth >= 2 && point !== 'kmem_cache_alloc:pages') break;
      }
    }
  });
});

describe('after an update', () => {
  it('sessions are there by name, once, and their names may be used again at the same time', () => {
    let user = caller();
    for (const name of ['a', 'b', 'c']) user.create(name);
    user = afterUpdate(user);
    expect(user.open()).toBeGreaterThan(0);
    expect(user.retrieve('nobody')).toBe(-ENOENT);
    expect(user.retrieve('B')).toBe(-ENOENT);
    const b = user.retrieve('b');
    expect(b).toBeGreaterThan(0);
    expect(user.retrieve('b')).toBe(-EINVAL);
    expect(user.create('b')).toBeGreaterThan(0);
    expect(user.finish(b)).toBe(0);
    expect(user.finish(b)).toBe(0);
    expect(user.retrieve('b')).toBe(-EINVAL);
    expect(user.close(b)).toBe(0);
    expect(user.retrieve('b')).toBe(-ENOENT);
    expect(user.retrieve('x'.repeat(64))).toBe(-ENOENT);
  });

  it('closing without finish finishes', () => {
    let user = caller();
    user.create('a');
    user = afterUpdate(user);
    user.open();
    user.close(user.retrieve('a'));
    expect(user.retrieve('a')).toBe(-ENOENT);
    expect(user.system.luo.sessions.incoming.count).toBe(0);
  });

  it('sessions that nobody creates again are gone one generation later', () => {
    let user = caller();
    user.create('kept');
    user.create('lost');
    user = afterUpdate(user);
    user.open();
    user.retrieve('kept');
    user.create('kept');
    user = afterUpdate(user);
    user.open();
    expect(user.retrieve('lost')).toBe(-ENOENT);
    expect(user.retrieve('kept')).toBeGreaterThan(0);
  });

  it('deserialization that runs out of memory fails the first open only: the known bug of this revision', () => {
    // 21 sessions a slab page; the fault hits the second page that the incoming list needs.
    let user = caller();
    for (let i = 0; i < 30; i++) user.create(`s${i}`);
    const params = jump(user.system) as BootParams;
    const { machine } = user.system.kernel;
    const system = bootOn(machine, { generation: 1, params });
    user = new Caller(system);
    machine.decisions = machineFor({ faults: [{ point: 'kmem_cache_alloc:pages', nth: 3 }] }).decisions;
    expect(user.open()).toBe(-EIO);
    expect(system.kernel.log.has('during deserialization -ENOMEM')).toBe(true);
    expect(user.open()).toBeGreaterThan(0);
    const there = system.luo.sessions.incoming.count;
    expect(there).toBeGreaterThan(0);
    expect(there).toBeLessThan(30);
    expect(user.retrieve('s29')).toBe(-ENOENT);
  });
});

describe('session ioctls', () => {
  it.each([
    [0xba00, -EINVAL],
    [0xba3f, -EINVAL],
    [0xba43, -EINVAL],
    [0xbb40, -ENOTTY],
  ])('answer number 0x%s with %i', (number, expected) => {
    const user = caller();
    const fd = user.create('a');
    const argument = new UserMemory(72);
    argument.words[0] = 72;
    expect(user.ioctl(fd, number, argument)).toBe(expected);
  });

  it('refuse to preserve what no handler takes', () => {
    const user = caller();
    const fd = user.create('a');
    const argument = new UserMemory(16);
    argument.words[0] = 16;
    argument.words[1] = 9999;
    expect(user.ioctl(fd, LIVEUPDATE_SESSION_PRESERVE_FD, argument)).toBe(-EBADF);
    argument.words[1] = user.fd;
    expect(user.ioctl(fd, LIVEUPDATE_SESSION_PRESERVE_FD, argument)).toBe(-ENOENT);
  });

  it('finish that cannot answer has finished all the same', () => {
    let user = caller();
    user.create('a');
    user = afterUpdate(user);
    user.open();
    const fd = user.retrieve('a');
    const argument = new UserMemory(8);
    argument.words[0] = 8;
    argument.writable = 0;
    expect(user.ioctl(fd, LIVEUPDATE_SESSION_FINISH, argument)).toBe(-EFAULT);
    expect(user.finish(fd)).toBe(0);
  });

  it('retrieve does not take the reading of the argument for granted', () => {
    const user = caller();
    const argument = sessionArgument('a');
    argument.readable = SESSION_ARGUMENT.size - 1;
    expect(user.ioctl(user.fd, LIVEUPDATE_IOCTL_RETRIEVE_SESSION, argument)).toBe(-EFAULT);
  });
});

it('descriptors are the lowest free ones, whatever is opened and closed', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(30), { nil: undefined }), { maxLength: 60 }), (steps) => {
      const user = caller();
      const open = new Map<number, string>([[user.fd, '']]);
      let n = 0;
      for (const victim of steps) {
        const fds = [...open.keys()].filter((fd) => fd !== user.fd);
        if (victim !== undefined && fds.length > 0) {
          const fd = fds[victim % fds.length] as number;
          expect(user.close(fd)).toBe(0);
          expect(user.close(fd)).toBe(-EBADF);
          open.delete(fd);
        } else {
          let lowest = 3;
          while (open.has(lowest)) lowest++;
          const name = `s${n++}`;
          expect(user.create(name)).toBe(lowest);
          open.set(lowest, name);
        }
      }
    }),
    { numRuns: 25 },
  );
});
