/*
 * Sessions where something fails: a serialization at any session, a deserialization at any allocation, a file that
 * cannot be had. On every revision: what is undone, what is remembered, what a second attempt finds.
 */
import { describe, expect, it } from 'vitest';
import { settle } from '../../sim/base/answer.ts';
import { Decisions } from '../../sim/base/decisions.ts';
import { ERRNO } from '../../sim/base/errno.ts';
import { definePoint, pointName } from '../../sim/base/point.ts';
import { type Phys, pfnOf } from '../../sim/base/units.ts';
import { readPublishedLuo, readPublishedRoot } from '../../sim/check/chain.ts';
import { REVISIONS, type Revision } from '../../sim/kernel/revisions.ts';
import type { FileHandle } from '../../sim/kernel/vfs.ts';
import { LUO_FILE_SET_SER, LUO_SESSION_SER } from '../../sim/luo/abi.ts';
import { nameText } from '../../sim/luo/name.ts';
import type { BootParams } from '../../sim/machine/machine.ts';
import { dropFile } from '../../sim/user/process.ts';
import { Caller } from '../support/caller.ts';
import { bootOn, inTask, jump, machineFor, type TestMachine } from '../support/system.ts';

/** Over the edge of a one-page block. */
const SESSIONS = 53;
const INSIDE = definePoint('session_test', 'inside');
const NAMES = Array.from({ length: SESSIONS }, (_, i) => `s${i}`);

function callerOn(revision: Revision, test: TestMachine = {}): Caller {
  const user = new Caller(bootOn(machineFor(test), { revision }));
  expect(user.open()).toBeGreaterThan(0);
  return user;
}

/** The caller in the next kernel, its device not opened yet. */
function updated({ system }: Caller, change: (params: BootParams) => void = () => {}): Caller {
  const params = jump(system);
  if (typeof params === 'number') expect.fail(`reboot answered ${params}`);
  change(params);
  const { machine, revision } = system.kernel;
  return new Caller(bootOn(machine, { revision, generation: 1, params }));
}

/** Fails the allocation or the freeze that comes then. */
function arm({ system }: Caller, point: string, nth: number): void {
  system.kernel.machine.decisions = Decisions.seeded('', [{ point, nth }]);
}

/** Names in the slots of the outgoing store, as they lie in memory. */
function slotNames({ system }: Caller, count: number): string[] {
  const { store } = system.luo.sessions;
  const { ram } = system.kernel.machine;
  const words = new Int32Array(LUO_SESSION_SER.size / 4);
  store.begin();
  return Array.from({ length: count }, () => {
    ram.loadWords(store.nextSlot(), words, 0, words.length);
    return nameText(words, LUO_SESSION_SER.at.name / 4);
  });
}

const ALL = REVISIONS.map((revision) => [revision.name, revision] as const);

describe.each(ALL)('%s: a serialization that fails', (_name, revision) => {
  it.each([0, 1, 50, 51, 52])('at session %i is undone, and every session can be changed', (nth) => {
    const user = callerOn(revision);
    const fds = NAMES.map((name) => user.create(name));
    const { kernel, kexec, luo } = user.system;
    const { outgoing } = luo.sessions;
    expect(kexec.fileLoad()).toBe(0);
    arm(user, 'luo_session_freeze_one:freeze', nth);
    expect(inTask(user.system, (task) => kexec.reboot(task))).toBe(-ERRNO.EIO);
    expect(kernel.state).toBe('running');
    // Whoever read the store now would find nobody.
    expect(slotNames(user, SESSIONS)).toEqual(NAMES.map(() => ''));
    const root = readPublishedRoot(user.system);
    const published = typeof root === 'string' ? root : readPublishedLuo(user.system, root);
    if (typeof published === 'string') expect.fail(published);
    if (revision.parts.luoRoot === 'luo_ser') expect(published.sessionHeader).toBe(0);
    // No lock is left behind: of the list, of the reboot, of any session.
    for (const [i, fd] of fds.entries()) if (i % 2 === 1) expect(user.close(fd)).toBe(0);
    expect(user.create('new')).toBeGreaterThan(0);
    expect(outgoing.count).toBe(28);
    const next = updated(user);
    expect(next.open()).toBeGreaterThan(0);
    const wanted = [...NAMES.filter((_, i) => i % 2 === 0), 'new'];
    for (const name of wanted) expect([name, next.retrieve(name) > 0]).toEqual([name, true]);
    expect(next.system.luo.sessions.incoming.count).toBe(wanted.length);
  });
});

describe.each(ALL)('%s: a deserialization that fails', (name, revision) => {
  const remembers = ['v7.1', 'v7.3'].includes(name);
  const frees = name === 'v7.3';

  it('for want of memory leaves what it had, and what later opens get depends', () => {
    const user = callerOn(revision);
    for (const each of NAMES) user.create(each);
    const next = updated(user);
    const { kernel, luo } = next.system;
    const mark = kernel.machine.mark();
    const head = pfnOf(luo.sessions.incomingHead as Phys);
    expect(kernel.buddy.useOf(head)).toBe('reserved');
    // The second page of sessions.
    arm(next, 'kmem_cache_alloc:pages', 3);
    expect(next.open()).toBe(-ERRNO.EIO);
    expect(kernel.log.has('during deserialization -ENOMEM')).toBe(true);
    const there = luo.sessions.incoming.count;
    expect(there).toBeGreaterThan(0);
    expect(there).toBeLessThan(SESSIONS);
    expect(luo.sessions.table.slab.live).toBe(there);
    expect(luo.sessions.incomingHead === 0).toBe(frees);
    expect(kernel.buddy.useOf(head)).toBe(frees ? 'free' : 'reserved');
    expect(next.open() > 0).toBe(!remembers);
    expect(luo.sessions.incoming.count).toBe(there);
    // Back before it: all of it was undone, the memory of an error, too.
    kernel.machine.rollback(mark);
    kernel.machine.decisions = Decisions.none();
    expect(next.open()).toBeGreaterThan(0);
    expect(luo.sessions.incoming.count).toBe(SESSIONS);
  });

  it('for a name that is there twice is what every later open gets', () => {
    const user = callerOn(revision);
    for (const each of ['a', 'b', 'c']) user.create(each);
    const { store } = user.system.luo.sessions;
    store.begin();
    const slots = [0, 1, 2].map(() => store.nextSlot());
    const next = updated(user, ({ ram }) => {
      ram.storeBytes(slots[1] as number, ram.loadBytes(slots[0] as number, LUO_SESSION_SER.size));
    });
    const { sessions } = next.system.luo;
    for (let attempt = 0; attempt < 3; attempt++) expect(next.open()).toBe(-ERRNO.EIO);
    expect(next.system.kernel.log.has('luo_session: Failed to insert session [a] -EEXIST')).toBe(true);
    expect([sessions.incoming.count, sessions.table.slab.live]).toEqual([1, 1]);
    expect(next.system.kernel.log.lines.filter(({ text }) => text.includes('Failed to insert'))).toHaveLength(
      1,
    );
  });
});

it.each(ALL)(
  '%s: names of every length cross, and are told from those that end otherwise',
  (_name, revision) => {
    const user = callerOn(revision);
    const lengths = Array.from({ length: 63 }, (_, i) => i + 1);
    const names = lengths.flatMap((n) => [`${'x'.repeat(n - 1)}a`, `${'x'.repeat(n - 1)}b`]);
    for (const name of names) expect([name, user.create(name) > 0]).toEqual([name, true]);
    for (const name of names) expect([name, user.create(name)]).toEqual([name, -ERRNO.EEXIST]);
    const next = updated(user);
    expect(next.open()).toBeGreaterThan(0);
    const { incoming, table } = next.system.luo.sessions;
    for (const name of names) expect([name, next.retrieve(name) > 0]).toEqual([name, true]);
    const listed: string[] = [];
    for (let session = incoming.head; listed.length < incoming.count; session = table.next(session)) {
      listed.push(table.name(session));
    }
    expect(listed).toEqual(names);
  },
);

it.each(ALL)('%s: a close that waits for a reboot which fails closes', (_name, revision) => {
  for (const isRetrieved of [false, true]) {
    let user = callerOn(revision);
    let fd = user.create('s');
    if (isRetrieved) {
      user = updated(user);
      user.open();
      fd = user.retrieve('s');
    }
    user.create('t');
    const { system, process } = user;
    const { sched, log, machine } = system.kernel;
    const mark = machine.mark();
    let waited = 0;
    for (let seed = 0; seed < 8; seed++) {
      machine.decisions = Decisions.seeded(`${seed}`, [{ point: 'luo_session_freeze_one:freeze', nth: 0 }]);
      expect(system.kexec.fileLoad()).toBe(0);
      // While somebody is inside the hook waits, and whoever comes later waits behind it.
      sched.spawn('inside', function* (task) {
        expect(system.luo.sessions.tryEnter(task)).toBe(true);
        for (let i = 0; i < 6; i++) yield INSIDE;
        system.luo.sessions.leave(task);
      });
      const reboot = sched.spawn('reboot', (task) => system.kexec.reboot(task));
      const close = sched.spawn('close', function* (task) {
        return yield* settle(dropFile(system, task, process.detach(fd) as FileHandle));
      });
      sched.run();
      expect([reboot.result, close.result, close.held, log.warnings]).toEqual([-ERRNO.EIO, 0, [], 0]);
      const { incoming, outgoing } = system.luo.sessions;
      expect([incoming.count, outgoing.count]).toEqual([0, 1]);
      if (close.point !== undefined && pointName(close.point) === 'down_read:wait') waited++;
      machine.rollback(mark);
    }
    expect(waited > 0).toBe(system.luo.sessions.serializeRwsem !== undefined);
  }
});

it.each(ALL)('%s: files that are counted and not there are warned of', (_name, revision) => {
  const user = callerOn(revision);
  user.create('a');
  const { store } = user.system.luo.sessions;
  store.begin();
  const count = store.nextSlot() + LUO_SESSION_SER.at.file_set_ser + LUO_FILE_SET_SER.at.count;
  const next = updated(user, ({ ram }) => ram.store64(count, 1));
  expect(next.open()).toBeGreaterThan(0);
  expect(next.system.kernel.log.warnings).toBe(1);
  expect(next.retrieve('a')).toBeGreaterThan(0);
});

describe.each(ALL)('%s: a session without a file', (_name, revision) => {
  it('is none: creating is undone, retrieving can be tried again', () => {
    const user = callerOn(revision);
    user.create('kept');
    const { outgoing, table } = user.system.luo.sessions;
    const before = [outgoing.count, table.slab.live, user.system.kernel.buddy.nrFree, user.process.open];
    for (let attempt = 0; attempt < 2; attempt++) {
      arm(user, 'alloc_file:filp', 0);
      expect(user.create('new')).toBe(-ERRNO.ENOMEM);
      expect([outgoing.count, table.slab.live, user.system.kernel.buddy.nrFree, user.process.open]).toEqual(
        before,
      );
    }
    const next = updated(user);
    next.open();
    const { incoming } = next.system.luo.sessions;
    arm(next, 'alloc_file:filp', 0);
    expect(next.retrieve('kept')).toBe(-ERRNO.ENOMEM);
    expect(incoming.count).toBe(1);
    const fd = next.retrieve('kept');
    expect(fd).toBe(next.fd + 1);
    expect(next.close(fd)).toBe(0);
    expect(incoming.count).toBe(0);
  });
});
