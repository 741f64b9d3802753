/*
 * The token of a result: the shortest one that replays it after the code has changed, too.
 *
 *   the seed decided nothing but what memory looked like    the input as it is: a scenario, or the program's text
 *   it decided a schedule or a fault                        the program with the run's departures instead: a point that
 *                                                           is added to the code shifts what a seed draws
 *   that is longer than a page                              the input as it is
 */
import { pointByName, pointConcern } from '../base/point.ts';
import { printProgram } from '../input/program_print.ts';
import type { RunInput } from '../input/run_input.ts';
import { encodeToken, type ScenarioOptions } from '../input/token.ts';
import type { RunResult } from './result.ts';

/** What a person puts into a mail. */
const RECORDING_LETTERS_MAX = 2000;
/** Linux takes 128 KiB in one argument. */
const ARGUMENT_LETTERS_MAX = 100_000;

/** The input that repeats a run by its departures, whatever its seed would draw. */
export function recordingOf(input: RunInput, { departures }: RunResult): RunInput {
  const { faults: _among, ...rest } = input;
  return { ...rest, departures };
}

/** The token; undefined where it would be too long for a command line. */
export function resultToken(
  input: RunInput,
  result: RunResult,
  options: ScenarioOptions | undefined,
): string | undefined {
  if (input.departures === undefined && result.departures.some(({ point }) => isShifting(point))) {
    const recorded = encodeToken({ kind: 'program', text: printProgram(recordingOf(input, result)) });
    if (recorded !== undefined && recorded.length <= RECORDING_LETTERS_MAX) return recorded;
  }
  const token = encodeToken(
    options === undefined ? { kind: 'program', text: printProgram(input) } : { kind: 'scenario', options },
  );
  return token !== undefined && token.length <= ARGUMENT_LETTERS_MAX ? token : undefined;
}

function isShifting(name: string): boolean {
  const point = pointByName(name);
  return point !== undefined && pointConcern(point) !== 'leftovers';
}
