/*
 * What run and replay make of a result: the report, the token in it, the exit code.
 */
import { commandLine } from '../reports/command_line.ts';
import { jsonReport } from '../reports/json.ts';
import { misfitText } from '../reports/misfit.ts';
import { terminalReport } from '../reports/terminal.ts';
import { type RunInput, type RunResult, resultToken, type ScenarioOptions } from '../sim/index.ts';
import { afterwards, EXIT } from './command.ts';
import { colours } from './terminal.ts';

export interface Ran {
  readonly input: RunInput;
  /** Where the input came from, if it came from a scenario. */
  readonly options: ScenarioOptions | undefined;
  /** Whether the input alone makes the run: memory from a file is in no token. */
  readonly mailable: boolean;
  readonly json: boolean;
  /** The command line that runs this again; undefined where only its token can. */
  readonly again: string | undefined;
}

/** The report. A run in which a law broke is told with the line that anybody can run, whatever files they lack. */
export function renderResult(
  result: RunResult,
  { input, options, mailable, json, again }: Ran,
): Iterable<string> {
  const token = mailable ? resultToken(input, result, options) : undefined;
  const own = result.violations.length > 0 && token !== undefined ? undefined : again;
  const told = {
    again: own ?? commandLine(['replay', token ?? '-']),
    ...(token === undefined ? {} : { token }),
  };
  sayMisfits(result);
  return json ? jsonReport(result, told) : [terminalReport(result, { ...told, colours: colours() })];
}

/** Not the run that was recorded: what came of it is told all the same, and the exit code says bad input. */
export function sayMisfits({ misfits }: RunResult): void {
  const misfit = misfitText(misfits);
  if (misfit !== undefined) afterwards.push(misfit);
}

export const exitCode = ({ violations }: RunResult): number =>
  violations.length === 0 ? EXIT.held : EXIT.violation;
