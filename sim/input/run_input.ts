/*
 * The input of a run as plain data. Nothing else decides what happens: the same input is the same run, everywhere.
 *
 *   without departures   decisions are drawn from the seed; faults arm points that may fail
 *   with departures      decisions take their default but where a departure says otherwise; faults are among them
 */
import type { Departure, Fault } from '../base/decisions.ts';
import type { MachineParams } from '../machine/machine.ts';
import type { Program } from '../user/program.ts';

/** Bytes of RAM that change between the jump of a kernel and the boot of the next. */
export interface Corruption {
  /** The kernel that jumped. */
  readonly generation: number;
  readonly phys: number;
  /** What stands there then, two hexadecimal digits a byte. */
  readonly bytes: string;
}

export interface RunInput {
  readonly machine: MachineParams;
  /** Name of the price list. */
  readonly profile: string;
  /** What is not decided otherwise is drawn from it, random test data too. */
  readonly seed: string;
  readonly program: Program;
  readonly faults?: readonly Fault[];
  readonly departures?: readonly Departure[];
  readonly corruptions?: readonly Corruption[];
}
