/*
 * Where a run is, for whoever shows it or times it: told when a phase begins, when its calls have ended, and every few
 * thousand calls between. A run does not know what time it is; its watcher does.
 *
 *   boot -> laws -> open | deserialize, verify -> calls of sessions ... -> laws -> load -> serialize -> laws -> jump -> ...
 *
 * Nothing is told below this floor, so what one call does (an open that deserializes) is a phase without parts.
 */
import type { Verb } from '../user/program.ts';

/**
 * deserialize   the first open of a kernel that was handed sessions
 * verify        their names, each against what the previous kernel acknowledged, in order
 * laws          every other law that is checked in full
 * serialize     reboot(2), up to the jump
 */
export type Phase =
  | Exclude<Verb, 'reboot'>
  | 'boot'
  | 'laws'
  | 'deserialize'
  | 'verify'
  | 'serialize'
  | 'jump'
  | 'end';

export interface Progress {
  /** 0 for the first kernel. */
  readonly generation: number;
  readonly phase: Phase;
  /** Calls of the phase that have begun. */
  readonly calls: number;
}

/** May throw to end the run: it is left as it stands, and what was thrown passes through. */
export type OnProgress = (progress: Progress) => void;

/** Calls from one telling to the next; a power of two. */
const CALLS = 8192;

export class Progressing {
  readonly #tell: OnProgress | undefined;
  #generation = 0;
  #phase: Phase = 'boot';
  #calls = 0;

  constructor(tell: OnProgress | undefined) {
    this.#tell = tell;
  }

  /** A kernel begins, with its boot. */
  boot(generation: number): void {
    this.#generation = generation;
    this.enter('boot');
  }

  enter(phase: Phase): void {
    // What the phase before came to.
    if ((this.#calls & (CALLS - 1)) !== 0) this.#told();
    this.#phase = phase;
    this.#calls = 0;
    this.#told();
  }

  /** The next calls are of a phase, the one under way or another. */
  calls(phase: Phase): void {
    if (phase !== this.#phase) this.enter(phase);
  }

  /** A call of the phase begins. */
  call(): void {
    if ((++this.#calls & (CALLS - 1)) === 0) this.#told();
  }

  #told(): void {
    this.#tell?.({ generation: this.#generation, phase: this.#phase, calls: this.#calls });
  }
}
