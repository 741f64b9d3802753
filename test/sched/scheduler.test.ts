/* The scheduler by example: who runs, how a run ends, what an oops and a stop leave behind, clocks, marks. */
import { describe, expect, test } from 'vitest';
import { SimulatorFault } from '../../sim/base/assert.ts';
import { Decisions } from '../../sim/base/decisions.ts';
import { definePoint, type Op } from '../../sim/base/point.ts';
import { STEP } from '../../sim/machine/cpu.ts';
import { PageFault } from '../../sim/machine/page_fault.ts';
import { Mutex } from '../../sim/sched/mutex.ts';
import type { Policy } from '../../sim/sched/policy.ts';
import { RwSemaphore } from '../../sim/sched/rwsem.ts';
import type { Task } from '../../sim/sched/task.ts';
import { makeWorld, type World } from './world.ts';

const HERE = definePoint('test_scheduler', 'here');

const NEVER_ASKED: Policy = {
  pick: () => {
    throw new Error('the policy was asked');
  },
};

/** A task that yields `steps` times and says so. */
const steps = (log: string[], nr: number) =>
  function* (task: Task): Op<void> {
    for (let i = 0; i < nr; i++) {
      log.push(`${task.name}${i}`);
      yield HERE;
    }
  };

function* lock(mutex: Mutex, task: Task): Op<void> {
  if (!mutex.tryLock(task)) yield* mutex.wait(task);
}

function oopsHolding(mutex: Mutex) {
  return function* (task: Task): Op<void> {
    yield* lock(mutex, task);
    throw new PageFault(0x1000);
  };
}

describe('who runs', () => {
  test('a task alone is never chosen, wherever it yields', () => {
    const { sched } = makeWorld(NEVER_ASKED);
    const log: string[] = [];
    sched.spawn('a', steps(log, 3));
    expect(sched.run()).toEqual({ reason: 'idle' });
    expect(log).toEqual(['a0', 'a1', 'a2']);
  });

  test('alone again after the others have ended, it is not chosen either', () => {
    const decisions = Decisions.none();
    const asked: number[] = [];
    const choose = decisions.choose.bind(decisions);
    decisions.choose = (point, n) => asked.push(n) && choose(point, n);
    const { sched } = makeWorld(decisions);
    const log: string[] = [];
    sched.spawn('a', steps(log, 1));
    sched.spawn('b', steps(log, 5));
    sched.run();
    expect(asked).toEqual([2, 2]);
  });

  test('by default the running task goes on, then the first by id', () => {
    const { sched } = makeWorld();
    const log: string[] = [];
    for (const name of ['a', 'b', 'c']) sched.spawn(name, steps(log, 2));
    sched.run();
    expect(log).toEqual(['a0', 'a1', 'b0', 'b1', 'c0', 'c1']);
  });

  test('a woken task takes its place by id', () => {
    const { sched } = makeWorld(
      Decisions.replay([{ point: 'test_scheduler:here', occurrence: 0, choice: 1 }]),
    );
    const mutex = new Mutex(sched, 'm');
    const log: string[] = [];
    const user = function* (task: Task): Op<void> {
      yield* lock(mutex, task);
      yield HERE;
      log.push(task.name);
      mutex.unlock(task);
    };
    sched.spawn('a', user);
    sched.spawn('b', user);
    sched.spawn('c', steps(log, 1));
    sched.run();
    expect(log).toEqual(['a', 'b', 'c0']);
  });

  test('contended says whether more than one task is runnable', () => {
    const { sched } = makeWorld();
    const mutex = new Mutex(sched, 'm');
    const seen: boolean[] = [sched.contended];
    const look = function* (task: Task): Op<void> {
      seen.push(sched.contended);
      yield* lock(mutex, task);
      yield HERE;
      seen.push(sched.contended);
      mutex.unlock(task);
      seen.push(sched.contended);
    };
    sched.spawn('a', look);
    seen.push(sched.contended);
    sched.spawn('b', look);
    seen.push(sched.contended);
    // The second task is let in once: it finds the mutex taken.
    sched.policy = {
      pick: (point, runnable, last) =>
        (point === HERE && last !== undefined ? runnable[1] : runnable[0]) as Task,
    };
    sched.run();
    expect(seen).toEqual([false, false, true, true, true, false, true, false, false]);
  });

  test('the decision is keyed by the point where the task stands', () => {
    const { sched } = makeWorld(
      Decisions.replay([{ point: 'test_scheduler:here', occurrence: 1, choice: 1 }]),
    );
    const log: string[] = [];
    sched.spawn('a', steps(log, 3));
    sched.spawn('b', steps(log, 2));
    sched.run();
    expect(log).toEqual(['a0', 'a1', 'b0', 'b1', 'a2']);
  });
});

describe('how a run ends', () => {
  test('a hang lists who waits for what, and who holds it', () => {
    const { sched } = makeWorld(
      Decisions.replay([{ point: 'test_scheduler:here', occurrence: 0, choice: 1 }]),
    );
    const a = new Mutex(sched, 'a.mutex');
    const b = new Mutex(sched, 'b.mutex');
    const both = (first: Mutex, second: Mutex) =>
      function* (task: Task): Op<void> {
        yield* lock(first, task);
        if (sched.contended) yield HERE;
        yield* lock(second, task);
      };
    const t1 = sched.spawn('t1', both(a, b));
    const t2 = sched.spawn('t2', both(b, a));
    expect(sched.run()).toEqual({
      reason: 'blocked',
      waits: [
        { task: t1, lock: 'b.mutex', row: 0, mode: 'lock', holders: [t2] },
        { task: t2, lock: 'a.mutex', row: 0, mode: 'lock', holders: [t1] },
      ],
    });
  });

  test('a lock held by a finished task holds up the others for ever', () => {
    const { sched } = makeWorld();
    const sem = new RwSemaphore(sched, 'luo_session_serialize_rwsem');
    const reboot = sched.spawn('reboot', function* (task) {
      if (!sem.tryWrite(task)) yield* sem.waitWrite(task);
    });
    const late = sched.spawn('create', function* (task) {
      if (!sem.tryRead(task)) yield* sem.waitRead(task);
    });
    const end = sched.run();
    expect(reboot.state).toBe('finished');
    expect(end).toEqual({
      reason: 'blocked',
      waits: [{ task: late, lock: sem.name, row: 0, mode: 'read', holders: [reboot] }],
    });
  });

  test('stop drops the others where they stand, without their finally blocks', () => {
    const { sched } = makeWorld(
      Decisions.replay([{ point: 'test_scheduler:here', occurrence: 0, choice: 1 }]),
    );
    const log: string[] = [];
    const first = sched.spawn('first', function* () {
      try {
        yield HERE;
        log.push('first went on');
      } finally {
        log.push('finally');
      }
    });
    const jumper = sched.spawn('jumper', function* () {
      sched.stop();
      log.push('the step is completed');
      yield HERE;
      log.push('jumper went on');
    });
    expect(sched.run()).toEqual({ reason: 'stopped' });
    expect(log).toEqual(['the step is completed']);
    expect([first.state, jumper.state, first.op, jumper.op]).toEqual([
      'runnable',
      'runnable',
      undefined,
      undefined,
    ]);
    expect(sched.contended).toBe(false);
    expect(sched.run()).toEqual({ reason: 'stopped' });
    expect(() => sched.spawn('late', steps(log, 1))).toThrow('has stopped');
  });

  test('a task alone is stopped at its next yield', () => {
    const { sched } = makeWorld();
    const log: string[] = [];
    sched.spawn('a', function* () {
      sched.stop();
      yield HERE;
      log.push('went on');
    });
    expect(sched.run()).toEqual({ reason: 'stopped' });
    expect(log).toEqual([]);
  });
});

describe('an oops', () => {
  test('kills the task, which keeps its locks', () => {
    const { sched, oopses } = makeWorld();
    const mutex = new Mutex(sched, 'm');
    const victim = sched.spawn('victim', oopsHolding(mutex));
    const waiter = sched.spawn('waiter', (task) => lock(mutex, task));
    const end = sched.run();
    expect(oopses).toEqual([{ task: victim, error: new PageFault(0x1000) }]);
    expect(victim.state).toBe('dead');
    expect(mutex.isHeldBy(victim)).toBe(true);
    expect(end).toEqual({
      reason: 'blocked',
      waits: [{ task: waiter, lock: 'm', row: 0, mode: 'lock', holders: [victim] }],
    });
  });

  test('the kernel may stop there', () => {
    const { sched, oopses } = makeWorld();
    const mutex = new Mutex(sched, 'm');
    oopses.push = () => {
      sched.stop();
      return 0;
    };
    const log: string[] = [];
    sched.spawn('victim', oopsHolding(mutex));
    sched.spawn('other', steps(log, 1));
    expect(sched.run()).toEqual({ reason: 'stopped' });
    expect(log).toEqual([]);
  });

  test.each([new TypeError('x'), new SimulatorFault('y')])('%s is none and passes through', (error) => {
    const { sched, oopses } = makeWorld();
    // biome-ignore lint/correctness/useYield: it fails before it could
    sched.spawn('a', function* (): Op<void> {
      throw error;
    });
    expect(() => sched.run()).toThrow(error);
    expect(oopses).toEqual([]);
  });
});

describe('the boot context', () => {
  test('takes free locks and completes operations that yield', () => {
    const { sched } = makeWorld();
    const mutex = new Mutex(sched, 'm');
    const op = function* (): Op<number> {
      yield* lock(mutex, sched.boot);
      yield HERE;
      mutex.unlock(sched.boot);
      return 42;
    };
    expect(sched.complete(op())).toBe(42);
    expect(sched.boot.held).toEqual([]);
  });

  test('cannot wait', () => {
    const { sched } = makeWorld();
    const mutex = new Mutex(sched, 'm');
    sched.spawn('victim', oopsHolding(mutex));
    sched.run();
    expect(() => sched.complete(lock(mutex, sched.boot))).toThrow('the boot context would wait for m');
  });

  test('is the only one to run the scheduler, and no task completes an operation', () => {
    const { sched } = makeWorld();
    sched.spawn('a', function* () {
      yield HERE;
      sched.run();
    });
    expect(() => sched.run()).toThrow('runs already');
    const other = makeWorld().sched;
    other.spawn('a', function* () {
      yield HERE;
      other.complete(steps([], 1)(other.boot));
    });
    expect(() => other.run()).toThrow('only the boot context');
  });
});

describe('CPUs and clocks', () => {
  const ns = (world: World): number[] => world.cpus.all.map((cpu) => cpu.seconds * 1e9 + cpu.ns);
  const hop = 100 + STEP.hop;

  test('tasks go round the CPUs and charge their own; the trace knows who runs', () => {
    const world = makeWorld(Decisions.none(), 2);
    const { sched, cpus, trace } = world;
    const seen: number[][] = [];
    for (const hops of [1, 10, 100]) {
      sched.spawn('a', function* (task) {
        seen.push([task.id, cpus.current.id, trace.task]);
        cpus.charge(STEP.hop, hops);
        yield HERE;
      });
    }
    sched.run();
    expect(seen).toEqual([
      [1, 0, 1],
      [2, 1, 2],
      [3, 0, 3],
    ]);
    // The boot context, on CPU 0, waited for all of them.
    expect(ns(world)).toEqual([101 * hop, 10 * hop]);
    expect([cpus.current.id, trace.task]).toEqual([0, 0]);
  });

  test('a task starts no earlier than it was spawned', () => {
    const world = makeWorld(Decisions.none(), 2);
    world.cpus.charge(STEP.hop, 7);
    for (const name of ['a', 'b']) world.sched.spawn(name, steps([], 1));
    expect(ns(world)).toEqual([7 * hop, 7 * hop]);
  });

  test('the boot context waits for the slowest CPU, also at a hang', () => {
    const world = makeWorld(Decisions.none(), 2);
    const mutex = new Mutex(world.sched, 'm');
    for (const hops of [1, 10]) {
      world.sched.spawn('a', function* (task) {
        world.cpus.charge(STEP.hop, hops);
        yield* lock(mutex, task);
      });
    }
    expect(world.sched.run().reason).toBe('blocked');
    expect(ns(world)[0]).toBe(10 * hop + 100 + STEP.lock);
  });
});

describe('marks', () => {
  test('are refused while tasks live', () => {
    const { sched, journal } = makeWorld();
    sched.spawn('a', steps([], 1));
    expect(() => journal.mark()).toThrow('while tasks live');
  });

  test('a stopped kernel runs again after a rollback, with the same ids', () => {
    const { sched, journal } = makeWorld();
    sched.spawn('first', steps([], 1));
    sched.run();
    const mark = journal.mark();
    for (let i = 0; i < 3; i++) {
      const log: string[] = [];
      new Mutex(sched, 'made after the mark');
      const task = sched.spawn('a', steps(log, 2));
      sched.spawn('b', function* () {
        sched.stop();
        yield HERE;
      });
      expect(task.id).toBe(2);
      expect(sched.run()).toEqual({ reason: 'stopped' });
      expect(log).toEqual(['a0', 'a1']);
      journal.mark();
      journal.rollback(mark);
      expect(sched.tasks.map((t) => t.name)).toEqual(['boot', 'first']);
      expect([sched.stopped, sched.locks.count]).toEqual([false, 0]);
    }
  });

  test('locks held by ended tasks and by the boot context are part of the state', () => {
    const { sched, journal } = makeWorld();
    const sem = new RwSemaphore(sched, 'sem');
    const mutex = new Mutex(sched, 'm');
    const reboot = sched.spawn('reboot', function* (task) {
      if (!sem.tryWrite(task)) yield* sem.waitWrite(task);
    });
    sched.run();
    expect(mutex.tryLock(sched.boot)).toBe(true);
    const mark = journal.mark();
    mutex.unlock(sched.boot);
    sched.spawn('create', function* (task) {
      if (!sem.tryRead(task)) yield* sem.waitRead(task);
    });
    expect(sched.run().reason).toBe('blocked');
    journal.rollback(mark);
    expect(sem.isWriteHeldBy(reboot)).toBe(true);
    expect(sched.holders(sem.id)).toEqual([reboot]);
    expect(sched.holders(mutex.id)).toEqual([sched.boot]);
    mutex.unlock(sched.boot);
    expect(mutex.isFree()).toBe(true);
    expect(sched.run()).toEqual({ reason: 'idle' });
  });
});
