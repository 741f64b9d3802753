/*
 * luosim plan with files, whose samples take seconds: what it tells, line by line. The README has a shorter one.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkBuilt, cleanUp, linesOf, luosim } from '../support/cli.ts';

beforeAll(checkBuilt);
afterAll(cleanUp);

/** Labels of the rows that end in two figures. */
const labels = (out: string): string[] =>
  linesOf(out)
    .filter((line) => /^\S.{43} +[\d,.]+( \S+)? +[\d,.]+( \S+)?$/.test(line))
    .map((line) => line.slice(0, 44).trim());

it('tells times, memory, limits and what they rest on, of files as of sessions, on one screen', async () => {
  const args = ['plan', '--sessions', '900', '--files', '20000', '--revision', 'v7.1'];
  const { code, out, err } = await luosim(args);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  const lines = linesOf(out);
  expect(lines.length).toBeLessThanOrEqual(40);
  expect(lines[0]).toBe('900 sessions, 20,000 files on v7.1, 1 GiB RAM');
  expect(labels(out)).toEqual([
    'create every session',
    'preserve every file',
    'blackout: reboot, boot, first open',
    'until every session and file is retrieved',
    'sessions',
    'files of one session',
    'descriptors of one process (fs.nr_open)',
    'struct files (fs.file-max)',
    'pages of memory outside of scratch',
    'blocks of 16 pages in one piece',
  ]);
  expect(out).toMatch(/^sessions +900 +819\n {2}ENOMEM\nfiles of one session +23 +128\ndesc/m);
  expect(lines.filter((line) => /^memory /.test(line))).toEqual([
    expect.stringMatching(/^memory of the sessions and files, created +[\d.]+ MiB$/),
    expect.stringMatching(/^memory that crosses the jump +[\d.]+ MiB$/),
    expect.stringMatching(/^memory of the sessions and files, retrieved +[\d.]+ MiB$/),
  ]);
  expect(out).toMatch(
    /^extrapolated from updates of 103, 205, 410 sessions;\none of 819 came out within 0\.\d\d %$/m,
  );
  expect(out).toMatch(
    /^files, of 4 KiB each, from updates of 400 in 400, 800 in 800, 2,048 in 32, 2,048\nin 16 sessions;$/m,
  );
  expect(out).toMatch(/^one of 2,037 in 16 came out within 0\.\d\d %$/m);
  expect(lines.at(-1)).toBe(`npx luosim ${args.join(' ')}`);
});
