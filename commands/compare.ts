/*
 * luosim compare: one seeded program over designs and sizes, one table.
 */
import { commandLine } from '../reports/command_line.ts';
import { compareProgress, compareReport } from '../reports/compare.ts';
import manySessions, { ramBytesFor } from '../scenarios/many_sessions.ts';
import { type Comparison, compare, NUMBERS_MAX, PROFILES, type RunInput } from '../sim/index.ts';
import { BadInput, EXIT, entry, type Given, optionsGiven, quoted, text } from './command.ts';
import { MACHINE_OPTIONS, machine, PATCH_OPTIONS, REVISION_NAMES, revision } from './machine.ts';
import { colours } from './terminal.ts';

/** The patch that brings each design of the name index. */
const INDEX_PATCHES = {
  'list-scan': undefined,
  hash: 'name-hash',
  rbtree: 'name-rbtree',
  xarray: 'name-xarray',
  'sort-at-deserialize': 'name-sort',
} as const;
type Index = keyof typeof INDEX_PATCHES;
const INDEXES = Object.keys(INDEX_PATCHES) as Index[];

const DEFAULTS = { revision: 'april-v1-p1', sessions: '819,10000,100000', seed: '1' } as const;
const NAMES = 'many-test-%d';

export const COMPARE = entry({
  name: 'compare',
  summary: 'price designs: one program over name indexes, revisions and sizes',
  options: [
    ['--index <list>', `name indexes: ${INDEXES.join(', ')} (default: all)`],
    ['--revision <list>', `${REVISION_NAMES} (default: ${DEFAULTS.revision})`],
    ...PATCH_OPTIONS,
    ['--sessions <list>', `sizes (default: ${DEFAULTS.sessions})`],
    ['--seed <text>', `decides all that is left open (default: ${DEFAULTS.seed})`],
    ['--ram <size>', 'like 512M or 1T (default: what the sessions need)'],
    ...MACHINE_OPTIONS,
    ['--json', 'print the result as JSON'],
  ],
  order: compareOrder,
  work: ({ inputs }: CompareOrder): Comparison => {
    const progress = process.stderr.isTTY === true ? inputs.length : 0;
    let done = 0;
    return compare(inputs, () => {
      if (progress > 0) process.stderr.write(compareProgress(++done, progress));
    });
  },
  render: (result, { json, again }) =>
    json
      ? [`${JSON.stringify({ ...result, again })}\n`]
      : [compareReport(result, { again, colours: colours() })],
  exitCode: ({ rows }) =>
    rows.every(({ violations }) => violations.length === 0) ? EXIT.held : EXIT.violation,
});

interface CompareOrder {
  readonly inputs: readonly RunInput[];
  readonly json: boolean;
  readonly again: string;
}

function compareOrder(given: Given): CompareOrder {
  const sizes = (text(given, 'sessions') ?? DEFAULTS.sessions).split(',').map(sizeOf);
  const revisions = (text(given, 'revision') ?? DEFAULTS.revision).split(',');
  const indexes = (text(given, 'index')?.split(',') ?? INDEXES).map(indexOf);
  const designs = revisions.flatMap((name) => indexes.map((index) => designOf(given, name, index)));
  const seed = text(given, 'seed') ?? DEFAULTS.seed;
  const inputs = sizes.flatMap((sessions) =>
    designs.map(({ name, index }): RunInput => {
      // Nodes of an xarray under a hash are hardly shared: more memory than the sessions themselves.
      const ramBytes = ramBytesFor(sessions) * (index === 'xarray' ? 2 : 1);
      const params = { revisions: [name], generations: 2, sessions, pattern: NAMES };
      return {
        machine: machine(given, ramBytes),
        profile: PROFILES[0]?.name ?? '',
        seed,
        program: manySessions(params),
      };
    }),
  );
  const again = commandLine(['compare', ...optionsGiven(given, [])]);
  return { inputs, json: given.json === true, again };
}

function designOf(
  given: Given,
  name: string,
  index: Index,
): { readonly name: string; readonly index: Index } {
  const patch = INDEX_PATCHES[index];
  const base = revision(given, name).name;
  return { name: patch === undefined ? base : revision({ with: patch }, base).name, index };
}

function indexOf(name: string): Index {
  const index = INDEXES.find((known) => known === name);
  if (index !== undefined) return index;
  throw new BadInput(`--index ${quoted(name)} is not known; known: ${INDEXES.join(', ')}`);
}

function sizeOf(value: string): number {
  const n = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (n >= 1 && n <= NUMBERS_MAX) return n;
  throw new BadInput(
    `--sessions ${quoted(value)}: give whole numbers from 1 to ${NUMBERS_MAX}, commas between`,
  );
}
