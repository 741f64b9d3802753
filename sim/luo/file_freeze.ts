/*
 * Files of a session in the reboot hook, under session.mutex: frozen and written to their slots, in list order.
 *
 *   luo_file_ser   compatible[48] | data | token        file_set_ser of the session's slot: first region, count
 *
 * A failure unfreezes the files before the failing one, in list order, and clears the regions. v6.19 then forgets what
 * its handlers have serialized: the next attempt, and the close, get 0 from it.
 *
 * luo_file.mutex is taken under session.mutex only, so nobody ever waits for it: nothing here is a generator.
 */

import { assert } from '../base/assert.ts';
import { ERRNO, printErrno } from '../base/errno.ts';
import { definePoint, kernelFunction } from '../base/point.ts';
import { highWord } from '../base/units.ts';
import { UNFREEZE_KEEPS_DATA } from '../kernel/patches.ts';
import { STEP } from '../machine/cpu.ts';
import type { Task } from '../sched/task.ts';
import { LUO_FILE_SER, LUO_FILE_SET_SER } from './abi.ts';
import type { LuoFiles } from './file.ts';
import { type LuoFile, NO_FILE } from './file_table.ts';
import type { SessionHandle } from './session_table.ts';

const FREEZE = kernelFunction('luo_file_freeze');
const FAILS = definePoint('luo_file_freeze_one', 'freeze', 'fault');

const ENTRY_WORDS = LUO_FILE_SER.size / 4;
const DATA_AT = LUO_FILE_SER.at.data / 4;
const TOKEN_AT = LUO_FILE_SER.at.token / 4;
const entry = new Int32Array(ENTRY_WORDS);

/** Writes a session's files: 0, or a negative errno with everything undone. `ser`: its file_set_ser. @kernel luo_file_freeze */
export function freezeFiles(files: LuoFiles, task: Task, set: SessionHandle, ser: number): number {
  const { kernel, sets, table } = files;
  const { ram } = kernel.machine;
  const count = sets.count(set);
  if (count === 0) return 0;
  if (sets.store.headPhys(set) === 0) {
    kernel.warn('luo_file_freeze: a session with files has no region');
    return -ERRNO.EINVAL;
  }
  const slots = sets.store.write(set);
  for (let file = sets.first(set); file !== NO_FILE; file = table.next(file)) {
    const slot = slots.next();
    if (slot === 0) kernel.warn('luo_file_freeze: no slot for a file');
    const err = slot === 0 ? -ERRNO.ENOSPC : freezeOne(files, task, file);
    if (err !== 0) {
      unfreezeUpTo(files, task, set, file);
      return err;
    }
    writeEntry(files, file);
    ram.storeWords(slot, entry, 0, ENTRY_WORDS);
    kernel.charge(STEP.entryCopied, 1);
  }
  slots.commit();
  ram.store64(ser + LUO_FILE_SET_SER.at.count, count);
  ram.store64(ser + LUO_FILE_SET_SER.at.files, sets.store.headPhys(set));
  kernel.trace.event(FREEZE, set, count);
  return 0;
}

/** The reboot is given up after this session was written. @kernel luo_file_unfreeze */
export function unfreezeFiles(files: LuoFiles, task: Task, set: SessionHandle, ser: number): void {
  if (files.sets.count(set) === 0) return;
  unfreezeUpTo(files, task, set, NO_FILE);
  const { ram } = files.kernel.machine;
  ram.store64(ser + LUO_FILE_SET_SER.at.files, 0);
  ram.store64(ser + LUO_FILE_SET_SER.at.count, 0);
}

/** @kernel luo_file_freeze_one */
function freezeOne(files: LuoFiles, task: Task, file: LuoFile): number {
  const { kernel, table, handlers } = files;
  const ops = handlers.byNumber(table.handler(file));
  if (ops.freeze === undefined) return 0;
  lock(files, task, file);
  const args = files.args(file);
  const err = kernel.machine.decisions.fails(FAILS) ? -ERRNO.EIO : ops.freeze(args);
  if (err === 0) table.setData(file, args.serializedData);
  table.mutex.unlock(task, file);
  if (err !== 0) {
    const token =
      ((BigInt(table.tokenHigh(file)) << 32n) | BigInt(table.tokenLow(file) >>> 0)) & 0xffffffffffffffffn;
    kernel.printk(
      `luo_file: Freeze failed for token[0x${token.toString(16)}] handler[${ops.compatible}] err[${printErrno(err)}]`,
    );
  }
  return err;
}

/** Files before `failed`, in list order; all of them for NO_FILE. @kernel __luo_file_unfreeze */
function unfreezeUpTo(files: LuoFiles, task: Task, set: SessionHandle, failed: LuoFile): void {
  const { kernel, sets, table, handlers } = files;
  for (let file = sets.first(set); file !== failed && file !== NO_FILE; file = table.next(file)) {
    const ops = handlers.byNumber(table.handler(file));
    lock(files, task, file);
    ops.unfreeze?.(files.args(file));
    if (!kernel.has(UNFREEZE_KEEPS_DATA)) table.setData(file, 0);
    table.mutex.unlock(task, file);
  }
  sets.store.clear(set);
}

function writeEntry({ table, handlers }: LuoFiles, file: LuoFile): void {
  entry.set(handlers.nameWords(table.handler(file)));
  const data = table.data(file);
  entry[DATA_AT] = data | 0;
  entry[DATA_AT + 1] = highWord(data);
  entry[TOKEN_AT] = table.tokenLow(file);
  entry[TOKEN_AT + 1] = table.tokenHigh(file);
}

function lock({ table }: LuoFiles, task: Task, file: LuoFile): void {
  const free = table.mutex.tryLock(task, file);
  assert(free, 'luo_file.mutex is taken under session.mutex only');
}
