/*
 * Mutexes: one holder, waiters first come first served. unlock hands the mutex to the first waiter directly, so
 * it is never free while someone waits. (Linux lets a runner steal it between wakeup and return; a preemption of
 * the waiter before its tryLock gives the same order of holders.)
 *
 *   holder word    0 free, else 1 + task id
 *   waiters        a queue in a map, there only while somebody waits
 *
 * MutexColumn is the mutex of every session or file: its holder words live in a column, so a mutex nobody waits
 * for has no object. Mutex is one that exists once: the same code over a single word.
 */
import { assert } from '../base/assert.ts';
import { definePoint, kernelFunction, type Op } from '../base/point.ts';
import type { Journal, Stateful } from '../machine/journal.ts';
import type { LockId } from './lock.ts';
import type { Scheduler } from './scheduler.ts';
import type { Task } from './task.ts';

const MUTEX_LOCK = kernelFunction('mutex_lock');
const WAIT = definePoint('mutex_lock', 'wait');

const FREE = 0;

/** Where holder words live: one of every object's row, a machine's Column, or one word. */
export interface Words {
  get(row: number): number;
  set(row: number, word: number): void;
  /** Whether a word was `from`; then it is `to`. */
  replace(row: number, from: number, to: number): boolean;
}

export class MutexColumn implements Stateful {
  readonly id: LockId;
  readonly name: string;
  readonly #sched: Scheduler;
  readonly #words: Words;
  readonly #queues = new Map<number, Task[]>();

  /** A row is what `words` know its holder word by, which starts as 0. */
  constructor(sched: Scheduler, name: string, words: Words) {
    this.id = sched.locks.register(name);
    this.name = name;
    this.#sched = sched;
    this.#words = words;
    sched.journal.enlist(this);
  }

  /**
   * Takes the mutex if it is free; if not the task must go on with `wait`.
   * @kernel mutex_lock @simplified no spinning on the owner and no stealing: who comes first is served first
   */
  tryLock(task: Task, row: number): boolean {
    this.#sched.chargeLock(task);
    if (!this.#words.replace(row, FREE, task.id + 1)) return false;
    task.hold(this.id, row);
    return true;
  }

  /** Waits for a mutex that `tryLock` just did not get. @kernel mutex_lock */
  *wait(task: Task, row: number): Op<void> {
    const sched = this.#sched;
    assert(!this.isFree(row), 'a task waits for a free mutex');
    sched.block(task, this.id, row, 'lock');
    sched.trace.event(MUTEX_LOCK, sched.locks.hash(this.id), row, task.id);
    const queue = this.#queues.get(row);
    if (queue === undefined) this.#queues.set(row, [task]);
    else queue.push(task);
    yield WAIT;
    assert(this.isHeldBy(task, row), 'a waiter went on without the mutex');
  }

  /** @kernel mutex_unlock @simplified the mutex is handed over at once: the waiter does not have to take it */
  unlock(task: Task, row: number): void {
    if (!this.#words.replace(row, task.id + 1, FREE)) {
      this.#sched.bug('unlocked by a task that does not hold it', task, this.id, row, 'lock');
      return;
    }
    this.#sched.chargeLock(task);
    task.release(this.id, row);
    const queue = this.#queues.size === 0 ? undefined : this.#queues.get(row);
    if (queue !== undefined) this.#words.set(row, this.#handOver(queue, row).id + 1);
  }

  isFree(row: number): boolean {
    return this.#words.get(row) === FREE;
  }

  isHeldBy(task: Task, row: number): boolean {
    return this.#words.get(row) === task.id + 1;
  }

  /** @kernel lockdep_assert_held */
  assertHeld(task: Task, row: number): void {
    if (!this.isHeldBy(task, row)) {
      this.#sched.bug('not held where it must be', task, this.id, row, 'lock');
    }
  }

  /** Holder words are journalled where they live; of live waiters there are none at a mark. */
  capture(): unknown {
    return undefined;
  }

  reinstate(): void {
    this.#queues.clear();
  }

  /** The waiter in front goes on as the holder. */
  #handOver(queue: Task[], row: number): Task {
    const next = queue.shift();
    assert(next !== undefined, 'an empty queue is kept');
    if (queue.length === 0) this.#queues.delete(row);
    next.hold(this.id, row);
    this.#sched.wake(next);
    return next;
  }
}

/** A single word that is captured whole. */
class Word implements Words, Stateful {
  #word = 0;

  constructor(journal: Journal) {
    journal.enlist(this);
  }

  get(): number {
    return this.#word;
  }

  set(_i: number, word: number): void {
    this.#word = word;
  }

  replace(_i: number, from: number, to: number): boolean {
    if (this.#word !== from) return false;
    this.#word = to;
    return true;
  }

  capture(): unknown {
    return this.#word;
  }

  reinstate(state: unknown): void {
    this.#word = state as number;
  }
}

/** A mutex that exists once. */
export class Mutex {
  readonly #rows: MutexColumn;

  constructor(sched: Scheduler, name: string) {
    this.#rows = new MutexColumn(sched, name, new Word(sched.journal));
  }

  get id(): LockId {
    return this.#rows.id;
  }

  get name(): string {
    return this.#rows.name;
  }

  /**
   * Takes the mutex if it is free; if not the task must go on with `wait`.
   * @kernel mutex_lock @simplified no spinning on the owner and no stealing: who comes first is served first
   */
  tryLock(task: Task): boolean {
    return this.#rows.tryLock(task, 0);
  }

  /** Waits for a mutex that `tryLock` just did not get. @kernel mutex_lock */
  wait(task: Task): Op<void> {
    return this.#rows.wait(task, 0);
  }

  /** @kernel mutex_unlock @simplified the mutex is handed over at once: the waiter does not have to take it */
  unlock(task: Task): void {
    this.#rows.unlock(task, 0);
  }

  isFree(): boolean {
    return this.#rows.isFree(0);
  }

  isHeldBy(task: Task): boolean {
    return this.#rows.isHeldBy(task, 0);
  }

  /** @kernel lockdep_assert_held */
  assertHeld(task: Task): void {
    this.#rows.assertHeld(task, 0);
  }
}
