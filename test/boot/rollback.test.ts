import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Decisions } from '../../sim/base/decisions.ts';
import type { Pfn } from '../../sim/base/units.ts';
import type { System } from '../../sim/boot/boot.ts';
import { REVISIONS } from '../../sim/kernel/revisions.ts';
import type { BootParams, Machine } from '../../sim/machine/machine.ts';
import { Caller } from '../support/caller.ts';
import { bootOn, jump, MIB, machineFor } from '../support/system.ts';

type Step = { readonly do: 'create' | 'close'; readonly n: number } | { readonly do: 'update' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constantFrom('create' as const, 'close' as const), n: fc.nat(9) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'update' as const }) },
);

/** Takes a system through steps, over jumps; returns the last system. */
function live(system: System, steps: readonly Step[]): System {
  let user = new Caller(system);
  user.open();
  const fds = new Map<number, number>();
  for (const action of steps) {
    if (action.do === 'update') {
      const params = jump(user.system) as BootParams;
      const { machine, generation } = user.system.kernel;
      user = new Caller(bootOn(machine, { generation: generation + 1, params }));
      user.open();
      fds.clear();
    } else if (action.do === 'create') {
      const fd = user.create(`s${action.n}`);
      if (fd >= 0) fds.set(action.n, fd);
    } else {
      user.close(fds.get(action.n) ?? 99);
      fds.delete(action.n);
    }
  }
  return user.system;
}

/** All that can be seen of machine and kernel. */
function view(machine: Machine, { kernel }: System): unknown {
  const frames: string[] = [];
  for (let f = 0; f < machine.params.ramBytes / 4096; f++) {
    const use = kernel.buddy.useOf(f as Pfn);
    if (use !== 'allocated') frames.push(use);
    else frames.push(`${kernel.buddy.blockOf(f as Pfn)}`);
  }
  const pages: [number, string][] = [];
  for (const page of machine.ram.dirtyPages()) {
    const bytes = machine.ram.loadBytes(page * 4096, 4096);
    if (bytes.some((byte) => byte !== 0)) pages.push([page, Buffer.from(bytes).toString('base64')]);
  }
  return { frames, pages, digest: kernel.digest(), log: kernel.log.lines };
}

describe('mark and rollback', () => {
  it('return machine and kernel to what they were, whatever happened since, over jumps too', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 20 }),
        fc.array(step, { maxLength: 20 }),
        fc.array(step, { maxLength: 20 }),
        fc.constantFrom(0, 70),
        (before, between, after, fragmentedPercent) => {
          const withoutUpdate = before.filter((action) => action.do !== 'update');
          const params = { ramBytes: 16 * MIB, fragmentedPercent };
          const [machine, reference] = [0, 1].map(() => machineFor(params)) as [Machine, Machine];
          const [system, other] = [machine, reference].map((m) => {
            const booted = bootOn(m);
            live(booted, withoutUpdate);
            return booted;
          }) as [System, System];
          const mark = machine.mark();
          const seen = view(machine, system);
          for (let round = 0; round < 2; round++) {
            machine.decisions = Decisions.seeded(`round ${round}`);
            const last = live(system, between);
            machine.rollback(mark);
            if (last !== system) last.kernel.dispose();
            expect(view(machine, system)).toEqual(seen);
          }
          // And it goes on as if nothing had been.
          machine.decisions = Decisions.seeded('after');
          reference.decisions = Decisions.seeded('after');
          const end = live(system, after);
          const expected = live(other, after);
          expect(view(machine, end)).toEqual(view(reference, expected));
        },
      ),
      { numRuns: 12 },
    );
  });

  it.each(REVISIONS.map((revision) => [revision.name, revision] as const))(
    'before the first open, give the sessions to every next one: %s',
    (_name, revision) => {
      const user = new Caller(bootOn(machineFor(), { revision }));
      user.open();
      for (let i = 0; i < 5; i++) user.create(`s${i}`);
      const params = jump(user.system) as BootParams;
      const { machine } = user.system.kernel;
      const next = new Caller(bootOn(machine, { revision, generation: 1, params }));
      const mark = machine.mark();
      for (let round = 0; round < 3; round++) {
        const fd = next.open();
        expect(fd).toBeGreaterThan(0);
        expect(next.system.luo.sessions.incoming.count).toBe(5);
        for (let i = 0; i < 5; i++) expect(next.retrieve(`s${i}`)).toBe(fd + 1 + i);
        machine.rollback(mark);
        expect(next.system.luo.sessions.incoming.count).toBe(0);
      }
    },
  );
});
