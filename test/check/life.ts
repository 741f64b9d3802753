/*
 * A small kernel with sessions for the tests of the oracles, driven through its own functions, and what a law says of
 * it. Defects are planted by reaching into memory, tables and trackers from outside.
 */
import { expect } from 'vitest';
import { settle } from '../../sim/base/answer.ts';
import type { Phys } from '../../sim/base/units.ts';
import type { System } from '../../sim/boot/boot.ts';
import { checkOwnership } from '../../sim/check/frames.ts';
import { type Law, type Violation, Violations } from '../../sim/check/violation.ts';
import type { FileHandle } from '../../sim/kernel/vfs.ts';
import { KHO_DATA_PROPERTY } from '../../sim/kho/abi.ts';
import { u64Bytes } from '../../sim/kho/fdt_abi.ts';
import { retrieveSubtree } from '../../sim/kho/root_fdt.ts';
import { NAME_WORDS } from '../../sim/luo/name.ts';
import type { BootParams } from '../../sim/machine/machine.ts';
import { dropFile } from '../../sim/user/process.ts';
import { putName } from '../support/names.ts';
import { bootOn, inTask, jump, machineFor, type TestMachine } from '../support/system.ts';

/** Sessions of a block of the chain. */
export const PER_BLOCK = 819;
export const BLOCK_ORDER = 4;

export function coldBoot(test: TestMachine = {}): System {
  return bootOn(machineFor(test));
}

export function nameWords(name: string): Int32Array {
  const words = new Int32Array(NAME_WORDS);
  putName(words, 0, new TextEncoder().encode(name));
  return words;
}

/** Creates sessions `s0`, `s1`, ... and returns their files. */
export function create(system: System, count: number, first = 0): FileHandle[] {
  const files: FileHandle[] = [];
  inTask(system, function* (task) {
    for (let n = first; n < first + count; n++) {
      const file = yield* settle(system.luo.sessions.create(task, nameWords(`s${n}`), 0));
      expect(file).toBeGreaterThan(0);
      files.push(file as FileHandle);
    }
  });
  return files;
}

export function close(system: System, files: readonly FileHandle[]): void {
  inTask(system, function* (task) {
    for (const file of files) yield* settle(dropFile(system, task, file));
  });
}

/** Deserializes, and retrieves `count` sessions; their files. */
export function retrieve(system: System, count: number): FileHandle[] {
  const { sessions } = system.luo;
  const files: FileHandle[] = [];
  inTask(system, function* (task) {
    expect(yield* sessions.deserialize(task)).toBe(0);
    for (let n = 0; n < count; n++) {
      const file = yield* settle(sessions.retrieve(task, nameWords(`s${n}`), 0));
      expect(file).toBeGreaterThan(0);
      files.push(file as FileHandle);
    }
  });
  return files;
}

/** Deserializes, and retrieves, finishes and closes `count` sessions. */
export function takeOver(system: System, count: number): void {
  close(system, retrieve(system, count));
}

/** Up to the jump: the reboot hook has run, memory is as it will be found. */
export function atJump(system: System): System {
  const { kernel, kexec } = system;
  expect(kexec.fileLoad()).toBe(0);
  inTask(system, (task) => kexec.reboot(task));
  expect(kernel.state).toBe('rebooting');
  return system;
}

/** The next kernel on the machine. `between`: changes to memory after the jump. */
export function nextKernel(system: System, between: () => void = () => {}): System {
  const { kernel } = system;
  const params = kernel.state === 'rebooting' ? kernel.machine.jump(system.kexec.plan()) : jump(system);
  expect(typeof params).toBe('object');
  if (kernel.state === 'rebooting') kernel.leave();
  between();
  return bootOn(kernel.machine, { generation: kernel.generation + 1, params: params as BootParams });
}

/** What a check reports. */
export function reported(check: (violations: Violations) => void): readonly Violation[] {
  const violations = new Violations();
  check(violations);
  return violations.all;
}

/** A check reports this law and no other, and says this. */
export function expectOnly(check: (violations: Violations) => void, law: Law, text: RegExp): void {
  const violations = reported(check);
  expect(violations.map((violation) => violation.law)).toEqual([law]);
  expect(violations[0]?.text).toMatch(text);
}

export const ownership =
  (system: System, settled = true) =>
  (violations: Violations): void => {
    checkOwnership(system, violations, settled);
  };

/** Address of the nth block of the store. */
export function blockPhys(system: System, n: number): Phys {
  const region = system.luo.sessions.store.regions()[n];
  expect(region).toBeDefined();
  return region?.address as Phys;
}

/** Hands out one system again and again; whatever was planted in it is gone afterwards. */
export function bed(make: () => System): (plant: (system: System) => void) => void {
  let system: System | undefined;
  return (plant) => {
    system ??= make();
    const { machine } = system.kernel;
    const mark = machine.mark();
    try {
      plant(system);
    } finally {
      machine.rollback(mark);
      machine.journal.forget();
    }
  };
}

/** How april-v1 describes a blob. */
const FORMAT = { dataProperty: KHO_DATA_PROPERTY, sized: true };

/** Where a subtree of the KHO root lies. */
export function subtreePhys({ kernel, kho }: System, name: string): Phys {
  const subtree = retrieveSubtree(kernel.machine.ram, kho.outgoingFdtPhys, FORMAT, name, () => {});
  if (typeof subtree === 'number') throw new Error(`no subtree ${name}`);
  return subtree.phys;
}

/** Finds text or a native u64 in a page and puts another there. */
export function patch({ kernel }: System, page: Phys, from: string | number, to: string | number): void {
  const { ram } = kernel.machine;
  const bytes = (value: string | number): Uint8Array =>
    typeof value === 'number' ? u64Bytes(value) : new TextEncoder().encode(value);
  const at = Buffer.from(ram.loadBytes(page, 4096)).indexOf(bytes(from));
  expect(at).toBeGreaterThan(0);
  ram.storeBytes(page + at, bytes(to));
}
