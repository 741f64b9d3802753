/*
 * The list of file handlers, in order of registration.
 *
 *                 v6.19                                        since MODULE_PER_FILE
 *   register      W(incoming) W(outgoing), -EBUSY where        W(luo_register_rwlock)
 *                 there is a session, module pinned (-EAGAIN)
 *   unregister    the same, -EBUSY                             the same; cannot fail; FLBs of the handler go with it
 *   search        no lock                                      R(luo_register_rwlock), module pinned per file
 *
 * A handler keeps its number for as long as the kernel lives, so that files can name it.
 */
import { ERRNO } from '../base/errno.ts';
import { HANDLER_COMPATIBLE_LENGTH } from '../base/limits.ts';
import type { Op } from '../base/point.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { modulePut, moduleTryGet } from '../kernel/module.ts';
import { MODULE_PER_FILE } from '../kernel/patches.ts';
import type { FileHandle } from '../kernel/vfs.ts';
import { STEP } from '../machine/cpu.ts';
import type { Stateful } from '../machine/journal.ts';
import { RwSemaphore } from '../sched/rwsem.ts';
import type { Task } from '../sched/task.ts';
import type { FileHandler } from './file_handler.ts';
import type { SessionList } from './session_list.ts';

const COMPATIBLE_WORDS = HANDLER_COMPATIBLE_LENGTH / 4;

export class FileHandlers implements Stateful {
  /** luo_register_rwlock; none where the session lists take its place. */
  readonly rwlock: RwSemaphore | undefined;
  readonly #kernel: Kernel;
  readonly #lists: readonly SessionList[];
  readonly #enabled: () => boolean;
  /** Every handler that ever registered, by number. */
  #all: FileHandler[] = [];
  /** Numbers of those registered now, in order. */
  #registered: number[] = [];
  readonly #names: Int32Array[] = [];
  /** The test module's hook, where it is built: runs without the lock. */
  onRegister: ((task: Task, handler: FileHandler) => Op<void>) | undefined;
  /** What else goes with a handler: its FLBs. Runs under the registration lock. */
  onUnregister: ((handler: FileHandler) => void) | undefined;

  /** `lists`: incoming and outgoing sessions, in the order their locks are taken. */
  constructor(kernel: Kernel, lists: readonly SessionList[], enabled: () => boolean) {
    this.#kernel = kernel;
    this.#lists = lists;
    this.#enabled = enabled;
    if (kernel.has(MODULE_PER_FILE)) this.rwlock = new RwSemaphore(kernel.sched, 'luo_register_rwlock');
    kernel.machine.journal.enlist(this);
  }

  /** 0, -EOPNOTSUPP, -EEXIST; before MODULE_PER_FILE also -EBUSY, -EAGAIN. @kernel liveupdate_register_file_handler */
  *register(task: Task, handler: FileHandler): Op<number> {
    if (!this.#enabled()) return -ERRNO.EOPNOTSUPP;
    let err = yield* this.quiesce(task);
    if (err !== 0) return err;
    if (this.#numberOf(handler.compatible) !== -1) {
      const name = handler.compatible;
      this.#print(`File handler registration failed: Compatible string '${name}' already registered.`);
      err = -ERRNO.EEXIST;
    } else if (this.rwlock === undefined && !moduleTryGet(handler.module)) {
      err = -ERRNO.EAGAIN;
    } else {
      let number = this.#all.indexOf(handler);
      if (number === -1) number = this.#all.push(handler) - 1;
      this.#registered.push(number);
    }
    this.resume(task);
    if (err === 0 && this.onRegister !== undefined) yield* this.onRegister(task, handler);
    return err;
  }

  /** 0; before MODULE_PER_FILE -EBUSY where there is a session. @kernel liveupdate_unregister_file_handler */
  *unregister(task: Task, handler: FileHandler): Op<number> {
    if (!this.#enabled()) return this.rwlock === undefined ? -ERRNO.EOPNOTSUPP : 0;
    const err = yield* this.quiesce(task);
    if (err !== 0) return err;
    const number = this.#all.indexOf(handler);
    if (this.#registered.includes(number)) {
      this.onUnregister?.(handler);
      this.#registered = this.#registered.filter((other) => other !== number);
      if (this.rwlock === undefined) modulePut(handler.module);
    }
    this.resume(task);
    return 0;
  }

  isRegistered(handler: FileHandler): boolean {
    return this.#registered.includes(this.#all.indexOf(handler));
  }

  /** Registered handlers, in order. */
  get all(): readonly FileHandler[] {
    return this.#registered.map((number) => this.byNumber(number));
  }

  /** The handler of a file that names it; registered or not. */
  byNumber(number: number): FileHandler {
    return this.#all[number] as FileHandler;
  }

  /** Number of the first handler that takes a file, its module pinned; -1 for none. Under R(rwlock). */
  findFor(file: FileHandle): number {
    for (const number of this.#registered) {
      this.#kernel.charge(STEP.tokenHop, 1);
      if (this.byNumber(number).canPreserve(file)) return this.#pin(number);
    }
    return -1;
  }

  /** Number of the handler of a stored name, its module pinned; -1 for none. Under R(rwlock). */
  findByWords(entry: Int32Array): number {
    for (const number of this.#registered) {
      this.#kernel.charge(STEP.tokenHop, 1);
      if (sameText(this.nameWords(number), entry)) return this.#pin(number);
    }
    return -1;
  }

  /** compatible[48] of a handler as words, NUL padded. */
  nameWords(number: number): Int32Array {
    let words = this.#names[number];
    if (words === undefined) {
      words = new Int32Array(COMPATIBLE_WORDS);
      const { compatible } = this.byNumber(number);
      for (let i = 0; i < compatible.length; i++) {
        words[i >>> 2] = (words[i >>> 2] as number) | (compatible.charCodeAt(i) << ((i & 3) * 8));
      }
      this.#names[number] = words;
    }
    return words;
  }

  /** A stored name up to its NUL, for people. */
  textOf(entry: Int32Array): string {
    let text = '';
    for (let i = 0; i < HANDLER_COMPATIBLE_LENGTH; i++) {
      const byte = ((entry[i >>> 2] as number) >>> ((i & 3) * 8)) & 0xff;
      if (byte === 0) break;
      text += String.fromCharCode(byte);
    }
    return text;
  }

  /** What findFor and findByWords took. */
  unpin(number: number): void {
    if (this.rwlock !== undefined) modulePut(this.byNumber(number).module);
  }

  capture(): unknown {
    return [this.#all.slice(), this.#registered.slice()];
  }

  reinstate(state: unknown): void {
    const [all, registered] = state as [FileHandler[], number[]];
    this.#all = all.slice();
    this.#registered = registered.slice();
  }

  #numberOf(compatible: string): number {
    const found = this.#registered.find((number) => this.byNumber(number).compatible === compatible);
    return found ?? -1;
  }

  /** A module that cannot be pinned is as good as not there: the search ends. */
  #pin(number: number): number {
    return this.rwlock === undefined || moduleTryGet(this.byNumber(number).module) ? number : -1;
  }

  /** Keeps everybody from the list: 0, or -EBUSY. @kernel luo_session_quiesce */
  *quiesce(task: Task): Op<number> {
    if (this.rwlock !== undefined) {
      if (!this.rwlock.tryWrite(task)) yield* this.rwlock.waitWrite(task);
      return 0;
    }
    for (const { rwsem } of this.#lists) if (!rwsem.tryWrite(task)) yield* rwsem.waitWrite(task);
    if (this.#lists.every(({ count }) => count === 0)) return 0;
    this.resume(task);
    return -ERRNO.EBUSY;
  }

  /** @kernel luo_session_resume */
  resume(task: Task): void {
    if (this.rwlock !== undefined) this.rwlock.unlockWrite(task);
    else for (const { rwsem } of this.#lists.toReversed()) rwsem.unlockWrite(task);
  }

  #print(line: string): void {
    this.#kernel.printk(`luo_file: ${line}`);
  }
}

/** strcmp of two texts of 48 bytes: what stands behind a NUL does not count. */
function sameText(a: Int32Array, b: Int32Array): boolean {
  for (let i = 0; i < HANDLER_COMPATIBLE_LENGTH; i++) {
    const shift = (i & 3) * 8;
    const byte = ((a[i >>> 2] as number) >>> shift) & 0xff;
    if (byte !== (((b[i >>> 2] as number) >>> shift) & 0xff)) return false;
    if (byte === 0) return true;
  }
  return true;
}
