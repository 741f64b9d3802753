/*
 * The reboot hook's part of sessions: each is frozen and written to its slot, in list order.
 *
 *   W(serialize)  W(outgoing)  | M(session): freeze its files, fill its slot | ... | commit the store, publish its head
 *
 * A failure walks back over the sessions that were written. On success the first lock stays held where there is one
 * (SERIALIZE_RWSEM): nothing may change a session any more.
 */
import { ERRNO } from '../base/errno.ts';
import { definePoint, kernelFunction, type Op } from '../base/point.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { STEP } from '../machine/cpu.ts';
import type { RwSemaphore } from '../sched/rwsem.ts';
import type { Task } from '../sched/task.ts';
import { LUO_SESSION_SER } from './abi.ts';
import type { LuoFiles } from './file.ts';
import { freezeFiles, unfreezeFiles } from './file_freeze.ts';
import { NAME_WORDS } from './name.ts';
import type { SessionList } from './session_list.ts';
import type { OutgoingStore } from './session_store.ts';
import { NO_SESSION, type SessionHandle, type SessionTable } from './session_table.ts';

const SERIALIZE = kernelFunction('luo_session_serialize');
const FREEZE = definePoint('luo_session_freeze_one', 'freeze', 'fault');
const SERIALIZED = definePoint('luo_session_serialize', 'unlocked');

const NAME = LUO_SESSION_SER.at.name;
const FILE_SET = LUO_SESSION_SER.at.file_set_ser;
const NO_NAME = new Int32Array(NAME_WORDS);

/** What is serialized, and where to. */
export interface Serializable {
  readonly table: SessionTable;
  readonly outgoing: SessionList;
  readonly store: OutgoingStore;
  readonly files: LuoFiles;
  readonly serializeRwsem: RwSemaphore | undefined;
}

export class SessionSerializer {
  /** Tells the next kernel where the sessions are, where that is said at the reboot and not at boot. */
  publish: ((headPhys: number) => void) | undefined;
  readonly #kernel: Kernel;
  readonly #sessions: Serializable;

  constructor(kernel: Kernel, sessions: Serializable) {
    this.#kernel = kernel;
    this.#sessions = sessions;
  }

  /** Freezes every session into the store, in list order; undone completely on failure. @kernel luo_session_serialize */
  *serialize(task: Task): Op<number> {
    const { table, outgoing, store, serializeRwsem } = this.#sessions;
    const { rwsem } = outgoing;
    if (serializeRwsem !== undefined && !serializeRwsem.tryWrite(task)) yield* serializeRwsem.waitWrite(task);
    if (!rwsem.tryWrite(task)) yield* rwsem.waitWrite(task);
    this.publish?.(0);
    store.begin();
    let err = 0;
    let failed = NO_SESSION;
    for (let session = outgoing.head; session !== NO_SESSION; session = table.next(session)) {
      const slot = store.nextSlot();
      if (slot === 0) {
        this.#kernel.warn('luo_session_serialize: no slot for a session');
        err = -ERRNO.ENOSPC;
      } else {
        if (!table.mutex.tryLock(task, session)) yield* table.mutex.wait(task, session);
        err = this.#freezeOne(task, session, slot);
        table.mutex.unlock(task, session);
      }
      if (err !== 0) {
        failed = session;
        if (slot !== 0) store.previousSlot();
        break;
      }
    }
    if (err === 0) {
      store.commit(outgoing.count);
      this.publish?.(outgoing.count > 0 ? store.headPhys : 0);
    } else {
      yield* this.#undo(task, failed);
    }
    this.#kernel.trace.event(SERIALIZE, outgoing.count, store.blocks, err);
    rwsem.unlockWrite(task);
    // On success it stays held: nothing may change a session any more.
    if (err !== 0) serializeRwsem?.unlockWrite(task);
    if (this.#kernel.sched.contended) yield SERIALIZED;
    return err;
  }

  /** Freezes a session's files and fills its slot. @kernel luo_session_freeze_one */
  #freezeOne(task: Task, session: SessionHandle, slot: number): number {
    const { ram, decisions } = this.#kernel.machine;
    if (decisions.fails(FREEZE)) return -ERRNO.EIO;
    const { table, files } = this.#sessions;
    // Without files the slot keeps what stands there, which is 0 unless an earlier attempt was not undone.
    const err = freezeFiles(files, task, session, slot + FILE_SET);
    if (err !== 0) return err;
    table.storeName(session, ram, slot + NAME);
    this.#kernel.charge(STEP.entryCopied, 1);
    return 0;
  }

  /** Walks back from the session before the failing one: files unfrozen, name zeroed. @kernel luo_session_unfreeze_one */
  *#undo(task: Task, failed: SessionHandle): Op<void> {
    const { table, store, files } = this.#sessions;
    for (let session = table.prev(failed); session !== NO_SESSION; session = table.prev(session)) {
      const slot = store.previousSlot();
      if (!table.mutex.tryLock(task, session)) yield* table.mutex.wait(task, session);
      unfreezeFiles(files, task, session, slot + FILE_SET);
      table.mutex.unlock(task, session);
      this.#kernel.machine.ram.storeWords(slot + NAME, NO_NAME, 0, NAME_WORDS);
    }
  }
}
