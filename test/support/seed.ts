/*
 * The seed of every property. `npm test` gives the same answer each time it is asked of the same code: its seed is one.
 * `npm run test:long` draws a new one, which fast-check prints when a property fails; LUOSIM_SEED=N repeats it.
 */
import fc from 'fast-check';

const { LUOSIM_SEED, LUOSIM_LONG } = process.env;
if (LUOSIM_SEED !== undefined) fc.configureGlobal({ seed: Number(LUOSIM_SEED) });
else if (LUOSIM_LONG !== '1') fc.configureGlobal({ seed: 1 });
