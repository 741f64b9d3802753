import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RandomStream } from '../../sim/base/random.ts';
import { printProgram } from '../../sim/input/program_print.ts';
import { anyInputs } from '../support/any_input.ts';
import { inputs } from '../support/inputs.ts';
import { readMutantTokens, runMutantTexts } from '../support/mutants.ts';

describe('damaged', () => {
  it('tokens are refused in one line, or say what they said', () => {
    const texts = fc.sample(anyInputs, { numRuns: 100, seed: 7 }).map(printProgram);
    const read = readMutantTokens(texts, 4000, new RandomStream('tokens'));
    // White space and capitals do no harm.
    expect(read).toBeGreaterThan(4);
    expect(read).toBeLessThan(1000);
  });

  it('texts of programs that are read can be run', () => {
    const texts = fc.sample(inputs, { numRuns: 100, seed: 7 }).map(printProgram);
    expect(runMutantTexts(texts, 1000, 10, new RandomStream('texts'))).toBeGreaterThan(2);
  });
});
