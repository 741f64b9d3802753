/*
 * The public face of the simulator: what the command line, scenarios and reports may use.
 */
export { SimulatorFault } from './base/assert.ts';
export { Decisions, type Departure, type Fault } from './base/decisions.ts';
export {
  CPUS_MAX,
  GENERATIONS_MAX,
  NODES_MAX,
  NR_OPEN,
  PAGE_SIZE,
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
  sessionCapacity,
} from './explore/compare.ts';
export type { Spread } from './explore/file_forecast.ts';
export { FileProblem, Replacement, readPieces, readText } from './explore/host_file.ts';
export {
  type MatrixCell,
  type MatrixJump,
  type MatrixParams,
  type MatrixResult,
  matrix,
  OUTCOMES,
  type Outcome,
} from './explore/matrix.ts';
export { type Plan, type PlanLimit, type PlanParams, plan } from './explore/plan.ts';
export type { OnProgress, Phase, Progress } from './explore/progress.ts';
export { decodeRamFile, type RamFile, type RamFileHeader } from './explore/ram_file.ts';
export {
  type ActionReport,
  type GenerationReport,
  type HandoverReport,
  LAWS,
  type Law,
  type Misfit,
  NO_RETURN,
  type Region,
  type RunResult,
  type Time,
  type Violation,
} from './explore/result.ts';
export { recordingOf, resultToken } from './explore/result_token.ts';
export { type AtJump, type Jump, type RunRequest, run } from './explore/run.ts';
export type { Memory, Shattered, ShatteredRun } from './explore/shattered.ts';
export { type SimulateOptions, simulate } from './explore/simulate.ts';
export { type Change, diffStates, lockText } from './explore/state_diff.ts';
export { type StepsRequest, watchSteps } from './explore/step.ts';
export type {
  EventWord,
  KernelStateReport,
  ListReport,
  LockReport,
  ProcessReport,
  StateReport,
  StepEvent,
  StepsReport,
  StoreReport,
  TaskReport,
} from './explore/step_report.ts';
export { type CheckedImage, type CheckImageOptions, checkImage } from './image/check_image.ts';
export { type Image, type ImageRequest, openImage } from './image/image_file.ts';
export type { ImageReport, IncomingReport, Piece } from './image/image_report.ts';
export { programError } from './input/program_json.ts';
export { printProgram } from './input/program_print.ts';
export { isTextProblem, type ParseOptions, parseProgram, type TextProblem } from './input/program_text.ts';
export type { RunInput } from './input/run_input.ts';
export {
  decodeToken,
  encodeToken,
  looksLikeToken,
  type ScenarioOptions,
  type TokenContent,
} from './input/token.ts';
export { ICOUNT, PROFILE_NAMES } from './kernel/cost.ts';
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
