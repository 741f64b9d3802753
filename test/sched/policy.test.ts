/* The numbering of choices, which recordings and shrinkers depend on. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { definePoint } from '../../sim/base/point.ts';
import { candidate } from '../../sim/sched/policy.ts';
import { Task, type TaskId } from '../../sim/sched/task.ts';
import { makeWorld } from './world.ts';

const HERE = definePoint('test_policy', 'here');

const runnableTasks = fc
  .uniqueArray(fc.nat({ max: 20 }), { minLength: 2 })
  .map((ids) => ids.toSorted((a, b) => a - b).map((id) => new Task(id as TaskId, `t${id}`, 0)));

test('every runnable task has one number, in ascending order', () => {
  fc.assert(
    fc.property(runnableTasks, (runnable) => {
      expect(runnable.map((_, choice) => candidate(runnable, undefined, choice))).toEqual(runnable);
    }),
  );
});

test('the task that ran last has number 0, the others follow in ascending order', () => {
  fc.assert(
    fc.property(runnableTasks, fc.nat(), (runnable, n) => {
      const last = runnable[n % runnable.length] as Task;
      const others = runnable.filter((task) => task !== last);
      expect(runnable.map((_, choice) => candidate(runnable, last, choice))).toEqual([last, ...others]);
    }),
  );
});

test('a policy sees the point, the runnable tasks by id, and the last one only if it can go on', () => {
  const seen: unknown[] = [];
  const { sched } = makeWorld({
    pick: (point, runnable, last) => {
      seen.push([point === HERE, runnable.map((task) => task.name).join(''), last?.name]);
      return runnable.at(-1) as Task;
    },
  });
  for (const name of ['a', 'b', 'c']) {
    sched.spawn(name, function* () {
      yield HERE;
    });
  }
  sched.run();
  expect(seen).toEqual([
    [false, 'abc', undefined],
    [true, 'abc', 'c'],
    [false, 'ab', undefined],
    [true, 'ab', 'b'],
  ]);
});

test('a policy that picks a task that cannot run is at fault', () => {
  const { sched } = makeWorld({ pick: () => sched.boot });
  const ended = sched.spawn('a', function* () {
    yield HERE;
  });
  sched.run();
  sched.policy = { pick: () => ended };
  for (const name of ['b', 'c']) {
    sched.spawn(name, function* () {
      yield HERE;
    });
  }
  expect(() => sched.run()).toThrow('cannot run');
});
