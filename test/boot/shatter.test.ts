/*
 * Shattered memory: which pages stay, what is left in one piece, and that nothing else has changed.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import manySessions from '../../scenarios/many_sessions.ts';
import { Decisions } from '../../sim/base/decisions.ts';
import { order, type Pfn, pagesOf, pfn, pfnOf } from '../../sim/base/units.ts';
import type { System } from '../../sim/boot/boot.ts';
import { LONG_LIVED, wholePieces } from '../../sim/boot/shatter.ts';
import { checkOwnership } from '../../sim/check/frames.ts';
import { Violations } from '../../sim/check/violation.ts';
import { run } from '../../sim/explore/run.ts';
import { APRIL_V1_P1, REVISIONS, V6_19, V7_3 } from '../../sim/kernel/revisions.ts';
import { type BootParams, machineParamsError } from '../../sim/machine/machine.ts';
import { UNMOVABLE } from '../../sim/machine/pageblock.ts';
import { runs } from '../support/seed.ts';
import { bootOn, jump, MIB, machineFor } from '../support/system.ts';

const PIECE = 16;

/** Frames that somebody keeps for ever, ascending. */
function longLived({ kernel: { frames } }: System): number[] {
  const found: number[] = [];
  for (let at = 0; at < frames.nr; at++) {
    const frame = pfn(at);
    if (frames.isAllocatedHead(frame) && frames.ownerName(frames.ownerOf(frame)) === LONG_LIVED)
      found.push(at);
  }
  return found;
}

/** Free pieces outside of scratch, counted frame by frame. */
function countedPieces({ kernel: { buddy, frames }, kho }: System): number {
  const inScratch = (at: number): boolean =>
    kho.scratch.some(({ start, bytes }) => at >= pfnOf(start) && at * 4096 < start + bytes);
  let pieces = 0;
  for (let at = 0; at < frames.nr; at += PIECE) {
    const all = Array.from({ length: PIECE }, (_, k) => (at + k) as Pfn);
    if (!inScratch(at) && all.every((frame) => buddy.isFree(frame))) pieces++;
  }
  return pieces;
}

const machines = fc.record({
  ramBytes: fc.constantFrom(16, 32, 36, 48).map((mib) => mib * MIB),
  nodes: fc.constantFrom(1, 2),
  seed: fc.string(),
  revision: fc.constantFrom(V6_19, APRIL_V1_P1, V7_3),
});

const booted = (
  { revision, ...machine }: { ramBytes: number; nodes: number; seed: string; revision: typeof V7_3 },
  fragmentedPercent: number,
): System => bootOn(machineFor({ ...machine, fragmentedPercent }), { revision });

const isMachine = (machine: { ramBytes: number; nodes: number }): boolean =>
  machineParamsError({ ...machine, cpus: 1 }) === undefined;

describe('shattered memory', () => {
  it('lacks one page of so many percent of its pieces, none of scratch, and nothing else', () => {
    fc.assert(
      fc.property(machines.filter(isMachine), fc.integer({ min: 0, max: 100 }), (machine, percent) => {
        const before = booted(machine, 0);
        const after = booted(machine, percent);
        const pieces = countedPieces(before);
        expect(wholePieces(before.kernel)).toBe(pieces);
        const kept = longLived(after);
        expect(kept.length).toBe(Math.round((pieces * percent) / 100));
        expect(new Set(kept.map((frame) => Math.floor(frame / PIECE))).size).toBe(kept.length);
        for (const frame of kept) expect(before.kernel.buddy.isFree(frame as Pfn)).toBe(true);
        expect(countedPieces(after)).toBe(pieces - kept.length);
        expect(wholePieces(after.kernel)).toBe(pieces - kept.length);
        expect(after.kernel.buddy.nrFree).toBe(before.kernel.buddy.nrFree - kept.length);
        expect(after.kernel.machine.cpus.steps).toEqual(before.kernel.machine.cpus.steps);
        const violations = new Violations();
        checkOwnership(after, violations, true);
        expect(violations.all).toEqual([]);
      }),
      { numRuns: runs(12) },
    );
  });

  it('has its holes anywhere: in all of memory, at every place of a piece', () => {
    const system = bootOn(machineFor({ ramBytes: 128 * MIB, fragmentedPercent: 50 }));
    const kept = longLived(system);
    for (let place = 0; place < PIECE; place++) {
      const here = kept.filter((frame) => frame % PIECE === place).length;
      expect(here / kept.length, `place ${place}`).toBeGreaterThan(1 / PIECE / 2);
    }
    const middle = system.kernel.frames.nr / 2;
    const low = kept.filter((frame) => frame < middle).length;
    expect(Math.abs(low / kept.length - 0.5)).toBeLessThan(0.15);
  });

  it('is refused blocks of 16 pages where every piece lacks one, and none of up to 8', () => {
    const { kernel } = bootOn(machineFor({ ramBytes: 32 * MIB, fragmentedPercent: 100 }));
    const owner = kernel.frames.owner('slab:test');
    expect(kernel.buddy.alloc(order(4), UNMOVABLE, 0, owner)).toBe(-1);
    for (const o of [3, 2, 1, 0]) {
      const block = kernel.buddy.alloc(order(o), UNMOVABLE, 0, owner);
      expect(block % pagesOf(order(o))).toBe(0);
    }
  });

  it('is the same for the same seed, another for another, and comes back from its departure', () => {
    const pattern = (decisions: Decisions): number[] => {
      const machine = machineFor({ ramBytes: 32 * MIB, fragmentedPercent: 30 });
      machine.decisions = decisions;
      return longLived(bootOn(machine));
    };
    const decisions = Decisions.seeded('1');
    const first = pattern(decisions);
    expect(pattern(Decisions.seeded('1'))).toEqual(first);
    expect(pattern(Decisions.seeded('2'))).not.toEqual(first);
    expect(decisions.departures.map(({ point }) => point)).toEqual(['alloc_pages:long-lived pages']);
    expect(pattern(Decisions.replay(decisions.departures))).toEqual(first);
  });

  it('draws from a stream of its own: leftovers are what they were', () => {
    const departures = [0, 50].map((fragmentedPercent) => {
      const machine = machineFor({ fragmentedPercent });
      jump(bootOn(machine));
      return machine.decisions.departures.filter(({ point }) => point.startsWith('machine_kexec'));
    });
    expect(departures[0]).not.toEqual([]);
    expect(departures[1]).toEqual(departures[0]);
  });

  it('is in no digest but that of a machine that has it', () => {
    const digest = (fragmentedPercent: number): string =>
      bootOn(machineFor({ fragmentedPercent })).kernel.digest();
    expect(digest(0)).toBe(bootOn(machineFor()).kernel.digest());
    expect(digest(1)).not.toBe(digest(0));
  });

  it('is of the first kernel alone: the one after finds its memory whole, taken over or booted cold', () => {
    for (const next of [APRIL_V1_P1, V7_3]) {
      const machine = machineFor({ ramBytes: 32 * MIB, fragmentedPercent: 80 });
      const params = jump(bootOn(machine)) as BootParams;
      const second = bootOn(machine, { revision: next, generation: 1, params });
      expect(second.kernel.bootKind).toBe(next === APRIL_V1_P1 ? 'handover' : 'rejected');
      expect(longLived(second)).toEqual([]);
      expect(wholePieces(second.kernel)).toBeGreaterThan(300);
    }
  });

  it('goes with a rollback, and comes again', () => {
    const machine = machineFor({ ramBytes: 32 * MIB, fragmentedPercent: 40 });
    const mark = machine.mark();
    const [first, again] = [0, 1].map(() => {
      machine.decisions = Decisions.seeded('1');
      const system = bootOn(machine);
      const seen = {
        kept: longLived(system),
        pieces: wholePieces(system.kernel),
        digest: system.kernel.digest(),
      };
      machine.rollback(mark);
      return seen;
    });
    expect(first?.kept.length).toBeGreaterThan(100);
    expect(again).toEqual(first);
  });
});

it.each(REVISIONS.map(({ name }) => name))('%s keeps all laws on shattered memory', (revision) => {
  for (const [sessions, percent] of [
    [60, 100],
    [900, 90],
  ] as const) {
    const program = manySessions({ revisions: [revision], generations: 3, sessions, pattern: 's%d' });
    const machine = machineFor({ ramBytes: 64 * MIB, fragmentedPercent: percent });
    const result = run({ machine, seed: '1', decisions: Decisions.seeded('1'), program });
    machine.dispose();
    expect(result.violations).toEqual([]);
    expect(result.machine.fragmentedPercent).toBe(percent);
    expect(result.generations.map(({ bootKind }) => bootKind)).toEqual(['cold', 'handover', 'handover']);
    expect(result.generations[1]?.freePieces).toBeGreaterThan(result.generations[0]?.freePieces ?? 0);
  }
});

it('a machine has a whole percentage of memory shattered, and no more than 64 GiB', () => {
  const error = (fragmentedPercent: number, gib = 1): string | undefined =>
    machineParamsError({ ramBytes: gib * 2 ** 30, nodes: 1, cpus: 1, fragmentedPercent });
  expect([error(0), error(100), error(100, 64), error(0, 65)]).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  for (const wrong of [-1, 101, 0.5, Number.NaN]) expect(error(wrong)).toMatch(/0 to 100/);
  expect(error(1, 65)).toMatch(/at most 64 GiB/);
});
