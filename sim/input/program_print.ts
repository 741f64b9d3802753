/*
 * The input of a run as canonical text: one text for one input. Defaults are left out, kernels in a row that do the
 * same are said once, and the rest stands in the order of program_text.ts.
 */
import type { GenerationProgram } from '../user/program.ts';
import {
  DEFAULTS,
  writtenBoot,
  writtenCorruption,
  writtenDeparture,
  writtenFault,
  writtenMachine,
} from './program_statements.ts';
import { FORMAT } from './program_text.ts';
import { written } from './program_words.ts';
import type { RunInput } from './run_input.ts';
import { writtenAction } from './verbs.ts';

/** The text, which ends with a newline; parseProgram makes the same input of it. The input must be a valid one. */
export function printProgram(input: RunInput): string {
  const { machine, profile, seed, program, faults = [], departures, corruptions = [] } = input;
  const choices = departures?.length === 0 ? ['choose defaults'] : (departures ?? []).map(writtenDeparture);
  const outside = [...faults.map(writtenFault), ...choices, ...corruptions.map(writtenCorruption)];
  const lines = [
    `luosim ${FORMAT}`,
    writtenMachine(machine),
    profile === DEFAULTS.profile ? '' : `profile ${written(profile)}`,
    seed === DEFAULTS.seed ? '' : `seed ${written(seed)}`,
  ].filter((line) => line !== '');
  for (const kernel of kernels(program.generations)) lines.push('', ...kernel);
  if (outside.length > 0) lines.push('', ...outside);
  return `${lines.join('\n')}\n`;
}

function* kernels(generations: readonly GenerationProgram[]): Generator<string[], void, void> {
  let before: GenerationProgram | undefined;
  let text = '';
  let times = 0;
  for (const generation of [...generations, undefined]) {
    const next = generation === before ? text : generation === undefined ? '' : bodyText(generation);
    if (times > 0 && next === text && generation?.revision === before?.revision) {
      times++;
      continue;
    }
    if (before !== undefined) {
      const head = `kernel ${before.revision}${times > 1 ? ` times ${times}` : ''}`;
      yield text === '' ? [head] : [head, text];
    }
    [before, text, times] = [generation, next, 1];
  }
}

/** What stands below the line of a kernel. */
function bodyText({ boot, stages }: GenerationProgram): string {
  const lines = boot === undefined ? [] : [writtenBoot(boot)];
  for (const stage of stages) {
    lines.push('stage');
    for (const { process, actions } of stage) {
      lines.push(`  task ${written(process)}`);
      for (const action of actions) lines.push(`    ${writtenAction(action)}`);
    }
  }
  return lines.join('\n');
}
