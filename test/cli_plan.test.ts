/*
 * luosim plan, as a person meets it: the built program in processes of its own.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Plan } from '../sim/explore/plan.ts';
import { checkBuilt, cleanUp, expectRefused, linesOf, luosim } from './support/cli.ts';
import { some } from './support/seed.ts';

beforeAll(checkBuilt);
afterAll(cleanUp);

/** One screen. */
function expectFits(out: string): void {
  const lines = linesOf(out);
  expect(lines.length).toBeLessThanOrEqual(40);
  for (const line of lines.slice(0, -1)) expect([...line].length, line).toBeLessThanOrEqual(80);
}

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
  const args = ['plan', '--sessions', '1', '--revision', 'v7.1', '--without', 'serialize-rwsem'];
  const { code, out } = await luosim([...args, '--json']);
  expect(code).toBe(0);
  const plan: Plan & { again: string } = JSON.parse(out);
  expect(plan).toMatchObject({
    schemaVersion: 1,
    revision: 'v7.1 -serialize-rwsem',
    sessions: 1,
    files: 0,
    ramBytes: 2 ** 30,
    fragmentedPercent: 0,
    shattered: [],
    violations: [],
    again: `npx luosim ${args.join(' ')}`,
  });
  expect(plan.usable.steps).toMatchObject({ boot: 1 });
  expect(Object.keys(plan.blackout.times)).toEqual(['icount', 'dram']);
});

it.each(
  some<[string[], RegExp]>([
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
  ]),
)('refuses %j', (args, complaint) => expectRefused(['plan', ...args], complaint));
