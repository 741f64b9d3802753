/*
 * Very many sessions through one update, told on a terminal: what ran, phase by phase how long it took on this host and
 * how much memory the process had, and what came of it. Wall times are no part of the run and of its digest.
 */
import type { MachineParams, Phase, RunResult, Verb, Violation } from '../sim/index.ts';
import { longestBlackout } from '../sim/index.ts';
import { phaseName } from './progress.ts';
import { booted, type TerminalOptions, verdict } from './terminal.ts';
import { COLUMNS, clip, counted, grouped, labelled, printable, roundSize, size } from './words.ts';

export interface StressPhase {
  readonly generation: number;
  readonly phase: Phase;
  /** Sessions that it went through. */
  readonly sessions?: number;
  readonly wallMs: number;
  readonly perSecond?: number;
  /** The most memory of the process at an end of this phase. */
  readonly rssBytes: number;
}

export interface Refused {
  readonly generation: number;
  readonly process: string;
  readonly verb: Verb;
  /** Calls of that kernel before it that succeeded. */
  readonly calls: number;
  readonly errno: string;
}

export interface Stress {
  readonly schemaVersion: 1;
  readonly machine: MachineParams;
  /** Of every kernel. */
  readonly revisions: readonly string[];
  readonly profile: string;
  readonly seed: string;
  readonly sessions: number;
  /** Processes that the sessions are spread over, and how many the first of them has. */
  readonly processes: number;
  readonly sessionsPerProcess: number;
  readonly interrupted: boolean;
  readonly interruptedAt?: Pick<StressPhase, 'generation' | 'phase'>;
  readonly phases: readonly StressPhase[];
  readonly wallMs: number;
  /** The most memory that the process had. */
  readonly peakBytes: number;
  readonly refused: readonly Refused[];
  readonly violations: readonly Violation[];
  /** Undefined of a run that was interrupted. */
  readonly result: RunResult | undefined;
}

type Told = Omit<TerminalOptions, 'colours'>;

/** The result; of the run itself its digest, its blackout and what it lost: `luosim run --json` has all of it. */
export function stressJson({ result, ...rest }: Stress, told: Told): string {
  const run =
    result === undefined
      ? {}
      : {
          blackout: longestBlackout(result.generations),
          openLosses: result.openLosses,
          digest: result.digest,
        };
  return `${JSON.stringify({ ...rest, ...run, ...told })}\n`;
}

const REFUSED_SHOWN = 3;

export function stressReport(stress: Stress, { colours, again, token }: TerminalOptions): string {
  const { result, refused, wallMs, peakBytes } = stress;
  const lines = [
    ...header(stress),
    '',
    colours.dim(row('', 'sessions', 'wall', 'a second', 'memory')),
    ...[0, 1].flatMap((generation) => kernel(stress, generation, colours)),
    '',
    labelled('wall', `${wallSpan(wallMs)} in all; memory peaked at ${roundSize(peakBytes)}`),
    ...refused.slice(0, REFUSED_SHOWN).map((one) => colours.yellow(labelled('refused', refusedText(one)))),
    ...(refused.length > REFUSED_SHOWN ? [labelled('', `and ${refused.length - REFUSED_SHOWN} more`)] : []),
    ...(result === undefined ? interruptedLines(stress, colours) : verdict(result, colours).slice(1)),
    ...(token === undefined ? [] : [labelled('token', token)]),
    again,
  ];
  return lines.map((line) => `${line}\n`).join('');
}

function header({
  machine,
  revisions,
  profile,
  seed,
  sessions,
  processes,
  sessionsPerProcess,
}: Stress): string[] {
  const { ramBytes, nodes, cpus, fragmentedPercent = 0 } = machine;
  const shattered = fragmentedPercent > 0 ? `, ${fragmentedPercent} % of memory shattered` : '';
  const spread =
    processes <= 1
      ? 'in 1 process'
      : `in ${processes} processes, ${grouped(sessionsPerProcess)} each at most: fs.nr_open`;
  return [
    labelled(
      'machine',
      `${size(ramBytes)} RAM, ${counted(nodes, 'node')}, ${counted(cpus, 'CPU')}${shattered}`,
    ),
    labelled('revision', [...new Set(revisions)].join(', ')),
    labelled('sessions', `${grouped(sessions)} ${spread}`),
    labelled('seed', `${printable(seed)}; profile ${profile}`),
  ];
}

const row = (label: string, sessions: string, wall: string, rate: string, memory: string): string =>
  clip(label, 32).padEnd(32) +
  sessions.padStart(12) +
  wall.padStart(12) +
  rate.padStart(12) +
  memory.padStart(12);

/** Told one by one; everything else of a kernel is one line. */
const SHOWN: readonly Phase[] = [
  'create',
  'deserialize',
  'verify',
  'retrieve',
  'finish',
  'close',
  'serialize',
  'laws',
];

function kernel(
  { phases, revisions, result }: Stress,
  generation: number,
  colours: TerminalOptions['colours'],
): string[] {
  const own = phases.filter((phase) => phase.generation === generation);
  if (own.length === 0) return [];
  const report = result?.generations[generation];
  const how = report === undefined ? revisions[generation] : `${booted(report)}, ${report.revision}`;
  const shown = own.filter(({ phase, sessions }) => SHOWN.includes(phase) && sessions !== 0);
  const rest = own.filter((phase) => !shown.includes(phase));
  const restMs = rest.reduce((sum, { wallMs }) => sum + wallMs, 0);
  return [
    colours.bold(`kernel ${generation}: ${how}`),
    ...shown.map(({ phase, sessions, wallMs, perSecond, rssBytes }) =>
      row(
        `  ${phaseName(phase)}`,
        figure(sessions),
        wallSpan(wallMs),
        figure(perSecond),
        roundSize(rssBytes),
      ),
    ),
    row('  boot, jump and all else', '', wallSpan(restMs), '', ''),
  ];
}

const figure = (n: number | undefined): string => (n === undefined ? '' : grouped(n));

/** Wall time is coarser than virtual time. */
const wallSpan = (ms: number): string => (ms < 1000 ? `${ms.toFixed(1)} ms` : `${(ms / 1000).toFixed(1)} s`);

const refusedText = ({ generation, process, verb, calls, errno }: Refused): string =>
  `kernel ${generation}: ${verb} ${errno} after ${counted(calls, 'call')}, in ${process}`;

function interruptedLines(
  { violations, interruptedAt: at }: Stress,
  colours: TerminalOptions['colours'],
): string[] {
  const [first] = violations;
  const broken =
    first === undefined
      ? 'no law was found broken until then'
      : `${counted(violations.length, 'violation')} until then, the first: ${first.law}: ${printable(first.text)}`;
  const where = at === undefined ? 'before it began' : `in kernel ${at.generation}: ${phaseName(at.phase)}`;
  return [
    colours.yellow(labelled('interrupted', `${where}; what is not over has no digest`)),
    clip(labelled('laws', broken), COLUMNS),
  ];
}
