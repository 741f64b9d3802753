/*
 * Plans of sizes that take long to run, the cache outgrown among them; and shattered memory at the scale of 8 GiB.
 */
import { expect, it } from 'vitest';
import { planIsRun } from '../support/plan.laws.ts';
import { planFor, shatteredFor } from '../support/planned.ts';
import { MIB } from '../support/system.ts';

planIsRun('april-v1-p1', 12_000);
planIsRun('v7.3', 30_000);
// Of a list longer than 174,762 every hop misses the cache.
planIsRun('april-v1-p1', 200_000);

it.each([
  ['april-v1-p1', 8_190_000, 92],
  ['v7.3', 510_000, undefined],
])(
  'creates of %s with %i sessions fail on 8 GiB from %s percent on',
  (revision, sessions, percent) => {
    const { failsFromPercent, ramBytes, runs } = shatteredFor(revision, sessions, 8 * 1024 * MIB);
    expect({ failsFromPercent, ramBytes }).toEqual({ failsFromPercent: percent, ramBytes: 128 * MIB });
    expect(runs.map((run) => [run.percent, run.result, run.asForetold])).toEqual(
      percent === undefined
        ? [[100, 'OK', true]]
        : [
            [percent - 1, 'OK', true],
            [percent, 'ENOMEM', true],
          ],
    );
  },
  300_000,
);

it('shattered memory is counted by files, and not only by sessions', () => {
  const plan = planFor('v7.1', 100, { ramBytes: 32 * MIB, fragmentedPercent: 1 }, ['v7.1'], 2_000);
  const [{ files, sessions, failsFromPercent, runs } = { files: 0, runs: [] }] = plan.shattered;
  expect({ files, sessions, failsFromPercent }).toEqual({
    files: 2_000,
    sessions: 100,
    failsFromPercent: 0,
  });
  expect(runs).toEqual([{ percent: 0, created: 100, result: 'ENOMEM', asForetold: true }]);
});
