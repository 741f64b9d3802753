/*
 * The committed map is what the sources say, and tags and lists fit: what breaks either in a copy of the sources must be
 * noticed.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fc, test } from '@fast-check/vitest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildMap, LISTS, type Lists, MAP_FILE, mapText, readSources } from '../../build/kernel_map.ts';
import type { KernelMap } from '../../sim/kernel/kernel_map.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SOURCES = readSources(ROOT);

/** The map of sources that fit. */
function mapOf(sources = SOURCES, lists: Lists = LISTS): KernelMap {
  const built = buildMap(sources, lists);
  if ('functions' in built) return built;
  throw new Error(`tags and lists do not fit:\n${built.join('\n')}`);
}

/** What is said of sources that do not. */
const complaints = (sources = SOURCES, lists: Lists = LISTS): readonly string[] => {
  const built = buildMap(sources, lists);
  return 'functions' in built ? [] : built;
};

const MAP = mapOf();
const MODELLED = MAP.functions.filter(({ places }) => places.length > 0);

/** The sources with one file changed. */
const changed = (file: string, change: (text: string) => string): Map<string, string> => {
  const text = SOURCES.get(file) ?? '';
  expect(change(text)).not.toBe(text);
  return new Map([...SOURCES, [file, change(text)]]);
};

/** The sources with a function's name replaced in every tag. */
const renamed = (name: string, to: string): Map<string, string> =>
  new Map(
    [...SOURCES].map(([file, text]) => [
      file,
      text.replaceAll(/@kernel \w+(?:, \w+)*/g, (tag) => tag.replace(new RegExp(`\\b${name}\\b`), to)),
    ]),
  );

// --- the committed map --------------------------------------------------------------------------------------------

describe('the committed map', () => {
  it('is what the sources and the lists say', () => {
    const stale = `${MAP_FILE} is not what would be written now: npm run build, and commit it`;
    expect(readFileSync(join(ROOT, MAP_FILE), 'utf8') === mapText(MAP), stale).toBe(true);
  });

  it('has every function of the kernels once, each with where it is or why it is not there', () => {
    const names = MAP.functions.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect([...names].sort()).toEqual(LISTS.functions.flatMap((list) => list.names).sort());
    for (const { name, status, places, why = '' } of MAP.functions) {
      const hows = places.filter(({ how }) => how !== undefined);
      expect({ name, absent: status === 'absent' }).toEqual({ name, absent: places.length === 0 });
      expect({ name, said: why !== '' }).toEqual({ name, said: places.length === 0 });
      expect({ name, simplified: status === 'simplified' }).toEqual({ name, simplified: hows.length > 0 });
    }
  });

  it('has every tag there is', () => {
    const tagged = [...SOURCES.values()].flatMap((text) =>
      [...text.matchAll(/@kernel ([\w, ]+?)(?= *[@\n*])/g)].flatMap(([, names = '']) => names.split(', ')),
    );
    expect(tagged.length).toBeGreaterThan(250);
    expect(MODELLED.flatMap(({ name, places }) => places.map(() => name)).sort()).toEqual(tagged.sort());
  });

  it('has its functions in the order of the files, which come once each', () => {
    const runs = MAP.functions.map(({ source }) => source).filter((source, i, all) => source !== all[i - 1]);
    expect(new Set(runs).size).toBe(runs.length);
  });
});

// --- what does not fit --------------------------------------------------------------------------------------------

describe('noticed is', () => {
  const modelled = fc.constantFrom(...MODELLED.map(({ name }) => name));
  const absent = fc.constantFrom(...LISTS.leftOut.flatMap(({ names }) => names));

  test.prop([modelled], { numRuns: 20 })('a tag that is gone', (name) => {
    expect(complaints(renamed(name, name === 'panic' ? 'printk' : 'panic'))).toEqual([
      expect.stringMatching(new RegExp(`: ${name} is neither modelled nor left out: tag what models it`)),
    ]);
  });

  test.prop([modelled, absent], { numRuns: 20 })('a tag of what is left out', (name, other) => {
    const said = complaints(renamed(name, `${name}, ${other}`));
    expect(said).toEqual([
      expect.stringMatching(`: ${other} is modelled in sim/.* and left out: take it off`),
    ]);
  });

  test.prop([modelled], { numRuns: 20 })('a name that no kernel has', (name) => {
    const said = complaints(renamed(name, `${name}, ${name}_nonsense`));
    expect(said).toEqual([
      expect.stringMatching(`: ${name}_nonsense, tagged in sim/.*, is no function known`),
    ]);
  });

  it('a tag that cannot be read, with its line', () => {
    const broken = changed('sim/kernel/log.ts', (text) => text.replace('@kernel printk', '$& and more'));
    expect(complaints(broken)).toEqual([
      expect.stringMatching(/^sim\/kernel\/log\.ts:\d+: @kernel "printk and more": give names/),
      expect.stringMatching(/: printk is neither modelled nor left out/),
    ]);
  });

  it('a function left out that no kernel has, and one listed or left out twice', () => {
    const leftOut = [...LISTS.leftOut, { why: 'for the test', names: ['luo_nonsense'] }];
    expect(complaints(SOURCES, { ...LISTS, leftOut })).toEqual([
      expect.stringMatching(/: luo_nonsense is left out and no function known/),
    ]);
    const [first = ''] = LISTS.leftOut[0]?.names ?? [];
    const again = [...LISTS.leftOut, { why: 'again', names: [first] }];
    expect(complaints(SOURCES, { ...LISTS, leftOut: again })).toEqual([
      expect.stringMatching(`: ${first} stands twice on LEFT_OUT; keep one`),
    ]);
    const functions = [...LISTS.functions, { file: 'mm/x.c', revisions: '', names: ['panic'] }];
    expect(complaints(SOURCES, { ...LISTS, functions })).toEqual([
      expect.stringMatching(/: panic stands twice on KERNEL_FUNCTIONS; keep one/),
    ]);
  });

  it('a clause that comes or goes: the map is another', () => {
    const faithful = changed('sim/kernel/log.ts', (text) => text.replace(/ @simplified no levels[^*]+/, ' '));
    const entry = mapOf(faithful).functions.find(({ name }) => name === 'printk');
    expect(entry).toMatchObject({ status: 'faithful', places: [{ declaration: 'KernelLog.print' }] });
    expect(mapText(mapOf(faithful))).not.toBe(mapText(MAP));
  });
});

// --- npm run build ------------------------------------------------------------------------------------------------

describe('npm run build', { timeout: 60_000 }, () => {
  let copy = '';
  const build = (): { status: number | null; stderr: string } =>
    spawnSync('npm', ['run', '-s', 'build'], { cwd: copy, encoding: 'utf8' });
  const written = (): string => readFileSync(join(copy, MAP_FILE), 'utf8');

  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), 'luosim-build-'));
    for (const name of [
      'build',
      'cli.ts',
      'commands',
      'package.json',
      'reports',
      'scenarios',
      'sim',
      'tsconfig.json',
    ])
      cpSync(join(ROOT, name), join(copy, name), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  });

  afterAll(() => rmSync(copy, { recursive: true, force: true }));

  it('writes the map anew, whatever stood there, and the program has it', () => {
    writeFileSync(join(copy, MAP_FILE), '<<<<<<< two branches\n');
    const file = join(copy, 'sim/kho/radix.ts');
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replace('@kernel kho_radix_free_node', '$& @simplified in a copy'),
    );
    expect(build()).toMatchObject({ status: 0, stderr: '' });
    expect(written()).toBe(
      mapText(MAP).replace(
        /("kho_radix_free_node".*?)"faithful"(.*?)\}\]\}/,
        '$1"simplified"$2,"how":"in a copy"}]}',
      ),
    );
    const shown = spawnSync(process.execPath, [join(copy, 'dist/cli.js'), 'map', 'kho_radix_free'], {
      encoding: 'utf8',
    });
    expect(shown.stdout).toContain('but   in a copy');
  });

  it('fails on tags that do not fit, and leaves the map as it was', () => {
    const before = written();
    const file = join(copy, 'sim/kho/radix.ts');
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replace('@kernel kho_radix_free_node', '@kernel kho_get_id'),
    );
    const { status, stderr } = build();
    expect(status).not.toBe(0);
    expect(stderr.trim().split('\n')).toEqual([
      expect.stringMatching(/kho_get_id, tagged in sim\/kho\/radix\.ts, is no function known/),
      expect.stringMatching(/kho_radix_free_node is neither modelled nor left out/),
    ]);
    expect(written()).toBe(before);
  });
});
