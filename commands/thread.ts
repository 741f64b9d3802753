/*
 * Runs in a thread of their own, so that the thread that watches them can tell how far they are and can end them. The
 * thread is this same program, started again (cli.ts asks which one it is). A run below sees no clock and no thread: it
 * is given a function that it tells its progress, and that may throw.
 *
 *   shared memory    word 0   stop: set by the watcher, looked at whenever a run tells its progress
 *                    word 1   the row that the run is at
 *                    word 2   its calls so far
 *                    word 3   its milliseconds so far
 *   messages         a row begins; a row's figures, whenever another row takes over; a law broke; a result
 *
 * A row is a phase of a kernel of a run: agents that take turns return to the same rows.
 */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import {
  type Action,
  type GenerationProgram,
  PiecePool,
  type Progress,
  type RunInput,
  type RunResult,
  simulate,
  type Violation,
} from '../sim/index.ts';
import { expectCalls } from './engine.ts';

export const WORD = { stop: 0, row: 1, calls: 2, ms: 3 } as const;
export const SHARED_BYTES = 16;

/** What a thread is started with. */
export interface ThreadData {
  readonly inputs: readonly RunInput[];
  readonly shared: SharedArrayBuffer;
}

/** Of which run and kernel, by their numbers from 0. */
export interface RowName extends Pick<Progress, 'generation' | 'phase'> {
  readonly run: number;
}

export interface RowFigures {
  /** Calls that have begun. */
  readonly calls: number;
  /** Wall time of the host. */
  readonly ms: number;
  /** The most memory of the process that was seen when the row ended. */
  readonly rssBytes: number;
}

export type Message =
  | { readonly kind: 'row begins'; readonly row: number; readonly name: RowName }
  | { readonly kind: 'row'; readonly row: number; readonly figures: RowFigures }
  | { readonly kind: 'broken'; readonly violation: Violation }
  | { readonly kind: 'result'; readonly result: RunResult };

/** Whether this is the thread of runs. */
export const isRunThread = !isMainThread;

/** What the watcher asked for; passes through the run. */
class Stopped extends Error {}

/** The whole of the thread: every input, one after the other, on the same memory. */
export function runThread(): void {
  const { inputs, shared } = workerData as ThreadData;
  expectCalls(callsOf(inputs.flatMap(({ program }) => program.generations.flatMap(actionsOf))));
  const meter = new Meter(new Int32Array(shared));
  const pool = new PiecePool();
  const watcher = { broken: (violation: Violation): void => post({ kind: 'broken', violation }) };
  try {
    for (const [run, input] of inputs.entries()) {
      const result = simulate(input, { pool, watcher, onProgress: (progress) => meter.told(run, progress) });
      if (typeof result === 'string') throw new Error(result);
      post({ kind: 'result', result });
    }
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
  }
}

/** What the agents of a kernel do. */
export const actionsOf = ({ stages }: GenerationProgram): Action[] =>
  stages.flat().flatMap(({ actions }) => actions);

/** Calls that it takes: one for each name, or one. */
export const callsOf = (actions: readonly Action[]): number =>
  actions.reduce((sum, action) => sum + ('names' in action ? action.names.count : 1), 0);

const post = (message: Message): void => parentPort?.postMessage(message);

class Meter {
  readonly #words: Int32Array;
  readonly #rows = new Map<string, number>();
  readonly #figures: { calls: number; ms: number; rssBytes: number }[] = [];
  #row = -1;
  /** Of the row's present part. */
  #since = 0;
  #calls = 0;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  told(run: number, { generation, phase, calls }: Progress): void {
    const row = this.#rowOf({ run, generation, phase });
    // The same phase may begin anew: calls start at 0 again.
    if (row !== this.#row || calls < this.#calls) {
      this.#partEnds();
      this.#row = row;
      this.#since = performance.now();
    }
    this.#calls = calls;
    const before = this.#figures[row] ?? { calls: 0, ms: 0 };
    Atomics.store(this.#words, WORD.calls, before.calls + calls);
    Atomics.store(this.#words, WORD.ms, Math.round(before.ms + performance.now() - this.#since));
    Atomics.store(this.#words, WORD.row, row);
    if (phase === 'end') this.#partEnds();
    if (Atomics.load(this.#words, WORD.stop) === 0) return;
    this.#partEnds();
    throw new Stopped('stopped by its watcher');
  }

  #rowOf(name: RowName): number {
    const key = `${name.run} ${name.generation} ${name.phase}`;
    const known = this.#rows.get(key);
    if (known !== undefined) return known;
    const row = this.#figures.push({ calls: 0, ms: 0, rssBytes: 0 }) - 1;
    this.#rows.set(key, row);
    post({ kind: 'row begins', row, name });
    return row;
  }

  #partEnds(): void {
    const figures = this.#figures[this.#row];
    if (figures === undefined) return;
    figures.calls += this.#calls;
    figures.ms += performance.now() - this.#since;
    figures.rssBytes = Math.max(figures.rssBytes, process.memoryUsage.rss());
    post({ kind: 'row', row: this.#row, figures });
    this.#row = -1;
    this.#calls = 0;
  }
}
