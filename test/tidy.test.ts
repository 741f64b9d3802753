/*
 * The house rules, enforced: the linter (biome.json, sim-bans.grit) and the floors (.dependency-cruiser.cjs) over the
 * tree, and scans for what neither can say. A check that cannot fail is worth nothing, so breaches are planted:
 *
 *   tree            linter and cruiser must find nothing, and must have looked
 *   copy + plants   one file per breach (tidy.plants.ts), each must be refused by the rule named beside it
 *   scans           run over the tree, then over a breach each
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CRUISED, FLOORS, INNOCENT, LINTED, titleOf } from './tidy.plants.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TOOL_TIMEOUT_MS = 120_000;
const HOUSE = ['commands', 'sim', 'reports', 'scenarios', 'build', 'test'];
const CONFIGURATION = [
  '.ci',
  '.dependency-cruiser.cjs',
  '.gitignore',
  'biome.json',
  'package-lock.json',
  'package.json',
  'sim-bans.grit',
  'tsconfig.json',
  'vitest.config.ts',
];
const TOP_LEVEL = [...HOUSE, ...CONFIGURATION, 'LICENSE', 'README.md', 'cli.ts', '.git'];
const IGNORED: string[] = readFileSync(join(ROOT, '.gitignore'), 'utf8').match(/^[^#\s/]+/gm) ?? [];

// --- the tools ----------------------------------------------------------------------------------------------------

/** `where` (a path from the top) broke `rule`; `detail` is for the reader of a failed test. */
type Finding = { where: string; rule: string; detail: string };

function tool(
  bin: string,
  args: string[],
  cwd: string,
): { status: number | null; stdout: string; stderr: string } {
  const env = { ...process.env, NO_COLOR: '1' };
  return spawnSync(process.execPath, [join(ROOT, 'node_modules', bin), ...args], {
    cwd,
    env,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
}

function lint(cwd: string): { status: number | null; files: number; findings: Finding[] } {
  const options = ['--reporter=json', '--max-diagnostics=none', '--colors=off'];
  const { status, stdout, stderr } = tool('@biomejs/biome/bin/biome', ['ci', '.', ...options], cwd);
  const at = stdout.indexOf('{');
  if (at < 0) throw new Error(`the linter said: ${stdout}${stderr}`);
  const report: {
    summary: { changed: number; unchanged: number };
    diagnostics: { category: string; severity: string; message: string; location?: { path?: string } }[];
  } = JSON.parse(stdout.slice(at));
  const findings = report.diagnostics.map(({ category, severity, message, location }) => ({
    where: location?.path ?? '',
    rule: category === 'plugin' ? (message.split(',')[0] ?? '') : category,
    detail: `${severity}: ${message}`,
  }));
  return { status, files: report.summary.changed + report.summary.unchanged, findings };
}

/* As in `npm run arch`. With JSON as its output the cruiser exits with 0 whatever it finds. */
const CRUISER = 'dependency-cruiser/bin/dependency-cruise.mjs';
const CRUISE = ['.', '--config', '.dependency-cruiser.cjs'];

function cruise(cwd: string): { modules: string[]; findings: Finding[] } {
  const { stdout, stderr } = tool(CRUISER, [...CRUISE, '--output-type', 'json'], cwd);
  if (!stdout.startsWith('{')) throw new Error(`dependency-cruiser said: ${stdout}${stderr}`);
  const report: {
    modules: { source: string }[];
    summary: { violations: { from: string; to: string; rule: { name: string } }[] };
  } = JSON.parse(stdout);
  const findings = report.summary.violations.map(({ from, to, rule }) => ({
    where: from,
    rule: rule.name,
    detail: `imports ${to}`,
  }));
  return { modules: report.modules.map((m) => m.source), findings };
}

// --- the scans ----------------------------------------------------------------------------------------------------

type Scan = (path: string, text: string) => string[];

const isSource = (path: string): boolean =>
  /^(cli\.ts$|(commands|sim|reports|scenarios|build)\/.*\.ts$)/.test(path);

const header: Scan = (path, text) =>
  isSource(path) && !/^\/\*[^/][\s\S]{30,}?\*\//.test(text)
    ? ['opens without a comment that says what it models']
    : [];

const marks: Scan = (_path, text) => text.match(/\b(T[O]DO|FIX[M]E|X{3}|HAC[K])\b/g) ?? [];

/* A test may find at run time that a tool of the host is missing: `ctx.skip(condition, reason)`. */
const skipped: Scan = (path, text) => {
  const calls = /(?<!\bctx(?=\.skip\([^)]))\.(skip|only|todo)(?=[(.])|\bx(it|test|describe)\(/g;
  return path.startsWith('test/') ? (text.match(calls) ?? []) : [];
};

/* Directories of a person's own machine mean nothing in a clone; /dev, /sys and /proc are the kernel's and may be named. */
const outside: Scan = (_path, text) =>
  text.match(/(?<![\w.}])(\/(home|root|tmp|work|Users|opt|mnt)\/|[A-Z]:\\|~\/)\S+|\bfile:\/\/\S+/g) ?? [];

/* A ban that a comment can lift is no ban. */
const lifted: Scan = (path, text) => {
  const bans = 'noRestrictedGlobals|noJsRestrictedProperties|noNodejsModules|noConsole|noForIn|plugin';
  return /^sim\/(?!(explore|image)\/)/.test(path)
    ? (text.match(new RegExp(`biome-ignore\\S*\\s+lint(?!/)|biome-ignore\\S*\\s+lint/\\S*(${bans})`, 'g')) ??
        [])
    : [];
};

const SCANS: Record<string, Scan> = { header, marks, skipped, outside, lifted };

function texts(directory = '.'): string[] {
  const text = /(\.(ts|cjs|json|grit|md|yml|html|css)|\/\.gitignore|\/run)$/;
  return readdirSync(join(ROOT, directory), { withFileTypes: true }).flatMap((entry) => {
    const path = directory === '.' ? entry.name : `${directory}/${entry.name}`;
    if (entry.name === '.git' || IGNORED.includes(entry.name)) return [];
    if (entry.isDirectory()) return texts(path);
    return text.test(`/${path}`) && path !== 'package-lock.json' ? [path] : [];
  });
}

// --- the tests ----------------------------------------------------------------------------------------------------

describe('the tree', () => {
  test('passes the linter, which looked at every source file', { timeout: TOOL_TIMEOUT_MS }, () => {
    const { status, files, findings } = lint(ROOT);
    expect(findings).toEqual([]);
    expect(status).toBe(0);
    expect(files).toBeGreaterThanOrEqual(texts().filter((path) => path.endsWith('.ts')).length);
  });

  test('keeps to its floors, and every source file was cruised', { timeout: TOOL_TIMEOUT_MS }, () => {
    const { modules, findings } = cruise(ROOT);
    expect(findings).toEqual([]);
    expect(modules.length).toBeGreaterThan(0);
    expect(texts().filter((path) => path.endsWith('.ts') && !modules.includes(path))).toEqual([]);
  });

  test('has nothing at its top but configuration, README, LICENSE, the front door and its folders', () => {
    expect(readdirSync(ROOT).filter((name) => ![...TOP_LEVEL, ...IGNORED].includes(name))).toEqual([]);
  });

  test('has nothing in sim/ but the floors and the public face', () => {
    expect(readdirSync(join(ROOT, 'sim')).filter((name) => ![...FLOORS, 'index.ts'].includes(name))).toEqual(
      [],
    );
  });

  test.each(Object.entries(SCANS))('passes the scan for %s', (_name, scan) => {
    const found = texts().flatMap((path) =>
      scan(path, readFileSync(join(ROOT, path), 'utf8')).map((complaint) => `${path}: ${complaint}`),
    );
    expect(found).toEqual([]);
  });
});

describe('a breach', () => {
  let copy = '';
  const plants = [...LINTED, ...CRUISED];
  const found: Finding[] = [];

  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), 'luosim-tidy-'));
    for (const name of [...CONFIGURATION, 'cli.ts', 'sim'])
      cpSync(join(ROOT, name), join(copy, name), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    for (const { where, code } of [...plants, ...INNOCENT]) {
      mkdirSync(join(copy, dirname(where)), { recursive: true });
      writeFileSync(
        join(copy, where),
        `/* Planted: the tidy test must tell whether this is a breach. */\n${code}`,
      );
    }
    const linted = lint(copy);
    expect(linted.status).not.toBe(0);
    found.push(...linted.findings, ...cruise(copy).findings);
  }, TOOL_TIMEOUT_MS);

  afterAll(() => rmSync(copy, { recursive: true, force: true }));

  test.each(plants.map((p) => [titleOf(p), p] as const))('%s', (_title, { where, rule }) => {
    expect(found.filter((f) => f.where === where).map((f) => f.rule)).toContain(rule);
  });

  test.each(INNOCENT.map((p) => [titleOf(p), p] as const))('%s', (_title, { where }) => {
    expect(found.filter((f) => f.where === where)).toEqual([]);
  });

  test('of the floors fails `npm run arch`', { timeout: TOOL_TIMEOUT_MS }, () => {
    // One folder with breaches is enough to see the exit status.
    expect(tool(CRUISER, ['sim/base', ...CRUISE.slice(1)], copy).status).toBeGreaterThan(0);
  });

  test('of the cruise itself is refused: no module to look at', { timeout: TOOL_TIMEOUT_MS }, () => {
    const empty = join(copy, 'out');
    mkdirSync(empty);
    for (const name of ['.dependency-cruiser.cjs', 'tsconfig.json', 'package.json'])
      cpSync(join(ROOT, name), join(empty, name));
    expect(() => cruise(empty)).toThrow('no module would be cruised');
  });

  test.each<[string, string, string]>([
    ['header', 'sim/base/x.ts', "import './y.ts';\n/* A comment that comes too late to be an opening. */\n"],
    ['header', 'sim/base/x.ts', '/* Short. */\nexport const x = 1;\n'],
    ['marks', 'sim/base/x.ts', `// ${'to'.toUpperCase()}${'do'.toUpperCase()}: the rest\n`],
    ['skipped', 'test/x.test.ts', `test.${'skip'}('x', () => {});\n`],
    ['skipped', 'test/x.test.ts', `describe.${'only'}('x', () => {});\n`],
    ['skipped', 'test/x.test.ts', `ctx.${'skip'}();\n`],
    ['outside', 'README.md', `see ${['', 'home', 'me', 'notes'].join('/')}\n`],
    ['outside', 'sim/base/x.ts', `const x = '${['', 'tmp', 'x'].join('/')}';\n`],
    ['lifted', 'sim/base/x.ts', `// ${'biome'}-ignore lint/style/noRestrictedGlobals: only once\n`],
    ['lifted', 'sim/base/x.ts', `// ${'biome'}-ignore lint: all\n`],
  ])('of the scan for %s is found in %s', (name, path, text) => {
    expect(SCANS[name]?.(path, text)).toHaveLength(1);
  });
});
