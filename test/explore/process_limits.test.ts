/*
 * What the calling process may do, and what becomes of its calls: limits of descriptors and files, credentials, other
 * kinds of files, pages that have to be waited for, and SIGKILL in the middle of it all.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RunResult } from '../../sim/explore/result.ts';
import { recordingOf } from '../../sim/explore/result_token.ts';
import { simulate } from '../../sim/explore/simulate.ts';
import { parseProgram } from '../../sim/input/program_text.ts';
import type { RunInput } from '../../sim/input/run_input.ts';
import { RETRIEVE_FD_GUARD } from '../../sim/kernel/patches.ts';
import { REVISIONS } from '../../sim/kernel/revisions.ts';
import { OPEN_KINDS } from '../../sim/user/other_files.ts';
import { deepestYield } from '../sched/generator_depth.ts';
import { runs } from '../support/seed.ts';

const names = REVISIONS.map(({ name }) => name);

/** What v6.19, v7.0 and the April series lose between hook and jump is theirs: nobody acts there here. */
const LEAVE = 'stage\ntask init\nload\nreboot';

function inputOf(kernels: string, seed = '1'): RunInput {
  const parsed = parseProgram(`luosim 1\nmachine ram 32M\nseed ${seed}\n${kernels}`);
  if ('message' in parsed) throw new Error(`line ${parsed.line}: ${parsed.message}`);
  return parsed;
}

function ran(input: RunInput): RunResult {
  const result = simulate(input);
  if (typeof result === 'string') throw new Error(result);
  return result;
}

const play = (kernels: string, seed?: string): RunResult => ran(inputOf(kernels, seed));

/** What each action of a kernel answered, and after how many calls. */
const told = ({ generations }: RunResult, generation = 0): string[] =>
  (generations[generation]?.actions ?? []).map(({ verb, calls, result }) => `${verb} ${calls} ${result}`);

describe.each(names)('on %s', (revision) => {
  const kernel = (...lines: string[]): string => `kernel ${revision}\nstage\n${lines.join('\n')}`;

  it('descriptors end at RLIMIT_NOFILE, and what is refused for want of one changes nothing', () => {
    const result = play(
      kernel(
        'task p\nopen\nlimit-files to 6\ncreate s%d 0..9\nmemfd f bytes 0\nlimit-files to 7\nmemfd f bytes 0',
        'preserve f in s%d 0 token 1\nlimit-files to 0\ncreate x\nclose s%d 0\nclose s%d 1\nlimit-files to 1048577',
      ),
    );
    expect(result.violations).toEqual([]);
    expect(told(result)).toEqual([
      'open 1 OK',
      'limit-files 1 OK',
      'create 2 EMFILE',
      'memfd 0 EMFILE',
      'limit-files 1 OK',
      'memfd 1 OK',
      'preserve 1 OK',
      'limit-files 1 OK',
      'create 0 EMFILE',
      'close 1 OK',
      'close 1 OK',
      'limit-files 0 EPERM',
    ]);
  });

  it('files end at fs.file-max, but not for root', () => {
    const create = 'create s%d 0..4';
    const root = play(kernel(`task p\nopen\nfile-max to 3\n${create}\nmemfd f%d 0..4 bytes 0`));
    expect(told(root).slice(1)).toEqual(['file-max 1 OK', 'create 5 OK', 'memfd 5 OK']);
    const nobody = play(
      kernel(
        `task p\nopen\nfile-max to 3\ndrop-privileges\n${create}\nmemfd f%d 0..4 bytes 0\nclose s%d 0\nmemfd g bytes 0`,
      ),
    );
    expect(nobody.violations).toEqual([]);
    expect(told(nobody).slice(3)).toEqual(['create 2 ENFILE', 'memfd 0 ENFILE', 'close 1 OK', 'memfd 1 OK']);
  });

  it('nobody opens no device and boots nothing, and works on with what root has opened', () => {
    const result = play(
      kernel(
        'task p\nopen\nlimit-files to 20\ndrop-privileges\ncreate s\nmemfd f bytes 4096\npreserve f in s token 0',
        'close-device\nopen\nload\nkexec-load\nreboot\nrestart\nkho-test save\nreclaim\nfile-max to 9',
        'limit-files to 30\nlimit-files to 10\nlimit-files to 11\nkill init\nkill p\nopen\ntask init\n',
      ),
    );
    expect(result.violations).toEqual([]);
    expect(told(result).slice(3)).toEqual([
      'create 1 OK',
      'memfd 1 OK',
      'preserve 1 OK',
      'close-device 1 OK',
      'open 0 EACCES',
      'load 0 EPERM',
      'kexec-load 0 EPERM',
      'reboot 0 EPERM',
      'restart 0 EPERM',
      'kho-test 0 EPERM',
      'reclaim 0 EACCES',
      'file-max 0 EACCES',
      'limit-files 0 EPERM',
      'limit-files 1 OK',
      'limit-files 0 EPERM',
      'kill 0 EPERM',
      'kill 1 OK',
    ]);
    expect(result.generations[0]?.outgoingSessions).toBe(0);
  });

  it('only shmem files without a name can be preserved', () => {
    const lines = OPEN_KINDS.map(
      (kind, i) => `open-file f%d ${i} kind "${kind}"\npreserve f%d ${i} in s token ${i}`,
    );
    const [first, second] = (['O_TMPFILE', 'unlinked tmpfs file'] as const).map((kind) =>
      OPEN_KINDS.indexOf(kind),
    );
    const result = play(
      `${kernel('task p\nopen\ncreate s', ...lines)}\n${LEAVE}\n${kernel(
        `task p\nopen\nretrieve s\nretrieve-fd f in s token ${first}\nretrieve-fd g in s token ${second}`,
        'read f\nread g\nfinish s\nclose s',
      )}`,
    );
    expect(result.violations).toEqual([]);
    expect(told(result, 1).every((line) => line.endsWith('1 OK'))).toBe(true);
    const preserved = told(result).filter((line) => line.startsWith('preserve'));
    const keeps = ['O_TMPFILE', 'unlinked tmpfs file'];
    expect(OPEN_KINDS.map((kind, i) => `${kind}: ${preserved[i]}`)).toEqual(
      OPEN_KINDS.map((kind) => `${kind}: preserve ${keeps.includes(kind) ? '1 OK' : '0 ENOENT'}`),
    );
  });

  it('a sleeping process that is killed leaves nothing, a killed name is gone, another one never was there', () => {
    const result = play(
      kernel(
        'task p\nopen\ncreate s%d 0..2\nmemfd f bytes 8192\npreserve f in s%d 1 token 0',
        'stage\ntask q\nkill p\nkill p\nkill nobody\nopen\ncreate s%d 0..2',
      ),
    );
    expect(result.violations).toEqual([]);
    expect(told(result).slice(4)).toEqual([
      'kill 1 OK',
      'kill 0 ESRCH',
      'kill 0 ESRCH',
      'open 1 OK',
      'create 3 OK',
    ]);
    expect(result.generations[0]?.outgoingSessions).toBe(3);
  });
});

describe.each(['v7.0', 'v7.1', 'v7.3'])('a memory cgroup on %s', (revision) => {
  const life = (pages: number, more: string): RunResult =>
    play(
      `kernel ${revision}\nstage\ntask p\nmemfd old bytes 16K\nfill old every 4096 seed 1\nopen\ncreate s\n` +
        `memory-max bytes ${pages * 4}K\nmemfd f%d 0..1 bytes 8K\n${more}\nstage\ntask q\nopen\ncreate s\nclose s\n` +
        'close-device\nmemfd g bytes 64K\nfill g every 4096 seed 1\nclose-file g',
    );
  const killed = ({ generations }: RunResult): boolean =>
    generations[0]?.dmesg.some((line) => line.endsWith('Memory cgroup out of memory: Killed process (p)')) ===
    true;

  it('counts what its process touches first, once, and gives back what goes', () => {
    const fits =
      'fill f%d 0..1 every 4096 seed 2\nfill f%d 0 every 512 seed 3\nfill old every 512 seed 4\ntruncate f%d 0 bytes 0\n' +
      'truncate f%d 0 bytes 8K\nfill f%d 0 every 4096 seed 2\nclose-file f%d 0\nmemfd h bytes 8K\nallocate h bytes 8K';
    const result = life(4, fits);
    expect([killed(result), result.violations]).toEqual([false, []]);
    expect(told(result)).toContain('allocate 1 OK');
    // Another process has no limit.
    expect(told(result).slice(-2)).toEqual(['fill 1 OK', 'close-file 1 OK']);
  });

  it.each([
    ['a write', 'write f%d 0 at 0 bytes 8192 seed 1\nwrite f%d 1 at 0 bytes 4096 seed 1', 'write 0 ENOMEM'],
    ['a store', 'fill f%d 0..1 every 4096 seed 1', 'fill 1 ENOMEM'],
    ['fallocate', 'allocate f%d 0..1 bytes 8192', 'allocate 1 ENOMEM'],
    ['a hole that is pinned', 'preserve f%d 0..1 in s token 0', 'preserve 1 ENOMEM'],
  ])('kills for %s beyond its limit, and nothing of the process is left', (_what, more, answer) => {
    const result = life(2, `${more}\nmemfd never bytes 0`);
    expect(result.violations).toEqual([]);
    expect(killed(result)).toBe(true);
    expect(told(result)).toContain(answer);
    const done = result.generations[0]?.actions ?? [];
    expect(done.filter(({ process, verb }) => process === 'p' && verb === 'memfd')).toHaveLength(2);
    // Its name is free again for the next.
    expect(done.at(-6)).toMatchObject({ process: 'q', verb: 'create', result: 'OK' });
    expect(done.at(-1)).toMatchObject({ verb: 'close-file', result: 'OK' });
  });

  it('charges who retrieves: a daemon with too small a limit is killed, and keeps no file', () => {
    const result = play(
      `kernel ${revision}\nstage\ntask p\nopen\ncreate s\nmemfd f bytes 32K\nfill f every 4096 seed 1\n` +
        `preserve f in s token 0\n${LEAVE}\nkernel ${revision}\nstage\ntask p\nmemory-max bytes 16K\nopen\n` +
        'retrieve s\nretrieve-fd f in s token 0',
    );
    expect(result.violations).toEqual([]);
    expect(told(result, 1)).toContain('retrieve-fd 0 ENOMEM');
    expect(result.generations[1]?.incomingSessions).toBe(0);
  });
});

const LIFE = [
  'stage\ntask init\nslow-pages on\ntask p\nopen\nslow-pages on',
  'stage\ntask p\ncreate a%d 0..1\nmemfd f%d 0..1 bytes 4096\npreserve f%d 0..1 in a%d 0 token 1\nclose a%d 1',
  'task p\ncreate b%d 0..1\nmemfd g bytes 4096\npreserve g in b%d 0 token 1\nclose b%d 1',
  'task q\ncreate c\n',
].join('\n');
const NEXT = [
  'stage\ntask p\nopen\nslow-pages on\nretrieve a%d 0..1\nretrieve b%d 0..1',
  'stage\ntask p\nretrieve-fd f%d 0..1 in a%d 0 token 1\nfinish a%d 0\nclose a%d 0',
  'task p\nretrieve-fd g in b%d 0 token 1\nread g\nfinish b%d 0\nclose b%d 0',
  'task q\ncreate d',
].join('\n');

it('callers that wait for their pages lose nothing, in any order, and locks stay in order', () => {
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.nat(100_000), (revision, seed) => {
      const input = inputOf(
        `kernel ${revision}\n${LIFE}\n${LEAVE}\nkernel ${revision}\n${NEXT}`,
        String(seed),
      );
      let result: RunResult | undefined;
      expect(deepestYield(() => (result = ran(input)))).toBeLessThanOrEqual(5);
      expect(result?.violations).toEqual([]);
      expect(result?.generations[1]?.incomingSessions).toBe(0);
    }),
    { numRuns: runs(6) },
  );
});

it('a process that is killed in the middle of anything leaves nothing behind', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...names),
      fc.nat(100_000),
      fc.constantFrom('on', 'off'),
      fc.boolean(),
      (revision, seed, slow, late) => {
        const life = LIFE.replaceAll('slow-pages on', `slow-pages ${slow}`);
        const kill = `task killer\n${late ? 'reclaim\nreclaim\nopen\nreclaim\n' : ''}kill p`;
        const input = inputOf(
          `kernel ${revision}\n${life}\n${kill}\n${LEAVE}\nkernel ${revision}\nstage\ntask p\nopen`,
          String(seed),
        );
        const result = ran(input);
        expect(result.violations).toEqual([]);
        expect(result.generations[1]?.incomingSessions).toBe(0);
        const recorded = ran(recordingOf(input, result));
        expect([recorded.digest, recorded.misfits]).toEqual([result.digest, []]);
      },
    ),
    { numRuns: runs(6) },
  );
});

describe('a page that is waited for', () => {
  const two = (waits: string, choice: string): RunResult =>
    ran(
      inputOf(
        `kernel v7.3\nstage\ntask p\nopen\nstage\ntask p\nslow-pages on\ncreate s\ntask q\n${waits}\n` +
          `choose defaults\n${choice}`,
      ),
    );

  it('lets others run: before anything is looked at, before the rest is copied, and before the answer', () => {
    const plain = two('memfd f bytes 0', '').generations[0]?.actions.map(({ verb }) => verb);
    expect(plain).toEqual(['open', 'slow-pages', 'create', 'memfd']);
    for (const point of ['get_user:page', 'copy_struct_from_user:page', 'luo_ucmd_respond:page']) {
      const result = two('memfd f bytes 0', `choose ${point} 0 = 1`);
      expect([point, result.misfits]).toEqual([point, []]);
      expect(result.generations[0]?.actions.map(({ verb }) => verb)).toEqual([
        'open',
        'slow-pages',
        'memfd',
        'create',
      ]);
    }
  });

  it('never comes for who was killed: EFAULT, and the session that was made goes again', () => {
    for (const point of ['get_user:page', 'copy_struct_from_user:page', 'luo_ucmd_respond:page']) {
      const result = two('kill p', `choose ${point} 0 = 1`);
      expect(result.violations).toEqual([]);
      expect(told(result)).toEqual(['open 1 OK', 'slow-pages 1 OK', 'kill 1 OK', 'create 0 EFAULT']);
      expect(result.generations[0]?.outgoingSessions).toBe(0);
    }
  });

  it('is waited for with the locks of the call: a reboot hook waits for the caller that was let in', () => {
    const text = (revision: string): string =>
      `kernel ${revision}\nstage\ntask p\nopen\ncreate s\nmemfd f bytes 4096\nslow-pages on\nstage\ntask p\n` +
      'preserve f in s token 0\ntask init\nload\nreboot\n' +
      `kernel ${revision}\nstage\ntask p\nopen\nretrieve s\nretrieve-fd f in s token 0\n` +
      'choose luo_ucmd_respond:page 0 = 1';
    for (const revision of names) {
      const result = ran(inputOf(text(revision)));
      expect([revision, result.misfits, result.violations]).toEqual([revision, [], []]);
      expect(told(result, 1)).toEqual(['open 1 OK', 'retrieve 1 OK', 'retrieve-fd 1 OK']);
    }
  });
});

it('retrieve-fd waits for its page with the mutex of the session, until it was told not to', () => {
  for (const revision of REVISIONS) {
    const ended = (other: string): string[] => {
      const result = ran(
        inputOf(
          `kernel ${revision.name}\nstage\ntask p\nopen\ncreate s\nmemfd f%d 0..2 bytes 0\n` +
            `preserve f%d 0..2 in s token 0\n${LEAVE}\nkernel ${revision.name}\nstage\ntask p\nopen\nretrieve s\n` +
            `slow-pages on\nstage\ntask p\nretrieve-fd f%d 0 in s token 0\ntask p\n${other}\n` +
            'choose defaults\nchoose luo_ucmd_respond:page 0 = 1',
        ),
      );
      expect([revision.name, result.violations, result.misfits]).toEqual([revision.name, [], []]);
      return told(result, 1).slice(-2);
    };
    const isGuarded = revision.patches.includes(RETRIEVE_FD_GUARD);
    const both = ended('retrieve-fd f%d 1..2 in s token 1');
    expect(isGuarded ? both.reverse() : both).toEqual(['retrieve-fd 1 OK', 'retrieve-fd 2 OK']);
    if (!isGuarded) expect(ended('finish s')).toEqual(['retrieve-fd 1 OK', 'finish 1 OK']);
  }
});

it('a session stays for others where whoever asked was killed before the question was read', () => {
  for (const revision of names) {
    for (const point of ['get_user:page', 'copy_struct_from_user:page']) {
      const result = ran(
        inputOf(
          `kernel ${revision}\nstage\ntask p\nopen\ncreate s\n${LEAVE}\nkernel ${revision}\nstage\ntask p\nopen\n` +
            'slow-pages on\nstage\ntask p\nretrieve s\ntask q\nkill p\nstage\ntask r\nopen\nretrieve s\n' +
            `choose defaults\nchoose ${point} 0 = 1`,
        ),
      );
      expect([revision, point, result.violations, result.misfits]).toEqual([revision, point, [], []]);
      expect(told(result, 1).slice(2)).toEqual([
        'kill 1 OK',
        'retrieve 0 EFAULT',
        'open 1 OK',
        'retrieve 1 OK',
      ]);
    }
  }
});

it('whoever is killed in a call that waits for no page is still answered', () => {
  const result = play(
    `kernel v7.3\nstage\ntask p\nopen\ncreate s\n${LEAVE}\nkernel v7.3\nstage\ntask p\nopen\nstage\ntask p\n` +
      'retrieve s\ntask q\nkill p\nchoose defaults\nchoose luo_session_retrieve:unlocked 0 = 1',
  );
  expect([result.violations, result.misfits]).toEqual([[], []]);
  expect(told(result, 1)).toEqual(['open 1 OK', 'kill 1 OK', 'retrieve 1 OK']);
});

it('the last thread of a killed process closes what is open, when all have ended their calls', () => {
  const result = ran(
    inputOf(
      'kernel v7.3\nstage\ntask p\nopen\ncreate s\nmemfd f%d 0..1 bytes 0\nslow-pages on\nstage\n' +
        'task p\npreserve f%d 0 in s token 0\ntask p\npreserve f%d 1 in s token 1\ntask q\nkill p\n' +
        // The first waits for its page, the second for the mutex of the session, and that is when the signal comes.
        'choose luo_ucmd_respond:page 0 = 1\nchoose mutex_lock:wait 0 = 1',
    ),
  );
  expect([result.misfits, result.violations]).toEqual([[], []]);
  expect(told(result).slice(4)).toEqual(['kill 1 OK', 'preserve 0 EFAULT', 'preserve 0 EFAULT']);
  expect(result.generations[0]?.outgoingSessions).toBe(0);
});

it('a descriptor that another thread closes stays good for the call that has begun with it', () => {
  for (const revision of names) {
    for (const verb of ['preserve f in s token 0', 'finish s', 'truncate f bytes 4096']) {
      const closes = verb.startsWith('truncate') ? 'close-file f' : 'close s';
      const result = ran(
        inputOf(
          `kernel ${revision}\nstage\ntask p\nopen\ncreate s\nmemfd f bytes 0\nslow-pages on\n` +
            `stage\ntask p\n${verb}\ntask p\n${closes}\nchoose defaults\nchoose get_user:page 0 = 1`,
        ),
      );
      expect([revision, verb, result.violations]).toEqual([revision, verb, []]);
      expect(result.generations[0]?.oopses).toBe(0);
    }
  }
});
