/*
 * The public face of the simulator: what the command line, scenarios and reports may use.
 */
export { SimulatorFault } from './base/assert.ts';
export { Decisions, type Fault } from './base/decisions.ts';
export {
  CPUS_MAX,
  GENERATIONS_MAX,
  NODES_MAX,
  NR_OPEN,
  RAM_BYTES_MAX,
  RAM_BYTES_MIN,
  SESSION_NAME_LENGTH,
} from './base/limits.ts';
export { FileProblem, Replacement, readPieces } from './explore/host_file.ts';
export type { OnProgress, Phase, Progress } from './explore/progress.ts';
export { decodeRamFile, type RamFile, type RamFileHeader } from './explore/ram_file.ts';
export {
  type ActionReport,
  type GenerationReport,
  type HandoverReport,
  LAWS,
  type Law,
  NO_RETURN,
  type Region,
  type RunResult,
  type Time,
  type Violation,
} from './explore/result.ts';
export { type AtJump, type Jump, type RunRequest, run } from './explore/run.ts';
export type { RunInput } from './explore/run_input.ts';
export { type SimulateOptions, simulate } from './explore/simulate.ts';
export { ICOUNT } from './kernel/cost.ts';
export { parseRevision, REVISIONS, type Revision, withPatches } from './kernel/revisions.ts';
export { Machine, type MachineParams, machineParamsError } from './machine/machine.ts';
export { PiecePool } from './machine/pool.ts';
export { longestNameBytes, type Names, NUMBERS_MAX, plainName } from './user/names.ts';
export type { Action, GenerationProgram, Program, TaskProgram, Verb } from './user/program.ts';
