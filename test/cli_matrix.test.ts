/*
 * luosim matrix, as a person meets it: the built program in processes of its own.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { MatrixCell, MatrixResult } from '../sim/explore/matrix.ts';
import {
  CLI,
  checkBuilt,
  cleanUp,
  type Ended,
  expectRefused,
  linesOf,
  luosim,
  start,
} from './support/cli.ts';
import { some } from './support/seed.ts';

beforeAll(checkBuilt);
afterAll(cleanUp);

const SMALL = ['--ram', '16M', '--sessions', '2'];

/** At most 80 columns, but for the lines to copy. */
function expectFits(out: string): void {
  for (const line of linesOf(out)) {
    if (!line.startsWith('npx luosim ')) expect([...line].length, line).toBeLessThanOrEqual(80);
  }
}

/** Runs a line that was printed, as a person who copies it. */
const copied = (line: string): Promise<Ended> =>
  start('bash', ['-c', `npx() { shift; "${process.execPath}" "${CLI}" "$@"; }; ${line}`]);

it('shows the table, why, for whom, and how to run it again', async () => {
  const { code, out, err } = await luosim(['matrix']);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expectFits(out);
  const lines = linesOf(out);
  expect(lines.filter((line) => /^(from|v\d|april)/.test(line)).map((line) => line.split(/ {2,}/))).toEqual([
    ['from \\ to', 'v6.19', 'v7.0', 'v7.1', 'april-v1-p1', 'april-v1', 'v7.3'],
    ['v6.19', 'keeps', 'cold', 'cold', 'cold', 'cold', 'cold'],
    ['v7.0', 'cold', 'keeps', 'keeps', 'panic', 'panic', 'cold'],
    ['v7.1', 'cold', 'keeps', 'keeps', 'panic', 'panic', 'cold'],
    ['april-v1-p1', 'cold', 'panic', 'panic', 'keeps', 'panic', 'cold'],
    ['april-v1', 'cold', 'panic', 'panic', 'panic', 'keeps', 'cold'],
    ['v7.3', 'cold', 'cold', 'cold', 'cold', 'cold', 'keeps'],
  ]);
  const at = lines.indexOf("cold        KHO: setup: handover FDT (0x...) is incompatible with 'kho-v4': 1");
  expect(lines[at + 1]).toBe('              v6.19, v7.0, v7.1, april-v1-p1, april-v1 -> v7.3');
  expect(out).toMatch(/^again +down and up again, every jump went as the table says$/m);
  expect(out).toMatch(/^panic +luo_core: Session node incompatible \[luo-session-v2\]$/m);
  expect(out).toMatch(/^verdict +all laws held in every pair$/m);
  expect(lines.at(-1)).toBe('npx luosim matrix --seed 1');
});

it('as JSON, says how to run one pair', async () => {
  const options = ['--revision', 'v7.1,v7.0', '--with', 'get-name', '--without', 'serialize-rwsem'];
  const { code, out, err } = await luosim(['matrix', ...SMALL, ...options, '--json']);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  const result: Omit<MatrixResult, 'cells'> & {
    again: string;
    cells: (MatrixCell & { again: string })[];
  } = JSON.parse(out);
  const { schemaVersion, revisions, cells, again } = result;
  const variants = ['v7.1 +get-name -serialize-rwsem', 'v7.0 +get-name'];
  expect({ schemaVersion, revisions }).toEqual({ schemaVersion: 1, revisions: variants });
  expect(cells.map(({ from, to }) => [from, to])).toEqual(
    variants.flatMap((from) => variants.map((to) => [from, to])),
  );
  expect(cells.flatMap(({ jumps }) => jumps).map(({ outcome }) => outcome)).toEqual(Array(12).fill('keeps'));
  expect(again).toBe(`npx luosim matrix ${[...SMALL, ...options].join(' ')} --seed 1`);
  const [, pair] = cells;
  expect(pair?.again).toContain(`--revision '${[...variants, ...variants].join(',')}' --generations 4`);
  const run = await copied(pair?.again ?? '');
  expect(run.code).toBe(0);
  expect(run.out).toMatch(new RegExp(`^digest +${pair?.digest}$`, 'm'));
});

it('ends with 1 where a law is broken, and says which pair and how to see it', async () => {
  const args = ['--scenario', 'taken-name', '--sessions', '51', '--revision', 'v7.3', '--ram', '16M'];
  const { code, out } = await luosim(['matrix', ...args]);
  expect(code).toBe(1);
  expectFits(out);
  expect(out).toMatch(/^v7.3 +panic$/m);
  expect(out).toMatch(/^verdict +laws broken in 1 pair$/m);
  const line = linesOf(out).find((each) => each.startsWith('npx luosim run ')) ?? '';
  const run = await copied(line);
  expect(run.code).toBe(1);
  expect(run.out).toContain('session block 1 is empty');
});

it.each(
  some<[string[], RegExp]>([
    [['--revision', 'v7.1,v7.1'], /--revision names "v7.1" twice/],
    [['--revision', 'v7.1 +get-name,v7.1', '--with', 'get-name'], /--revision names "v7.1 \+get-name" twice/],
    [['--revision', 'v7.1,v9'], /--revision "v9" is not known; known: v6.19, /],
    [['--with', 'session-blocks'], /--with on v7.3: session-blocks and luo-ser are two designs/],
    [
      ['--scenario', 'kho-test'],
      /--scenario "kho-test" is none with sessions; give one of: many-sessions, taken-name/,
    ],
    [['--sessions', 'many'], /--sessions "many": give a whole number/],
  ]),
)('refuses %j', (args, complaint) => expectRefused(['matrix', ...args], complaint));
