/*
 * How much memory may be promised: the limit, who may go how near to it, and what the counter is good for.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { System } from '../../sim/boot/boot.ts';
import { OVERCOMMIT_ALWAYS, OVERCOMMIT_GUESS, OVERCOMMIT_NEVER } from '../../sim/kernel/overcommit.ts';
import { runs } from '../support/seed.ts';
import { bootOn, MIB, machineFor } from '../support/system.ts';

const booted = (ramBytes = 32 * MIB, cpus = 1): System => bootOn(machineFor({ ramBytes, cpus }));

describe('the limit', () => {
  it('is half of memory at boot, and what was written last', () => {
    const { overcommit, kernel } = booted();
    const { managed } = kernel.buddy;
    expect([overcommit.policy, overcommit.limit]).toEqual([OVERCOMMIT_GUESS, Math.floor(managed / 2)]);
    expect([overcommit.setRatio(150), overcommit.limit]).toEqual([0, Math.floor(managed * 1.5)]);
    expect([overcommit.setKbytes(1027), overcommit.limit]).toEqual([0, 256]);
    expect([overcommit.setRatio(1), overcommit.limit]).toEqual([0, Math.floor(managed / 100)]);
    // Either takes the other away: nothing is left of both.
    expect([overcommit.setKbytes(0), overcommit.limit]).toEqual([0, 0]);
  });

  it('takes no policy that there is not, nor a ratio that is no int', () => {
    const { overcommit } = booted();
    const before = overcommit.capture();
    expect([overcommit.setPolicy(3), overcommit.setRatio(2 ** 31)]).toEqual([-22, -22]);
    expect(overcommit.capture()).toEqual(before);
  });

  it.each([
    [32 * MIB, 2 ** 13, 2 ** 17],
    [1024 * MIB, 2 ** 13, 2 ** 17],
    [8192 * MIB, 2 ** 13, 2 ** 17],
  ])('keeps something from nobody, and from who has much mapped: %i bytes of RAM', (ram, admin, user) => {
    const { overcommit, kernel } = booted(ram);
    const { limit } = overcommit;
    const share = (kernel.buddy.nrFree * 4) / 32;
    const kept = (most: number): number => Math.min(share, most) / 4;
    // Boot has taken some pages since memory was counted.
    const near = (pages: number, expected: number): void =>
      expect(Math.abs(pages - expected)).toBeLessThan(100 + kernel.buddy.managed / 100);
    expect(overcommit.allowed(true, 31)).toBe(limit);
    expect(overcommit.allowed(true, 320)).toBe(limit - 10);
    near(limit - overcommit.allowed(false, 0), kept(admin));
    near(limit - overcommit.allowed(true, 2 ** 40), kept(user));
    if (ram > 512 * MIB) expect(limit - overcommit.allowed(false, 0)).toBe(admin / 4);
    if (ram > 4096 * MIB) expect(limit - overcommit.allowed(true, 2 ** 40)).toBe(user / 4);
  });
});

describe('a promise', () => {
  it('is refused by the heuristic where it alone is larger than memory', () => {
    const { overcommit, kernel } = booted();
    const { managed } = kernel.buddy;
    const enough = (pages: number): boolean => overcommit.enough(pages, false, 0);
    expect([enough(managed), enough(managed + 1), enough(managed)]).toEqual([true, false, true]);
    expect(overcommit.committed).toBe(2 * managed);
    overcommit.setPolicy(OVERCOMMIT_ALWAYS);
    expect([enough(9 * managed), overcommit.committed]).toEqual([true, 11 * managed]);
    overcommit.setPolicy(OVERCOMMIT_NEVER);
    expect([enough(1), overcommit.committed]).toEqual([false, 11 * managed]);
    expect(kernel.log.lines.at(-1)?.text).toBe(
      '__vm_enough_memory: comm: boot, bytes: 4096 not enough memory for the allocation',
    );
  });

  it('stays below the limit, and is held against what CPUs have added: by batches of 32 pages', () => {
    const { overcommit } = booted();
    overcommit.setKbytes(4 * 64);
    overcommit.setPolicy(OVERCOMMIT_NEVER);
    const page = (): boolean => overcommit.enough(1, true, 0);
    for (let i = 0; i < 63; i++) expect([i, page()]).toEqual([i, true]);
    expect([page(), overcommit.committed]).toEqual([false, 63]);
    overcommit.setKbytes(4 * 65);
    // Pages 64 to 95 are the CPU's own until there are 32 of them.
    for (let i = 63; i < 95; i++) expect([i, page()]).toEqual([i, true]);
    expect([page(), overcommit.committed]).toEqual([false, 95]);
    // A write of the policy brings all CPUs up to date.
    overcommit.setPolicy(OVERCOMMIT_NEVER);
    overcommit.unaccount(31);
    expect([page(), overcommit.committed]).toEqual([false, 64]);
    overcommit.unaccount(2);
    expect([page(), overcommit.committed]).toEqual([true, 63]);
  });

  it('counts in batches of a 256th of memory where that is more, and of what one CPU has of it', () => {
    const { overcommit, kernel } = booted(1024 * MIB, 4);
    overcommit.setPolicy(OVERCOMMIT_NEVER);
    expect(overcommit.lag).toBe(4 * Math.floor(Math.floor(kernel.buddy.managed / 4) / 256));
  });

  const step = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        pages: fc.oneof(fc.nat(40), fc.nat(9000)),
        capable: fc.boolean(),
        mapped: fc.nat(9000),
      }),
    },
    { weight: 3, arbitrary: fc.record({ back: fc.nat(200) }) },
    { weight: 1, arbitrary: fc.record({ policy: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ ratio: fc.nat(120) }) },
    { weight: 1, arbitrary: fc.record({ kbytes: fc.nat(30_000) }) },
  );

  it('is counted, or refused and not counted; and a mark brings everything back', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60, size: 'max' }),
        fc.array(step, { maxLength: 30 }),
        (steps, others) => {
          const { overcommit, kernel } = booted(16 * MIB);
          let committed = 0;
          const take = (all: typeof steps): void => {
            for (const one of all) {
              if ('policy' in one) overcommit.setPolicy(one.policy);
              else if ('ratio' in one) overcommit.setRatio(one.ratio);
              else if ('kbytes' in one) overcommit.setKbytes(one.kbytes);
              else if ('back' in one) {
                const pages = Math.min(one.back, committed);
                overcommit.unaccount(pages);
                committed -= pages;
              } else {
                const granted = overcommit.enough(one.pages, one.capable, one.mapped);
                const wanted = committed + one.pages;
                if (granted) committed = wanted;
                const { policy, lag } = overcommit;
                if (policy === OVERCOMMIT_NEVER) {
                  const allowed = overcommit.allowed(one.capable, one.mapped);
                  if (granted) expect(wanted).toBeLessThan(allowed + lag);
                  else expect(wanted).toBeGreaterThan(allowed - lag);
                } else
                  expect(granted).toBe(policy === OVERCOMMIT_ALWAYS || one.pages <= kernel.buddy.managed);
              }
              expect(overcommit.committed).toBe(committed);
            }
          };
          take(steps);
          const before = overcommit.capture();
          const mark = kernel.machine.mark();
          const at = committed;
          take(others);
          kernel.machine.rollback(mark);
          committed = at;
          expect(overcommit.capture()).toEqual(before);
          take(others);
        },
      ),
      { numRuns: runs(60) },
    );
  });
});
