/*
 * What a live update of so many sessions will take, for whoever sizes one: extrapolated from whole updates of a few
 * hundred or thousand sessions of the very same kernels, never guessed.
 *
 *   samples    four updates; steps of every kind, and bytes, as a + b n + c n^2 through the first three
 *   residual   how far the fourth lies from what the three foretell
 *   misses     as many as names compared from the session on that makes the list larger than the cache; samples fit it
 *
 * Limits on the way are those of the modelled system: descriptors, struct files, blocks of the session store, and memory
 * in blocks of the size that the store takes.
 */
import { assert } from '../base/assert.ts';
import { CACHE_BYTES, NR_FILE, NR_OPEN, PAGE_SIZE } from '../base/limits.ts';
import { type Revision, revisionByName } from '../kernel/revisions.ts';
import { KHO_BLOCK_SIZE, KHO_MAX_BLOCKS } from '../kho/abi.ts';
import { LUO_MAX_BLOCKS, LUO_SESSION_BYTES } from '../luo/abi.ts';
import { SESSION_BYTES } from '../luo/session_table.ts';
import { STEP_KINDS, type StepKind } from '../machine/cpu.ts';
import { longestBlackout, type Priced, priced, type Steps } from './blackout.ts';
import { sessionCapacity } from './compare.ts';
import type { RunInput } from './run_input.ts';
import { simulate } from './simulate.ts';

export const PLAN_SCHEMA_VERSION = 1;

export interface PlanParams {
  readonly revision: string;
  readonly sessions: number;
  /** Of the machine that is planned for; the samples run on one of their own. */
  readonly ramBytes: number;
  /** Descriptors that a process keeps for itself: standard streams and the device. */
  readonly ownDescriptors: number;
  /** An update of so many sessions, created in one kernel and retrieved in the next. */
  readonly inputOf: (sessions: number) => RunInput;
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
  readonly sessions: number;
  readonly create: Priced;
  /** Reboot, boot, first open. */
  readonly blackout: Priced;
  /** With every retrieve. */
  readonly usable: Priced;
  /** Bytes that the sessions take: once created, across the jump, and once retrieved. */
  readonly bytesCreated: number;
  readonly bytesCrossing: number;
  readonly bytesRetrieved: number;
  readonly limits: readonly PlanLimit[];
  /** Sessions of the runs that this rests on, the last being the check. */
  readonly samples: readonly number[];
  readonly residualPercent: number;
}

/** The store's blocks are filled whole, so that a partly filled last one does not blur the slope. */
const SAMPLES: readonly number[] = [819, 1638, 3276, 6552];

interface Sample {
  readonly n: number;
  readonly create: Steps;
  readonly blackout: Steps;
  readonly usable: Steps;
  readonly created: number;
  readonly crossing: number;
  readonly retrieved: number;
}

export function plan(params: PlanParams): Plan {
  const { sessions, ramBytes } = params;
  const revision = revisionByName(params.revision);
  assert(revision !== undefined, `no revision ${params.revision}`);
  const largest = Math.min(sessionCapacity(revision), SAMPLES.at(-1) as number);
  const sizes = SAMPLES.map((n) => Math.ceil((n * largest) / (SAMPLES.at(-1) as number)));
  const samples = sizes.map((n) => sampleOf(params.inputOf(n), n));
  const basis = samples.slice(0, -1);
  const check = samples.at(-1) as Sample;
  const create = foretold(basis, ({ create }) => create, sessions);
  const blackout = foretold(basis, ({ blackout }) => blackout, sessions);
  const usable = foretold(basis, ({ usable }) => usable, sessions);
  const bytes = (of: (sample: Sample) => number): number => {
    // What is there without a session is not theirs.
    const at = (n: number): number =>
      through(
        basis.map((sample) => [sample.n, of(sample)]),
        n,
      );
    return Math.max(0, Math.round(at(sessions) - at(0)));
  };
  return {
    schemaVersion: PLAN_SCHEMA_VERSION,
    revision: revision.name,
    ramBytes,
    sessions,
    create: priced([create]),
    blackout: priced([blackout]),
    usable: priced([usable]),
    bytesCreated: bytes(({ created }) => created),
    bytesCrossing: bytes(({ crossing }) => crossing),
    bytesRetrieved: bytes(({ retrieved }) => retrieved),
    limits: limitsOf(params, revision),
    samples: sizes,
    residualPercent: residual(basis, check),
  };
}

function sampleOf(input: RunInput, n: number): Sample {
  const result = simulate(input);
  assert(typeof result !== 'string', 'nothing is resumed');
  const [before, after] = result.generations;
  const blackout = longestBlackout(result.generations);
  assert(before !== undefined && after !== undefined && blackout !== undefined, 'a sample is a whole update');
  const used = (freePages: number): number => input.machine.ramBytes - freePages * PAGE_SIZE;
  const creates = before.actions.filter(({ verb }) => verb === 'create');
  return {
    n,
    create: priced(creates.map(({ steps }) => steps)).steps,
    blackout: blackout.open.steps,
    usable: blackout.usable.steps,
    created: used(before.freePages),
    crossing: (before.handover?.preservedPages ?? 0) * PAGE_SIZE,
    retrieved: used(after.freePages),
  };
}

/** Steps at `n`, every kind through the samples; misses are known otherwise. */
function foretold(samples: readonly Sample[], of: (sample: Sample) => Steps, n: number): Steps {
  const steps: Partial<Record<StepKind, number>> = {};
  for (const kind of STEP_KINDS) {
    const value = through(
      samples.map((sample) => [sample.n, of(sample)[kind] ?? 0]),
      n,
    );
    if (value > 0) steps[kind] = Math.round(value);
  }
  const cached = Math.floor(CACHE_BYTES / SESSION_BYTES);
  const hops = steps.hop ?? 0;
  // Of the walks over 0, 1, 2 ... n-1 sessions those over more than the cache holds.
  const inCache = through(
    samples.map((sample) => [sample.n, of(sample).hop ?? 0]),
    Math.min(n, cached),
  );
  if (hops > inCache) steps.miss = Math.round(hops - inCache);
  return steps;
}

/** The value at `x` of the parabola through three points. */
function through(points: readonly (readonly [number, number])[], x: number): number {
  const [[x0, y0], [x1, y1], [x2, y2]] = points as [[number, number], [number, number], [number, number]];
  const slope01 = (y1 - y0) / (x1 - x0);
  const slope12 = (y2 - y1) / (x2 - x1);
  const bend = (slope12 - slope01) / (x2 - x0);
  return y0 + (x - x0) * (slope01 + bend * (x - x1));
}

/** How far the figures of a run lie from what smaller ones foretell, the worst of them, in percent. */
function residual(samples: readonly Sample[], check: Sample): number {
  const parts = [
    ({ create }: Sample): Steps => create,
    ({ blackout }: Sample): Steps => blackout,
    ({ usable }: Sample): Steps => usable,
  ];
  let worst = 0;
  for (const of of parts) {
    const real = priced([of(check)]).times;
    for (const [profile, time] of Object.entries(priced([foretold(samples, of, check.n)]).times)) {
      const ns = (t: { seconds: number; ns: number } | undefined): number =>
        (t?.seconds ?? 0) * 1e9 + (t?.ns ?? 0);
      worst = Math.max(worst, Math.abs(ns(time) / ns(real[profile]) - 1));
    }
  }
  return Math.round(worst * 10_000) / 100;
}

function limitsOf({ sessions, ramBytes, ownDescriptors }: PlanParams, revision: Revision): PlanLimit[] {
  const { sessionStore } = revision.parts;
  const capacity = sessionCapacity(revision);
  const chained = sessionStore !== 'array-16';
  const blockBytes = sessionStore === 'block-set-1' ? KHO_BLOCK_SIZE : LUO_SESSION_BYTES;
  const maxBlocks = sessionStore === 'block-set-1' ? KHO_MAX_BLOCKS : LUO_MAX_BLOCKS;
  const perBlock = chained ? capacity / maxBlocks : capacity;
  const blocks = Math.max(Math.ceil(sessions / perBlock), sessionStore === 'block-set-1' ? 0 : 1);
  return [
    {
      what: 'sessions',
      needed: sessions,
      available: capacity,
      beyond: chained ? 'ENOSPC' : 'ENOMEM',
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
      available: Math.max(Math.floor(ramBytes / 1024 / 10), NR_FILE),
      beyond: 'ENFILE, unless the caller has CAP_SYS_ADMIN',
    },
    {
      what: `blocks of ${blockBytes / PAGE_SIZE} pages in one piece`,
      needed: blocks,
      available: Math.floor(ramBytes / blockBytes),
      beyond: 'ENOMEM',
    },
  ];
}
