/*
 * The journal: how machine and kernels are marked and rolled back at the cost of what was touched since.
 *
 *   columns and RAM     log the old value of what they overwrite while a mark stands (nothing is logged without one)
 *   singletons          (lists' heads, counters, lock holders) are captured whole at the mark; they are few and small
 *
 * Marks nest like a stack: rolling back to one forgets those made after it. A mark may be rolled back to any number
 * of times. Marks are made at quiescence only, when no task stands in the middle of anything.
 */
import { assert } from '../base/assert.ts';

/** Storage that can put an old value back. */
export interface Undoable {
  undo(key: number, old: number): void;
}

/** A singleton whose mutable state is a small value. `reinstate` gets what `capture` gave, any number of times. */
export interface Stateful {
  capture(): unknown;
  reinstate(state: unknown): void;
}

/** A point in a run that can be returned to. */
export interface Mark {
  readonly position: number;
  readonly states: readonly unknown[];
  readonly depth: number;
}

export class Journal {
  /** Marks that stand. While it is 0 nothing is logged. */
  depth = 0;
  /** Changes with every mark and rollback: what was saved under another epoch must be saved again. */
  epoch = 1;
  readonly #targets: Undoable[] = [];
  readonly #keys: number[] = [];
  readonly #olds: number[] = [];
  readonly #singletons: Stateful[] = [];
  /** The marks that stand, outermost first. */
  readonly #standing: Mark[] = [];

  /** Makes a singleton part of every later mark. */
  enlist(singleton: Stateful): void {
    this.#singletons.push(singleton);
  }

  /** Singletons that are part of marks. */
  get enlisted(): number {
    return this.#singletons.length;
  }

  /** Drops the singletons enlisted after the first `count`: what they belong to is gone. Not under a mark. */
  dismiss(count: number): void {
    assert(this.depth === 0, 'a mark may bring them back');
    this.#singletons.length = count;
  }

  log(target: Undoable, key: number, old: number): void {
    this.#targets.push(target);
    this.#keys.push(key);
    this.#olds.push(old);
  }

  mark(): Mark {
    this.depth++;
    this.epoch++;
    const states = this.#singletons.map((singleton) => singleton.capture());
    const mark = { position: this.#targets.length, states, depth: this.depth };
    this.#standing.push(mark);
    return mark;
  }

  /** Restores everything to what it was at the mark, which stays. */
  rollback(mark: Mark): void {
    assert(this.#standing[mark.depth - 1] === mark, 'rollback to a mark that no longer stands');
    while (this.#targets.length > mark.position) {
      const target = this.#targets.pop() as Undoable;
      target.undo(this.#keys.pop() as number, this.#olds.pop() as number);
    }
    this.#singletons.length = mark.states.length;
    for (const [i, state] of mark.states.entries()) (this.#singletons[i] as Stateful).reinstate(state);
    this.#standing.length = mark.depth;
    this.depth = mark.depth;
    this.epoch++;
  }

  /** Forgets every mark; what happened since stays. */
  forget(): void {
    if (this.depth === 0) return;
    this.#targets.length = 0;
    this.#keys.length = 0;
    this.#olds.length = 0;
    this.#standing.length = 0;
    this.depth = 0;
    this.epoch++;
  }
}
