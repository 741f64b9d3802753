/*
 * A thousand live updates one after the other: no frame is lost to any of them, and none takes longer than the ones
 * before. Frames are counted, time is virtual: what the host takes is for whoever looks.
 */
import { expect, it } from 'vitest';
import manySessions from '../../scenarios/many_sessions.ts';
import type { GenerationReport } from '../../sim/explore/result.ts';
import { simulate } from '../../sim/explore/simulate.ts';
import { MIB } from '../support/system.ts';

const GENERATIONS = 1_000;
const SESSIONS = 200;

/** What a kernel did in steps, by action; calls and what they were answered. */
const didOf = ({ actions }: GenerationReport): unknown =>
  actions.map(({ verb, calls, result, steps }) => ({ verb, calls, result, steps }));

it.each(['v7.1', 'april-v1-p1', 'v7.3'])(
  '%s goes through 1,000 updates as through one',
  { timeout: 3_600_000 },
  (revision) => {
    const result = simulate({
      machine: { ramBytes: 32 * MIB, nodes: 1, cpus: 1 },
      profile: 'icount',
      seed: '1',
      program: manySessions({
        revisions: [revision],
        generations: GENERATIONS + 1,
        sessions: SESSIONS,
        pattern: 'many-test-%d',
      }),
    });
    if (typeof result === 'string') expect.fail(result);
    expect(result.violations).toEqual([]);
    expect(result.openLosses).toEqual([]);
    const { generations } = result;
    expect(generations).toHaveLength(GENERATIONS + 1);
    const [second, ...later] = generations.slice(1, -1) as [GenerationReport, ...GenerationReport[]];
    expect(second.liveupdateNum).toBe(1);
    expect(second.handover?.preservedPages).toBeGreaterThan(0);
    for (const [i, kernel] of later.entries()) {
      expect(kernel.bootKind).toBe('handover');
      expect(kernel.liveupdateNum).toBe(i + 2);
      // No frame more or less, in use or handed over.
      const { freePages, freePieces, scratchBytes } = kernel;
      expect({ freePages, freePieces, scratchBytes }).toEqual({
        freePages: second.freePages,
        freePieces: second.freePieces,
        scratchBytes: second.scratchBytes,
      });
      expect(kernel.handover?.preservedPages).toBe(second.handover?.preservedPages);
      expect(kernel.handover?.blocksByOrder).toEqual(second.handover?.blocksByOrder);
      expect(kernel.handover?.trackerPages).toBe(second.handover?.trackerPages);
      // No step more or less, and so no time.
      expect(kernel.bootSteps).toEqual(second.bootSteps);
      expect(didOf(kernel)).toEqual(didOf(second));
      expect(kernel.endedAt).toEqual(second.endedAt);
    }
  },
);
