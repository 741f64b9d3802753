/*
 * Names of a program: a pattern with at most one %d and a number make a name, and every name has an id, so that a
 * million of them need no string.
 *
 *   id   pattern with %d: (index of the pattern + 1) << 24 | number     plain name: its index
 */
import { assert } from '../base/assert.ts';
import { NAME_WORDS } from '../luo/name.ts';

/** Names made of a pattern: `count` of them from `first`. A plain name is a pattern without %d, count 1. */
export interface Names {
  readonly pattern: string;
  readonly first: number;
  readonly count: number;
}

/** Numbers under a pattern. */
export const NUMBERS_MAX = 2 ** 24;
/** Patterns with %d in a program: ids stay below 2^31. */
export const PATTERNS_MAX = 126;

export const plainName = (name: string): Names => ({ pattern: name, first: 0, count: 1 });

interface Pattern {
  readonly text: string;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
  readonly numbered: boolean;
  readonly base: number;
}

export class NameBook {
  readonly #patterns = new Map<string, Pattern>();
  readonly #byBase = new Map<number, Pattern>();
  #plain = 0;
  #numbered = 0;
  readonly #bytes = new Uint8Array(NAME_WORDS * 4);
  #last: Pattern | undefined;

  /** Id of the first of these names; the others follow. */
  base(names: Names): number {
    return this.#pattern(names.pattern).base + names.first;
  }

  /** Writes the 64 bytes of a name, NUL padded and cut at 64 bytes. */
  write(id: number, words: Int32Array, at: number): void {
    const pattern = this.#patternOf(id);
    const bytes = this.#bytes;
    let length = pattern.before.length;
    for (let i = 0; i < length; i++) bytes[i] = pattern.before[i] as number;
    if (pattern.numbered) {
      length = putDecimal(bytes, length, id % NUMBERS_MAX);
      for (const byte of pattern.after) if (length < bytes.length) bytes[length++] = byte;
    }
    for (let i = length; i < ((length + 3) & ~3); i++) bytes[i] = 0;
    for (let k = 0; k < NAME_WORDS; k++) {
      const i = k * 4;
      words[at + k] =
        i >= length
          ? 0
          : (bytes[i] as number) |
            ((bytes[i + 1] as number) << 8) |
            ((bytes[i + 2] as number) << 16) |
            ((bytes[i + 3] as number) << 24);
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
    const numbered = after !== undefined;
    assert(this.#numbered < PATTERNS_MAX && this.#plain < NUMBERS_MAX, 'too many names');
    const base = numbered ? ++this.#numbered * NUMBERS_MAX : this.#plain++;
    const pattern = {
      text,
      before: new TextEncoder().encode(before).subarray(0, NAME_WORDS * 4),
      after: new TextEncoder().encode(after ?? ''),
      numbered,
      base,
    };
    this.#patterns.set(text, pattern);
    this.#byBase.set(base, pattern);
    return pattern;
  }
}

/** Writes a number in decimal at `at`; where that ends, at most the length of `bytes`. */
function putDecimal(bytes: Uint8Array, at: number, n: number): number {
  let digits = 1;
  for (let rest = n; rest >= 10; rest = (rest / 10) | 0) digits++;
  let rest = n;
  for (let i = at + digits - 1; i >= at; i--) {
    if (i < bytes.length) bytes[i] = 48 + (rest % 10);
    rest = (rest / 10) | 0;
  }
  return Math.min(at + digits, bytes.length);
}

/** Longest name of a set, in bytes. */
export function longestNameBytes({ pattern, first, count }: Names): number {
  const digits = pattern.includes('%d') ? String(first + count - 1).length - 2 : 0;
  return new TextEncoder().encode(pattern).length + digits;
}
