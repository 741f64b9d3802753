import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../sim/base/errno.ts';
import { PAGE_SIZE } from '../../sim/base/limits.ts';
import { definePoint } from '../../sim/base/point.ts';
import type { Order, Pfn, Phys } from '../../sim/base/units.ts';
import type { System } from '../../sim/boot/boot.ts';
import { REVISIONS } from '../../sim/kernel/revisions.ts';
import { KHO_SCRATCH } from '../../sim/kho/abi.ts';
import { getProperty, subnodeOffset } from '../../sim/kho/fdt.ts';
import { nativeU64 } from '../../sim/kho/fdt_abi.ts';
import { LUO_SESSION_BLOCK_SER } from '../../sim/luo/abi.ts';
import type { BootParams, Machine } from '../../sim/machine/machine.ts';
import { bootOn, inTask, jump, MIB, machineFor, type TestMachine } from '../support/system.ts';

const PAGE = definePoint('test boot', 'page', 'fault');

function first(test: TestMachine = {}): System {
  return bootOn(machineFor({ ramBytes: 64 * MIB, ...test }));
}

function leave(system: System): BootParams {
  const params = jump(system);
  if (typeof params === 'number') expect.fail(`reboot answered ${params}`);
  return params;
}

const follow = (machine: Machine, params: BootParams, generation = 1): System =>
  bootOn(machine, { generation, params });

describe('a cold boot', () => {
  it('takes scratch, hands out the rest, and is ready for an update', () => {
    const { kernel, kho, luo } = first();
    expect(kernel.state).toBe('running');
    expect(kernel.bootKind).toBe('cold');
    expect(kho.enabled && luo.enabled).toBe(true);
    expect(kho.scratch).toHaveLength(3);
    expect(luo.liveupdateNum).toBe(0);
    expect(kernel.log.warnings).toBe(0);
  });

  it('without kho= has no live update, and says so', () => {
    const { kernel, luo } = bootOn(machineFor(), { options: { kho: false } });
    expect(kernel.state).toBe('running');
    expect(luo.enabled).toBe(false);
    expect(kernel.log.has('Disabling liveupdate because KHO is disabled')).toBe(true);
  });

  it.each([16, 32, 64, 1024, 65536, 1048576])('works on a machine of %i MiB, on 1 and 2 nodes', (mib) => {
    for (const nodes of mib >= 32 ? [1, 2] : [1]) {
      const machine = machineFor({ ramBytes: mib * MIB, nodes });
      const system = bootOn(machine);
      expect(system.kernel.state).toBe('running');
      expect(system.kho.enabled).toBe(true);
      const next = follow(machine, leave(system));
      expect(next.kernel.bootKind).toBe('handover');
      expect(next.luo.liveupdateNum).toBe(1);
      machine.dispose();
    }
  });

  it('with every allocation failing once disables what it must, and nothing crashes', () => {
    const outcomes: Record<string, [boolean, boolean]> = {
      'kho_init:radix root': [false, false],
      'kho_init:fdt': [false, false],
      'kho_kexec_metadata_init:page': [false, false],
      'luo_fdt_setup:fdt': [true, false],
      'luo_session_setup_outgoing:block': [true, false],
      'luo_flb_setup_outgoing:page': [true, false],
    };
    for (const [point, [kho, luo]] of Object.entries(outcomes)) {
      const system = first({ faults: [{ point, nth: 0 }] });
      expect([point, system.kernel.state]).toEqual([point, 'running']);
      expect([point, system.kho.enabled, system.luo.enabled]).toEqual([point, kho, luo]);
    }
  });
});

describe('a handover', () => {
  it('of a different revision of the root boots cold, in the words of the kernel', () => {
    const machine = machineFor({ ramBytes: 64 * MIB });
    const system = bootOn(machine);
    const params = leave(system);
    const other = { ...system.kernel.revision, khoCompatible: 'kho-v4' };
    const next = bootOn(machine, { revision: other, generation: 1, params });
    expect(next.kernel.state).toBe('running');
    expect(next.kernel.bootKind).toBe('rejected');
    const at = `0x${params.fdtPhys.toString(16)}`;
    expect(next.kernel.log.has(`KHO: setup: handover FDT (${at}) is incompatible with 'kho-v4': 1`)).toBe(
      true,
    );
    expect(next.kernel.log.has('KHO: disabling KHO revival')).toBe(true);
    // A cold boot in every respect: its own scratch, updates count from one again.
    expect(next.luo.enabled).toBe(true);
    expect(next.luo.liveupdateNum).toBe(0);
  });

  it('of a different session format panics, as every failed early restore does', () => {
    const machine = machineFor({ ramBytes: 64 * MIB });
    const system = bootOn(machine);
    const other = { ...system.kernel.revision, sessionCompatible: 'luo-session-v9' };
    const next = bootOn(machine, { revision: other, generation: 1, params: leave(system) });
    expect(next.kernel.state).toBe('panicked');
    expect(next.kernel.log.has('Session node incompatible [luo-session-v9]')).toBe(true);
    const text = 'The incoming tree failed to initialize properly [-EINVAL], disabling live update';
    expect(next.kernel.log.has(`Kernel panic - not syncing: ${text}`)).toBe(true);
  });

  it('into kho=off still reserves what was preserved', () => {
    const machine = machineFor({ ramBytes: 64 * MIB });
    const system = bootOn(machine);
    const folio = system.kernel.pages.alloc(2 as Order, system.kernel.frames.owner('test'), PAGE) as Pfn;
    inTask(system, (task) => system.kho.out.preserveFolio(task, folio));
    const next = bootOn(machine, { options: { kho: false }, generation: 1, params: leave(system) });
    expect(next.kernel.state).toBe('running');
    expect(next.kernel.buddy.useOf(folio)).toBe('reserved');
  });

  it('with a chain that is a cycle panics before anything is restored', () => {
    const machine = machineFor({ ramBytes: 64 * MIB });
    const system = bootOn(machine);
    const params = leave(system);
    const head = sessionHead(machine, params);
    machine.ram.store64(head + LUO_SESSION_BLOCK_SER.at.next, head);
    const next = follow(machine, params);
    expect(next.kernel.state).toBe('panicked');
    expect(next.luo.sessions.incoming.count).toBe(0);
  });

  it('with a tree that points outside memory dies as a real kernel would', () => {
    const machine = machineFor({ ramBytes: 64 * MIB });
    const params = leave(bootOn(machine));
    const fdt = machine.ram.loadBytes(params.fdtPhys, PAGE_SIZE);
    const root = nativeU64(getProperty(fdt, 0, 'preserved-memory-map'))?.value as number;
    machine.ram.store64(root, 2 ** 45);
    const next = follow(machine, params);
    expect(next.kernel.state).toBe('panicked');
    expect(next.kernel.log.has('unable to handle page fault')).toBe(true);
  });
});

describe('the scratch array of a handover', () => {
  it.each([
    ['lies behind memory', 2 ** 45, 2 * MIB],
    ['reaches beyond memory', 62 * MIB, 4 * MIB],
    ['has more bytes than there are', 4 * MIB, 2 ** 63],
  ])('with an area that %s is the end, on every revision', (_what, start, bytes) => {
    for (const revision of REVISIONS) {
      for (let area = 0; area < 3; area++) {
        const machine = machineFor({ ramBytes: 64 * MIB });
        const params = leave(bootOn(machine, { revision }));
        machine.ram.store64(params.scratchPhys + area * KHO_SCRATCH.size, start);
        machine.ram.store64(params.scratchPhys + area * KHO_SCRATCH.size + KHO_SCRATCH.at.size, bytes);
        const { kernel } = bootOn(machine, { revision, generation: 1, params });
        expect(kernel.state).toBe('panicked');
        expect(kernel.log.has(`unable to handle page fault for address: 0x${start.toString(16)}`)).toBe(true);
      }
    }
  });

  it('may have empty areas anywhere', () => {
    const machine = machineFor({ ramBytes: 64 * MIB });
    const params = leave(bootOn(machine));
    machine.ram.store64(params.scratchPhys + KHO_SCRATCH.size, 2 ** 45);
    machine.ram.store64(params.scratchPhys + KHO_SCRATCH.size + KHO_SCRATCH.at.size, 0);
    expect(follow(machine, params).kernel.bootKind).toBe('handover');
  });

  it('outside of memory is refused, and the boot is a cold one', () => {
    const machine = machineFor({ ramBytes: 64 * MIB });
    const params = leave(bootOn(machine));
    const next = follow(machine, { ...params, scratchPhys: (64 * MIB) as Phys });
    expect([next.kernel.state, next.kernel.bootKind]).toEqual(['running', 'rejected']);
    expect(next.kernel.log.has('KHO: disabling KHO revival')).toBe(true);
  });
});

describe('reboot(KEXEC)', () => {
  it('without an image is EINVAL, and everything goes on', () => {
    const system = first();
    expect(inTask(system, (task) => system.kexec.reboot(task))).toBe(-ERRNO.EINVAL);
    expect(system.kernel.state).toBe('running');
    expect(typeof jump(system)).toBe('object');
  });

  it('places image and scratch array in scratch, and the jump overwrites scratch', () => {
    const system = first();
    const { ram } = system.kernel.machine;
    const inScratch = system.kho.scratch[0]?.start as number;
    ram.store32(inScratch, 0x1234);
    const params = leave(system);
    const areas = system.kho.scratch;
    const inside = (address: number): boolean =>
      areas.some(({ start, bytes }) => address >= start && address < start + bytes);
    expect(inside(params.scratchPhys)).toBe(true);
    expect(ram.load32(inScratch)).not.toBe(0x1234);
  });

  it('numbers the updates: incoming k, outgoing k + 1', () => {
    const machine = machineFor({ ramBytes: 64 * MIB });
    let system = bootOn(machine);
    for (let k = 1; k <= 4; k++) {
      system = follow(machine, leave(system), k);
      expect(system.luo.liveupdateNum).toBe(k);
    }
  });

  it('keeps what is preserved, whatever becomes of the rest of memory', () => {
    const fates = new Set<string>();
    for (let seed = 0; seed < 40; seed++) {
      const system = first({ seed: String(seed) });
      const { kernel, kho } = system;
      const [kept, lost] = [0, 1].map(
        () => kernel.pages.alloc(0 as Order, kernel.frames.owner('test'), PAGE) as Pfn,
      );
      const at = (frame: Pfn | undefined): Phys => ((frame as number) * PAGE_SIZE) as Phys;
      kernel.machine.ram.store32(at(kept), 0x4b455054);
      kernel.machine.ram.store32(at(lost), 0x4c4f5354);
      inTask(system, (task) => kho.out.preserveFolio(task, kept as Pfn));
      leave(system);
      expect(kernel.machine.ram.load32(at(kept))).toBe(0x4b455054);
      const word = kernel.machine.ram.load32(at(lost));
      fates.add(word === 0x4c4f5354 ? 'intact' : word === 0 ? 'zeroed' : 'overwritten');
    }
    expect([...fates].sort()).toEqual(['intact', 'overwritten', 'zeroed']);
  });
});

/** First block of the session chain, found as the next kernel finds it. */
function sessionHead(machine: Machine, params: BootParams): number {
  const root = machine.ram.loadBytes(params.fdtPhys, PAGE_SIZE);
  const blob = nativeU64(getProperty(root, subnodeOffset(root, 0, 'LUO'), 'preserved-data'))?.value as number;
  const fdt = machine.ram.loadBytes(blob, PAGE_SIZE);
  return nativeU64(getProperty(fdt, subnodeOffset(fdt, 0, 'luo-session'), 'luo-session-header'))
    ?.value as number;
}
