/*
 * The seed of every property. `npm test` gives the same answer each time it is asked of the same code: its seed is one.
 * `npm run test:long` draws a new one, which fast-check prints when a property fails, and tries the dear properties ten
 * times as often; LUOSIM_SEED=N repeats a seed.
 */
import fc from 'fast-check';

const { LUOSIM_SEED, LUOSIM_LONG } = process.env;
const long = LUOSIM_LONG === '1';
if (LUOSIM_SEED !== undefined) fc.configureGlobal({ seed: Number(LUOSIM_SEED) });
else if (!long) fc.configureGlobal({ seed: 1 });

/** Runs of a property whose single run is dear. */
export const runs = (fast: number): number => (long ? 10 * fast : fast);

/** Of a table whose rows each take a process: every row in the long suite, every fourth in the fast one. */
export const some = <T>(rows: readonly T[]): readonly T[] =>
  long ? rows : rows.filter((_, i) => i % 4 === 0);
