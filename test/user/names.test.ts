/*
 * Names of a program: what is written is what would be said, whatever was written before.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NAME_WORDS } from '../../sim/luo/name.ts';
import { ArgumentBuffer } from '../../sim/user/buffer.ts';
import { NameBook, NUMBERS_MAX } from '../../sim/user/names.ts';

/** Around where numbers grow by a digit, and far up. */
const number = fc.oneof(
  fc.nat(30),
  fc.nat(30).map((n) => 85 + n),
  fc.nat(30).map((n) => 99_985 + n),
  fc.nat(30).map((n) => NUMBERS_MAX - 1 - n),
);
const text = fc.string({ unit: fc.constantFrom('a', '9', '0', 'é', '-'), maxLength: 12 });
const pattern = fc.oneof(
  fc.tuple(text, text).map(([before, after]) => `${before}%d${after}`),
  // The number is cut, or all of it is.
  fc.tuple(fc.integer({ min: 52, max: 70 }), text).map(([n, after]) => `${'x'.repeat(n)}%d${after}`),
  text,
);

function written(book: NameBook, id: number): number[] {
  const argument = new ArgumentBuffer(NAME_WORDS + 3);
  argument.words.fill(7);
  book.write(id, argument);
  const { content } = argument;
  expect([content[0], content[1], content[NAME_WORDS + 2]]).toEqual([72, 0, 7]);
  return [...new Uint8Array(content.buffer, 8, NAME_WORDS * 4)];
}

function expected(book: NameBook, id: number): number[] {
  const bytes = new Uint8Array(NAME_WORDS * 4);
  bytes.set(new TextEncoder().encode(book.text(id)).subarray(0, bytes.length));
  return [...bytes];
}

describe('laws', () => {
  test('a name is written as it is said, NUL padded and cut at 64 bytes, in any order', () => {
    const runs = fc.array(
      fc.record({ which: fc.nat(3), first: number, count: fc.integer({ min: 1, max: 25 }) }),
      {
        minLength: 1,
        maxLength: 6,
      },
    );
    fc.assert(
      fc.property(fc.uniqueArray(pattern, { minLength: 1, maxLength: 4 }), runs, (patterns, wanted) => {
        const book = new NameBook();
        for (const { which, first, count } of wanted) {
          const of = patterns[which % patterns.length] as string;
          const numbered = of.includes('%d');
          const base = book.base({ pattern: of, first: numbered ? first : 0, count: 1 });
          const last = numbered ? Math.min(count, NUMBERS_MAX - first) : 1;
          for (let id = base; id < base + last; id++) expect(written(book, id)).toEqual(expected(book, id));
        }
      }),
      { numRuns: 60 },
    );
  });

  test('the number after the last of a pattern is not that of the next pattern', () => {
    const book = new NameBook();
    const last = book.base({ pattern: 'a%d', first: NUMBERS_MAX - 1, count: 1 });
    const next = book.base({ pattern: 'b%d', first: 0, count: 1 });
    expect(next).toBe(last + 1);
    written(book, last);
    expect(written(book, next)).toEqual(expected(book, next));
  });
});
