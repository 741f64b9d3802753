/*
 * A scheduler with what it stands on, and programs of lock operations to run on it. A program is data:
 *
 *   program    one list of sections per task
 *   section    takes locks in the order given, preempted after each if `preempted`, and gives them back newest first
 *              or oldest first; it may oops while it holds them
 *
 * The run leaves a log. `want` stands before the lock is tried, `enter` after the task has it, `leave` before it is
 * given back; laws are read off the log and know nothing of how locks are made.
 */
import fc from 'fast-check';
import { Decisions } from '../../sim/base/decisions.ts';
import { definePoint, type Op } from '../../sim/base/point.ts';
import { Trace } from '../../sim/base/trace.ts';
import { Column } from '../../sim/machine/column.ts';
import { type CostProfile, Cpus, STEP, STEP_KINDS, type StepKind } from '../../sim/machine/cpu.ts';
import { Journal } from '../../sim/machine/journal.ts';
import { PageFault } from '../../sim/machine/page_fault.ts';
import { PiecePool } from '../../sim/machine/pool.ts';
import { Mutex, MutexColumn } from '../../sim/sched/mutex.ts';
import type { Policy } from '../../sim/sched/policy.ts';
import { RwSemaphore } from '../../sim/sched/rwsem.ts';
import { type LockBug, type RunEnd, Scheduler } from '../../sim/sched/scheduler.ts';
import type { Task } from '../../sim/sched/task.ts';

const INSIDE = definePoint('test_section', 'inside');
const BETWEEN = definePoint('test_section', 'between');

/** Every kind of step has another price, so that clocks tell what was charged. */
const PROFILE: CostProfile = {
  name: 'test',
  nsPerStep: Object.fromEntries(STEP_KINDS.map((kind, i) => [kind, 100 + i])) as Record<StepKind, number>,
};

export interface World {
  readonly cpus: Cpus;
  readonly journal: Journal;
  decisions: Decisions;
  readonly trace: Trace;
  readonly sched: Scheduler;
  readonly bugs: LockBug[];
  readonly oopses: { task: Task; error: Error }[];
}

export function makeWorld(answers: Policy | Decisions = Decisions.none(), nrCpus = 2): World {
  const cpus = new Cpus(nrCpus, PROFILE);
  const trace = new Trace();
  const journal = new Journal();
  journal.enlist(cpus);
  journal.enlist({ capture: () => trace.capture(), reinstate: (state) => trace.reinstate(state as never) });
  const bugs: LockBug[] = [];
  const oopses: { task: Task; error: Error }[] = [];
  const decisions = answers instanceof Decisions ? answers : Decisions.none();
  const machine = { cpus, journal, decisions };
  const sched = new Scheduler({
    machine,
    trace,
    oopses: [PageFault],
    onOops: (task, error) => oopses.push({ task, error }),
    onBug: (bug) => bugs.push(bug),
  });
  if (!(answers instanceof Decisions)) sched.policy = answers;
  return Object.assign(machine, { trace, sched, bugs, oopses });
}

// --- programs -------------------------------------------------------------------------------------------------------

/** Two semaphores, a mutex, and two rows of a column of mutexes. */
export const LOCK_NAMES = ['outgoing.rwsem', 'incoming.rwsem', 'kho_out.lock', 'file.mutex', 'file.mutex'];
const NR_SEMAPHORES = 2;
const ROWS = [undefined, undefined, undefined, 7, 8];

export interface Take {
  readonly lock: number;
  readonly exclusive: boolean;
}

export interface Section {
  readonly takes: readonly Take[];
  readonly preempted: boolean;
  readonly oldestFirst: boolean;
  readonly work: number;
  readonly oopses: boolean;
}

export type Program = readonly (readonly Section[])[];

export interface LogEntry {
  readonly kind: 'want' | 'enter' | 'leave' | 'work' | 'end';
  readonly task: number;
  readonly lock: number;
  readonly exclusive: boolean;
  /** For `enter`: whether the task had to wait. */
  readonly waited: boolean;
  /** Nanoseconds on the task's clock; for `leave` once the lock is given back. */
  time: number;
  /** Tasks that are blocked; for `leave` once the lock is given back. */
  blocked: readonly number[];
}

interface AnyLock {
  try(task: Task, exclusive: boolean): boolean;
  wait(task: Task, exclusive: boolean): Op<void>;
  unlock(task: Task, exclusive: boolean): void;
}

function semaphore(world: World, name: string): AnyLock {
  const sem = new RwSemaphore(world.sched, name);
  return {
    try: (task, exclusive) => (exclusive ? sem.tryWrite(task) : sem.tryRead(task)),
    wait: (task, exclusive) => (exclusive ? sem.waitWrite(task) : sem.waitRead(task)),
    unlock: (task, exclusive) => (exclusive ? sem.unlockWrite(task) : sem.unlockRead(task)),
  };
}

/** Makes the five locks in a world. Once for each world. */
export function makeLocks(world: World): AnyLock[] {
  const mutex = new Mutex(world.sched, LOCK_NAMES[2] as string);
  const storage = { pool: new PiecePool(), journal: world.journal };
  const column = new Column(storage, 'file.mutex');
  const rows = new MutexColumn(world.sched, LOCK_NAMES[3] as string, column);
  const rowLock = (row: number): AnyLock => ({
    try: (task) => rows.tryLock(task, row),
    wait: (task) => rows.wait(task, row),
    unlock: (task) => rows.unlock(task, row),
  });
  return [
    semaphore(world, LOCK_NAMES[0] as string),
    semaphore(world, LOCK_NAMES[1] as string),
    {
      try: (task) => mutex.tryLock(task),
      wait: (task) => mutex.wait(task),
      unlock: (task) => mutex.unlock(task),
    },
    rowLock(ROWS[3] as number),
    rowLock(ROWS[4] as number),
  ];
}

export interface Outcome {
  readonly end: RunEnd;
  readonly log: readonly LogEntry[];
}

/** Runs a program on the locks of a world, to whatever end. */
export function runProgram(world: World, locks: readonly AnyLock[], program: Program): Outcome {
  const log: LogEntry[] = [];
  const { sched, cpus } = world;
  const now = (): number => cpus.current.seconds * 1e9 + cpus.current.ns;
  const blocked = (): number[] => sched.tasks.filter((t) => t.state === 'blocked').map((t) => t.id);
  const note = (kind: LogEntry['kind'], task: Task, take?: Take, waited = false): LogEntry => {
    const { lock, exclusive } = take ?? { lock: -1, exclusive: false };
    const entry = { kind, task: task.id, lock, exclusive, waited, time: now(), blocked: blocked() };
    log.push(entry);
    return entry;
  };
  function* enter(task: Task, take: Take): Op<void> {
    const lock = locks[take.lock] as AnyLock;
    note('want', task, take);
    const waits = !lock.try(task, take.exclusive);
    if (waits) yield* lock.wait(task, take.exclusive);
    note('enter', task, take, waits);
  }
  function* body(task: Task, sections: readonly Section[]): Op<number> {
    for (const section of sections) {
      for (const take of section.takes) {
        yield* enter(task, take);
        if (section.preempted && sched.contended) yield INSIDE;
      }
      note('work', task);
      cpus.charge(STEP.hop, section.work);
      if (section.oopses) throw new PageFault(0xdead0000);
      for (const take of section.oldestFirst ? section.takes : section.takes.toReversed()) {
        const entry = note('leave', task, take);
        (locks[take.lock] as AnyLock).unlock(task, take.exclusive);
        entry.time = now();
        entry.blocked = blocked();
      }
      if (sched.contended) yield BETWEEN;
    }
    note('end', task);
    return sections.length;
  }
  for (const sections of program) sched.spawn(`agent ${sections.length}`, (task) => body(task, sections));
  return { end: sched.run(), log };
}

/** A fresh world, its locks, and a program run on them with decisions from a seed. */
export function runSeeded(program: Program, seed: string): Outcome & { world: World; decisions: Decisions } {
  return runWith(program, Decisions.seeded(seed));
}

export function runWith(
  program: Program,
  decisions: Decisions,
): Outcome & { world: World; decisions: Decisions } {
  const world = makeWorld(decisions);
  return { ...runProgram(world, makeLocks(world), program), world, decisions };
}

// --- arbitraries ----------------------------------------------------------------------------------------------------

/** True once in `n` times. */
function oneIn(n: number): fc.Arbitrary<boolean> {
  return fc.nat({ max: n - 1 }).map((i) => i === 1);
}

const anyLock = fc.nat({ max: LOCK_NAMES.length - 1 });

/** More than half of all takes are of one semaphore, most of those to read: or else hardly anybody ever waits. */
const take: fc.Arbitrary<Take> = fc
  .record({ lock: fc.oneof(fc.constant(0), anyLock), writes: oneIn(3) })
  .map(({ lock, writes }) => ({ lock, exclusive: writes || lock >= NR_SEMAPHORES }));

const takes = fc.uniqueArray(take, { selector: (t) => t.lock, minLength: 1, maxLength: 3 });

function sections(oopses: fc.Arbitrary<boolean>, ordered: boolean): fc.Arbitrary<Section[]> {
  const section = fc.record({
    takes: ordered ? takes.map((list) => list.toSorted((a, b) => a.lock - b.lock)) : takes,
    preempted: oneIn(4).map((not) => !not),
    oldestFirst: fc.boolean(),
    work: fc.nat({ max: 30 }),
    oopses,
  });
  return fc.array(section, { minLength: 1, maxLength: 5 });
}

const tasks = { minLength: 2, maxLength: 6 };

/** Every task takes locks in the one order: such a program cannot hang. */
export const orderedProgram: fc.Arbitrary<Program> = fc.array(sections(fc.constant(false), true), tasks);

/** Locks taken in any order: such a program may hang. */
export const disorderedProgram: fc.Arbitrary<Program> = fc.array(sections(fc.constant(false), false), tasks);

/** Locks in any order, and one section in eight oopses. */
export const wildProgram: fc.Arbitrary<Program> = fc.array(sections(oneIn(8), false), tasks);

export const seed: fc.Arbitrary<string> = fc.nat({ max: 1_000_000 }).map((n) => `seed ${n}`);
