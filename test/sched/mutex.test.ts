/* Mutexes by example; the laws stand in locks.test.ts. */
import { expect, test } from 'vitest';
import { definePoint } from '../../sim/base/point.ts';
import { Column } from '../../sim/machine/column.ts';
import { STEP } from '../../sim/machine/cpu.ts';
import { PiecePool } from '../../sim/machine/pool.ts';
import { Mutex, MutexColumn } from '../../sim/sched/mutex.ts';
import { deepestYield } from './generator_depth.ts';
import { makeWorld } from './world.ts';

const INSIDE = definePoint('test_mutex', 'inside');

test('the holder stands in the column, 1 + task id, and a free mutex is 0', () => {
  const { sched, journal } = makeWorld();
  const column = new Column({ pool: new PiecePool(), journal }, 'session.mutex');
  const mutexes = new MutexColumn(sched, 'luo_session.mutex', column);
  const seen: number[] = [];
  expect(mutexes.tryLock(sched.boot, 1)).toBe(true);
  sched.spawn('a', function* (task) {
    if (!mutexes.tryLock(task, 8_000_000)) yield* mutexes.wait(task, 8_000_000);
    seen.push(column.get(1), column.get(8_000_000), ...task.held);
    yield INSIDE;
    mutexes.unlock(task, 8_000_000);
    seen.push(column.get(8_000_000), ...task.held);
  });
  sched.run();
  expect(seen).toEqual([1, 2, mutexes.id, 8_000_000, 0]);
  expect([mutexes.isFree(1), mutexes.isFree(2), mutexes.isHeldBy(sched.boot, 1)]).toEqual([
    false,
    true,
    true,
  ]);
  expect([sched.holders(mutexes.id, 1), sched.holders(mutexes.id, 2)]).toEqual([[sched.boot], []]);
});

test('locks may be given back in any order', () => {
  const { sched } = makeWorld();
  const mutexes = ['a', 'b', 'c'].map((name) => new Mutex(sched, name));
  const [a, b, c] = mutexes as [Mutex, Mutex, Mutex];
  for (const mutex of mutexes) mutex.tryLock(sched.boot);
  b.unlock(sched.boot);
  expect(sched.boot.held).toEqual([a.id, 0, c.id, 0]);
  a.unlock(sched.boot);
  expect(sched.boot.held).toEqual([c.id, 0]);
});

test('so may two mutexes of a column', () => {
  const { sched, journal } = makeWorld();
  const column = new Column({ pool: new PiecePool(), journal }, 'file.mutex');
  const mutexes = new MutexColumn(sched, 'luo_file.mutex', column);
  for (const row of [5, 6, 7]) mutexes.tryLock(sched.boot, row);
  mutexes.unlock(sched.boot, 5);
  expect(sched.boot.held).toEqual([mutexes.id, 6, mutexes.id, 7]);
});

test('misuse is reported and changes nothing', () => {
  const { sched, bugs, cpus } = makeWorld();
  const mutex = new Mutex(sched, 'm');
  sched.spawn('a', function* (task) {
    if (!mutex.tryLock(task)) yield* mutex.wait(task);
    mutex.assertHeld(task);
  });
  mutex.unlock(sched.boot);
  sched.run();
  mutex.unlock(sched.boot);
  mutex.assertHeld(sched.boot);
  const [, a] = sched.tasks;
  const unlocked = 'unlocked by a task that does not hold it';
  expect(bugs).toEqual([
    { kind: unlocked, lock: 'm', row: 0, mode: 'lock', task: sched.boot },
    { kind: unlocked, lock: 'm', row: 0, mode: 'lock', task: sched.boot },
    { kind: 'not held where it must be', lock: 'm', row: 0, mode: 'lock', task: sched.boot },
  ]);
  expect(sched.holders(mutex.id)).toEqual([a]);
  expect(cpus.steps[STEP.lock]).toBe(1);
});

test('two locks of a kernel cannot have one name', () => {
  const { sched } = makeWorld();
  new Mutex(sched, 'm');
  expect(() => new Mutex(sched, 'm')).toThrow('registered twice');
});

test('a wait adds one generator to those that stand on each other', () => {
  const contend = (): void => {
    const { sched } = makeWorld();
    const mutex = new Mutex(sched, 'm');
    mutex.tryLock(sched.boot);
    sched.spawn('a', function* (task) {
      if (!mutex.tryLock(task)) yield* mutex.wait(task);
    });
    expect(sched.run().reason).toBe('blocked');
  };
  expect(deepestYield(contend)).toBe(2);
});
