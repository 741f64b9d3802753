/*
 * Tasks: threads of agents and of the kernel. A task is a generator; between two yields nothing else runs.
 *
 *              spawn            waits for a lock
 *     (none) ---------> runnable <------------> blocked
 *                        |    |      is handed it
 *               returns  |    |  oopses
 *                        v    v
 *                 finished    dead
 *
 * An ended task keeps the locks it holds: after an oops as in Linux, and after a successful reboot hook by
 * design (luo_session_serialize_rwsem is then held for writing for ever). Task 0 is the boot context. It is no
 * generator, runs whenever the scheduler does not, and can never wait.
 */
import type { Op, Point } from '../base/point.ts';
import type { LockId, LockMode } from './lock.ts';

declare const brand: unique symbol;

/** Tasks are numbered from 1 in each kernel, in order of creation; 0 is the boot context. */
export type TaskId = number & { readonly [brand]: 'task' };

export type TaskState = 'runnable' | 'blocked' | 'finished' | 'dead';

/** Whose rights a task has: a process's. */
export interface Credentials {
  /** root's, with every capability. */
  readonly capable: boolean;
}

const ROOT: Credentials = { capable: true };

/** No lock: what `waitsFor` is while a task waits for none. */
export const NO_LOCK = -1 as LockId;

export class Task {
  readonly id: TaskId;
  readonly name: string;
  /** Index of the CPU it runs on, for life. */
  readonly cpu: number;
  cred = ROOT;
  state: TaskState = 'runnable';
  /** The lock taken last, NO_LOCK where none is held; and those before it, oldest first, as pairs (lock, row). */
  #last = NO_LOCK;
  #lastRow = 0;
  readonly #older: number[] = [];
  /** What a blocked task waits for. */
  waitsFor: LockId = NO_LOCK;
  waitsRow = 0;
  waitsMode: LockMode = 'lock';
  /** Where it last gave way to others, or could have; undefined before. */
  point: Point | undefined = undefined;
  /** What the body of a finished task returned. */
  result: unknown = undefined;
  /** What there is left to run; undefined for the boot context and for ended tasks. */
  op: Op<unknown> | undefined = undefined;

  constructor(id: TaskId, name: string, cpu: number) {
    this.id = id;
    this.name = name;
    this.cpu = cpu;
  }

  /** Locks held, oldest first, as pairs (lock, row). A lock held twice for reading stands twice. */
  get held(): readonly number[] {
    return this.#last === NO_LOCK ? [] : [...this.#older, this.#last, this.#lastRow];
  }

  /** Holds these, as `held` had them. */
  reinstateHeld(held: readonly number[]): void {
    this.#last = NO_LOCK;
    this.#older.length = 0;
    for (let i = 0; i < held.length; i += 2) this.hold(held[i] as LockId, held[i + 1] as number);
  }

  /** Notes that the task holds a lock. Locks call this, nobody else. */
  hold(lock: LockId, row: number): void {
    if (this.#last !== NO_LOCK) this.#older.push(this.#last, this.#lastRow);
    this.#last = lock;
    this.#lastRow = row;
  }

  /** Notes that the task no longer holds a lock. False if it did not: nothing changes then. */
  release(lock: LockId, row: number): boolean {
    const older = this.#older;
    if (lock !== this.#last || row !== this.#lastRow) {
      const i = this.#findOlder(lock, row);
      if (i >= 0) older.splice(i, 2);
      return i >= 0;
    }
    this.#last = NO_LOCK;
    if (older.length !== 0) {
      this.#lastRow = older.pop() as number;
      this.#last = older.pop() as LockId;
    }
    return true;
  }

  holds(lock: LockId, row: number): boolean {
    return (lock === this.#last && row === this.#lastRow) || this.#findOlder(lock, row) >= 0;
  }

  /** Where a lock stands before the last one, the latest first; negative where it does not. */
  #findOlder(lock: LockId, row: number): number {
    const older = this.#older;
    let i = older.length - 2;
    while (i >= 0 && (older[i] !== lock || older[i + 1] !== row)) i -= 2;
    return i;
  }
}
