/*
 * luosim plan: what a live update of so many sessions and files takes, for whoever sizes one.
 */
import { commandLine } from '../reports/command_line.ts';
import { planReport } from '../reports/plan.ts';
import manyFiles from '../scenarios/many_files.ts';
import manySessions, { OWN_DESCRIPTORS, ramBytesFor } from '../scenarios/many_sessions.ts';
import {
  ICOUNT,
  type Memory,
  machineParamsError,
  NUMBERS_MAX,
  type Plan,
  type PlanParams,
  plan,
  RAM_BYTES_MIN,
  type RunInput,
  type Spread,
} from '../sim/index.ts';
import { BadInput, EXIT, entry, type Given, optionsGiven, quoted, ramSize, text, whole } from './command.ts';
import { FRAGMENTED_OPTION, fragmentedPercent, PATCH_OPTIONS, REVISION_NAMES, revision } from './machine.ts';
import { colours } from './terminal.ts';

const DEFAULT_REVISION = 'v7.3';
/** A store of 16-page blocks, to set beside the default's blocks of one page where memory is shattered. */
const BESIDE_IT = 'april-v1-p1';
const MIB = 2 ** 20;
const RAM_BYTES_MAX = 64 * 2 ** 40;
const NAMES = 'many-test-%d';
const FILE_BYTES = 4096;
/** What a memfd takes, in sessions: five or six pages. */
const SESSIONS_PER_FILE = 24;

export const PLAN = entry({
  name: 'plan',
  summary: 'size a live update: blackout, memory, and the limits on the way',
  options: [
    ['--sessions <n>', 'sessions in the update; must be given'],
    ['--files <n>', 'memfds of 4K in them, as evenly as they go (default: 0)'],
    ['--revision <name>', `${REVISION_NAMES} (default: ${DEFAULT_REVISION})`],
    ...PATCH_OPTIONS,
    ['--ram <size>', 'like 512M or 1T (default: what they need)'],
    FRAGMENTED_OPTION,
    ['--json', 'print the result as JSON'],
  ],
  order: planOrder,
  work: ({ params }: PlanOrder): Plan => plan(params),
  render: (result, { json, again }) =>
    json
      ? [`${JSON.stringify({ ...result, again })}\n`]
      : [planReport(result, { again, colours: colours() })],
  exitCode: ({ violations }) => (violations.length === 0 ? EXIT.held : EXIT.violation),
});

interface PlanOrder {
  readonly params: PlanParams;
  readonly json: boolean;
  readonly again: string;
}

function planOrder(given: Given): PlanOrder {
  const sessions = whole(given, 'sessions', 1, NUMBERS_MAX);
  if (sessions === undefined) throw new BadInput('plan: give --sessions, the number to plan for');
  const files = whole(given, 'files', 0, NUMBERS_MAX) ?? 0;
  const named = text(given, 'revision');
  const names = [named ?? DEFAULT_REVISION, ...(named === undefined ? [BESIDE_IT] : [])].map((name) =>
    walking(given, name),
  );
  const ramBytes = ramSize(given) ?? ramBytesFor(sessions + files * SESSIONS_PER_FILE);
  if (ramBytes < RAM_BYTES_MIN || ramBytes > RAM_BYTES_MAX || ramBytes % (4 * MIB) !== 0) {
    throw new BadInput(`--ram ${quoted(text(given, 'ram') ?? '')}: give a multiple of 4M, from 16M to 64T`);
  }
  const percent = fragmentedPercent(given);
  const wrong =
    percent === undefined
      ? undefined
      : machineParamsError({ ramBytes, nodes: 1, cpus: 1, fragmentedPercent: percent });
  if (wrong !== undefined)
    throw new BadInput(`--ram ${quoted(text(given, 'ram') ?? 'by default')}: ${wrong}`);
  const params: PlanParams = {
    revision: names[0] as string,
    sessions,
    files,
    ramBytes,
    fragmentedPercent: percent ?? 0,
    shatteredRevisions: percent === undefined ? [] : names,
    ownDescriptors: OWN_DESCRIPTORS,
    inputOf,
  };
  return { params, json: given.json === true, again: commandLine(['plan', ...optionsGiven(given, [])]) };
}

/** A revision whose growth is known: it walks its list of names. */
function walking(given: Given, name: string): string {
  const { name: changed, parts } = revision(given, name);
  if (parts.nameIndex === 'list-scan') return changed;
  throw new BadInput(
    `--with: plan knows how a walk of the list grows, not ${parts.nameIndex}; luosim compare runs it`,
  );
}

/** One update; sessions and files stay with whoever retrieved them. */
const inputOf = (name: string, { sessions, files }: Spread, memory: Memory): RunInput => ({
  machine: { ...memory, nodes: 1, cpus: 1 },
  profile: ICOUNT.name,
  seed: '1',
  program:
    files === 0
      ? manySessions({ revisions: [name], generations: 2, sessions, pattern: NAMES, keep: true })
      : manyFiles({ revision: name, sessions, files, fileBytes: FILE_BYTES, pattern: NAMES }),
});
