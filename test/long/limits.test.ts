/*
 * The limits of block set and chain, under all laws and through an update. Minutes, and 2 GiB: runs with
 * npm run test:long.
 */
import { expect, it } from 'vitest';
import manySessions, { ramBytesFor } from '../../scenarios/many_sessions.ts';
import { simulate } from '../../sim/explore/simulate.ts';
import type { Names } from '../../sim/user/names.ts';
import type { Action, Program } from '../../sim/user/program.ts';

const PATTERN = 's%d';

const only = (first: number): Names => ({ pattern: PATTERN, first, count: 1 });

it.each([
  ['v7.3', 510_000],
  ['april-v1-p1', 8_190_000],
])('%s takes %i sessions and not one more', { timeout: 3_600_000 }, (revision, limit) => {
  const params = { revisions: [revision], generations: 2, sessions: limit + 1, pattern: PATTERN };
  const [first, second] = manySessions(params).generations;
  if (first === undefined || second === undefined) expect.fail('an update has two kernels');
  const process = first.stages.at(-2)?.[0]?.process ?? '';
  // The last agent: a taken name does not come to be compared; where one goes, one can come.
  const edge: Action[] = [
    { do: 'open' },
    { do: 'create', names: only(0) },
    { do: 'close', names: only(limit - 1) },
    { do: 'create', names: only(0) },
    { do: 'create', names: only(limit - 1) },
    { do: 'create', names: only(limit) },
    { do: 'close-device' },
  ];
  const stages = [...first.stages.slice(0, -1), [{ process, actions: edge }], ...first.stages.slice(-1)];
  const program: Program = { generations: [{ ...first, stages }, second] };
  const machine = { ramBytes: ramBytesFor(limit + 1), nodes: 1, cpus: 2 };
  const result = simulate({ machine, profile: 'icount', seed: '1', program });
  if (typeof result === 'string') expect.fail(result);
  expect(result.violations).toEqual([]);
  const [before, after] = result.generations;
  const answers = before?.actions
    .filter((action) => action.process === process)
    .map((action) => action.result);
  expect(answers).toEqual('OK ENOSPC OK OK ENOSPC OK EEXIST OK ENOSPC OK'.split(' '));
  expect(before?.outgoingSessions).toBe(limit);
  expect(before?.handover?.storeRegions).toHaveLength(10_000);
  const retrieved = after?.actions.filter(({ verb }) => verb === 'retrieve');
  expect(retrieved?.reduce((sum, { calls }) => sum + calls, 0)).toBe(limit);
  expect(retrieved?.at(-1)?.result).toBe('ENOENT');
});
