/*
 * luosim stress: very many sessions through one live update, with every law checked, watched while it runs.
 *
 * It is the run of `luosim run` with the same options, in a thread of its own, and has its digest. What is told besides
 * is of the host: wall time, rates, memory. Interrupted, it tells what it has.
 */
import { commandLine } from '../reports/command_line.ts';
import { type Stress, type StressPhase, stressJson, stressReport } from '../reports/stress.ts';
import {
  type ActionReport,
  NO_RETURN,
  type Program,
  type RunInput,
  type RunResult,
  resultToken,
  type ScenarioOptions,
  sessionCapacity,
  type Verb,
} from '../sim/index.ts';
import { EXIT, entry, type Given, optionsGiven, text } from './command.ts';
import { revision } from './machine.ts';
import { DEFAULT_REVISION, DEFAULT_SEED, SCENARIO_OPTIONS, scenarioInput } from './scenario.ts';
import { colours } from './terminal.ts';
import { type Row, type Watched, watchRuns } from './watch.ts';

/** Options of `luosim run` that are not for one update of one scenario. */
const LEFT_OUT = ['--scenario <name>', '--generations <n>', '--sessions <n>'];

export const STRESS = entry({
  name: 'stress',
  summary: 'very many sessions through one update: how long it takes here, how much memory, and every law',
  options: [
    ['--sessions <n>', 'sessions in the update (default: as many as the first kernel has room for)'],
    ...SCENARIO_OPTIONS.filter(([flags]) => !LEFT_OUT.includes(flags)),
    ['--json', 'print the result as JSON'],
  ],
  order: stressOrder,
  work: async ({ input, sessions }: StressOrder): Promise<Stress> =>
    stressOf(input, sessions, await watchRuns([input])),
  render: (result, { input, options, json, again }) => {
    const token = result.result === undefined ? undefined : resultToken(input, result.result, options);
    const own = result.violations.length > 0 && token !== undefined ? commandLine(['replay', token]) : again;
    const told = { again: own, ...(token === undefined ? {} : { token }) };
    return [json ? stressJson(result, told) : stressReport(result, { ...told, colours: colours() })];
  },
  exitCode: ({ violations, interrupted }) => {
    // No token tells what broke in a run that is not over.
    if (interrupted) return EXIT.interrupted;
    return violations.length > 0 ? EXIT.violation : EXIT.held;
  },
});

interface StressOrder {
  readonly input: RunInput;
  readonly options: ScenarioOptions;
  readonly sessions: number;
  readonly json: boolean;
  /** The command line that runs this again. */
  readonly again: string;
}

function stressOrder(given: Given): StressOrder {
  const sessions = text(given, 'sessions') ?? String(roomFor(given));
  const { input, options } = scenarioInput({ ...given, sessions });
  const again = commandLine([
    'stress',
    ...optionsGiven({ ...given, sessions, seed: text(given, 'seed') ?? DEFAULT_SEED }, []),
  ]);
  return { input, options, sessions: Number(sessions), json: given.json === true, again };
}

/** Sessions that the first kernel has room for. */
function roomFor(given: Given): number {
  const [first = DEFAULT_REVISION] = (text(given, 'revision') ?? DEFAULT_REVISION).split(',');
  return sessionCapacity(revision(given, first));
}

function stressOf(input: RunInput, sessions: number, watched: Watched): Stress {
  const { at, results } = watched;
  const [result] = results;
  const creates = createsOf(input.program);
  return {
    schemaVersion: 1,
    machine: input.machine,
    revisions: input.program.generations.map(({ revision }) => revision),
    profile: input.profile,
    seed: input.seed,
    sessions,
    processes: creates.length,
    sessionsPerProcess: Math.max(...creates, 0),
    interrupted: watched.interrupted,
    ...(at === undefined || !watched.interrupted
      ? {}
      : { interruptedAt: { generation: at.generation, phase: at.phase } }),
    phases: watched.rows.filter(({ phase }) => phase !== 'end').map((row) => phaseOf(row, result)),
    wallMs: watched.wallMs,
    peakBytes: watched.peakBytes,
    refused: result === undefined ? [] : refusedIn(result),
    violations: result?.violations ?? watched.violations,
    result,
  };
}

/** Sessions of every process that creates some. */
const createsOf = ({ generations }: Program): number[] =>
  (generations[0]?.stages.flat() ?? []).flatMap(({ actions }) =>
    actions.flatMap((action) => (action.do === 'create' ? [action.names.count] : [])),
  );

function phaseOf(
  { generation, phase, calls, ms, rssBytes }: Row,
  result: RunResult | undefined,
): StressPhase {
  const sessions = sessionsIn({ generation, phase, calls }, result);
  const perSecond =
    sessions === undefined || ms === 0 ? {} : { perSecond: Math.round((sessions * 1000) / ms) };
  return {
    generation,
    phase,
    ...(sessions === undefined ? {} : { sessions }),
    wallMs: ms,
    ...perSecond,
    rssBytes,
  };
}

/** Sessions that a phase went through; of a run that was interrupted its calls, and none of one long call. */
function sessionsIn(
  { generation, phase, calls }: Pick<Row, 'generation' | 'phase' | 'calls'>,
  result: RunResult | undefined,
): number | undefined {
  const kernel = result?.generations[generation];
  switch (phase) {
    case 'create':
    case 'retrieve':
    case 'finish':
    case 'close':
      return kernel === undefined ? calls : succeeded(kernel.actions, phase);
    case 'serialize':
      return kernel?.outgoingSessions;
    case 'deserialize':
    case 'verify':
      return kernel?.actions.reduce(
        (n, { verb, steps }) => n + (verb === 'open' ? (steps.entryCopied ?? 0) : 0),
        0,
      );
    default:
      return undefined;
  }
}

const succeeded = (actions: readonly ActionReport[], wanted: Verb): number =>
  actions.reduce((n, { verb, calls }) => n + (verb === wanted ? calls : 0), 0);

/** Actions that an errno ended. */
const refusedIn = ({ generations }: RunResult): Stress['refused'] =>
  generations.flatMap(({ actions }, generation) =>
    actions.flatMap(({ process, verb, result }, i) => {
      if (result === 'OK' || result === NO_RETURN) return [];
      return [{ generation, process, verb, calls: succeeded(actions.slice(0, i + 1), verb), errno: result }];
    }),
  );
