/*
 * Programs played as a person would write them, and what their actions answered.
 */
import type { RunResult } from '../../sim/explore/result.ts';
import { simulate } from '../../sim/explore/simulate.ts';
import { parseProgram } from '../../sim/input/program_text.ts';
import type { RunInput } from '../../sim/input/run_input.ts';

/** What v6.19, v7.0 and the April series lose between hook and jump is theirs: nobody acts there here. */
export const LEAVE = 'stage\ntask init\nload\nreboot';

export function inputOf(kernels: string, seed = '1', machine = 'ram 32M'): RunInput {
  const parsed = parseProgram(`luosim 1\nmachine ${machine}\nseed ${seed}\n${kernels}`);
  if ('message' in parsed) throw new Error(`line ${parsed.line}: ${parsed.message}`);
  return parsed;
}

export function ran(input: RunInput): RunResult {
  const result = simulate(input);
  if (typeof result === 'string') throw new Error(result);
  return result;
}

export const play = (kernels: string, seed?: string): RunResult => ran(inputOf(kernels, seed));

/** What each action of a kernel answered, and after how many calls. */
export const told = ({ generations }: RunResult, generation = 0): string[] =>
  (generations[generation]?.actions ?? []).map(({ verb, calls, result }) => `${verb} ${calls} ${result}`);
