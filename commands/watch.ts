/*
 * Watches runs in a thread of their own (thread.ts): a line now and then that says how far they are, and Ctrl-C, which
 * ends them in order.
 *
 *   on a terminal   one line that overwrites itself, four times a second
 *   elsewhere       a line when a phase begins, and one every few seconds of a long one
 *   Ctrl-C          the runs end where they next tell their progress; after a second, or the next Ctrl-C, anywhere.
 *                   What was told until then is the result
 */
import { Worker } from 'node:worker_threads';
import type { Moment } from '../reports/progress.ts';
import { momentLine } from '../reports/progress.ts';
import type { RunInput, RunResult, Violation } from '../sim/index.ts';
import {
  actionsOf,
  callsOf,
  type Message,
  type RowFigures,
  type RowName,
  SHARED_BYTES,
  type ThreadData,
  WORD,
} from './thread.ts';

const LOOK_MS = 250;
/** From one plain line of a phase to the next. */
const PLAIN_MS = 5000;
/** For one call that takes long: a first open of millions of sessions. */
const GRACE_MS = 1000;

export interface Row extends RowName, RowFigures {}

export interface Watched {
  /** Of the runs that came to their end. */
  readonly results: readonly RunResult[];
  readonly rows: readonly Row[];
  /** Of the run that did not. */
  readonly violations: readonly Violation[];
  readonly interrupted: boolean;
  /** Where the runs were last. */
  readonly at: RowName | undefined;
  readonly wallMs: number;
  /** The most memory that the process ever had. */
  readonly peakBytes: number;
}

export interface WatchOptions {
  /** What is said before the phase, of several runs. Where that is no terminal, nothing is said of them. */
  readonly runName?: (run: number) => string;
}

export const watchRuns = (inputs: readonly RunInput[], options: WatchOptions = {}): Promise<Watched> =>
  new Watch(inputs, options).ended();

class Watch {
  readonly #inputs: readonly RunInput[];
  readonly #options: WatchOptions;
  readonly #shared = new SharedArrayBuffer(SHARED_BYTES);
  readonly #words = new Int32Array(this.#shared);
  readonly #names: RowName[] = [];
  readonly #figures: RowFigures[] = [];
  readonly #results: RunResult[] = [];
  #violations: Violation[] = [];
  readonly #isTerminal = process.stderr.isTTY === true;
  readonly #began = performance.now();
  /** When the watcher saw that the row that is under way is another one. */
  #seen = { row: -1, at: this.#began };
  #written = 0;
  #interrupted = false;

  constructor(inputs: readonly RunInput[], options: WatchOptions) {
    this.#inputs = inputs;
    this.#options = options;
  }

  async ended(): Promise<Watched> {
    const workerData: ThreadData = { inputs: this.#inputs, shared: this.#shared };
    const worker = new Worker(new URL(import.meta.url), { workerData });
    const interrupt = (): void => {
      const again = this.#interrupted;
      this.#interrupted = true;
      Atomics.store(this.#words, WORD.stop, 1);
      setTimeout(() => worker.terminate(), again ? 0 : GRACE_MS).unref();
    };
    process.on('SIGINT', interrupt);
    const timer = setInterval(() => this.#look(), LOOK_MS);
    try {
      await new Promise<void>((resolve, reject) => {
        worker.on('message', (message: Message) => this.#receive(message));
        worker.on('error', reject);
        worker.on('exit', () => resolve());
      });
    } finally {
      clearInterval(timer);
      process.removeListener('SIGINT', interrupt);
      if (this.#isTerminal) process.stderr.write('\r\x1b[K');
    }
    return {
      results: this.#results,
      rows: this.#rows(),
      violations: this.#violations,
      interrupted: this.#interrupted && this.#results.length < this.#inputs.length,
      at: this.#names[Atomics.load(this.#words, WORD.row)],
      wallMs: performance.now() - this.#began,
      peakBytes: process.resourceUsage().maxRSS * 1024,
    };
  }

  #receive(message: Message): void {
    switch (message.kind) {
      case 'row begins':
        this.#names[message.row] = message.name;
        if (!this.#isTerminal && message.name.phase !== 'end') this.#write(this.#moment(message.row));
        return;
      case 'row':
        this.#figures[message.row] = message.figures;
        return;
      case 'broken':
        this.#violations.push(message.violation);
        return;
      case 'result':
        this.#results.push(message.result);
        this.#violations = [];
        return;
    }
  }

  #look(): void {
    const row = Atomics.load(this.#words, WORD.row);
    const now = performance.now();
    if (row !== this.#seen.row) this.#seen = { row, at: now };
    if (!this.#isTerminal && now - this.#written < PLAIN_MS) return;
    const phase = this.#names[row]?.phase;
    if (phase !== undefined && phase !== 'end') this.#write(this.#moment(row, this.#underWay()));
  }

  #write(moment: Moment | undefined): void {
    if (moment === undefined || (!this.#isTerminal && moment.about !== undefined)) return;
    this.#written = performance.now();
    const line = momentLine(moment);
    process.stderr.write(this.#isTerminal ? `\r${line}\x1b[K` : `${line}\n`);
  }

  /** What stands in shared memory. A row of one long call tells nothing: its time is what the watcher sees pass. */
  #underWay(): RowFigures {
    const ms = Atomics.load(this.#words, WORD.ms);
    return {
      calls: Atomics.load(this.#words, WORD.calls),
      ms: Math.max(ms, performance.now() - this.#seen.at),
      rssBytes: process.memoryUsage.rss(),
    };
  }

  #moment(row: number, figures?: RowFigures): Moment | undefined {
    const name = this.#names[row];
    if (name === undefined) return undefined;
    const { run, generation, phase } = name;
    const of = callsWanted(this.#inputs[run], name);
    const about = this.#options.runName?.(run);
    return { generation, phase, of, ...(about === undefined ? {} : { about }), ...figures };
  }

  #rows(): Row[] {
    const at = Atomics.load(this.#words, WORD.row);
    return this.#names.flatMap((name, row) => {
      // Of a thread that had to be torn down, what it wrote last.
      const last = row === at && this.#interrupted ? this.#underWay() : undefined;
      const figures = this.#figures[row];
      const more = last !== undefined && last.calls > (figures?.calls ?? 0) ? last : (figures ?? last);
      return more === undefined ? [] : [{ ...name, ...more }];
    });
  }
}

/** Calls that the program has in a phase of a kernel; 0 of one that is not made of calls. */
function callsWanted(input: RunInput | undefined, { generation, phase }: RowName): number {
  const kernel = input?.program.generations[generation];
  return kernel === undefined ? 0 : callsOf(actionsOf(kernel).filter((action) => action.do === phase));
}
