/*
 * luosim map, as a person meets it: the built program in processes of its own. `npm test` builds it before.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KernelMap, MapAnswer } from '../sim/kernel/kernel_map.ts';
import { checkBuilt, cleanUp, expectRefused, linesOf, luosim, ROOT } from './support/cli.ts';
import { some } from './support/seed.ts';

beforeAll(checkBuilt);
afterAll(cleanUp);

const MAP: KernelMap = JSON.parse(readFileSync(join(ROOT, 'sim/kernel/kernel_map.json'), 'utf8'));

async function lines(...args: string[]): Promise<string[]> {
  const { code, out, err } = await luosim(['map', ...args]);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  for (const line of linesOf(out)) {
    expect([...line].length, line).toBeLessThanOrEqual(80);
    expect(line).toBe(line.trimEnd());
  }
  return linesOf(out);
}

async function json(...args: string[]): Promise<MapAnswer> {
  const { code, out, err } = await luosim(['map', '--json', ...args]);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out);
}

describe('luosim map', () => {
  it('counts, then lists every function under its source file with status and place', async () => {
    const [first, ...rest] = await lines();
    const numbers = first?.match(/\d+/g)?.map(Number) ?? [];
    expect(first).toMatch(/^\d+ kernel functions: \d+ faithful, \d+ simplified, \d+ absent$/);
    expect(numbers[0]).toBe(MAP.functions.length);
    expect((numbers[1] ?? 0) + (numbers[2] ?? 0) + (numbers[3] ?? 0)).toBe(MAP.functions.length);
    let source = '';
    const listed = rest.flatMap((line) => {
      if (/^\w/.test(line)) source = line;
      const [, name, status, last = ''] = /^ {2}(\w+) +(faithful|simplified|absent) +(.*)$/.exec(line) ?? [];
      return name === undefined ? [] : [{ name, source, status, last }];
    });
    expect(listed.map(({ last: _last, ...entry }) => entry)).toEqual(
      MAP.functions.map(({ name, source, status }) => ({ name, source, status })),
    );
    // Clipped, or with the number of other files behind it.
    const told = MAP.functions.map(({ places, why }) => places[0]?.file ?? why ?? '');
    for (const [i, { last }] of listed.entries()) {
      const cut = last.replace(/ \+\d+$|\.\.$/, '');
      expect(cut).not.toBe('');
      expect(told[i]?.startsWith(cut), `${last}: ${told[i]}`).toBe(true);
    }
  });

  it('tells all of the functions whose names contain a word', async () => {
    const text = (await lines('kho_restore_vmalloc')).join('\n');
    expect(text).toBe(
      [
        `1 of ${MAP.functions.length} kernel functions: 0 faithful, 1 simplified, 0 absent`,
        '',
        'kernel/liveupdate/kexec_handover.c',
        '  kho_restore_vmalloc                 simplified',
        '    here  sim/kho/vmalloc.ts: restoreVmalloc',
        '    but   huge mappings are refused; the array of pages and the mapping take no',
        '          memory and cannot fail',
      ].join('\n'),
    );
    expect((await lines('kho_finalized')).slice(2)).toEqual([
      'kernel/liveupdate/kexec_handover.c',
      '  kho_finalized                       absent',
      '    in    v6.19',
      '    why   there is no debugfs',
    ]);
  });

  it.each(['faithful', 'simplified', 'absent'] as const)('shows only what is %s', async (status) => {
    const answer = await json('--status', status);
    const wanted = MAP.functions.filter((entry) => entry.status === status);
    expect(answer).toEqual({
      schemaVersion: 1,
      known: MAP.functions.length,
      counts: { faithful: 0, simplified: 0, absent: 0, [status]: wanted.length },
      functions: wanted,
    });
    const [first] = await lines('--status', status);
    expect(first).toContain(`${wanted.length} of ${MAP.functions.length} kernel functions`);
    expect(first).toContain(`${wanted.length} ${status}`);
  });

  it('prints the whole map as JSON', async () => {
    expect(await json()).toMatchObject({ schemaVersion: 1, functions: MAP.functions });
    const { functions } = await json('kho_block', '--status', 'faithful');
    expect(functions.length).toBeGreaterThan(5);
    for (const { name, status } of functions) expect(`${name} ${status}`).toMatch(/kho_block.* faithful$/);
  });

  it('colours terminals and nothing else', async () => {
    const [plain, forced] = await Promise.all(
      [{}, { FORCE_COLOR: '1' }].map((env) => luosim(['map', 'luo_session'], { env })),
    );
    expect(plain?.out).not.toContain('\x1b');
    expect(forced?.out).toContain('\x1b[32mfaithful');
    expect(stripVTControlCharacters(forced?.out ?? '')).toBe(plain?.out);
  });

  it.each(
    some<[string[], RegExp]>([
      [['map', 'nonsense'], /no kernel function has "nonsense" in its name; give another part of a name/],
      [['map', 'a\nb'], /no kernel function has "a\\u000ab" in its name/],
      [['map', 'panic', '--status', 'absent'], /no absent kernel function has "panic" in its name/],
      [
        ['map', '--status', 'done'],
        /--status "done" is not known; give one of: faithful, simplified, absent/,
      ],
      [['map', '--status'], /argument missing/],
      [['map', 'luo', 'kho'], /too many arguments/],
      [['map', '--seed', '1'], /unknown option '--seed'/],
    ]),
  )('luosim %j is refused in one line', (args, complaint) => expectRefused(args, complaint));
});
