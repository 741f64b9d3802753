/*
 * Programs as text, damaged a hundred thousand times: see test/input/program_text.test.ts.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { printProgram } from '../../sim/input/program_print.ts';
import { anyInputs } from '../support/any_input.ts';
import { checkMutants } from '../support/mutated_text.ts';

it('a program is refused with a place after any damage, or is an input still', () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const texts = fc.sample(anyInputs, { numRuns: 100, seed }).map(printProgram);
    const { refused, read } = checkMutants(texts, 20_000, `long ${seed}`);
    expect(refused).toBeGreaterThan(5000);
    expect(read).toBeGreaterThan(2000);
  }
}, 300_000);
