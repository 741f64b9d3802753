/*
 * luosim compare, as a person meets it: the built program in processes of its own.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Comparison } from '../sim/explore/compare.ts';
import { checkBuilt, cleanUp, digestOf, expectRefused, linesOf, luosim } from './support/cli.ts';
import { some } from './support/seed.ts';

beforeAll(checkBuilt);
afterAll(cleanUp);

const DESIGNS = ['list-scan', 'hash', 'rbtree', 'xarray', 'sort-at-deserialize'];

it('shows every design under every price list, sizes and growth below one another, in 80 columns', async () => {
  const { code, out, err } = await luosim(['compare', '--sessions', '3,5,900', '--ram', '64M']);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  const lines = linesOf(out);
  for (const line of lines) expect([...line].length, line).toBeLessThanOrEqual(80);
  expect(lines.filter((line) => / on april-v1-p1$/.test(line))).toEqual([
    '3 sessions on april-v1-p1',
    '5 sessions on april-v1-p1',
    '900 sessions on april-v1-p1',
  ]);
  const figures = / +(?:[\d.]+ [MK]iB|-)? +(icount|dram)(?: +[\d,.]+ (?:s|ms|us)){3}$/;
  const rows = lines.filter((line) => figures.test(line)).map((line) => line.replace(figures, '').trim());
  expect(rows).toEqual(
    Array(3)
      .fill(DESIGNS.flatMap((name) => [name, '']))
      .flat(),
  );
  expect(
    lines.filter((line) => / cross, the largest block 16 pages; room for 8,190,000 /.test(line)),
  ).toEqual([
    expect.stringMatching(/^ {2}20 pages/),
    expect.stringMatching(/^ {2}20 pages/),
    expect.stringMatching(/^ {2}36 pages/),
  ]);
  const grown = lines.slice(lines.indexOf('time grows as sessions to this power, fitted to 3, 5, 900:') + 2);
  const fits = / +(icount|dram)(?: +[\d.]+, within [\d.]+ %){2}$/;
  expect(grown.filter((line) => fits.test(line)).map((line) => line.replace(fits, '').trim())).toEqual(
    DESIGNS.flatMap((name) => [name, name]),
  );
  expect(lines.slice(-2)).toEqual(['all laws held', 'npx luosim compare --sessions 3,5,900 --ram 64M']);
});

it('as JSON, has the digests of luosim run, revision by revision', async () => {
  const options = ['--revision', 'v7.1,v7.3', '--without', 'serialize-rwsem', '--sessions', '820'];
  const machine = ['--ram', '32M', '--seed', '7', '--cpus', '1'];
  const args = ['compare', ...options, '--index', 'list-scan,hash', ...machine, '--json'];
  const { code, out, err } = await luosim(args);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  const { schemaVersion, rows, growth, again, ...rest }: Comparison & { again: string } = JSON.parse(out);
  expect({ schemaVersion, growth, rest }).toEqual({ schemaVersion: 1, growth: [], rest: {} });
  expect(again).toBe(`npx luosim ${args.slice(0, -1).join(' ')}`);
  expect(rows.map(({ nameIndex, created, result }) => [nameIndex, created, result])).toEqual([
    ['list-scan', 819, 'ENOMEM'],
    ['hash', 819, 'ENOMEM'],
    ['list-scan', 820, 'OK'],
    ['hash', 820, 'OK'],
  ]);
  // One design after the other on the same memory is as each alone.
  const [, , last] = rows;
  const alone = ['run', '--revision', last?.revision ?? '', '--sessions', '820', ...machine];
  expect(last?.digest).toBe(await digestOf(alone));
});

it('says which design ran out of what', async () => {
  const args = ['compare', '--revision', 'v7.1', '--index', 'list-scan', '--sessions', '820', '--ram', '32M'];
  const { code, out } = await luosim(args);
  expect(code).toBe(0);
  expect(out).toMatch(/^ {4}ENOMEM after 819 sessions$/m);
  expect(out).toMatch(/room for 819 sessions$/m);
});

it('takes the names apart where revisions are compared', async () => {
  const args = [
    'compare',
    '--revision',
    'v7.1,v7.3',
    '--index',
    'hash',
    '--sessions',
    '1,2,4',
    '--ram',
    '32M',
  ];
  const { out } = await luosim(args);
  const fits = linesOf(out).filter((line) => /, within /.test(line));
  expect(fits.map((line) => line.trim().split(/ +/).slice(0, 3))).toEqual([
    ['hash', 'v7.1', 'icount'],
    ['hash', 'v7.1', 'dram'],
    ['hash', 'v7.3', 'icount'],
    ['hash', 'v7.3', 'dram'],
  ]);
});

it.each(
  some<[string[], RegExp]>([
    [['--index', 'btree'], /--index "btree" is not known; known: list-scan, hash, /],
    [['--sessions', '10,,20'], /--sessions "": give whole numbers from 1 to 16777216, commas between/],
    [['--sessions', '0'], /--sessions "0": give whole numbers from 1 /],
    [['--revision', 'v9'], /--revision "v9" is not known/],
    [['--profile', 'icount'], /unknown option '--profile'/],
  ]),
)('refuses %j', (args, complaint) => expectRefused(['compare', ...args], complaint));
