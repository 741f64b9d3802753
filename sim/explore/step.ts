/*
 * Steps of a run, by running it again with someone looking on: evidence is made, not carried along.
 *
 *   kernel 0   step 0, 1, ... n-1   every trace event, boot and all
 *   jump                            the state that it leaves is kept
 *   kernel 1   step n, n+1, ...
 *
 * The watcher reads and takes no part: the run has the same digest as without it.
 */
import { unreachable } from '../base/assert.ts';
import { errnoName } from '../base/errno.ts';
import { functionName } from '../base/point.ts';
import type { TraceEvent } from '../base/trace.ts';
import type { Booting } from '../boot/boot.ts';
import type { Violation } from '../check/violation.ts';
import type { RunInput } from '../input/run_input.ts';
import type { Thread } from '../user/process.ts';
import type { Verb } from '../user/program.ts';
import { eventWords } from './event_words.ts';
import { kernelState } from './kernel_state.ts';
import type { ProcessMemory, Watcher } from './run.ts';
import { simulate } from './simulate.ts';
import type { BrokenAt, KernelStateReport, StateReport, StepEvent, StepsReport } from './step_report.ts';

export interface StepsRequest {
  /** Steps to list: `count` from `from` on. */
  readonly from: number;
  readonly count: number;
  /** Steps whose state is wanted. */
  readonly at: readonly number[];
}

/** Runs the input and tells its steps. A step that the run does not get to is absent. */
export function watchSteps(input: RunInput, request: StepsRequest): StepsReport {
  const steps = new Steps(request);
  const result = simulate(input, { watcher: steps });
  if (typeof result === 'string') unreachable(result);
  const { total, events, states, found, notes } = steps;
  return { total, events, states, broken: found, rest: notes, result };
}

class Steps implements Watcher {
  readonly events: StepEvent[] = [];
  readonly states: StateReport[] = [];
  readonly found: BrokenAt[] = [];
  /** Notes for the next step, if anybody wants that one. */
  notes: string[] = [];
  total = 0;
  readonly #request: StepsRequest;
  #system: Booting | undefined;
  #processes: ReadonlyMap<string, ProcessMemory> = new Map();
  #left: KernelStateReport | undefined;
  /** Departures noted or passed over. */
  #departures = 0;

  constructor(request: StepsRequest) {
    this.#request = request;
  }

  started(system: Booting, processes: ReadonlyMap<string, ProcessMemory>): void {
    this.#system = system;
    this.#processes = processes;
    const { kernel } = system;
    this.#note(() => `kernel ${kernel.generation} starts: ${kernel.revision.name}`);
    kernel.trace.recorder = (event) => this.#event(event);
  }

  ended(): void {
    const { kernel } = this.#system as Booting;
    kernel.trace.recorder = undefined;
    if (this.#request.at.some((step) => step >= this.total)) this.#left = this.#state();
    this.#note(() => `kernel ${kernel.generation} ends: ${kernel.state}`);
  }

  called({ task, process }: Thread, verb: Verb, name: string | undefined): void {
    this.#note(() => `${task.id} ${process.name} calls ${verb}${quoted(name)}`);
  }

  answered({ task, process }: Thread, verb: Verb, name: string | undefined, result: number): void {
    this.#note(() => `${task.id} ${process.name}: ${verb}${quoted(name)} answers ${errnoName(result)}`);
  }

  broken(violation: Violation): void {
    this.found.push({ ...violation, step: this.total - 1 });
    this.#note(() => `law ${violation.law} is broken: ${violation.text}`);
  }

  #event(event: TraceEvent): void {
    this.#noteDepartures();
    const step = this.total;
    const wanted = this.#isWanted(step);
    this.total++;
    if (!wanted && !this.#isListed(step)) return;
    const told = this.#tell(step, event);
    this.notes = [];
    if (this.#isListed(step)) this.events.push(told);
    if (!wanted) return;
    const before = this.#left === undefined ? [] : [this.#left];
    this.states.push({ event: told, kernels: [...before, this.#state()] });
  }

  #tell(step: number, event: TraceEvent): StepEvent {
    const system = this.#system as Booting;
    const { kernel } = system;
    return {
      step,
      generation: kernel.generation,
      task: event.task,
      taskName: kernel.sched.current.name,
      time: kernel.machine.cpus.current.now(),
      fn: functionName(event.fn),
      words: eventWords(event, system),
      notes: this.notes,
    };
  }

  #state(): KernelStateReport {
    const processes = Array.from(this.#processes.values(), ([process]) => process);
    return kernelState(this.#system as Booting, processes);
  }

  #note(text: () => string): void {
    this.#noteDepartures();
    if (this.#isListed(this.total) || this.#isWanted(this.total)) this.notes.push(text());
  }

  /** Decisions tell nobody; what was decided since the last look is noted now. */
  #noteDepartures(): void {
    const { departures } = (this.#system as Booting).kernel.machine.decisions;
    if (departures.length === this.#departures) return;
    const since = departures.slice(this.#departures);
    this.#departures = departures.length;
    if (!this.#isListed(this.total) && !this.#isWanted(this.total)) return;
    for (const { point, occurrence, choice } of since) {
      this.notes.push(`decided at ${point} occurrence ${occurrence}: ${choice}`);
    }
  }

  #isWanted(step: number): boolean {
    return this.#request.at.includes(step);
  }

  #isListed(step: number): boolean {
    const { from, count } = this.#request;
    return step >= from && step < from + count;
  }
}

const quoted = (name: string | undefined): string => (name === undefined ? '' : ` ${JSON.stringify(name)}`);
