/*
 * What the agents of one kernel did, action by action: when, how often, with which result, at which cost. An action
 * begins with its first call; a reboot(2) that works never ends, and is told when the kernel has left.
 */
import { errnoName } from '../base/errno.ts';
import { type Cpus, STEP_KINDS, type VirtualTime } from '../machine/cpu.ts';
import type { Thread } from '../user/process.ts';
import type { Action, Verb } from '../user/program.ts';
import { type ActionReport, NO_RETURN } from './result.ts';

/** An action under way: since when, and the step counters then. */
interface Acting {
  readonly process: string;
  readonly verb: Verb;
  readonly from: VirtualTime;
  readonly steps: Float64Array;
}

export class ActionLog {
  readonly reports: ActionReport[] = [];
  readonly #cpus: Cpus;
  /** By task. */
  readonly #acting = new Map<number, Acting>();

  constructor(cpus: Cpus) {
    this.#cpus = cpus;
  }

  began({ task, process }: Thread, verb: Verb): void {
    const from = this.#cpus.current.now();
    this.#acting.set(task.id, { process: process.name, verb, from, steps: this.#cpus.steps.slice() });
  }

  /** An action is over. `names` are its first and last. */
  acted(
    { task, process }: Thread,
    action: Action,
    names: readonly string[],
    calls: number,
    result: number,
  ): void {
    const to = this.#cpus.current.now();
    const acting = this.#acting.get(task.id);
    this.reports.push({
      process: process.name,
      verb: action.do,
      ...('phase' in action ? { phase: action.phase } : {}),
      names,
      calls,
      result: errnoName(result),
      from: acting?.from ?? to,
      to,
      steps: stepsSince(this.#cpus, acting?.steps),
    });
    this.#acting.delete(task.id);
  }

  /** The kernel has left: reboots that have not returned never will. */
  left(): void {
    const to = latest(this.#cpus);
    for (const { process, verb, from, steps } of this.#acting.values()) {
      if (verb !== 'reboot' && verb !== 'restart') continue;
      const took = stepsSince(this.#cpus, steps);
      this.reports.push({ process, verb, names: [], calls: 1, result: NO_RETURN, from, to, steps: took });
    }
  }
}

/** Steps since the counters stood so, by kind, zeros left out. */
function stepsSince({ steps }: Cpus, start: Float64Array | undefined): Record<string, number> {
  const taken = STEP_KINDS.map((kind, i): [string, number] => {
    return [kind, (steps[i] as number) - (start?.[i] ?? 0)];
  });
  return Object.fromEntries(taken.filter(([, n]) => n !== 0));
}

/** The latest of all clocks. */
export function latest({ all }: Cpus): VirtualTime {
  return all
    .map((cpu) => cpu.now())
    .reduce((x, y) => (y.seconds > x.seconds || (y.seconds === x.seconds && y.ns > x.ns) ? y : x));
}
