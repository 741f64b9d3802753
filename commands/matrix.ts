/*
 * luosim matrix: every revision into every revision, up, down and up again.
 */
import { commandLine } from '../reports/command_line.ts';
import { matrixJson, matrixReport } from '../reports/matrix.ts';
import { ramBytesFor } from '../scenarios/many_sessions.ts';
import { SCENARIOS, type Scenario } from '../scenarios/table.ts';
import {
  ICOUNT,
  type MatrixCell,
  type MatrixParams,
  type MatrixResult,
  matrix,
  NUMBERS_MAX,
  REVISIONS,
} from '../sim/index.ts';
import { BadInput, EXIT, entry, type Given, optionsGiven, quoted, text, whole } from './command.ts';
import { MACHINE_OPTIONS, machine, PATCH_OPTIONS, REVISION_NAMES, revisionNames } from './machine.ts';
import { colours } from './terminal.ts';

/** Names are those of `luosim run`, so that the line that runs one pair is the same run. */
const DEFAULTS = { sessions: 5, name: 'many-test-%d', seed: '1' } as const;
/** Up, down, up again. */
const GENERATIONS = 4;

/** Whether sessions are kept is asked of scenarios that have some. */
const WITH_SESSIONS = SCENARIOS.filter(({ without }) => !without.includes('sessions'));

export const MATRIX = entry({
  name: 'matrix',
  summary:
    'update every revision to every revision and back: who keeps the sessions, who boots cold, who panics',
  options: [
    ['--scenario <name>', WITH_SESSIONS.map(({ name, text }) => `${name}: ${text}`).join('; ')],
    ['--revision <list>', `these with commas between (default: ${REVISION_NAMES})`],
    ...PATCH_OPTIONS,
    ['--sessions <n>', `sessions in every update (default: ${DEFAULTS.sessions})`],
    ['--seed <text>', `decides all that is left open (default: ${DEFAULTS.seed})`],
    ['--ram <size>', 'like 512M or 1T (default: 1G, or the power of two that the sessions need)'],
    ...MACHINE_OPTIONS,
    ['--json', 'print the result as JSON'],
  ],
  order: matrixOrder,
  work: ({ params }: MatrixOrder) => matrix(params),
  render: (result: MatrixResult, { json, ...options }: MatrixOrder) =>
    json ? matrixJson(result, options) : [matrixReport(result, { ...options, colours: colours() })],
  exitCode: ({ cells }) =>
    cells.every(({ violations }) => violations.length === 0) ? EXIT.held : EXIT.violation,
});

interface MatrixOrder {
  readonly params: MatrixParams;
  readonly sessions: number;
  readonly json: boolean;
  /** The command line that runs this again. */
  readonly again: string;
  /** The command line that runs one pair. */
  readonly pair: (cell: MatrixCell) => string;
}

function matrixOrder(given: Given): MatrixOrder {
  const revisions = revisionNames(
    given,
    text(given, 'revision')?.split(',') ?? REVISIONS.map(({ name }) => name),
  );
  const twice = revisions.find((name, i) => revisions.indexOf(name) !== i);
  if (twice !== undefined) throw new BadInput(`--revision names ${quoted(twice)} twice; leave one away`);
  const sessions = whole(given, 'sessions', 0, NUMBERS_MAX) ?? DEFAULTS.sessions;
  const seed = text(given, 'seed') ?? DEFAULTS.seed;
  // The revisions of the program are those of the pair.
  const { generations } = scenario(given).program({
    revisions,
    generations: GENERATIONS,
    sessions,
    pattern: DEFAULTS.name,
  });
  const rest = optionsGiven({ ...given, seed, sessions: String(sessions) }, ['revision', 'with', 'without']);
  return {
    params: {
      machine: machine(given, ramBytesFor(sessions)),
      profile: ICOUNT.name,
      seed,
      revisions,
      kernels: generations.map(({ stages }) => stages),
    },
    sessions,
    json: given.json === true,
    again: commandLine(['matrix', ...optionsGiven({ ...given, seed }, [])]),
    pair: ({ from, to }) =>
      commandLine([
        'run',
        '--revision',
        [from, to, from, to].join(','),
        '--generations',
        String(GENERATIONS),
        ...rest,
      ]),
  };
}

function scenario(given: Given): Scenario {
  const name = text(given, 'scenario') ?? WITH_SESSIONS[0]?.name;
  const known = WITH_SESSIONS.find((each) => each.name === name);
  if (known !== undefined) return known;
  const names = WITH_SESSIONS.map((each) => each.name).join(', ');
  throw new BadInput(`--scenario ${quoted(name ?? '')} is none with sessions; give one of: ${names}`);
}
