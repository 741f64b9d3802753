/*
 * luosim plan: what a live update of so many sessions takes, for whoever sizes one.
 */
import { commandLine } from '../reports/command_line.ts';
import { planReport } from '../reports/plan.ts';
import manySessions, { OWN_DESCRIPTORS, ramBytesFor } from '../scenarios/many_sessions.ts';
import {
  NUMBERS_MAX,
  type Plan,
  type PlanParams,
  PROFILES,
  type Program,
  plan,
  RAM_BYTES_MIN,
  type TaskProgram,
} from '../sim/index.ts';
import { BadInput, EXIT, entry, type Given, optionsGiven, quoted, ramSize, text, whole } from './command.ts';
import { PATCH_OPTIONS, REVISION_NAMES, revision } from './machine.ts';
import { colours } from './terminal.ts';

const DEFAULT_REVISION = 'v7.3';
/** Room enough for the runs that a plan rests on. */
const SAMPLE_MACHINE = { ramBytes: 2 ** 28, nodes: 1, cpus: 1 } as const;
const PLANNED_RAM_MAX = 64 * 2 ** 40;
const NAMES = 'many-test-%d';

export const PLAN = entry({
  name: 'plan',
  summary: 'size a live update: blackout, memory, and the limits on the way',
  options: [
    ['--sessions <n>', 'sessions in the update; must be given'],
    ['--revision <name>', `${REVISION_NAMES} (default: ${DEFAULT_REVISION})`],
    ...PATCH_OPTIONS,
    ['--ram <size>', 'like 512M or 1T (default: what the sessions need)'],
    ['--json', 'print the result as JSON'],
  ],
  order: planOrder,
  work: ({ params }: PlanOrder): Plan => plan(params),
  render: (result, { json, again }) =>
    json
      ? [`${JSON.stringify({ ...result, again })}\n`]
      : [planReport(result, { again, colours: colours() })],
  exitCode: () => EXIT.held,
});

interface PlanOrder {
  readonly params: PlanParams;
  readonly json: boolean;
  readonly again: string;
}

function planOrder(given: Given): PlanOrder {
  const sessions = whole(given, 'sessions', 1, NUMBERS_MAX);
  if (sessions === undefined) throw new BadInput('plan: give --sessions, the number to plan for');
  const { name } = revision(given, text(given, 'revision') ?? DEFAULT_REVISION);
  const ramBytes = ramSize(given) ?? ramBytesFor(sessions);
  if (ramBytes < RAM_BYTES_MIN || ramBytes > PLANNED_RAM_MAX) {
    throw new BadInput(`--ram ${quoted(text(given, 'ram') ?? '')}: give a size from 16M to 64T`);
  }
  const params: PlanParams = {
    revision: name,
    sessions,
    ramBytes,
    ownDescriptors: OWN_DESCRIPTORS,
    inputOf: (n) => ({
      machine: SAMPLE_MACHINE,
      profile: PROFILES[0]?.name ?? '',
      seed: '1',
      program: update(name, n),
    }),
  };
  return { params, json: given.json === true, again: commandLine(['plan', ...optionsGiven(given, [])]) };
}

/** One update; the sessions stay with whoever retrieved them. */
function update(revisionName: string, sessions: number): Program {
  const program = manySessions({ revisions: [revisionName], generations: 2, sessions, pattern: NAMES });
  const kept = (task: TaskProgram): TaskProgram => ({
    ...task,
    actions: task.actions.filter((action) => action.do !== 'finish' && action.do !== 'close'),
  });
  return {
    generations: program.generations.map(({ revision: of, stages }) => ({
      revision: of,
      stages: stages.map((stage) => stage.map(kept)),
    })),
  };
}
