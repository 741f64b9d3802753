/*
 * luosim matrix of more revisions than a table is wide: a hundred and more updates.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkBuilt, cleanUp, linesOf, luosim } from '../support/cli.ts';

beforeAll(checkBuilt);
afterAll(cleanUp);

it('gives numbers to names that do not fit, and breaks the table where numbers do not', async () => {
  const patches = ['get-name', 'finish-reserved', 'retrieve-fd-guard'];
  const variants = ['v7.0', 'v7.1', 'v6.19'].flatMap((base) => [
    base,
    ...patches.map((p) => `${base} +${p}`),
  ]);
  const list = variants.slice(0, 11).join(',');
  const { code, out } = await luosim(['matrix', '--sessions', '0', '--ram', '16M', '--revision', list]);
  expect(code).toBe(0);
  for (const line of linesOf(out).slice(0, -1)) expect([...line].length, line).toBeLessThanOrEqual(80);
  expect(out).toMatch(/^2 +v7.0 \+get-name$/m);
  expect(out.match(/^from \\ to .*$/gm)?.map((line) => line.split(/ {2,}/).slice(1))).toEqual([
    ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10'],
    ['11'],
  ]);
  expect(out).toMatch(/^ +1, 2, 3, 4, 5, 6, 7, 8 -> 9, 10, 11$/m);
});
