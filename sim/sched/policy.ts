/*
 * Policies: who runs next. The scheduler asks where more than one task is runnable, and nowhere else.
 *
 * The possibilities are numbered so that 0 is always the calm one:
 *
 *   the task that ran last is runnable     0 goes on with it; 1, 2 ... are the others by ascending id
 *   it is not (blocked, ended, none yet)   0, 1, 2 ... are the runnable tasks by ascending id
 *
 * A run whose every choice is 0 never preempts. Each policy is a file of its own; this one holds the interface
 * and the policy that leaves the choice to the run's decisions, be they a seed, a recording or the default.
 */
import type { Decisions } from '../base/decisions.ts';
import type { Point } from '../base/point.ts';
import type { Task } from './task.ts';

export interface Policy {
  /**
   * Picks one of `runnable`: two or more, by ascending id. `point` is where the task that ran last stands;
   * `last` is that task if it could go on, else undefined.
   */
  pick(point: Point, runnable: readonly Task[], last: Task | undefined): Task;
}

/** The task that a number of the table above means. */
export function candidate(runnable: readonly Task[], last: Task | undefined, choice: number): Task {
  if (last === undefined) return runnable[choice] as Task;
  if (choice === 0) return last;
  const other = runnable[choice - 1] as Task;
  return other.id < last.id ? other : (runnable[choice] as Task);
}

/** What answers the run's decisions; a run from a mark replaces them. */
export interface Decider {
  readonly decisions: Decisions;
}

/** Every switch is a decision, keyed by the point at which the task that ran last stands. */
export class DecisionPolicy implements Policy {
  readonly #decider: Decider;

  constructor(decider: Decider) {
    this.#decider = decider;
  }

  pick(point: Point, runnable: readonly Task[], last: Task | undefined): Task {
    return candidate(runnable, last, this.#decider.decisions.choose(point, runnable.length));
  }
}
