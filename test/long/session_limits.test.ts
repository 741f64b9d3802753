/*
 * How many sessions there can be, through the real code path: every ioctl is one, up to the limit of each design.
 *
 *   fixed array     819        -ENOMEM at the 820th, before any look at its name
 *   block set       510,000    -ENOSPC at the 510,001st: its page is allocated and preserved, then one block too many
 *   chain           8,190,000  here that it goes on behind the limit of the block set
 *
 * Whole updates at the larger limits: limits.test.ts.
 */
import { describe, expect, it, vi } from 'vitest';
import { ERRNO } from '../../sim/base/errno.ts';
import type { Op } from '../../sim/base/point.ts';
import { REVISIONS } from '../../sim/kernel/revisions.ts';
import { STEP } from '../../sim/machine/cpu.ts';
import type { BootParams } from '../../sim/machine/machine.ts';
import { NameBook } from '../../sim/user/names.ts';
import type { Thread } from '../../sim/user/process.ts';
import { LIVEUPDATE_IOCTL_CREATE_SESSION } from '../../sim/user/uapi.ts';
import { Caller, sessionArgument } from '../support/caller.ts';
import { bootOn, jump, MIB, machineFor } from '../support/system.ts';

const revisionOf = (name: string) => {
  const revision = REVISIONS.find((known) => known.name === name);
  if (revision === undefined) expect.fail(`no revision ${name}`);
  return revision;
};

function caller(name: string, ramBytes: number): Caller {
  const user = new Caller(bootOn(machineFor({ ramBytes }), { revision: revisionOf(name) }));
  expect(user.open()).toBeGreaterThan(0);
  return user;
}

/** Creates s0, s1, ... until one is refused or there are `count`: how many there are, and the errno or 0. */
function createMany(user: Caller, count: number): [number, number] {
  const names = new NameBook();
  const base = names.base({ pattern: 's%d', first: 0, count });
  const argument = sessionArgument('');
  let made = 0;
  const errno = user.call(function* (thread: Thread): Op<number> {
    for (; made < count; made++) {
      names.write(base + made, argument);
      const call = user.device.ioctl(thread, user.fd, LIVEUPDATE_IOCTL_CREATE_SESSION, argument);
      const result = typeof call === 'number' ? call : yield* call;
      if (result < 0) return result;
    }
    return 0;
  });
  return [made, errno];
}

/** What a refusal must leave as it was. */
function state({ system, process }: Caller): unknown {
  const { kernel, kho, luo, vfs } = system;
  let keys = 0;
  kho.out.tracker?.walk(() => {
    keys++;
    return 0;
  });
  const { outgoing, store, table } = luo.sessions;
  const slab = table.slab.live;
  return {
    free: kernel.buddy.nrFree,
    keys,
    count: outgoing.count,
    blocks: store.blocks,
    slab,
    open: vfs.open,
    fds: process.open,
  };
}

/** In the next kernel all sessions are there, the first and the last come back. */
function expectHandedOver(user: Caller, count: number): void {
  const params = jump(user.system);
  if (typeof params === 'number') expect.fail(`reboot answered ${params}`);
  const { machine, revision } = user.system.kernel;
  const next = new Caller(bootOn(machine, { revision, generation: 1, params: params as BootParams }));
  expect(next.open()).toBeGreaterThan(0);
  expect(next.system.luo.sessions.incoming.count).toBe(count);
  for (const name of ['s0', `s${count - 1}`]) expect(next.retrieve(name)).toBeGreaterThan(0);
  expect(next.retrieve(`s${count}`)).toBe(-ERRNO.ENOENT);
}

describe.each(['v6.19', 'v7.0', 'v7.1'])('%s', (name) => {
  it('takes 819 sessions and hands them over', () => {
    const user = caller(name, 64 * MIB);
    expect(createMany(user, 900)).toEqual([819, -ERRNO.ENOMEM]);
    const before = state(user);
    // The limit is looked at before the name.
    for (const again of ['s819', 's0', 'another']) expect(user.create(again)).toBe(-ERRNO.ENOMEM);
    expect(state(user)).toEqual(before);
    // Descriptors 0 to 2 and the device come first: this is s400.
    expect(user.close(404)).toBe(0);
    expect(user.create('s0')).toBe(-ERRNO.EEXIST);
    expect(user.create('s400')).toBe(404);
    expect(user.create('s0')).toBe(-ERRNO.ENOMEM);
    expectHandedOver(user, 819);
  });
});

describe('v7.3', () => {
  it('takes 510,000 sessions, and the block of the next one goes as it came', { timeout: 120_000 }, () => {
    const user = caller('v7.3', 1024 * MIB);
    const { kernel, kho, luo } = user.system;
    expect(createMany(user, 510_001)).toEqual([510_000, -ERRNO.ENOSPC]);
    expect(luo.sessions.store.blocks).toBe(10_000);
    const before = state(user);
    const { tracker } = kho.out;
    if (tracker === undefined) expect.fail('no tracker');
    const add = vi.spyOn(tracker, 'add');
    const del = vi.spyOn(tracker, 'del');
    const { steps } = kernel.machine.cpus;
    for (const again of ['s510000', 's0']) {
      const pages = steps[STEP.pageZeroed] as number;
      expect(user.create(again)).toBe(-ERRNO.ENOSPC);
      expect((steps[STEP.pageZeroed] as number) - pages).toBe(1);
    }
    expect(add).toHaveBeenCalledTimes(2);
    expect(del.mock.calls).toEqual(add.mock.calls);
    expect(state(user)).toEqual(before);
    // Without a page it does not come to the limit.
    kernel.machine.decisions = machineFor({
      faults: [{ point: 'luo_session_insert:block', nth: 0 }],
    }).decisions;
    expect(user.create('s510000')).toBe(-ERRNO.ENOMEM);
    expect(user.create('s510000')).toBe(-ERRNO.ENOSPC);
    expect(state(user)).toEqual(before);
    expect(user.close(404)).toBe(0);
    expect(user.create('s0')).toBe(-ERRNO.EEXIST);
    expect(user.create('s400')).toBe(404);
    expect(user.create('s510000')).toBe(-ERRNO.ENOSPC);
    expect(state(user)).toEqual(before);
    expect(kernel.log.warnings).toBe(0);
  });
});

it('april-v1 goes on where the block set ends', { timeout: 120_000 }, () => {
  const user = caller('april-v1', 1024 * MIB);
  expect(createMany(user, 510_001)).toEqual([510_001, 0]);
  expect(user.system.luo.sessions.store.blocks).toBe(Math.ceil(510_001 / 819));
});
