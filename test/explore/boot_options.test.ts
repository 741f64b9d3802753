/*
 * Kernels under any command line, and images that carry no handover: the laws hold, or the kernel says what became of
 * it, in a panic, a cold boot, or a device that is not there.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RunResult } from '../../sim/explore/result.ts';
import { simulate } from '../../sim/explore/simulate.ts';
import type { CommandLine } from '../../sim/kernel/command_line.ts';
import { REVISIONS } from '../../sim/kernel/revisions.ts';
import { plainName } from '../../sim/user/names.ts';
import type { Action, GenerationProgram } from '../../sim/user/program.ts';

const MIB = 2 ** 20;
const ram = { pattern: 'ram', first: 0, count: 1 };
const vm = plainName('vm');
const PREPARE: readonly Action[] = [
  { do: 'open' },
  { do: 'create', names: vm },
  { do: 'memfd', names: ram, bytes: 8 * 4096 },
  { do: 'fill', names: ram, every: 512, seed: 7 },
  { do: 'preserve', names: ram, session: vm, token: 0 },
];
const TAKE_OVER: readonly Action[] = [
  { do: 'open' },
  { do: 'retrieve', names: vm },
  { do: 'retrieve-fd', names: ram, session: vm, token: 0 },
  { do: 'read', names: ram },
  { do: 'finish', names: vm },
  { do: 'close', names: vm },
  { do: 'close-file', names: ram },
  { do: 'close-device' },
];

type Leave = 'load' | 'kexec-load' | 'restart';

interface Life {
  readonly revision?: string;
  readonly ramBytes?: number;
  readonly nodes?: number;
  /** Of each kernel. */
  readonly boots: readonly (CommandLine | undefined)[];
  readonly leave?: Leave;
  readonly seed?: string;
}

function live({
  revision = 'v7.3',
  ramBytes = 64 * MIB,
  nodes = 1,
  boots,
  leave = 'load',
  seed = '1',
}: Life): RunResult {
  const last = boots.length - 1;
  const generations = boots.map((boot, i): GenerationProgram => {
    const actions = [...(i > 0 ? TAKE_OVER : []), ...(i < last ? PREPARE : [])];
    const go: Action[] = leave === 'restart' ? [{ do: 'restart' }] : [{ do: leave }, { do: 'reboot' }];
    const stages = [[{ process: 'vmm', actions }], ...(i < last ? [[{ process: 'init', actions: go }]] : [])];
    return { revision, ...(boot === undefined ? {} : { boot }), stages };
  });
  const machine = { ramBytes, nodes, cpus: 1 };
  const result = simulate({ machine, profile: 'icount', seed, program: { generations } });
  if (typeof result === 'string') throw new Error(result);
  return result;
}

const dmesg = (result: RunResult, generation: number): string =>
  (result.generations[generation]?.dmesg ?? []).join('\n');
const answers = (result: RunResult, generation: number): Record<string, string> =>
  Object.fromEntries(
    (result.generations[generation]?.actions ?? []).map(({ verb, result: said }) => [verb, said]),
  );

const booleans = fc.constantFrom('on', 'off', 'y', '0', 'maybe', '');
const sizes = fc.constantFrom('1', '4M', '10M', '24M', '40000K', '48M', '62M', '63M', '1G', '0', 'x');
const scratch = fc.constantFrom(
  '0%',
  '20%',
  '200%',
  '1000%',
  '4000000000%',
  '4M,0,0',
  '0,0,4M',
  '8M,4M,4M',
  '1T,0,0',
  '1,2',
);
const lines: fc.Arbitrary<CommandLine> = fc.record(
  { kho: booleans, liveupdate: booleans, mem: sizes, kho_scratch: scratch },
  { requiredKeys: [] },
);

describe.each(REVISIONS.map(({ name }) => name))('on %s', (revision) => {
  it('laws hold under any command lines, or the kernel says why', () => {
    fc.assert(
      fc.property(
        fc.tuple(lines, lines, lines),
        fc.constantFrom<Leave>('load', 'load', 'load', 'kexec-load', 'restart'),
        fc.constantFrom(1, 2),
        fc.nat(9),
        (boots, leave, nodes, seed) => {
          const result = live({ revision, boots, leave, nodes, seed: String(seed) });
          expect(result.violations).toEqual([]);
          for (const [i, generation] of result.generations.entries()) {
            const off = /Disabling liveupdate|Malformed|disabling kexec handover/.test(dmesg(result, i));
            const asked = Object.keys(boots[i] ?? {}).length > 0;
            const died = generation.state === 'panicked';
            if (died)
              expect(dmesg(result, i)).toMatch(/BUG: unable to handle page fault|memblock: out of memory/);
            // Under the line of every kernel nothing is refused but by what went before.
            if (!asked && i === 0) expect([off, died]).toEqual([false, false]);
          }
        },
      ),
      { numRuns: 6 },
    );
  });

  it('without live update there is no device, and what was handed over stays as it is', () => {
    for (const boot of [{ liveupdate: 'off' }, { kho: 'off' }]) {
      const result = live({ revision, boots: [undefined, boot, undefined] });
      expect(result.violations).toEqual([]);
      expect(result.generations[1]?.bootKind).toBe('handover');
      expect(answers(result, 1).open).toBe('ENOENT');
      expect(result.openLosses[0]).toBe('generation 1: open answered ENOENT');
      expect(dmesg(result, 1).includes('Disabling liveupdate because KHO is disabled')).toBe('kho' in boot);
      // With KHO on its own root goes over; v6.19 lists what is preserved only where live update asks for it.
      const refused = revision === 'v6.19' ? 'rejected' : 'handover';
      expect(result.generations[2]?.bootKind).toBe('kho' in boot ? 'cold' : refused);
      expect(answers(result, 2).open).toBe('OK');
    }
  });

  it('an image without a handover, and a restart, lose what was kept, openly', () => {
    for (const leave of ['kexec-load', 'restart'] as const) {
      const result = live({ revision, boots: [undefined, undefined], leave });
      expect(result.violations).toEqual([]);
      expect(result.generations[1]?.bootKind).toBe('cold');
      expect(result.generations[0]?.handover).toMatchObject({
        fdtPhys: 0,
        preservedPages: 0,
        storeRegions: [],
      });
      expect(result.openLosses).toEqual(['generation 1 booted cold: nothing was handed over']);
      expect(answers(result, 1).retrieve).toBe('ENOENT');
    }
  });

  it('mem= ends memory: a smaller kernel, and a larger one after it, take the update over', () => {
    const result = live({ revision, boots: [{ mem: '48M' }, undefined, { mem: '60M' }] });
    expect(result.violations).toEqual([]);
    expect(result.openLosses).toEqual([]);
    const [small = 0, large = 0] = result.generations.map(({ freePages }) => freePages);
    expect(large - small).toBeGreaterThan((15 * MIB) / 4096);
    expect(answers(result, 1)).toMatchObject({ read: 'OK', close: 'OK' });
    expect(answers(result, 2)).toMatchObject({ read: 'OK', close: 'OK' });
  });

  it('mem= that cuts off what was handed over ends that kernel at the first touch', () => {
    const result = live({ revision, boots: [undefined, { mem: '24M' }] });
    expect(result.violations).toEqual([]);
    expect(result.generations[1]?.state).toBe('panicked');
    expect(dmesg(result, 1)).toMatch(/found kexec handover data\..*BUG: unable to handle page fault/s);
    expect(result.openLosses).toEqual(['generation 1 panicked']);
  });

  it('kho_scratch= sizes the areas at a cold boot, and means nothing to a handover', () => {
    const plain = live({ revision, boots: [undefined, undefined] });
    const wide = live({ revision, boots: [{ kho_scratch: '8M,4M,4M' }, { kho_scratch: '4M,0,0' }] });
    expect(wide.generations.map(({ scratchBytes }) => scratchBytes)).toEqual([16 * MIB, 16 * MIB]);
    expect(wide.violations).toEqual([]);
    expect(dmesg(wide, 0)).toContain('KHO: scratch areas: lowmem: 8MiB global: 4MiB pernode: 4MiB');
    const twice = live({ revision, boots: [{ kho_scratch: '200%' }] });
    expect(twice.generations[0]?.scratchBytes).toBe(plain.generations[0]?.scratchBytes);
    const none = live({ revision, boots: [{ kho_scratch: '0%' }, undefined] });
    expect(none.generations[0]?.scratchBytes).toBe(0);
    expect(answers(none, 0).load).toBe('EADDRNOTAVAIL');
    const huge = live({ revision, boots: [{ kho_scratch: '1T,0,0' }, undefined] });
    expect(dmesg(huge, 0)).toMatch(/Failed to reserve lowmem scratch buffer.*disabling kexec handover/s);
    expect(answers(huge, 0).open).toBe('ENOENT');
  });
});

it('on two nodes mem= may take a whole one away, in the first kernel or in a later one', () => {
  const result = live({ nodes: 2, boots: [{ mem: '30M' }, undefined] });
  expect([result.violations, result.openLosses]).toEqual([[], []]);
  expect(result.generations[1]?.freePages).toBeGreaterThan((40 * MIB) / 4096);
  const large = live({ nodes: 2, ramBytes: 8 * 2 ** 30, boots: [undefined, { mem: '5G' }] });
  expect(large.violations).toEqual([]);
});

it('an option that is not given is what every kernel has', () => {
  const { digest } = live({ boots: [undefined, undefined] });
  expect(live({ boots: [{ kho: 'on' }, { liveupdate: 'yes' }] }).digest).toBe(digest);
  expect(live({ boots: [{ mem: '64M' }, { mem: '1T' }] }).digest).toBe(digest);
});
