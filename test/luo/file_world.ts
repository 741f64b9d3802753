/*
 * A user of one kernel and the next, and a file handler of a test's own: takes eventfds, writes down what it is asked, and answers what it is told.
 */
import { expect } from 'vitest';
import type { Fault } from '../../sim/base/decisions.ts';
import type { System } from '../../sim/boot/boot.ts';
import { checkOwnership } from '../../sim/check/frames.ts';
import { Violations } from '../../sim/check/violation.ts';
import type { KernelModule } from '../../sim/kernel/module.ts';
import type { Revision } from '../../sim/kernel/revisions.ts';
import type { FileHandle } from '../../sim/kernel/vfs.ts';
import type { FileHandler } from '../../sim/luo/file_handler.ts';
import type { BootParams } from '../../sim/machine/machine.ts';
import { Caller } from '../support/caller.ts';
import { bootOn, inTask, jump, MIB, machineFor } from '../support/system.ts';

export interface Answers {
  preserve: number;
  freeze: number;
  retrieve: number;
  canFinish: boolean;
}

export class RecordingHandler implements FileHandler {
  readonly compatible: string;
  readonly module: KernelModule | undefined;
  readonly calls: string[] = [];
  readonly answers: Answers = { preserve: 0, freeze: 0, retrieve: 0, canFinish: true };
  readonly #system: System;
  /** The next file that is preserved gets this as its data. */
  #next = 1;

  constructor(system: System, compatible = 'recorder-v1', module?: KernelModule) {
    this.#system = system;
    this.compatible = compatible;
    this.module = module;
  }

  canPreserve(file: FileHandle): boolean {
    return this.#system.vfs.link(file) === 'eventfd';
  }

  preserve(_task: unknown, args: { serializedData: number }): number {
    this.calls.push(`preserve ${this.#next}`);
    if (this.answers.preserve !== 0) return this.answers.preserve;
    args.serializedData = this.#next++;
    return 0;
  }

  unpreserve(_task: unknown, { serializedData }: { serializedData: number }): undefined {
    this.calls.push(`unpreserve ${serializedData}`);
    return undefined;
  }

  freeze({ serializedData }: { serializedData: number }): number {
    this.calls.push(`freeze ${serializedData}`);
    // The last file of a set is the one that says no.
    return serializedData === this.#next - 1 ? this.answers.freeze : 0;
  }

  unfreeze({ serializedData }: { serializedData: number }): void {
    this.calls.push(`unfreeze ${serializedData}`);
  }

  retrieve(task: never, args: { serializedData: number; file: FileHandle | 0 }): number {
    this.calls.push(`retrieve ${args.serializedData}`);
    if (this.answers.retrieve !== 0) return this.answers.retrieve;
    args.file = this.#system.files.shmem.createFile(task, 0o600, 0, 0, 0) as FileHandle;
    return 0;
  }

  canFinish({ serializedData }: { serializedData: number }): boolean {
    this.calls.push(`can_finish ${serializedData}`);
    return this.answers.canFinish;
  }

  finish(_task: unknown, args: { serializedData: number; retrieveStatus: number }): undefined {
    this.calls.push(`finish ${args.serializedData} ${args.retrieveStatus}`);
    return undefined;
  }
}

/** A handler that is registered. */
export function recording(system: System, compatible?: string, module?: KernelModule): RecordingHandler {
  const handler = new RecordingHandler(system, compatible, module);
  const err = inTask(system, (task) => system.luo.files.handlers.register(task, handler));
  if (err !== 0) throw new Error(`register answered ${err}`);
  return handler;
}

export const eventfd = (user: Caller): number => user.call((thread) => user.sys.open(thread, 'eventfd'));

/** A user of a fresh kernel, with the device open. */
export function start(revision: Revision, faults: readonly Fault[] = [], ramBytes = 64 * MIB): Caller {
  const user = new Caller(bootOn(machineFor({ ramBytes, faults }), { revision }));
  user.open();
  return user;
}

/** The user after the jump; the device is not open yet. */
export function bootNext({ system }: Caller, revision: Revision, params: BootParams): Caller {
  const { machine, generation } = system.kernel;
  return new Caller(bootOn(machine, { revision, generation: generation + 1, params }));
}

/** Leaves by kexec: the user in the next kernel; the device is not open yet. */
export function update(user: Caller, revision: Revision): Caller {
  const params = jump(user.system);
  if (typeof params === 'number') expect.fail(`reboot answered ${params}`);
  return bootNext(user, revision, params as BootParams);
}

export const warnings = ({ system }: Caller): string[] =>
  system.kernel.log.lines.filter(({ text }) => text.startsWith('WARNING')).map(({ text }) => text);

/** What the law of ownership says. */
export function owned(user: Caller): string[] {
  const violations = new Violations();
  checkOwnership(user.system, violations, true);
  return violations.all.map(({ text }) => text);
}
