/*
 * RAM files from process to process: a saved run goes on elsewhere as it would have here, a damaged file is refused.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Digest } from '../sim/base/digest.ts';
import {
  at,
  CLI,
  checkBuilt,
  cleanUp,
  digestOf,
  directory,
  expectFitsTerminal,
  expectRefused,
  linesOf,
  luosim,
  ROOT,
  SMALL,
  start,
} from './support/cli.ts';
import { some } from './support/seed.ts';

beforeAll(checkBuilt);
afterAll(cleanUp);

describe('RAM files', () => {
  it.each([
    ['two kernels', ['--sessions', '100']],
    ['four kernels, leftovers of seed x', ['--sessions', '90', '--generations', '4', '--seed', 'x']],
    ['eight nodes', ['--sessions', '10', '--nodes', '8', '--ram', '256M']],
    ['a machine of 1 TiB', ['--sessions', '10', '--ram', '1T']],
  ])('of %s take a second process to the same end', async (what, args) => {
    const file = `${what.replaceAll(/\W/g, '_')}.ram`;
    const digest = await digestOf(['run', ...args, '--save-ram', file]);
    const again = `${file}.again`;
    expect(await digestOf(['run', '--boot-ram', file, '--save-ram', again])).toBe(digest);
    expect(Buffer.compare(readFileSync(at(again)), readFileSync(at(file)))).toBe(0);
    expect(readdirSync(directory).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it('are refused in one line where they are cut, changed or foreign', async () => {
    await digestOf(['run', ...SMALL, '--save-ram', 'whole.ram']);
    const whole = readFileSync(at('whole.ram'));
    const damaged: Record<string, Uint8Array> = {
      empty: new Uint8Array(),
      twice: Buffer.concat([whole, whole]),
    };
    for (const length of [15, 16, 400, 2000, whole.length >> 1, whole.length - 8, whole.length - 1]) {
      damaged[`cut to ${length}`] = whole.subarray(0, length);
    }
    for (const byte of [0, 18, 300, whole.length >> 1, whole.length - 1]) {
      const changed = Uint8Array.from(whole);
      changed[byte] = (changed[byte] as number) ^ 0x10;
      damaged[`changed at ${byte}`] = changed;
    }
    damaged.foreign = readFileSync(process.execPath).subarray(0, 100_000);
    damaged['the licence'] = readFileSync(join(ROOT, 'LICENSE'));
    const refusals = some(Object.entries(damaged)).map(([what, bytes]) => {
      const file = `${what.replaceAll(' ', '_')}.damaged`;
      writeFileSync(at(file), bytes);
      return expectRefused(
        ['run', '--boot-ram', file],
        /--boot-ram "\S+" (is|has|goes) .*; (give|save it again)/,
      );
    });
    await Promise.all(refusals);
  });

  it('that lie about a session end in a violation, told on one screen, the line to run it again last', async () => {
    await digestOf(['run', ...SMALL, '--save-ram', 'true.ram']);
    const bytes = readFileSync(at('true.ram'));
    const name = bytes.indexOf(`many-test-1${'\0'.repeat(53)}`);
    expect(name).toBeGreaterThan(0);
    bytes.write('Many', name);
    const digest = new Digest();
    for (let word = 0; word < bytes.length - 8; word += 4) digest.mix(bytes.readInt32LE(word));
    bytes.writeUInt32LE(Number.parseInt(digest.toString().slice(0, 8), 16), bytes.length - 8);
    bytes.writeUInt32LE(Number.parseInt(digest.toString().slice(8), 16), bytes.length - 4);
    writeFileSync(at('false.ram'), bytes);
    const { code, out, err } = await luosim(['run', '--boot-ram', 'false.ram']);
    expect({ code, err }).toEqual({ code: 1, err: '' });
    expectFitsTerminal(out);
    expect(out).toMatch(/^broken +kernel 1, preservation: what was acknowledged before the update is$/m);
    expect(out).toContain('"Many-test-1"');
    expect(out).toMatch(/^verdict +1 law broken$/m);
    expect(linesOf(out).at(-1)).toBe('npx luosim run --boot-ram false.ram');
  });

  it('that cannot be written to the end leave what was there, and the result is printed', async () => {
    writeFileSync(at('kept.ram'), 'precious');
    const run = `ulimit -f 1; "${process.execPath}" "${CLI}" run ${SMALL.join(' ')} --save-ram kept.ram`;
    const { code, out, err } = await start('bash', ['-c', run]);
    expect(code).toBe(2);
    expect(out).toContain('all laws held');
    expect(linesOf(err)).toEqual([
      expect.stringMatching(/^luosim: --save-ram "kept.ram" cannot be written: EFBIG/),
    ]);
    expect(readFileSync(at('kept.ram'), 'utf8')).toBe('precious');
    expect(readdirSync(directory).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it('are not written where no kernel jumps', async () => {
    await expectRefused(
      ['run', '--generations', '1', '--save-ram', 'x.ram'],
      /no kernel jumps where there is only one; give two or more/,
    );
    expect(readdirSync(directory)).not.toContain('x.ram');
  });
});
