import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { BadInput, type Given } from '../../commands/command.ts';
import { givenInput } from '../../commands/given_input.ts';
import { optionsInput, scenarioInput } from '../../commands/scenario.ts';
import { SCENARIOS } from '../../scenarios/table.ts';
import { encodeToken, type ScenarioOptions } from '../../sim/input/token.ts';

const directory = mkdtempSync(join(tmpdir(), 'luosim-input-'));
afterAll(() => rmSync(directory, { recursive: true }));

const file = (name: string, contents: string | Uint8Array): string => {
  const path = join(directory, name);
  writeFileSync(path, contents);
  return path;
};

const PROGRAM = 'luosim 1\nkernel v7.3\nstage\n  task p\n    open\n';
const program = (text: string): string => encodeToken({ kind: 'program', text }) ?? '';
const scenario = (options: ScenarioOptions): string => encodeToken({ kind: 'scenario', options }) ?? '';

function complaint(args: readonly string[]): string {
  try {
    givenInput(args);
  } catch (error) {
    if (error instanceof BadInput) return error.message;
    throw error;
  }
  return 'it was read';
}

describe('an input', () => {
  it('is the same from a token, a file with it and a file with the text', () => {
    const token = program(PROGRAM);
    const inputs = [
      [token],
      [`${token.slice(0, 9)} ${token.slice(9)}`],
      [token.slice(0, 9).toUpperCase(), token.slice(9).toUpperCase()],
      [file('token', `> ${token.slice(0, 9)}\n> ${token.slice(9)}\n`)],
      [file('text', PROGRAM)],
      [file('edited', `\ufeff${PROGRAM.replaceAll('\n', '   # said\r\n')}`)],
    ].map((args) => givenInput(args).input);
    for (const input of inputs) expect(input).toEqual(inputs[0]);
  });

  it('of a scenario is kept by its options, whatever was left to defaults', () => {
    const given: Given[] = [
      {},
      { seed: 'é \n', generations: '3', revision: 'v7.1,v7.3', ram: '64M', nodes: '2', cpus: '3' },
      { with: 'get-name', without: 'serialize-rwsem', revision: 'v7.1' },
      { ram: `${68 * 2 ** 20}`, sessions: '1', name: 'alone' },
    ];
    for (const { name, without } of SCENARIOS) {
      for (const options of given) {
        const fitting = Object.entries(options).filter(
          ([option]) => !without.some((other) => other === option),
        );
        const typed = scenarioInput({ ...Object.fromEntries(fitting), scenario: name });
        const kept = givenInput([scenario(typed.options)]);
        expect(kept.input).toEqual(typed.input);
        expect(kept.options).toEqual(typed.options);
        expect(optionsInput(typed.options)).toEqual(typed);
      }
    }
  });
});

describe('what cannot be used', () => {
  const good = program(PROGRAM);

  it.each<[readonly string[], RegExp]>([
    [[], /^no input: give a token, which begins with luo1, or a file$/],
    [['luo', 'lou'], /^"luo lou" is no token, which begins with luo1, and more than one file; give one$/],
    [['.'], /^"\." cannot be read: it is no regular file; give a file, or a token/],
    [[file('latin1', Uint8Array.of(0x6c, 0xe9))], /is no text: it is not in UTF-8; give/],
    [[file('empty', '')], /^\S+empty:1:1: the first line of a program is luosim 1$/],
    [[file('wrong', `${PROGRAM}    creat a\n`)], /^\S+wrong:6:5: .*creat/],
    [[file('cut', good.slice(0, -1))], /cut": token is (mistyped or )?cut off/],
    [[good.slice(0, -1)], /^token is mistyped or cut off: its checksum does not fit; copy it again, whole$/],
    [[`${good.slice(0, 9)}b${good.slice(9)}`], /^token has "b" in it, which no token has/],
    [['luo1pp'], /^token is cut off after 6 letters: copy it again, whole$/],
    [[program('nothing')], /^token of a program:1:1: /],
    [[scenario({ scenario: 'none' })], /^token of a scenario: --scenario "none" is not known; give one of/],
    [[scenario({ revision: 'v9.9' })], /^token of a scenario: --revision "v9.9" is not known/],
    [[scenario({ sessions: '-1' })], /^token of a scenario: --sessions "-1": give a whole number/],
    [[scenario({ scenario: 'kho-test', name: 'x' })], /^token of a scenario: .* exclude each other/],
    [[scenario({ colour: 'red' })], /^token of a scenario: --colour is not known here/],
  ])('%j is refused in one line', (args, line) => expect(complaint(args)).toMatch(line));
});
