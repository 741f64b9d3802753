/*
 * Names of a program: a pattern with at most one %d and a number make a name, and every name has an id, so that a
 * million of them need no string.
 *
 *   id   pattern with %d: (index of the pattern + 1) << 24 | number     plain name: its index
 */
import { assert } from '../base/assert.ts';
import { NAME_WORDS } from '../luo/name.ts';
import { ArgumentBuffer } from './buffer.ts';
import { SESSION_ARGUMENT } from './uapi.ts';

/** Words of an argument with a name in it, and where the name is. */
const ARGUMENT_WORDS = SESSION_ARGUMENT.size / 4;
const NAME_AT = SESSION_ARGUMENT.at.name / 4;

/** Names made of a pattern: `count` of them from `first`. A plain name is a pattern without %d, count 1. */
export interface Names {
  readonly pattern: string;
  readonly first: number;
  readonly count: number;
}

/** Numbers under a pattern; a power of two. */
export const NUMBERS_MAX = 2 ** 24;
/** Patterns with %d in a program: ids stay below 2^31. */
export const PATTERNS_MAX = 126;

export const plainName = (name: string): Names => ({ pattern: name, first: 0, count: 1 });

class Pattern {
  readonly text: string;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
  readonly numbered: boolean;
  readonly base: number;

  /** `after`: what follows %d, undefined where there is none. */
  constructor(text: string, before: string, after: string | undefined, base: number) {
    this.text = text;
    this.before = new TextEncoder().encode(before).subarray(0, NAME_WORDS * 4);
    this.after = new TextEncoder().encode(after ?? '');
    this.numbered = after !== undefined;
    this.base = base;
  }
}

export class NameBook {
  readonly #patterns = new Map<string, Pattern>();
  readonly #byBase = new Map<number, Pattern>();
  #plain = 0;
  #numbered = 0;
  readonly #bytes = new Uint8Array(NAME_WORDS * 4);
  #last: Pattern | undefined;
  /** The argument that asks for the name at hand. */
  readonly #argument = new ArgumentBuffer(ARGUMENT_WORDS);
  /** That name in it, its id, and where its number ends. A name often follows the one before it. */
  readonly #words = this.#argument.content.subarray(NAME_AT);
  #id = -1;
  #digitsEnd = 0;

  /** Id of the first of these names; the others follow. */
  base(names: Names): number {
    return this.#pattern(names.pattern).base + names.first;
  }

  /** The 64 bytes of a name, NUL padded and cut at 64 bytes, until the next is asked for. */
  words(id: number): Int32Array {
    if (id !== this.#id && (id !== this.#id + 1 || !this.#countUp())) this.#make(id);
    this.#id = id;
    return this.#words;
  }

  /** Makes an argument one that asks for a session of this name, to be created or retrieved. */
  write(id: number, argument: ArgumentBuffer): void {
    this.words(id);
    argument.take(this.#argument, ARGUMENT_WORDS);
  }

  /** Makes the name at hand that of the next id; false where that takes more than counting up in its digits. */
  #countUp(): boolean {
    if (this.#digitsEnd === 0 || ((this.#id + 1) & (NUMBERS_MAX - 1)) === 0) return false;
    const words = this.#words;
    for (let i = this.#digitsEnd - 1; i >= 0; i--) {
      const shift = (i & 3) * 8;
      const byte = ((words[i >>> 2] as number) >>> shift) & 0xff;
      if (byte < ZERO || byte > NINE) return false;
      if (byte !== NINE) {
        words[i >>> 2] = (words[i >>> 2] as number) + (1 << shift);
        return true;
      }
      words[i >>> 2] = (words[i >>> 2] as number) - (9 << shift);
    }
    return false;
  }

  #make(id: number): void {
    const pattern = this.#patternOf(id);
    const { before, after } = pattern;
    const bytes = this.#bytes;
    bytes.set(before);
    let length = before.length;
    this.#digitsEnd = 0;
    if (pattern.numbered) {
      const digits = putDecimal(bytes, length, id % NUMBERS_MAX);
      length = Math.min(digits, bytes.length);
      // A digit in front of the number would be counted up with it.
      if (!isDigit(before.at(-1))) this.#digitsEnd = digits;
      for (const byte of after) if (length < bytes.length) bytes[length++] = byte;
    }
    bytes.fill(0, length);
    this.#argument.clear();
    this.#argument.set(0, SESSION_ARGUMENT.size);
    for (let i = 0; i < length; i += 4) {
      const word =
        (bytes[i] as number) |
        ((bytes[i + 1] as number) << 8) |
        ((bytes[i + 2] as number) << 16) |
        ((bytes[i + 3] as number) << 24);
      this.#argument.set(NAME_AT + i / 4, word);
    }
  }

  /** For people. */
  text(id: number): string {
    const pattern = this.#patternOf(id);
    return pattern.numbered ? pattern.text.replace('%d', String(id % NUMBERS_MAX)) : pattern.text;
  }

  #patternOf(id: number): Pattern {
    const base = id < NUMBERS_MAX ? id : id - (id % NUMBERS_MAX);
    if (this.#last !== undefined && this.#last.base === base) return this.#last;
    const pattern = this.#byBase.get(base);
    assert(pattern !== undefined, `no name has id ${id}`);
    this.#last = pattern;
    return pattern;
  }

  #pattern(text: string): Pattern {
    const known = this.#patterns.get(text);
    if (known !== undefined) return known;
    const [before = '', after] = text.split('%d');
    assert(this.#numbered < PATTERNS_MAX && this.#plain < NUMBERS_MAX, 'too many names');
    const base = after !== undefined ? ++this.#numbered * NUMBERS_MAX : this.#plain++;
    const pattern = new Pattern(text, before, after, base);
    this.#patterns.set(text, pattern);
    this.#byBase.set(base, pattern);
    return pattern;
  }
}

const ZERO = 48;
const NINE = 57;
const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= ZERO && byte <= NINE;

/** Writes a number in decimal at `at`, as far as `bytes` goes; where it ends. */
function putDecimal(bytes: Uint8Array, at: number, n: number): number {
  let digits = 1;
  for (let rest = n; rest >= 10; rest = (rest / 10) | 0) digits++;
  let rest = n;
  for (let i = at + digits - 1; i >= at; i--) {
    if (i < bytes.length) bytes[i] = ZERO + (rest % 10);
    rest = (rest / 10) | 0;
  }
  return at + digits;
}

/** Longest name of a set, in bytes. */
export function longestNameBytes({ pattern, first, count }: Names): number {
  const digits = pattern.includes('%d') ? String(first + count - 1).length - 2 : 0;
  return new TextEncoder().encode(pattern).length + digits;
}
