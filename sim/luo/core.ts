/*
 * The Live Update Orchestrator: start-up in both directions, the reboot hook, the device's exclusive open.
 *
 *   early_initcall   earlyInit     what the previous kernel left; any error is a panic, by policy: after a failed
 *                                  restore devices and memory are in an unpredictable state
 *   late_initcall    lateStartup   root FDT, session store, FLB page; failure disables live update
 *   reboot(KEXEC)    reboot        sessions, then FLBs
 *
 * Fixed arrays and april-v1: the root is an FDT of one page that stays mapped, and reserved, in the next kernel.
 */
import { ERRNO, printErrno } from '../base/errno.ts';
import { definePoint, kernelFunction, type Op } from '../base/point.ts';
import type { Phys } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Vfs } from '../kernel/vfs.ts';
import { getProperty, nodeCheckCompatible, subnodeOffset } from '../kho/fdt.ts';
import { nativeU64, u64Bytes } from '../kho/fdt_abi.ts';
import { FdtWriter } from '../kho/fdt_writer.ts';
import type { Kho } from '../kho/kexec_handover.ts';
import type { Stateful } from '../machine/journal.ts';
import type { Task } from '../sched/task.ts';
import {
  LUO_FDT_BYTES,
  LUO_FDT_COMPATIBLE,
  LUO_FDT_FLB_COMPATIBLE,
  LUO_FDT_FLB_HEADER,
  LUO_FDT_FLB_NODE,
  LUO_FDT_NUMBER,
  LUO_FDT_SESSION_HEADER,
  LUO_FDT_SESSION_NODE,
  LUO_SUBTREE,
} from './abi.ts';
import { serializeFlb, setupOutgoingFlb } from './flb.ts';
import { LuoSessions } from './session.ts';

const REBOOT = kernelFunction('liveupdate_reboot');
const OPEN = kernelFunction('luo_open');
const FDT = definePoint('luo_fdt_setup', 'fdt', 'fault');

export class Luo implements Stateful {
  readonly sessions: LuoSessions;
  readonly #kernel: Kernel;
  readonly #kho: Kho;
  /** liveupdate_enabled(): `liveupdate=` and every start-up step so far. */
  enabled: boolean;
  /** Number of the incoming update; 0 on a cold boot. */
  liveupdateNum = 0;
  /** Someone has the device open. */
  inUse = false;
  /** Address of the outgoing FLB page, 0 before late start-up. */
  flbPhys = 0;

  constructor(kernel: Kernel, kho: Kho, vfs: Vfs) {
    this.#kernel = kernel;
    this.#kho = kho;
    this.enabled = kernel.options.liveupdate;
    this.sessions = new LuoSessions(kernel, kho, vfs);
    kernel.machine.journal.enlist(this);
  }

  /** Reads what the previous kernel left; an error panics. @kernel liveupdate_early_init */
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
    const err = yield* this.#fdtSetup(task);
    if (err !== 0) this.enabled = false;
  }

  /** Called by reboot(KEXEC) before devices are shut down; other tasks still run. @kernel liveupdate_reboot */
  *reboot(task: Task): Op<number> {
    if (!this.enabled) return 0;
    const err = yield* this.sessions.serialize(task);
    if (err === 0) serializeFlb(this.#kernel, this.flbPhys as Phys);
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
      this.#print(`failed to retrieve FDT '${LUO_SUBTREE}' from KHO: ${printErrno(blob)}`);
      return blob;
    }
    const fdt = this.#kernel.machine.ram.loadBytes(blob.phys, LUO_FDT_BYTES);
    const match = nodeCheckCompatible(fdt, 0, LUO_FDT_COMPATIBLE);
    if (match !== 0) {
      this.#print(`FDT '${LUO_SUBTREE}' is incompatible with '${LUO_FDT_COMPATIBLE}' [${match}]`);
      return -ERRNO.EINVAL;
    }
    const number = nativeU64(getProperty(fdt, 0, LUO_FDT_NUMBER));
    if (number === undefined) {
      this.#print(`Unable to get live update number '${LUO_FDT_NUMBER}' [0]`);
      return -ERRNO.EINVAL;
    }
    this.liveupdateNum = number.value;
    this.#print(`Retrieved live update data, liveupdate number: ${number.value}`);
    return this.#setupIncomingSessions(fdt) || this.#setupIncomingFlb(fdt);
  }

  #setupIncomingSessions(fdt: Uint8Array): number {
    const node = subnodeOffset(fdt, 0, LUO_FDT_SESSION_NODE);
    if (node < 0) {
      this.#print(`Unable to get session node: [${LUO_FDT_SESSION_NODE}]`);
      return -ERRNO.EINVAL;
    }
    const compatible = this.#kernel.revision.sessionCompatible;
    if (nodeCheckCompatible(fdt, node, compatible) !== 0) {
      this.#print(`Session node incompatible [${compatible}]`);
      return -ERRNO.EINVAL;
    }
    const header = nativeU64(getProperty(fdt, node, LUO_FDT_SESSION_HEADER));
    if (header === undefined) {
      this.#print(`Unable to get session header '${LUO_FDT_SESSION_HEADER}' [0]`);
      return -ERRNO.EINVAL;
    }
    return this.sessions.setupIncoming(header.value as Phys);
  }

  /** The page of the old kernel is looked at, never given back. @kernel luo_flb_setup_incoming */
  #setupIncomingFlb(fdt: Uint8Array): number {
    const node = subnodeOffset(fdt, 0, LUO_FDT_FLB_NODE);
    if (node < 0) {
      this.#print(`Unable to get FLB node [${LUO_FDT_FLB_NODE}]`);
      return -ERRNO.ENOENT;
    }
    const match = nodeCheckCompatible(fdt, node, LUO_FDT_FLB_COMPATIBLE);
    if (match !== 0) {
      this.#print(`FLB node is incompatible with '${LUO_FDT_FLB_COMPATIBLE}' [${match}]`);
      return -ERRNO.EINVAL;
    }
    if (nativeU64(getProperty(fdt, node, LUO_FDT_FLB_HEADER)) === undefined) {
      this.#print(`Unable to get FLB header property '${LUO_FDT_FLB_HEADER}' [0]`);
      return -ERRNO.EINVAL;
    }
    return 0;
  }

  /** Builds the outgoing root. A failure leaves the regions of sessions and FLBs allocated. @kernel luo_fdt_setup */
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
      const writer = this.#writeFdt(flb as Phys);
      kernel.machine.ram.storeBytes(fdt, writer.buffer);
      err = yield* this.#kho.addSubtree(task, LUO_SUBTREE, fdt as Phys, writer.blob().length);
    }
    if (err === 0) return 0;
    yield* this.#kho.out.unpreserveFree(task, fdt as Phys);
    this.#print(`failed to prepare LUO FDT: ${err}`);
    return err;
  }

  #writeFdt(flb: Phys): FdtWriter {
    const writer = new FdtWriter(LUO_FDT_BYTES);
    writer.create();
    writer.finishReservemap();
    writer.beginNode('');
    writer.propertyString('compatible', LUO_FDT_COMPATIBLE);
    writer.property(LUO_FDT_NUMBER, u64Bytes(this.liveupdateNum + 1));
    writer.beginNode(LUO_FDT_SESSION_NODE);
    writer.propertyString('compatible', this.#kernel.revision.sessionCompatible);
    writer.property(LUO_FDT_SESSION_HEADER, u64Bytes(this.sessions.store.headPhys));
    writer.endNode();
    writer.beginNode(LUO_FDT_FLB_NODE);
    writer.propertyString('compatible', LUO_FDT_FLB_COMPATIBLE);
    writer.property(LUO_FDT_FLB_HEADER, u64Bytes(flb));
    writer.endNode();
    writer.endNode();
    writer.finish();
    return writer;
  }

  #print(line: string): void {
    this.#kernel.printk(`luo_core: ${line}`);
  }
}
