/*
 * Inputs that a person wrote: programs as text and scenarios in modules of their own, as the built program takes them.
 */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunResult } from '../sim/explore/result.ts';
import {
  at,
  CLI,
  checkBuilt,
  cleanUp,
  digestOf,
  type Ended,
  expectFitsTerminal,
  expectRefused,
  linesOf,
  luosim,
  SMALL,
  start,
} from './support/cli.ts';
import { some } from './support/seed.ts';

/** Of UPDATE, below. */
let digest = '';

beforeAll(async () => {
  checkBuilt();
  const { out } = await luosim(['run', '--json', file('update.luo', UPDATE)]);
  const result: RunResult = JSON.parse(out);
  expect(result.machine).toEqual({ ramBytes: 2 ** 24, nodes: 1, cpus: 2 });
  digest = result.digest;
});
afterAll(cleanUp);

function file(name: string, text: string | Uint8Array): string {
  writeFileSync(at(name), text);
  return name;
}

/** The last line of a report, run by a shell. */
const again = ({ out }: Ended): Promise<Ended> => {
  const line = linesOf(out).at(-1) ?? '';
  return start('sh', ['-c', line.replace('npx luosim', `"${process.execPath}" "${CLI}"`)]);
};

const TAKEN = `luosim 1
# 51 sessions fill a block; a create that is refused must not leave another one
machine ram 16M

kernel v7.3
stage
  task agent
    open
    create s%d 0..50
    create s0          # EEXIST
stage
  task init
    load
    reboot

kernel v7.3
`;
const UPDATE = TAKEN.replace(/ *create s0.*\n/, '');

describe('a program as text', () => {
  it('runs, and the last line of its report runs it again', async () => {
    const first = await luosim(['run', file('up date.luo', UPDATE)]);
    expect(first).toMatchObject({ code: 0, err: '' });
    expectFitsTerminal(first.out);
    expect(linesOf(first.out).at(-1)).toBe("npx luosim run 'up date.luo'");
    expect(await again(first)).toEqual(first);
    expect(first.out).toContain(`digest      ${digest}`);
  });

  it('tells what it breaks, and a line for those who lack the file', async () => {
    const broken = await luosim(['run', file('taken.luo', TAKEN)]);
    expect(broken).toMatchObject({ code: 1, err: '' });
    expect(broken.out).toContain('session block 1 is empty: the next kernel refuses the chain');
    rmSync(at('taken.luo'));
    expect(await again(broken)).toEqual(broken);
  });

  it('is the run of the scenario that it was printed from', async () => {
    const { out } = await luosim(['run', ...SMALL, '--seed', 'x', '--generations', '4']);
    const token = /^token +(\S+)$/m.exec(out)?.[1] ?? '';
    const shown = await luosim(['show', token]);
    expect(out).toContain(await digestOf(['run', file('shown.luo', shown.out)]));
  });

  it('brings faults and corruptions along', async () => {
    const text = `${UPDATE}fault alloc_file:filp nth 9\ncorrupt 0 at 0x201000 = 00000000\n`;
    const { code, out } = await luosim(['run', '--json', file('faults.luo', text)]);
    expect(code).toBe(0);
    const { generations, openLosses }: RunResult = JSON.parse(out);
    expect(generations[0]?.handover?.fdtPhys).toBe(0x201000);
    expect(generations[0]?.actions[1]).toMatchObject({ verb: 'create', calls: 8, result: 'ENOMEM' });
    expect(openLosses).toEqual([expect.stringContaining('booted cold')]);
  });

  it('goes to a RAM file and comes from it as the same run, corruptions and all', async () => {
    const text = `${UPDATE}corrupt 0 at 0xa00000 = 0123456789abcdef\n`;
    const digest = await digestOf(['run', file('saved.luo', text), '--save-ram', 'saved.ram']);
    expect(await digestOf(['run', '--boot-ram', 'saved.ram'])).toBe(digest);
  });

  it('comes from standard input, too', async () => {
    const shown = await luosim(['show', file('stdin.luo', UPDATE)]);
    file('stdin.luo', shown.out);
    const { code, out } = await start('sh', ['-c', `"${process.execPath}" "${CLI}" run - < stdin.luo`]);
    expect(code).toBe(0);
    expect(out).toContain(`digest      ${digest}`);
    expect(linesOf(out).at(-1)).toBe('npx luosim run -');
  });

  it('may have any name', async () => {
    const odd = await luosim(['run', '--', file('-o"d.luo', UPDATE)]);
    expect(odd.out).toContain(`digest      ${digest}`);
    expect(linesOf(odd.out).at(-1)).toBe(`npx luosim run './-o"d.luo'`);
  });

  it('is refused in one line with file, line and column', () =>
    expectRefused(
      ['run', file('verb.luo', TAKEN.replace('create s0', 'craete s0'))],
      /^luosim: verb\.luo:10:5: no line begins with "craete" \(Did you mean create\?\)$/m,
    ));
});

/** The stress case in words of its own, and a finding of it. */
const MINE = `
export default ({ revisions, generations, sessions, pattern }) => {
  const names = { pattern, first: 0, count: sessions };
  const again = { pattern, first: 0, count: 1 };
  return {
    generations: Array.from({ length: generations }, (_, g) => {
      const actions = [{ do: 'open' }];
      if (g > 0) actions.push({ do: 'retrieve', names }, { do: 'finish', names }, { do: 'close', names });
      if (g < generations - 1) actions.push({ do: 'create', names }, { do: 'create', names: again });
      const stages = [[{ process: 'agent-0', actions: [...actions, { do: 'close-device' }] }]];
      if (g < generations - 1) stages.push([{ process: 'init', actions: [{ do: 'load' }, { do: 'reboot' }] }]);
      return { revision: revisions[Math.min(g, revisions.length - 1)], stages };
    }),
  };
};
`;

describe("a scenario in a module of the person's own", () => {
  it('runs as one of the house does, with the same options', async () => {
    file('mine.mjs', MINE);
    const options = ['--sessions', '7', '--ram', '16M', '--generations', '3', '--seed', 'y'];
    const house = await digestOf(['run', '--scenario', 'taken-name', ...options]);
    const [byPath, byOption] = await Promise.all([
      luosim(['run', 'mine.mjs', ...options]),
      luosim(['run', '--scenario', at('mine.mjs'), ...options]),
    ]);
    for (const { code, err, out } of [byPath, byOption]) {
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).toContain(`digest      ${house}`);
    }
    expect(linesOf(byPath.out).at(-1)).toBe(`npx luosim run mine.mjs ${options.join(' ')}`);
  });

  it('is replayed by those who lack the module', async () => {
    file('gone.mjs', MINE);
    const broken = await luosim(['run', 'gone.mjs', '--sessions', '51', '--revision', 'v7.3']);
    expect(broken).toMatchObject({ code: 1, err: '' });
    renameSync(at('gone.mjs'), at('elsewhere'));
    expect(await again(broken)).toEqual(broken);
  });

  it('may be CommonJS that is imported', async () => {
    file('common.cjs', MINE.replace('export default', 'module.exports ='));
    file('importing.mjs', `import mine from './common.cjs';\nexport default (params) => mine(params);\n`);
    expect(await digestOf(['run', 'importing.mjs', ...SMALL])).toMatch(/^[0-9a-f]{16}$/);
  });

  it('may be TypeScript where Node loads that, and is refused with the version to take elsewhere', async () => {
    file('typed.ts', `${MINE}export type Unused = string;\n`);
    const { code, out, err } = await luosim(['run', 'typed.ts', ...SMALL]);
    const loads = 'typescript' in process.features && process.features.typescript !== false;
    if (loads) expect(out).toMatch(/^verdict +all laws held$/m);
    else expect(err).toMatch(/^luosim: "typed.ts": TypeScript is loaded by Node 22\.18 or newer, this is v/);
    expect(code).toBe(loads ? 0 : 2);
  });

  describe.concurrent('is refused in one line', () => {
    it.each(
      some<[string, string, RegExp]>([
        ['syntax', 'export default (', /cannot be loaded: .*; node --check says where$/m],
        ['dependent', 'import "./no.mjs"', /cannot be loaded: Cannot find module '.*no\.mjs' imported from/],
        ['odd', 'throw { toString() { throw 1 } }', /cannot be loaded: something that cannot be said$/m],
        [
          'waiting',
          'await new Promise(() => {})',
          /is never loaded: it waits for something that does not come$/m,
        ],
        ['typo', 'export default () => {\n  return no.where;\n}', /throws: no is not defined, in line 2$/m],
      ]),
    )('where it is %s', (name, text, complaint) =>
      expectRefused(['run', file(`${name}.mjs`, text), '--sessions', '1'], complaint),
    );
  });
});
