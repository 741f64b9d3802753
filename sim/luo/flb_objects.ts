/*
 * What becomes of FLBs: counts, once-only preserve and retrieve, finish with the last file.
 *
 *   outgoing   count 0 --first file: ops.preserve--> 1 .. n --last file, last user: ops.unpreserve--> 0
 *   incoming   untried --ops.retrieve, count from the page--> retrieved --count 0: ops.finish--> finished for ever
 *
 *   locks      luo_register_rwlock (read) around a walk over a handler's FLBs (v6.19: none), then
 *              flb.private.outgoing.lock or .incoming.lock; neither is held over the other
 *
 *                         v6.19              v7.0, v7.1, april            v7.3
 *   counts                plain numbers      refcounts, saturate          the same
 *   get_incoming          no reference       a reference, put_incoming    the same
 *   get_outgoing          obj or NULL        obj or NULL, no reference    -ENOENT or a reference, put_outgoing
 *   module                while registered   per active object            the same
 *   failed retrieve       tried again        tried again                  remembered
 *
 * incoming.count is loaded by the first retrieve alone: a file that is finished before anybody asked for the object
 * decrements 0. That is modelled as it is: -1 in v6.19, a refcount underflow with its warning later.
 */
import { ERRNO } from '../base/errno.ts';
import type { Op } from '../base/point.ts';
import { type Phys, wide } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { modulePut, moduleTryGet } from '../kernel/module.ts';
import {
  FLB_INCOMING_REF,
  FLB_OUTGOING_REF,
  FLB_RETRIEVE_STATUS,
  MODULE_PER_FILE,
} from '../kernel/patches.ts';
import type { Stateful } from '../machine/journal.ts';
import type { Task } from '../sched/task.ts';
import { LUO_FLB_HEADER_SER, LUO_FLB_MAX, LUO_FLB_SER } from './abi.ts';
import type { FileHandler } from './file_handler.ts';
import type { FileHandlers } from './file_handlers.ts';
import type { Flb, FlbOpArgs } from './flb.ts';
import { type FlbSide, FlbState, loadU64, paddedName, storeU64 } from './flb_state.ts';

/** Where a refcount_t stays once it was used wrongly. */
const SATURATED = -0x40000000;

export class LuoFlbs implements Stateful {
  readonly #kernel: Kernel;
  readonly #handlers: FileHandlers;
  readonly #enabled: () => boolean;
  readonly #states = new Map<Flb, FlbState>();
  /** Registered FLBs in order, and what each handler needs, in order. */
  #registered: FlbState[] = [];
  #links = new Map<FileHandler, FlbState[]>();
  /** The page of the previous kernel, 0 for none: mapped, never restored. */
  incomingPhys = wide(0);

  constructor(kernel: Kernel, handlers: FileHandlers, enabled: () => boolean) {
    this.#kernel = kernel;
    this.#handlers = handlers;
    this.#enabled = enabled;
    handlers.onUnregister = (handler) => this.#unregisterAll(handler);
    kernel.machine.journal.enlist(this);
  }

  /** Registered FLBs that are in use, in order, with the number of files that need each; for oracles. */
  get inUse(): { readonly flb: Flb; readonly count: number; readonly data: bigint }[] {
    const active = this.#registered.filter(({ outgoing }) => outgoing.count > 0);
    return active.map(({ flb, outgoing }) => ({ flb, count: outgoing.count, data: outgoing.data }));
  }

  /**
   * Ties an FLB to a handler: 0, -EOPNOTSUPP, -EINVAL for a handler that is not registered (warns), -EEXIST,
   * -ENOSPC, -ENOMEM; before MODULE_PER_FILE -EBUSY where there are sessions, -EAGAIN. @kernel liveupdate_register_flb
   */
  *register(task: Task, handler: FileHandler, flb: Flb): Op<number> {
    if (!this.#enabled()) return -ERRNO.EOPNOTSUPP;
    if (!this.#handlers.isRegistered(handler)) {
      this.#kernel.warn('liveupdate_register_flb: handler is not registered');
      return -ERRNO.EINVAL;
    }
    const err = yield* this.#handlers.quiesce(task);
    if (err !== 0) return err;
    const result = this.#link(handler, flb);
    this.#handlers.resume(task);
    return result;
  }

  /** Unties an FLB from a handler. @kernel liveupdate_unregister_flb */
  *unregister(task: Task, handler: FileHandler, flb: Flb): Op<number> {
    if (!this.#enabled()) return this.#handlers.rwlock === undefined ? -ERRNO.EOPNOTSUPP : 0;
    const err = yield* this.#handlers.quiesce(task);
    if (err !== 0) return err;
    this.#unlink(handler, this.#stateOf(flb));
    this.#handlers.resume(task);
    return 0;
  }

  /** A file of this handler is preserved: 0, -ENODEV, or what ops.preserve says. @kernel luo_flb_file_preserve */
  *filePreserve(task: Task, handler: FileHandler): Op<number> {
    const { rwlock } = this.#handlers;
    if (rwlock !== undefined && !rwlock.tryRead(task)) yield* rwlock.waitRead(task);
    const states = this.#links.get(handler) ?? [];
    let err = 0;
    let done = 0;
    for (; done < states.length && err === 0; done++) {
      const state = states[done] as FlbState;
      if (!state.outgoingLock.tryLock(task)) yield* state.outgoingLock.wait(task);
      err = this.#preserveOne(state);
      state.outgoingLock.unlock(task);
    }
    if (err !== 0) {
      for (const state of states.slice(0, done - 1).toReversed()) {
        if (!state.outgoingLock.tryLock(task)) yield* state.outgoingLock.wait(task);
        this.#unpreserveOne(state);
        state.outgoingLock.unlock(task);
      }
    }
    rwlock?.unlockRead(task);
    return err;
  }

  /** A file of this handler is not preserved any more. @kernel luo_flb_file_unpreserve */
  *fileUnpreserve(task: Task, handler: FileHandler): Op<void> {
    const { rwlock } = this.#handlers;
    if (rwlock !== undefined && !rwlock.tryRead(task)) yield* rwlock.waitRead(task);
    for (const state of (this.#links.get(handler) ?? []).toReversed()) {
      if (!state.outgoingLock.tryLock(task)) yield* state.outgoingLock.wait(task);
      this.#unpreserveOne(state);
      state.outgoingLock.unlock(task);
    }
    rwlock?.unlockRead(task);
  }

  /** A file of this handler is finished. @kernel luo_flb_file_finish */
  *fileFinish(task: Task, handler: FileHandler): Op<void> {
    const { rwlock } = this.#handlers;
    if (rwlock !== undefined && !rwlock.tryRead(task)) yield* rwlock.waitRead(task);
    for (const state of (this.#links.get(handler) ?? []).toReversed()) {
      if (!state.incomingLock.tryLock(task)) yield* state.incomingLock.wait(task);
      this.#putIncoming(state);
      state.incomingLock.unlock(task);
    }
    rwlock?.unlockRead(task);
  }

  /** The object of the previous kernel, for someone in this one; or a negative errno. @kernel liveupdate_flb_get_incoming */
  *getIncoming(task: Task, flb: Flb): Op<{ readonly obj: unknown } | number> {
    if (!this.#enabled()) return -ERRNO.EOPNOTSUPP;
    const state = this.#stateOf(flb);
    if (!state.incomingLock.tryLock(task)) yield* state.incomingLock.wait(task);
    const err = state.incoming.obj === undefined ? this.#retrieveOne(state) : 0;
    if (err === 0 && this.#kernel.has(FLB_INCOMING_REF)) this.#increment(state.incoming);
    const { obj } = state.incoming;
    state.incomingLock.unlock(task);
    return err !== 0 ? err : { obj };
  }

  /** What getIncoming took; there is nothing to give back before FLB_INCOMING_REF. @kernel liveupdate_flb_put_incoming */
  *putIncoming(task: Task, flb: Flb): Op<void> {
    if (!this.#kernel.has(FLB_INCOMING_REF)) return;
    const state = this.#stateOf(flb);
    if (!state.incomingLock.tryLock(task)) yield* state.incomingLock.wait(task);
    this.#putIncoming(state);
    state.incomingLock.unlock(task);
  }

  /** The object that is to cross; -ENOENT since FLB_OUTGOING_REF, NULL before, where there is none. @kernel liveupdate_flb_get_outgoing */
  *getOutgoing(task: Task, flb: Flb): Op<{ readonly obj: unknown } | number> {
    if (!this.#enabled()) return -ERRNO.EOPNOTSUPP;
    const state = this.#stateOf(flb);
    if (!state.outgoingLock.tryLock(task)) yield* state.outgoingLock.wait(task);
    const { obj } = state.outgoing;
    const counts = this.#kernel.has(FLB_OUTGOING_REF);
    if (counts && obj !== undefined) this.#increment(state.outgoing);
    state.outgoingLock.unlock(task);
    return counts && obj === undefined ? -ERRNO.ENOENT : { obj };
  }

  /** @kernel liveupdate_flb_put_outgoing */
  *putOutgoing(task: Task, flb: Flb): Op<void> {
    if (!this.#kernel.has(FLB_OUTGOING_REF)) return;
    const state = this.#stateOf(flb);
    if (!state.outgoingLock.tryLock(task)) yield* state.outgoingLock.wait(task);
    this.#unpreserveOne(state);
    state.outgoingLock.unlock(task);
  }

  /** Writes the FLBs that are in use to the outgoing page; cannot fail. @kernel luo_flb_serialize */
  *serialize(task: Task, page: Phys): Op<void> {
    const { rwlock } = this.#handlers;
    const { ram } = this.#kernel.machine;
    if (rwlock !== undefined && !rwlock.tryRead(task)) yield* rwlock.waitRead(task);
    let i = 0;
    for (const { flb, outgoing } of this.#registered) {
      if (outgoing.count <= 0) continue;
      const entry = page + LUO_FLB_HEADER_SER.size + i++ * LUO_FLB_SER.size;
      ram.storeBytes(entry + LUO_FLB_SER.at.name, paddedName(flb.compatible));
      storeU64(ram, entry + LUO_FLB_SER.at.data, outgoing.data);
      ram.store64(entry + LUO_FLB_SER.at.count, outgoing.count);
    }
    ram.store64(page + LUO_FLB_HEADER_SER.at.count, i);
    rwlock?.unlockRead(task);
  }

  capture(): unknown {
    const links = [...this.#links].map(([handler, states]) => [handler, states.slice()] as const);
    return [this.#registered.slice(), links, this.incomingPhys];
  }

  reinstate(state: unknown): void {
    const [registered, links, incomingPhys] = state as [FlbState[], [FileHandler, FlbState[]][], number];
    this.#registered = registered.slice();
    this.#links = new Map(links.map(([handler, states]) => [handler, states.slice()]));
    this.incomingPhys = incomingPhys;
  }

  #link(handler: FileHandler, flb: Flb): number {
    const state = this.#stateOf(flb);
    const linked = this.#links.get(handler) ?? [];
    if (linked.includes(state)) return -ERRNO.EEXIST;
    const known = this.#registered.some(({ flb: other }) => other.compatible === flb.compatible);
    if (state.users === 0 && this.#registered.length === LUO_FLB_MAX) return -ERRNO.ENOSPC;
    if (state.users === 0 && known) return -ERRNO.EEXIST;
    if (!this.#kernel.has(MODULE_PER_FILE) && !moduleTryGet(flb.module)) return -ERRNO.EAGAIN;
    if (state.users === 0) this.#registered.push(state);
    state.users++;
    this.#links.set(handler, [...linked, state]);
    return 0;
  }

  #unlink(handler: FileHandler, state: FlbState): void {
    const linked = this.#links.get(handler) ?? [];
    if (!linked.includes(state)) {
      const { compatible } = state.flb;
      this.#print(
        `Failed to unregister FLB '${compatible}': not found in file handler '${handler.compatible}'`,
      );
      return;
    }
    this.#links.set(
      handler,
      linked.filter((other) => other !== state),
    );
    if (--state.users === 0) this.#registered = this.#registered.filter((other) => other !== state);
    if (!this.#kernel.has(MODULE_PER_FILE)) modulePut(state.flb.module);
  }

  #unregisterAll(handler: FileHandler): void {
    for (const state of this.#links.get(handler) ?? []) this.#unlink(handler, state);
  }

  /** @kernel luo_flb_file_preserve_one */
  #preserveOne(state: FlbState): number {
    const { outgoing, flb } = state;
    if (outgoing.count !== 0) {
      this.#increment(outgoing);
      return 0;
    }
    const pins = this.#kernel.has(MODULE_PER_FILE);
    if (pins && !moduleTryGet(flb.module)) return -ERRNO.ENODEV;
    const args: FlbOpArgs = { data: 0n, obj: undefined };
    const err = flb.preserve(args);
    if (err !== 0) {
      if (pins) modulePut(flb.module);
      return err;
    }
    outgoing.data = args.data;
    outgoing.obj = args.obj;
    outgoing.count = 1;
    return 0;
  }

  /** @kernel liveupdate_flb_put_outgoing */
  #unpreserveOne({ outgoing, flb }: FlbState): void {
    if (!this.#decrement(outgoing)) return;
    flb.unpreserve({ data: outgoing.data, obj: outgoing.obj });
    outgoing.data = 0n;
    outgoing.obj = undefined;
    if (this.#kernel.has(MODULE_PER_FILE)) modulePut(flb.module);
  }

  /** Loads count and data from the page and makes the object, once: 0 or a negative errno. @kernel luo_flb_retrieve_one */
  #retrieveOne(state: FlbState): number {
    const { incoming, flb } = state;
    if (state.finished) return -ERRNO.ENODATA;
    if (state.status !== 0) return Math.min(state.status, 0);
    if (this.incomingPhys === 0) return -ERRNO.ENODATA;
    const entry = this.#entryOf(flb.compatible);
    if (entry === 0) return -ERRNO.ENOENT;
    const { ram } = this.#kernel.machine;
    incoming.data = loadU64(ram, entry + LUO_FLB_SER.at.data);
    incoming.count = ram.load64(entry + LUO_FLB_SER.at.count);
    const pins = this.#kernel.has(MODULE_PER_FILE);
    if (pins && !moduleTryGet(flb.module)) return -ERRNO.ENODEV;
    const args: FlbOpArgs = { data: incoming.data, obj: undefined };
    const err = flb.retrieve(args);
    if (err !== 0) {
      if (pins) modulePut(flb.module);
      if (this.#kernel.has(FLB_RETRIEVE_STATUS)) state.status = err;
      return err;
    }
    incoming.obj = args.obj;
    state.status = 1;
    return 0;
  }

  /** One file or user less; the last one finishes. @kernel liveupdate_flb_put_incoming */
  #putIncoming(state: FlbState): void {
    const { incoming, flb } = state;
    if (!this.#decrement(incoming)) return;
    if (state.status !== 1) {
      const err = this.#retrieveOne(state);
      if (err !== 0) {
        this.#kernel.warn('luo_flb_file_finish_one: the object cannot be retrieved');
        if (this.#kernel.has(FLB_INCOMING_REF)) return;
      }
    }
    flb.finish({ data: incoming.data, obj: incoming.obj });
    incoming.data = 0n;
    incoming.obj = undefined;
    state.finished = true;
    if (this.#kernel.has(MODULE_PER_FILE)) modulePut(flb.module);
  }

  /** Address of the incoming entry of this name, 0 for none. The page's counts are not checked by anybody. */
  #entryOf(compatible: string): number {
    const { ram } = this.#kernel.machine;
    const name = paddedName(compatible);
    const count = ram.load64(this.incomingPhys + LUO_FLB_HEADER_SER.at.count);
    for (let i = 0; i < count; i++) {
      const entry = this.incomingPhys + LUO_FLB_HEADER_SER.size + i * LUO_FLB_SER.size;
      const stored = ram.loadBytes(entry + LUO_FLB_SER.at.name, compatible.length + 1);
      if (stored.every((byte, k) => byte === name[k])) return entry;
    }
    return 0;
  }

  #increment(side: FlbSide): void {
    if (!this.#kernel.has(FLB_INCOMING_REF)) side.count++;
    else if (side.count > 0) side.count++;
    else this.#saturate(side, 'addition on 0; use-after-free');
  }

  /** Whether that was the last. */
  #decrement(side: FlbSide): boolean {
    if (!this.#kernel.has(FLB_INCOMING_REF)) return --side.count === 0;
    if (side.count > 0) return --side.count === 0;
    this.#saturate(side, 'underflow; use-after-free');
    return false;
  }

  #saturate(side: FlbSide, what: string): void {
    if (side.count !== SATURATED) this.#kernel.warn(`refcount_t: ${what}`);
    side.count = SATURATED;
  }

  /** @kernel luo_flb_get_private */
  #stateOf(flb: Flb): FlbState {
    let state = this.#states.get(flb);
    if (state === undefined) {
      const same = [...this.#states.keys()].filter(({ compatible }) => compatible === flb.compatible);
      state = new FlbState(this.#kernel, flb, same.length);
      this.#states.set(flb, state);
    }
    return state;
  }

  #print(line: string): void {
    this.#kernel.printk(`luo_flb: ${line}`);
  }
}
