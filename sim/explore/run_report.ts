/*
 * What a run tells of each kernel: read off the system, of which nothing changes.
 */
import { pagesOf } from '../base/units.ts';
import type { System } from '../boot/boot.ts';
import { wholePieces } from '../boot/shatter.ts';
import { type Cpus, STEP_KINDS, type VirtualTime } from '../machine/cpu.ts';
import { latest } from './action_log.ts';
import type { ActionReport, GenerationReport, HandoverReport } from './result.ts';

export interface Generation {
  readonly system: System;
  readonly booted: Booted;
  readonly handover: HandoverReport | undefined;
  readonly actions: readonly ActionReport[];
  /** Pages of the name indexes when they were largest. */
  readonly indexPages: number;
}

/** A kernel that has done its last. */
export function generationReport({
  system,
  booted,
  handover,
  actions,
  indexPages: known,
}: Generation): GenerationReport {
  const { kernel, kho, luo, vfs } = system;
  const { cpus } = kernel.machine;
  return {
    revision: kernel.revision.name,
    release: kernel.revision.release,
    bootKind: kernel.bootKind,
    state: kernel.state,
    bootedAt: booted.at,
    bootSteps: booted.steps,
    endedAt: latest(cpus),
    scratchBytes: kho.scratch.reduce((sum, { bytes }) => sum + bytes, 0),
    freePages: kernel.buddy.nrFree,
    freePieces: wholePieces(kernel),
    fileMax: vfs.fileMax,
    nameIndexPages: Math.max(known, indexPages(system)),
    liveupdateNum: luo.liveupdateNum,
    actions: actions,
    incomingSessions: luo.sessions.incoming.count,
    outgoingSessions: luo.sessions.outgoing.count,
    handover,
    steps: stepsOf(cpus),
    warnings: kernel.log.warnings,
    oopses: kernel.log.oopses,
    dmesg: kernel.log.lines.map(
      ({ time, text }) => `[${String(time.seconds).padStart(5)}.${dmesgMicros(time.ns)}] ${text}`,
    ),
    events: kernel.trace.events,
    digest: kernel.digest(),
  };
}

/** What a kernel that is about to jump hands over. */
export function handoverReport(system: System): HandoverReport {
  const plan = system.kexec.plan();
  const blocksByOrder: number[] = [];
  let preservedPages = 0;
  const tracker = system.kexec.handsOver ? system.kho.out.tracker : undefined;
  tracker?.walk((_address, order) => {
    blocksByOrder[order] = (blocksByOrder[order] ?? 0) + 1;
    preservedPages += pagesOf(order);
    return 0;
  });
  const regions = tracker === undefined ? [] : system.luo.sessions.store.regions();
  return {
    fdtPhys: plan.fdtPhys,
    scratchPhys: plan.scratchPhys,
    storeRegions: regions.map(({ address, order }) => ({ phys: address, pages: pagesOf(order) })),
    blocksByOrder: Array.from(blocksByOrder, (blocks) => blocks ?? 0),
    preservedPages,
    trackerPages: tracker?.nodes().length ?? 0,
  };
}

/** When a kernel had booted, and what that took. */
export interface Booted {
  readonly at: VirtualTime;
  readonly steps: Readonly<Record<string, number>>;
}

/** Pages of both name indexes. */
export const indexPages = ({ luo: { sessions } }: System): number =>
  sessions.outgoing.indexPages + sessions.incoming.indexPages;

/** Steps of every kind so far. */
export const stepsOf = ({ steps }: Cpus): Record<string, number> =>
  Object.fromEntries(STEP_KINDS.map((kind, i) => [kind, steps[i] as number]));

const dmesgMicros = (ns: number): string => String(Math.floor(ns / 1000)).padStart(6, '0');
