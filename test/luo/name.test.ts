import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashName, NAME_WORDS, nameText, normaliseName, putName, truncateName } from '../../sim/luo/name.ts';

const bytes64 = fc.uint8Array({ minLength: 0, maxLength: 64 });

const words = (bytes: Uint8Array): Int32Array => {
  const name = new Int32Array(NAME_WORDS);
  putName(name, 0, bytes);
  return name;
};

/** What strncmp over 64 bytes sees: the bytes up to the first NUL. */
const significant = (bytes: Uint8Array): string => {
  const end = bytes.indexOf(0);
  return String.fromCharCode(...bytes.subarray(0, end === -1 ? bytes.length : end));
};

describe('a session name', () => {
  it('normalised, is equal in words exactly where strncmp finds it equal', () => {
    fc.assert(
      fc.property(bytes64, bytes64, fc.nat(63), (x, y, cut) => {
        // A common beginning, so that equal names are not a rarity.
        const z = Uint8Array.from(x, (byte, i) => (i < cut ? byte : (y[i] ?? 0)));
        const [a, b] = [words(x), words(z)];
        normaliseName(a, 0);
        normaliseName(b, 0);
        const equal = a.every((word, k) => word === b[k]);
        expect(equal).toBe(significant(x) === significant(z));
        if (equal) expect(hashName(a, 0)).toBe(hashName(b, 0));
      }),
    );
  });

  it('says whether it is terminated', () => {
    fc.assert(
      fc.property(bytes64, (x) => {
        expect(normaliseName(words(x), 0)).toBe(x.length < 64 || x.includes(0));
      }),
    );
  });

  it('is cut to 63 bytes as strscpy cuts it', () => {
    fc.assert(
      fc.property(bytes64, (x) => {
        const name = words(x);
        truncateName(name, 0);
        expect(nameText(name, 0)).toBe(significant(x).slice(0, 63));
      }),
    );
  });

  it('hashes its last bytes too: names that differ only at the end differ', () => {
    const hashes = new Set<number>();
    for (let i = 0; i < 100_000; i++)
      hashes.add(hashName(words(new TextEncoder().encode(`many-test-${i}`)), 0));
    // A birthday among 2^32: about one collision is chance, a hundred are not.
    expect(hashes.size).toBeGreaterThan(99_900);
  });
});
