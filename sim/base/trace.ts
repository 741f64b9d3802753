/*
 * The trace of one kernel: every modelled step mixes (function, three words) into the kernel's digest, always.
 * Events are kept only where a recorder is attached; evidence is made by replaying a run with one.
 */
import { Digest } from './digest.ts';
import { functionHash, type KernelFunction } from './point.ts';

/** One recorded event; the meaning of the words belongs to the function. */
export interface TraceEvent {
  readonly task: number;
  readonly fn: KernelFunction;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

export type Recorder = (event: TraceEvent) => void;

export class Trace {
  readonly digest = new Digest();
  /** Number of events so far. */
  events = 0;
  /** Task that runs now; 0 is the boot context. */
  task = 0;
  recorder: Recorder | undefined;

  event(fn: KernelFunction, a = 0, b = 0, c = 0): void {
    this.digest.mixFour(functionHash(fn) ^ this.task, a, b, c);
    this.events++;
    if (this.recorder !== undefined) this.recorder({ task: this.task, fn, a, b, c });
  }

  capture(): readonly [readonly [number, number], number, number] {
    return [this.digest.capture(), this.events, this.task];
  }

  reinstate([digest, events, task]: readonly [readonly [number, number], number, number]): void {
    this.digest.reinstate(digest);
    this.events = events;
    this.task = task;
  }
}
