/*
 * Breaches of the house rules, a file each, and the rule that must refuse it; and what looks like a breach and is none.
 * The tidy test writes them into a copy of the tree. Every floor gets a ground.ts for the others to import.
 */
import { dirname } from 'node:path';

/** The floors of sim/ from the ground up. */
export const FLOORS = [
  'base',
  'machine',
  'sched',
  'kernel',
  'kho',
  'luo',
  'files',
  'boot',
  'user',
  'input',
  'check',
  'explore',
  'image',
];

export interface Plant {
  readonly where: string;
  readonly code: string;
  readonly rule: string;
}

let planted = 0;
const plant = (folder: string, rule: string, code: string): Plant => ({
  where: `${folder}/planted_${++planted}.ts`,
  rule,
  code,
});
export const titleOf = ({ where, rule, code }: Plant): string =>
  `${rule === '' ? 'is not seen' : `of ${rule} is refused`} in ${dirname(where)}: ${code.replace(/\s+/g, ' ').slice(0, 70)}`;
const lines = (n: number): string => 'at++;\n'.repeat(n);
const imports = (from: string): string =>
  `import { ground } from '${from}';\nexport const planted = ground;\n`;

export const LINTED: Plant[] = [
  ...[
    'Date.now()',
    'new Date()',
    'performance.now()',
    'process.env',
    'globalThis',
    'new Intl.Collator()',
  ].map((e) => plant('sim/kernel', 'lint/style/noRestrictedGlobals', `export const planted = ${e};\n`)),
  ...['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'].map((f) =>
    plant('sim/sched', 'lint/style/noRestrictedGlobals', `export const planted = () => ${f}(() => {});\n`),
  ),
  plant('sim/luo', 'lint/style/noRestrictedGlobals', 'export const planted = Promise.resolve(1);\n'),
  plant('sim/luo', 'lint/style/noRestrictedGlobals', 'export const planted = new WeakRef({});\n'),
  ...[
    'Math.random()',
    "Math['random']()",
    'Math.sin(1)',
    'Math.exp(1)',
    'Math.pow(2, 0.5)',
    'Math.log(2)',
  ].map((e) =>
    plant('sim/machine', 'lint/nursery/noJsRestrictedProperties', `export const planted = ${e};\n`),
  ),
  plant(
    'sim/base',
    'lint/nursery/noJsRestrictedProperties',
    "export const planted = 'a'.localeCompare('b');\n",
  ),
  plant('sim/base', 'lint/nursery/noJsRestrictedProperties', 'export const { random } = Math;\n'),
  plant(
    'sim/base',
    'sim-bans: no other name for Math',
    'const hidden = Math;\nexport const planted = hidden.random();\n',
  ),
  plant('sim/base', 'sim-bans: ** only on 2', 'export const planted = (a: number) => a ** 0.5;\n'),
  plant('sim/boot', 'sim-bans: no async function', 'export async function planted() {}\n'),
  plant('sim/boot', 'sim-bans: no async function', 'export const planted = async () => 1;\n'),
  plant('sim/user', 'sim-bans: no async function', 'export class Planted {\n  async open() {}\n}\n'),
  plant('sim/user', 'sim-bans: no async function', 'export const planted = { async open() {} };\n'),
  plant('sim/check', 'sim-bans: no await', 'export const planted = await 1;\n'),
  plant('sim/check', 'sim-bans: no import()', "export const planted = import('../base/ground.ts');\n"),
  plant('sim/machine', 'lint/correctness/noNodejsModules', "export { readFileSync } from 'node:fs';\n"),
  plant('sim/machine', 'lint/suspicious/noConsole', "console.log('x');\n"),
  plant(
    'sim/machine',
    'lint/suspicious/noForIn',
    'export const planted = () => {\n  for (const k in {}) k;\n};\n',
  ),
  plant('sim/files', 'lint/style/noDefaultExport', 'export default 1;\n'),
  plant('reports', 'lint/style/noDefaultExport', 'export default 1;\n'),
  plant('sim/files', 'lint/performance/noReExportAll', "export * from '../base/ground.ts';\n"),
  plant('sim/kho', 'lint/style/noExcessiveLinesPerFile', `let at = 0;\n${lines(400)}`),
  plant(
    'sim/kho',
    'lint/complexity/noExcessiveLinesPerFunction',
    `export function planted(at: number) {\n${lines(71)}}\n`,
  ),
];

export const CRUISED: Plant[] = [
  ...FLOORS.slice(1).map((above, i) =>
    plant(`sim/${FLOORS[i]}`, `floor-${FLOORS[i]}`, imports(`../${above}/ground.ts`)),
  ),
  plant(
    'sim/base',
    'floor-base',
    "import type { Ground } from '../machine/ground.ts';\nexport type Planted = Ground;\n",
  ),
  plant('sim/explore', 'floor-explore', imports('../index.ts')),
  plant('sim/attic', 'floor-unknown', imports('../base/ground.ts')),
  plant('sim/luo', 'check-only-from-explore-and-image', imports('../check/ground.ts')),
  plant('sim/explore', 'packing-in-input-only', "export { bech32m } from '@scure/base';\n"),
  plant('reports', 'reports-import-index-only', imports('../sim/machine/ground.ts')),
  plant('reports', 'scenarios-only-from-cli-and-test', imports('../scenarios/ground.ts')),
  plant('scenarios', 'scenarios-import-index-only', imports('../sim/kho/ground.ts')),
  plant('scenarios', 'scenarios-import-index-only', "export { tmpdir } from 'node:os';\n"),
  plant('scenarios', 'reports-only-from-cli', imports('../reports/ground.ts')),
  plant('sim/explore', 'reports-only-from-cli', imports('../../reports/ground.ts')),
  plant('sim/explore', 'scenarios-only-from-cli-and-test', imports('../../scenarios/ground.ts')),
  plant('commands', 'commands-import-no-floor', imports('../sim/explore/ground.ts')),
  plant('reports', 'commands-only-from-cli', imports('../commands/ground.ts')),
  plant('build', 'build-imports-lists-only', imports('../sim/kernel/ground.ts')),
  plant('commands', 'build-from-test-only', imports('../build/ground.ts')),
  plant('sim/explore', 'nobody-imports-test-or-cli', imports('../../cli.ts')),
  plant('sim/machine', 'no-node-below-explore', "export { readFileSync } from 'node:fs';\n"),
  plant('sim/user', 'no-npm-below-explore', "export { Command } from 'commander';\n"),
  plant('sim/machine', 'seedrandom-in-base-only', "export { default as planted } from 'seedrandom';\n"),
  plant('sim/explore', 'no-dev-dependency-in-the-product', "export { build } from 'rolldown';\n"),
  plant('sim/kernel', 'not-resolvable', imports('./nowhere.ts')),
  {
    where: 'sim/sched/cycle_a.ts',
    rule: 'no-cycles',
    code: "import { b } from './cycle_b.ts';\n\nexport const a = () => b;\n",
  },
  {
    where: 'sim/index.ts',
    rule: 'index-imports-sim-only',
    code: "export { ground } from '../reports/ground.ts';\n",
  },
];

/* What looks like a breach and is none: neither tool may name these. */
export const INNOCENT: Plant[] = [
  ...[...FLOORS.map((f) => `sim/${f}`), 'commands', 'reports', 'scenarios', 'build'].map((folder) => ({
    where: `${folder}/ground.ts`,
    rule: '',
    code: 'export const ground = 1;\nexport type Ground = number;\n',
  })),
  plant(
    'sim/base',
    '',
    "// Math.random(), Date.now()\nexport const planted = 'async setTimeout(Promise)';\n",
  ),
  plant(
    'sim/base',
    '',
    'export const planted = Math.floor(Math.imul(2 ** 32, 3) / Math.sqrt(2)) + Number(2n ** 64n);\n',
  ),
  plant(
    'sim/base',
    '',
    "import seedrandom from 'seedrandom';\n\nexport const planted = seedrandom.alea('1').int32();\n",
  ),
  plant(
    'sim/kernel',
    '',
    `export function planted(start: number) {\n  let at = start;\n${'  at++;\n'.repeat(68)}  return at;\n}\n`,
  ),
  plant(
    'sim/explore',
    '',
    "import { readFileSync } from 'node:fs';\n\nexport const planted = async () => [Date.now(), readFileSync];\n",
  ),
  plant(
    'sim/explore',
    '',
    "import { ground } from '../check/ground.ts';\n\nexport const planted = ground;\n",
  ),
  plant(
    'sim/image',
    '',
    "import { readFileSync } from 'node:fs';\nimport { ground } from '../check/ground.ts';\n\nexport const planted = () => [ground, readFileSync];\n",
  ),
  plant('sim/input', '', "import { bech32m } from '@scure/base';\n\nexport const planted = bech32m;\n"),
  plant('scenarios', '', 'export default 1;\n'),
  plant(
    'build',
    '',
    "import { readFileSync } from 'node:fs';\nimport { LEFT_OUT } from '../sim/kernel/function_list.ts';\n\nexport const planted = [readFileSync, LEFT_OUT];\n",
  ),
  /* A cycle is reported once, at its first file by name. */
  {
    where: 'sim/sched/cycle_b.ts',
    rule: '',
    code: "import { a } from './cycle_a.ts';\n\nexport const b = () => a;\n",
  },
];
