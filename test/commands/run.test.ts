/*
 * What luosim run is given and cannot run: one line each. The program as text is told with file, line and column.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { BadInput, type Entry, type Given } from '../../commands/command.ts';
import { REPLAY } from '../../commands/replay.ts';
import { RUN } from '../../commands/run.ts';
import { SHOW } from '../../commands/show.ts';
import { encodeToken } from '../../sim/input/token.ts';

const directory = mkdtempSync(join(tmpdir(), 'luosim-run-'));
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, contents: string | Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, contents);
  return path;
}

async function refusal(given: Given, args: readonly string[], command: Entry = RUN): Promise<string> {
  try {
    await command.execute(given, args);
  } catch (error) {
    if (error instanceof BadInput) return error.message.replaceAll(`${directory}/`, '');
    throw error;
  }
  return 'it ran';
}

const TEXT = 'luosim 1\nkernel v7.3 times 2\n';

describe('a program as text is refused', () => {
  it.each<[string, string | Uint8Array, RegExp]>([
    ['empty', '', /^empty:1:1: the first line of a program is luosim 1$/],
    ['licence', 'Apache License\n', /^licence:1:1: the first line of a program is luosim 1$/],
    ['verb', `${TEXT}stage\n  task p\n    opne\n`, /^verb:5:5: .* \(Did you mean open\?\)$/],
    ['end', 'luosim 1\n', /^end:2:1: a run needs a line before it like: kernel v7\.3$/],
    ['point', `${TEXT}choose schedule:stat 0 = 1\n`, /^point:3:8: .* \(Did you mean schedule:start\?\)$/],
    ['control', `${TEXT}\x1b[31m\n`, /^control:3:1: a character that cannot be seen: take it out/],
    ['binary', Uint8Array.of(0x6c, 0xff), /^"binary" is no text: it is not in UTF-8; give a file/],
    ['memory', 'luosim RAM file\n{}\n', /^"memory" is a RAM file: run it with --boot-ram$/],
  ])('from a file %s', async (name, text, complaint) => {
    expect(await refusal({}, [file(name, text)])).toMatch(complaint);
  });

  it.each([
    ['scenario', 'taken-name'],
    ['revision', 'v7.1'],
    ['with', 'get-name'],
    ['without', 'get-name'],
    ['generations', '3'],
    ['sessions', '3'],
    ['name', 'x'],
    ['seed', '1'],
    ['ram', '16M'],
    ['nodes', '1'],
    ['cpus', '1'],
    ['bootRam', 'x.ram'],
  ])('beside --%s', async (option, value) => {
    const flag = option === 'bootRam' ? 'boot-ram' : option;
    const complaint = `"beside" and --${flag} exclude each other; leave one away`;
    expect(await refusal({ [option]: value }, [file('beside', TEXT)])).toBe(complaint);
  });

  it('where no kernel jumps and RAM is to be saved', async () => {
    const one = file('one', 'luosim 1\nkernel v7.3\n');
    const complaint = '--save-ram: no kernel jumps where there is only one; give two or more';
    expect(await refusal({ saveRam: join(directory, 'x') }, [one])).toBe(complaint);
  });
});

describe('a module is refused', () => {
  it.each<[Given, string[], RegExp]>([
    [
      {},
      ['./nowhere.mjs'],
      /^"\.\/nowhere\.mjs" cannot be read: ENOENT: no such file or directory; give a mod/,
    ],
    [{ scenario: './nowhere.mjs' }, [], /^--scenario "\.\/nowhere\.mjs" cannot be read: ENOENT/],
    [{ scenario: 'nowhere.mjs' }, [], /^--scenario "nowhere\.mjs" cannot be read: ENOENT/],
    [{ scenario: './nowhere' }, [], /^--scenario "\.\/nowhere" cannot be read: ENOENT/],
    [{ scenario: 'nowhere' }, [], /^--scenario "nowhere" is not known; give one of: many-sessions, /],
    [{ scenario: 'taken-name' }, ['x.mjs'], /^"x\.mjs" and --scenario exclude each other; leave one away$/],
    [{ bootRam: 'x.ram' }, ['x.mjs'], /^"x\.mjs" and --boot-ram exclude each other; leave one away$/],
    [{ scenario: './x.mjs', bootRam: 'x.ram' }, [], /^--boot-ram and --scenario exclude each other/],
  ])('%j %j', async (given, args, complaint) => {
    expect(await refusal(given, args)).toMatch(complaint);
  });

  const only = (program: string): string => `export default () => (${program});\n`;
  const task = (actions: string): string =>
    only(`{ generations: [{ revision: 'v7.3', stages: [[{ process: 'p', actions: ${actions} }]] }] }`);
  const action = 'program.generations[0].stages[0][0].actions[0]';

  it.each<[string, string, string]>([
    [
      'named',
      'export const program = () => {}',
      ' has no function for its default export; begin it with export default (params) =>',
    ],
    [
      'promise',
      'export default async () => { throw 1 }',
      ' gives a promise; its default export must give the program itself',
    ],
    ['nothing', only('undefined'), ' gives no program that can be run: program.generations is no list'],
    ['verb', task("[{ do: 'opne' }]"), ` gives no program that can be run: ${action}.do is no known verb`],
    [
      'field',
      task("[{ do: 'open', fast: true }]"),
      ` gives no program that can be run: ${action}.fast: open has nothing of that name`,
    ],
    ['proxy', only('new Proxy({}, { get() { throw 1 } })'), ' throws: 1'],
  ])('where it is %s', async (name, text, complaint) => {
    expect(await refusal({}, [file(`${name}.mjs`, text)])).toBe(`"${name}.mjs"${complaint}`);
  });

  it('where a token leads to it, without being loaded', async () => {
    const planted = file('planted.mjs', 'globalThis.planted = true;\nexport default () => {};\n');
    for (const scenario of ['./planted.mjs', planted, pathToFileURL(planted).href]) {
      const token = encodeToken({ kind: 'scenario', options: { scenario } }) ?? '';
      for (const command of [RUN, REPLAY, SHOW]) {
        expect(await refusal({}, [token], command)).toMatch(
          /^token of a scenario: --scenario ".*" is not known/,
        );
      }
    }
    expect(globalThis).not.toHaveProperty('planted');
  });
});
