/*
 * errno values: those of the golden errno runs, and the others as errno-base.h and errno.h have them.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ERRNO, type ErrnoName, errnoName, printErrno } from '../../sim/base/errno.ts';

const TOLD = /^#define (E\w+) (\d+)$/gm;
/** What no golden row shows. */
const HEADER = `
#define ESRCH 3
#define EIO 5
#define EAGAIN 11
#define ENOMEM 12
#define EACCES 13
#define ENFILE 23
#define EMFILE 24
#define EFBIG 27
#define ENOSPC 28
#define ESPIPE 29
#define ERANGE 34
#define ENODATA 61
#define EOPNOTSUPP 95
#define EADDRNOTAVAIL 99
`;

describe('errno values', () => {
  it('are those of Linux', () => {
    const known = new Map<string, number>();
    for (const file of ['k734-errno.json', 'k7113-errno.json']) {
      const { rows } = JSON.parse(readFileSync(new URL(`../golden/${file}`, import.meta.url), 'utf8'));
      for (const { name, errno } of rows) if (errno > 0) known.set(name, errno);
    }
    for (const [, name, value] of HEADER.matchAll(TOLD)) {
      expect(known.has(name as string)).toBe(false);
      known.set(name as string, Number(value));
    }
    expect(new Map(Object.entries(ERRNO))).toEqual(known);
  });

  it('have their names, and a number where they have none', () => {
    for (const name of Object.keys(ERRNO) as ErrnoName[]) {
      expect([errnoName(-ERRNO[name]), printErrno(-ERRNO[name])]).toEqual([name, `-${name}`]);
    }
    expect([0, 5, -133].map(errnoName)).toEqual(['OK', 'OK', 'E133']);
    expect([0, 5, -133].map(printErrno)).toEqual(['0', '5', '-E133']);
  });
});
