import { bech32m } from '@scure/base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Digest } from '../../sim/base/digest.ts';
import { decodeToken, encodeToken, looksLikeToken, type TokenContent } from '../../sim/input/token.ts';
import { DICTIONARY } from '../../sim/input/token_dictionary.ts';
import { runs } from '../support/seed.ts';

const LETTERS = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';

const texts = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary' }).map((text) => text.replace(/\p{Surrogate}/gu, '?')),
  fc.string({ minLength: 1, maxLength: 8 }).map((text) => text.replace(/\p{Surrogate}/gu, '?').repeat(300)),
);

const contents: fc.Arbitrary<TokenContent> = fc.oneof(
  fc.record({ kind: fc.constant('program' as const), text: texts }),
  fc.record({
    kind: fc.constant('scenario' as const),
    options: fc.dictionary(texts, texts, { noNullPrototype: true }),
  }),
);

const tokenOf = (content: TokenContent): string => encodeToken(content) ?? 'too long';
const PROGRAM = tokenOf({ kind: 'program', text: 'the text of a program\n'.repeat(20) });

/** A token with a true checksum over any words. */
const forged = (words: readonly number[]): string => bech32m.encode('luo', [...words], false);

describe('a token', () => {
  it('gives back what it was made of', () => {
    fc.assert(
      fc.property(contents, (content) => {
        const token = tokenOf(content);
        expect(decodeToken(token)).toEqual(content);
        expect(token).toMatch(/^luo1[pqrstuvwxyzg0-9ac-hj-n]+$/);
        expect(looksLikeToken(token)).toBe(true);
      }),
    );
  });

  // Format 1 never changes: whoever changes what these say makes a format 2, and reads both.
  it.each<[string, TokenContent]>([
    [
      'luo1pp2zplhqsu2a35n5gq9n2ptpqrs90wj',
      {
        kind: 'program',
        text: 'luosim 1\n\nkernel v7.3\nstage\n  task agent\n    open\n    create many-test-%d 0..50\n',
      },
    ],
    ['luo1ppqqpsqeasg6rsnvuqkn', { kind: 'program', text: '' }],
    [
      'luo1ppusqnh0zju8plcxgdcrptrgjy5yjqxkrgunjjhfrysta68zwqvgsnktalhnvy4swq6ryd33x5enwvyv339yvasfztelyvejkwe8xukteg9s4z' +
        'u2fd9wh63tq6k3nqzqqd56qp6eek5qs',
      {
        kind: 'program',
        text: 'é \u{1f600} text that no dictionary knows: 0123456789abcdefghijklmnopqrstuvwxyz\n'.repeat(3),
      },
    ],
    [
      'luo1psjqq6xmc9gjupvqqqut3c8xg7zcqp7',
      {
        kind: 'scenario',
        options: {
          scenario: 'taken-name',
          revision: 'v7.3',
          generations: '2',
          sessions: '51',
          name: 'many-test-%d',
          seed: '1',
          ram: '1G',
          nodes: '1',
          cpus: '2',
        },
      },
    ],
  ])('is %s for ever', (token, content) => {
    expect(encodeToken(content)).toBe(token);
    expect(decodeToken(token)).toEqual(content);
  });

  it('is packed with a dictionary that never changes', () => {
    const digest = new Digest();
    for (const byte of DICTIONARY) digest.mix(byte);
    expect([DICTIONARY.length, digest.toString()]).toEqual([3979, 'f1869b435ec7a565']);
  });

  it('survives capitals, line breaks, quotation marks and soft breaks of a mail', () => {
    const damage = fc.constantFrom(
      '\n',
      '\r\n',
      ' ',
      '\n> ',
      '\n>> ',
      '=\n',
      '=\r\n',
      '\t',
      '\u00a0',
      '\u200b',
    );
    fc.assert(
      fc.property(
        contents,
        fc.array(fc.tuple(fc.nat(), damage)),
        fc.boolean(),
        (content, breaks, capitals) => {
          const letters = [...tokenOf(content)];
          for (const [place, what] of breaks) letters.splice(place % (letters.length + 1), 0, what);
          const mailed = letters.join('');
          expect(looksLikeToken(mailed)).toBe(true);
          expect(decodeToken(capitals ? mailed.toUpperCase() : mailed)).toEqual(content);
        },
      ),
    );
  });

  it('is short for a program of a few lines', () => {
    expect(PROGRAM.length).toBeLessThan(100);
  });

  it('of a text that is too long there is none', () => {
    const fits = { kind: 'program', text: 'x'.repeat(2 ** 20) } as const;
    expect(decodeToken(tokenOf(fits))).toEqual(fits);
    expect(encodeToken({ kind: 'program', text: `${fits.text}x` })).toBeUndefined();
  });
});

describe('what is no token', () => {
  const refused = (typed: string): string => {
    const answer = decodeToken(typed);
    expect(typeof answer, typed).toBe('string');
    expect(answer).not.toMatch(/\n|Error/);
    return answer as string;
  };

  it('is refused after any one letter was changed, left out, put in or exchanged', () => {
    fc.assert(
      fc.property(contents, fc.nat(), fc.constantFrom(...LETTERS), fc.nat(3), (content, at, letter, how) => {
        const token = tokenOf(content);
        const place = 4 + (at % (token.length - 5));
        const [x = '', y = ''] = token.slice(place, place + 2);
        const put = [letter, '', `${letter}${x}`, `${y}${x}`][how] as string;
        const typed = `${token.slice(0, place)}${put}${token.slice(place + (how === 3 ? 2 : 1))}`;
        fc.pre(typed !== token);
        expect(refused(typed)).toMatch(/^is (mistyped or )?cut off/);
      }),
      { numRuns: runs(150) },
    );
  });

  it('is refused wherever it is cut off', () => {
    for (let letters = 4; letters < PROGRAM.length; letters++) {
      expect(refused(PROGRAM.slice(0, letters))).toMatch(/^is (mistyped or )?cut off/);
    }
  });

  it('is told by what is wrong with it', () => {
    expect(refused('luo2qqqq')).toMatch(/^begins with luo1; this does not$/);
    expect(refused(`${PROGRAM.slice(0, 9)}o${PROGRAM.slice(9)}`)).toMatch(
      /^has "o" in it, which no token has/,
    );
    expect(refused(forged([2, 1, ...Array(20).fill(0)]))).toMatch(
      /^is of format 2, this luosim reads format 1/,
    );
    expect(refused(`luo1${'q'.repeat(2 ** 21)}`)).toMatch(/letters, more than any/);
    expect(looksLikeToken('lu')).toBe(false);
    expect(looksLikeToken('# a program\n')).toBe(false);
  });

  it('is refused with any words behind a true checksum', () => {
    const words = fc.array(fc.nat(31), { minLength: 10, maxLength: 400 });
    fc.assert(
      fc.property(fc.constantFrom(1, 16, 3), words, (kind, rest) => {
        expect(refused(forged([1, kind, ...rest]))).toMatch(/^is (damaged inside|of a kind)/);
      }),
      { numRuns: runs(150) },
    );
  });

  it('is refused where its packing was touched and its checksum made true again, unless that is only filling', () => {
    fc.assert(
      fc.property(contents, fc.nat(), fc.integer({ min: 1, max: 31 }), (content, at, flip) => {
        const { words } = bech32m.decode(tokenOf(content) as `luo1${string}`, false);
        const place = at % words.length;
        words[place] = (words[place] ?? 0) ^ flip;
        const answer = decodeToken(forged(words));
        if (typeof answer !== 'string') expect(answer).toEqual(content);
      }),
      { numRuns: runs(150) },
    );
  });

  it('is refused where it would unpack to more than it says', () => {
    const bomb = bech32m.decode(
      tokenOf({ kind: 'program', text: 'a'.repeat(2 ** 20) }) as `luo1${string}`,
      false,
    );
    const bytes = bech32m.fromWords(bomb.words.slice(2));
    const small = Uint8Array.of(5, ...bytes.subarray(3));
    expect(refused(forged([1, 1, ...bech32m.toWords(small)]))).toMatch(/^is damaged inside/);
  });

  it('is refused where it unpacks to less than it says', () => {
    const { words } = bech32m.decode(PROGRAM as `luo1${string}`, false);
    const [, , ...bytes] = bech32m.fromWords(words.slice(2));
    const large = Uint8Array.of(0xff, 0x7f, ...bytes);
    expect(refused(forged([1, 1, ...bech32m.toWords(large)]))).toMatch(/^is damaged inside/);
  });
});
