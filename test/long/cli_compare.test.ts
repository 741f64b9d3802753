/*
 * luosim compare, interrupted: what is over is told. Where standard error is no terminal it says nothing on the way, so
 * the signal comes after a while: the first run is over within milliseconds, the second takes many seconds.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkBuilt, cleanUp, linesOf, luosim } from '../support/cli.ts';

beforeAll(checkBuilt);
afterAll(cleanUp);

it('ends at Ctrl-C with the runs that are over', async () => {
  const args = ['compare', '--sessions', '3,8190000', '--index', 'list-scan'];
  const { code, out, err } = await luosim(args, { killAfterMs: 3000 });
  expect({ code, err }).toEqual({ code: 130, err: '' });
  const lines = linesOf(out);
  expect(lines.filter((line) => / sessions on /.test(line))).toEqual(['3 sessions on april-v1-p1']);
  expect(lines.slice(-3)).toEqual([
    'interrupted after 1 run',
    'all laws held',
    'npx luosim compare --sessions 3,8190000 --index list-scan',
  ]);
});
