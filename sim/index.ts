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
export { type Blackout, longestBlackout, type Priced, priceOf } from './explore/blackout.ts';
export {
  type CompareRow,
  type Comparison,
  compare,
  type Growth,
} from './explore/compare.ts';
export { FileProblem, Replacement, readPieces } from './explore/host_file.ts';
export { type Plan, type PlanLimit, type PlanParams, plan } from './explore/plan.ts';
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
export type { Memory, Shattered, ShatteredRun } from './explore/shattered.ts';
export { type SimulateOptions, simulate } from './explore/simulate.ts';
export { PROFILES, profileByName, SOURCES } from './kernel/cost.ts';
export {
  FUNCTION_STATUSES,
  type FunctionStatus,
  type MapAnswer,
  type MappedFunction,
  type MapQuery,
  type Place,
  queryMap,
} from './kernel/kernel_map.ts';
export {
  NAME_INDEXES,
  type Parts,
  parseRevision,
  REVISIONS,
  type Revision,
  withNameIndex,
  withPatches,
} from './kernel/revisions.ts';
export { type CostProfile, STEP_KINDS, type StepKind } from './machine/cpu.ts';
export { Machine, type MachineParams, machineParamsError } from './machine/machine.ts';
export { PiecePool } from './machine/pool.ts';
export { longestNameBytes, type Names, NUMBERS_MAX, plainName } from './user/names.ts';
export type { Action, GenerationProgram, Program, TaskProgram, Verb } from './user/program.ts';
