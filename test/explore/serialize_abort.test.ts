/*
 * A reboot that fails while sessions are serialized, on every revision. What an attempt that fails at session k leaves:
 *
 *   fixed arrays, april-v1   nothing: names of the sessions before k are zeroed, session k had written nothing, no count
 *                            was touched
 *   v7.3                     nothing but the counts of the blocks, which stand at the slots that were reserved, that of
 *                            session k among them; nobody can see them, sessions_pa is 0
 *
 * So the attempt that succeeds writes what it would have written as the first one, to the byte: also where sessions came
 * and went in between. What is behind the last entry can differ in one case only: v6.19 serialized all and then failed
 * to finalize, which undoes nothing.
 */
import { fc, test } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import { settle } from '../../sim/base/answer.ts';
import type { Fault } from '../../sim/base/decisions.ts';
import { ERRNO } from '../../sim/base/errno.ts';
import { bytesOf } from '../../sim/base/units.ts';
import type { System } from '../../sim/boot/boot.ts';
import { handoverDifference } from '../../sim/check/bijection.ts';
import type { Difference } from '../../sim/check/difference.ts';
import { shapeOf } from '../../sim/check/store_shape.ts';
import { REVISIONS, type Revision, revisionByName, V6_19, V7_3 } from '../../sim/kernel/revisions.ts';
import type { BootParams } from '../../sim/machine/machine.ts';
import { Caller } from '../support/caller.ts';
import { handoverOf, leave, sessionName } from '../support/handovers.ts';
import { bootOn, inTask, machineFor } from '../support/system.ts';

const FREEZE = 'luo_session_freeze_one:freeze';

/** What a person does: a number creates that many sessions, 'close' closes the last, 'fail' reboots and is refused. */
type Step = number | 'close' | { readonly fail: number };

interface Done {
  readonly system: System;
  /** Names of the sessions that are there in the end. */
  readonly names: readonly string[];
}

/** Takes the steps; those that fail are left out of it unless `failing`. */
function done(
  revision: Revision,
  steps: readonly Step[],
  failing: boolean,
  more: readonly Fault[] = [],
): Done {
  const faults = failing ? faultsOf(steps) : [];
  const system = bootOn(machineFor({ faults: [...faults, ...more] }), { revision });
  const caller = new Caller(system);
  caller.open();
  expect(system.kexec.fileLoad()).toBe(0);
  const open: [string, number][] = [];
  let next = 0;
  for (const step of steps) {
    if (typeof step === 'number') {
      for (let n = 0; n < step; n++) {
        const name = sessionName(next++);
        const fd = caller.create(name);
        if (fd < 0) throw new Error(`create answered ${fd}`);
        open.push([name, fd]);
      }
    } else if (step === 'close') {
      const last = open.pop();
      if (last !== undefined) caller.close(last[1]);
    } else if (failing && step.fail < open.length) {
      expect(reboot(system)).toBe(-ERRNO.EIO);
    }
  }
  return { system, names: open.map(([name]) => name) };
}

function reboot({ kernel, kexec }: System): number {
  const result = inTask({ kernel } as System, (task) => kexec.reboot(task));
  expect(kernel.state).toBe('running');
  return result;
}

/** Which of all the sessions that are frozen is the one that fails. */
function faultsOf(steps: readonly Step[]): Fault[] {
  const faults: Fault[] = [];
  let open = 0;
  let frozen = 0;
  for (const step of steps) {
    if (typeof step === 'number') open += step;
    else if (step === 'close') open = Math.max(open - 1, 0);
    else if (step.fail < open) {
      faults.push({ point: FREEZE, nth: frozen + step.fail });
      frozen += step.fail + 1;
    }
  }
  return faults;
}

/** What differs between a run with failed attempts and one without, both at the jump. */
function differenceOf(failed: Done, clean: Done): Difference | undefined {
  leave(failed.system);
  leave(clean.system);
  return handoverDifference(handoverOf(clean.system), handoverOf(failed.system));
}

/** The next kernel finds all of it, in order. */
function expectHandedOver({ system, names }: Done): void {
  const { kernel, kexec } = system;
  const params: BootParams = kernel.machine.jump(kexec.plan());
  kernel.leave();
  const next = bootOn(kernel.machine, { revision: kernel.revision, generation: 1, params });
  const caller = new Caller(next);
  expect(caller.open()).toBeGreaterThanOrEqual(0);
  const { table, incoming } = next.luo.sessions;
  const found: string[] = [];
  for (let s = incoming.head; s !== 0; s = table.next(s)) found.push(table.name(s));
  expect(found).toEqual(names);
  expect(names.every((name) => caller.retrieve(name) >= 0)).toBe(true);
  kernel.machine.dispose();
}

/** Bytes of all blocks of the store, in order. */
function storeBytes({ kernel, luo }: System): Buffer {
  const { ram } = kernel.machine;
  const blocks = luo.sessions.store
    .regions()
    .map(({ address, order }) => ram.loadBytes(address, bytesOf(order)));
  return Buffer.concat(blocks);
}

const NAMES = REVISIONS.map(({ name }) => name);
const named = (name: string): Revision => revisionByName(name) as Revision;

describe.each(NAMES)('%s', (name) => {
  const revision = named(name);

  it('undoes an attempt that fails at any session; the next writes what the first would have written', () => {
    const clean = done(revision, [4], false);
    leave(clean.system);
    for (let k = 0; k < 4; k++) {
      const failed = done(revision, [4], false, [{ point: FREEZE, nth: k }]);
      const before = storeBytes(failed.system);
      expect(reboot(failed.system)).toBe(-ERRNO.EIO);
      const after = storeBytes(failed.system);
      if (revision.parts.sessionStore === 'block-set-1') {
        const { countAt } = shapeOf('block-set-1');
        expect(after.readUInt32LE(countAt)).toBe(k + 1);
        after.writeUInt32LE(0, countAt);
      }
      expect(after.equals(before)).toBe(true);
      leave(failed.system);
      expect(handoverDifference(handoverOf(clean.system), handoverOf(failed.system))).toBeUndefined();
      if (k === 3) expectHandedOver(failed);
      else failed.system.kernel.machine.dispose();
    }
  });
});

describe('an attempt that succeeds', () => {
  const step = fc.oneof(
    fc.integer({ min: 1, max: 4 }),
    fc.constantFrom<Step>('close'),
    fc.record({ fail: fc.integer({ min: 0, max: 7 }) }),
  );
  test.prop([fc.constantFrom(...NAMES), fc.array(step, { minLength: 2, maxLength: 10 })], { numRuns: 15 })(
    'writes the same, however often it failed before and whatever came and went',
    (name, steps) => {
      const failed = done(named(name), steps, true);
      expect(differenceOf(failed, done(named(name), steps, false))).toBeUndefined();
      expectHandedOver(failed);
    },
  );
});

describe('at the edges of blocks', () => {
  it.each([0, 50, 51, 52])('v7.3 leaves only counts when session %i of 53 fails', (k) => {
    const failed = done(V7_3, [53], false, [{ point: FREEZE, nth: k }]);
    const before = storeBytes(failed.system);
    expect(reboot(failed.system)).toBe(-ERRNO.EIO);
    const after = storeBytes(failed.system);
    const { countAt } = shapeOf('block-set-1');
    const counts = [countAt, 4096 + countAt].map((at) => after.readUInt32LE(at));
    expect(counts).toEqual([Math.min(k + 1, 51), Math.max(k + 1 - 51, 0)]);
    for (const at of [countAt, 4096 + countAt]) after.writeUInt32LE(0, at);
    expect(after.equals(before)).toBe(true);
    expect(differenceOf(failed, done(V7_3, [53], false))).toBeUndefined();
  });

  // The counts of the attempt that failed stood in a block that is not there any more, or is filled less.
  it.each([
    [[53, { fail: 52 }, 'close', 'close'] as Step[]],
    [[53, { fail: 51 }, 'close'] as Step[]],
    [[52, { fail: 51 }, 'close', { fail: 50 }, 3] as Step[]],
  ])('v7.3 writes the same after %j', (steps) => {
    const failed = done(V7_3, steps, true);
    expect(differenceOf(failed, done(V7_3, steps, false))).toBeUndefined();
    expectHandedOver(failed);
  });
});

describe('v6.19, where finalize fails after all is serialized', () => {
  const faults: Fault[] = [{ point: 'new_chunk:chunk', nth: 0 }];

  it('undoes nothing, and writes the same again', () => {
    const failed = done(V6_19, [5], false, faults);
    expect(reboot(failed.system)).toBe(-ERRNO.EAGAIN);
    expect(storeBytes(failed.system).readUInt32LE(0)).toBe(5);
    expect(differenceOf(failed, done(V6_19, [5], false))).toBeUndefined();
    expectHandedOver(failed);
  });

  it('leaves the name of a session that closed behind the last entry, and nothing else', () => {
    const failed = done(V6_19, [5], false, faults);
    expect(reboot(failed.system)).toBe(-ERRNO.EAGAIN);
    const { system } = failed;
    inTask(system, function* (task) {
      yield* settle(system.luo.sessions.release(task, system.luo.sessions.outgoing.tail));
    });
    const difference = differenceOf(failed, done(V6_19, [5, 'close'], false));
    expect(difference).toEqual({
      path: 'session-block[0]',
      field: `byte ${8 + 4 * 80}`,
      one: '0x00',
      other: '0x73',
    });
    const { memory } = handoverOf(system);
    const [block] = system.luo.sessions.store.regions();
    memory.storeBytes((block?.address ?? 0) + 8 + 4 * 80, new Uint8Array(64));
    const clean = done(V6_19, [5, 'close'], false);
    leave(clean.system);
    expect(handoverDifference(handoverOf(clean.system), handoverOf(system))).toBeUndefined();
  });
});
