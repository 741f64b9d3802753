import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  hashName,
  NAME_WORDS,
  NameHasher,
  nameText,
  normaliseName,
  truncateName,
} from '../../sim/luo/name.ts';
import { putName } from '../support/names.ts';

const bytes64 = fc.uint8Array({ minLength: 0, maxLength: 64 });

const words = (bytes: Uint8Array): Int32Array => {
  const name = new Int32Array(NAME_WORDS);
  putName(name, 0, bytes);
  return name;
};

/** Hash and place of 64 bytes, cut or not; where they are a name, its words are right, too. */
const hashed = (bytes: Int32Array, hasher = new NameHasher(), cut = true): [hash: number, place: number] => {
  const given = bytes.slice();
  hasher.set(bytes, 0, cut);
  expect(bytes).toEqual(given);
  if (cut) truncateName(given, 0);
  else normaliseName(given, 0);
  expect(hasher.words).toEqual(given);
  return [hasher.hash, hasher.place];
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

  it('hashes alike whatever was hashed before', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(bytes64, fc.nat(64)), { minLength: 2, maxLength: 8 }), (all) => {
        // Each begins like the one before it, for some bytes.
        const names: Int32Array[] = [];
        let last = new Uint8Array();
        for (const [bytes, common] of all) {
          last = Uint8Array.from(bytes, (byte, i) => (i < common ? (last[i] ?? byte) : byte));
          names.push(words(last));
        }
        const hasher = new NameHasher();
        const mixed = names.map((name, i) => hashed(name, hasher, i % 3 !== 0));
        expect(mixed).toEqual(names.map((name, i) => hashed(name, new NameHasher(), i % 3 !== 0)));
      }),
    );
  });

  it('ends at its NUL, whatever stands behind it and however alike the one before it was', () => {
    for (let length = 0; length < 20; length++) {
      const hasher = new NameHasher();
      const bytes = new Uint8Array(64).fill(0x61, 0, length);
      hashed(words(bytes), hasher, true);
      for (let at = length + 1; at < 64; at++) hashed(words(bytes.with(at, 0x62)), hasher, true);
    }
  });

  it('is cut, and not, whichever came before', () => {
    const hasher = new NameHasher();
    const full = words(new Uint8Array(64).fill(0x61));
    for (const cut of [false, true, false]) hashed(full, hasher, cut);
  });

  it('has its home within 16 slots of those that differ in their last byte alone, and is else spread out', () => {
    const hasher = new NameHasher();
    const home = (name: string): number => {
      hasher.set(words(new TextEncoder().encode(name)), 0);
      return hasher.place & 0xffffff;
    };
    const lines = new Map<number, number>();
    for (const shape of [
      'many-test-%d',
      '%d-session',
      'abc%d',
      'x%d-0123456789-0123456789-0123456789-01234567',
    ]) {
      lines.clear();
      for (let i = 0; i < 20_000; i++) {
        const line = home(shape.replace('%d', String(i))) >>> 4;
        lines.set(line & 0xffff, (lines.get(line & 0xffff) ?? 0) + 1);
      }
      const ends = shape.endsWith('%d');
      // 2,000 tens, or 20,000 names, over 65,536 lines: few meet, and then not many.
      expect(lines.size).toBeGreaterThan(ends ? 1_900 : 16_000);
      expect(Math.max(...lines.values())).toBeLessThanOrEqual(ends ? 40 : 8);
    }
    const begins = new Set(Array.from({ length: 500 }, (_, i) => home(`${i}-session`) & 15));
    expect(begins.size).toBe(16);
    for (let ten = 0; ten < 50; ten++) {
      const homes = Array.from({ length: 10 }, (_, digit) => home(`many-test-${ten}${digit}`));
      expect(new Set(homes).size).toBe(10);
      expect(new Set(homes.map((slot) => slot >>> 4)).size).toBe(1);
    }
  });
});
