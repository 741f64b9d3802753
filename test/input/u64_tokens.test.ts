/*
 * Tokens of 64 bits through whole runs, as programs say them.
 */
import { describe, expect, it } from 'vitest';
import { programError } from '../../sim/input/program_json.ts';
import { printProgram } from '../../sim/input/program_print.ts';
import { isTextProblem, parseProgram } from '../../sim/input/program_text.ts';
import type { RunInput } from '../../sim/input/run_input.ts';
import { decodeToken, encodeToken } from '../../sim/input/token.ts';
import { REVISIONS } from '../../sim/kernel/revisions.ts';
import { tokenAt, u64Of } from '../../sim/user/program.ts';
import { ran } from '../support/play.ts';

const LAST = '18446744073709551615';

function parsed(text: string): RunInput {
  const input = parseProgram(text);
  if (isTextProblem(input)) throw new Error(`${input.line}:${input.column}: ${input.message}`);
  return input;
}

/** Three memfds preserved under a token and those behind it, and asked for under another. */
const under = (revision: string, token: string, other = token): string => `luosim 1
machine ram 64M

kernel ${revision}
stage
  task vmm
    open
    create s
    memfd f%d 0..2 bytes 4K
    write f%d 0..2 at 0 bytes 4K seed 3
    preserve f%d 0..2 in s token ${token}
    load
    reboot

kernel ${revision}
stage
  task vmm
    open
    retrieve s
    retrieve-fd f%d 0..2 in s token ${other}
    finish s
    close s
`;

const answers = (text: string): string[] => {
  const result = ran(parsed(text));
  return [
    ...result.violations.map(({ law }) => law),
    ...(result.generations[1]?.actions ?? []).map(({ verb, result: answer }) => `${verb} ${answer}`),
  ];
};

describe('tokens of 64 bits', () => {
  const WELL = ['open OK', 'retrieve OK', 'retrieve-fd OK', 'finish OK', 'close OK'];

  it('come back, the first and the last of them, and 0 comes behind the last', () => {
    for (const { name } of REVISIONS) {
      for (const token of ['0', '4294967295', '9007199254740990', LAST, '0xfffffffffffffffe']) {
        expect([name, token, ...answers(under(name, token))]).toEqual([name, token, ...WELL]);
      }
    }
  });

  it('that differ in one bit are others', () => {
    for (const bit of [2n, 31n, 32n, 52n, 53n, 63n]) {
      const other = String(0x8020_0001_8000_0001n ^ (1n << bit));
      expect(answers(under('v7.3', '0x8020000180000001', other))[2]).toBe('retrieve-fd ENOENT');
    }
    expect(answers(under('v7.3', LAST, '18446744073709551614'))[2]).toBe('retrieve-fd ENOENT');
    expect(answers(under('v7.3', '9007199254740993', '9007199254740992'))[2]).toBe('retrieve-fd ENOENT');
  });

  it('are said in decimal whichever way they were given, in JSON as text where a number is not exact', () => {
    for (const [given, said, kept] of [
      ['0x0', '0', 0],
      ['0x1fffffffffffff', '9007199254740991', 9007199254740991],
      ['0x20000000000000', '9007199254740992', '9007199254740992'],
      ['0xFFFFFFFFFFFFFFFF', LAST, LAST],
    ] as const) {
      const input = parsed(under('v7.3', given));
      expect(printProgram(input)).toContain(`preserve f%d 0..2 in s token ${said}\n`);
      expect(parsed(printProgram(input))).toEqual(input);
      const json = JSON.parse(JSON.stringify(input.program)) as typeof input.program;
      expect(json).toEqual(input.program);
      expect(programError(json)).toBeUndefined();
      const action = json.generations[0]?.stages[0]?.[0]?.actions.find(({ do: verb }) => verb === 'preserve');
      expect(action).toMatchObject({ token: kept });
      const token = encodeToken({ kind: 'program', text: printProgram(input) }) ?? '';
      expect(decodeToken(token)).toEqual({ kind: 'program', text: printProgram(input) });
    }
  });

  it('are refused where they are none', () => {
    for (const text of ['18446744073709551616', '-1', '0x10000000000000000', '1.5', 'x']) {
      expect(parseProgram(under('v7.3', text))).toMatchObject({ line: 11 });
    }
    for (const token of [
      '7',
      '9007199254740991',
      '18446744073709551616',
      '09007199254740992',
      -1,
      2 ** 53,
      null,
    ]) {
      const actions = [{ do: 'preserve', names: NAMES, session: NAMES, token }];
      const program = { generations: [{ revision: 'v7.3', stages: [[{ process: 'p', actions }]] }] };
      expect(programError(program)).toMatch(/token is no whole number below 2\^64/);
    }
  });

  it('count on exactly', () => {
    expect([tokenAt(2 ** 53 - 2, 1), tokenAt(2 ** 53 - 2, 2), tokenAt(LAST, 0), tokenAt(LAST, 1)]).toEqual([
      9007199254740991,
      '9007199254740992',
      LAST,
      0,
    ]);
    expect([u64Of(-1n), u64Of(2n ** 64n + 5n)]).toEqual([LAST, 5]);
  });
});

const NAMES = { pattern: 'f', first: 0, count: 1 };
