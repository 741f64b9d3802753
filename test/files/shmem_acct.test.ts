/*
 * What shmem files account for: page by page as pages come and go, whoever takes them, over updates; and what becomes of
 * a call that may have no more of them.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../sim/base/errno.ts';
import { takeCensus } from '../../sim/check/census.ts';
import { checkCommitted } from '../../sim/check/committed.ts';
import { Violations } from '../../sim/check/violation.ts';
import { OVERCOMMIT_GUESS, OVERCOMMIT_NEVER } from '../../sim/kernel/overcommit.ts';
import { MEMFD_ACCT } from '../../sim/kernel/patches.ts';
import { REVISIONS, type Revision, V6_19, V7_3, withPatches } from '../../sim/kernel/revisions.ts';
import type { FileHandle } from '../../sim/kernel/vfs.ts';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from '../../sim/user/syscalls.ts';
import { owned, start as startOn, update } from '../luo/file_world.ts';
import type { Caller } from '../support/caller.ts';
import { runs } from '../support/seed.ts';
import { MIB } from '../support/system.ts';

const { EFAULT, ENOSPC } = ERRNO;
const PAGE = 4096;
const page = (text: string): string => text.repeat(PAGE / text.length);

/** So small that a CPU adds what it has promised by 32 pages. */
const start = (revision: Revision): Caller => startOn(revision, [], 32 * MIB);

/** So many pages may be promised, and no more; all that were are added. */
function limit({ system: { overcommit } }: Caller, pages: number): void {
  overcommit.setKbytes(4 * pages);
  overcommit.setPolicy(OVERCOMMIT_NEVER);
}

const committed = ({ system }: Caller): number => system.overcommit.committed;

/** Pages in shmem files, as a look at every frame counts them. */
function there({ system: { kernel, files } }: Caller): number {
  const { owner, pinnedOwner } = files.shmem.cache;
  const { owners } = takeCensus(kernel);
  return (owners[owner]?.pages ?? 0) + (owners[pinnedOwner]?.pages ?? 0);
}

function broken(user: Caller): string[] {
  const violations = new Violations();
  checkCommitted(user.system, violations);
  return violations.all.map(({ text }) => text);
}

type Step =
  | {
      readonly do: 'write' | 'store' | 'truncate' | 'allocate' | 'punch';
      readonly file: number;
      readonly page: number;
    }
  | { readonly do: 'preserve' | 'close' | 'open'; readonly file: number }
  | { readonly do: 'reclaim' | 'update' | 'limit'; readonly file: number };

const file = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('write' as const, 'store', 'truncate', 'allocate', 'allocate', 'punch'),
      file,
      page: fc.nat(30),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('preserve' as const, 'close', 'open'), file }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('reclaim' as const, 'update', 'limit', 'limit'), file }),
  },
);

/** Files and their sessions, from kernel to kernel: one session a file. */
class World {
  user: Caller;
  readonly #revision: Revision;
  readonly #pages: number;
  #fds: number[] = [-1, -1, -1];
  #sessions: number[] = [-1, -1, -1];
  refused = 0;

  constructor(revision: Revision, pages: number) {
    this.#revision = revision;
    this.#pages = pages;
    this.user = start(revision);
    limit(this.user, pages);
    this.#fds = this.#fds.map((_fd, i) => this.#memfd(i));
  }

  /** One of them wants folios of 8 pages, where they are accounted for as such. */
  #memfd(i: number): number {
    const order = i === 2 && this.#revision.patches.includes(MEMFD_ACCT) ? 3 : 0;
    return this.user.call((thread) => this.user.sys.memfdCreate(thread, 0, order));
  }

  take(one: Step): void {
    const before = this.#view();
    const answer = this.#act(one);
    if (answer !== -ENOSPC && answer !== -EFAULT) return;
    if (answer === -ENOSPC) this.refused++;
    // A pin leaves the holes filled that it came to; nothing else leaves anything.
    if (one.do !== 'preserve' && one.do !== 'update') expect([one, this.#view()]).toEqual([one, before]);
  }

  #view(): unknown {
    const { user } = this;
    const files = this.#fds.map((fd) => (fd < 0 ? undefined : user.stat(fd)));
    return [files, user.system.kernel.buddy.nrFree];
  }

  #act(one: Step): number {
    const { user } = this;
    if (one.do === 'reclaim') return user.system.files.shmem.reclaim();
    if (one.do === 'update') return this.#update();
    if (one.do === 'limit') {
      limit(user, this.#pages);
      return 0;
    }
    const fd = this.#fds[one.file] as number;
    switch (one.do) {
      case 'open':
        if (fd < 0) this.#fds[one.file] = this.#memfd(one.file);
        return 0;
      case 'close':
        this.#fds[one.file] = -1;
        return user.close(fd);
      case 'preserve': {
        if (this.#sessions[one.file] === -1) this.#sessions[one.file] = user.create(`s${one.file}`);
        return user.preserve(this.#sessions[one.file] as number, fd, 0);
      }
      case 'write':
        return user.pwrite(fd, one.page * PAGE + 7, 'abc');
      case 'store':
        return user.store(fd, one.page * PAGE, 'abc');
      case 'truncate':
        return user.truncate(fd, one.page * PAGE - 5);
      case 'allocate':
        return user.allocate(fd, 0, (one.page + 1) * PAGE);
      case 'punch':
        return user.allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (one.page + 1) * PAGE);
    }
  }

  /** What is preserved comes back where the limit has room for it: the next kernel has the same. */
  #update(): number {
    const preserved = this.#sessions.map((session) => session >= 0);
    this.user = update(this.user, this.#revision);
    const { user } = this;
    expect([user.system.overcommit.policy, committed(user)]).toEqual([OVERCOMMIT_GUESS, 0]);
    limit(user, this.#pages);
    user.open();
    let answer = 0;
    this.#fds = preserved.map((is, i) => {
      if (!is) return -1;
      const session = user.retrieve(`s${i}`);
      const fd = user.retrieveFd(session, 0);
      if (fd === -ENOSPC) answer = fd;
      user.finish(session);
      user.close(session);
      return Math.max(fd, -1);
    });
    this.#sessions = [-1, -1, -1];
    return answer;
  }
}

describe('pages of files', () => {
  it('are accounted for as long as they are there, on every revision, and never more than may be', () => {
    let refused = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(...REVISIONS),
        fc.integer({ min: 1, max: 20 }),
        fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }),
        (revision, pages, steps) => {
          const world = new World(revision, pages);
          for (const one of steps) {
            world.take(one);
            const { user } = world;
            const { cache } = user.system.files.shmem;
            expect([one, broken(user)]).toEqual([one, []]);
            expect(committed(user)).toBeGreaterThanOrEqual(there(user));
            if (cache.reclaimed === 0) expect(committed(user)).toBe(there(user));
            expect(committed(user)).toBeLessThan(pages + user.system.overcommit.lag);
          }
          expect(owned(world.user)).toEqual([]);
          refused += world.refused;
        },
      ),
      { numRuns: runs(25) },
    );
    expect(refused).toBeGreaterThan(20);
  });

  it('that memory pressure took count until the file is asked for its pages again', () => {
    const user = start(V6_19);
    const fd = user.memfd();
    user.open();
    // A hole that was preserved was filled, and is clean (until MEMFD_DIRTY).
    const fillHoles = (name: string, bytes: number): void => {
      user.truncate(fd, bytes);
      const session = user.create(name);
      expect(user.preserve(session, fd, 0)).toBe(0);
      user.close(session);
    };
    fillHoles('once', 40 * PAGE);
    expect([user.system.files.shmem.reclaim(), committed(user), there(user)]).toEqual([40, 40, 0]);
    limit(user, 32);
    // Refused at first, and then granted: the file itself had what was missing.
    expect([user.pwrite(fd, 0, 'x'), committed(user)]).toEqual([1, 1]);
    fillHoles('twice', 9 * PAGE);
    expect(user.system.files.shmem.reclaim()).toBe(8);
    expect([user.truncate(fd, 9 * PAGE), committed(user), there(user)]).toEqual([0, 1, 1]);
    expect([user.close(fd), committed(user)]).toEqual([0, 0]);
  });
});

describe('the law', () => {
  it('tells a counter that is not what inodes say, and pages that inodes say and are not there', () => {
    const user = start(V7_3);
    const fd = user.memfd('x');
    const { overcommit, files } = user.system;
    overcommit.enough(1, true, 0);
    expect(broken(user)).toEqual(['2 pages are committed, inodes account for 1']);
    files.shmem.inodes.setAlloced(files.shmem.inodeOf(user.process.file(fd) as FileHandle), 2);
    expect(broken(user)).toEqual(['inodes account for 1 pages that are not there']);
    files.shmem.cache.reclaimed++;
    expect(broken(user)).toEqual([]);
  });
});

describe('a call that may have no more pages', () => {
  /** A file of two pages, the second a hole, another one of 30, and room for no page more. */
  function full(): [Caller, number] {
    const user = start(V7_3);
    const fd = user.memfd(page('a'));
    user.truncate(fd, 2 * PAGE);
    user.allocate(user.memfd(), 0, 30 * PAGE);
    limit(user, 31);
    return [user, fd];
  }

  it('answers -ENOSPC; a write what it wrote; a store through a mapping gets SIGBUS', () => {
    const [user, fd] = full();
    const { nrFree } = user.system.kernel.buddy;
    expect([user.pwrite(fd, PAGE, 'x'), user.allocate(fd, 0, 3 * PAGE)]).toEqual([-ENOSPC, -ENOSPC]);
    expect(user.pwrite(fd, PAGE - 2, 'four')).toBe(2);
    expect([user.store(fd, PAGE, 'x'), user.store(fd, PAGE - 2, 'ab')]).toEqual([-EFAULT, 0]);
    expect(user.preserve(user.create('s'), fd, 0)).toBe(-ENOSPC);
    expect(user.system.kernel.log.lines.at(-1)?.text).toBe('memfd_luo: failed to pin folios: -28');
    expect([user.stat(fd).blocks, committed(user)]).toEqual([8, 31]);
    expect(user.system.kernel.buddy.nrFree).toBeLessThanOrEqual(nrFree);
    expect([user.truncate(fd, 9 * PAGE), owned(user), broken(user)]).toEqual([0, [], []]);
  });

  it('takes back what it allocated, and not what an earlier one did', () => {
    const [user, fd] = full();
    const kept = user.memfd();
    user.close(fd);
    limit(user, 31);
    expect([user.allocate(kept, 0, PAGE), committed(user)]).toEqual([0, 31]);
    limit(user, 31);
    expect([user.allocate(kept, 0, 2 * PAGE), user.stat(kept).blocks, committed(user)]).toEqual([
      -ENOSPC,
      8,
      31,
    ]);
  });

  it('has small folios where a large one is too much', () => {
    const user = start(V7_3);
    limit(user, 64);
    const fd = user.call((thread) => user.sys.memfdCreate(thread, 0, 6));
    user.truncate(fd, 64 * PAGE);
    expect([user.pwrite(fd, 0, 'x'), user.stat(fd).blocks / 8]).toEqual([1, 1]);
    limit(user, 128);
    const other = user.call((thread) => user.sys.memfdCreate(thread, 0, 6));
    user.truncate(other, 64 * PAGE);
    expect([user.pwrite(other, 0, 'x'), user.stat(other).blocks / 8]).toEqual([1, 64]);
  });

  it('has less where it has mapped much: a 32nd of that', () => {
    const user = start(V7_3);
    limit(user, 64);
    const [small, large] = [user.memfd(), user.memfd()];
    user.allocate(user.memfd(), 0, 32 * PAGE);
    user.truncate(small, 32 * 31 * PAGE);
    user.truncate(large, 32 * 32 * PAGE);
    expect([user.store(small, 0, 'x'), user.store(large, 0, 'x'), user.pwrite(large, 0, 'x')]).toEqual([
      0,
      -EFAULT,
      1,
    ]);
  });

  it('gives back what its cgroup was charged', () => {
    const [user, fd] = full();
    let charged = 0;
    user.system.files.shmem.charges = { charge: () => ++charged > 0, uncharge: () => charged-- };
    expect([user.pwrite(fd, PAGE, 'x'), charged]).toEqual([-ENOSPC, 0]);
    limit(user, 64);
    expect([user.pwrite(fd, PAGE, 'x'), charged]).toEqual([1, 1]);
  });
});

describe('a retrieve that may have no more pages', () => {
  /** Files a and b of 40 pages each, in folios of so many, handed over to a kernel where that many pages may be promised. */
  function arrived(revision: Revision, order: number, pages: number): [Caller, number] {
    const user = start(revision);
    const session = user.create('s');
    for (const token of [0, 1]) {
      const fd = user.call((thread) => user.sys.memfdCreate(thread, 0, order));
      user.truncate(fd, 40 * PAGE);
      user.preserve(session, fd, token);
    }
    const next = update(user, revision);
    next.open();
    limit(next, pages);
    return [next, next.retrieve('s')];
  }

  it.each(REVISIONS.map((revision) => [revision.name, revision] as const))(
    'answers -ENOSPC and keeps nothing on %s; what was retrieved stays',
    (_name, revision) => {
      const [user, session] = arrived(revision, 0, 64);
      const { buddy } = user.system.kernel;
      const first = user.retrieveFd(session, 0);
      const { nrFree } = buddy;
      expect([user.stat(first).blocks, committed(user)]).toEqual([40 * 8, 40]);
      expect(user.retrieveFd(session, 1)).toBe(-ENOSPC);
      expect([committed(user), there(user), broken(user)]).toEqual([40, 40, []]);
      const why = revision.patches.includes(MEMFD_ACCT) ? '23(1 pages): -28' : '23: -28';
      expect(user.system.kernel.log.lines.map(({ text }) => text)).toContain(
        `memfd_luo: shmem: failed to account folio index ${why}`,
      );
      // All but v6.19 have the memory again; that one lost what lay behind the folio that was refused.
      expect(buddy.nrFree - nrFree >= 40).toBe(revision !== V6_19);
      expect(user.read(first, 1)).toBe('\0');
      user.finish(session);
      user.close(session);
      user.close(first);
      expect(committed(user)).toBe(0);
    },
  );

  it('counts large folios by their pages; without MEMFD-ACCT as one each, which the law tells where it matters', () => {
    const without = withPatches(V7_3, [], ['memfd-acct']) as Revision;
    for (const [revision, pages] of [
      [V7_3, 80],
      [without, 10],
      [V6_19, 10],
    ] as const) {
      const [user, session] = arrived(revision, 3, 256);
      const fds = [user.retrieveFd(session, 0), user.retrieveFd(session, 1)];
      expect([revision.name, committed(user), there(user)]).toEqual([revision.name, pages, 80]);
      const told = broken(user);
      expect(told).toEqual(pages === 80 ? [] : ['70 pages of files are not accounted for']);
      user.system.overcommit.setPolicy(OVERCOMMIT_GUESS);
      expect(broken(user)).toEqual([]);
      user.finish(session);
      for (const fd of [session, ...fds]) user.close(fd);
      expect([committed(user), broken(user)]).toEqual([0, []]);
    }
    const [user, session] = arrived(V7_3, 3, 64);
    expect([user.retrieveFd(session, 0) > 0, user.retrieveFd(session, 1)]).toEqual([true, -ENOSPC]);
  });

  it('has more, the more it gets: what is restored is memory, of which the limit is a part', () => {
    const [user, session] = arrived(V7_3, 0, 1);
    const { overcommit, kernel } = user.system;
    overcommit.setRatio(100);
    const [limitBefore, managed] = [overcommit.limit, kernel.buddy.managed];
    expect(user.retrieveFd(session, 0)).toBeGreaterThan(0);
    const restored = kernel.buddy.managed - managed;
    expect([restored > 40, overcommit.limit - limitBefore]).toEqual([true, restored]);
  });
});
