/*
 * The blackout of an update: from the call of reboot(2) until the device of the next kernel is open and its sessions are
 * usable. As steps, which are exact, and as time under every price list: a figure never stands without its profile.
 */
import { PROFILES } from '../kernel/cost.ts';
import { type CostProfile, STEP_KINDS, type StepKind } from '../machine/cpu.ts';
import { type GenerationReport, NO_RETURN, type Time } from './result.ts';

export type Steps = Readonly<Partial<Record<StepKind, number>>>;

export interface Blackout {
  /** The kernel after. */
  readonly generation: number;
  readonly steps: Steps;
  /** By profile. */
  readonly times: Readonly<Record<string, Time>>;
}

const SECOND_NS = 1_000_000_000n;

/** What steps cost under a price list, exactly. */
export function priceOf(steps: Steps, { nsPerStep }: CostProfile): Time {
  let ns = 0n;
  for (const kind of STEP_KINDS) ns += BigInt(steps[kind] ?? 0) * BigInt(nsPerStep[kind]);
  return { seconds: Number(ns / SECOND_NS), ns: Number(ns % SECOND_NS) };
}

/** The longest blackout of a run by its steps under the first profile; undefined where no kernel took over. */
export function longestBlackout(generations: readonly GenerationReport[]): Blackout | undefined {
  let longest: Blackout | undefined;
  let longestNs = -1n;
  for (const [generation, { actions, bootKind, bootSteps }] of generations.entries()) {
    const reboot = generations[generation - 1]?.actions.find(({ result }) => result === NO_RETURN);
    const open = actions.find(({ verb }) => verb === 'open');
    if (reboot === undefined || open === undefined || bootKind !== 'handover') continue;
    const steps = sum([reboot.steps, bootSteps, open.steps]);
    const times = Object.fromEntries(PROFILES.map((profile) => [profile.name, priceOf(steps, profile)]));
    const { seconds, ns } = priceOf(steps, PROFILES[0] as CostProfile);
    const total = BigInt(seconds) * SECOND_NS + BigInt(ns);
    if (total <= longestNs) continue;
    longestNs = total;
    longest = { generation, steps, times };
  }
  return longest;
}

function sum(parts: readonly Steps[]): Steps {
  const totals = STEP_KINDS.map((kind): [StepKind, number] => [
    kind,
    parts.reduce((n, steps) => n + (steps[kind] ?? 0), 0),
  ]);
  return Object.fromEntries(totals.filter(([, n]) => n > 0));
}
