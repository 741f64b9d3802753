/*
 * Files of a session in the kernel that preserves them. Everything here runs under session.mutex.
 *
 *   preserve      token unused -EEXIST | room -ENOSPC | descriptor -EBADF | region of the first file (arrays) | handler
 *                 -ENOENT | not preserved yet -EBUSY | FLBs of the handler | luo_file -ENOMEM | handler.preserve | listed
 *                 A failure undoes what was done, in reverse. With blocks the room is made before the descriptor is
 *                 looked up, and given back last.
 *   unpreserve    the same backwards, from the last file to the first
 *
 *   locks below session.mutex   luo_register_rwlock (read), dropped; FLB locks, dropped; the handler's own
 *
 * Freeze is in file_freeze.ts, the other kernel's part in file_incoming.ts.
 */
import type { Answer } from '../base/answer.ts';
import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { definePoint, kernelFunction, type Op } from '../base/point.ts';
import type { Phys } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { FileHandle, Vfs } from '../kernel/vfs.ts';
import { KhoBlockTable } from '../kho/block_table.ts';
import type { Kho } from '../kho/kexec_handover.ts';
import { STEP } from '../machine/cpu.ts';
import type { Owner } from '../machine/frames.ts';
import type { Task } from '../sched/task.ts';
import type { FileHandler, FileOpArgs } from './file_handler.ts';
import { FileHandlers } from './file_handlers.ts';
import { FileSets } from './file_sets.ts';
import { FileTable, type LuoFile, NO_FILE } from './file_table.ts';
import { LuoFlbs } from './flb_objects.ts';
import { PreservedFiles } from './preserved_files.ts';
import type { SessionList } from './session_list.ts';
import type { SessionHandle, SessionTable } from './session_table.ts';

const PRESERVE = kernelFunction('luo_preserve_file');
const UNPRESERVE = kernelFunction('luo_file_unpreserve_files');
const REGION = definePoint('luo_preserve_file', 'region', 'fault');
const UNDONE = -1;

/** A token: u64 in two words. */
export interface Token {
  readonly low: number;
  readonly high: number;
}

/** The caller's descriptors. */
export interface Descriptors {
  /** A file with one more reference, or -EBADF. @kernel fget */
  fget(fd: number): FileHandle | number;
  /** Drops such a reference; what follows from the last one may have to wait for the way back to user mode. */
  fput(file: FileHandle): void;
}

/** A session list's lock order, and what else the files of sessions need. */
export interface FileWorld {
  readonly kernel: Kernel;
  readonly kho: Kho;
  readonly vfs: Vfs;
  readonly sessions: SessionTable;
  /** incoming, outgoing */
  readonly lists: readonly SessionList[];
  /** The block sets' table, where sessions have one already. */
  readonly blocks: KhoBlockTable | undefined;
  readonly enabled: () => boolean;
}

export class LuoFiles {
  readonly table: FileTable;
  readonly sets: FileSets;
  readonly handlers: FileHandlers;
  readonly flbs: LuoFlbs;
  readonly preserved: PreservedFiles;
  readonly kernel: Kernel;
  readonly kho: Kho;
  readonly vfs: Vfs;

  constructor({ kernel, kho, vfs, sessions, lists, blocks, enabled }: FileWorld) {
    this.kernel = kernel;
    this.kho = kho;
    this.vfs = vfs;
    this.table = new FileTable(kernel);
    const table = (): KhoBlockTable => blocks ?? new KhoBlockTable(kernel);
    this.sets = new FileSets(kernel, sessions, this.table, table, (address) => kho.in.restoreFree(address));
    this.handlers = new FileHandlers(kernel, lists, enabled);
    this.flbs = new LuoFlbs(kernel, this.handlers, enabled);
    this.preserved = new PreservedFiles(kernel, this.table);
  }

  /** What blocks of file metadata belong to. */
  get regionOwner(): Owner {
    return this.kernel.frames.owner('luo file block');
  }

  /** Preserves a descriptor under a token: 0 or a negative errno. @kernel luo_preserve_file */
  *preserve(task: Task, set: SessionHandle, token: Token, fd: number, user: Descriptors): Op<number> {
    const { kernel, sets, handlers, preserved, table } = this;
    const { store } = sets;
    if (sets.find(set, token.low, token.high) !== NO_FILE) return -ERRNO.EEXIST;
    const count = sets.count(set);
    const room = store.room(set, count);
    let err = room > 0 && store.growsFirst ? yield* this.#grow(task, set, count) : Math.min(room, 0);
    if (err !== 0) return err;
    const file = user.fget(fd);
    err = Math.min(file, 0);
    if (err === 0 && !store.growsFirst && room > 0) err = yield* this.#grow(task, set, count);
    const handler = err === 0 ? yield* this.#handlerFor(task, file as FileHandle) : UNDONE;
    if (err === 0 && handler === UNDONE) err = -ERRNO.ENOENT;
    const ops = handler === UNDONE ? undefined : handlers.byNumber(handler);
    const id = ops === undefined ? 0 : this.idOf(ops, file as FileHandle);
    if (ops !== undefined) {
      err = preserved.reserve(id);
      let luoFile = NO_FILE;
      if (err === 0) {
        err = yield* this.flbs.filePreserve(task, ops);
        if (err === 0) {
          kernel.charge(STEP.slabAlloc, 1);
          luoFile = table.alloc(token.low, token.high, handler, file as FileHandle);
          err = luoFile === NO_FILE ? -ERRNO.ENOMEM : 0;
          if (err === 0) {
            const args = this.args(luoFile);
            const preserving = ops.preserve(task, args);
            err = typeof preserving === 'number' ? preserving : yield* preserving;
            if (err === 0) this.#link(set, luoFile, args, count);
            else table.free(luoFile);
          }
          if (err !== 0) yield* this.flbs.fileUnpreserve(task, ops);
        }
        preserved.settle(id, err === 0 ? luoFile : NO_FILE);
      }
      if (err !== 0) handlers.unpin(handler);
    }
    if (err !== 0) {
      if (!store.growsFirst) yield* this.#shrink(task, set, count);
      if (file >= 0) user.fput(file as FileHandle);
      if (store.growsFirst) yield* this.#shrink(task, set, count);
    }
    kernel.trace.event(PRESERVE, set, token.low, err);
    return err;
  }

  /** The session is closed: none of its files is to cross. @kernel luo_file_unpreserve_files */
  unpreserveFiles(task: Task, set: SessionHandle): Answer {
    return this.sets.isBlank(set) ? 0 : this.#unpreserveAll(task, set);
  }

  *#unpreserveAll(task: Task, set: SessionHandle): Op<number> {
    const { sets, table, handlers, preserved, kho } = this;
    const { store } = sets;
    for (let file = sets.last(set); file !== NO_FILE; file = sets.last(set)) {
      const handler = table.handler(file);
      const ops = handlers.byNumber(handler);
      const unpreserving = ops.unpreserve(task, this.args(file));
      if (unpreserving !== undefined) yield* unpreserving;
      yield* this.flbs.fileUnpreserve(task, ops);
      preserved.erase(file);
      handlers.unpin(handler);
      sets.removeLast(set);
      sets.setCount(set, sets.count(set) - 1);
      const left = sets.count(set);
      for (let b = store.shrinks ? store.dropBlock(set, left) : 0; b !== 0; b = store.dropBlock(set, left)) {
        yield* kho.out.unpreserveFree(task, b);
      }
      this.fput(task, table.file(file) as FileHandle);
      this.kernel.trace.event(UNPRESERVE, set, table.tokenLow(file), table.tokenHigh(file));
      table.free(file);
    }
    for (let b = store.dropBlock(set, 0); b !== 0; b = store.dropBlock(set, 0)) {
      yield* kho.out.unpreserveFree(task, b);
    }
    return 0;
  }

  /** Arguments of a handler's operation, as the file has them. */
  args(file: LuoFile): FileOpArgs {
    const { table } = this;
    return {
      file: table.file(file),
      serializedData: table.data(file),
      privateData: table.privateData(file),
      retrieveStatus: table.status(file),
    };
  }

  /** @kernel luo_get_id */
  idOf(ops: FileHandler, file: FileHandle): number {
    return ops.getId?.(file) ?? this.vfs.physOf(file);
  }

  /** Drops LUO's own reference. What handlers take has a release that does not wait. @kernel fput */
  fput(task: Task, file: FileHandle): void {
    if (!this.vfs.put(file)) return;
    const released = this.vfs.release(task, file);
    assert(typeof released === 'number', 'the release of a preserved file does not wait');
    this.vfs.free(file);
  }

  #link(set: SessionHandle, file: LuoFile, args: FileOpArgs, count: number): void {
    this.table.setData(file, args.serializedData);
    this.table.setPrivateData(file, args.privateData);
    this.sets.append(set, file);
    this.sets.setCount(set, count + 1);
  }

  /** Regions for one file more: 0, or an errno with the regions there were. */
  *#grow(task: Task, set: SessionHandle, count: number): Op<number> {
    const { store } = this.sets;
    const { out } = this.kho;
    let err = store.room(set, count);
    while (err > 0) {
      const address = yield* out.allocPreserve(task, store.blockBytes, this.regionOwner, REGION);
      err = address < 0 ? address : store.addBlock(set, address as Phys);
      if (err < 0 && address >= 0) yield* out.unpreserveFree(task, address as Phys);
      if (err === 0) err = store.room(set, count);
    }
    return err;
  }

  /** Gives back what `count` files do without. */
  *#shrink(task: Task, set: SessionHandle, count: number): Op<void> {
    const { store } = this.sets;
    for (let b = store.dropBlock(set, count); b !== 0; b = store.dropBlock(set, count)) {
      yield* this.kho.out.unpreserveFree(task, b);
    }
  }

  /** Number of the handler that takes a file, its module pinned; UNDONE for none. */
  *#handlerFor(task: Task, file: FileHandle): Op<number> {
    const { rwlock } = this.handlers;
    if (rwlock !== undefined && !rwlock.tryRead(task)) yield* rwlock.waitRead(task);
    const handler = this.handlers.findFor(file);
    rwlock?.unlockRead(task);
    return handler;
  }
}
