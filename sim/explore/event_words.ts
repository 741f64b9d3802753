/*
 * What the words of a trace event mean, by kernel function. A function that is not listed has its words as they are.
 */

import { errnoName } from '../base/errno.ts';
import { functionName } from '../base/point.ts';
import type { TraceEvent } from '../base/trace.ts';
import type { Booting } from '../boot/boot.ts';
import type { Owner } from '../machine/frames.ts';
import { indexOf } from '../machine/slab_handle.ts';
import { lockByHash, rowText, sessionText } from './kernel_words.ts';
import type { EventWord } from './step_report.ts';

type Kind =
  | 'number'
  | 'errno'
  | 'frame'
  | 'order'
  | 'owner'
  | 'session'
  | 'file'
  | 'lock'
  | 'row'
  | 'hash'
  | 'unsigned';

type Word = readonly [name: string, kind: Kind];

const SESSION: Word = ['session', 'session'];
const FRAME: Word = ['block', 'frame'];
const ORDER: Word = ['order', 'order'];
const ERR: Word = ['answer', 'errno'];
const LOCK: Word = ['lock', 'lock'];
const FILES: Word = ['files', 'number'];
/** A token is a u64, a word holds 32 bits: an event with two words to spare has both halves. */
const TOKEN_LOW: Word = ['token low', 'unsigned'];
const TOKEN: readonly Word[] = [TOKEN_LOW, ['token high', 'unsigned']];

export const EVENT_WORDS: Readonly<Record<string, readonly Word[]>> = {
  start_kernel: [['generation', 'number']],
  kernel_kexec: [ERR],
  alloc_pages: [FRAME, ORDER, ['owner', 'owner']],
  free_pages: [FRAME, ORDER],
  kho_preserved_memory_reserve: [FRAME, ORDER],
  kho_block_set_restore: [FRAME, ['blocks', 'number'], ERR],
  kho_block_set_destroy: [['blocks', 'number']],
  kho_test_save: [['folios', 'number'], ['checksum', 'hash'], ERR],
  kho_test_restore: [['folios', 'number'], ['checksum', 'hash'], ERR],
  mutex_lock: [LOCK, ['of', 'row']],
  down_read: [LOCK],
  down_write: [LOCK],
  liveupdate_reboot: [ERR],
  luo_open: [ERR],
  luo_session_create: [SESSION, ['file', 'file']],
  luo_session_insert: [SESSION, ['name hash', 'hash'], ERR],
  luo_session_remove: [SESSION, ['left', 'number']],
  luo_session_retrieve: [SESSION, ['file', 'file']],
  luo_session_finish_one: [SESSION, ERR],
  luo_session_serialize: [['sessions', 'number'], ['blocks', 'number'], ERR],
  luo_session_deserialize: [['sessions', 'number']],
  luo_preserve_file: [SESSION, TOKEN_LOW, ERR],
  luo_file_unpreserve_files: [SESSION, ...TOKEN],
  luo_file_freeze: [SESSION, FILES],
  luo_file_deserialize: [SESSION, FILES, ERR],
  luo_retrieve_file: [SESSION, TOKEN_LOW, ['file', 'file']],
  luo_file_finish: [SESSION, ...TOKEN],
};

/** The words of an event, decoded while what they are about is there. */
export function eventWords(event: TraceEvent, system: Booting): EventWord[] {
  const { a, b, c } = event;
  const meanings = EVENT_WORDS[functionName(event.fn)];
  if (meanings === undefined) {
    const last = c !== 0 ? 3 : b !== 0 ? 2 : 1;
    return [a, b, c].slice(0, last).map((value, i) => ({ name: 'abc'[i] ?? '', value, text: String(value) }));
  }
  return meanings.map(([name, kind], i) => {
    const value = [a, b, c][i] as number;
    return { name, value, text: TEXTS[kind](value, system, a) };
  });
}

const hex = (value: number): string => `0x${value.toString(16)}`;

const TEXTS: Readonly<Record<Kind, (value: number, system: Booting, lock: number) => string>> = {
  number: String,
  errno: errnoName,
  frame: (frame) => hex(frame * 4096),
  // folio_put knows its folio's order, and does not say it.
  order: (order) => (order === -1 ? 'its own' : String(order)),
  owner: (owner, { kernel }) => kernel.frames.ownerName(owner as Owner),
  session: (session, system) => sessionText(system, session),
  file: (file) => (file < 0 ? errnoName(file) : String(indexOf(file))),
  lock: (hash, { kernel }) => lockByHash(kernel.sched.locks, hash),
  row: (row, system, lock) => rowText(system, lockByHash(system.kernel.sched.locks, lock), row),
  hash: (value) => hex(value >>> 0),
  unsigned: (value) => String(value >>> 0),
};
