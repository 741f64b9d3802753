/*
 * luosim compare: one seeded program over designs and sizes, one table. Every size is run, none is extrapolated: a walk
 * of a list is charged, not walked, so the largest take a minute or two each. Interrupted, it tells the runs it has.
 */
import { commandLine } from '../reports/command_line.ts';
import { compareReport } from '../reports/compare.ts';
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
import { watchRuns } from './watch.ts';

const DEFAULTS = { revision: 'april-v1-p1', sessions: '819,10000,100000', seed: '1' } as const;
const NAMES = 'many-test-%d';

export const COMPARE = entry({
  name: 'compare',
  summary: 'price designs: one program over name indexes, revisions and sizes',
  options: [
    ['--index <list>', `name indexes: ${NAME_INDEXES.join(', ')} (default: all)`],
    ['--revision <list>', `${REVISION_NAMES} (default: ${DEFAULTS.revision})`],
    ...PATCH_OPTIONS,
    [
      '--sessions <list>',
      `sizes (default: ${DEFAULTS.sessions}); each is run, and 8190000 takes a minute or two a design`,
    ],
    ['--seed <text>', `decides all that is left open (default: ${DEFAULTS.seed})`],
    ['--ram <size>', 'like 512M or 1T (default: twice what the sessions need)'],
    ...MACHINE_OPTIONS,
    ['--json', 'print the result as JSON'],
  ],
  order: compareOrder,
  work: async ({ inputs, names }: CompareOrder): Promise<Compared> => {
    const { results, interrupted } = await watchRuns(inputs, { runName: (run) => names[run] ?? '' });
    return { ...compare(results), ...(interrupted ? { interrupted } : {}) };
  },
  render: (result, { json, again }) =>
    json
      ? [`${JSON.stringify({ ...result, again })}\n`]
      : [compareReport(result, { again, colours: colours() })],
  exitCode: ({ rows, interrupted }) => {
    if (interrupted === true) return EXIT.interrupted;
    return rows.every(({ violations }) => violations.length === 0) ? EXIT.held : EXIT.violation;
  },
});

interface Compared extends Comparison {
  /** Not all were run. */
  readonly interrupted?: true;
}

interface CompareOrder {
  readonly inputs: readonly RunInput[];
  /** Of the runs, on the line that says how far they are. */
  readonly names: readonly string[];
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
  const names = inputs.map((_, i) => `${i + 1} of ${inputs.length}, ${indexes[i % indexes.length]}`);
  return { inputs, names, json: given.json === true, again };
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
