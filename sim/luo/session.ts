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
import { type Answer, after, giveWay } from '../base/answer.ts';
import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { definePoint, kernelFunction, type Op } from '../base/point.ts';
import type { Phys } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { NAME_CHECK, RETRIEVE_LOCK } from '../kernel/patches.ts';
import type { FileHandle, FileOperations, Vfs } from '../kernel/vfs.ts';
import type { Kho } from '../kho/kexec_handover.ts';
import type { Owner } from '../machine/frames.ts';
import { RwSemaphore } from '../sched/rwsem.ts';
import type { Task } from '../sched/task.ts';
import { LuoFiles } from './file.ts';
import { finishFiles } from './file_incoming.ts';
import { isValidName } from './name.ts';
import { SessionDeserializer, type SessionMaker } from './session_deserialize.ts';
import { SessionList } from './session_list.ts';
import { SessionSerializer } from './session_serialize.ts';
import type { OutgoingStore } from './session_store.ts';
import { sessionStores } from './session_stores.ts';
import { NO_SESSION, type SessionHandle, SessionTable } from './session_table.ts';

const CREATE = kernelFunction('luo_session_create');
const INSERT = kernelFunction('luo_session_insert');
const REMOVE = kernelFunction('luo_session_remove');
const RETRIEVE = kernelFunction('luo_session_retrieve');
const FINISH = kernelFunction('luo_session_finish_one');

const BLOCK = definePoint('luo_session_insert', 'block', 'fault');
const FIRST_BLOCK = definePoint('luo_session_setup_outgoing', 'block', 'fault');
const LOOKED_UP = definePoint('luo_session_retrieve', 'unlocked');

export class LuoSessions {
  readonly table: SessionTable;
  readonly outgoing: SessionList;
  readonly incoming: SessionList;
  readonly store: OutgoingStore;
  /** Readers: whatever changes a session. Writer: the reboot hook, for ever once it has succeeded. */
  readonly serializeRwsem: RwSemaphore | undefined;
  readonly files: LuoFiles;
  readonly serializer: SessionSerializer;
  readonly #deserializer: SessionDeserializer;
  readonly #kernel: Kernel;
  readonly #kho: Kho;
  readonly #vfs: Vfs;
  /** The kind of file that a session is. */
  readonly fileKind: number;
  readonly #checksName: boolean;
  /** Retrieving holds the list to its end. */
  readonly #keepsList: boolean;

  /** `enabled`: liveupdate_enabled(). */
  constructor(kernel: Kernel, kho: Kho, vfs: Vfs, enabled: () => boolean) {
    this.#kernel = kernel;
    this.#kho = kho;
    this.#vfs = vfs;
    this.#checksName = kernel.has(NAME_CHECK);
    this.#keepsList = kernel.has(RETRIEVE_LOCK);
    this.table = new SessionTable(kernel);
    this.outgoing = new SessionList(kernel, this.table, 'outgoing');
    this.incoming = new SessionList(kernel, this.table, 'incoming');
    const stores = sessionStores(kernel, (address) => kho.in.restoreFree(address));
    this.store = stores.outgoing;
    const { table: sessions, incoming, outgoing } = this;
    const lists = [incoming, outgoing];
    this.files = new LuoFiles({ kernel, kho, vfs, sessions, lists, blocks: stores.blocks, enabled });
    if (kernel.revision.parts.rebootExclusion === 'global-rwsem') {
      this.serializeRwsem = new RwSemaphore(kernel.sched, 'luo_session_serialize_rwsem');
    }
    const operations: FileOperations = {
      name: '[luo_session]',
      link: (session) => `anon_inode:[luo_session] ${this.table.name(session as SessionHandle)}`,
      release: (task, _file, session) => this.release(task, session as SessionHandle),
    };
    this.fileKind = vfs.registerKind(operations);
    this.serializer = new SessionSerializer(kernel, this);
    const maker: SessionMaker = {
      table: this.table,
      incoming: this.incoming,
      files: this.files,
      insert: (task, list, session) => this.#insert(task, list, session),
    };
    this.#deserializer = new SessionDeserializer(kernel, maker, stores.openIncoming);
  }

  /** First block of the previous kernel's chain while it is not deserialized and freed, 0 otherwise; for oracles. */
  get incomingHead(): number {
    return this.#deserializer.head;
  }

  /** Whether this file is a session; its private data is the session then. */
  isSessionFile(file: FileHandle): boolean {
    return this.#vfs.kind(file) === this.fileKind;
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

  /** @kernel luo_session_setup_incoming */
  setupIncoming(headPhys: Phys): number {
    return this.#deserializer.setupIncoming(headPhys);
  }

  /** A file for a new session, or a negative errno. `words[at..]` is the name. @kernel luo_session_create */
  create(task: Task, words: Int32Array, at: number): Answer {
    if (this.#checksName && !isValidName(words, at)) return -ERRNO.EINVAL;
    const session = this.table.alloc(words, at);
    if (session === NO_SESSION) return -ERRNO.ENOMEM;
    if (!this.tryEnter(task)) return after(this.waitEnter(task), this, this.#createEntered, task, session);
    return this.#createEntered(task, session);
  }

  #createEntered(task: Task, session: SessionHandle): Answer {
    const err = this.#insert(task, this.outgoing, session);
    if (typeof err !== 'number') return after(err, this, this.#createInserted, task, session);
    return this.#createInserted(task, session, err);
  }

  #createInserted(task: Task, session: SessionHandle, err: number): Answer {
    if (err !== 0) {
      this.table.free(session);
      this.leave(task);
      return err;
    }
    const { mutex } = this.table;
    if (!mutex.tryLock(task, session)) {
      return after(mutex.wait(task, session), this, this.#createLocked, task, session);
    }
    return this.#createLocked(task, session);
  }

  #createLocked(task: Task, session: SessionHandle): Answer {
    const file = this.#getFile(task, session);
    this.table.mutex.unlock(task, session);
    if (file >= 0) return this.#created(task, session, file);
    const removed = this.#remove(task, this.outgoing, session);
    if (typeof removed !== 'number') return after(removed, this, this.#createFailed, task, session, file);
    return this.#createFailed(task, session, file);
  }

  #createFailed(task: Task, session: SessionHandle, err: number): number {
    this.table.free(session);
    return this.#created(task, session, err);
  }

  #created(task: Task, session: SessionHandle, file: number): number {
    this.leave(task);
    this.#kernel.trace.event(CREATE, session, file);
    return file;
  }

  /** A file for an incoming session: -ENOENT, -EINVAL the second time. @kernel luo_session_retrieve */
  retrieve(task: Task, words: Int32Array, at: number): Answer {
    if (!this.tryEnter(task))
      return after(this.waitEnter(task), this, this.#retrieveEntered, task, words, at);
    return this.#retrieveEntered(task, words, at);
  }

  #retrieveEntered(task: Task, words: Int32Array, at: number): Answer {
    const { rwsem } = this.incoming;
    if (!rwsem.tryRead(task)) return after(rwsem.waitRead(task), this, this.#retrieveListed, task, words, at);
    return this.#retrieveListed(task, words, at);
  }

  #retrieveListed(task: Task, words: Int32Array, at: number): Answer {
    const session = this.incoming.scan(words, at);
    if (!this.#keepsList || session === NO_SESSION) this.incoming.rwsem.unlockRead(task);
    if (session === NO_SESSION) {
      this.leave(task);
      return -ERRNO.ENOENT;
    }
    if (this.#kernel.sched.contended)
      return after(giveWay(LOOKED_UP), this, this.#retrieveFound, task, session);
    return this.#retrieveFound(task, session);
  }

  #retrieveFound(task: Task, session: SessionHandle): Answer {
    const { mutex } = this.table;
    if (!mutex.tryLock(task, session)) {
      return after(mutex.wait(task, session), this, this.#retrieveLocked, task, session);
    }
    return this.#retrieveLocked(task, session);
  }

  #retrieveLocked(task: Task, session: SessionHandle): number {
    let file: FileHandle | number = -ERRNO.EINVAL;
    if (!this.table.retrieved(session)) {
      file = this.#getFile(task, session);
      if (file >= 0) this.table.setRetrieved(session);
    }
    this.table.mutex.unlock(task, session);
    if (this.#keepsList) this.incoming.rwsem.unlockRead(task);
    this.leave(task);
    this.#kernel.trace.event(RETRIEVE, session, file);
    return file;
  }

  /** Nothing keeps what changes a session from going on: no reboot is under way. @kernel luo_session_ioctl */
  tryEnter(task: Task): boolean {
    return this.serializeRwsem === undefined || this.serializeRwsem.tryRead(task);
  }

  /** Waits where `tryEnter` just did not get in. @kernel luo_session_ioctl */
  waitEnter(task: Task): Op<void> {
    return (this.serializeRwsem as RwSemaphore).waitRead(task);
  }

  /** @kernel luo_session_ioctl */
  leave(task: Task): void {
    this.serializeRwsem?.unlockRead(task);
  }

  /** Files of the session are done with: 0, or -EBUSY where one is not. @kernel luo_session_finish_one */
  finish(task: Task, session: SessionHandle): Answer {
    const { mutex } = this.table;
    if (!mutex.tryLock(task, session)) {
      return after(mutex.wait(task, session), this, this.#finishLocked, task, session);
    }
    return this.#finishLocked(task, session);
  }

  #finishLocked(task: Task, session: SessionHandle): Answer {
    const err = finishFiles(this.files, task, session);
    if (typeof err !== 'number') return after(err, this, this.#finished, task, session);
    return this.#finished(task, session, err);
  }

  #finished(task: Task, session: SessionHandle, err: number): number {
    this.table.mutex.unlock(task, session);
    this.#kernel.trace.event(FINISH, session, err);
    return err;
  }

  /**
   * The last reference to the session's file is gone.
   * @kernel luo_session_release
   */
  release(task: Task, session: SessionHandle): Answer {
    if (!this.tryEnter(task)) return after(this.waitEnter(task), this, this.#releaseEntered, task, session);
    return this.#releaseEntered(task, session);
  }

  #releaseEntered(task: Task, session: SessionHandle): Answer {
    if (this.table.retrieved(session)) {
      const err = this.finish(task, session);
      if (typeof err !== 'number') {
        return after(err, this, this.#releaseEnded, task, this.incoming, session);
      }
      return this.#releaseEnded(task, this.incoming, session, err);
    }
    const { mutex } = this.table;
    if (!mutex.tryLock(task, session)) {
      return after(mutex.wait(task, session), this, this.#releaseLocked, task, session);
    }
    return this.#releaseLocked(task, session);
  }

  /** An outgoing session. */
  #releaseLocked(task: Task, session: SessionHandle): Answer {
    const unpreserved = this.files.unpreserveFiles(task, session);
    if (typeof unpreserved !== 'number') return after(unpreserved, this, this.#unpreserved, task, session);
    return this.#unpreserved(task, session);
  }

  #unpreserved(task: Task, session: SessionHandle): Answer {
    this.table.mutex.unlock(task, session);
    return this.#releaseEnded(task, this.outgoing, session, 0);
  }

  #releaseEnded(task: Task, list: SessionList, session: SessionHandle, err: number): Answer {
    if (err !== 0) {
      this.#print(`Unable to finish session [${this.table.name(session)}] on release`);
      this.leave(task);
      return err;
    }
    const removed = this.#remove(task, list, session);
    if (typeof removed !== 'number') return after(removed, this, this.#released, task, session);
    return this.#released(task, session);
  }

  #released(task: Task, session: SessionHandle): number {
    this.table.free(session);
    this.leave(task);
    return 0;
  }

  /** @kernel luo_session_serialize */
  serialize(task: Task): Op<number> {
    return this.serializer.serialize(task);
  }

  /** Sessions of the previous kernel become sessions again, once. @kernel luo_session_deserialize */
  deserialize(task: Task): Op<number> {
    return this.#deserializer.deserialize(task);
  }

  /** Links a session: -EEXIST, -ENOMEM, -ENOSPC; the outgoing list gets its block first. @kernel luo_session_insert */
  #insert(task: Task, list: SessionList, session: SessionHandle): Answer {
    const { rwsem } = list;
    if (!rwsem.tryWrite(task)) {
      return after(rwsem.waitWrite(task), this, this.#insertLocked, task, list, session);
    }
    return this.#insertLocked(task, list, session);
  }

  #insertLocked(task: Task, list: SessionList, session: SessionHandle): Answer {
    const room = list === this.outgoing ? this.store.room(list.count) : 0;
    if (room > 0) return after(this.#grow(task), this, this.#link, task, list, session);
    return this.#link(task, list, session, room);
  }

  /** Blocks for one session more: 0 or a negative errno. */
  *#grow(task: Task): Op<number> {
    const { store, outgoing } = this;
    let err = store.room(outgoing.count);
    while (err > 0) {
      const address = yield* this.#kho.out.allocPreserve(task, store.blockBytes, this.#blockOwner(), BLOCK);
      err = address < 0 ? address : store.addBlock(address as Phys);
      if (err < 0 && address >= 0) yield* this.#kho.out.unpreserveFree(task, address as Phys);
      if (err === 0) err = store.room(outgoing.count);
    }
    return err;
  }

  #link(task: Task, list: SessionList, session: SessionHandle, room: number): number {
    const hash = this.table.hash(session);
    let err = room;
    if (err === 0 && list.taken(session)) err = -ERRNO.EEXIST;
    if (err === 0) err = list.append(session);
    this.#kernel.trace.event(INSERT, session, hash, err);
    list.rwsem.unlockWrite(task);
    return err;
  }

  /** @kernel luo_session_remove */
  #remove(task: Task, list: SessionList, session: SessionHandle): Answer {
    const { rwsem } = list;
    if (!rwsem.tryWrite(task)) {
      return after(rwsem.waitWrite(task), this, this.#removeLocked, task, list, session);
    }
    return this.#removeLocked(task, list, session);
  }

  #removeLocked(task: Task, list: SessionList, session: SessionHandle): Answer {
    list.unlink(session);
    const block = list === this.outgoing ? this.store.dropBlock(list.count) : 0;
    if (block !== 0) return after(this.#shrink(task, block), this, this.#removed, task, list, session);
    return this.#removed(task, list, session);
  }

  /** Gives a block back, and all others that nobody needs. */
  *#shrink(task: Task, first: number): Op<void> {
    for (let block = first; block !== 0; block = this.store.dropBlock(this.outgoing.count)) {
      yield* this.#kho.out.unpreserveFree(task, block as Phys);
    }
  }

  #removed(task: Task, list: SessionList, session: SessionHandle): number {
    this.#kernel.trace.event(REMOVE, session, list.count);
    list.rwsem.unlockWrite(task);
    return 0;
  }

  /** @kernel luo_session_getfile */
  #getFile(task: Task, session: SessionHandle): FileHandle | number {
    return this.#vfs.allocFile(task, this.fileKind, session);
  }

  #blockOwner(): Owner {
    return this.#kernel.frames.owner('luo session block');
  }

  #print(line: string): void {
    this.#kernel.printk(`luo_session: ${line}`);
  }
}
