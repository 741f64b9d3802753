/*
 * Steps of a run and the state of its kernels at one of them, as plain data: for reports and JSON.
 *
 *   step    a trace event, numbered over all kernels of the run from 0
 *   state   what the kernel that runs is made of when it writes the event, often in the middle of an operation, and what
 *           the kernel before left when it jumped
 *
 * Lists are cut at LISTED_MAX; how many there are is said beside them.
 */
import type { KernelState } from '../kernel/kernel.ts';
import type { RunResult, Time, Violation } from './result.ts';

/** Entries of a list that a state keeps. */
export const LISTED_MAX = 1000;

export interface EventWord {
  readonly name: string;
  readonly value: number;
  /** As a person reads it: a session's name, an errno, an address. */
  readonly text: string;
}

export interface StepEvent {
  readonly step: number;
  readonly generation: number;
  /** 0 is the boot context. */
  readonly task: number;
  readonly taskName: string;
  /** Of the CPU that it runs on. */
  readonly time: Time;
  /** Kernel function. */
  readonly fn: string;
  readonly words: readonly EventWord[];
  /** What happened since the event before, beside what is a step: calls and answers, decisions, boots and jumps. */
  readonly notes: readonly string[];
}

export interface LockReport {
  readonly lock: string;
  /** Which of many: a session's name; absent where there is one. */
  readonly row?: string;
  /** Absent where a holder holds it alone anyway. */
  readonly mode?: 'read' | 'write';
}

export interface TaskReport {
  readonly id: number;
  readonly name: string;
  readonly cpu: number;
  readonly state: 'runs' | 'runnable' | 'blocked' | 'finished' | 'dead';
  /** The point where it gave way; absent for a task that runs, has not run or has ended. */
  readonly point?: string;
  /** Oldest first. */
  readonly holds: readonly LockReport[];
  readonly waitsFor?: LockReport & { readonly heldBy: readonly string[] };
}

export interface SessionReport {
  readonly name: string;
  readonly retrieved: boolean;
}

export interface ListReport {
  readonly name: 'outgoing' | 'incoming';
  /** As the kernel counts. */
  readonly count: number;
  readonly sessions: readonly SessionReport[];
  /** Why the walk ended early: a link that leads nowhere. */
  readonly broken?: string;
}

/** A block of a session store, its header as it stands in RAM. */
export interface BlockReport {
  readonly phys: number;
  readonly count: number;
  /** Absent where blocks are not linked. */
  readonly next?: number;
}

export interface StoreReport {
  readonly blocks: number;
  readonly pagesPerBlock: number;
  readonly listed: readonly BlockReport[];
}

export interface MemoryReport {
  readonly freePages: number;
  /** Allocated blocks, by the name of their owner. */
  readonly owners: readonly { readonly owner: string; readonly blocks: number; readonly pages: number }[];
  /** Handed over, and not restored yet. */
  readonly stampedPages: number;
}

export interface TrackerReport {
  /** Preserved blocks by order, from order 0. */
  readonly blocksByOrder: readonly number[];
  readonly preservedPages: number;
  /** The tracker's own pages. */
  readonly nodes: number;
}

export interface ProcessReport {
  readonly name: string;
  readonly alive: boolean;
  /** Descriptors taken, standard streams and reserved ones with them. */
  readonly open: number;
  readonly descriptors: readonly { readonly fd: number; readonly file: string }[];
}

export interface KernelStateReport {
  readonly generation: number;
  readonly revision: string;
  readonly state: KernelState;
  /** By CPU. */
  readonly clocks: readonly Time[];
  readonly tasks: readonly TaskReport[];
  readonly lists: readonly ListReport[];
  readonly store?: StoreReport;
  /** What the kernel before left of its store; absent once it is freed. */
  readonly incomingStore?: StoreReport;
  readonly memory: MemoryReport;
  readonly tracker?: TrackerReport;
  readonly processes: readonly ProcessReport[];
  /** What could not be read. */
  readonly problems: readonly string[];
}

export interface StateReport {
  readonly event: StepEvent;
  /** The kernel before as it left, if there was one, and the kernel that runs. */
  readonly kernels: readonly KernelStateReport[];
}

/** A law was found broken behind a step, -1 for before the first. */
export interface BrokenAt extends Violation {
  readonly step: number;
}

export interface StepsReport {
  /** Steps of the whole run. */
  readonly total: number;
  /** Those asked for. */
  readonly events: readonly StepEvent[];
  readonly states: readonly StateReport[];
  readonly broken: readonly BrokenAt[];
  /** What happened behind the last step of the run, if that is listed. */
  readonly rest: readonly string[];
  readonly result: RunResult;
}
