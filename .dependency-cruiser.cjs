/*
 * Who may import whom. The house has floors; a file imports from its own folder and from floors below it:
 *
 *   cli.ts                    may import everything, nobody imports it
 *   commands/                 import reports/, scenarios/ and sim/index.ts; only cli.ts imports them
 *   build/                    runs before there is a program: imports the lists it writes from, nobody imports it
 *   reports/  scenarios/      import sim/index.ts only
 *   sim/index.ts              the public face, nobody in sim/ imports it
 *   sim/image/ ... base/      FLOORS, listed below from the ground up
 *
 * test/ looks at everything but reports/, which is seen through cli.ts. test/tidy.test.ts plants breaches of these rules
 * in a copy of the tree, so a rule that can no longer fail is noticed.
 */
const { existsSync } = require('node:fs');

const FLOORS = [
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

/* Without a TypeScript that has a compiler API, dependency-cruiser finds 0 modules and calls that success. */
const typescript = require('typescript');
if (typeof typescript.createSourceFile !== 'function')
  throw new Error(`typescript ${typescript.version} has no compiler API: no module would be cruised`);
if (!existsSync('cli.ts') || !existsSync('sim'))
  throw new Error(`no cli.ts and sim/ in ${process.cwd()}: no module would be cruised`);

const HOUSE = '^(cli\\.ts|commands/|sim/|reports/|scenarios/|build/|test/)';
const BELOW_EXPLORE = `^sim/(${FLOORS.slice(0, FLOORS.indexOf('explore')).join('|')})/`;
const NPM = ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-bundled', 'npm-no-pkg', 'npm-unknown'];

const floorRules = FLOORS.map((floor, i) => ({
  name: `floor-${floor}`,
  comment: `sim/${floor} imports from its own folder and from the floors below it.`,
  severity: 'error',
  from: { path: `^sim/${floor}/` },
  to: { path: HOUSE, pathNot: `^sim/(${FLOORS.slice(0, i + 1).join('|')})/` },
}));

module.exports = {
  forbidden: [
    ...floorRules,
    {
      name: 'floor-unknown',
      comment: 'Every folder of sim/ is a floor with its place in the list.',
      severity: 'error',
      from: { path: '^sim/[^/]+/', pathNot: `^sim/(${FLOORS.join('|')})/` },
      to: {},
    },
    {
      name: 'check-only-from-explore-and-image',
      comment: 'Oracles read, they never take part: only explore and image import check.',
      severity: 'error',
      from: { pathNot: '^(sim/(check|explore|image)|test)/' },
      to: { path: '^sim/check/' },
    },
    {
      name: 'index-imports-sim-only',
      comment: 'The public face shows sim/ and nothing else.',
      severity: 'error',
      from: { path: '^sim/index\\.ts$' },
      to: { pathNot: '^sim/' },
    },
    {
      name: 'reports-import-index-only',
      comment: 'A report turns a result into text: it sees the public face of sim/ and no floor.',
      severity: 'error',
      from: { path: '^reports/' },
      to: { path: HOUSE, pathNot: '^(reports/|sim/index\\.ts$)' },
    },
    {
      name: 'scenarios-import-index-only',
      comment: 'A scenario is input: it imports the public face of sim/ and nothing else at all.',
      severity: 'error',
      from: { path: '^scenarios/' },
      to: { pathNot: '^(scenarios/|sim/index\\.ts$)' },
    },
    {
      name: 'commands-import-no-floor',
      comment: 'A command reads options and calls the public face, the scenarios and the reports.',
      severity: 'error',
      from: { path: '^commands/' },
      to: { path: HOUSE, pathNot: '^(commands/|reports/|scenarios/|sim/index\\.ts$)' },
    },
    {
      name: 'commands-only-from-cli',
      severity: 'error',
      from: { pathNot: '^(cli\\.ts$|commands/|test/)' },
      to: { path: '^commands/' },
    },
    {
      name: 'reports-only-from-cli',
      severity: 'error',
      from: { pathNot: '^(cli\\.ts$|commands/|reports/)' },
      to: { path: '^reports/' },
    },
    {
      name: 'scenarios-only-from-cli-and-test',
      severity: 'error',
      from: { pathNot: '^(cli\\.ts$|commands/|scenarios/|test/)' },
      to: { path: '^scenarios/' },
    },
    {
      name: 'build-imports-lists-only',
      comment:
        'What is built from sources reads them as text; of sim/ it imports the lists, and types of what it writes.',
      severity: 'error',
      from: { path: '^build/' },
      to: { path: HOUSE, pathNot: '^(build/|sim/kernel/(function_list|kernel_map)\\.ts$)' },
    },
    {
      name: 'build-from-test-only',
      severity: 'error',
      from: { pathNot: '^(build|test)/' },
      to: { path: '^build/' },
    },
    {
      name: 'nobody-imports-test-or-cli',
      severity: 'error',
      from: { pathNot: '^test/' },
      to: { path: '^(test/|cli\\.ts$)' },
    },
    {
      name: 'no-cycles',
      comment: 'Modules that import each other, if only for types, are one module or lack a third.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-node-below-explore',
      comment:
        'What the simulator computes depends on its input alone: no file, clock or process below explore.',
      severity: 'error',
      from: { path: BELOW_EXPLORE },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'no-npm-below-explore',
      comment: 'Below explore: seedrandom, in base (see the next rule), and what packs a token, in input.',
      severity: 'error',
      from: { path: BELOW_EXPLORE },
      to: { dependencyTypes: NPM, pathNot: 'node_modules/((@types/)?seedrandom|@scure/base|fflate)/' },
    },
    {
      name: 'packing-in-input-only',
      comment: 'A token is packed in one place.',
      severity: 'error',
      from: { pathNot: '^(sim/input|test)/' },
      to: { path: 'node_modules/(@scure/base|fflate)/' },
    },
    {
      name: 'seedrandom-in-base-only',
      comment: 'Random numbers come from the streams of base/random.ts.',
      severity: 'error',
      from: { pathNot: '^(sim/base|test)/' },
      to: { path: 'node_modules/(@types/)?seedrandom/' },
    },
    {
      name: 'no-dev-dependency-in-the-product',
      comment: 'npm ci --omit=dev leaves a program that runs.',
      severity: 'error',
      from: { path: '^(cli\\.ts$|commands/|sim/|reports/|scenarios/)' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], pathNot: 'node_modules/@types/' },
    },
    {
      name: 'not-resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|out)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    preserveSymlinks: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'types', 'default'],
    },
  },
};
