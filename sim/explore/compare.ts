/*
 * One program over designs and sizes: what each design costs, where its limits are, and how it grows.
 *
 *   row      a design at a size: creates, blackout, memory, as steps and as time by every profile
 *   growth   time of a phase over the sizes of a design, as n^exponent: least squares of the logarithms, and how far the
 *            worst size lies from the fit
 */
import { assert } from '../base/assert.ts';
import { type Order, pagesOf } from '../base/units.ts';
import { capacityOf, shapeOf } from '../check/store_shape.ts';
import { PROFILES } from '../kernel/cost.ts';
import { type Parts, type Revision, revisionByName } from '../kernel/revisions.ts';
import { type Blackout, longestBlackout, nsOf, type Priced, priced } from './blackout.ts';
import type { RunResult, Violation } from './result.ts';

export const COMPARE_SCHEMA_VERSION = 1;

/** What is compared: the name index of a revision. */
export interface CompareRow {
  readonly revision: string;
  readonly nameIndex: Parts['nameIndex'];
  readonly sessions: number;
  /** Sessions that were created, and what ended the creating. */
  readonly created: number;
  readonly result: string;
  readonly create: Priced;
  readonly blackout: Blackout | undefined;
  /** Pages that the name index has beside the sessions, in the kernel where it has most. */
  readonly indexPages: number;
  /** What crossed: blocks by order, and pages in all. */
  readonly blocksByOrder: readonly number[];
  readonly preservedPages: number;
  /** Pages of the largest block that crossed: what must be had in one piece. */
  readonly largestPages: number;
  /** Sessions that the design has room for. */
  readonly capacity: number;
  readonly violations: readonly Violation[];
  readonly digest: string;
}

export type Phase = 'create' | 'open';

export interface Growth {
  readonly revision: string;
  readonly nameIndex: Parts['nameIndex'];
  readonly phase: Phase;
  readonly profile: string;
  /** Time grows as sessions to this power. */
  readonly exponent: number;
  /** How far the worst size lies from the fit, in percent of it. */
  readonly residualPercent: number;
  /** Sizes it is fitted to. */
  readonly sizes: readonly number[];
}

export interface Comparison {
  readonly schemaVersion: typeof COMPARE_SCHEMA_VERSION;
  readonly rows: readonly CompareRow[];
  readonly growth: readonly Growth[];
}

/** What runs came to, each the same program on a design and at a size. */
export function compare(results: readonly RunResult[]): Comparison {
  const rows = results.map(rowOf);
  return { schemaVersion: COMPARE_SCHEMA_VERSION, rows, growth: growthOf(rows) };
}

function rowOf(result: RunResult): CompareRow {
  const [first] = result.generations;
  const revision = revisionByName(first?.revision ?? '');
  assert(first !== undefined && revision !== undefined, 'a run has a kernel of a known revision');
  const creates = first.actions.filter(({ verb }) => verb === 'create');
  const { blocksByOrder = [], preservedPages = 0 } = first.handover ?? {};
  return {
    revision: revision.name,
    nameIndex: revision.parts.nameIndex,
    sessions: wantedOf(result),
    created: creates.reduce((sum, { calls }) => sum + calls, 0),
    result: creates.find((action) => action.result !== 'OK')?.result ?? 'OK',
    create: priced(creates.map(({ steps }) => steps)),
    blackout: longestBlackout(result.generations),
    indexPages: Math.max(...result.generations.map(({ nameIndexPages }) => nameIndexPages)),
    blocksByOrder,
    preservedPages,
    largestPages: preservedPages === 0 ? 0 : pagesOf((blocksByOrder.length - 1) as Order),
    capacity: sessionCapacity(revision),
    violations: result.violations,
    digest: result.digest,
  };
}

/** Sessions that the store of a revision has room for. */
export const sessionCapacity = ({ parts }: Revision): number => capacityOf(shapeOf(parts.sessionStore));

/** Sessions that the program asks for. */
function wantedOf({ program }: RunResult): number {
  const actions = program.generations[0]?.stages.flat().flatMap((task) => task.actions) ?? [];
  return actions.reduce((sum, action) => sum + (action.do === 'create' ? action.names.count : 0), 0);
}

/** A fit for each design, phase and profile that has three sizes or more, all of them created whole. */
function growthOf(rows: readonly CompareRow[]): Growth[] {
  const designs = new Map<string, CompareRow[]>();
  for (const row of rows) {
    if (row.created < row.sessions || row.sessions === 0 || row.blackout === undefined) continue;
    designs.set(row.revision, [...(designs.get(row.revision) ?? []), row]);
  }
  return [...designs].flatMap(([revision, of]) => {
    const sizes = of.map(({ sessions }) => sessions);
    const { nameIndex } = of[0] as CompareRow;
    if (new Set(sizes).size < 3) return [];
    return (['create', 'open'] as const).flatMap((phase) =>
      PROFILES.map(({ name: profile }) => {
        const points = of.map((row): [number, number] => [row.sessions, phaseNs(row, phase, profile)]);
        return { revision, nameIndex, phase, profile, ...powerFit(points), sizes };
      }),
    );
  });
}

/** Of the blackout what the first open takes: reboot and boot take their time without a session, too. */
function phaseNs({ create, blackout }: CompareRow, phase: Phase, profile: string): number {
  const times = phase === 'create' ? create.times : blackout?.deserialize.times;
  const time = times?.[profile];
  assert(time !== undefined, `every phase is priced by ${profile}`);
  return nsOf(time);
}

/** Least squares of log y over log x, rounded to what every engine agrees on. */
export function powerFit(points: readonly (readonly [number, number])[]): {
  readonly exponent: number;
  readonly residualPercent: number;
} {
  const logs = points.map(([x, y]): [number, number] => [Math.log(x), Math.log(y)]);
  const mean = (of: readonly number[]): number => of.reduce((sum, v) => sum + v, 0) / of.length;
  const mx = mean(logs.map(([x]) => x));
  const my = mean(logs.map(([, y]) => y));
  const sxx = logs.reduce((sum, [x]) => sum + (x - mx) * (x - mx), 0);
  const sxy = logs.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0);
  const exponent = sxy / sxx;
  const worst = Math.max(...logs.map(([x, y]) => Math.abs(Math.exp(y - my - exponent * (x - mx)) - 1)));
  return { exponent: rounded(exponent, 1000), residualPercent: rounded(worst * 100, 10) };
}

const rounded = (value: number, unit: number): number => Math.round(value * unit) / unit;
