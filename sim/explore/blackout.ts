/*
 * The blackout of an update: from the call of reboot(2) until the device of the next kernel is open, and until every
 * session has been retrieved. As steps, which are exact, and as time under every price list: a figure never stands
 * without its profile. What agents do between two retrieves is left out.
 */
import { PROFILES } from '../kernel/cost.ts';
import { type CostProfile, STEP_KINDS, type StepKind } from '../machine/cpu.ts';
import { type GenerationReport, NO_RETURN, type Time } from './result.ts';

export type Steps = Readonly<Partial<Record<StepKind, number>>>;

/** Steps, and what they come to by profile. */
export interface Priced {
  readonly steps: Steps;
  readonly times: Readonly<Record<string, Time>>;
}

export interface Blackout {
  /** The kernel after. */
  readonly generation: number;
  /** Reboot, boot, first open. */
  readonly open: Priced;
  /** Of that, the first open, which deserializes. */
  readonly deserialize: Priced;
  /** With every retrieve, and the opens of the agents that take turns. */
  readonly usable: Priced;
}

/** Steps under every price list. */
export const priced = (parts: readonly Steps[]): Priced => {
  const steps = sum(parts);
  return {
    steps,
    times: Object.fromEntries(PROFILES.map((profile) => [profile.name, priceOf(steps, profile)])),
  };
};

const SECOND_NS = 1_000_000_000n;

/** What steps cost under a price list, exactly. */
export function priceOf(steps: Steps, { nsPerStep }: CostProfile): Time {
  let ns = 0n;
  for (const kind of STEP_KINDS) ns += BigInt(steps[kind] ?? 0) * BigInt(nsPerStep[kind]);
  return { seconds: Number(ns / SECOND_NS), ns: Number(ns % SECOND_NS) };
}

/** The longest blackout of a run by the first profile; undefined where no kernel took over. */
export function longestBlackout(generations: readonly GenerationReport[]): Blackout | undefined {
  let longest: Blackout | undefined;
  for (const [generation, { actions, bootKind, bootSteps }] of generations.entries()) {
    const reboot = generations[generation - 1]?.actions.find(({ result }) => result === NO_RETURN);
    const opens = actions.filter(({ verb }) => verb === 'open');
    const [first] = opens;
    if (reboot === undefined || first === undefined || bootKind !== 'handover') continue;
    const before = [reboot.steps, bootSteps];
    const retrieves = actions.filter(({ verb }) => verb === 'retrieve');
    const blackout = {
      generation,
      open: priced([...before, first.steps]),
      deserialize: priced([first.steps]),
      usable: priced([...before, ...[...opens, ...retrieves].map(({ steps }) => steps)]),
    };
    if (longest === undefined || firstNs(blackout.open) > firstNs(longest.open)) longest = blackout;
  }
  return longest;
}

/** Nanoseconds, to the 53 bits of a number. */
export const nsOf = ({ seconds, ns }: Time): number => seconds * 1e9 + ns;

const firstNs = ({ times }: Priced): number => nsOf(Object.values(times)[0] as Time);

function sum(parts: readonly Steps[]): Steps {
  const totals = STEP_KINDS.map((kind): [StepKind, number] => [
    kind,
    parts.reduce((n, steps) => n + (steps[kind] ?? 0), 0),
  ]);
  return Object.fromEntries(totals.filter(([, n]) => n > 0));
}
