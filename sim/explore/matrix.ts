/*
 * Every revision into every revision: which pairs keep their sessions, which boot cold, which panic, and the lines of
 * dmesg that say so.
 *
 *   a cell    from -> to -> from -> to ...   up, down, up again: one run, which ends early where a kernel panics
 *   a jump    stays    there was none: load or reboot(2) failed, or the first kernel did not come up
 *             panic    the next kernel died of what it found
 *             cold     it booted without the handover
 *             keeps    it gave back every session that the kernel before had
 *             loses    it accepted the handover and did not
 */
import { assert } from '../base/assert.ts';
import { Digest } from '../base/digest.ts';
import type { MachineParams } from '../machine/machine.ts';
import type { GenerationProgram } from '../user/program.ts';
import { type ActionReport, type GenerationReport, NO_RETURN, type Violation } from './result.ts';
import { simulate } from './simulate.ts';

export const MATRIX_SCHEMA_VERSION = 1;

export const OUTCOMES = ['keeps', 'cold', 'panic', 'loses', 'stays'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface MatrixParams {
  readonly machine: MachineParams;
  /** Name of the price list. */
  readonly profile: string;
  readonly seed: string;
  /** Names; variants too. Each is updated to each, itself included. */
  readonly revisions: readonly string[];
  /** What every kernel does, one after the other: the even ones are of the first revision of a pair. */
  readonly kernels: readonly GenerationProgram['stages'][];
}

/** From one kernel to the next. */
export interface MatrixJump {
  readonly from: string;
  readonly to: string;
  readonly outcome: Outcome;
  /** Sessions of the kernel that left, and how many of them the next one gave back. */
  readonly sessions: number;
  readonly kept: number;
  /** Number of the update as the next kernel read it; 0 where it read none. */
  readonly liveupdateNum: number;
  /** What the next kernel refused to its agents, in order; where there was none, what refused to leave. */
  readonly refusals: readonly Pick<ActionReport, 'verb' | 'names' | 'result'>[];
  /** Lines of dmesg, without their time, that say why it booted cold or panicked. */
  readonly dmesg: readonly string[];
}

export interface MatrixCell {
  readonly from: string;
  readonly to: string;
  readonly jumps: readonly MatrixJump[];
  readonly violations: readonly Violation[];
  /** That of the run. */
  readonly digest: string;
}

export interface MatrixResult extends MatrixParams {
  readonly schemaVersion: typeof MATRIX_SCHEMA_VERSION;
  /** Row by row: all that begin with the first revision, then all that begin with the second. */
  readonly cells: readonly MatrixCell[];
  readonly digest: string;
}

/** Runs every pair. Revisions and profile must exist. */
export function matrix(params: MatrixParams): MatrixResult {
  const { machine, profile, seed, revisions, kernels } = params;
  const cells = revisions.flatMap((from) => revisions.map((to) => cell(params, from, to)));
  const digest = new Digest();
  for (const each of cells) digest.mixText(each.digest);
  return {
    schemaVersion: MATRIX_SCHEMA_VERSION,
    machine,
    profile,
    seed,
    revisions,
    kernels,
    cells,
    digest: digest.toString(),
  };
}

function cell({ machine, profile, seed, kernels }: MatrixParams, from: string, to: string): MatrixCell {
  const revisionOf = (generation: number): string => (generation % 2 === 0 ? from : to);
  const generations = kernels.map((stages, generation) => ({ revision: revisionOf(generation), stages }));
  const result = simulate({ machine, profile, seed, program: { generations } });
  assert(typeof result !== 'string', 'only a run that resumes from a RAM file is refused');
  const jumps: MatrixJump[] = [];
  for (let generation = 0; generation < kernels.length - 1; generation++) {
    const before = result.generations[generation];
    if (before === undefined || (before.state === 'panicked' && generation > 0)) break;
    jumps.push(jump(before, revisionOf(generation + 1), result.generations[generation + 1]));
  }
  return { from, to, jumps, violations: result.violations, digest: result.digest };
}

function jump(before: GenerationReport, to: string, after: GenerationReport | undefined): MatrixJump {
  const { actions, state, dmesg } = after ?? before;
  const refused = actions.filter(
    (action) => isRefused(action) && isLeaving(action) === (after === undefined),
  );
  const kept = (after?.actions ?? [])
    .filter(({ verb }) => verb === 'retrieve')
    .reduce((sum, { calls }) => sum + calls, 0);
  return {
    from: before.revision,
    to,
    outcome: outcome(after, before.outgoingSessions === kept),
    sessions: before.outgoingSessions,
    kept,
    liveupdateNum: after?.liveupdateNum ?? 0,
    refusals: refused.map(({ verb, names, result }) => ({ verb, names, result })),
    dmesg: after === undefined && state !== 'panicked' ? [] : reasons(dmesg, before.dmesg),
  };
}

function outcome(after: GenerationReport | undefined, all: boolean): Outcome {
  if (after === undefined) return 'stays';
  if (after.state === 'panicked') return 'panic';
  if (after.bootKind !== 'handover') return 'cold';
  return all ? 'keeps' : 'loses';
}

const isRefused = ({ result }: ActionReport): boolean => result !== 'OK' && result !== NO_RETURN;

const isLeaving = ({ verb }: ActionReport): boolean => verb === 'load' || verb === 'reboot';

const GIVEN_UP = /disabling KHO revival|failed to get preserved memory|Kernel panic/;
/** Said by a kernel that will hand nothing over. */
const WITHOUT_KHO = /disabling kexec handover/;
/** What a boot that goes well says too, before it is given up. */
const NEWS = /^Linux version|found kexec handover data|Retrieved live update data/;

/** The line with which a handover was given up, behind the one that says what is wrong with it. */
function reasons(after: readonly string[], before: readonly string[]): string[] {
  for (const [dmesg, givenUp] of [
    [after, GIVEN_UP],
    [before, WITHOUT_KHO],
  ] as const) {
    const said = dmesg.map((line) => line.replace(/^\[ *\d+\.\d+\] /, ''));
    const end = said.findLastIndex((line) => givenUp.test(line));
    if (end !== -1) return said.slice(Math.max(end - 1, 0), end + 1).filter((line) => !NEWS.test(line));
  }
  return [];
}
