/*
 * What the calling process may do: limits of descriptors and files, credentials, other kinds of files, memory cgroups.
 */
import { describe, expect, it } from 'vitest';
import type { RunResult } from '../../sim/explore/result.ts';
import { REVISIONS } from '../../sim/kernel/revisions.ts';
import { OPEN_KINDS } from '../../sim/user/other_files.ts';
import { LEAVE, play, told } from '../support/play.ts';

const names = REVISIONS.map(({ name }) => name);

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
