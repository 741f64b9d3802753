/*
 * Programs as text with damage: bytes flipped, lines lost, repeated and exchanged, numbers out of all bounds. Whatever
 * comes of it is read as an input that can be run, or refused with a place in the text.
 */
import { expect } from 'vitest';
import { RandomStream } from '../../sim/base/random.ts';
import { printProgram } from '../../sim/input/program_print.ts';
import { isTextProblem, parseProgram } from '../../sim/input/program_text.ts';
import { runInputError } from '../../sim/input/run_input_json.ts';

type Damage = (text: string, random: RandomStream) => string;

const NUMBERS =
  '0 1 2 -1 1.5 1e9 007 0x 0xg 126 127 16777215 16777216 2147483648 4294967296 0xffffffffffffffff 9007199254740993';
const HUGE = [
  ...NUMBERS.split(' '),
  '9'.repeat(20),
  '9'.repeat(400),
  `0x${'f'.repeat(16)}0`,
  '',
  '٣',
  '1..',
  '..',
  '5..4',
];
const LETTERS = [
  ...' \t\n\r\v"\\#%d.0',
  '\ufeff',
  '\u00a0',
  '\u200b',
  '\u2028',
  '\u202e',
  '\ud800',
  '\0',
  '\u{1f600}',
];

const pick = <T>(list: readonly T[], random: RandomStream): T => list[random.below(list.length)] as T;

/** Two places of the text, in order. */
function span(text: string, random: RandomStream): [number, number] {
  const [a, b] = [random.below(text.length + 1), random.below(text.length + 1)];
  return [Math.min(a, b), Math.max(a, b)];
}

const byLine =
  (change: (lines: string[], at: number, random: RandomStream) => string[]): Damage =>
  (text, random) => {
    const lines = text.split('\n');
    return change(lines, random.below(lines.length), random).join('\n');
  };

/** Puts something in the place of one of the matches. */
const inPlaceOf =
  (pattern: RegExp, by: (random: RandomStream) => string): Damage =>
  (text, random) => {
    const found = [...text.matchAll(pattern)];
    if (found.length === 0) return text;
    const match = pick(found, random);
    return text.slice(0, match.index) + by(random) + text.slice(match.index + match[0].length);
  };

const DAMAGES: readonly Damage[] = [
  (text, random) => {
    const bytes = new TextEncoder().encode(text);
    const at = random.below(bytes.length + 1);
    if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
    return new TextDecoder().decode(bytes);
  },
  (text, random) => text.slice(0, random.below(text.length + 1)),
  (text, random) => {
    const [from, to] = span(text, random);
    return text.slice(0, from) + text.slice(Math.min(to, from + 12));
  },
  (text, random) => {
    const at = random.below(text.length + 1);
    return text.slice(0, at) + pick(LETTERS, random) + text.slice(at);
  },
  byLine((lines, at, random) => lines.with(at, lines[random.below(lines.length)] as string)),
  byLine((lines, at) => lines.toSpliced(at, 1)),
  byLine((lines, at) => lines.toSpliced(at, 0, lines[at] as string)),
  byLine((lines, at, random) => {
    const other = random.below(lines.length);
    return lines.with(at, lines[other] as string).with(other, lines[at] as string);
  }),
  inPlaceOf(/\d+/g, (random) => pick(HUGE, random)),
  inPlaceOf(/\S+/g, (random) => pick(HUGE, random)),
  (text, random) => {
    const words = text.match(/\S+/g) ?? [''];
    return inPlaceOf(/\S+/g, () => pick(words, random))(text, random);
  },
];

/** The text with one to three damages. */
export function mutant(text: string, random: RandomStream): string {
  let damaged = text;
  for (let damages = 1 + random.below(3); damages > 0; damages--)
    damaged = pick(DAMAGES, random)(damaged, random);
  return damaged;
}

/** Reads damaged texts; how many were refused, how many are inputs still. */
export function checkMutants(
  texts: readonly string[],
  count: number,
  seed: string,
): { refused: number; read: number } {
  const random = new RandomStream(seed);
  const outcome = { refused: 0, read: 0 };
  for (let i = 0; i < count; i++) {
    const text = mutant(pick(texts, random), random);
    if (refusedWithPlace(text)) outcome.refused++;
    else outcome.read++;
  }
  return outcome;
}

/** Whether the text is refused; throws where the answer is wrong. */
function refusedWithPlace(text: string): boolean {
  const answer = parseProgram(text);
  if (isTextProblem(answer)) {
    const { line, column, message } = answer;
    const at = text.split('\n')[line - 1];
    const placed = at !== undefined && column >= 1 && column <= at.length + 1;
    if (!placed || !/^[^\n]{10,1500}$/.test(message)) expect([answer, text]).toBe('a place and one line');
    return true;
  }
  const printed = printProgram(answer);
  if (runInputError(answer) !== undefined) expect([runInputError(answer), text]).toBe('an input');
  expect(parseProgram(printed)).toEqual(answer);
  return false;
}
