/*
 * What a live update of so many sessions and files will take, for whoever sizes one: times and memory as foretold
 * (forecast.ts, file_forecast.ts), and the limits on the way. Those are limits of the modelled system: descriptors, struct files, memory, blocks of the
 * session store; and, where that is asked for, how far memory may be shattered (shattered.ts).
 */
import { assert } from '../base/assert.ts';
import { NR_OPEN, PAGE_SIZE, RAM_BYTES_MAX } from '../base/limits.ts';
import { pagesOf } from '../base/units.ts';
import { capacityOf, type FileShape, fileShapeOf, type StoreShape, shapeOf } from '../check/store_shape.ts';
import type { RunInput } from '../input/run_input.ts';
import { type Revision, revisionByName } from '../kernel/revisions.ts';
import { type Priced, priced, type Steps } from './blackout.ts';
import { FileForecast, type PhaseOfFiles, type Spread } from './file_forecast.ts';
import { Forecast, type Sample, sampleOf, type UpdateMemory, type UpdatePhase } from './forecast.ts';
import type { GenerationReport, RunResult, Violation } from './result.ts';
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
  /** Files in them, as evenly as they go: memfds of a page that is written to. */
  readonly files: number;
  /** Of the machine that is planned for, a multiple of 4 MiB; the samples run on one of their own. */
  readonly ramBytes: number;
  readonly fragmentedPercent: number;
  /** Revisions of which to say how far memory may be shattered. */
  readonly shatteredRevisions: readonly string[];
  /** Descriptors that a process keeps for itself: standard streams and the device. */
  readonly ownDescriptors: number;
  /** An update of so much, created in one kernel and retrieved in the next, on a machine with such memory. */
  readonly inputOf: (revision: string, spread: Spread, memory: Memory) => RunInput;
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
  readonly files: number;
  readonly create: Priced;
  /** Of every file. */
  readonly preserve: Priced;
  /** Reboot, boot, first open. */
  readonly blackout: Priced;
  /** With every retrieve, of sessions and of files. */
  readonly usable: Priced;
  /** Bytes that sessions and files take, once created and once retrieved; and all bytes that cross the jump. */
  readonly bytesCreated: number;
  readonly bytesCrossing: number;
  readonly bytesRetrieved: number;
  readonly limits: readonly PlanLimit[];
  readonly shattered: readonly Shattered[];
  /** Sessions of the runs that this rests on, and of the one that it was checked with. */
  readonly samples: readonly number[];
  readonly checkedWith: number;
  readonly residualPercent: number;
  /** The same of what files add; undefined where there are none. */
  readonly ofFiles:
    | { readonly samples: readonly Spread[]; readonly checkedWith: Spread; readonly residualPercent: number }
    | undefined;
  /** Of those runs. */
  readonly violations: readonly Violation[];
}

/** The samples' machine: room enough for all of them. */
const SAMPLE_MEMORY: Memory = { ramBytes: 2 ** 28, fragmentedPercent: 0 };

const EMPTY: Spread = { sessions: 0, files: 0 };

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
    const { revision, sessions, files, ramBytes, fragmentedPercent } = this.#params;
    const forecast = this.#forecast(revision);
    const ofFiles = files === 0 ? undefined : this.#fileForecast(revision);
    const steps = (...phases: (UpdatePhase & PhaseOfFiles)[]): Steps[] =>
      phases.flatMap((phase) => [forecast.steps(phase, sessions), added(phase)]);
    const added = (phase: PhaseOfFiles): Steps => ofFiles?.steps(phase, { sessions, files }) ?? {};
    const pages = (what: UpdateMemory): number => pagesOfAll(what, forecast, ofFiles)({ sessions, files });
    const blackout = steps('reboot', 'open');
    return {
      schemaVersion: PLAN_SCHEMA_VERSION,
      revision,
      ramBytes,
      fragmentedPercent,
      sessions,
      files,
      create: priced([forecast.steps('create', sessions)]),
      preserve: priced([added('preserve')]),
      blackout: priced(blackout),
      usable: priced([...blackout, forecast.steps('retrieve', sessions), added('retrieve-fd')]),
      bytesCreated: pages('created') * PAGE_SIZE,
      bytesCrossing: pages('crossing') * PAGE_SIZE,
      bytesRetrieved: pages('retrieved') * PAGE_SIZE,
      limits: this.#limits(pages('created')),
      shattered: this.#params.shatteredRevisions.map((name) => this.#shattered(name, forecast, ofFiles)),
      samples: forecast.sizes,
      checkedWith: forecast.checkSize,
      residualPercent: forecast.residualPercent,
      ofFiles:
        ofFiles === undefined
          ? undefined
          : {
              samples: ofFiles.samples,
              checkedWith: ofFiles.checkedWith,
              residualPercent: ofFiles.residualPercent,
            },
      violations: this.#violations,
    };
  }

  #shattered(name: string, forecast: Forecast, ofFiles: FileForecast | undefined): Shattered {
    const { revision, sessions, files, ramBytes } = this.#params;
    const own = name === revision ? forecast : this.#forecast(name);
    const itsFiles = name === revision || files === 0 ? ofFiles : this.#fileForecast(name);
    return shattered({
      revision: name,
      spread: { sessions, files },
      ramBytes,
      pagesCreated: pagesOfAll('created', own, itsFiles),
      shape: shapeOfRevision(name),
      filesMax: capacityOf(fileShapeOfRevision(name)),
      room: this.#room(name, 0),
      kernelOf: (spread, memory) => this.#firstKernel(name, spread, memory),
    });
  }

  #limits(pagesCreated: number): PlanLimit[] {
    const { revision, sessions, files, ownDescriptors, fragmentedPercent } = this.#params;
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
      ...(files === 0 ? [] : [this.#limitOfFiles()]),
      {
        what: 'descriptors of one process (fs.nr_open)',
        needed: sessions + files + ownDescriptors,
        available: NR_OPEN,
        beyond: `EMFILE: spread over ${Math.ceil((sessions + files) / (NR_OPEN - ownDescriptors))} processes`,
      },
      {
        what: 'struct files (fs.file-max)',
        needed: sessions + files,
        available: fileMax,
        beyond: 'ENFILE, unless the caller has CAP_SYS_ADMIN',
      },
      {
        what: 'pages of memory outside of scratch',
        needed: pagesCreated,
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

  #limitOfFiles(): PlanLimit {
    const { revision, sessions, files } = this.#params;
    const available = capacityOf(fileShapeOfRevision(revision));
    return { what: 'files of one session', needed: Math.ceil(files / sessions), available, beyond: 'ENOSPC' };
  }

  #fileForecast(revision: string): FileForecast {
    const update = (spread: Spread): Sample =>
      sampleOf(this.#run(this.#params.inputOf(revision, spread, SAMPLE_MEMORY)), spread.sessions);
    return new FileForecast(update, fileShapeOfRevision(revision));
  }

  #forecast(revision: string): Forecast {
    const update = (sessions: number): RunResult =>
      this.#run(this.#params.inputOf(revision, { sessions, files: 0 }, SAMPLE_MEMORY));
    return new Forecast(update, capacityOf(shapeOfRevision(revision)));
  }

  /** Measured on a machine of that size; where none can be so large, in proportion. */
  #room(revision: string, fragmentedPercent: number): Room {
    const { ramBytes } = this.#params;
    const measured = Math.min(ramBytes, RAM_BYTES_MAX);
    const room = roomOf(this.#firstKernel(revision, EMPTY, { ramBytes: measured, fragmentedPercent }));
    const scale = ramBytes / measured;
    return {
      pages: Math.floor(room.pages * scale),
      pieces: Math.floor(room.pieces * scale),
      fileMax: Math.floor(room.fileMax * scale),
    };
  }

  #firstKernel(revision: string, spread: Spread, memory: Memory): GenerationReport {
    const input = this.#params.inputOf(revision, spread, memory);
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

/** Pages that sessions and their files take, by how many there are. */
const pagesOfAll =
  (what: UpdateMemory, forecast: Forecast, ofFiles: FileForecast | undefined) =>
  (spread: Spread): number =>
    forecast.pages(what, spread.sessions) + (ofFiles?.pages(what, spread) ?? 0);

const shapeOfRevision = (name: string): StoreShape => shapeOf(walking(name).parts.sessionStore);
const fileShapeOfRevision = (name: string): FileShape => fileShapeOf(walking(name).parts.fileStore);

function walking(name: string): Revision {
  const revision = revisionByName(name);
  assert(revision?.parts.nameIndex === 'list-scan', `${name} is a revision that walks its list`);
  return revision;
}
