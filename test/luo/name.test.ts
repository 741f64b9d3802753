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

/** Hash, place and stride of 64 bytes, cut or not; where they are a name, its words are right, too. */
const hashed = (bytes: Int32Array, hasher = new NameHasher(), cut = true): readonly number[] => {
  const given = bytes.slice();
  hasher.set(bytes, 0, cut);
  expect(bytes).toEqual(given);
  if (cut) truncateName(given, 0);
  else normaliseName(given, 0);
  expect(hasher.words).toEqual(given);
  return [hasher.hash, hasher.place, hasher.stride];
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

  it('has its place as far behind that of its stem as the number at its end says', () => {
    const stem = fc.string({ unit: fc.constantFrom('a', '-', '7', '\xff', ':', '/'), maxLength: 40 });
    fc.assert(
      fc.property(
        stem.filter((text) => !text.endsWith('7')),
        fc.stringMatching(/^[0-9]{1,20}$/),
        (text, number) => {
          const of = (name: string): readonly number[] => hashed(words(Buffer.from(name, 'latin1')));
          const [, place, stride] = of(text + number);
          const [, first] = of(text);
          expect(place).toEqual(Number(BigInt.asIntN(32, BigInt(first as number) + BigInt(number))));
          expect((stride as number) & 1).toBe(1);
          // Those of 1,024 numbers go the same way.
          const [, , beside] = of(text + (BigInt(number) ^ 777n));
          expect(beside).toBe(stride);
        },
      ),
    );
  });

  it('is else spread out: few stems meet, and those that do go apart', () => {
    const hasher = new NameHasher();
    for (const shape of ['%d-session', 'abc%dx', 'x%d-0123456789-0123456789-0123456789-012345q']) {
      const slots = new Map<number, number>();
      const walks = new Set<number>();
      for (let i = 0; i < 20_000; i++) {
        hasher.set(words(new TextEncoder().encode(shape.replace('%d', String(i)))), 0);
        const slot = hasher.place & 0xffff;
        slots.set(slot, (slots.get(slot) ?? 0) + 1);
        walks.add(slot * 0x10000 + (hasher.stride & 0xffff));
      }
      // 20,000 of 65,536 slots: 17,230 are expected to be met, and no walk twice.
      expect(slots.size).toBeGreaterThan(17_000);
      expect(Math.max(...slots.values())).toBeLessThanOrEqual(8);
      expect(walks.size).toBeGreaterThan(19_980);
    }
  });
});
