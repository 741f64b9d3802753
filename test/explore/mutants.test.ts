import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RandomStream } from '../../sim/base/random.ts';
import { printProgram } from '../../sim/explore/program_print.ts';
import { encodeToken } from '../../sim/explore/token.ts';
import { inputs } from '../support/inputs.ts';
import { mutant, readsText, readsToken, runs } from '../support/mutants.ts';

const MUTANTS = 5_000;
const EVERY = 20;

describe('damaged', () => {
  const texts = fc.sample(inputs, { numRuns: 100, seed: 7 }).map(printProgram);

  it('tokens are refused in one line, or say what they said', () => {
    const random = new RandomStream('tokens');
    const tokens = texts.map((text) => encodeToken({ kind: 'program', text }) ?? '');
    let read = 0;
    for (let i = 0; i < MUTANTS; i++) {
      if (readsToken(mutant(tokens[i % tokens.length] as string, random))) read++;
    }
    // White space and capitals do no harm.
    expect(read).toBeGreaterThan(10);
    expect(read).toBeLessThan(MUTANTS / 4);
  });

  it('texts of programs are refused in one line, or can be run', () => {
    const random = new RandomStream('texts');
    let read = 0;
    let ran = 0;
    for (let i = 0; i < MUTANTS; i++) {
      const input = readsText(mutant(texts[i % texts.length] as string, random));
      if (input === undefined) continue;
      if (read++ % EVERY === 0 && runs(input)) ran++;
    }
    expect(read).toBeGreaterThan(MUTANTS / 20);
    expect(ran).toBeGreaterThan(5);
  });
});
