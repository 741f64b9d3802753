/*
 * luosim compare: one seeded program over designs and sizes, one table.
 */
import { commandLine } from '../reports/command_line.ts';
import { compareProgress, compareReport } from '../reports/compare.ts';
import manySessions, { ramBytesFor } from '../scenarios/many_sessions.ts';
import {
  type Comparison,
  compare,
  NAME_INDEXES,
  NUMBERS_MAX,
  type Parts,
  type RunInput,
  withNameIndex,
} from '../sim/index.ts';
import { BadInput, EXIT, entry, type Given, optionsGiven, quoted, text } from './command.ts';
import { MACHINE_OPTIONS, machine, PATCH_OPTIONS, profile, REVISION_NAMES, revision } from './machine.ts';
import { colours } from './terminal.ts';

const DEFAULTS = { revision: 'april-v1-p1', sessions: '819,10000,100000', seed: '1' } as const;
const NAMES = 'many-test-%d';

export const COMPARE = entry({
  name: 'compare',
  summary: 'price designs: one program over name indexes, revisions and sizes',
  options: [
    ['--index <list>', `name indexes: ${NAME_INDEXES.join(', ')} (default: all)`],
    ['--revision <list>', `${REVISION_NAMES} (default: ${DEFAULTS.revision})`],
    ...PATCH_OPTIONS,
    ['--sessions <list>', `sizes (default: ${DEFAULTS.sessions})`],
    ['--seed <text>', `decides all that is left open (default: ${DEFAULTS.seed})`],
    ['--ram <size>', 'like 512M or 1T (default: twice what the sessions need)'],
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
  const sizes = list(given, 'sessions', DEFAULTS.sessions).map(sizeOf);
  const indexes = list(given, 'index', NAME_INDEXES.join()).map(indexOf);
  const designs = list(given, 'revision', DEFAULTS.revision)
    .map((name) => revision(given, name))
    .flatMap((base) => indexes.map((index) => withNameIndex(base, index).name));
  const inputs = sizes.flatMap((sessions) =>
    designs.map(
      (design): RunInput => ({
        // An xarray takes more memory than the sessions themselves.
        machine: machine(given, 2 * ramBytesFor(sessions)),
        profile: profile(given),
        seed: text(given, 'seed') ?? DEFAULTS.seed,
        program: manySessions({ revisions: [design], generations: 2, sessions, pattern: NAMES }),
      }),
    ),
  );
  const again = commandLine(['compare', ...optionsGiven(given, [])]);
  return { inputs, json: given.json === true, again };
}

const list = (given: Given, option: string, otherwise: string): string[] =>
  (text(given, option) ?? otherwise).split(',');

function indexOf(name: string): Parts['nameIndex'] {
  const index = NAME_INDEXES.find((known) => known === name);
  if (index !== undefined) return index;
  throw new BadInput(`--index ${quoted(name)} is not known; known: ${NAME_INDEXES.join(', ')}`);
}

function sizeOf(value: string): number {
  const n = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (n >= 1 && n <= NUMBERS_MAX) return n;
  throw new BadInput(
    `--sessions ${quoted(value)}: give whole numbers from 1 to ${NUMBERS_MAX}, commas between`,
  );
}
