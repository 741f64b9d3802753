/*
 * The front door, as a person meets it: the built program in processes of its own. `npm test` builds it before.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunResult } from '../sim/explore/result.ts';
import {
  CLI,
  checkBuilt,
  cleanUp,
  digestOf,
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

/** What README shows: commands behind a dollar sign, and what they print. */
function examples(): [string, string][] {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const blocks = [...readme.matchAll(/^```\n(.*?)^```$/gms)].map(([, block]) => block ?? '');
  return blocks
    .flatMap((block) => block.split(/^\$ /m).slice(1))
    .map((example) => [example.slice(0, example.indexOf('\n')), example.slice(example.indexOf('\n') + 1)]);
}

describe('README', () => {
  it('has examples', () => expect(examples().length).toBeGreaterThanOrEqual(5));

  it.each(examples())('shows what %s prints', async (command, shown) => {
    const npx = `npx() { shift; "${process.execPath}" "${CLI}" "$@"; }`;
    const { out } = await start('bash', ['-c', `${npx}; { ${command}; } 2>&1`]);
    expect(out, 'what it prints has changed: paste it into README.md').toBe(shown);
  });
});

describe('luosim run', () => {
  it('tells the stress case of the kernel on one screen, and how to run it again', async () => {
    const { code, out, err } = await luosim(['run']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expectFitsTerminal(out);
    expect(out).toMatch(/^store +3 blocks of 16 pages at 0x[0-9a-f]+000 0x[0-9a-f]+000 0x[0-9a-f]+000$/m);
    expect(out).toMatch(/^ {2}create +2,000 +1,999,000 +[\d.]+ ms$/m);
    expect(out).toMatch(/^ {2}open: deserialize 2,000 sessions +1,999,000 +[\d.]+ ms$/m);
    expect(out).toMatch(/^ {2}reboot hook: serialize 2,000 sessions +[\d.]+ us$/m);
    expect(out).toMatch(/^ {2}retrieve +2,000 +2,001,000 +[\d.]+ ms$/m);
    expect(out).toMatch(/^verdict +all laws held$/m);
    expect(linesOf(out).at(-1)).toBe('npx luosim run --seed 1');
  });

  it('prints the same result as JSON', async () => {
    const { code, out, err } = await luosim(['run', '--json', '--sessions', '820', '--seed', 'a seed']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const result: RunResult & { again: string } = JSON.parse(out);
    expect(result).toMatchObject({ schemaVersion: 1, seed: 'a seed', violations: [], openLosses: [] });
    expect(result.generations.map(({ bootKind }) => bootKind)).toEqual(['cold', 'handover']);
    expect(result.generations[0]?.handover?.storeRegions).toHaveLength(2);
    expect(result.again).toBe("npx luosim run --sessions 820 --seed 'a seed'");
    expect(result.digest).toBe(await digestOf(['run', '--sessions', '820', '--seed', 'a seed']));
  });

  it('has the same digest for the same seed in every process', async () => {
    const args = ['run', ...SMALL, '--generations', '3', '--seed', 'twice'];
    const [first, second] = await Promise.all([digestOf(args), digestOf(args)]);
    expect(first).toBe(second);
    expect(await digestOf([...args, '--cpus', '1'])).not.toBe(first);
  });

  it.each([['30'], ['3']])('keeps to one screen with %s kernels', async (generations) => {
    const { code, out } = await luosim(['run', ...SMALL, '--generations', generations]);
    expect(code).toBe(0);
    expectFitsTerminal(out);
    expect(out).toContain(`kernel ${Number(generations) - 1}: handover boot`);
    expect(out.includes('kernels 1 to 28: handover boots, every call answered OK')).toBe(
      generations === '30',
    );
  });

  it('runs the kernel test of handover over two kernels', async () => {
    const args = ['run', '--scenario', 'kho-test', '--ram', '64M'];
    const { code, out } = await luosim([...args, '--json', '--save-ram', 'kho.ram']);
    expect(code).toBe(0);
    const { generations, digest }: RunResult = JSON.parse(out);
    const restored = generations.map(({ dmesg }) =>
      dmesg.some((line) => line.includes('KHO restore succeeded')),
    );
    expect(restored).toEqual([false, true]);
    expect(generations[1]?.actions.map(({ phase }) => phase)).toEqual(['restore']);
    const second = await luosim(['run', '--boot-ram', 'kho.ram']);
    expectFitsTerminal(second.out);
    expect(second.out).toContain(digest);
  });

  it.each([
    ['live-update-daemon', 'client-%d', /^ {2}truncate +1 /m],
    ['systemd-fdstore', 'unit-%d.service', /^ {2}preserve: ENOENT +12 /m],
    ['vmm', 'vm-0', /^ {2}seal +16 /m],
  ])('runs %s, and its token again', async (scenario, named, phase) => {
    const args = ['run', '--scenario', scenario, '--sessions', '4', '--ram', '64M'];
    const { code, out, err } = await luosim(args);
    expect([code, err]).toEqual([0, '']);
    expectFitsTerminal(out);
    expect(out).toContain(`names       ${named}\n`);
    expect(out).toMatch(phase);
    const token = /^token +(luo1\w+)$/m.exec(out)?.[1] ?? '';
    expect(await digestOf(['replay', token])).toBe(/^digest +(\w+)$/m.exec(out)?.[1]);
  });

  it('tells what failed where the machine is too small', async () => {
    const { code, out } = await luosim(['run', '--sessions', '20000', '--ram', '16M']);
    expect(code).toBe(0);
    expectFitsTerminal(out);
    expect(out).toMatch(/^ {2}create: ENOMEM +\d,\d{3} /m);
  });

  it('tells what was lost where everybody can see it, in the words of the kernel', async () => {
    const { code, out } = await luosim(['run', ...SMALL, '--revision', 'v7.1,v7.3']);
    expect(code).toBe(0);
    expectFitsTerminal(out);
    expect(out).toMatch(/^kernel 1: handover refused, cold boot, v7.3 /m);
    expect(out.replaceAll(/\n +/g, ' ')).toMatch(/^lost openly generation 1 .* incompatible with 'kho-v4'/m);
  });

  it('applies patches to every kernel, and takes them out', async () => {
    const options = ['--revision', 'v7.1,v7.0', '--with', 'get-name', '--without', 'serialize-rwsem'];
    const { code, out } = await luosim(['run', ...SMALL, ...options, '--json']);
    expect(code).toBe(0);
    const { generations, again }: RunResult & { again: string } = JSON.parse(out);
    expect(generations.map(({ revision }) => revision)).toEqual([
      'v7.1 +get-name -serialize-rwsem',
      'v7.0 +get-name',
    ]);
    expect(again).toContain('--with get-name --without serialize-rwsem');
  });

  it.each([['0'], ['1']])('goes through with %s sessions', async (sessions) => {
    const { code, out, err } = await luosim(['run', '--sessions', sessions, '--ram', '16M']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^verdict +all laws held$/m);
  });

  it('prints names and seeds as text, whatever is in them', async () => {
    const args = [
      'run',
      '--sessions',
      '1',
      '--ram',
      '16M',
      '--name',
      'a\x1b[31mb\nc%d',
      '--seed',
      `it's\x07 ${'long '.repeat(40)}`,
    ];
    const { code, out } = await luosim(args);
    expect(code).toBe(0);
    expectFitsTerminal(out);
    expect(out.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
    expect(out).toContain('a\\u001b[31mb\\u000ac%d');
  });

  it('gives a line that a shell understands', async () => {
    const odd = 'it\'s\n$HOME \x07 %d \\ "é"';
    const { out } = await luosim(['run', ...SMALL, '--name', odd, '--seed', 'two words']);
    const line = linesOf(out).at(-1)?.replace('npx luosim', `"${process.execPath}" "${CLI}"`) ?? '';
    const again = await start('sh', ['-c', `${line} --json`]);
    const { program, seed, digest }: RunResult = JSON.parse(again.out);
    expect(program.generations[0]?.stages[0]?.[0]?.actions[1]).toMatchObject({ names: { pattern: odd } });
    expect(seed).toBe('two words');
    expect(out).toContain(digest);
  });

  it('colours terminals and nothing else', async () => {
    const [pipe, ci, forced, none] = await Promise.all(
      [{}, { CI: '1' }, { FORCE_COLOR: '1' }, { FORCE_COLOR: '1', NO_COLOR: '1' }].map((env) =>
        luosim(['run', ...SMALL], { env }),
      ),
    );
    expect(forced?.out).toContain('\x1b[32mverdict');
    expect(pipe?.out).not.toContain('\x1b');
    expect(ci?.out).toBe(pipe?.out);
    expect(none?.out).toBe(pipe?.out);
    expect(stripVTControlCharacters(forced?.out ?? '')).toBe(pipe?.out);
  });
});

describe.concurrent('bad input', () => {
  const long = 'x'.repeat(64);
  it.each(
    some<[string[], RegExp]>([
      [[], /no command; give one of: run/],
      [['walk'], /unknown command 'walk'/],
      [['run', 'now', 'here'], /too many arguments/],
      [['run', '--sesions', '3'], /unknown option '--sesions' \(Did you mean --sessions\?\)/],
      [['run', '--sessions'], /argument missing/],
      ...['-5', '1.5', '1e3', '', '16777217', 'a\nb'].map((n): [string[], RegExp] => [
        ['run', '--sessions', n],
        /--sessions ".*": give a whole number from 0 to 16777216/,
      ]),
      ...['0', '100001'].map((n): [string[], RegExp] => [
        ['run', '--generations', n],
        /--generations ".*": .* from 1 to 100000/,
      ]),
      [['run', '--nodes', '9'], /--nodes "9": give a whole number from 1 to 8/],
      [['run', '--cpus', '0'], /--cpus "0": give a whole number from 1 to 64/],
      ...['5M', '2T', '17M'].map((size): [string[], RegExp] => [
        ['run', '--ram', size],
        /--ram ".*", --nodes 1: .* (MiB|TiB)/,
      ]),
      ...['much', '-1G', '1.5G'].map((size): [string[], RegExp] => [
        ['run', '--ram', size],
        /--ram ".*" is no size; give a whole number with K, M/,
      ]),
      [['run', '--ram', '64M', '--nodes', '8'], /every node has at least 16 MiB/],
      [['run', '--revision', 'v9.9'], /--revision "v9.9" is not known; known: .*april-v1-p1/],
      [
        ['run', '--revision', 'v7.1 get-name'],
        /--revision "v7.1 get-name": .* a change to v7.1 is \+PATCH or -PATCH/,
      ],
      [
        ['run', '--with', 'nothing'],
        /--with on april-v1-p1: no patch is named 'nothing'; there are kho-radix-tree, /,
      ],
      [
        ['run', '--with', 'luo-ser'],
        /--with on april-v1-p1: .* are two designs for one thing: take one away/,
      ],
      [
        ['run', '--with', 'get-name', '--without', 'get-name'],
        /--with, --without on .*: get-name cannot be both/,
      ],
      [
        ['run', '--boot-ram', 'nowhere.ram', '--with', 'get-name'],
        /--boot-ram and --with exclude each other/,
      ],
      [['run', '--revision', 'april-v1-p1,'], /--revision "" is not known/],
      [['run', '--revision', 'april-v1-p1,april-v1-p1,april-v1-p1'], /3 entries for --generations 2/],
      [['run', '--scenario', 'none'], /--scenario "none" is not known; give one of: many-sessions, /],
      [['run', '--scenario', 'kho-test', '--sessions', '3'], /exclude each other; leave one away/],
      [['run', '--name', 'alike'], /names 2000 sessions alike; put %d/],
      [['run', '--name', '%d-%d'], /has 2 times %d; give it once/],
      [['run', '--name', `${long.slice(4)}%d`], /makes names of 64 bytes, the ABI has room for 63; cut 1/],
      [['run', '--sessions', '1', '--name', long], /makes names of 64 bytes/],
      [['run', '--sessions', '1', '--name', 'é'.repeat(32)], /makes names of 64 bytes/],
      [
        ['run', '--boot-ram', 'nowhere.ram'],
        /"nowhere.ram" cannot be read: ENOENT: no such file or directory; give/,
      ],
      [['run', '--boot-ram', '.'], /cannot be read: it is no regular file; give/],
      [
        ['run', '--boot-ram', 'nowhere.ram', '--sessions', '3'],
        /--boot-ram and --sessions exclude each other/,
      ],
      [['run', '--boot-ram', 'nowhere.ram', '--seed', '3'], /--boot-ram and --seed exclude each other/],
      [['run', '--save-ram', 'nowhere/x.ram'], /cannot be written: ENOENT: no such file or directory; give/],
      [['run', '--save-ram', '.'], /cannot be written: it is no regular file; give/],
      [['run', '--save-ram', '/dev/null'], /cannot be written: it is no regular file; give/],
    ]),
  )('luosim %j is refused in one line', (args, complaint) => expectRefused(args, complaint));

  it('may be as long as what it is about allows', async () => {
    const { code } = await luosim(['run', '--sessions', '1', '--ram', '16M', '--name', long.slice(1)]);
    expect(code).toBe(0);
  });
});

describe('the program', () => {
  it('helps, and says which version it is', async () => {
    const help = await luosim(['run', '--help']);
    expect(help).toMatchObject({ code: 0, err: '' });
    for (const option of [
      'revision',
      'generations',
      'sessions',
      'seed',
      'json',
      'save-ram',
      'boot-ram',
      'ram',
    ]) {
      expect(help.out).toContain(`--${option}`);
    }
    for (const line of linesOf(help.out)) expect(line.length).toBeLessThanOrEqual(80);
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    expect((await luosim(['--version'])).out).toBe(`${version}\n`);
  });

  it('tells a fault of its own from a finding, with the line to report', async () => {
    const planted = 'String.prototype.padStart = () => { throw new Error("planted"); }';
    const node = ['--import', `data:text/javascript,${encodeURIComponent(planted)}`];
    const { code, out, err } = await luosim(['run', ...SMALL], { node });
    expect({ code, out }).toEqual({ code: 70, out: '' });
    expect(linesOf(err)[0]).toBe(
      'luosim: a fault in luosim itself, Error: planted; please report it with the line npx luosim run --sessions 3 --ram 16M',
    );
    expect(linesOf(err).slice(1).join()).toContain('    at ');
  });

  it('does not mind a reader that has seen enough', async () => {
    const run = `"${process.execPath}" "${CLI}" run ${SMALL.join(' ')} --generations 80 --json`;
    const { out, err } = await start('bash', ['-c', `${run} | head -c 9; echo " \${PIPESTATUS[0]}"`]);
    expect({ out, err }).toEqual({ out: '{"schemaV 0\n', err: '' });
  });

  it('is interrupted by SIGINT', async () => {
    const { code, signal, err } = await luosim(['run', '--sessions', '3000000'], { killAfterMs: 1000 });
    expect([code, signal, err]).toEqual([null, 'SIGINT', '']);
  });
});
