/*
 * Tokens and texts of programs, damaged at random, and what reading them must come to: one line, or an input that can be
 * run. They are read by what the commands read with.
 */
import { expect } from 'vitest';
import { BadInput } from '../../commands/command.ts';
import { givenInput } from '../../commands/given_input.ts';
import type { RandomStream } from '../../sim/base/random.ts';
import { printProgram } from '../../sim/explore/program_print.ts';
import { isTextProblem, parseProgram } from '../../sim/explore/program_text.ts';
import type { RunInput } from '../../sim/explore/run_input.ts';
import { simulate } from '../../sim/explore/simulate.ts';

const LETTERS = [
  ...'qpzry9x8gf2tvdw0s3jn54khce6mua7l1',
  ...' \n\t>"\\#=.:-+%d0159BIO_é\u200b\u{1f600}\ud800',
];
const WORDS = [
  ...[
    'luosim 1',
    'kernel v7.3',
    'stage',
    'task p',
    'create a',
    'reboot',
    'choose',
    'fault',
    'corrupt',
    'times',
  ],
  ...['0', '-1', '1e9', '99999999999999999999', '0x', '16777216', '4294967296', '1T', 'nth', 'luo1', '%d%d'],
];

const TEXT_SESSIONS_MAX = 200;

/** A text with one to four damages. */
export function mutant(text: string, random: RandomStream): string {
  let damaged = text;
  for (let i = random.below(4); i >= 0; i--) damaged = damage(damaged, random);
  return damaged;
}

const pick = <T>(from: readonly T[], random: RandomStream): T => from[random.below(from.length)] as T;

function damage(text: string, random: RandomStream): string {
  const [a, b] = [random.below(text.length + 1), random.below(text.length + 1)];
  const [from, to] = [Math.min(a, b), Math.max(a, b)];
  const near = Math.min(from + random.below(8), text.length);
  const lines = text.split('\n');
  const line = random.below(lines.length);
  switch (random.below(9)) {
    case 0:
      return text.slice(0, from) + pick(LETTERS, random) + text.slice(from + 1);
    case 1:
      return text.slice(0, from) + pick(LETTERS, random) + text.slice(from);
    case 2:
      return text.slice(0, from) + text.slice(near);
    case 3:
      return text.slice(0, near) + text.slice(from);
    case 4:
      return text.slice(0, from) + pick(WORDS, random) + text.slice(near);
    case 5:
      return text.slice(0, to);
    case 6:
      return [...lines.slice(0, line), ...lines.slice(line + 1)].join('\n');
    case 7:
      return [...lines.slice(0, line), lines[random.below(lines.length)], ...lines.slice(line)].join('\n');
    default:
      return text.replaceAll(/\d+/g, (n) => (random.below(4) === 0 ? pick(WORDS, random) : n));
  }
}

/** Reads a damaged token as `luosim replay` would. Whether it was read. */
export function readsToken(token: string): boolean {
  try {
    givenInput([token]);
    return true;
  } catch (error) {
    if (!(error instanceof BadInput)) throw error;
    // What was given is said in the line, as it is: who prints it makes it printable.
    expectOneLine(error.message.replaceAll(token, ''));
    return false;
  }
}

/** The input in a damaged text; undefined where it is refused, in one line with its place. */
export function readsText(text: string): RunInput | undefined {
  const parsed = parseProgram(text, { anyPoint: true });
  if (!isTextProblem(parsed)) {
    expect(parseProgram(printProgram(parsed), { anyPoint: true })).toEqual(parsed);
    return parsed;
  }
  expectOneLine(parsed.message);
  const lines = text.split('\n');
  expect(parsed.line).toBeGreaterThanOrEqual(1);
  expect(parsed.line).toBeLessThanOrEqual(lines.length);
  return undefined;
}

function expectOneLine(message: string): void {
  if (/[\n\r]| at .*:\d+:\d+|Error\b|undefined|\[object/.test(message) || message.length > 600)
    expect.fail(`no line for a person: ${message}`);
}

/** Runs an input that takes little; whether it did. */
export function runs(input: RunInput): boolean {
  const actions = input.program.generations.flatMap(({ stages }) =>
    stages.flat().flatMap((task) => task.actions),
  );
  const sessions = actions.reduce((sum, action) => sum + ('names' in action ? action.names.count : 1), 0);
  const tests = actions.filter((action) => action.do === 'kho-test').length;
  const { ramBytes, cpus } = input.machine;
  if (sessions > TEXT_SESSIONS_MAX || tests > 1 || ramBytes > 2 ** 26 || cpus > 8) return false;
  expect(simulate(input)).toMatchObject({ digest: expect.stringMatching(/^[0-9a-f]{16}$/) });
  return true;
}
