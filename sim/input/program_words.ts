/*
 * Words of a program's text. A line is words with white space between, and a comment from a # on:
 *
 *   create "two words" 0..9   # as often as you like
 *
 *   bare       letters, digits and signs but " \ #
 *   quoted     in "...": \" \\ \n \t, and \u{200b} for what cannot be seen or is no character
 *
 * What cannot be seen stands in no word as it is: two texts that look alike are alike.
 */

import { type U64, U64_MAX, u64Of } from '../user/program.ts';

/** What is wrong in a line, and in which column. */
export class Wrong extends Error {
  override readonly name = 'Wrong';
  readonly column: number;

  constructor(column: number, message: string) {
    super(message);
    this.column = column;
  }
}

export interface Word {
  readonly text: string;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** The column behind it. */
  readonly end: number;
  readonly quoted: boolean;
}

/** A fixed list, because a text must be the same wherever it is printed, and Unicode grows. */
const UNSEEN =
  '\\p{Cc}\\xa0\\xad\\u034f\\u0600-\\u0605\\u061c\\u06dd\\u070f\\u0890\\u0891\\u08e2\\u115f\\u1160\\u1680\\u17b4\\u17b5' +
  '\\u180b-\\u180f\\u2000-\\u200f\\u2028-\\u202f\\u205f-\\u206f\\u2800\\u3000\\u3164\\ud800-\\udfff\\ufe00-\\ufe0f' +
  '\\ufeff\\uffa0\\ufff0-\\uffff\\u{110bd}\\u{110cd}\\u{13430}-\\u{1343f}\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}' +
  '\\u{e0000}-\\u{e0fff}';
const UNSEEN_ONE = new RegExp(`[${UNSEEN}]`, 'u');
const UNSEEN_ALL = new RegExp(`[${UNSEEN}"\\\\]`, 'gu');
const PLAIN = /^[\w%+,.:/@-]+$/;
const ESCAPES: Readonly<Record<string, string>> = { '"': '"', '\\': '\\', n: '\n', t: '\t' };
const CLIP = 60;

/** The word as it stands in a text. */
export function written(text: string): string {
  if (PLAIN.test(text)) return text;
  const escaped = text.replace(UNSEEN_ALL, (c) => {
    const short = Object.keys(ESCAPES).find((letter) => ESCAPES[letter] === c);
    return short === undefined ? codeOf(c) : `\\${short}`;
  });
  return `"${escaped}"`;
}

const codeOf = (c: string): string => `\\u{${(c.codePointAt(0) as number).toString(16)}}`;

/** A word in a complaint. */
export function said(text: string): string {
  const letters = [...text.slice(0, 2 * CLIP)];
  const clipped = letters.length > CLIP ? `${letters.slice(0, CLIP).join('')}..` : text;
  return PLAIN.test(clipped) ? `"${clipped}"` : written(clipped);
}

/** The words of one line, taken one by one. */
export class Words {
  readonly #words: readonly Word[];
  readonly #end: number;
  #next = 0;

  /** Throws Wrong where the line is no words. */
  constructor(line: string) {
    this.#words = wordsOf(line);
    this.#end = this.#words.at(-1)?.end ?? 1;
  }

  /** The next word, `what` says which it should be. */
  take(what: string): Word {
    const word = this.peek();
    if (word === undefined) throw new Wrong(this.#end, `here ${what} is missing`);
    this.#next++;
    return word;
  }

  peek(): Word | undefined {
    return this.#words[this.#next];
  }

  /** A word that must be this one. */
  expect(text: string): void {
    const word = this.take(text);
    if (word.text !== text) throw new Wrong(word.column, `${said(word.text)} stands where ${text} should be`);
  }

  /** The line ends here; `whole` says what it is. */
  end(whole: string): void {
    const word = this.peek();
    if (word !== undefined) {
      throw new Wrong(word.column, `${said(word.text)} is too much: ${whole}`);
    }
  }
}

function wordsOf(line: string): Word[] {
  const words: Word[] = [];
  const bare = /[^ \t\r"\\#]+/y;
  for (let at = 0; at < line.length; ) {
    const c = line[at] as string;
    if (c === ' ' || c === '\t' || c === '\r') {
      at++;
      continue;
    }
    if (c === '#') break;
    if (c === '\\') throw new Wrong(at + 1, 'a \\ stands in quotation marks only: put the word in "..."');
    bare.lastIndex = at;
    const { text, length } = c === '"' ? quotedWord(line, at) : bareWord(bare.exec(line)?.[0] ?? '', at);
    const end = at + length + 1;
    words.push({ text, column: at + 1, end, quoted: c === '"' });
    at += length;
    // A comment begins behind white space, too: s#1 may be meant as a name.
    if (/[^ \t\r]/.test(line[at] ?? ' ')) {
      throw new Wrong(end, `here a space is missing, or the whole word should stand in "..."`);
    }
  }
  return words;
}

function bareWord(text: string, at: number): { text: string; length: number } {
  refuseUnseen(text, at);
  return { text, length: text.length };
}

function refuseUnseen(text: string, at: number): void {
  const found = UNSEEN_ONE.exec(text);
  if (found === null) return;
  const code = codeOf(found[0]);
  throw new Wrong(
    at + found.index + 1,
    `a character that cannot be seen: take it out, or write ${code} in quotation marks`,
  );
}

/** A word in quotation marks, and how many characters of the line it takes. */
function quotedWord(line: string, at: number): { text: string; length: number } {
  const part = /([^"\\]*)(?:\\u\{([0-9a-fA-F]{1,6})\}|\\(.)|("))/suy;
  let text = '';
  part.lastIndex = at + 1;
  for (;;) {
    const from = part.lastIndex;
    const found = part.exec(line);
    if (found === null) throw new Wrong(at + 1, 'this text does not end: close it with a "');
    const [whole, plain = '', code, letter, end] = found;
    refuseUnseen(plain, from);
    text += plain;
    if (end !== undefined) return { text, length: part.lastIndex - at };
    const column = from + plain.length + 1;
    if (code !== undefined && Number.parseInt(code, 16) > 0x10ffff) {
      throw new Wrong(column, `${whole.slice(plain.length)} is no character: the last is \\u{10ffff}`);
    }
    const meant =
      code === undefined ? ESCAPES[letter as string] : String.fromCodePoint(Number.parseInt(code, 16));
    if (meant === undefined) {
      throw new Wrong(
        column,
        `${said(`\\${letter}`)} means nothing; there are \\" \\\\ \\n \\t and \\u{...}`,
      );
    }
    text += meant;
  }
}

// --- numbers ------------------------------------------------------------------------------------------------------

/** A whole number from `min` to `max`, decimal or 0x and hexadecimal; exact. `what` says what it is. */
export function takeWhole(words: Words, what: string, min: number, max: number): number {
  return wholeOf(words.take(what), what, min, max);
}

export function wholeOf(word: Word, what: string, min: number, max: number): number {
  return Number(exactOf(word, what, BigInt(min), BigInt(max)));
}

/** A u64, the same. */
export function takeU64(words: Words, what: string): U64 {
  return u64Of(exactOf(words.take(what), what, 0n, U64_MAX));
}

function exactOf({ text, column }: Word, what: string, min: bigint, max: bigint): bigint {
  const digits = /^(?:0|[1-9]\d{0,19}|0x[0-9a-fA-F]{1,16})$/.test(text);
  const n = digits ? BigInt(text) : -1n;
  if (n >= min && n <= max) return n;
  throw new Wrong(column, `${said(text)} is not ${what}: give a whole number from ${min} to ${max}`);
}

const UNITS = [
  ['T', 2 ** 40],
  ['G', 2 ** 30],
  ['M', 2 ** 20],
  ['K', 2 ** 10],
] as const;

/** Bytes, like 512M. */
export function takeSize(words: Words, what: string): number {
  const { text, column } = words.take(what);
  const [, digits, unit] = /^([1-9]\d{0,12})(?:([KMGT])(?:i?B)?)?$/i.exec(text) ?? [];
  const bytes = Number(digits) * (UNITS.find(([name]) => name === unit?.toUpperCase())?.[1] ?? 1);
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new Wrong(column, `${said(text)} is not ${what}: give a whole number with K, M, G or T, like 512M`);
}

/** In the largest unit that leaves no fraction. */
export function writtenSize(bytes: number): string {
  const unit = UNITS.find(([, factor]) => bytes % factor === 0);
  return unit === undefined ? String(bytes) : `${bytes / unit[1]}${unit[0]}`;
}
