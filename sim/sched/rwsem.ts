/*
 * Read-write semaphores: many readers or one writer, waiters in one queue, as Linux 6.19 to 7.3 serves it.
 *
 *   writer    task id, or none        readers   count; who they are stands in the tasks' held lists
 *   queue     R R W R ...             in order of arrival
 *
 *   down_read    enters if no writer holds and nobody waits: a waiting writer holds up new readers
 *   down_write   enters if nobody holds (nobody waits then)
 *   up           when the last holder leaves, the lock is handed over: to the writer that waits in front, or, if a
 *                reader does, to all readers that wait, at most 256, past the writers between them (rwsem_mark_wake)
 *
 * The holder need not live: a reboot hook that succeeded leaves luo_session_serialize_rwsem held for ever.
 */
import { assert } from '../base/assert.ts';
import { definePoint, type KernelFunction, kernelFunction, type Op } from '../base/point.ts';
import type { Stateful } from '../machine/journal.ts';
import type { LockId } from './lock.ts';
import type { Scheduler } from './scheduler.ts';
import type { Task } from './task.ts';

const DOWN_READ = kernelFunction('down_read');
const DOWN_WRITE = kernelFunction('down_write');
const READ_WAIT = definePoint('down_read', 'wait');
const WRITE_WAIT = definePoint('down_write', 'wait');

/** Readers that one release lets in at most, MAX_READERS_WAKEUP. */
const READERS_WAKEUP_MAX = 256;

/** No task holds it for writing. */
export const NO_WRITER = -1;

interface RwSemaphoreState {
  readonly writer: number;
  readonly readers: number;
}

export class RwSemaphore implements Stateful {
  readonly id: LockId;
  readonly name: string;
  readonly #sched: Scheduler;
  #writer = NO_WRITER;
  #readers = 0;
  readonly #queue: Task[] = [];

  constructor(sched: Scheduler, name: string) {
    this.id = sched.locks.register(name);
    this.name = name;
    this.#sched = sched;
    sched.journal.enlist(this);
  }

  /** Id of the task that holds it for writing, or NO_WRITER. */
  get writer(): number {
    return this.#writer;
  }

  /** How often it is held for reading. */
  get readers(): number {
    return this.#readers;
  }

  /**
   * Takes it for reading if it can; if not the task must go on with `waitRead`.
   * @kernel down_read @simplified no spinning on the owner and no stealing: who comes first is served first
   */
  tryRead(task: Task): boolean {
    this.#sched.chargeLock(task);
    if (this.#writer !== NO_WRITER || this.#queue.length !== 0) return false;
    this.#readers++;
    task.hold(this.id, 0);
    return true;
  }

  /**
   * Takes it for writing if it can; if not the task must go on with `waitWrite`.
   * @kernel down_write @simplified no spinning on the owner and no stealing: who comes first is served first
   */
  tryWrite(task: Task): boolean {
    this.#sched.chargeLock(task);
    if (this.#writer !== NO_WRITER || this.#readers !== 0) return false;
    this.#writer = task.id;
    task.hold(this.id, 0);
    return true;
  }

  /** Waits where `tryRead` just did not get in. @kernel down_read */
  *waitRead(task: Task): Op<void> {
    this.#wait(task, 'read', DOWN_READ);
    yield READ_WAIT;
    assert(this.isReadHeldBy(task), 'a reader went on without the semaphore');
  }

  /** Waits where `tryWrite` just did not get in. @kernel down_write */
  *waitWrite(task: Task): Op<void> {
    this.#wait(task, 'write', DOWN_WRITE);
    yield WRITE_WAIT;
    assert(this.isWriteHeldBy(task), 'a writer went on without the semaphore');
  }

  /** @kernel up_read @simplified the lock is handed over at once: the waiter does not have to take it */
  unlockRead(task: Task): void {
    if (this.#readers === 0 || !task.release(this.id, 0)) {
      this.#sched.bug('unlocked by a task that does not hold it', task, this.id, 0, 'read');
      return;
    }
    this.#sched.chargeLock(task);
    this.#readers--;
    const first = this.#queue[0];
    if (first === undefined) return;
    // The writer in front waits for the reader that leaves latest, which need not be the one that leaves last.
    if (this.#readers === 0) this.#handOver(first);
    else this.#sched.delay(first);
  }

  /** @kernel up_write @simplified the lock is handed over at once: the waiter does not have to take it */
  unlockWrite(task: Task): void {
    if (!this.isWriteHeldBy(task)) {
      this.#sched.bug('unlocked by a task that does not hold it', task, this.id, 0, 'write');
      return;
    }
    this.#sched.chargeLock(task);
    task.release(this.id, 0);
    this.#writer = NO_WRITER;
    const first = this.#queue[0];
    if (first !== undefined) this.#handOver(first);
  }

  isReadHeldBy(task: Task): boolean {
    return this.#readers !== 0 && task.holds(this.id, 0);
  }

  isWriteHeldBy(task: Task): boolean {
    return this.#writer === task.id;
  }

  /** Held for reading, not for writing. @kernel lockdep_assert_held_read */
  assertHeldRead(task: Task): void {
    if (!this.isReadHeldBy(task)) this.#sched.bug('not held where it must be', task, this.id, 0, 'read');
  }

  /** @kernel lockdep_assert_held_write */
  assertHeldWrite(task: Task): void {
    if (!this.isWriteHeldBy(task)) this.#sched.bug('not held where it must be', task, this.id, 0, 'write');
  }

  capture(): unknown {
    const state: RwSemaphoreState = { writer: this.#writer, readers: this.#readers };
    return state;
  }

  /** Of live waiters there are none at a mark. */
  reinstate(state: unknown): void {
    const { writer, readers } = state as RwSemaphoreState;
    this.#writer = writer;
    this.#readers = readers;
    this.#queue.length = 0;
  }

  #wait(task: Task, mode: 'read' | 'write', fn: KernelFunction): void {
    const sched = this.#sched;
    const busy = this.#writer !== NO_WRITER || this.#readers !== 0;
    assert(busy, 'a task waits for a free semaphore');
    sched.block(task, this.id, 0, mode);
    sched.trace.event(fn, sched.locks.hash(this.id), 0, task.id);
    this.#queue.push(task);
  }

  /** The writer in front, or all readers that wait. @kernel rwsem_mark_wake */
  #handOver(first: Task): void {
    if (first.waitsMode === 'write') {
      this.#writer = first.id;
      this.#enter(first);
      return;
    }
    const readers = this.#queue.filter((task) => task.waitsMode === 'read').slice(0, READERS_WAKEUP_MAX);
    for (const reader of readers) {
      this.#readers++;
      this.#enter(reader);
    }
  }

  /** A waiter goes on as a holder. */
  #enter(waiter: Task): void {
    this.#queue.splice(this.#queue.indexOf(waiter), 1);
    waiter.hold(this.id, 0);
    this.#sched.wake(waiter);
  }
}
