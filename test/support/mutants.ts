/*
 * What damaged tokens, and damaged texts that can still be read, must come to: one line, or a run. They are read by what
 * the commands read with.
 */
import { expect } from 'vitest';
import { BadInput } from '../../commands/command.ts';
import { givenInput } from '../../commands/given_input.ts';
import type { RandomStream } from '../../sim/base/random.ts';
import { simulate } from '../../sim/explore/simulate.ts';
import { isTextProblem, parseProgram } from '../../sim/input/program_text.ts';
import type { RunInput } from '../../sim/input/run_input.ts';
import { encodeToken } from '../../sim/input/token.ts';
import { mutant } from './mutated_text.ts';

const SESSIONS_MAX = 200;

/** Damages tokens of the texts and reads them as `luosim replay` would; how many were read. */
export function readMutantTokens(texts: readonly string[], count: number, random: RandomStream): number {
  const tokens = texts.map((text) => encodeToken({ kind: 'program', text }) ?? '');
  let read = 0;
  for (let i = 0; i < count; i++) {
    // No argument of a command has a NUL in it.
    const token = mutant(tokens[i % tokens.length] as string, random).replaceAll('\0', '');
    try {
      givenInput([token]);
      read++;
    } catch (error) {
      if (!(error instanceof BadInput)) throw error;
      // What was given is said in the line, as it is: who prints it makes it printable.
      expectOneLine(error.message.replaceAll(token, ''));
    }
  }
  return read;
}

function expectOneLine(message: string): void {
  if (/[\n\r]| at .*:\d+:\d+|Error\b|undefined|\[object/.test(message) || message.length > 600)
    expect.fail(`no line for a person: ${message}`);
}

/** Damages the texts and runs each `every`th that is an input still, if that takes little; how many ran. */
export function runMutantTexts(
  texts: readonly string[],
  count: number,
  every: number,
  random: RandomStream,
): number {
  let read = 0;
  let ran = 0;
  for (let i = 0; i < count; i++) {
    const input = parseProgram(mutant(texts[i % texts.length] as string, random), { anyPoint: true });
    if (isTextProblem(input) || read++ % every !== 0 || !isSmall(input)) continue;
    expect(simulate(input)).toMatchObject({ digest: expect.stringMatching(/^[0-9a-f]{16}$/) });
    ran++;
  }
  return ran;
}

function isSmall({ machine, program }: RunInput): boolean {
  const tasks = program.generations.flatMap(({ stages }) => stages.flat());
  const actions = tasks.flatMap((task) => task.actions);
  const sessions = actions.reduce((sum, action) => sum + ('names' in action ? action.names.count : 1), 0);
  const tests = actions.filter((action) => action.do === 'kho-test').length;
  return sessions <= SESSIONS_MAX && tests <= 1 && machine.ramBytes <= 2 ** 26 && machine.cpus <= 8;
}
