/*
 * The price lists against what real kernels took: golden/k734-timing.json and k7113-timing.json, in instructions of an
 * emulated guest, which is what profile icount prices.
 */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Decisions } from '../../sim/base/decisions.ts';
import { longestBlackout, priceOf } from '../../sim/explore/blackout.ts';
import type { ActionReport, RunResult } from '../../sim/explore/result.ts';
import { run } from '../../sim/explore/run.ts';
import { DRAM, ICOUNT, PROFILES, SOURCES } from '../../sim/kernel/cost.ts';
import { Cpus, STEP, STEP_KINDS, type StepKind } from '../../sim/machine/cpu.ts';
import type { Action, Program, Verb } from '../../sim/user/program.ts';
import { MIB, machineFor } from '../support/system.ts';

interface Timing {
  readonly create: readonly { readonly n: number; readonly last: number }[];
  readonly 'dup of first': number;
  readonly open_deserialize: number;
  readonly retrieve_all: number;
  readonly close_all: number;
  readonly reboot_syscall_to_starting_new_kernel_us: number;
  readonly jump_to_init2: number;
}

const timing = (file: string, tag: string): Timing =>
  JSON.parse(readFileSync(new URL(`../golden/${file}`, import.meta.url), 'utf8'))[tag];

/** What the caller of the measured program took beside its ioctl, to make a name: create_total less the ioctls. */
const CALLER = 1_040;

/** Sessions 0 .. n-1 through one update, as the measured program did it; the last create is an action of its own. */
function measured(revision: string, n: number): RunResult {
  const names = (first: number, count: number) => ({ pattern: 'session-%d', first, count });
  const leave: Action[] = [{ do: 'load' }, { do: 'reboot' }];
  const all = names(0, n);
  const program: Program = {
    generations: [
      {
        revision,
        stages: [
          [
            {
              process: 'p',
              actions: [
                { do: 'open' },
                { do: 'create', names: names(0, n - 1) },
                { do: 'create', names: names(n - 1, 1) },
                { do: 'create', names: names(0, 1) },
                ...leave,
              ],
            },
          ],
        ],
      },
      {
        revision,
        stages: [
          [
            {
              process: 'p',
              actions: [{ do: 'open' }, { do: 'retrieve', names: all }, { do: 'close', names: all }],
            },
          ],
        ],
      },
    ],
  };
  const machine = machineFor({ ramBytes: 256 * MIB });
  const result = run({ machine, seed: '1', decisions: Decisions.none(), program });
  machine.dispose();
  return result;
}

const nsOf = ({ from, to }: ActionReport): number => (to.seconds - from.seconds) * 1e9 + to.ns - from.ns;

function actions(result: RunResult, generation: number, verb: Verb): ActionReport[] {
  return result.generations[generation]?.actions.filter((action) => action.verb === verb) ?? [];
}

describe.each([
  ['v7.3', 'k734-timing.json', 'ti1000', 1000],
  ['v7.3', 'k734-timing.json', 'ti2000', 2000],
] as const)('icount on %s (%s, %s)', (revision, file, tag, n) => {
  const golden = timing(file, tag);
  const result = measured(revision, n);
  const [, last, refused] = actions(result, 0, 'create') as [ActionReport, ActionReport, ActionReport];

  const within = (predicted: number, real: number, percent: number): void => {
    expect(Math.abs(predicted - real) / real, `predicted ${predicted}, real ${real}`).toBeLessThan(
      percent / 100,
    );
  };

  it('predicts the last create, the refused one, open, retrieve and close within 10 %', () => {
    within(nsOf(last), golden.create.find((row) => row.n === n)?.last ?? 0, 10);
    expect(refused.result).toBe('EEXIST');
    within(nsOf(refused), golden['dup of first'], 10);
    const [open] = actions(result, 1, 'open') as [ActionReport];
    within(nsOf(open), golden.open_deserialize, 10);
    const [retrieve] = actions(result, 1, 'retrieve') as [ActionReport];
    within(nsOf(retrieve) + n * CALLER, golden.retrieve_all, 10);
    const [close] = actions(result, 1, 'close') as [ActionReport];
    within(nsOf(close), golden.close_all, 10);
  });

  it('predicts the reboot and the boot', () => {
    const [reboot] = actions(result, 0, 'reboot') as [ActionReport];
    within(nsOf(reboot), golden.reboot_syscall_to_starting_new_kernel_us * 1000, 5);
    const booted = result.generations[1]?.bootedAt ?? { seconds: 0, ns: 0 };
    within(booted.seconds * 1e9 + booted.ns, golden.jump_to_init2, 1);
  });
});

it('predicts creates and the first open of 7.1.13 within 10 %', () => {
  const golden = timing('k7113-timing.json', 't71');
  for (const { n, last } of golden.create) {
    const predicted = nsOf(actions(measured('v7.1', n), 0, 'create')[1] as ActionReport);
    expect(Math.abs(predicted - last) / last, `create ${n}: ${predicted}, real ${last}`).toBeLessThan(0.1);
  }
  const [open] = actions(measured('v7.1', 819), 1, 'open') as [ActionReport];
  expect(Math.abs(nsOf(open) - golden.open_deserialize) / golden.open_deserialize).toBeLessThan(0.1);
});

describe('price lists', () => {
  it('price every kind of step in whole nanoseconds, and say where each comes from', () => {
    for (const { nsPerStep } of PROFILES) {
      expect(Object.keys(nsPerStep).sort()).toEqual([...STEP_KINDS].sort());
      for (const price of Object.values(nsPerStep)) expect(Number.isInteger(price) && price >= 0).toBe(true);
    }
    for (const kind of STEP_KINDS) expect(SOURCES[kind]).not.toBe('');
    expect(STEP_KINDS.map((kind) => STEP[kind])).toEqual([...STEP_KINDS.keys()]);
  });

  it('let memory be slow under dram only', () => {
    expect([ICOUNT.nsPerStep.miss, DRAM.nsPerStep.miss]).toEqual([0, 90]);
  });

  it('come to the same as the clock of one CPU, for any steps', () => {
    const steps = fc.record(
      Object.fromEntries(STEP_KINDS.map((kind) => [kind, fc.nat({ max: 2 ** 31 - 1 })])) as Record<
        StepKind,
        fc.Arbitrary<number>
      >,
    );
    fc.assert(
      fc.property(steps, fc.constantFrom(...PROFILES), (taken, profile) => {
        const cpus = new Cpus(1, profile);
        for (const kind of STEP_KINDS) {
          // The boot of a kernel is charged once.
          const n = kind === 'boot' ? 1 : taken[kind];
          cpus.charge(STEP[kind], n);
        }
        expect(priceOf({ ...taken, boot: 1 }, profile)).toEqual(cpus.current.now());
      }),
    );
  });
});

it('adds a blackout up from reboot, boot and first open, as the clocks do', () => {
  const result = measured('v7.3', 100);
  const blackout = longestBlackout(result.generations);
  const [reboot] = actions(result, 0, 'reboot') as [ActionReport];
  const [open] = actions(result, 1, 'open') as [ActionReport];
  const booted = result.generations[1]?.bootedAt.ns ?? 0;
  expect(blackout?.open.times[ICOUNT.name]).toEqual({ seconds: 0, ns: nsOf(reboot) + nsOf(open) + booted });
  expect(blackout?.open.steps.hop).toBe((100 * 99) / 2);
  expect(blackout?.usable.steps.hop).toBe((100 * 99) / 2 + (100 * 101) / 2);
  expect(longestBlackout(result.generations.slice(0, 1))).toBeUndefined();
});
