/*
 * Runs the rows of an errno run in order on one machine, and says beside each what the real kernel answered and what
 * the simulator does. Rows that withhold their answer are run like the others.
 */
import { errnoName } from '../../sim/base/errno.ts';
import type { Revision } from '../../sim/kernel/revisions.ts';
import { UserMemory } from '../../sim/user/uaccess.ts';
import { LIVEUPDATE_SESSION_GET_NAME, NAME_ARGUMENT } from '../../sim/user/uapi.ts';
import { Guest } from './guest.ts';
import { STAGE_1 } from './stage1.ts';
import { STAGE_2 } from './stage2.ts';

/** A row of the golden files: a call with its errno, or something that was looked at. */
export interface Row {
  readonly stage: number;
  readonly t?: string;
  readonly name?: string;
  readonly withheld?: boolean;
  readonly [key: string]: unknown;
}

export interface Answer {
  readonly revision: string;
  readonly index: number;
  readonly case: string;
  /** null where the row withholds it, or nothing was answered. */
  readonly expected: unknown;
  readonly got: unknown;
}

/** Every row with what is answered here. */
export function runRows(revision: Revision, rows: readonly Row[]): Answer[] {
  const guest = new Guest(revision);
  return rows.map((row, index) => {
    const { text, expected, got } = answer(guest, row);
    return { revision: revision.name, index, case: text, expected: row.withheld ? null : expected, got };
  });
}

interface Told {
  readonly text: string;
  readonly expected: unknown;
  readonly got: unknown;
}

function answer(guest: Guest, row: Row): Told {
  const { t } = row;
  if (typeof row.file === 'string') return { text: `file ${row.file}`, ...lookAt(guest, row.file, row) };
  if (t === 'same inode') return { text: t, ...compareFiles(guest, row) };
  if (row.get_name !== undefined) return { text: 'get_name', expected: row.get_name, got: nameOf(guest) };
  if (row.proc_link !== undefined) {
    const { sys, process } = guest.user;
    const fd = guest.fds.alpha as number;
    const expected = { proc_link: row.proc_link, cloexec: row.cloexec };
    const got = { proc_link: sys.link(guest.thread, fd), cloexec: Number(process.closesOnExec(fd)) };
    return { text: 'proc_link', expected, got };
  }
  if (t === undefined) throw new Error(`row ${JSON.stringify(row)} is of no known kind`);
  if (t === 'boot') {
    return { text: t, expected: row.version, got: guest.system.kernel.log.lines[0]?.text };
  }
  if (t === 'end') return { text: t, expected: null, got: null };
  if (t === 'reboot(LINUX_REBOOT_CMD_KEXEC)') {
    return { text: t, expected: null, got: guest.reboot() === 0 ? null : 'failed' };
  }
  const known = row.stage === 1 ? STAGE_1[t] : STAGE_2[t];
  if (known === undefined) throw new Error(`stage ${row.stage}: no case "${t}"`);
  const result = known(guest);
  // A row without an errno only says that something was done.
  const isNote = row.name === undefined && row.withheld !== true;
  return { text: t, expected: row.name ?? null, got: isNote ? null : errnoName(result) };
}

/** What came back of a file, in the words of the row. */
function lookAt(guest: Guest, name: string, row: Row): { expected: unknown; got: unknown } {
  const fd = guest.fds[name] as number;
  const { size, pos, seals, mode, flags, closeOnExec, blocks } = guest.user.stat(fd);
  const data = guest.user.read(fd, Math.min(size, 64));
  const { stage: _, ...expected } = row;
  const got = {
    file: name,
    size,
    pos,
    // A sparse file reads as zeroes, which the row shows as no text.
    data: String(data).replace(/\0+$/, ''),
    seals,
    mode: mode.toString(8),
    fl: `0x${flags.toString(16)}`,
    cloexec: Number(closeOnExec),
    blocks,
  };
  return { expected, got };
}

function compareFiles(guest: Guest, row: Row): { expected: unknown; got: unknown } {
  const { user, fds } = guest;
  const [first, second] = [user.stat(fds['alpha/1'] as number), user.stat(fds.twice as number)];
  const { pos } = first;
  user.call((thread) => user.sys.lseek(thread, fds['alpha/1'] as number, pos + 1, 0));
  const shared = user.stat(fds.twice as number).pos === pos + 1;
  user.call((thread) => user.sys.lseek(thread, fds['alpha/1'] as number, pos, 0));
  const key = 'same open file (shared pos)';
  return {
    expected: { v: row.v, [key]: row[key] },
    got: { v: Number(first.inode === second.inode), [key]: Number(shared) },
  };
}

function nameOf({ user, fds }: Guest): string {
  const argument = new UserMemory(NAME_ARGUMENT.size);
  argument.words[0] = NAME_ARGUMENT.size;
  user.ioctl(fds.alpha as number, LIVEUPDATE_SESSION_GET_NAME, argument);
  const bytes = new Uint8Array(argument.words.buffer, NAME_ARGUMENT.at.name);
  return String.fromCharCode(...bytes.subarray(0, bytes.indexOf(0)));
}
