/*
 * The scheduler of one kernel: tasks are resumed one at a time and preempted only where they yield.
 *
 *   code that may be preempted here     if (sched.contended) yield POINT
 *   code that takes a lock              if (!sem.tryWrite(task)) yield* sem.waitWrite(task)
 *   boot code                           sched.complete(op): runs to the end, never waits
 *
 * While one task is runnable it is resumed without ado: nothing is drawn, nothing is noted. With more, the
 * policy picks at every yield. A run ends idle (all tasks ended), blocked (a hang: tasks live, none can run) or
 * stopped (the kernel jumped or panicked: what is left is dropped as it stands, `finally` blocks do not run).
 *
 * Clocks: a task runs on its CPU, and what makes another task go on moves that task's clock to its own if that
 * is later: spawning, handing over a lock, and ending, for the boot context that waits for the run.
 */
import { assert, unreachable } from '../base/assert.ts';
import { definePoint, type Op, type Point } from '../base/point.ts';
import type { Trace } from '../base/trace.ts';
import { type Cpu, type Cpus, STEP } from '../machine/cpu.ts';
import type { Journal, Stateful } from '../machine/journal.ts';
import type { Machine } from '../machine/machine.ts';
import { type LockId, type LockMode, LockRegistry } from './lock.ts';
import { DecisionPolicy, type Policy } from './policy.ts';
import { NO_LOCK, Task, type TaskId } from './task.ts';

/** Where the first task of a run is chosen: nothing ran before. */
const START = definePoint('schedule', 'start');
/** Where a task stands that has returned or died. */
const EXIT = definePoint('do_exit', 'schedule');

const LOCK_STEP = STEP.lock;

/** A class of errors that kill the task, not the simulator. */
export type OopsKind = abstract new (...args: never[]) => Error;

export type LockBugKind = 'unlocked by a task that does not hold it' | 'not held where it must be';

/** What makes a real kernel warn about a lock. */
export interface LockBug {
  readonly kind: LockBugKind;
  readonly lock: string;
  readonly row: number;
  readonly mode: LockMode;
  readonly task: Task;
}

/** A blocked task, what it waits for, and whoever holds that, ended tasks included. */
export interface Wait {
  readonly task: Task;
  readonly lock: string;
  readonly row: number;
  readonly mode: LockMode;
  readonly holders: readonly Task[];
}

export type RunEnd =
  | { readonly reason: 'idle' }
  | { readonly reason: 'stopped' }
  | { readonly reason: 'blocked'; readonly waits: readonly Wait[] };

export interface SchedulerParts {
  readonly machine: Pick<Machine, 'cpus' | 'journal' | 'decisions'>;
  readonly trace: Trace;
  /** Errors that are oopses; any other error is a fault of the simulator and passes through `run`. */
  readonly oopses: readonly OopsKind[];
  /** Told of an oops after the task has died with its locks. May stop the scheduler. */
  readonly onOops: (task: Task, error: Error) => void;
  /** Told of the misuse of a lock; the lock stays as it is. */
  readonly onBug: (bug: LockBug) => void;
}

interface SchedulerState {
  readonly tasks: number;
  readonly locks: number;
  readonly stopped: boolean;
  readonly bootHeld: readonly number[];
}

export class Scheduler implements Stateful {
  /** More than one task is runnable. Kept up to date; read it, never set it. */
  contended = false;
  /** The task that runs: the boot context outside `run`. */
  current: Task;
  /** At first the machine's decisions; may be replaced between runs. */
  policy: Policy;
  readonly boot: Task;
  readonly locks = new LockRegistry();
  readonly cpus: Cpus;
  readonly trace: Trace;
  readonly journal: Journal;
  readonly #parts: SchedulerParts;
  /** By id, the boot context first; ended tasks stay, as holders of locks and names in reports. */
  readonly #tasks: Task[];
  /** By ascending id. */
  readonly #runnable: Task[] = [];
  /** Tasks that have not ended. */
  #live = 0;
  #stopped = false;

  constructor(parts: SchedulerParts) {
    this.#parts = parts;
    this.cpus = parts.machine.cpus;
    this.journal = parts.machine.journal;
    this.trace = parts.trace;
    this.policy = new DecisionPolicy(parts.machine);
    this.boot = new Task(0 as TaskId, 'boot', 0);
    this.current = this.boot;
    this.#tasks = [this.boot];
    this.journal.enlist(this);
  }

  /** All tasks so far, by id. */
  get tasks(): readonly Task[] {
    return this.#tasks;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Makes a task, which starts when it is first chosen. Tasks go round the CPUs. */
  spawn(name: string, body: (task: Task) => Op<unknown>): Task {
    assert(!this.#stopped, `task ${name} is spawned in a kernel that has stopped`);
    const id = this.#tasks.length as TaskId;
    const task = new Task(id, name, (id - 1) % this.cpus.all.length);
    task.op = body(task);
    this.#tasks.push(task);
    this.#live++;
    this.#enqueue(task);
    this.delay(task);
    return task;
  }

  /**
   * Runs the tasks until none can go on or `stop` is called.
   * @kernel schedule @simplified a task runs until it yields; who is next is a decision, not a matter of fairness
   */
  run(): RunEnd {
    assert(this.current === this.boot, 'the scheduler runs already');
    let point = START;
    while (!this.#stopped && this.#runnable.length !== 0) {
      const task = this.#pick(point);
      if (task !== this.current) this.#switchTo(task);
      point = this.#resume(task);
    }
    this.#switchTo(this.boot);
    if (this.#stopped) {
      this.#drop();
      return { reason: 'stopped' };
    }
    for (const cpu of this.cpus.all) this.cpus.current.waitUntil(cpu);
    return this.#live === 0 ? { reason: 'idle' } : { reason: 'blocked', waits: this.waits() };
  }

  /** Ends the run at the next yield: this kernel runs no task any more. */
  stop(): void {
    this.#stopped = true;
  }

  /** Runs an operation in the boot context, which nothing preempts. A lock that is not free is a fault. */
  complete<T>(op: Op<T>): T {
    assert(this.current === this.boot, 'only the boot context runs an operation to its end');
    for (;;) {
      const step = op.next();
      if (step.done === true) return step.value;
    }
  }

  /** Who waits for what, by id. */
  waits(): Wait[] {
    return this.#tasks
      .filter((task) => task.state === 'blocked')
      .map((task) => ({
        task,
        lock: this.locks.name(task.waitsFor),
        row: task.waitsRow,
        mode: task.waitsMode,
        holders: this.holders(task.waitsFor, task.waitsRow),
      }));
  }

  /** The tasks that hold a lock, ended ones included. */
  holders(lock: LockId, row = 0): Task[] {
    return this.#tasks.filter((task) => task.holds(lock, row));
  }

  /** For locks: a lock operation costs a step, and only the task that runs does any. */
  chargeLock(task: Task): void {
    if (task !== this.current) unreachable('a lock is operated for a task that does not run');
    this.cpus.charge(LOCK_STEP, 1);
  }

  /** For locks: the running task is not runnable until `wake`. It must yield next. */
  block(task: Task, lock: LockId, row: number, mode: LockMode): void {
    if (task === this.boot) unreachable(`the boot context would wait for ${this.locks.name(lock)}`);
    assert(task === this.current && task.state === 'runnable', 'a task that does not run cannot block');
    task.state = 'blocked';
    task.waitsFor = lock;
    task.waitsRow = row;
    task.waitsMode = mode;
    this.#dequeue(task);
  }

  /** For locks: a blocked task was given what it waits for, by the running task. */
  wake(task: Task): void {
    assert(task.state === 'blocked', 'only a blocked task is woken');
    task.state = 'runnable';
    task.waitsFor = NO_LOCK;
    this.#enqueue(task);
    this.delay(task);
  }

  /** For locks: a task waited for what the running task just did, perhaps among others. */
  delay(task: Task): void {
    this.#cpuOf(task).waitUntil(this.cpus.current);
  }

  /** For locks: reports misuse. */
  bug(kind: LockBugKind, task: Task, lock: LockId, row: number, mode: LockMode): void {
    this.#parts.onBug({ kind, lock: this.locks.name(lock), row, mode, task });
  }

  capture(): unknown {
    assert(this.#live === 0 || this.#stopped, 'a mark is made while tasks live');
    const state: SchedulerState = {
      tasks: this.#tasks.length,
      locks: this.locks.count,
      stopped: this.#stopped,
      bootHeld: this.boot.held,
    };
    return state;
  }

  /** Tasks made since are forgotten, whatever they stood in. Those that had ended cannot have changed. */
  reinstate(state: unknown): void {
    const { tasks, locks, stopped, bootHeld } = state as SchedulerState;
    this.#drop();
    this.#tasks.length = tasks;
    this.locks.truncate(locks);
    this.#stopped = stopped;
    this.boot.reinstateHeld(bootHeld);
    this.current = this.boot;
  }

  #pick(point: Point): Task {
    const runnable = this.#runnable;
    if (runnable.length === 1) return runnable[0] as Task;
    const { current } = this;
    const last = current.state === 'runnable' && current !== this.boot ? current : undefined;
    const task = this.policy.pick(point, runnable, last);
    assert(task.state === 'runnable', 'the policy picked a task that cannot run');
    return task;
  }

  #switchTo(task: Task): void {
    this.current = task;
    this.cpus.current = this.#cpuOf(task);
    this.trace.task = task.id;
  }

  /** Runs a task until there is something to choose. Yields where it then stands. */
  #resume(task: Task): Point {
    const op = task.op as Op<unknown>;
    try {
      for (;;) {
        const step = op.next();
        if (step.done === true) {
          task.result = step.value;
          this.#end(task, 'finished');
          return EXIT;
        }
        if (this.contended || task.state !== 'runnable' || this.#stopped) {
          task.point = step.value;
          return step.value;
        }
      }
    } catch (error) {
      if (!(error instanceof Error) || !this.#parts.oopses.some((kind) => error instanceof kind)) throw error;
      this.#end(task, 'dead');
      this.#parts.onOops(task, error);
      return EXIT;
    }
  }

  #end(task: Task, state: 'finished' | 'dead'): void {
    assert(task.state === 'runnable', 'a task ends while it runs');
    task.state = state;
    task.op = undefined;
    this.#live--;
    this.#dequeue(task);
  }

  /** Lets go of the generators of live tasks without resuming them; their states stay for reports. */
  #drop(): void {
    if (this.#live !== 0) for (const task of this.#tasks) task.op = undefined;
    this.#runnable.length = 0;
    this.contended = false;
    this.#live = 0;
  }

  #enqueue(task: Task): void {
    const runnable = this.#runnable;
    let i = runnable.length;
    runnable.push(task);
    for (; i > 0 && (runnable[i - 1] as Task).id > task.id; i--) runnable[i] = runnable[i - 1] as Task;
    runnable[i] = task;
    this.contended = runnable.length > 1;
  }

  #dequeue(task: Task): void {
    const runnable = this.#runnable;
    const last = runnable.length - 1;
    for (let i = runnable.indexOf(task); i < last; i++) runnable[i] = runnable[i + 1] as Task;
    runnable.pop();
    this.contended = last > 1;
  }

  #cpuOf(task: Task): Cpu {
    return this.cpus.all[task.cpu] as Cpu;
  }
}
