/*
 * The Live Update Orchestrator: start-up in both directions, the reboot hook, the device's exclusive open.
 *
 *   early_initcall   earlyInit     what the previous kernel left; any error is a panic, by policy: after a failed
 *                                  restore devices and memory are in an unpredictable state
 *   late_initcall    lateStartup   root FDT, session store, FLB page; failure disables live update
 *   reboot(KEXEC)    reboot        sessions, then FLBs
 *
 * The root is an FDT of one page that stays mapped, and reserved, in the next kernel (up to v7.1, april-v1), or struct
 * luo_ser (v7.3), freed once it is read.
 */
import { ERRNO, printErrno } from '../base/errno.ts';
import { definePoint, kernelFunction, type Op } from '../base/point.ts';
import { type Phys, wide } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Vfs } from '../kernel/vfs.ts';
import type { Kho } from '../kho/kexec_handover.ts';
import type { Subtree } from '../kho/root_fdt.ts';
import type { Stateful } from '../machine/journal.ts';
import type { Task } from '../sched/task.ts';
import { LUO_FDT_BYTES, LUO_SER, LUO_SUBTREE } from './abi.ts';
import type { LuoFiles } from './file.ts';
import { setupOutgoingFlb } from './flb.ts';
import { LiveUpdateTest } from './liveupdate_test.ts';
import { readFdtNodes, readFdtRoot, writeFdtRoot } from './root_fdt.ts';
import { LUO_COMPATIBLE_BYTES, readSerRoot, textBytes } from './root_ser.ts';
import { LuoSessions } from './session.ts';

const REBOOT = kernelFunction('liveupdate_reboot');
const OPEN = kernelFunction('luo_open');
const FDT = definePoint('luo_fdt_setup', 'fdt', 'fault');
const SER = definePoint('luo_state_setup', 'luo_ser', 'fault');

/** What the previous kernel's root says, once it is known to be one. */
interface IncomingRoot {
  readonly number: number;
  /** Sets sessions and FLBs up: 0 or a negative errno. */
  readonly setUp: () => number;
}

export class Luo implements Stateful {
  readonly sessions: LuoSessions;
  readonly #kernel: Kernel;
  readonly #kho: Kho;
  /** `liveupdate=` and every start-up step so far. @kernel liveupdate_enabled */
  enabled: boolean;
  /** Number of the incoming update; 0 on a cold boot. */
  liveupdateNum = wide(0);
  /** Someone has the device open. */
  inUse = false;
  /** Address of the outgoing FLB page, 0 before late start-up. */
  flbPhys = wide(0);

  constructor(kernel: Kernel, kho: Kho, vfs: Vfs) {
    this.#kernel = kernel;
    this.#kho = kho;
    this.enabled = kernel.options.liveupdate;
    this.sessions = new LuoSessions(kernel, kho, vfs, () => this.enabled);
    if (kernel.options.liveupdateTest === true) {
      const test = new LiveUpdateTest(kernel, this.files.flbs);
      this.files.handlers.onRegister = (task, handler) => test.registerFlbs(task, handler);
    }
    kernel.machine.journal.enlist(this);
  }

  get files(): LuoFiles {
    return this.sessions.files;
  }

  /** Reads what the previous kernel left; an error panics. @kernel liveupdate_early_init, luo_restore_fail */
  earlyInit(): void {
    const err = this.#earlyStartup();
    if (err === 0) return;
    this.enabled = false;
    this.#kernel.panic(
      `The incoming tree failed to initialize properly [${printErrno(err)}], disabling live update`,
    );
  }

  /** @kernel luo_late_startup */
  *lateStartup(task: Task): Op<void> {
    if (!this.enabled) return;
    const err = yield* this.#usesFdt ? this.#fdtSetup(task) : this.#stateSetup(task);
    if (err !== 0) this.enabled = false;
  }

  /** Called by reboot(KEXEC) before devices are shut down; other tasks still run. @kernel liveupdate_reboot */
  *reboot(task: Task): Op<number> {
    if (!this.enabled) return 0;
    let err = yield* this.sessions.serialize(task);
    if (err === 0) {
      yield* this.files.flbs.serialize(task, this.flbPhys as Phys);
      const finalized = yield* this.#kho.finalize(task);
      if (finalized !== 0) {
        // The sessions stay as they were serialized: nothing is undone.
        this.#print(`kho_finalize failed ${finalized}`);
        err = -ERRNO.EAGAIN;
      }
    }
    this.#kernel.trace.event(REBOOT, err);
    return err;
  }

  /**
   * Takes the device, which is exclusive: 0 or -EBUSY. The opener then deserializes, and gives the device back with
   * `openFailed` where that failed. @kernel luo_open
   */
  tryOpen(): number {
    if (this.inUse) return -ERRNO.EBUSY;
    this.inUse = true;
    return 0;
  }

  /** Whatever failed, the opener sees -EIO. @kernel luo_open */
  openFailed(): number {
    this.inUse = false;
    this.#kernel.trace.event(OPEN, -ERRNO.EIO);
    return -ERRNO.EIO;
  }

  /** @kernel luo_release */
  release(): void {
    this.inUse = false;
  }

  capture(): unknown {
    return [this.enabled, this.liveupdateNum, this.inUse, this.flbPhys];
  }

  reinstate(state: unknown): void {
    [this.enabled, this.liveupdateNum, this.inUse, this.flbPhys] = state as [
      boolean,
      number,
      boolean,
      number,
    ];
  }

  /** 0, also where there is nothing to read, or a negative errno. @kernel luo_early_startup */
  #earlyStartup(): number {
    if (!this.#kho.enabled) {
      if (this.enabled) this.#print('Disabling liveupdate because KHO is disabled');
      this.enabled = false;
      return 0;
    }
    const blob = this.#kho.retrieveSubtree(LUO_SUBTREE);
    if (typeof blob === 'number') {
      if (blob === -ERRNO.ENOENT) return 0;
      const what = this.#usesFdt ? 'FDT' : 'LUO state';
      this.#print(`failed to retrieve ${what} '${LUO_SUBTREE}' from KHO: ${printErrno(blob)}`);
      return blob;
    }
    const root = this.#usesFdt ? this.#readFdt(blob) : this.#readSer(blob);
    if (typeof root === 'number') return root;
    this.liveupdateNum = root.number;
    this.#print(`Retrieved live update data, liveupdate number: ${root.number}`);
    const err = root.setUp();
    // The FDT stays mapped, and reserved, for ever; struct luo_ser goes in either case.
    if (!this.#usesFdt) this.#kho.in.restoreFree(blob.phys);
    return err;
  }

  get #usesFdt(): boolean {
    return this.#kernel.revision.parts.luoRoot === 'fdt';
  }

  #readFdt(blob: Subtree): IncomingRoot | number {
    const { revision, machine } = this.#kernel;
    const fdt = readFdtRoot(machine.ram, blob, revision.luoCompatible);
    if (typeof fdt === 'string') {
      this.#print(fdt);
      return -ERRNO.EINVAL;
    }
    const setUp = (): number => {
      const nodes = readFdtNodes(fdt.bytes, revision.sessionCompatible);
      if (nodes.complaint !== undefined) this.#print(nodes.complaint);
      const err = nodes.sessionsPa === undefined ? 0 : this.sessions.setupIncoming(nodes.sessionsPa);
      if (err === 0) this.files.flbs.incomingPhys = nodes.flbsPa ?? 0;
      return err !== 0 ? err : nodes.err;
    };
    return { number: fdt.number, setUp };
  }

  #readSer(blob: Subtree): IncomingRoot | number {
    const { revision, machine } = this.#kernel;
    const ser = readSerRoot(machine.ram, blob, revision.luoCompatible);
    if (typeof ser === 'string') {
      this.#print(ser);
      return -ERRNO.EINVAL;
    }
    const setUp = (): number => {
      const err = ser.sessionsPa === 0 ? 0 : this.sessions.setupIncoming(ser.sessionsPa);
      if (err === 0) this.files.flbs.incomingPhys = ser.flbsPa;
      return err;
    };
    return { number: ser.number, setUp };
  }

  /**
   * Builds the outgoing root FDT. A failure leaves the regions of sessions and FLBs allocated.
   * @kernel luo_fdt_setup @simplified ends at the first step that fails, where the kernel allocates the FLB page even so
   * and ORs the errors together
   */
  *#fdtSetup(task: Task): Op<number> {
    const kernel = this.#kernel;
    const owner = kernel.frames.owner('luo fdt');
    const fdt = yield* this.#kho.out.allocPreserve(task, LUO_FDT_BYTES, owner, FDT);
    if (fdt < 0) {
      this.#print('failed to allocate/preserve FDT memory');
      return fdt;
    }
    let err = yield* this.sessions.setupOutgoing(task);
    const flb = err === 0 ? yield* setupOutgoingFlb(kernel, this.#kho, task) : err;
    err = Math.min(err, flb, 0);
    if (err === 0) {
      this.flbPhys = flb;
      const { luoCompatible, sessionCompatible } = kernel.revision;
      const sessionsPa = this.sessions.store.headPhys as Phys;
      const contents = { number: this.liveupdateNum + 1, sessionsPa, flbsPa: flb as Phys };
      const writer = writeFdtRoot(luoCompatible, sessionCompatible, contents);
      kernel.machine.ram.storeBytes(fdt, writer.buffer);
      err = yield* this.#kho.addSubtree(task, LUO_SUBTREE, fdt as Phys, writer.blob().length);
    }
    if (err === 0) return 0;
    yield* this.#kho.out.unpreserveFree(task, fdt as Phys);
    this.#print(`failed to prepare LUO FDT: ${err}`);
    return err;
  }

  /** Builds struct luo_ser. A failure to add it leaves the FLB page allocated. @kernel luo_state_setup */
  *#stateSetup(task: Task): Op<number> {
    const kernel = this.#kernel;
    const { ram } = kernel.machine;
    const owner = kernel.frames.owner('luo ser');
    const ser = yield* this.#kho.out.allocPreserve(task, LUO_SER.size, owner, SER);
    if (ser < 0) {
      this.#print('failed to allocate/preserve LUO state memory');
      return ser;
    }
    ram.storeBytes(ser, textBytes(kernel.revision.luoCompatible, LUO_COMPATIBLE_BYTES));
    ram.store64(ser + LUO_SER.at.liveupdate_num, this.liveupdateNum + 1);
    let err = yield* this.sessions.setupOutgoing(task);
    const publish = (headPhys: number): void => ram.store64(ser + LUO_SER.at.sessions_pa, headPhys);
    // A store that has its block from boot (no release had one under luo_ser) is found where it is.
    if (this.sessions.store.blocksAtBoot > 0) publish(this.sessions.store.headPhys);
    else this.sessions.serializer.publish = publish;
    const flb = err === 0 ? yield* setupOutgoingFlb(kernel, this.#kho, task) : err;
    err = Math.min(flb, 0);
    if (err === 0) {
      this.flbPhys = flb;
      ram.store64(ser + LUO_SER.at.flbs_pa, flb);
      err = yield* this.#kho.addSubtree(task, LUO_SUBTREE, ser as Phys, LUO_SER.size);
    }
    if (err === 0) return 0;
    yield* this.#kho.out.unpreserveFree(task, ser as Phys);
    this.#print(`failed to prepare LUO state: ${err}`);
    return err;
  }

  #print(line: string): void {
    this.#kernel.printk(`luo_core: ${line}`);
  }
}
