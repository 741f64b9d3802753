/*
 * The guest of the errno runs: one machine, a kernel and the one after its update, and a process that makes its calls
 * one by one and remembers its descriptors by name.
 */
import type { System } from '../../sim/boot/boot.ts';
import type { Revision } from '../../sim/kernel/revisions.ts';
import type { BootParams, Machine } from '../../sim/machine/machine.ts';
import type { OpenKind } from '../../sim/user/other_files.ts';
import { Thread } from '../../sim/user/process.ts';
import { Caller } from '../support/caller.ts';
import { bootOn, inTask, jumpNow, MIB, machineFor } from '../support/system.ts';

const DESCRIPTORS_MAX = 1024;

export class Guest {
  readonly #machine: Machine = machineFor({ ramBytes: 256 * MIB });
  readonly #revision: Revision;
  user: Caller;
  fds: Record<string, number> = {};

  constructor(revision: Revision) {
    this.#revision = revision;
    this.user = new Caller(bootOn(this.#machine, { revision }), DESCRIPTORS_MAX);
  }

  get system(): System {
    return this.user.system;
  }

  create(name: string): number {
    const fd = this.user.create(name);
    if (fd >= 0) this.fds[name] = fd;
    return fd;
  }

  retrieve(name: string): number {
    const fd = this.user.retrieve(name);
    if (fd >= 0) this.fds[name] = fd;
    return fd;
  }

  retrieveFd(session: string, token: string): number {
    const fd = this.user.retrieveFd(this.fds[session] as number, BigInt(token));
    if (fd >= 0) this.fds[`${session}/${token}`] = fd;
    return fd;
  }

  openKind(kind: OpenKind): number {
    return this.user.call((thread) => this.user.sys.open(thread, kind));
  }

  /** Opens the device without forgetting the descriptor there is. */
  openAgain(): number {
    const { fd } = this.user;
    const result = this.user.open();
    if (result >= 0) throw new Error('a second open succeeded');
    this.user.fd = fd;
    return result;
  }

  /** Another process of the same kernel. */
  other(): Caller {
    return new Caller(this.system);
  }

  /** Does something with no descriptor left. */
  withoutDescriptors(body: () => number): number {
    const taken: number[] = [];
    for (let fd = this.openKind('/dev/null'); fd >= 0; fd = this.openKind('/dev/null')) taken.push(fd);
    const result = body();
    for (const fd of taken) this.user.close(fd);
    return result;
  }

  /** reboot(KEXEC): an errno, or 0 in the next kernel. */
  reboot(): number {
    const { kernel, kexec } = this.system;
    const result = inTask(this.system, (task) => kexec.reboot(task));
    if (kernel.state !== 'rebooting') return result;
    const params: BootParams = jumpNow(this.system);
    this.user = new Caller(
      bootOn(this.#machine, { revision: this.#revision, generation: 1, params }),
      DESCRIPTORS_MAX,
    );
    this.fds = {};
    return 0;
  }

  /** A thread for calls that do not wait. */
  get thread(): Thread {
    return new Thread(this.system.kernel.sched.boot, this.user.process);
  }
}
