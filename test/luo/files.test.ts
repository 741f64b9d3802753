/*
 * Files of sessions, revision by revision: edges of the stores, order of calls, what failures undo and what they leave.
 */
import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../sim/base/errno.ts';
import { KernelModule } from '../../sim/kernel/module.ts';
import { REVISIONS, type Revision, V6_19, V7_1, V7_3 } from '../../sim/kernel/revisions.ts';
import { LUO_FILE_SET_SER, LUO_SESSION_SER } from '../../sim/luo/abi.ts';
import type { SessionHandle } from '../../sim/luo/session_table.ts';
import type { BootParams } from '../../sim/machine/machine.ts';
import { LIVEUPDATE_SESSION_RETRIEVE_FD } from '../../sim/user/uapi.ts';
import { type Caller, fdArgument } from '../support/caller.ts';
import { inTask, jump, jumpNow } from '../support/system.ts';
import { bootNext, eventfd, owned, recording, start, update, warnings } from './file_world.ts';

const { EBUSY, EEXIST, EFAULT, EINVAL, EIO, ENOENT, ENOMEM, ENOSPC } = ERRNO;
const EVERY = REVISIONS.map((revision) => [revision.name, revision] as const);

const MOST: Record<Revision['parts']['fileStore'], [perRegion: number, limit: number]> = {
  'array-2': [128, 128],
  'block-chain-2': [127, 1_270_000],
  'block-set-1': [63, 630_000],
};

describe.each(EVERY)('file sets of %s', (_name, revision) => {
  const [perRegion, limit] = MOST[revision.parts.fileStore];

  it.each([1, 63, 64, 126, 127, 128, 129, 500])('of %i files', (count) => {
    const user = start(revision);
    const session = user.create('s');
    const answers = Array.from({ length: count }, (_, i) => {
      const fd = user.memfd();
      const answer = user.preserve(session, fd, i * 3);
      user.close(fd);
      return answer;
    });
    const kept = Math.min(count, limit);
    expect(answers.filter((answer) => answer === 0)).toHaveLength(kept);
    expect(answers.slice(kept).every((answer) => answer === -ENOSPC)).toBe(true);
    const { sets } = user.system.luo.files;
    const set = user.system.luo.sessions.outgoing.head as SessionHandle;
    expect(sets.store.regions(set)).toHaveLength(Math.ceil(kept / perRegion));
    expect(owned(user)).toEqual([]);
    const next = update(user, revision);
    expect(next.open()).toBeGreaterThan(0);
    const back = next.retrieve('s');
    for (const i of [kept - 1, 0, kept >> 1]) expect(next.retrieveFd(back, i * 3)).toBeGreaterThan(0);
    expect(next.retrieveFd(back, kept * 3)).toBe(-ENOENT);
    expect(next.finish(back)).toBe(0);
    expect(next.system.luo.files.table.slab.live).toBe(0);
    expect(owned(next)).toEqual([]);
    expect(warnings(next)).toEqual([]);
  });

  it('calls handlers in order: freeze forward, unpreserve and finish backward', () => {
    const user = start(revision);
    const handler = recording(user.system);
    const closed = user.create('closed');
    for (const token of [1, 2, 3]) expect(user.preserve(closed, eventfd(user), token)).toBe(0);
    user.close(closed);
    expect(handler.calls.splice(0)).toEqual([
      ...['preserve 1', 'preserve 2', 'preserve 3'],
      ...['unpreserve 3', 'unpreserve 2', 'unpreserve 1'],
    ]);
    const session = user.create('s');
    for (const token of [1, 2]) user.preserve(session, eventfd(user), token);
    handler.calls.length = 0;
    const params = jump(user.system) as BootParams;
    expect(handler.calls).toEqual(['freeze 4', 'freeze 5']);
    const next = bootNext(user, revision, params);
    const other = recording(next.system);
    next.open();
    const back = next.retrieve('s');
    next.retrieveFd(back, 2);
    next.finish(back);
    expect(other.calls).toEqual(['retrieve 5', 'can_finish 4', 'can_finish 5', 'finish 5 1', 'finish 4 0']);
  });

  it('undoes a preserve at whichever allocation it fails, and the next try succeeds', () => {
    const points = [
      'luo_preserve_file:region',
      'luo_preserve_file:xa_insert',
      'memfd_luo_preserve:memfd_luo_ser',
      'memfd_luo_preserve_folios:folio pointers',
      'memfd_luo_preserve_folios:folios_ser',
      'new_vmalloc_chunk:page',
      'shmem_alloc_folio:folio',
    ];
    const hit: string[] = [];
    for (const point of points) {
      for (const nth of [0, 1]) {
        const user = start(revision, [{ point, nth }]);
        const session = user.create('s');
        const fd = user.memfd();
        user.truncate(fd, 8192);
        const before = user.system.vfs.open;
        const answer = user.preserve(session, fd, 1);
        if (answer !== 0) {
          hit.push(point);
          expect([point, answer]).toEqual([point, -ENOMEM]);
          const { files } = user.system.luo;
          expect([files.table.slab.live, files.preserved.count, user.system.vfs.open]).toEqual([
            0,
            0,
            before,
          ]);
          expect(owned(user)).toEqual([]);
          expect(user.truncate(fd, 8192)).toBe(0);
        }
        expect([point, nth, answer === 0 ? 0 : user.preserve(session, fd, 1)]).toEqual([point, nth, 0]);
        expect(owned(user)).toEqual([]);
      }
    }
    const never = revision === V6_19 ? ['luo_preserve_file:xa_insert'] : [];
    expect(points.filter((point) => !hit.includes(point))).toEqual(never);
  });

  it('gives a reboot up whose last file does not freeze, unfreezes the others, and can try again but for v6.19', () => {
    const user = start(revision);
    const handler = recording(user.system);
    for (const name of ['a', 'b']) {
      const session = user.create(name);
      for (const token of [1, 2]) user.preserve(session, eventfd(user), token);
    }
    const memfd = user.create('c');
    const fd = user.memfd('kept');
    user.close(memfd);
    handler.answers.freeze = -EIO;
    handler.calls.length = 0;
    expect(jump(user.system)).toBe(-EIO);
    expect(handler.calls).toEqual([
      ...['freeze 1', 'freeze 2', 'freeze 3', 'freeze 4'],
      ...['unfreeze 3', 'unfreeze 1', 'unfreeze 2'],
    ]);
    handler.answers.freeze = 0;
    handler.calls.length = 0;
    expect(user.preserve(user.create('d'), fd, 1)).toBe(0);
    const params = jump(user.system) as BootParams;
    const forgotten = revision === V6_19;
    expect(handler.calls.slice(0, 2)).toEqual(
      forgotten ? ['freeze 0', 'freeze 0'] : ['freeze 1', 'freeze 2'],
    );
    const next = bootNext(user, revision, params);
    recording(next.system);
    next.open();
    const back = next.retrieve('d');
    expect(next.read(next.retrieveFd(back, 1))).toBe('kept');
  });

  it('remembers a failed retrieve, or tries again', () => {
    const user = start(revision);
    recording(user.system);
    user.preserve(user.create('s'), eventfd(user), 9);
    const params = jump(user.system) as BootParams;
    const next = bootNext(user, revision, params);
    const handler = recording(next.system);
    handler.answers.retrieve = -EIO;
    next.open();
    const back = next.retrieve('s');
    expect(next.retrieveFd(back, 9)).toBe(-EIO);
    handler.answers.retrieve = 0;
    const again = next.retrieveFd(back, 9);
    if (revision === V6_19) expect(again).toBeGreaterThan(0);
    else expect(again).toBe(-EIO);
    expect(handler.calls.filter((call) => call.startsWith('retrieve'))).toHaveLength(
      revision === V6_19 ? 2 : 1,
    );
  });

  it('of which one cannot be told its descriptor are retrieved all the same, and again', () => {
    const user = start(revision);
    user.preserve(user.create('s'), user.memfd('kept'), 7);
    const next = update(user, revision);
    next.open();
    const back = next.retrieve('s');
    const before = [next.process.open, next.system.vfs.open];
    const argument = fdArgument(-1, 7);
    argument.writable = 7;
    expect(next.ioctl(back, LIVEUPDATE_SESSION_RETRIEVE_FD, argument)).toBe(-EFAULT);
    // The set keeps the file that it has got.
    expect([next.process.open, next.system.vfs.open - 1]).toEqual(before);
    const fd = next.retrieveFd(back, 7);
    expect([next.read(fd), next.finish(back), next.close(back), next.close(fd)]).toEqual(['kept', 0, 0, 0]);
    expect([next.process.open + 1, next.system.vfs.open + 1]).toEqual(before);
  });

  it('finishes nothing while a handler is not done; a close then strands the session', () => {
    const user = start(revision);
    recording(user.system);
    const session = user.create('s');
    for (const token of [1, 2]) user.preserve(session, eventfd(user), token);
    const next = update(user, revision);
    const handler = recording(next.system);
    handler.answers.canFinish = false;
    next.open();
    const back = next.retrieve('s');
    expect(next.finish(back)).toBe(-EBUSY);
    expect(handler.calls).toEqual(['can_finish 1']);
    next.close(back);
    expect(next.system.kernel.log.lines.at(-1)?.text).toContain('Unable to finish session [s] on release');
    expect(next.retrieve('s')).toBe(-EINVAL);
    expect(next.system.luo.files.table.slab.live).toBe(2);
  });

  it('without a handler for a file: the open fails, or in v6.19 the file is silently missing', () => {
    const user = start(revision);
    recording(user.system);
    const session = user.create('s');
    user.preserve(session, user.memfd('first'), 1);
    user.preserve(session, eventfd(user), 2);
    const next = update(user, revision);
    const opened = next.open();
    const said = next.system.kernel.log.lines.some(({ text }) =>
      text.includes("No registered handler for compatible 'recorder-v1'"),
    );
    expect(said).toBe(true);
    if (revision === V6_19) {
      expect(opened).toBeGreaterThan(0);
      expect(next.retrieveFd(next.retrieve('s'), 2)).toBe(-ENOENT);
    } else {
      expect([opened, next.open()]).toEqual([
        -EIO,
        revision.name === 'v7.1' || revision === V7_3 ? -EIO : next.fd,
      ]);
      // What was built is kept by the fixed arrays, and freed with its blocks by the block set.
      expect(next.system.luo.files.table.slab.live).toBe(revision === V7_3 ? 0 : 1);
    }
  });
});

describe('a set whose count is not what is there', () => {
  /** The slot of the first session, in a kernel that is about to be left. */
  const withCount = (revision: Revision, count: number): Caller => {
    const user = start(revision);
    const session = user.create('s');
    for (const token of [1, 2]) user.preserve(session, user.memfd(), token);
    const { kernel, kexec, luo } = user.system;
    kexec.fileLoad();
    inTask(user.system, (task) => kexec.reboot(task));
    const head = luo.sessions.store.headPhys;
    const slot = head + (revision === V7_3 ? 16 : 8);
    const at = slot + LUO_SESSION_SER.at.file_set_ser + LUO_FILE_SET_SER.at.count;
    expect(kernel.machine.ram.load64(at)).toBe(2);
    kernel.machine.ram.store64(at, count);
    return bootNext(user, revision, jumpNow(user.system));
  };

  it('is refused by v7.3, and its blocks are freed', () => {
    const next = withCount(V7_3, 3);
    expect(next.open()).toBe(-EIO);
    expect(
      next.system.kernel.log.lines.some(({ text }) =>
        text.includes('File count mismatch: expected 3, found 2'),
      ),
    ).toBe(true);
    expect(next.system.luo.files.table.slab.live).toBe(0);
  });

  it('is believed by v7.1, which reads on', () => {
    expect(withCount(V7_1, 1).open()).toBeGreaterThan(0);
    const next = withCount(V7_1, 3);
    expect(next.open()).toBe(-EIO);
    expect(next.system.luo.files.table.slab.live).toBe(2);
  });
});

describe('handlers', () => {
  it('have names of their own, and go while there are sessions, but for v6.19', () => {
    for (const [, revision] of EVERY) {
      const user = start(revision);
      const { handlers } = user.system.luo.files;
      const handler = recording(user.system);
      const again = inTask(user.system, (task) => handlers.register(task, handler));
      expect(again).toBe(-EEXIST);
      user.create('s');
      const gone = inTask(user.system, (task) => handlers.unregister(task, handler));
      expect(gone).toBe(revision === V6_19 ? -EBUSY : 0);
      expect(handlers.isRegistered(handler)).toBe(revision === V6_19);
    }
  });

  it('are pinned by their files, or in v6.19 for as long as they are registered', () => {
    for (const [, revision] of EVERY) {
      const user = start(revision);
      const module = new KernelModule(user.system.kernel, 'driver');
      recording(user.system, 'driver-v1', module);
      const idle = revision === V6_19 ? 1 : 0;
      expect(module.references).toBe(idle);
      const session = user.create('s');
      user.preserve(session, eventfd(user), 1);
      expect([module.references, module.unload()]).toEqual([1, -EBUSY]);
      user.close(session);
      expect(module.references).toBe(idle);
      if (revision === V6_19) continue;
      expect(module.unload()).toBe(0);
      expect(user.preserve(user.create('t'), eventfd(user), 1)).toBe(-ENOENT);
    }
  });
});
