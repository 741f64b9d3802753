/*
 * What stands behind each verb of a program: one table for programs as text, as JSON, and as they are printed. A new
 * verb is a row here; an operand of a new kind says how it is read, written and checked.
 *
 *   create many-test-%d 0..1999      { do: 'create', names: { pattern: 'many-test-%d', first: 0, count: 2000 } }
 *   preserve ram-%d 0..3 in vm token 7   { do: 'preserve', names: ..., session: plainName('vm'), token: 7 }
 *   kho-test save                    { do: 'kho-test', phase: 'save' }
 */
import { PAGE_SIZE } from '../base/limits.ts';
import { FILL_BYTES } from '../machine/stamps.ts';
import { type Names, NUMBERS_MAX } from '../user/names.ts';
import { OPEN_KINDS } from '../user/other_files.ts';
import { type Action, type U64, U64_MAX, u64Of, type Verb } from '../user/program.ts';
import { didYouMean } from './nearest.ts';
import {
  said,
  takeSize,
  takeU64,
  takeWhole,
  type Words,
  Wrong,
  wholeOf,
  written,
  writtenSize,
} from './program_words.ts';

/** HPAGE_PMD_SIZE: shmem has no larger ones. */
const FOLIO_BYTES_MAX = 2 * 2 ** 20;

/** What an action has under a name of its own. One that may be left out is undefined then. */
interface Operand<T> {
  /** For people: what there should be. */
  readonly usage: string;
  /** Takes its words; throws Wrong. */
  readonly read: (words: Words) => T;
  /** Nothing where it is left out. */
  readonly write: (value: T) => string;
  /** Why the value is no such operand, said with its place; undefined where it is. */
  readonly error: (value: unknown, at: string) => string | undefined;
}

type ActionOf<V extends Verb, A extends Action = Action> = A extends Action
  ? V extends A['do']
    ? A
    : never
  : never;

type OperandsOf<V extends Verb> = {
  readonly [Field in Exclude<keyof ActionOf<V>, 'do'>]-?: Operand<ActionOf<V>[Field]>;
};

const NAMES: Operand<Names> = {
  usage: 'NAME, or NAME-%d FIRST..LAST',
  read: readNames,
  write: ({ pattern, first, count }) => {
    if (!pattern.includes('%d')) return written(pattern);
    return `${written(pattern)} ${count === 1 ? first : `${first}..${first + count - 1}`}`;
  },
  error: namesError,
};

/** One of a few words. */
function oneOf<T extends string>(...words: readonly T[]): Operand<T> {
  const usage = words.join(' or ');
  return {
    usage,
    read: (line) => {
      const { text, column } = line.take(usage);
      const found = words.find((word) => word === text);
      if (found !== undefined) return found;
      throw new Wrong(column, `${said(text)} stands where ${usage} should be${didYouMean(text, words)}`);
    },
    write: written,
    error: (value, at) =>
      words.some((word) => word === value) ? undefined : `${at} is neither ${words.join(' nor ')}`,
  };
}

/** One name, of a session. */
const SESSION: Operand<Names> = {
  usage: 'SESSION, or SESSION-%d NUMBER',
  read: (words) => {
    const column = words.peek()?.column ?? 1;
    const session = readNames(words);
    if (session.count !== 1) throw new Wrong(column, `this is ${session.count} sessions: give one`);
    return session;
  },
  write: NAMES.write,
  error: (value, at) =>
    namesError(value, at) ?? ((value as Names).count === 1 ? undefined : `${at} is not one session`),
};

/** A whole number of at least `min`, behind a word that says what it is. */
function number(word: string, min = 0): Operand<number> {
  return {
    usage: `${word} N`,
    read: (line) => {
      line.expect(word);
      return takeWhole(line, `the number behind ${word}`, min, Number.MAX_SAFE_INTEGER);
    },
    write: (value) => `${word} ${value}`,
    error: (value, at) =>
      Number.isSafeInteger(value) && (value as number) >= min
        ? undefined
        : `${at} is no whole number from ${min} on`,
  };
}

/** A u64 behind a word. */
function u64(word: string): Operand<U64> {
  return {
    usage: `${word} N`,
    read: (line) => {
      line.expect(word);
      return takeU64(line, `the number behind ${word}`);
    },
    write: (value) => `${word} ${value}`,
    error: (value, at) =>
      isU64(value)
        ? undefined
        : `${at} is no whole number below 2^64: from 2^53 on it is text, "9007199254740992"`,
  };
}

/** As it is kept: what a number can hold is no text. */
const isU64 = (value: unknown): value is U64 =>
  typeof value === 'string'
    ? /^[1-9]\d{15,19}$/.test(value) && BigInt(value) <= U64_MAX && u64Of(BigInt(value)) === value
    : Number.isSafeInteger(value) && (value as number) >= 0;

/** Bytes, like 4K or 0. */
const BYTES: Operand<number> = {
  usage: 'bytes SIZE',
  read: (words) => {
    words.expect('bytes');
    return /^\d+$/.test(words.peek()?.text ?? '')
      ? takeWhole(words, 'a size', 0, Number.MAX_SAFE_INTEGER)
      : takeSize(words, 'a size');
  },
  write: (value) => `bytes ${value === 0 ? '0' : writtenSize(value)}`,
  error: number('bytes').error,
};

/** Bytes of a folio, like 2M; of a page, where it is left out. */
const FOLIOS: Operand<number | undefined> = {
  usage: '[folios SIZE]',
  read: (words) => {
    if (words.peek()?.text !== 'folios') return undefined;
    words.expect('folios');
    const column = words.peek()?.column ?? 1;
    const bytes = takeSize(words, 'the size of a folio');
    if (isFolio(bytes)) return bytes;
    throw new Wrong(column, `no folio has ${writtenSize(bytes)}: give 8K, 16K and so on to 2M`);
  },
  write: (bytes) => (bytes === undefined ? '' : `folios ${writtenSize(bytes)}`),
  error: (value, at) =>
    value === undefined || isFolio(value) ? undefined : `${at} is none of 8 KiB, 16 KiB and so on to 2 MiB`,
};

const isFolio = (bytes: unknown): bytes is number =>
  typeof bytes === 'number' && bytes > PAGE_SIZE && bytes <= FOLIO_BYTES_MAX && (bytes & (bytes - 1)) === 0;

/** The same, behind a word. */
const behind = <T>(word: string, operand: Operand<T>): Operand<T> => ({
  usage: `${word} ${operand.usage}`,
  read: (line) => {
    line.expect(word);
    return operand.read(line);
  },
  write: (value) => `${word} ${operand.write(value)}`,
  error: operand.error,
});

/** The name of one. */
const PROCESS: Operand<string> = {
  usage: 'PROCESS',
  read: (words) => words.take('the name of a process').text,
  write: written,
  error: (value, at) => (typeof value === 'string' ? undefined : `${at} is no text`),
};

const IN_SESSION = { names: NAMES, session: behind('in', SESSION), token: u64('token') };

const VERBS: { readonly [V in Verb]: OperandsOf<V> } = {
  open: {},
  'close-device': {},
  create: { names: NAMES },
  retrieve: { names: NAMES },
  finish: { names: NAMES },
  dup: { names: NAMES },
  close: { names: NAMES },
  memfd: { names: NAMES, bytes: BYTES, folios: FOLIOS },
  'open-file': { names: NAMES, kind: behind('kind', oneOf(...OPEN_KINDS)) },
  write: { names: NAMES, at: number('at'), bytes: BYTES, seed: number('seed') },
  fill: { names: NAMES, every: number('every', FILL_BYTES), seed: number('seed') },
  truncate: { names: NAMES, bytes: BYTES },
  allocate: { names: NAMES, bytes: BYTES },
  seek: { names: NAMES, at: number('at') },
  seal: { names: NAMES, seals: number('seals') },
  read: { names: NAMES },
  preserve: IN_SESSION,
  'retrieve-fd': IN_SESSION,
  'close-file': { names: NAMES },
  reclaim: {},
  load: {},
  'kexec-load': {},
  reboot: {},
  restart: {},
  'limit-files': { files: number('to') },
  'file-max': { files: number('to') },
  'overcommit-memory': { policy: number('to') },
  'overcommit-ratio': { percent: number('to') },
  'overcommit-kbytes': { kbytes: number('to') },
  'memory-max': { bytes: BYTES },
  'drop-privileges': {},
  'slow-pages': { slow: oneOf('on', 'off') },
  kill: { process: PROCESS },
  exit: {},
  'kho-test': { phase: oneOf('save', 'restore') },
};

export const VERB_NAMES: readonly string[] = Object.keys(VERBS);

export const isVerb = (word: unknown): word is Verb => typeof word === 'string' && Object.hasOwn(VERBS, word);

const operandsOf = (verb: Verb): [string, Operand<unknown>][] => Object.entries(VERBS[verb]);

/** The action whose verb has been read; throws Wrong. */
export function readAction(verb: Verb, words: Words): Action {
  const action: Record<string, unknown> = { do: verb };
  const usage: string[] = [verb];
  for (const [field, operand] of operandsOf(verb)) {
    const value = operand.read(words);
    if (value !== undefined) action[field] = value;
    usage.push(operand.usage);
  }
  words.end(`give ${usage.join(' ')}`);
  return action as unknown as Action;
}

/** The action as a line. */
export function writtenAction(action: Action): string {
  const fields = action as unknown as Readonly<Record<string, unknown>>;
  const operands = operandsOf(action.do).map(([field, operand]) => operand.write(fields[field]));
  return [action.do, ...operands].filter((words) => words !== '').join(' ');
}

/** Why this is no action, said with its place; undefined where it is an `Action`. */
export function actionError(value: unknown, at: string): string | undefined {
  const fields: Readonly<Record<string, unknown>> = Object(value);
  const verb = fields.do;
  if (!isVerb(verb)) return `${at}.do is no known verb`;
  for (const [field, operand] of operandsOf(verb)) {
    const error = operand.error(fields[field], `${at}.${field}`);
    if (error !== undefined) return error;
  }
  const extra = Object.keys(fields).find((field) => field !== 'do' && !Object.hasOwn(VERBS[verb], field));
  return extra === undefined ? undefined : `${at}.${extra}: ${verb} has nothing of that name`;
}

// --- names --------------------------------------------------------------------------------------------------------

const placeholdersOf = (pattern: string): number => pattern.split('%d').length - 1;

function readNames(words: Words): Names {
  const { text: pattern, column } = words.take('a name');
  const placeholders = placeholdersOf(pattern);
  if (placeholders > 1) throw new Wrong(column, `${said(pattern)} has more than one %d: give it once`);
  if (placeholders === 0) return { pattern, first: 0, count: 1 };
  const range = words.take('the numbers that %d stands for, like 0..9,');
  const [left = '', right, more] = range.text.split('..');
  const number = (text: string, from: number, min: number): number =>
    wholeOf({ ...range, text, column: range.column + from }, 'a number of a name', min, NUMBERS_MAX - 1);
  const first = number(left, 0, 0);
  if (right === undefined) return { pattern, first, count: 1 };
  if (more !== undefined) throw new Wrong(range.column, `${said(range.text)} is no range: give FIRST..LAST`);
  return { pattern, first, count: number(right, left.length + 2, first) - first + 1 };
}

function namesError(value: unknown, at: string): string | undefined {
  const { pattern, first, count, ...rest }: Readonly<Record<string, unknown>> = Object(value);
  if (typeof pattern !== 'string') return `${at}.pattern is no text`;
  if (!isBelow(first, NUMBERS_MAX)) return `${at}.first is no whole number below ${NUMBERS_MAX}`;
  if (count === 0) return `${at}.count is 0: leave the action out`;
  if (!isBelow(count, NUMBERS_MAX - first + 1)) {
    return `${at}.count: the last number is not below ${NUMBERS_MAX}`;
  }
  const placeholders = placeholdersOf(pattern);
  if (placeholders > 1) return `${at}.pattern has more than one %d`;
  if (placeholders === 0 && (first !== 0 || count > 1)) {
    return `${at}: several names, but no %d in the pattern`;
  }
  const [extra] = Object.keys(rest);
  return extra === undefined ? undefined : `${at}.${extra}: names are a pattern, first and count`;
}

const isBelow = (value: unknown, limit: number): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < limit;
