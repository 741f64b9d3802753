/*
 * What a kernel's numbers mean to a person: sessions, files and locks by name. Reading changes nothing, and a handle
 * that leads nowhere is said, not followed: whoever looks on must not become an oops of what it looks at.
 */
import type { Booting } from '../boot/boot.ts';
import type { FileHandle } from '../kernel/vfs.ts';
import { EndlessWalk } from '../kho/radix.ts';
import type { SessionHandle, SessionTable } from '../luo/session_table.ts';
import { PageFault } from '../machine/page_fault.ts';
import { indexOf, UseAfterFree } from '../machine/slab_handle.ts';
import type { LockId, LockRegistry } from '../sched/lock.ts';

/** What `read` answers, or what `otherwise` makes of a handle or an address that leads nowhere. */
export function ifSound<T>(read: () => T, otherwise: (why: string) => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof UseAfterFree || error instanceof PageFault || error instanceof EndlessWalk) {
      return otherwise(error.message);
    }
    throw error;
  }
}

/** The name of a session that is there; bytes that are no UTF-8 are replaced. */
export function sessionName(table: SessionTable, session: SessionHandle): string {
  return new TextDecoder().decode(Uint8Array.from(table.name(session), (c) => c.charCodeAt(0)));
}

/** A session's name in quotation marks, if it is there. */
export function sessionText({ luo }: Booting, session: number): string {
  if (luo === undefined || session === 0) return 'none';
  return ifSound(
    () => JSON.stringify(sessionName(luo.sessions.table, session as SessionHandle)),
    () => `freed (${indexOf(session)})`,
  );
}

/** A file by what it is. */
export function fileText(system: Booting, file: FileHandle): string {
  const { vfs, luo } = system;
  if (vfs === undefined || luo === undefined) return String(file);
  return ifSound(
    () => {
      const session = luo.sessions.isSessionFile(file);
      return session ? `session ${sessionText(system, vfs.privateData(file))}` : vfs.kindName(file);
    },
    () => `freed (${indexOf(file)})`,
  );
}

export function lockByHash(locks: LockRegistry, hash: number): string {
  for (let lock = 0; lock < locks.count; lock++) {
    if (locks.hash(lock as LockId) === hash) return locks.name(lock as LockId);
  }
  return `0x${(hash >>> 0).toString(16)}`;
}

/** Which of many locks of one name a row is. */
export const rowText = (system: Booting, lock: string, row: number): string =>
  lock === 'luo_session.mutex' ? sessionText(system, row) : String(row);
