/*
 * Every row of the errno runs answered as the real kernel did: rows in order on one machine, state carried over.
 */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { errnoRuns } from './rows.ts';
import { runRows } from './run.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

describe.each(errnoRuns(ROOT).map(({ revision, rows }) => [revision.name, revision, rows] as const))(
  'the errno run of %s',
  (_name, revision, rows) => {
    const answers = runRows(revision, rows);

    it('is answered row by row', () => {
      const known = answers.filter(({ index }) => rows[index]?.withheld !== true);
      const differ = known.filter(({ expected, got }) => JSON.stringify(expected) !== JSON.stringify(got));
      expect(differ).toEqual([]);
      expect(known.length).toBeGreaterThan(135);
    });

    it('has an answer for every row that withholds the real one', () => {
      const withheld = answers.filter(({ index }) => rows[index]?.withheld === true);
      expect(withheld.length).toBeGreaterThan(30);
      for (const { expected, got } of withheld) expect([expected, typeof got]).toEqual([null, 'string']);
    });
  },
);
