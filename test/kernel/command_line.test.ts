/*
 * The command line, as the kernel's own parsers read it: what each takes, and what it calls malformed.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { kstrtobool, memparse, type Parameter, parseCommandLine } from '../../sim/kernel/command_line.ts';

const parsed = (name: Parameter, value: string): unknown => {
  const { dmesg, ...rest } = parseCommandLine({ [name]: value });
  if (Object.keys(rest).length === 0) expect(dmesg).toEqual([`Malformed early option '${name}'`]);
  return Object.values(rest)[0];
};

describe('a boolean', () => {
  it('is decided by its first letter, of on and off by the second', () => {
    for (const text of ['1', 'y', 'Yes', 'TRUE', 'enabled', 'on', 'ONE']) expect(kstrtobool(text)).toBe(true);
    for (const text of ['0', 'n', 'No', 'false', 'Disabled', 'off', 'of'])
      expect(kstrtobool(text)).toBe(false);
    for (const text of ['', 'o', 'ob', '2', 'maybe', ' on']) expect(kstrtobool(text)).toBeUndefined();
  });
});

describe('a size', () => {
  it('is what was written, in any base and unit, up to what does not belong to it', () => {
    const rest = fc.constantFrom('', ',1', '%', ' K', '+', '!');
    const units = fc.constantFrom(['', 0], ['k', 10], ['M', 20], ['g', 30], ['T', 40], ['p', 50], ['E', 60]);
    fc.assert(
      fc.property(
        fc.bigInt(0n, 2n ** 64n - 1n),
        fc.constantFrom(8, 10, 16),
        units,
        rest,
        (n, base, unit, more) => {
          const [letter, shift] = unit as [string, number];
          fc.pre(base !== 16 || letter !== 'E'); // A digit.
          const digits = (base === 16 ? '0X' : base === 8 && n > 0n ? '0' : '') + n.toString(base);
          expect(memparse(`${digits}${letter}${more}`)).toEqual({
            bytes: (n << BigInt(shift)) % 2n ** 64n,
            length: digits.length + letter.length,
          });
        },
      ),
      { numRuns: 200 },
    );
    expect(memparse('K')).toEqual({ bytes: 0n, length: 0 });
    expect(memparse('08K')).toEqual({ bytes: 0n, length: 1 });
    expect(memparse('0xK')).toEqual({ bytes: 0n, length: 1 });
  });
});

describe('mem=', () => {
  it('is a size of whole pages, whatever stands behind it, and never nothing', () => {
    expect(parsed('mem', '512M')).toBe(512 * 2 ** 20);
    expect(parsed('mem', '0x1000fffK@0')).toBe(0x1000ffc * 1024);
    expect(parsed('mem', '8191')).toBe(4096);
    for (const text of ['', '0', 'all', 'nopentium', '16E0']) expect(parsed('mem', text)).toBeUndefined();
  });
});

describe('kho_scratch=', () => {
  it('is a percentage of ten digits at most', () => {
    expect(parsed('kho_scratch', '50%')).toEqual({ percent: 50 });
    expect(parsed('kho_scratch', '0%')).toEqual({ percent: 0 });
    expect(parsed('kho_scratch', '+4294967295%')).toBeUndefined();
    expect(parsed('kho_scratch', '4294967295%')).toEqual({ percent: 2 ** 32 - 1 });
    expect(parseCommandLine({ kho_scratch: '4294967295%' }).dmesg).toEqual(['KHO: scratch scale is -1%']);
    for (const text of ['%', '-1%', '4294967296%', '1.5%', '10%%', '0x10%']) {
      expect(parsed('kho_scratch', text)).toBeUndefined();
    }
  });

  it('is three sizes of which one is more than 0, and nothing else', () => {
    const sizes = { lowmem: 0x10, global: 0, node: 3 * 2 ** 20 };
    expect(parsed('kho_scratch', '0x10,0,3M')).toEqual(sizes);
    expect(parseCommandLine({ kho_scratch: '0x10,0,3M' }).dmesg).toEqual([
      'KHO: scratch areas: lowmem: 0MiB global: 0MiB pernode: 3MiB',
    ]);
    for (const text of [
      '',
      '1M',
      '1M,2M',
      '0,0,0',
      '1M,2M,3Mx',
      '1M,2M,3M,',
      '1M;2M;3M',
      ',1M,1M',
      '1M, 2M,3M',
    ]) {
      expect(parsed('kho_scratch', text)).toBeUndefined();
    }
  });
});

it('what cannot be parsed changes nothing, and each is told', () => {
  const { dmesg, ...rest } = parseCommandLine({ kho: 'x', liveupdate: 'off', mem: '', kho_scratch: '1' });
  expect(rest).toEqual({ liveupdate: false });
  expect(dmesg).toEqual(['kho', 'mem', 'kho_scratch'].map((name) => `Malformed early option '${name}'`));
});
