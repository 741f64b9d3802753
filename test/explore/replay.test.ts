/*
 * A token is the run: what it was made of comes out of it, and is the same run again. Thousands of them, in other
 * processes and on another Node: test/long/tokens.test.ts.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { givenInput } from '../../commands/given_input.ts';
import { RandomStream } from '../../sim/base/random.ts';
import type { RunResult } from '../../sim/explore/result.ts';
import { recordingOf, resultToken } from '../../sim/explore/result_token.ts';
import { simulate } from '../../sim/explore/simulate.ts';
import { printProgram } from '../../sim/input/program_print.ts';
import type { RunInput } from '../../sim/input/run_input.ts';
import { encodeToken } from '../../sim/input/token.ts';
import { anyInputs } from '../support/any_input.ts';
import { inputs } from '../support/inputs.ts';
import { runs } from '../support/seed.ts';
import { MIB } from '../support/system.ts';

const ran = (input: RunInput): RunResult => {
  const result = simulate(input);
  if (typeof result === 'string') throw new Error(result);
  return result;
};

const tokenOf = (input: RunInput): string =>
  encodeToken({ kind: 'program', text: printProgram(input) }) ?? '';

describe('a token', () => {
  it('of any input gives it back', () => {
    fc.assert(
      fc.property(anyInputs, (input) => {
        expect(givenInput([tokenOf(input)]).input).toEqual(input);
      }),
      { numRuns: 100 },
    );
  });

  it('of a recording replays the run, whatever its seed drew', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const first = ran(input);
        const recording = givenInput([tokenOf(recordingOf(input, first))]).input;
        expect(recording.faults).toBeUndefined();
        expect(ran(recording)).toEqual(first);
      }),
      { numRuns: runs(30) },
    );
  }, 120_000);
});

describe('the token of a result', () => {
  const tasks = (names: readonly string[]): RunInput['program'] => ({
    generations: [
      {
        revision: 'v7.0',
        stages: [
          [{ process: 'p', actions: [{ do: 'open' }] }],
          names.map((name) => ({
            process: 'p',
            actions: [{ do: 'create', names: { pattern: `${name}%d`, first: 0, count: 40 } }],
          })),
          [{ process: 'init', actions: [{ do: 'load' }, { do: 'reboot' }] }],
        ],
      },
      { revision: 'v7.0', stages: [] },
    ],
  });
  const input = (names: readonly string[]): RunInput => ({
    machine: { ramBytes: 16 * MIB, nodes: 1, cpus: 2 },
    profile: 'icount',
    seed: 'x',
    program: tasks(names),
  });
  const OPTIONS = { scenario: 'kho-test' };

  it('is the input as it is while nothing but memory was decided', () => {
    const alone = input(['a']);
    const result = ran(alone);
    expect(result.departures.map(({ point }) => point)).toContain('machine_kexec:pattern');
    expect(resultToken(alone, result, undefined)).toBe(tokenOf(alone));
    expect(resultToken(alone, result, OPTIONS)).toBe(encodeToken({ kind: 'scenario', options: OPTIONS }));
  });

  it('is a recording where a schedule or a fault was', () => {
    const two: RunInput = { ...input(['a', 'b']), program: tasks(['a', 'b']) };
    const result = ran(two);
    const recorded = tokenOf(recordingOf(two, result));
    expect(resultToken(two, result, OPTIONS)).toBe(recorded);
    // What is a recording already stays one.
    const recording = recordingOf(two, result);
    expect(resultToken(recording, ran(recording), undefined)).toBe(recorded);
    const faulty: RunInput = { ...input(['a']), faults: [{ point: 'alloc_file:filp', nth: 3 }] };
    const failed = ran(faulty);
    expect(resultToken(faulty, failed, undefined)).toBe(tokenOf(recordingOf(faulty, failed)));
  });

  it('is the input as it is where a recording would be longer than a page', () => {
    const many = input(Array.from({ length: 16 }, (_, i) => `task ${i} `));
    const result = ran(many);
    expect(tokenOf(recordingOf(many, result)).length).toBeGreaterThan(2000);
    expect(resultToken(many, result, undefined)).toBe(tokenOf(many));
  });

  it('is none where it would be too long for a command line', () => {
    const random = new RandomStream('seed');
    const seed = Array.from({ length: 80_000 }, () => String.fromCharCode(33 + random.below(90))).join('');
    const long = { ...input(['a']), seed };
    expect(resultToken(long, ran(long), undefined)).toBeUndefined();
  });
});
