/*
 * luosim plan, as a person meets it: the built program in processes of its own.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Plan } from '../sim/explore/plan.ts';
import { checkBuilt, cleanUp, expectRefused, linesOf, luosim } from './support/cli.ts';

beforeAll(checkBuilt);
afterAll(cleanUp);

/** One screen. */
function expectFits(out: string): void {
  const lines = linesOf(out);
  expect(lines.length).toBeLessThanOrEqual(40);
  for (const line of lines.slice(0, -1)) expect([...line].length, line).toBeLessThanOrEqual(80);
}

/** Labels of the rows that end in two figures. */
const labels = (out: string): string[] =>
  linesOf(out)
    .filter((line) => /^\S.{43} +[\d,.]+( \S+)? +[\d,.]+( \S+)?$/.test(line))
    .map((line) => line.slice(0, 44).trim());

it('tells times, memory, limits and what they rest on, of files as of sessions, on one screen', async () => {
  const args = ['plan', '--sessions', '900', '--files', '20000', '--revision', 'v7.1'];
  const { code, out, err } = await luosim(args);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expectFits(out);
  const lines = linesOf(out);
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

it('of sessions alone says nothing of files; with --fragmented, from where on creates fail', async () => {
  const args = ['plan', '--sessions', '819', '--revision', 'v7.1', '--ram', '16M', '--fragmented', '50'];
  const { code, out, err } = await luosim(args);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expectFits(out);
  expect(out).not.toMatch(/files,|every file|files of/);
  expect(out).toMatch(/^819 sessions on v7.1, 16 MiB RAM, 50 % of it shattered$/m);
  expect(out).toMatch(/^create all of them +[\d.]+ ms +[\d.]+ ms$/m);
  expect(out).toMatch(
    /^blocks of 16 pages, v7.1 +never +1 : 1\n {2}16 MiB, 819 sessions: 100 % all created$/m,
  );
});

it('prints the same as JSON', async () => {
  const args = [
    'plan',
    '--sessions',
    '1',
    '--files',
    '2',
    '--revision',
    'v7.1',
    '--without',
    'serialize-rwsem',
  ];
  const { code, out } = await luosim([...args, '--json']);
  expect(code).toBe(0);
  const plan: Plan & { again: string } = JSON.parse(out);
  expect(plan).toMatchObject({
    schemaVersion: 1,
    revision: 'v7.1 -serialize-rwsem',
    sessions: 1,
    files: 2,
    ramBytes: 2 ** 30,
    fragmentedPercent: 0,
    shattered: [],
    violations: [],
    again: `npx luosim ${args.join(' ')}`,
  });
  expect(plan.preserve.steps).toMatchObject({ memfdPreserve: 2, syscall: 2 });
  expect(plan.usable.steps).toMatchObject({ memfdRetrieve: 2, fileDeserialized: 2, boot: 1 });
  expect(Object.keys(plan.blackout.times)).toEqual(['icount', 'dram']);
});

it.each<[string[], RegExp]>([
  [[], /plan: give --sessions, the number to plan for/],
  [['--sessions', '0'], /--sessions "0": give a whole number from 1 to 16777216/],
  [['--sessions', '1', '--files', '-1'], /--files "-1": give a whole number from 0 to 16777216/],
  [['--sessions', '1', '--ram', '1P'], /--ram "1P" is no size/],
  [['--sessions', '1', '--ram', '65T'], /--ram "65T": give a multiple of 4M, from 16M to 64T/],
  [
    ['--sessions', '1', '--ram', '128G', '--fragmented', '1'],
    /--ram "128G": fragmented memory: at most 64 GiB/,
  ],
  [['--sessions', '1', '--fragmented', '101'], /--fragmented "101": give a whole number from 0 to 100/],
  [['--sessions', '1', '--with', 'nothing'], /--with on v7.3: /],
])('refuses %j', (args, complaint) => expectRefused(['plan', ...args], complaint));
