/*
 * A run from plain data: machine and decisions are made here; memory may come from a RAM file, and go to one.
 *
 *   kernel 0 .. g   run as the input says: agents, oracles and decisions get to where the file was saved
 *   jump of g       RAM and the two addresses become the file's
 *   kernel g+1 ..   boot from that and go on
 *
 * Corruptions are written when leftovers are decided, in their order. A file that is saved has those of its jump in it,
 * and what a file holds is not corrupted again.
 */
import { assert } from '../base/assert.ts';
import { Decisions } from '../base/decisions.ts';
import type { Phys } from '../base/units.ts';
import type { Corruption, RunInput } from '../input/run_input.ts';
import { profileByName } from '../kernel/cost.ts';
import { type BootParams, Machine } from '../machine/machine.ts';
import { PiecePool } from '../machine/pool.ts';
import type { OnProgress } from './progress.ts';
import { encodeRamFile, placeRamFile, type RamFile } from './ram_file.ts';
import type { RunResult } from './result.ts';
import { type Jump, run, type Watcher } from './run.ts';

export interface SimulateOptions {
  /** Memory of one jump; its header is the input of the run. */
  readonly boot?: RamFile;
  /** Is given the RAM file of the last jump; not called where no kernel jumps. */
  readonly save?: (pieces: Iterable<Uint8Array>) => void;
  /** Told of every jump. */
  readonly onJump?: (generation: number) => void;
  readonly onProgress?: OnProgress;
  /** Host memory of earlier runs, to be used again; its own otherwise. */
  readonly pool?: PiecePool;
  /** Looks on; where memory is to be saved, perhaps twice. */
  readonly watcher?: Partial<Watcher>;
}

/** The result, or why the RAM file cannot be resumed from, to be said after its name. */
export function simulate(input: RunInput, options: SimulateOptions = {}): RunResult | string {
  assert(options.boot === undefined || options.boot.header === input, 'a RAM file resumes its own run');
  const planned = input.program.generations.length - 2;
  const result = attempt(input, options, planned);
  if (options.save === undefined || typeof result === 'string') return result;
  // A run may end before its last jump, which is known afterwards only.
  const last = result.generations.findLastIndex(({ handover }) => handover !== undefined);
  return last === -1 || last === planned ? result : attempt(input, options, last);
}

function attempt(input: RunInput, options: SimulateOptions, saveAt: number): RunResult | string {
  const { boot, save, onJump, onProgress, watcher } = options;
  const profile = profileByName(input.profile);
  assert(profile !== undefined, `no profile ${input.profile}`);
  const machine = new Machine(input.machine, profile, options.pool ?? new PiecePool(), Decisions.none());
  const resumed = new Resumption(boot);
  const atJump = (jump: Jump): BootParams => {
    corrupt(jump, input.corruptions ?? []);
    const params = resumed.at(jump);
    if (jump.generation === saveAt) save?.(encodeRamFile(input, { ...jump, params }));
    onJump?.(jump.generation);
    return params;
  };
  try {
    const { seed, program } = input;
    const watched = watcher === undefined ? {} : { watcher };
    const decisions = decisionsOf(input);
    const result = run({ machine, seed, decisions, program, atJump, onProgress, ...watched });
    return resumed.error() ?? result;
  } finally {
    machine.dispose();
  }
}

function decisionsOf({ seed, faults, departures }: RunInput): Decisions {
  return departures === undefined ? Decisions.seeded(seed, faults) : Decisions.replay(departures);
}

/** Writes what of the list belongs to this jump. */
function corrupt({ generation, params }: Jump, corruptions: readonly Corruption[]): void {
  for (const { generation: at, phys, bytes } of corruptions) {
    if (at !== generation) continue;
    const pairs = bytes.match(/../g) ?? [];
    params.ram.storeBytes(
      phys,
      Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16)),
    );
  }
}

/** Puts the file's memory in place at its jump, once the run has got there. */
class Resumption {
  readonly #file: RamFile | undefined;
  #reached: string | undefined;

  constructor(file: RamFile | undefined) {
    this.#file = file;
  }

  at({ generation, digest, params }: Jump): BootParams {
    const file = this.#file;
    if (file === undefined || generation !== file.header.generation) return params;
    this.#reached = digest;
    if (digest !== file.header.digest) return params;
    placeRamFile(file, params.ram);
    const { fdtPhys, scratchPhys } = file.header;
    return { ram: params.ram, fdtPhys: fdtPhys as Phys, scratchPhys: scratchPhys as Phys };
  }

  error(): string | undefined {
    if (this.#file === undefined || this.#reached === this.#file.header.digest) return undefined;
    const here = this.#reached === undefined ? 'ends before' : `has digest ${this.#reached}`;
    const { generation, digest } = this.#file.header;
    return (
      `was saved by a luosim that simulates otherwise: at the jump of kernel ${generation} its run had digest ` +
      `${digest}, here it ${here}; save it again with this version`
    );
  }
}
