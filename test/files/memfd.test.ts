/*
 * memfds that are preserved: what may be done with them meanwhile and afterwards, sizes at the edges, and pages that must
 * not stay where they are.
 */
import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../sim/base/errno.ts';
import type { Pfn } from '../../sim/base/units.ts';
import { F_SEAL_GROW, F_SEAL_WRITE, type InodeHandle } from '../../sim/files/shmem_inode.ts';
import { DIRECTION_CHECK } from '../../sim/kernel/patches.ts';
import { REVISIONS, V6_19, V7_3 } from '../../sim/kernel/revisions.ts';
import type { FileHandle } from '../../sim/kernel/vfs.ts';
import { CMA } from '../../sim/machine/pageblock.ts';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, MFD_ALLOW_SEALING } from '../../sim/user/syscalls.ts';
import { owned, start, update, warnings } from '../luo/file_world.ts';
import { MIB } from '../support/system.ts';

const { EBUSY, ENOMEM } = ERRNO;
const EVERY = REVISIONS.map((revision) => [revision.name, revision] as const);
const TIB = 2 ** 40;

describe('memfds', () => {
  it('can be grown, cut and punched again once they are not preserved any more', () => {
    for (const [, revision] of EVERY) {
      const user = start(revision);
      const fd = user.memfd('0123456789');
      const punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
      const changes = (): number[] => [
        user.truncate(fd, 9000),
        user.truncate(fd, 10),
        user.allocate(fd, 0, 20),
        user.allocate(fd, punch, 4),
        user.pwrite(fd, 30, 'x'),
      ];
      const session = user.create('s');
      expect(user.preserve(session, fd, 1)).toBe(0);
      const frozen = changes();
      // To the size that it has it may be cut.
      expect([revision.name, ...frozen]).toEqual([revision.name, -1, 0, -1, -1, -1]);
      expect([user.pwrite(fd, 5, 'abcde'), user.read(fd)]).toEqual([5, '01234abcde']);
      user.close(session);
      expect(user.system.luo.files.preserved.count).toBe(0);
      expect(changes()).toEqual([0, 0, 0, 0, 1]);
      expect(user.read(fd, 8)).toBe('\0\0\0\x004abc');
    }
  });

  it('cannot be sealed against writing while they are pinned', () => {
    const user = start(V7_3);
    const fd = user.memfd('x', MFD_ALLOW_SEALING);
    const session = user.create('s');
    user.preserve(session, fd, 1);
    expect([user.seal(fd, F_SEAL_WRITE), user.seal(fd, F_SEAL_GROW)]).toEqual([-EBUSY, 0]);
    user.close(session);
    expect([user.seal(fd, F_SEAL_WRITE), user.pwrite(fd, 0, 'y')]).toEqual([0, -1]);
  });
});

describe('FINISH of a session that was only preserved', () => {
  it('is refused, but before v7.1 finishes what was never handed over: nothing is restored, and the memory leaks', () => {
    for (const [name, revision] of EVERY) {
      const user = start(revision);
      const fd = user.memfd('kept');
      const session = user.create('s');
      expect(user.preserve(session, fd, 1)).toBe(0);
      const isOld = !user.system.kernel.has(DIRECTION_CHECK);
      expect([name, user.finish(session)]).toEqual([name, isOld ? 0 : -ERRNO.EINVAL]);
      expect([name, warnings(user).length > 0]).toEqual([name, isOld]);
      expect(user.system.luo.files.table.slab.live).toBe(isOld ? 0 : 1);
      // The file itself is as it was: its memory is the page cache's.
      expect([user.read(fd), user.truncate(fd, 9000)]).toEqual(['kept', -1]);
      user.close(session);
      expect(user.truncate(fd, 9000)).toBe(isOld ? -1 : 0);
    }
  });
});

describe('fallocate', () => {
  it('that finds no memory takes back what it allocated, and leaves what was written', () => {
    const user = start(V7_3, [{ point: 'shmem_alloc_folio:folio', nth: 4 }]);
    const fd = user.memfd('kept');
    const before = user.stat(fd);
    const { nrFree } = user.system.kernel.buddy;
    expect(user.allocate(fd, 0, 10 * 4096)).toBe(-ERRNO.ENOMEM);
    expect(user.stat(fd)).toEqual(before);
    expect(user.system.kernel.buddy.nrFree).toBe(nrFree);
    expect([user.read(fd), owned(user)]).toEqual(['kept', []]);
    expect(user.allocate(fd, 0, 10 * 4096)).toBe(0);
    expect(user.stat(fd)).toMatchObject({ size: 10 * 4096, blocks: 80 });
  });

  it('that finds no memory leaves what an earlier one allocated', () => {
    const user = start(V7_3, [{ point: 'shmem_alloc_folio:folio', nth: 2 }]);
    const fd = user.memfd();
    expect([user.allocate(fd, 0, 4096), user.allocate(fd, 0, 4 * 4096)]).toEqual([0, -ERRNO.ENOMEM]);
    expect(user.stat(fd)).toMatchObject({ size: 4096, blocks: 8 });
  });

  it('gives memory that memory pressure does not take, though nothing was written', () => {
    const user = start(V7_3);
    const fd = user.memfd();
    user.allocate(fd, 0, 3 * 4096);
    expect([user.system.files.shmem.reclaim(), user.stat(fd).blocks]).toEqual([0, 24]);
  });
});

describe('memfds at the edges', () => {
  it.each([0, 1, 4095, 4096, 4097, 2 ** 20])('of %i bytes come back', (bytes) => {
    for (const [, revision] of EVERY) {
      const user = start(revision);
      const fd = user.memfd();
      user.truncate(fd, bytes);
      expect(user.preserve(user.create('s'), fd, 2n ** 64n - 1n)).toBe(0);
      const next = update(user, revision);
      next.open();
      const back = next.retrieveFd(next.retrieve('s'), 2n ** 64n - 1n);
      expect(next.stat(back)).toMatchObject({ size: bytes, blocks: Math.ceil(bytes / 4096) * 8 });
    }
  });

  it('of a terabyte of holes can be had, and has too many pages to be pinned', () => {
    for (const [, revision] of EVERY) {
      const user = start(revision);
      const fd = user.memfd();
      expect(user.truncate(fd, TIB)).toBe(0);
      expect(user.stat(fd)).toMatchObject({ size: TIB, blocks: 0 });
      expect(user.pwrite(fd, TIB - 1, 'x')).toBe(1);
      const session = user.create('s');
      expect(user.preserve(session, fd, 1)).toBe(-ENOMEM);
      expect(user.truncate(fd, 2 ** 45)).toBe(0);
      expect(user.preserve(session, fd, 1)).toBe(revision === V6_19 ? -ENOMEM : -ERRNO.EFBIG);
      expect(owned(user)).toEqual([]);
    }
  });

  it('leave CMA when they are pinned: nothing preserved lies in scratch, and a page that cannot move undoes it', () => {
    const user = start(V7_3, [{ point: 'memfd_pin_folios:migration target', nth: 3 }], 32 * MIB);
    const { kernel, files } = user.system;
    const inodeOf = (fd: number): InodeHandle => files.shmem.inodeOf(user.process.file(fd) as FileHandle);
    const inCma = (fd: number): number =>
      [...files.shmem.cache.of(inodeOf(fd))].filter((folio) => kernel.buddy.typeOf(folio) === CMA).length;
    // User pages go to CMA once more than half of what is free is there.
    const hog = user.memfd();
    let end = 0;
    const last = (): Pfn => files.shmem.cache.find(inodeOf(hog), end / 4096 - 1) as Pfn;
    do {
      expect(user.pwrite(hog, end, 'x')).toBe(1);
      end += 4096;
    } while (kernel.buddy.typeOf(last()) !== CMA);
    const fd = user.memfd();
    for (let at = 0; at < 40; at++) user.pwrite(fd, at * 4096, `page ${at}`);
    expect(inCma(fd)).toBeGreaterThan(4);
    user.close(hog);
    const session = user.create('s');
    expect(user.preserve(session, fd, 1)).toBe(-ENOMEM);
    expect(owned(user)).toEqual([]);
    expect(user.preserve(session, fd, 1)).toBe(0);
    expect(inCma(fd)).toBe(0);
    expect(owned(user)).toEqual([]);
    for (const at of [0, 17, 39])
      expect(user.read(fd, 6 + String(at).length - 1, at * 4096)).toBe(`page ${at}`);
  });
});
