/*
 * Sessions of the Live Update Orchestrator, in every revision (kernel/revisions.ts).
 *
 *   locks, in order     luo_session_serialize_rwsem   v7.1, v7.3: readers change sessions, the reboot hook writes
 *                       luo_session_header.rwsem      the lists and their counts, the outgoing store
 *                       luo_session.mutex             what is in a session, and whether it was retrieved
 *
 *                 before the locking series (v6.19, v7.0, april)   since (v7.1, v7.3)
 *   create        W(outgoing); M around making the file            R(serialize) over all of it
 *   release       M to finish, dropped; W(list) to remove          R(serialize) over all of it
 *   retrieve      R(incoming) around the scan only; M              R(serialize), R(incoming) and M to the end
 *   serialize     W(outgoing), M per session; dropped when it      W(serialize) around it, kept for ever on success
 *                 returns: sessions may change until the jump
 *   deserialize   W(incoming) per insert; no lock keeps it from the reboot hook, only one opener runs it
 */
import { assert } from '../base/assert.ts';
import { ERRNO, printErrno } from '../base/errno.ts';
import { definePoint, kernelFunction, type Op } from '../base/point.ts';
import type { Phys } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { DESERIALIZE_LATCH, NAME_CHECK, RETRIEVE_LOCK } from '../kernel/patches.ts';
import type { FileHandle, FileOperations, Vfs } from '../kernel/vfs.ts';
import type { Kho } from '../kho/kexec_handover.ts';
import { STEP } from '../machine/cpu.ts';
import type { Owner } from '../machine/frames.ts';
import type { Stateful } from '../machine/journal.ts';
import { RwSemaphore } from '../sched/rwsem.ts';
import type { Task } from '../sched/task.ts';
import { LUO_FILE_SET_SER, LUO_SESSION_SER } from './abi.ts';
import { hashName, isValidName, NAME_WORDS, nameText, normaliseName } from './name.ts';
import { SessionList } from './session_list.ts';
import type { IncomingStore, OpenIncoming, OutgoingStore } from './session_store.ts';
import { sessionStores } from './session_stores.ts';
import { NO_SESSION, type SessionHandle, SessionTable } from './session_table.ts';

const CREATE = kernelFunction('luo_session_create');
const INSERT = kernelFunction('luo_session_insert');
const REMOVE = kernelFunction('luo_session_remove');
const RETRIEVE = kernelFunction('luo_session_retrieve');
const FINISH = kernelFunction('luo_session_finish_one');
const SERIALIZE = kernelFunction('luo_session_serialize');
const DESERIALIZE = kernelFunction('luo_session_deserialize');

const BLOCK = definePoint('luo_session_insert', 'block', 'fault');
const FIRST_BLOCK = definePoint('luo_session_setup_outgoing', 'block', 'fault');
const FREEZE = definePoint('luo_session_freeze_one', 'freeze', 'fault');
const LOOKED_UP = definePoint('luo_session_retrieve', 'unlocked');
const SERIALIZED = definePoint('luo_session_serialize', 'unlocked');

const NAME = LUO_SESSION_SER.at.name;
const FILE_SET = LUO_SESSION_SER.at.file_set_ser;
const SLOT_WORDS = LUO_SESSION_SER.size / 4;

export class LuoSessions implements Stateful {
  readonly table: SessionTable;
  readonly outgoing: SessionList;
  readonly incoming: SessionList;
  readonly store: OutgoingStore;
  /** Readers: whatever changes a session. Writer: the reboot hook, for ever once it has succeeded. */
  readonly serializeRwsem: RwSemaphore | undefined;
  /** Tells the next kernel where the sessions are, where that is said at the reboot and not at boot. */
  publish: ((headPhys: number) => void) | undefined;
  readonly #openIncoming: OpenIncoming;
  readonly #kernel: Kernel;
  readonly #kho: Kho;
  readonly #vfs: Vfs;
  readonly #fileKind: number;
  readonly #slot = new Int32Array(SLOT_WORDS);
  readonly #name = new Int32Array(NAME_WORDS);
  #incomingHead = 0;
  #incomingStore: IncomingStore | undefined;
  #isDeserialized = false;
  /** What every open after the first gets. */
  #deserializeError = 0;

  constructor(kernel: Kernel, kho: Kho, vfs: Vfs) {
    this.#kernel = kernel;
    this.#kho = kho;
    this.#vfs = vfs;
    this.table = new SessionTable(kernel);
    this.outgoing = new SessionList(kernel, this.table, 'outgoing');
    this.incoming = new SessionList(kernel, this.table, 'incoming');
    const stores = sessionStores(kernel, (address) => kho.in.restoreFree(address));
    this.store = stores.outgoing;
    this.#openIncoming = stores.openIncoming;
    if (kernel.revision.parts.rebootExclusion === 'global-rwsem') {
      this.serializeRwsem = new RwSemaphore(kernel.sched, 'luo_session_serialize_rwsem');
    }
    const operations: FileOperations = {
      name: '[luo_session]',
      release: (task, _file, session) => this.release(task, session as SessionHandle),
    };
    this.#fileKind = vfs.registerKind(operations);
    kernel.machine.journal.enlist(this);
  }

  /** First block of the previous kernel's chain while it is not deserialized and freed, 0 otherwise; for oracles. */
  get incomingHead(): number {
    return this.#incomingHead;
  }

  /** Whether this file is a session; its private data is the session then. */
  isSessionFile(file: FileHandle): boolean {
    return this.#vfs.kind(file) === this.#fileKind;
  }

  /** First block of the chain, published at boot; 0 or a negative errno. @kernel luo_session_setup_outgoing */
  *setupOutgoing(task: Task): Op<number> {
    const { blocksAtBoot, blockBytes } = this.store;
    for (let block = 0; block < blocksAtBoot; block++) {
      const address = yield* this.#kho.out.allocPreserve(task, blockBytes, this.#blockOwner(), FIRST_BLOCK);
      if (address < 0) return address;
      const err = this.store.addBlock(address as Phys);
      assert(err === 0, 'the first block is never one too many');
    }
    this.outgoing.active = true;
    return 0;
  }

  /** Looks at what the previous kernel left, as far as the store does that early. @kernel luo_session_setup_incoming */
  setupIncoming(headPhys: Phys): number {
    const store = this.#openIncoming(headPhys);
    if (typeof store === 'number') return store;
    this.#incomingStore = store;
    this.#incomingHead = headPhys;
    this.incoming.active = true;
    return 0;
  }

  /** A file for a new session, or a negative errno. `words[at..]` is the name. @kernel luo_session_create */
  *create(task: Task, words: Int32Array, at: number): Op<FileHandle | number> {
    if (this.#kernel.has(NAME_CHECK) && !isValidName(words, at)) return -ERRNO.EINVAL;
    const session = this.#alloc(words, at);
    if (session === NO_SESSION) return -ERRNO.ENOMEM;
    const { serializeRwsem } = this;
    if (serializeRwsem !== undefined && !serializeRwsem.tryRead(task)) yield* serializeRwsem.waitRead(task);
    const err = yield* this.#insert(task, this.outgoing, session);
    if (err !== 0) {
      this.table.free(session);
      serializeRwsem?.unlockRead(task);
      return err;
    }
    if (!this.table.mutex.tryLock(task, session)) yield* this.table.mutex.wait(task, session);
    const file = this.#getFile(task, session);
    this.table.mutex.unlock(task, session);
    if (file < 0) {
      yield* this.#remove(task, this.outgoing, session);
      this.table.free(session);
    }
    serializeRwsem?.unlockRead(task);
    this.#kernel.trace.event(CREATE, session, file);
    return file;
  }

  /** A file for an incoming session: -ENOENT, -EINVAL the second time. @kernel luo_session_retrieve */
  *retrieve(task: Task, words: Int32Array, at: number): Op<FileHandle | number> {
    // A name without NUL is equal to none that is stored.
    normaliseName(words, at);
    const { serializeRwsem } = this;
    const { rwsem } = this.incoming;
    const keepsList = this.#kernel.has(RETRIEVE_LOCK);
    if (serializeRwsem !== undefined && !serializeRwsem.tryRead(task)) yield* serializeRwsem.waitRead(task);
    if (!rwsem.tryRead(task)) yield* rwsem.waitRead(task);
    const session = this.incoming.scan(words, at);
    if (!keepsList || session === NO_SESSION) rwsem.unlockRead(task);
    if (session === NO_SESSION) {
      serializeRwsem?.unlockRead(task);
      return -ERRNO.ENOENT;
    }
    if (this.#kernel.sched.contended) yield LOOKED_UP;
    if (!this.table.mutex.tryLock(task, session)) yield* this.table.mutex.wait(task, session);
    let file: FileHandle | number = -ERRNO.EINVAL;
    if (!this.table.retrieved(session)) {
      file = this.#getFile(task, session);
      if (file >= 0) this.table.setRetrieved(session);
    }
    this.table.mutex.unlock(task, session);
    if (keepsList) rwsem.unlockRead(task);
    serializeRwsem?.unlockRead(task);
    this.#kernel.trace.event(RETRIEVE, session, file);
    return file;
  }

  /** Waits until no reboot is under way, as every session ioctl does. @kernel luo_session_ioctl */
  *enter(task: Task): Op<void> {
    const { serializeRwsem } = this;
    if (serializeRwsem !== undefined && !serializeRwsem.tryRead(task)) yield* serializeRwsem.waitRead(task);
  }

  /** @kernel luo_session_ioctl */
  leave(task: Task): void {
    this.serializeRwsem?.unlockRead(task);
  }

  /** Files of the session are done with: 0. @kernel luo_session_finish_one */
  *finish(task: Task, session: SessionHandle): Op<number> {
    if (!this.table.mutex.tryLock(task, session)) yield* this.table.mutex.wait(task, session);
    this.table.mutex.unlock(task, session);
    this.#kernel.trace.event(FINISH, session);
    return 0;
  }

  /** The last reference to the session's file is gone. @kernel luo_session_release */
  *release(task: Task, session: SessionHandle): Op<number> {
    const { serializeRwsem } = this;
    if (serializeRwsem !== undefined && !serializeRwsem.tryRead(task)) yield* serializeRwsem.waitRead(task);
    let list = this.outgoing;
    let err = 0;
    if (this.table.retrieved(session)) {
      err = yield* this.finish(task, session);
      list = this.incoming;
    }
    if (err === 0) {
      yield* this.#remove(task, list, session);
      this.table.free(session);
    } else {
      this.#print(`Unable to finish session [${this.table.name(session)}] on release`);
    }
    serializeRwsem?.unlockRead(task);
    return err;
  }

  /** Freezes every session into the store, in list order; undone completely on failure. @kernel luo_session_serialize */
  *serialize(task: Task): Op<number> {
    const { serializeRwsem } = this;
    const { rwsem } = this.outgoing;
    if (serializeRwsem !== undefined && !serializeRwsem.tryWrite(task)) yield* serializeRwsem.waitWrite(task);
    if (!rwsem.tryWrite(task)) yield* rwsem.waitWrite(task);
    this.publish?.(0);
    this.store.begin();
    let err = 0;
    let failed = NO_SESSION;
    for (let session = this.outgoing.head; session !== NO_SESSION; session = this.table.next(session)) {
      const slot = this.store.nextSlot();
      if (slot === 0) {
        this.#kernel.warn('luo_session_serialize: no slot for a session');
        err = -ERRNO.ENOSPC;
      } else {
        if (!this.table.mutex.tryLock(task, session)) yield* this.table.mutex.wait(task, session);
        err = this.#freezeOne(session, slot);
        this.table.mutex.unlock(task, session);
      }
      if (err !== 0) {
        failed = session;
        if (slot !== 0) this.store.previousSlot();
        break;
      }
    }
    if (err === 0) {
      this.store.commit(this.outgoing.count);
      this.publish?.(this.outgoing.count > 0 ? this.store.headPhys : 0);
    } else {
      this.#undoSerialize(failed);
    }
    this.#kernel.trace.event(SERIALIZE, this.outgoing.count, this.store.blocks, err);
    rwsem.unlockWrite(task);
    // On success it stays held: nothing may change a session any more.
    if (err !== 0) serializeRwsem?.unlockWrite(task);
    if (this.#kernel.sched.contended) yield SERIALIZED;
    return err;
  }

  /**
   * Sessions of the previous kernel become sessions again, once: 0, or the error of the first try. An allocation
   * failure is returned but not remembered: a second open then succeeds over a partial list (as in v6.19 and v7.0).
   * @kernel luo_session_deserialize
   */
  *deserialize(task: Task): Op<number> {
    if (this.#isDeserialized) return this.#deserializeError;
    this.#isDeserialized = true;
    const store = this.#incomingStore;
    if (!this.incoming.active || store === undefined) return 0;
    let err = 0;
    for (let slot = store.nextSlot(); slot !== 0; slot = store.nextSlot()) {
      err = yield* this.#deserializeOne(task, slot);
      if (err !== 0) break;
    }
    if (err !== 0 && this.#kernel.has(DESERIALIZE_LATCH)) this.#deserializeError = err;
    if (err === 0 || store.freedOnFailure) {
      store.free();
      this.#incomingHead = 0;
      this.#incomingStore = undefined;
    }
    if (err === 0) this.#kernel.trace.event(DESERIALIZE, this.incoming.count);
    return err;
  }

  capture(): unknown {
    return [this.#incomingHead, this.#incomingStore, this.#isDeserialized, this.#deserializeError];
  }

  reinstate(state: unknown): void {
    [this.#incomingHead, this.#incomingStore, this.#isDeserialized, this.#deserializeError] = state as [
      number,
      IncomingStore | undefined,
      boolean,
      number,
    ];
  }

  /** @kernel luo_session_alloc */
  #alloc(words: Int32Array, at: number): SessionHandle {
    this.#kernel.charge(STEP.slabAlloc, 1);
    return this.table.alloc(words, at);
  }

  /** Links a session: -EEXIST, -ENOMEM, -ENOSPC; the outgoing list gets its block first. @kernel luo_session_insert */
  *#insert(task: Task, list: SessionList, session: SessionHandle): Op<number> {
    const { rwsem } = list;
    if (!rwsem.tryWrite(task)) yield* rwsem.waitWrite(task);
    let err = 0;
    if (list === this.outgoing) {
      err = this.store.room(list.count);
      while (err > 0) {
        const { blockBytes } = this.store;
        const address = yield* this.#kho.out.allocPreserve(task, blockBytes, this.#blockOwner(), BLOCK);
        err = address < 0 ? address : this.store.addBlock(address as Phys);
        if (err < 0 && address >= 0) yield* this.#kho.out.unpreserveFree(task, address as Phys);
        if (err === 0) err = this.store.room(list.count);
      }
    }
    const name = this.#name;
    this.table.loadName(session, name, 0);
    if (err === 0 && list.scan(name, 0) !== NO_SESSION) err = -ERRNO.EEXIST;
    if (err === 0) list.append(session);
    this.#kernel.trace.event(INSERT, session, hashName(name, 0), err);
    rwsem.unlockWrite(task);
    return err;
  }

  /** @kernel luo_session_remove */
  *#remove(task: Task, list: SessionList, session: SessionHandle): Op<void> {
    const { rwsem } = list;
    if (!rwsem.tryWrite(task)) yield* rwsem.waitWrite(task);
    list.unlink(session);
    if (list === this.outgoing) {
      for (
        let block = this.store.dropBlock(list.count);
        block !== 0;
        block = this.store.dropBlock(list.count)
      ) {
        yield* this.#kho.out.unpreserveFree(task, block as Phys);
      }
    }
    this.#kernel.trace.event(REMOVE, session, list.count);
    rwsem.unlockWrite(task);
  }

  /** @kernel luo_session_getfile */
  #getFile(task: Task, session: SessionHandle): FileHandle | number {
    this.#kernel.charge(STEP.slabAlloc, 2);
    return this.#vfs.allocFile(task, this.#fileKind, session);
  }

  /** Freezes a session's files and fills its slot. @kernel luo_session_freeze_one */
  #freezeOne(session: SessionHandle, slot: number): number {
    if (this.#kernel.machine.decisions.fails(FREEZE)) return -ERRNO.EIO;
    this.table.loadName(session, this.#slot, 0);
    this.#kernel.machine.ram.storeWords(slot + NAME, this.#slot, 0, SLOT_WORDS);
    this.#kernel.charge(STEP.entryCopied, 1);
    return 0;
  }

  /** Walks back from the session before the failing one: files unfrozen, name zeroed. @kernel luo_session_unfreeze_one */
  #undoSerialize(failed: SessionHandle): void {
    const { ram } = this.#kernel.machine;
    const zero = new Int32Array(NAME_WORDS);
    for (let session = this.table.prev(failed); session !== NO_SESSION; session = this.table.prev(session)) {
      const slot = this.store.previousSlot();
      ram.storeWords(slot + NAME, zero, 0, NAME_WORDS);
    }
  }

  /** One slot: allocate, insert into incoming, deserialize its files. @kernel luo_session_deserialize_one */
  *#deserializeOne(task: Task, slot: number): Op<number> {
    const { ram } = this.#kernel.machine;
    ram.loadWords(slot, this.#slot, 0, SLOT_WORDS);
    this.#kernel.charge(STEP.entryCopied, 1);
    const session = this.#alloc(this.#slot, NAME / 4);
    if (session === NO_SESSION) {
      const name = nameText(this.#slot, NAME / 4);
      this.#print(`Failed to allocate session [${name}] during deserialization ${printErrno(-ERRNO.ENOMEM)}`);
      return -ERRNO.ENOMEM;
    }
    const err = yield* this.#insert(task, this.incoming, session);
    if (err !== 0) {
      this.#print(`Failed to insert session [${this.table.name(session)}] ${printErrno(err)}`);
      this.table.free(session);
      this.#deserializeError = err;
      return err;
    }
    if (ram.load64(slot + FILE_SET + LUO_FILE_SET_SER.at.files) === 0) {
      if (ram.load64(slot + FILE_SET + LUO_FILE_SET_SER.at.count) !== 0)
        this.#kernel.warn('luo_file_deserialize');
    }
    return 0;
  }

  #blockOwner(): Owner {
    return this.#kernel.frames.owner('luo session block');
  }

  #print(line: string): void {
    this.#kernel.printk(`luo_session: ${line}`);
  }
}
