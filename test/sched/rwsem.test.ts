/* Read-write semaphores by example; the laws stand in locks.test.ts. */
import { describe, expect, test } from 'vitest';
import { definePoint, type Op } from '../../sim/base/point.ts';
import { STEP } from '../../sim/machine/cpu.ts';
import { NO_WRITER, RwSemaphore } from '../../sim/sched/rwsem.ts';
import type { Task } from '../../sim/sched/task.ts';
import { makeWorld } from './world.ts';

const INSIDE = definePoint('test_rwsem', 'inside');

/**
 * Tasks named by what they want (`r` or `w`) arrive in this order, each while the former ones hold or wait, then leave
 * one after the other. Yields who leaves, and for how many readers the semaphore is held then.
 */
function arriveThenLeave(names: string): string[] {
  const { sched } = makeWorld({
    pick: (_point, runnable) => runnable.find((task) => !arrived.has(task.id)) ?? (runnable[0] as Task),
  });
  const sem = new RwSemaphore(sched, 'sem');
  const arrived = new Set<number>();
  const log: string[] = [];
  for (const [i, name] of [...names].entries()) {
    sched.spawn(`${name}${i}`, function* (task): Op<void> {
      arrived.add(task.id);
      const writes = name === 'w';
      if (writes ? !sem.tryWrite(task) : !sem.tryRead(task))
        yield* writes ? sem.waitWrite(task) : sem.waitRead(task);
      yield INSIDE;
      log.push(`${task.name}/${sem.readers}`);
      if (writes) sem.unlockWrite(task);
      else sem.unlockRead(task);
      yield INSIDE;
    });
  }
  expect(sched.run()).toEqual({ reason: 'idle' });
  expect([sem.writer, sem.readers]).toEqual([NO_WRITER, 0]);
  return log;
}

describe('fairness', () => {
  test('readers are inside together', () => {
    expect(arriveThenLeave('rrr')).toEqual(['r0/3', 'r1/2', 'r2/1']);
  });

  test('a waiting writer holds up new readers', () => {
    expect(arriveThenLeave('rwr')).toEqual(['r0/1', 'w1/0', 'r2/1']);
  });

  test('a reader in front lets in all readers that wait, past the writer between them', () => {
    expect(arriveThenLeave('wrrwr')).toEqual(['w0/0', 'r1/3', 'r2/2', 'r4/1', 'w3/0']);
  });

  test('a writer in front goes alone, before any reader behind it', () => {
    expect(arriveThenLeave('wwrr')).toEqual(['w0/0', 'w1/0', 'r2/2', 'r3/1']);
  });
});

test('the writer waits for the reader that leaves latest by the clock', () => {
  const { sched, cpus } = makeWorld({ pick: (_point, runnable) => runnable[order.shift() ?? 0] as Task }, 3);
  const order = [0, 1, 2, 0];
  const sem = new RwSemaphore(sched, 'sem');
  const reader = (hops: number) =>
    function* (task: Task): Op<void> {
      if (!sem.tryRead(task)) yield* sem.waitRead(task);
      yield INSIDE;
      cpus.charge(STEP.hop, hops);
      sem.unlockRead(task);
    };
  sched.spawn('slow', reader(1000));
  sched.spawn('quick', reader(1));
  let entered = 0;
  const writer = sched.spawn('writer', function* (task) {
    if (!sem.tryWrite(task)) yield* sem.waitWrite(task);
    entered = cpus.current.ns;
  });
  expect(sched.run()).toEqual({ reason: 'idle' });
  expect(writer.cpu).toBe(2);
  expect(entered).toBe(1000 * (100 + STEP.hop) + 2 * (100 + STEP.lock));
});

test('misuse is reported and changes nothing', () => {
  const { sched, bugs, cpus } = makeWorld();
  const sem = new RwSemaphore(sched, 'sem');
  const { boot } = sched;
  sem.unlockRead(boot);
  sem.unlockWrite(boot);
  sem.tryWrite(boot);
  sem.unlockRead(boot);
  sem.assertHeldRead(boot);
  sem.assertHeldWrite(boot);
  sem.unlockWrite(boot);
  sem.tryRead(boot);
  sem.unlockWrite(boot);
  sem.assertHeldRead(boot);
  sem.assertHeldWrite(boot);
  const unlocked = 'unlocked by a task that does not hold it';
  const notHeld = 'not held where it must be';
  expect(bugs.map(({ kind, mode }) => [kind, mode])).toEqual([
    [unlocked, 'read'],
    [unlocked, 'write'],
    [unlocked, 'read'],
    [notHeld, 'read'],
    [unlocked, 'write'],
    [notHeld, 'write'],
  ]);
  expect(bugs[0]).toEqual({ kind: unlocked, lock: 'sem', row: 0, mode: 'read', task: boot });
  expect([sem.writer, sem.readers, boot.held]).toEqual([NO_WRITER, 1, [sem.id, 0]]);
  expect(cpus.steps[STEP.lock]).toBe(3);
});

test('nobody gives back what another holds', () => {
  const { sched, bugs } = makeWorld();
  const sem = new RwSemaphore(sched, 'sem');
  const reader = sched.spawn('reader', function* (task) {
    if (!sem.tryRead(task)) yield* sem.waitRead(task);
  });
  sched.run();
  sem.unlockRead(sched.boot);
  expect(bugs.map(({ task }) => task)).toEqual([sched.boot]);
  expect([sem.readers, sem.isReadHeldBy(reader)]).toEqual([1, true]);
});

test('a semaphore held twice for reading is free after two unlocks', () => {
  const { sched } = makeWorld();
  const sem = new RwSemaphore(sched, 'sem');
  const { boot } = sched;
  expect([sem.tryRead(boot), sem.tryRead(boot), sem.readers]).toEqual([true, true, 2]);
  sem.unlockRead(boot);
  expect([sem.isReadHeldBy(boot), sem.tryWrite(boot)]).toEqual([true, false]);
  sem.unlockRead(boot);
  expect([sem.isReadHeldBy(boot), sem.tryWrite(boot)]).toEqual([false, true]);
});

test('a lock is operated only for the task that runs, and never waited for while it is free', () => {
  const { sched } = makeWorld();
  const sem = new RwSemaphore(sched, 'sem');
  const idle = sched.spawn('a', function* () {
    yield INSIDE;
  });
  expect(() => sem.tryRead(idle)).toThrow('does not run');
  expect(() => sched.complete(sem.waitRead(sched.boot))).toThrow('free semaphore');
});

test('a wait is an event with the hash of the lock and the task', () => {
  const { sched, trace } = makeWorld();
  const sem = new RwSemaphore(sched, 'sem');
  const events: unknown[] = [];
  trace.recorder = ({ task, a, c }) => events.push([task, a === sched.locks.hash(sem.id), c]);
  sched.spawn('holder', function* (task) {
    if (!sem.tryWrite(task)) yield* sem.waitWrite(task);
  });
  sched.spawn('waiter', function* (task) {
    if (!sem.tryRead(task)) yield* sem.waitRead(task);
  });
  sched.run();
  expect(events).toEqual([[2, true, 2]]);
});
