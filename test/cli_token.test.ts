/*
 * Tokens as a person meets them: the built program, what it prints, and what it says to what a mail made of it.
 */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  at,
  CLI,
  checkBuilt,
  cleanUp,
  type Ended,
  expectRefused,
  linesOf,
  luosim,
  SMALL,
  start,
} from './support/cli.ts';
import { some } from './support/seed.ts';

const fieldOf = ({ out }: Ended, label: string): string =>
  new RegExp(`^${label} +(\\S+)$`, 'm').exec(out)?.[1] ?? `no ${label} in ${out}`;

/** The last line of a report, run by a shell. */
const again = ({ out }: Ended): Promise<Ended> => {
  const line = linesOf(out).at(-1) ?? '';
  return start('sh', ['-c', line.replace('npx luosim', `"${process.execPath}" "${CLI}"`)]);
};

const expectColumns = (out: string): void => {
  for (const line of linesOf(out)) expect([...line].length, line).toBeLessThanOrEqual(80);
};

/** Two processes of which one reboots, under a revision that may lose a session to that. */
const RACE = `luosim 1
machine ram 16M
seed 4

kernel v7.0
stage
  task p
    open
stage
  task p
    create s%d 0..5
  task init
    load
    reboot

kernel v7.0
stage
  task p
    open
`;

/** A run in which a law is broken, and one in which none is. */
let broken: Ended;
let held: Ended;

beforeAll(async () => {
  checkBuilt();
  writeFileSync(at('race.luo'), RACE);
  broken = await luosim(['run', '--scenario', 'taken-name', '--sessions', '51', '--revision', 'v7.3']);
  held = await luosim(['run', ...SMALL, '--seed', 'two words', '--save-ram', 'small.ram']);
});
afterAll(cleanUp);

describe('a token', () => {
  it('stands in every report, and replays the run', async () => {
    const token = fieldOf(held, 'token');
    expect(token).toMatch(/^luo1ps[a-z0-9]{10,70}$/);
    expect(linesOf(held.out).at(-1)).toMatch(/^npx luosim run /);
    const second = await luosim(['replay', token]);
    expect(second).toMatchObject({ code: 0, err: '' });
    expect(fieldOf(second, 'digest')).toBe(fieldOf(held, 'digest'));
    expect(linesOf(second.out).slice(-2)).toEqual([`token       ${token}`, `npx luosim replay ${token}`]);
    const json = JSON.parse((await luosim(['replay', token, '--json'])).out);
    expect(json).toMatchObject({ token, again: `npx luosim replay ${token}`, misfits: [] });
  });

  it('is the last line where a law is broken, as a command for anybody', async () => {
    expect(broken).toMatchObject({ code: 1, err: '' });
    expect(linesOf(broken.out).at(-1)).toBe(`npx luosim replay ${fieldOf(broken, 'token')}`);
    expect(await again(broken)).toEqual(broken);
  });

  it('of a run whose seed decided a schedule is a recording of it', async () => {
    const first = await luosim(['replay', 'race.luo']);
    const token = fieldOf(first, 'token');
    expect(token).toMatch(/^luo1pp[a-z0-9]{20,200}$/);
    const [shown, recorded] = await Promise.all([
      luosim(['show', token]),
      luosim(['show', 'race.luo', '--record']),
    ]);
    expect(shown.out).toMatch(/^choose \S+ \d+ = \d+$/m);
    expect(recorded.out).toBe(shown.out);
    const second = await luosim(['replay', token]);
    for (const label of ['digest', 'token']) expect(fieldOf(second, label)).toBe(fieldOf(first, label));
  });

  it('is of no use where memory came from a file', async () => {
    const { code, out } = await luosim(['run', '--boot-ram', 'small.ram']);
    expect(code).toBe(0);
    expect(out).not.toMatch(/^token/m);
  });

  it('is read as a mail has broken it, from arguments and standard input', async () => {
    const letters = fieldOf(held, 'token').toUpperCase();
    const mail = `> ${letters.slice(0, 9)}\r\n>> ${letters.slice(9, 20)}=\n ${letters.slice(20)}\n`;
    writeFileSync(at('mail'), mail);
    const runs = await Promise.all([
      luosim(['replay', ...mail.split(/\s+/).filter((word) => word !== '')]),
      start('sh', ['-c', `"${process.execPath}" "${CLI}" replay - < mail`]),
    ]);
    for (const run of runs) {
      expect(fieldOf(run, 'digest')).toBe(fieldOf(held, 'digest'));
      expect(linesOf(run.out).at(-1)).toBe(`npx luosim replay ${fieldOf(held, 'token')}`);
    }
  });
});

describe('luosim show', () => {
  it('prints the text of a program, which is the same run', async () => {
    const shown = await luosim(['show', fieldOf(broken, 'token')]);
    expect(shown).toMatchObject({ code: 0, err: '' });
    expect(linesOf(shown.out)[0]).toBe('luosim 1');
    writeFileSync(at('shown.luo'), shown.out);
    expect(fieldOf(await luosim(['replay', 'shown.luo']), 'digest')).toBe(fieldOf(broken, 'digest'));
  });
});

describe('luosim step', () => {
  it('lists the steps of a run in 80 columns', async () => {
    const { code, out, err } = await luosim([
      'step',
      fieldOf(broken, 'token'),
      '--from',
      '120',
      '--count',
      '15',
    ]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expectColumns(out);
    expect(out).toMatch(/^steps {7}120 to 134 of \d+, kernel 0$/m);
    expect(out).toMatch(/^ +126 +\d\.\d{6} {2}2 init {5}luo_session_serialize sessions 51, blocks 2, OK$/m);
    expect(out).toMatch(/^broken +handover, kernel 0, found behind step 128: session block 1 is empty/m);
  });

  it('tells both kernels at a step', async () => {
    const { code, out } = await luosim(['step', fieldOf(broken, 'token'), '--at', '131']);
    expect(code).toBe(0);
    expectColumns(out);
    expect(out).toMatch(/^> +131 /m);
    expect(out).toMatch(/^kernel 0 as it left: v7.3, rebooting$/m);
    expect(out).toMatch(/^ {14}0x[0-9a-f]+: count 0, next none$/m);
    expect(out).toMatch(/^kernel 1: v7.3, booting$/m);
  });

  it('tells what changed between two steps, and all of it as JSON', async () => {
    const token = fieldOf(broken, 'token');
    const { out } = await luosim(['step', token, '--diff', '123', '126']);
    expectColumns(out);
    expect(out).toMatch(/^~ blocks of the store: 1 -> 2$/m);
    const json = JSON.parse((await luosim(['step', '--diff', '123', '126', token, '--json'])).out);
    expect(json.changes).toContainEqual({ generation: 0, what: 'blocks of the store', from: '1', to: '2' });
    expect(json.states).toHaveLength(2);
    expect(json.digest).toBe(fieldOf(broken, 'digest'));
  });
});

describe('a recording that the code no longer fits', () => {
  it.each([
    [
      'choose luo_session_retrieve:looked-up 3 = 1',
      /departure 1, luo_session_retrieve:looked-up occurrence 3, .*: this luosim has no such point$/,
    ],
    ['choose machine_kexec:leftovers 0 = 9', /departure 1, .*: it takes choice 9, and there are 4, from 0$/],
    ['choose mutex_lock:wait 0 = 1', /departure 1, .*: the run does not come there$/],
  ])('is run all the same after %s, and a line says where', async (line, complaint) => {
    const file = `${line.replaceAll(/\W/g, '')}.luo`;
    writeFileSync(at(file), `${RACE}\n${line}\n`);
    const { code, out, err } = await luosim(['replay', file]);
    expect(code).toBe(2);
    expect(linesOf(err)).toHaveLength(1);
    expect(linesOf(err)[0]).toMatch(complaint);
    expect(out).toMatch(/^digest +[0-9a-f]{16}$/m);
    const told = out.replaceAll(/\n +/g, ' ');
    expect(told).toMatch(/^misfit +departure 1, .* this is not the run that was recorded$/m);
  });
});

describe.concurrent('bad input', () => {
  it.each(
    some<[string[], RegExp]>([
      [['show', 'nowhere.luo'], /"nowhere.luo" cannot be read: ENOENT: .*; give a file, or a token/],
      [['step', 'luo1pp'], /token is cut off after 6 letters/],
      [['step', 'race.luo', '--at', '99999'], /step 99999 is not there: the run has steps 0 to \d+$/m],
      [['step', 'race.luo', '--diff', '5', '5'], /--diff "5" "5": give the earlier step first/],
    ]),
  )('luosim %j is refused in one line', (args, complaint) => expectRefused(args, complaint));
});
