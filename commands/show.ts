/*
 * luosim show: the input as the text of a program, for reading and editing. With --record it is run, and what its seed
 * decided is written down as departures: such a text stays the same run when the code changes.
 */
import { printProgram, type RunInput, recordingOf, simulate } from '../sim/index.ts';
import { BadInput, EXIT, entry, type Given } from './command.ts';
import { givenInput, INPUT_ARGUMENT } from './given_input.ts';
import { sayMisfits } from './result.ts';

interface ShowOrder {
  readonly input: RunInput;
  readonly record: boolean;
}

export const SHOW = entry({
  name: 'show',
  summary: 'print an input as the text of a program',
  arguments: [INPUT_ARGUMENT],
  options: [['--record', 'run it, and write what its seed decided as departures']],
  order: (given: Given, args): ShowOrder => ({
    input: givenInput(args).input,
    record: given.record === true,
  }),
  work: ({ input, record }: ShowOrder): RunInput => {
    if (!record) return input;
    const result = simulate(input);
    if (typeof result === 'string') throw new BadInput(result);
    sayMisfits(result);
    return recordingOf(input, result);
  },
  render: (input) => [printProgram(input)],
  exitCode: () => EXIT.held,
});
