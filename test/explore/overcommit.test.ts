/*
 * vm.overcommit_* in programs: who may write it, what it refuses, and that every kernel starts anew.
 */
import { describe, expect, it } from 'vitest';
import type { RunResult } from '../../sim/explore/result.ts';
import { recordingOf } from '../../sim/explore/result_token.ts';
import type { RunInput } from '../../sim/input/run_input.ts';
import { REVISIONS } from '../../sim/kernel/revisions.ts';
import { inputOf, LEAVE, ran, told } from '../support/play.ts';

const names = REVISIONS.map(({ name }) => name);

/** On one CPU, whose batch is 32 pages. */
const onOneCpu = (kernels: string, ram = '32M'): RunInput =>
  inputOf(kernels, '1', `ram ${ram} nodes 1 cpus 1`);
const play = (kernels: string, ram?: string): RunResult => ran(onOneCpu(kernels, ram));

const FULL = 'overcommit-kbytes to 256\novercommit-memory to 2';

describe.each(names)('on %s', (revision) => {
  const kernel = (...lines: string[]): string => `kernel ${revision}\nstage\n${lines.join('\n')}`;

  it('what is promised stays below the limit to the page', () => {
    const result = play(
      kernel(
        `task p\nopen\ncreate s\n${FULL}\nmemfd f%d 0..1 bytes 1M\nallocate f%d 0 bytes 252K`,
        'write f%d 0 at 253952 bytes 9000 seed 1\nwrite f%d 1 at 0 bytes 1 seed 1\nread f%d 0..1',
        'truncate f%d 0 bytes 0\nwrite f%d 1 at 0 bytes 1 seed 1\nread f%d 1',
      ),
    );
    expect(result.violations).toEqual([]);
    expect(told(result).slice(4)).toEqual([
      'memfd 2 OK',
      'allocate 1 OK',
      // A page and a part: 4,096 of 9,000 bytes.
      'write 1 OK',
      'write 0 ENOSPC',
      'read 2 OK',
      'truncate 1 OK',
      'write 1 OK',
      'read 1 OK',
    ]);
  });

  it('a file may be larger than memory by the heuristic, and a limit below what is there takes nothing away', () => {
    const result = play(
      kernel(
        'task p\nmemfd f bytes 1G\nwrite f at 1073737728 bytes 4096 seed 1\nfill f every 16777216 seed 2\nread f',
        'overcommit-ratio to 0\novercommit-memory to 2\nwrite f at 0 bytes 9 seed 3\nwrite f at 4096 bytes 9 seed 4',
        'overcommit-memory to 1\nwrite f at 4096 bytes 9 seed 4\nread f',
      ),
    );
    expect(result.violations).toEqual([]);
    expect(told(result).slice(4)).toEqual([
      'overcommit-ratio 1 OK',
      'overcommit-memory 1 OK',
      'write 1 OK',
      'write 0 ENOSPC',
      'overcommit-memory 1 OK',
      'write 1 OK',
      'read 1 OK',
    ]);
  });

  it('root may have what is kept from nobody, who writes no sysctl', () => {
    const sysctls = kernel(
      'task p\novercommit-memory to 3\novercommit-ratio to 4294967296\ndrop-privileges',
      'overcommit-memory to 2\novercommit-ratio to 50\novercommit-kbytes to 0',
    );
    expect(told(play(sysctls))).toEqual([
      'overcommit-memory 0 EINVAL',
      'overcommit-ratio 0 EINVAL',
      'drop-privileges 1 OK',
      'overcommit-memory 0 EACCES',
      'overcommit-ratio 0 EACCES',
      'overcommit-kbytes 0 EACCES',
    ]);
    // Of 256 pages nobody gets some 50: the others are a 32nd of what was free at boot.
    const gets = (pages: number, who: string): string | undefined =>
      told(
        play(
          kernel(
            `task p\novercommit-kbytes to 1024\nmemfd f bytes 1M\novercommit-memory to 2\n${who}allocate f bytes ${pages * 4}K`,
          ),
        ),
      ).at(-1);
    expect([gets(255, ''), gets(256, '')]).toEqual(['allocate 1 OK', 'allocate 0 ENOSPC']);
    expect([32, 192].map((pages) => gets(pages, 'drop-privileges\n'))).toEqual([
      'allocate 1 OK',
      'allocate 0 ENOSPC',
    ]);
  });

  it('who retrieves may have too little for it, and then nobody has it; the limit before the update is gone', () => {
    const first = kernel(
      'task p\nopen\ncreate s\nmemfd f%d 0..1 bytes 160K\nfill f%d 0..1 every 4096 seed 1\npreserve f%d 0..1 in s token 0',
      `${FULL}\nmemfd g bytes 4K\nwrite g at 0 bytes 9 seed 1\n${LEAVE}`,
    );
    const second = (limit: string): string =>
      kernel(
        `task p\n${limit}open\nretrieve s\nretrieve-fd f%d 0 in s token 0\nretrieve-fd f%d 1 in s token 1`,
        'read f%d 0\nfinish s\nclose s\nclose-file f%d 0\nmemfd g bytes 4K\nwrite g at 0 bytes 9 seed 1',
      );
    const [refused, free] = [play(`${first}\n${second(`${FULL}\n`)}`), play(`${first}\n${second('')}`)];
    // Without MEMFD-UNWIND, v6.19 gives back what it did not come to by the wrong address.
    const laws = refused.violations.map(({ law }) => law);
    expect([laws, free.violations]).toEqual([revision === 'v6.19' ? ['no-warning'] : [], []]);
    expect(told(refused).at(-3)).toBe('write 0 ENOSPC');
    expect(told(refused, 1).slice(4)).toEqual([
      'retrieve-fd 1 OK',
      'retrieve-fd 0 ENOSPC',
      'read 1 OK',
      'finish 1 OK',
      'close 1 OK',
      'close-file 1 OK',
      'memfd 1 OK',
      'write 1 OK',
    ]);
    expect(told(free, 1).filter((line) => !line.endsWith(' 1 OK'))).toEqual([]);
  });

  it('a store and a pin that are refused are told as the kernel tells them, and a part of a fill is no false alarm', () => {
    const result = play(
      kernel(
        `task p\nopen\ncreate s\nmemfd f bytes 1M\nfill f every 8192 seed 1\n${FULL}\nfill f every 4096 seed 2\nread f`,
        'preserve f in s token 0\noverommit-memory to 0\npreserve f in s token 0'.replace(
          'overommit',
          'overcommit',
        ),
      ),
    );
    expect(result.violations).toEqual([]);
    expect(told(result).slice(6)).toEqual([
      'fill 0 EFAULT',
      'read 1 OK',
      'preserve 0 ENOSPC',
      'overcommit-memory 1 OK',
      'preserve 1 OK',
    ]);
    const dmesg = result.generations[0]?.dmesg.map((line) => line.replace(/^\[.*?\] /, '')) ?? [];
    expect(dmesg).toContain('memfd_luo: failed to pin folios: -28');
    expect(dmesg).toContain('__vm_enough_memory: comm: p, bytes: 4096 not enough memory for the allocation');
  });
});

it('large folios that a kernel without MEMFD-ACCT retrieves are found missing where it is strict', () => {
  const life = (revision: string, policy: number): string[] =>
    play(
      `kernel v7.3\nstage\ntask p\nopen\ncreate s\nmemfd f bytes 4M folios 2M\npreserve f in s token 0\n${LEAVE}\n` +
        `kernel ${revision}\nstage\ntask p\novercommit-memory to ${policy}\nopen\nretrieve s\nretrieve-fd f in s token 0`,
      '64M',
    ).violations.map(({ law, text }) => `${law}: ${text}`);
  const missing = 'committed-memory: 1022 pages of files are not accounted for';
  expect([life('v7.3 -memfd-acct', 2), life('v7.3 -memfd-acct', 0), life('v7.3', 2)]).toEqual([
    [missing],
    [],
    [],
  ]);
});

it('a run with limits comes back from its token, and another limit is another run', () => {
  const text = (kbytes: number): string =>
    `kernel v7.3\nstage\ntask p\novercommit-memory to 2\novercommit-kbytes to ${kbytes}\nmemfd f bytes 1M\nfill f every 4096 seed 1`;
  const input = onOneCpu(text(256));
  const result = ran(input);
  const recorded = ran(recordingOf(input, result));
  expect([recorded.digest, recorded.misfits]).toEqual([result.digest, []]);
  expect(play(text(512)).digest).not.toBe(result.digest);
});
