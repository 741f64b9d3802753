/*
 * Sessions of the previous kernel become sessions again, at the first open of /dev/liveupdate.
 *
 *   early_initcall   setupIncoming   the store looks at what was left, as far as it does that early
 *   first open       deserialize     slot by slot: allocate, insert into incoming, deserialize the session's files
 *
 * A failure is not unwound: what was restored stays on the list, and what every later open gets depends on the revision
 * (DESERIALIZE_LATCH). Whether the store's memory is freed all the same is the store's to say.
 */
import { type Answer, after } from '../base/answer.ts';
import { ERRNO, printErrno } from '../base/errno.ts';
import { kernelFunction, type Op } from '../base/point.ts';
import { fromWords, type Phys, wide } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { DESERIALIZE_FILE_ERRORS, DESERIALIZE_LATCH } from '../kernel/patches.ts';
import { STEP } from '../machine/cpu.ts';
import type { Stateful } from '../machine/journal.ts';
import type { Task } from '../sched/task.ts';
import { LUO_FILE_SET_SER, LUO_SESSION_SER } from './abi.ts';
import type { LuoFiles } from './file.ts';
import { deserializeFiles } from './file_incoming.ts';
import { NAME_WORDS, nameText } from './name.ts';
import type { SessionList } from './session_list.ts';
import type { IncomingStore, OpenIncoming } from './session_store.ts';
import { NO_SESSION, type SessionHandle, type SessionTable } from './session_table.ts';

const DESERIALIZE = kernelFunction('luo_session_deserialize');

const NAME = LUO_SESSION_SER.at.name;
const FILE_SET = LUO_SESSION_SER.at.file_set_ser;
const FILE_SET_WORDS = LUO_FILE_SET_SER.size / 4;
const FILES = LUO_FILE_SET_SER.at.files / 4;
const COUNT = LUO_FILE_SET_SER.at.count / 4;

/** What deserializing needs of the sessions it makes. */
export interface SessionMaker {
  readonly table: SessionTable;
  readonly incoming: SessionList;
  readonly files: LuoFiles;
  /** @kernel luo_session_insert */
  readonly insert: (task: Task, list: SessionList, session: SessionHandle) => Answer;
}

export class SessionDeserializer implements Stateful {
  readonly #kernel: Kernel;
  readonly #maker: SessionMaker;
  readonly #openIncoming: OpenIncoming;
  #head = wide(0);
  #store: IncomingStore | undefined;
  #isDone = false;
  /** What every open after the first gets. */
  #error = 0;

  constructor(kernel: Kernel, maker: SessionMaker, openIncoming: OpenIncoming) {
    this.#kernel = kernel;
    this.#maker = maker;
    this.#openIncoming = openIncoming;
    kernel.machine.journal.enlist(this);
  }

  /** First block of the previous kernel's chain while it is not deserialized and freed, 0 otherwise; for oracles. */
  get head(): number {
    return this.#head;
  }

  /** Looks at what the previous kernel left, as far as the store does that early. @kernel luo_session_setup_incoming */
  setupIncoming(headPhys: Phys): number {
    const store = this.#openIncoming(headPhys);
    if (typeof store === 'number') return store;
    this.#store = store;
    this.#head = headPhys;
    this.#maker.incoming.active = true;
    return 0;
  }

  /**
   * Once: 0, or the error of the first try. Before DESERIALIZE_LATCH an allocation failure is returned but not
   * remembered: a second open then succeeds over a partial list. @kernel luo_session_deserialize
   */
  *deserialize(task: Task): Op<number> {
    if (this.#isDone) return this.#error;
    this.#isDone = true;
    const store = this.#store;
    const { incoming } = this.#maker;
    if (!incoming.active || store === undefined) return 0;
    incoming.expect(store.capacity);
    let err = 0;
    for (let slot = store.nextSlot(); slot !== 0; slot = store.nextSlot()) {
      const one = this.#deserializeOne(task, slot);
      err = typeof one === 'number' ? one : yield* one;
      if (err !== 0) break;
    }
    if (err === 0) err = incoming.settle();
    if (err !== 0 && this.#kernel.has(DESERIALIZE_LATCH)) this.#error = err;
    if (err === 0 || store.freedOnFailure) {
      store.free();
      this.#head = 0;
      this.#store = undefined;
    }
    if (err === 0) this.#kernel.trace.event(DESERIALIZE, incoming.count);
    return err;
  }

  capture(): unknown {
    return [this.#head, this.#store, this.#isDone, this.#error];
  }

  reinstate(state: unknown): void {
    [this.#head, this.#store, this.#isDone, this.#error] = state as [
      number,
      IncomingStore | undefined,
      boolean,
      number,
    ];
  }

  /** One slot: allocate, insert into incoming, deserialize its files. @kernel luo_session_deserialize_one */
  #deserializeOne(task: Task, slot: number): Answer {
    const { ram } = this.#kernel.machine;
    const { table, incoming, insert } = this.#maker;
    this.#kernel.charge(STEP.entryCopied, 1);
    const session = table.alloc(ram.view(slot + NAME, NAME_WORDS), ram.viewAt);
    if (session === NO_SESSION) {
      const name = nameText(ram.view(slot + NAME, NAME_WORDS), ram.viewAt);
      this.#print(`Failed to allocate session [${name}] during deserialization ${printErrno(-ERRNO.ENOMEM)}`);
      return -ERRNO.ENOMEM;
    }
    const err = insert(task, incoming, session);
    if (typeof err !== 'number') return after(err, this, this.#inserted, task, slot, session);
    return this.#inserted(task, slot, session, err);
  }

  #inserted(task: Task, slot: number, session: SessionHandle, err: number): Answer {
    const { table } = this.#maker;
    if (err !== 0) {
      this.#print(`Failed to insert session [${table.name(session)}] ${printErrno(err)}`);
      table.free(session);
      this.#error = err;
      return err;
    }
    // Read when the session is on the list, and not before: that may have taken time.
    const { ram } = this.#kernel.machine;
    const words = ram.view(slot + FILE_SET, FILE_SET_WORDS);
    const at = ram.viewAt;
    const head = fromWords(words[at + FILES] as number, words[at + FILES + 1] as number);
    const count = fromWords(words[at + COUNT] as number, words[at + COUNT + 1] as number);
    const { mutex } = table;
    if (!mutex.tryLock(task, session)) {
      return after(mutex.wait(task, session), this, this.#deserializeFiles, task, session, head, count);
    }
    return this.#deserializeFiles(task, session, head, count);
  }

  #deserializeFiles(task: Task, session: SessionHandle, head: number, count: number): Answer {
    const err = deserializeFiles(this.#maker.files, task, session, head as Phys | 0, count);
    if (typeof err !== 'number') return after(err, this, this.#deserialized, task, session);
    return this.#deserialized(task, session, err);
  }

  #deserialized(task: Task, session: SessionHandle, err: number): number {
    const { table } = this.#maker;
    table.mutex.unlock(task, session);
    if (err === 0 || !this.#kernel.has(DESERIALIZE_FILE_ERRORS)) return 0;
    this.#print(`Failed to deserialize files for session [${table.name(session)}] ${printErrno(err)}`);
    return err;
  }

  #print(line: string): void {
    this.#kernel.printk(`luo_session: ${line}`);
  }
}
