/*
 * A booted kernel for tests, as small as it gets, and the means to take it through a jump.
 */

import { Decisions, type Fault } from '../../sim/base/decisions.ts';
import { PAGE_SIZE } from '../../sim/base/limits.ts';
import type { Op } from '../../sim/base/point.ts';
import { pfn } from '../../sim/base/units.ts';
import { boot, type System } from '../../sim/boot/boot.ts';
import type { RunResult } from '../../sim/explore/result.ts';
import { ICOUNT } from '../../sim/kernel/cost.ts';
import { type BootOptions, Kernel } from '../../sim/kernel/kernel.ts';
import { APRIL_V1_P1, type Revision } from '../../sim/kernel/revisions.ts';
import { type BootParams, Machine, type MachineParams } from '../../sim/machine/machine.ts';
import { PiecePool } from '../../sim/machine/pool.ts';

export const MIB = 2 ** 20;
export const ALL_ON: BootOptions = { kho: true, liveupdate: true, khoDebug: true };

export interface TestMachine extends Partial<MachineParams> {
  readonly faults?: readonly Fault[];
  readonly seed?: string;
}

export function machineFor({ faults = [], seed = 'test', ...params }: TestMachine = {}): Machine {
  const all = { ramBytes: 32 * MIB, nodes: 1, cpus: 1, ...params };
  return new Machine(all, ICOUNT, new PiecePool(), Decisions.seeded(seed, faults));
}

/** A kernel with memory and nothing else: no handover, no live update. */
export function bareKernel(test: TestMachine = {}): Kernel {
  const machine = machineFor(test);
  const kernel = new Kernel(machine, APRIL_V1_P1, ALL_ON, 0);
  kernel.buddy.freeRange(pfn(256), pfn(machine.params.ramBytes / PAGE_SIZE));
  kernel.state = 'running';
  return kernel;
}

export interface TestBoot {
  readonly revision?: Revision;
  readonly options?: Partial<BootOptions>;
  readonly generation?: number;
  readonly params?: BootParams;
}

export function bootOn(
  machine: Machine,
  { revision = APRIL_V1_P1, options, generation = 0, params }: TestBoot = {},
): System {
  return boot(machine, {
    revision,
    options: { ...ALL_ON, ...options },
    generation,
    ...(params === undefined ? {} : { params }),
  });
}

/** Runs an operation as the only task and returns its result. */
export function inTask<T>(
  system: System,
  op: (task: Parameters<Parameters<System['kernel']['sched']['spawn']>[1]>[0]) => Op<T>,
): T {
  const { sched } = system.kernel;
  const task = sched.spawn('test', op);
  sched.run();
  return task.result as T;
}

/** Loads an image, leaves by reboot(KEXEC) and returns what the next kernel is given; a number is the errno. */
export function jump(system: System): BootParams | number {
  const { kernel, kexec } = system;
  const loaded = kexec.fileLoad();
  if (loaded !== 0) return loaded;
  const result = inTask(system, (task) => kexec.reboot(task));
  if (kernel.state !== 'rebooting') return result;
  return jumpNow(system);
}

/** Leaves without the reboot hook, as a kexec would that skips it. */
export function jumpNow(system: System): BootParams {
  const { kernel, kexec } = system;
  const params = kernel.machine.jump(kexec.plan());
  kernel.leave();
  return params;
}

/** Actions that an errno ended: which kernel, what, and with what. */
export const failures = ({ generations }: RunResult): string[] =>
  generations.flatMap(({ actions }, g) =>
    actions
      .filter(({ result }) => result !== 'OK' && result !== 'no return')
      .map(({ verb, result }) => `${g} ${verb} ${result}`),
  );
