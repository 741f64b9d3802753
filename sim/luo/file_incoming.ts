/*
 * Files of a session in the kernel after the update. Under session.mutex, but for deserializing, when nobody has the
 * session yet (which takes it all the same).
 *
 *   deserialize   slot by slot: handler by name -ENOENT, luo_file -ENOMEM, listed with no struct file
 *   retrieve      by token -ENOENT; the first time the handler makes the file, later its references multiply; a failure
 *                 is remembered (RETRIEVE_STATUS) or tried again
 *   finish        every file is asked (can_finish, -EBUSY with nothing done), then all are finished, last to first
 *
 *   deserialize fails     fixed arrays, april            block set
 *   set                   partial list, full count       freed, count 0
 *   regions               kept, reserved                 freed
 */
import type { Answer } from '../base/answer.ts';
import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { kernelFunction, type Op } from '../base/point.ts';
import { fromWords, type Phys } from '../base/units.ts';
import { RETRIEVE_STATUS } from '../kernel/patches.ts';
import type { FileHandle } from '../kernel/vfs.ts';
import { STEP } from '../machine/cpu.ts';
import type { Task } from '../sched/task.ts';
import { LUO_FILE_SER } from './abi.ts';
import type { LuoFiles, Token } from './file.ts';
import type { FileOpArgs } from './file_handler.ts';
import { type LuoFile, NO_FILE } from './file_table.ts';
import type { SessionHandle } from './session_table.ts';

const DESERIALIZE = kernelFunction('luo_file_deserialize');
const RETRIEVE = kernelFunction('luo_retrieve_file');
const FINISH = kernelFunction('luo_file_finish');

const ENTRY_WORDS = LUO_FILE_SER.size / 4;
const DATA_AT = LUO_FILE_SER.at.data / 4;
const TOKEN_AT = LUO_FILE_SER.at.token / 4;

/** Rebuilds a set from what `headPhys` leads to: 0 or a negative errno. @kernel luo_file_deserialize */
export function deserializeFiles(
  files: LuoFiles,
  task: Task,
  set: SessionHandle,
  headPhys: Phys | 0,
  count: number,
): Answer {
  if (headPhys !== 0) return deserializeAll(files, task, set, headPhys, count);
  if (count !== 0) files.kernel.warn('luo_file_deserialize: files are counted and not there');
  return 0;
}

function* deserializeAll(
  files: LuoFiles,
  task: Task,
  set: SessionHandle,
  headPhys: Phys,
  count: number,
): Op<number> {
  const { kernel, sets } = files;
  const { store } = sets;
  const slots = store.open(set, headPhys, count);
  if (typeof slots === 'number') return slots;
  if (!store.checksCount) sets.setCount(set, count);
  const { rwlock } = files.handlers;
  let err = 0;
  // (luo_file_deserialize_one takes the registration lock anew for every file.)
  for (let slot = slots.next(); slot !== 0 && err === 0; slot = slots.next()) {
    if (rwlock !== undefined && !rwlock.tryRead(task)) yield* rwlock.waitRead(task);
    err = deserializeOne(files, set, slot);
    rwlock?.unlockRead(task);
    if (err !== 0) break;
  }
  if (store.checksCount) {
    sets.setCount(set, sets.listed(set));
    if (err === 0 && sets.listed(set) !== count) {
      kernel.printk(`luo_file: File count mismatch: expected ${count}, found ${sets.listed(set)}`);
      err = -ERRNO.EINVAL;
    }
    if (err !== 0) discardSet(files, set);
  }
  kernel.trace.event(DESERIALIZE, set, sets.listed(set), err);
  return err;
}

/** The file of a token with a reference for the caller, or a negative errno. @kernel luo_retrieve_file */
export function* retrieveFile(files: LuoFiles, task: Task, set: SessionHandle, token: Token): Op<number> {
  const { kernel, sets, table, vfs } = files;
  const luoFile = sets.find(set, token.low, token.high);
  if (luoFile === NO_FILE) return -ERRNO.ENOENT;
  lock(files, task, luoFile);
  const status = table.status(luoFile);
  let result: number = status < 0 ? status : table.file(luoFile);
  if (status === 0) {
    const ops = files.handlers.byNumber(table.handler(luoFile));
    const args: FileOpArgs = { ...files.args(luoFile), file: 0 };
    const retrieving = ops.retrieve(task, args);
    const err = typeof retrieving === 'number' ? retrieving : yield* retrieving;
    if (err === 0) {
      const file = args.file as FileHandle;
      table.setFile(luoFile, file);
      table.setStatus(luoFile, 1);
      if (!files.preserved.insert(files.idOf(ops, file), luoFile)) {
        kernel.warn('luo_retrieve_file: the file is preserved already');
      }
      result = file;
    } else {
      result = err;
      if (kernel.has(RETRIEVE_STATUS)) table.setStatus(luoFile, err);
    }
  }
  // LUO keeps its own reference until finish.
  if (result > 0) vfs.get(result as FileHandle);
  table.mutex.unlock(task, luoFile);
  kernel.trace.event(RETRIEVE, set, token.low, result);
  return result;
}

/** Ends the session's files: 0, or -EBUSY where a handler is not done. @kernel luo_file_finish */
export function finishFiles(files: LuoFiles, task: Task, set: SessionHandle): Answer {
  return files.sets.count(set) === 0 ? 0 : finishAll(files, task, set);
}

function* finishAll(files: LuoFiles, task: Task, set: SessionHandle): Op<number> {
  const { kernel, sets, table, handlers, kho } = files;
  const { store } = sets;
  const restores = store.restores(set, true);
  for (let file = sets.first(set); file !== NO_FILE; file = table.next(file)) {
    lock(files, task, file);
    const can = handlers.byNumber(table.handler(file)).canFinish?.(files.args(file)) ?? true;
    table.mutex.unlock(task, file);
    if (!can) return -ERRNO.EBUSY;
  }
  for (let file = sets.last(set); file !== NO_FILE; file = sets.last(set)) {
    const handler = table.handler(file);
    const ops = handlers.byNumber(handler);
    lock(files, task, file);
    const finishing = ops.finish(task, files.args(file));
    if (finishing !== undefined) yield* finishing;
    yield* files.flbs.fileFinish(task, ops);
    table.mutex.unlock(task, file);
    const structFile = table.file(file);
    if (structFile !== 0) {
      files.preserved.erase(file);
      files.fput(task, structFile);
    }
    handlers.unpin(handler);
    sets.removeLast(set);
    sets.setCount(set, sets.count(set) - 1);
    kernel.trace.event(FINISH, set, table.tokenLow(file), table.tokenHigh(file));
    table.free(file);
    const left = sets.listed(set);
    for (let b = store.shrinks ? store.dropBlock(set, left) : 0; b !== 0; b = store.dropBlock(set, left)) {
      if (restores) kho.in.restoreFree(b);
      else yield* kho.out.unpreserveFree(task, b);
    }
  }
  sets.setCount(set, 0);
  for (let b = store.dropBlock(set, 0); b !== 0; b = store.dropBlock(set, 0)) {
    if (restores) kho.in.restoreFree(b);
    else yield* kho.out.unpreserveFree(task, b);
  }
  return 0;
}

/** @kernel luo_file_deserialize_one */
function deserializeOne(files: LuoFiles, set: SessionHandle, slot: number): number {
  const { kernel, table, sets, handlers } = files;
  const entry = new Int32Array(ENTRY_WORDS);
  kernel.machine.ram.loadWords(slot, entry, 0, ENTRY_WORDS);
  kernel.charge(STEP.fileDeserialized, 1);
  const handler = handlers.findByWords(entry);
  if (handler === -1) {
    kernel.printk(`luo_file: No registered handler for compatible '${handlers.textOf(entry)}'`);
    return -ERRNO.ENOENT;
  }
  const file = table.alloc(entry[TOKEN_AT] as number, entry[TOKEN_AT + 1] as number, handler, 0);
  if (file === NO_FILE) {
    handlers.unpin(handler);
    return -ERRNO.ENOMEM;
  }
  table.setData(file, fromWords(entry[DATA_AT] as number, entry[DATA_AT + 1] as number));
  sets.append(set, file);
  return 0;
}

/** A set that did not come back whole: files and regions go, what the files stand for is lost. */
function discardSet({ sets, table, handlers, kho }: LuoFiles, set: SessionHandle): void {
  for (let file = sets.last(set); file !== NO_FILE; file = sets.last(set)) {
    handlers.unpin(table.handler(file));
    sets.removeLast(set);
    table.free(file);
  }
  sets.setCount(set, 0);
  for (let b = sets.store.dropBlock(set, 0); b !== 0; b = sets.store.dropBlock(set, 0)) kho.in.restoreFree(b);
}

function lock({ table }: LuoFiles, task: Task, file: LuoFile): void {
  const free = table.mutex.tryLock(task, file);
  assert(free, 'luo_file.mutex is taken under session.mutex only');
}
