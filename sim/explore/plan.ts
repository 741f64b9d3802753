/*
 * What a live update of so many sessions will take, for whoever sizes one: times and memory as foretold (forecast.ts),
 * and the limits on the way. Those are limits of the modelled system: descriptors, struct files, memory, blocks of the
 * session store; and, where that is asked for, how far memory may be shattered (shattered.ts).
 */
import { assert } from '../base/assert.ts';
import { NR_OPEN, PAGE_SIZE, RAM_BYTES_MAX } from '../base/limits.ts';
import { pagesOf } from '../base/units.ts';
import { capacityOf, type StoreShape, shapeOf } from '../check/store_shape.ts';
import { revisionByName } from '../kernel/revisions.ts';
import { type Priced, priced, type Steps } from './blackout.ts';
import { Forecast, type UpdateMemory, type UpdatePhase } from './forecast.ts';
import type { GenerationReport, RunResult, Violation } from './result.ts';
import type { RunInput } from './run_input.ts';
import {
  blocksAtBoot,
  blocksFor,
  type Memory,
  type Room,
  roomOf,
  type Shattered,
  shattered,
} from './shattered.ts';
import { simulate } from './simulate.ts';

export const PLAN_SCHEMA_VERSION = 1;

export interface PlanParams {
  readonly revision: string;
  readonly sessions: number;
  /** Of the machine that is planned for, a multiple of 4 MiB; the samples run on one of their own. */
  readonly ramBytes: number;
  readonly fragmentedPercent: number;
  /** Revisions of which to say how far memory may be shattered. */
  readonly shatteredRevisions: readonly string[];
  /** Descriptors that a process keeps for itself: standard streams and the device. */
  readonly ownDescriptors: number;
  /** An update of so many sessions, created in one kernel and retrieved in the next, on a machine with such memory. */
  readonly inputOf: (revision: string, sessions: number, memory: Memory) => RunInput;
}

export interface PlanLimit {
  readonly what: string;
  readonly needed: number;
  readonly available: number;
  /** What whoever needs more gets, or does. */
  readonly beyond: string;
}

export interface Plan {
  readonly schemaVersion: typeof PLAN_SCHEMA_VERSION;
  readonly revision: string;
  readonly ramBytes: number;
  readonly fragmentedPercent: number;
  readonly sessions: number;
  readonly create: Priced;
  /** Reboot, boot, first open. */
  readonly blackout: Priced;
  /** With every retrieve. */
  readonly usable: Priced;
  /** Bytes that the sessions take, once created and once retrieved; and all bytes that cross the jump. */
  readonly bytesCreated: number;
  readonly bytesCrossing: number;
  readonly bytesRetrieved: number;
  readonly limits: readonly PlanLimit[];
  readonly shattered: readonly Shattered[];
  /** Sessions of the runs that this rests on, and of the one that it was checked with. */
  readonly samples: readonly number[];
  readonly checkedWith: number;
  readonly residualPercent: number;
  /** Of those runs. */
  readonly violations: readonly Violation[];
}

/** The samples' machine: room enough for all of them. */
const SAMPLE_MEMORY: Memory = { ramBytes: 2 ** 28, fragmentedPercent: 0 };

export function plan(params: PlanParams): Plan {
  return new Planner(params).plan();
}

class Planner {
  readonly #params: PlanParams;
  readonly #violations: Violation[] = [];

  constructor(params: PlanParams) {
    this.#params = params;
  }

  plan(): Plan {
    const { revision, sessions, ramBytes, fragmentedPercent } = this.#params;
    const forecast = this.#forecast(revision);
    const steps = (phase: UpdatePhase): Steps => forecast.steps(phase, sessions);
    const bytes = (what: UpdateMemory): number => forecast.pages(what, sessions) * PAGE_SIZE;
    return {
      schemaVersion: PLAN_SCHEMA_VERSION,
      revision,
      ramBytes,
      fragmentedPercent,
      sessions,
      create: priced([steps('create')]),
      blackout: priced([steps('reboot'), steps('open')]),
      usable: priced([steps('reboot'), steps('open'), steps('retrieve')]),
      bytesCreated: bytes('created'),
      bytesCrossing: bytes('crossing'),
      bytesRetrieved: bytes('retrieved'),
      limits: this.#limits(forecast),
      shattered: this.#params.shatteredRevisions.map((name) =>
        shattered({
          revision: name,
          sessions,
          ramBytes,
          forecast: name === revision ? forecast : this.#forecast(name),
          shape: shapeOfRevision(name),
          room: this.#room(name, 0),
          kernelOf: (n, memory) => this.#firstKernel(name, n, memory),
        }),
      ),
      samples: forecast.sizes,
      checkedWith: forecast.checkSize,
      residualPercent: forecast.residualPercent,
      violations: this.#violations,
    };
  }

  #limits(forecast: Forecast): PlanLimit[] {
    const { revision, sessions, ownDescriptors, fragmentedPercent } = this.#params;
    const shape = shapeOfRevision(revision);
    const blockPages = pagesOf(shape.order);
    const { pages, pieces, fileMax } = this.#room(revision, fragmentedPercent);
    return [
      {
        what: 'sessions',
        needed: sessions,
        available: capacityOf(shape),
        beyond: shape.blocksMax === 1 ? 'ENOMEM' : 'ENOSPC',
      },
      {
        what: 'descriptors of one process (fs.nr_open)',
        needed: sessions + ownDescriptors,
        available: NR_OPEN,
        beyond: `EMFILE: spread over ${Math.ceil(sessions / (NR_OPEN - ownDescriptors))} processes`,
      },
      {
        what: 'struct files (fs.file-max)',
        needed: sessions,
        available: fileMax,
        beyond: 'ENFILE, unless the caller has CAP_SYS_ADMIN',
      },
      {
        what: 'pages of memory outside of scratch',
        needed: forecast.pages('created', sessions),
        available: pages,
        beyond: 'ENOMEM',
      },
      {
        what: blockPages === 1 ? 'blocks of 1 page' : `blocks of ${blockPages} pages in one piece`,
        needed: blocksFor(shape, sessions),
        available: blockPages === 1 ? pages : pieces + blocksAtBoot(shape),
        beyond: 'ENOMEM',
      },
    ];
  }

  #forecast(revision: string): Forecast {
    const update = (sessions: number): RunResult =>
      this.#run(this.#params.inputOf(revision, sessions, SAMPLE_MEMORY));
    return new Forecast(update, capacityOf(shapeOfRevision(revision)));
  }

  /** Measured on a machine of that size; where none can be so large, in proportion. */
  #room(revision: string, fragmentedPercent: number): Room {
    const { ramBytes } = this.#params;
    const measured = Math.min(ramBytes, RAM_BYTES_MAX);
    const room = roomOf(this.#firstKernel(revision, 0, { ramBytes: measured, fragmentedPercent }));
    const scale = ramBytes / measured;
    return {
      pages: Math.floor(room.pages * scale),
      pieces: Math.floor(room.pieces * scale),
      fileMax: Math.floor(room.fileMax * scale),
    };
  }

  #firstKernel(revision: string, sessions: number, memory: Memory): GenerationReport {
    const input = this.#params.inputOf(revision, sessions, memory);
    const generations = input.program.generations.slice(0, 1);
    const [first] = this.#run({ ...input, program: { generations } }).generations;
    assert(first !== undefined, 'a run has a kernel');
    return first;
  }

  #run(input: RunInput): RunResult {
    const result = simulate(input);
    assert(typeof result !== 'string', 'nothing is resumed');
    this.#violations.push(...result.violations);
    return result;
  }
}

function shapeOfRevision(name: string): StoreShape {
  const revision = revisionByName(name);
  assert(revision?.parts.nameIndex === 'list-scan', `${name} is a revision that walks its list`);
  return shapeOf(revision.parts.sessionStore);
}
