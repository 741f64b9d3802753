/*
 * luosim replay: exactly one run, the one that the input says.
 *
 * A recording that the code no longer fits is replayed without what finds no place, and told; then a line says which
 * departure was the first, and the exit code is 2: this is not the run that was recorded.
 */
import { commandLine } from '../reports/command_line.ts';
import { type RunResult, simulate } from '../sim/index.ts';
import { BadInput, entry, type Given } from './command.ts';
import { givenInput, INPUT_ARGUMENT } from './given_input.ts';
import { exitCode, type Ran, renderResult } from './result.ts';
import { progress } from './terminal.ts';

export const REPLAY = entry({
  name: 'replay',
  summary: 'run one input again: a token, or a file',
  arguments: [INPUT_ARGUMENT],
  options: [['--json', 'print the result as JSON']],
  order: (given: Given, args): Ran => {
    const { input, options, file } = givenInput(args);
    const again = file === undefined ? undefined : commandLine(['replay', file]);
    return { input, options, mailable: true, json: given.json === true, again };
  },
  work: ({ input }: Ran): RunResult => {
    const result = simulate(input, { onJump: progress(input.program.generations.length) });
    if (typeof result === 'string') throw new BadInput(result);
    return result;
  },
  render: renderResult,
  exitCode,
});
