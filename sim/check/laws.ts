/*
 * Which laws run when, over the kernels of one run:
 *
 *   checkBooted       early-allocation, ownership, stamp, leak (growth), no-warning
 *   checkQuiescence   list-matches-acknowledged, ownership, chain, committed-memory, leak (objects), no-warning
 *   checkAtJump       ownership, chain, committed-memory, handover, leak (growth)
 *   checkFinished     leak (what is left, growth): the last kernel of the run, if everything is finished and closed
 *
 * What is checked in full takes as long as there is much. A program of many stages leaves a quiescence out, where there
 * is very much and little was done since the last (isDue): what all of its checks take grows with its calls, and not
 * with their square.
 *
 * Laws that follow each call are the model's (model.ts), those of a device's first open in preservation.ts.
 */
import type { System } from '../boot/boot.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { KHO_EXTENDED_SCRATCH } from '../kernel/patches.ts';
import { STEP } from '../machine/cpu.ts';
import type { Process } from '../user/process.ts';
import type { GenerationProgram } from '../user/program.ts';
import type { Census } from './census.ts';
import { checkChain } from './chain.ts';
import { checkCommitted } from './committed.ts';
import { checkOwnership, following, talliesByOwner } from './frames.ts';
import { type Crossing, checkHandover, checkStamps } from './handover.ts';
import { checkLeft, checkObjects, checkTransient, Growth, isFinished } from './leak.ts';
import { checkOutgoing, type PreservationParts } from './preservation.ts';
import type { Violations } from './violation.ts';

/** An action as it went, without its times. */
export interface Deed {
  readonly process: string;
  readonly verb: string;
  readonly calls: number;
  readonly result: string;
}

/** Objects of slabs up to which no quiescence is left out; of more, no more are looked at than calls were made. */
const FEW = 2 ** 18;

export class Laws {
  readonly #parts: PreservationParts;
  readonly #growth: Growth;
  /** What the last kernel preserved; undefined where it left nothing to find. */
  #crossing: Crossing | undefined;

  readonly #few: number;
  /** System calls that this kernel had served when a quiescence was checked last. */
  #served = 0;
  /** What was counted when a quiescence was checked last, and what all CPUs had done then. */
  #counted: { readonly system: System; readonly census: Census; readonly done: string } | undefined;

  /** `few`: objects up to which no quiescence is left out. */
  constructor(parts: PreservationParts, few: number = FEW) {
    this.#parts = parts;
    this.#few = few;
    this.#growth = new Growth(parts.violations);
  }

  /** What an earlier kernel preserved that nobody watched. */
  expect(crossing: Crossing | undefined): void {
    this.#crossing = crossing;
  }

  /** From now on: writes to preserved memory, and frees of what is not to be freed. */
  watch({ kernel }: System): void {
    const { violations } = this.#parts;
    kernel.machine.ram.onWildWrite = ({ pfn }) =>
      violations.add('wild-write', `frame 0x${pfn.toString(16)} was written before it was restored`);
    kernel.buddy.onBadFree = (what, pfn) => {
      kernel.warn(`Bad page state: ${what} of frame 0x${pfn.toString(16)}`);
    };
  }

  /** A kernel has booted, no task has run. */
  checkBooted(system: System): void {
    const { violations } = this.#parts;
    this.#served = 0;
    checkEarlyAllocations(system, violations);
    const census = checkOwnership(system, violations, true);
    checkStamps(system, census, this.#crossing, violations);
    this.#growth.booted(system, census, this.#crossing);
    checkLog(system, violations);
  }

  /** Whether a quiescence that others follow is to be checked. */
  isDue({ kernel }: System): boolean {
    const objects = kernel.slabs.reduce((sum, { live }) => sum + live, 0);
    const calls = callsOf(kernel) - this.#served;
    // Fewer than before: this kernel was rolled back since.
    return objects <= this.#few || calls < 0 || calls >= objects;
  }

  /** No task lives. `ordered`: no two created sessions at once, so acknowledgement and insertion came in the same order. */
  checkQuiescence(system: System, processes: Iterable<Process>, ordered: boolean): void {
    const { model, violations } = this.#parts;
    const { table, outgoing } = system.luo.sessions;
    this.#served = callsOf(system.kernel);
    following(violations, 'list-matches-acknowledged', () => {
      checkOutgoing(this.#parts, table, outgoing, ordered);
    });
    const census = this.#checkMemory(system);
    this.#counted = { system, census, done: doneBy(system.kernel) };
    if (isSettled(system)) checkObjects(system, processes, model, violations);
    checkLog(system, violations);
  }

  /** The reboot hook succeeded; this kernel runs no more. */
  checkAtJump(system: System, program: GenerationProgram, deeds: readonly Deed[]): void {
    const census = this.#checkMemory(system);
    this.#growth.ended(system, census, comparable(program, deeds));
    this.#crossing = checkHandover(system, this.#parts.violations);
  }

  /** The last kernel has done all that it was to do, and does not jump. */
  checkFinished(system: System, program: GenerationProgram, deeds: readonly Deed[]): void {
    if (system.kernel.state !== 'running' || !isSettled(system)) return;
    const { violations } = this.#parts;
    const census = this.#countedOf(system) ?? checkOwnership(system, violations, true);
    this.#growth.ended(system, census, comparable(program, deeds));
    if (isFinished(system)) checkLeft(system, census, this.#crossing, violations);
  }

  /** The census of the last quiescence, where nothing was done since: memory is as it was, and its laws were checked. */
  #countedOf(system: System): Census | undefined {
    const counted = this.#counted;
    return counted?.system === system && counted.done === doneBy(system.kernel) ? counted.census : undefined;
  }

  #checkMemory(system: System): Census {
    const { violations } = this.#parts;
    const settled = isSettled(system);
    const census = checkOwnership(system, violations, settled);
    const tallies = talliesByOwner(system.kernel, census);
    checkChain(system, tallies, settled, violations);
    if (settled) checkTransient(tallies, violations);
    following(violations, 'committed-memory', () => checkCommitted(system, violations));
    return census;
  }
}

const callsOf = ({ machine }: Kernel): number => machine.cpus.steps[STEP.syscall] as number;

/** Steps of every kind: a call that did anything has added to one. */
const doneBy = ({ machine }: Kernel): string => machine.cpus.steps.join();

/** No task stands in the middle of a call: all have returned, but for the one whose reboot(2) never does. */
export function isSettled({ kernel }: System): boolean {
  const { tasks, boot } = kernel.sched;
  const unfinished = tasks.filter((task) => task !== boot && task.state !== 'finished').length;
  return unfinished <= (kernel.state === 'rebooting' ? 1 : 0);
}

/** Until memory is handed out, a handover boot may use scratch only: the rest may be preserved. */
function checkEarlyAllocations({ kernel, kho, memblock }: System, violations: Violations): void {
  if (kernel.bootKind !== 'handover') return;
  for (const { range } of memblock.allocations) {
    const inside = kho.scratch.some(({ start, bytes }) => range.start >= start && range.end <= start + bytes);
    const extended = kernel.has(KHO_EXTENDED_SCRATCH) && memblock.isScratch(range);
    if (inside || extended) continue;
    const where = `[0x${range.start.toString(16)}, 0x${range.end.toString(16)})`;
    violations.add('early-allocation', `${where} was allocated outside of scratch`);
  }
}

function checkLog({ kernel: { log } }: System, violations: Violations): void {
  if (log.warnings === 0 && log.oopses === 0) return;
  const line = log.lines.find(({ text }) => text.startsWith('WARNING') || text.startsWith('BUG'));
  violations.add('no-warning', line?.text ?? '');
}

/** What was done, where doing the same again takes the same memory: tasks one at a time, and no random test data. */
function comparable({ stages }: GenerationProgram, deeds: readonly Deed[]): string | undefined {
  const alone = stages.every((stage) => stage.length === 1);
  if (!alone || deeds.some(({ verb }) => verb === 'kho-test')) return undefined;
  const went = deeds.map(({ process, verb, calls, result }) => [process, verb, calls, result]);
  return JSON.stringify([stages, went]);
}
