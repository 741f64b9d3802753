/*
 * What a run answers: plain data, for reports and JSON. Times are virtual, in nanoseconds of the profile named.
 */
import type { Departure, Misfit as Unfit } from '../base/decisions.ts';
import { LAWS as CHECKED, type Law as CheckedLaw, type Violation as Found } from '../check/violation.ts';
import type { BootKind, KernelState } from '../kernel/kernel.ts';
import type { MachineParams } from '../machine/machine.ts';
import type { Program, Verb } from '../user/program.ts';

export const RESULT_SCHEMA_VERSION = 1;

/** The laws, a sentence each; check is for explore alone, so it hands them on. */
export const LAWS = CHECKED;
export type Law = CheckedLaw;
export type Violation = Found;
export type Misfit = Unfit;

/** A moment or a span of virtual time. */
export interface Time {
  readonly seconds: number;
  readonly ns: number;
}

/** Result of a reboot(2) that worked. */
export const NO_RETURN = 'no return';

export interface ActionReport {
  readonly process: string;
  readonly verb: Verb;
  /** Of a kho-test. */
  readonly phase?: 'save' | 'restore';
  /** Names acted on: the first and the last, empty where the action has none. */
  readonly names: readonly string[];
  /** Calls that succeeded. */
  readonly calls: number;
  /** errno name of the call that ended the action, NO_RETURN of a reboot that jumped, OK otherwise. */
  readonly result: string;
  readonly from: Time;
  readonly to: Time;
  /** Steps of the machine in that time by kind, zeros left out; those of tasks that ran meanwhile count too. */
  readonly steps: Readonly<Record<string, number>>;
}

export interface Region {
  readonly phys: number;
  readonly pages: number;
}

/** What crossed a jump; all 0 where nothing was handed over. */
export interface HandoverReport {
  readonly fdtPhys: number;
  readonly scratchPhys: number;
  /** Session store, in chain order. */
  readonly storeRegions: readonly Region[];
  /** Preserved blocks by order, from order 0. */
  readonly blocksByOrder: readonly number[];
  readonly preservedPages: number;
  readonly trackerPages: number;
}

export interface GenerationReport {
  readonly revision: string;
  readonly release: string;
  readonly bootKind: BootKind;
  readonly state: KernelState;
  readonly bootedAt: Time;
  /** Steps until then, by kind. */
  readonly bootSteps: Readonly<Record<string, number>>;
  readonly endedAt: Time;
  readonly scratchBytes: number;
  readonly freePages: number;
  /** Pieces of 16 pages that are free and whole, outside of scratch. */
  readonly freePieces: number;
  /** fs.file-max. */
  readonly fileMax: number;
  /** The most pages that indexes of session names had: looked at after the first open, and at the end. */
  readonly nameIndexPages: number;
  readonly liveupdateNum: number;
  readonly actions: readonly ActionReport[];
  readonly incomingSessions: number;
  readonly outgoingSessions: number;
  readonly handover: HandoverReport | undefined;
  readonly steps: Readonly<Record<string, number>>;
  readonly warnings: number;
  readonly oopses: number;
  readonly dmesg: readonly string[];
  readonly events: number;
  readonly digest: string;
}

export interface RunResult {
  readonly schemaVersion: typeof RESULT_SCHEMA_VERSION;
  readonly machine: MachineParams;
  readonly profile: string;
  readonly seed: string;
  readonly program: Program;
  readonly generations: readonly GenerationReport[];
  /** Sessions lost where everybody could see it: cold boot, panic, refused open. */
  readonly openLosses: readonly string[];
  readonly violations: readonly Violation[];
  /** What the run departed from the default in: a recording that replays it. */
  readonly departures: readonly Departure[];
  /** What of the input's departures this code has no place for: then this is not the run that was recorded. */
  readonly misfits: readonly Misfit[];
  readonly digest: string;
}
