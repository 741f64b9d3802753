/*
 * Assertions of the simulator about itself. A failed assertion is a fault in luosim, not a finding about the
 * modelled kernel: it is never shrunk and never reported as a violation (exit code 70).
 *
 * A constant, as are functions of sim/base/words.ts: who calls a declared function first looks whether it is still that.
 */

/** A defect of the simulator itself. Nothing but the command line catches it. */
export class SimulatorFault extends Error {
  override readonly name = 'SimulatorFault';
}

export const assert: (condition: boolean, message: string) => asserts condition = (condition, message) => {
  if (!condition) throw new SimulatorFault(message);
};

export function unreachable(message: string): never {
  throw new SimulatorFault(message);
}
