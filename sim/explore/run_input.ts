/*
 * The input of a run as plain data. Nothing else decides what happens: the same input is the same run, everywhere.
 */
import { ICOUNT } from '../kernel/cost.ts';
import type { CostProfile } from '../machine/cpu.ts';
import type { MachineParams } from '../machine/machine.ts';
import type { Program } from '../user/program.ts';

export interface RunInput {
  readonly machine: MachineParams;
  /** Name of the price list. */
  readonly profile: string;
  /** All decisions are drawn from it; no fault is armed. */
  readonly seed: string;
  readonly program: Program;
}

const PROFILES: readonly CostProfile[] = [ICOUNT];

export const profileByName = (name: string): CostProfile | undefined =>
  PROFILES.find((profile) => profile.name === name);
