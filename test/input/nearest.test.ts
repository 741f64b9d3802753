import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { didYouMean, nearest } from '../../sim/input/nearest.ts';

const letters = fc.constantFrom(...'abcdefgh');
const words = fc.string({ unit: letters, minLength: 4, maxLength: 9 });

/** One typing mistake. */
function mistyped(word: string, at: number, letter: string, how: number): string {
  const place = at % word.length;
  const [before, here, after] = [word.slice(0, place), word[place] ?? '', word.slice(place + 1)];
  const typed = [
    before + after,
    before + letter + here + after,
    before + letter + after,
    before + after.slice(0, 1) + here + after.slice(1),
  ];
  return typed[how] as string;
}

describe('the nearest name', () => {
  it('is found through one typing mistake of any kind, among names that are farther', () => {
    fc.assert(
      fc.property(words, fc.nat(), letters, fc.nat(3), fc.nat(4), (word, at, letter, how, place) => {
        const others = ['zzzzzzzz', 'yyyyyyyy', 'xxxxxxxxx', 'w'];
        expect(nearest(mistyped(word, at, letter, how), others.toSpliced(place, 0, word))).toBe(word);
      }),
    );
  });

  it.each<[string, string[], string | undefined]>([
    ['retreive', ['retrieve', 'reboot'], 'retrieve'],
    ['opne', ['open', 'one'], 'open'],
    ['', ['a'], undefined],
    ['ab', ['cd'], undefined],
    ['kernel', ['kernel'], 'kernel'],
    ['luo_session', ['luo_sessions', 'luo_session_x'], 'luo_sessions'],
    ['abcdefgh', ['abcd'], undefined],
    ['x'.repeat(1e6), ['kernel'], undefined],
  ])('%.20s among %j is %j', (word, names, near) => {
    expect(nearest(word, names)).toBe(near);
    expect(didYouMean(word, names)).toBe(near === undefined ? '' : ` (Did you mean ${near}?)`);
  });
});
