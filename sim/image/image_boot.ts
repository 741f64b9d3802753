/*
 * The incoming path, run over the memory of an image: a kernel boots from it, opens /dev/liveupdate once, and is held to
 * the laws that need no knowledge of the run before. What it finds wrong with memory is a finding about the image.
 *
 *   boot             handover, rejected (goes on as a cold boot) or a panic
 *   laws             early-allocation, ownership, stamp, no-warning after boot; ownership, chain, leak after the open
 *   open             deserializes the sessions
 */
import { errnoName } from '../base/errno.ts';
import { boot, type System } from '../boot/boot.ts';
import type { Crossing } from '../check/handover.ts';
import { Laws } from '../check/laws.ts';
import { SessionModel } from '../check/model.ts';
import { Violations } from '../check/violation.ts';
import type { BootOptions } from '../kernel/kernel.ts';
import type { Revision } from '../kernel/revisions.ts';
import type { BootParams, Machine } from '../machine/machine.ts';
import { LiveUpdateDevice } from '../user/liveupdate.ts';
import { NameBook } from '../user/names.ts';
import { Process, Thread } from '../user/process.ts';
import type { IncomingReport } from './image_report.ts';

const BOOT_OPTIONS: BootOptions = { kho: true, liveupdate: true, khoDebug: true };

export interface ImageBoot {
  readonly machine: Machine;
  readonly revision: Revision;
  readonly params: BootParams;
  /** What is preserved, as far as the image's own tracker can be read. */
  readonly crossing: Crossing | undefined;
  /** Told of the kernel once the device is open, with the sessions on its list. */
  readonly onOpen: (system: System, violations: Violations) => void;
}

/** Boots, opens, checks. The machine is of no more use afterwards. */
export function bootImage({ machine, revision, params, crossing, onOpen }: ImageBoot): IncomingReport {
  const violations = new Violations();
  violations.generation = 1;
  const names = new NameBook();
  const storage = { pool: machine.pool, journal: machine.journal };
  const model = new SessionModel(storage, violations, (name) => names.text(name));
  model.lostOpenly('nobody watched the kernel that made the sessions');
  const laws = new Laws({ model, names, violations });
  laws.expect(crossing);
  const system = boot(machine, { revision, options: BOOT_OPTIONS, generation: 1, params });
  const { kernel, luo } = system;
  laws.watch(system);
  let open = 'no device';
  if (kernel.state !== 'panicked') {
    laws.checkBooted(system);
    const opener = new Process(system, 'opener');
    const result = openDevice(system, opener);
    open = result === undefined ? 'crashed' : errnoName(result);
    if (result !== undefined && result >= 0) onOpen(system, violations);
    laws.checkQuiescence(system, [opener], true);
  }
  const report: IncomingReport = {
    bootKind: kernel.bootKind,
    state: kernel.state,
    liveupdateNum: luo.liveupdateNum,
    open,
    sessions: luo.sessions.incoming.count,
    warnings: kernel.log.warnings,
    oopses: kernel.log.oopses,
    dmesg: kernel.log.lines.map(({ text }) => text),
    violations: violations.all,
  };
  kernel.dispose();
  return report;
}

/** A descriptor or an errno; undefined where the task died of it. */
function openDevice(system: System, process: Process): number | undefined {
  const device = new LiveUpdateDevice(system);
  const { sched } = system.kernel;
  const task = sched.spawn('opener', (opener) => device.open(new Thread(opener, process)));
  sched.run();
  return task.result as number | undefined;
}
