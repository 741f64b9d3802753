/*
 * kexec: loading the next kernel's image and leaving for it; and leaving without one.
 *
 *   file_load     segments are placed in scratch; only the addresses of FDT and scratch array are recorded, so what is
 *                 preserved later crosses all the same
 *   load          the older call: the image carries no handover, so the next kernel boots cold
 *   kernel_kexec  -EBUSY while the kexec lock is held, -EINVAL without an image; the live-update hook; then devices
 *                 go down and nothing comes back. Other tasks run until then.
 *   restart       through the firmware: no hook, nothing handed over
 */
import { ERRNO } from '../base/errno.ts';
import { PAGE_SIZE } from '../base/limits.ts';
import { definePoint, kernelFunction, type Op } from '../base/point.ts';
import { type Pfn, type Phys, pagesOf, pfnOf } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Kho } from '../kho/kexec_handover.ts';
import type { Luo } from '../luo/core.ts';
import { STEP } from '../machine/cpu.ts';
import type { Stateful } from '../machine/journal.ts';
import type { JumpPlan } from '../machine/machine.ts';
import { Mutex } from '../sched/mutex.ts';
import type { Task } from '../sched/task.ts';
import { COLD_IMAGE_PHYS, placeSegments, type Segments } from './image.ts';

const KERNEL_KEXEC = kernelFunction('kernel_kexec');
const HOOK_DONE = definePoint('kernel_kexec', 'hook returned');
const NEVER = definePoint('machine_kexec', 'jump');
const RESTART = definePoint('kernel_restart', 'machine_restart');

/** An image that is loaded. */
interface Loaded extends Segments {
  /** Whether it carries the addresses of a handover. */
  readonly handover: boolean;
}

export class Kexec implements Stateful {
  readonly #kernel: Kernel;
  readonly #kho: Kho;
  readonly #luo: Luo;
  readonly #transition: Mutex;
  #locked = false;
  #loaded: Loaded | undefined;
  /** Leaves through the firmware, without the hook. */
  restarts = false;

  constructor(kernel: Kernel, kho: Kho, luo: Luo) {
    this.#kernel = kernel;
    this.#kho = kho;
    this.#luo = luo;
    this.#transition = new Mutex(kernel.sched, 'system_transition_mutex');
    kernel.machine.journal.enlist(this);
  }

  /**
   * 0, -EBUSY, -EADDRNOTAVAIL where scratch has no room.
   * @kernel kexec_file_load @simplified an image has a size and no contents: no file, signature, initrd or command line
   */
  fileLoad(): number {
    if (this.#locked) return -ERRNO.EBUSY;
    const segments = placeSegments(this.#kernel.machine.params, this.#kho.scratch);
    if (segments === undefined && this.#kho.enabled) return -ERRNO.EADDRNOTAVAIL;
    this.#loaded = { ...(segments ?? NO_SEGMENTS), handover: this.#kho.enabled };
    return 0;
  }

  /**
   * 0, -EBUSY.
   * @kernel kexec_load @simplified an image has a size and no contents; it always goes where a cold boot has it
   */
  load(): number {
    if (this.#locked) return -ERRNO.EBUSY;
    this.#loaded = { ...NO_SEGMENTS, handover: false };
    return 0;
  }

  /**
   * Returns only on failure. (kernel_kexec within reboot(2), in one: the chain of generators below would grow too
   * long.)
   * @kernel kernel_kexec @simplified nothing is shut down between hook and jump; no image preserves its context
   */
  *reboot(task: Task): Op<number> {
    const { sched, trace } = this.#kernel;
    if (!this.#transition.tryLock(task)) yield* this.#transition.wait(task);
    let err = this.#locked ? -ERRNO.EBUSY : this.#loaded === undefined ? -ERRNO.EINVAL : 0;
    if (err === 0) {
      this.#locked = true;
      err = yield* this.#luo.reboot(task);
      trace.event(KERNEL_KEXEC, err);
      if (err === 0) {
        if (sched.contended) yield HOOK_DONE;
        this.#kernel.charge(STEP.shutdown, 1);
        this.#kernel.printk('kexec_core: Starting new kernel');
        this.#kernel.state = 'rebooting';
        sched.stop();
        yield NEVER;
      }
      this.#locked = false;
    }
    this.#transition.unlock(task);
    return err;
  }

  /**
   * Never returns.
   * @kernel kernel_restart @simplified there is nothing to shut down; the firmware boots the next kernel
   */
  *restart(task: Task): Op<number> {
    if (!this.#transition.tryLock(task)) yield* this.#transition.wait(task);
    this.restarts = true;
    this.#kernel.charge(STEP.shutdown, 1);
    this.#kernel.printk('reboot: Restarting system');
    this.#kernel.state = 'rebooting';
    this.#kernel.sched.stop();
    yield RESTART;
    return 0;
  }

  /** Whether what is preserved is passed on to the next kernel. */
  get handsOver(): boolean {
    return !this.restarts && (this.#loaded?.handover ?? this.#kho.enabled);
  }

  /**
   * What the machine needs for the jump.
   * @kernel kho_fill_kimage @simplified at the jump, not at load
   */
  plan(): JumpPlan {
    if (!this.handsOver) return NO_HANDOVER;
    const { ram } = this.#kernel.machine;
    const { scratchArray } = this.#loaded ?? NO_SEGMENTS;
    const contents = ram.loadBytes(this.#kho.scratchArrayPhys, PAGE_SIZE);
    return {
      fdtPhys: this.#kho.outgoingFdtPhys,
      scratchPhys: scratchArray,
      scratch: this.#kho.scratch,
      segments: [{ phys: scratchArray, contents }],
      kept: keptFrames(this.#kho),
    };
  }

  capture(): unknown {
    return [this.#locked, this.#loaded, this.restarts];
  }

  reinstate(state: unknown): void {
    [this.#locked, this.#loaded, this.restarts] = state as [boolean, Loaded | undefined, boolean];
  }
}

const NO_SEGMENTS: Segments = { image: COLD_IMAGE_PHYS, scratchArray: 0 as Phys };

/** What is preserved is left behind with all the rest. */
const NO_HANDOVER: JumpPlan = {
  fdtPhys: 0 as Phys,
  scratchPhys: 0 as Phys,
  scratch: [],
  segments: [],
  kept: () => 0,
};

/** How many of some frames the next kernel must find as they are: preserved blocks and the tracker's own pages. */
function keptFrames(kho: Kho): (first: Pfn, pages: number) => number {
  let starts: Float64Array | undefined;
  let ends: Float64Array;
  const collect = (): Float64Array => {
    const ranges: [number, number][] = (kho.out.tracker?.nodes() ?? []).map((node) => [node, node + 1]);
    kho.out.tracker?.walk((address, order) => {
      const frame = pfnOf(address);
      ranges.push([frame, frame + pagesOf(order)]);
      return 0;
    });
    ranges.sort((x, y) => x[0] - y[0]);
    ends = Float64Array.from(ranges, (range) => range[1]);
    return Float64Array.from(ranges, (range) => range[0]);
  };
  return (first, pages) => {
    starts ??= collect();
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((starts[middle] as number) <= first) low = middle + 1;
      else high = middle;
    }
    let kept = 0;
    // What is preserved twice counts once: what was counted up to here begins anew.
    let from: number = first;
    for (let i = Math.max(low - 1, 0); i < starts.length && (starts[i] as number) < first + pages; i++) {
      const end = Math.min(ends[i] as number, first + pages);
      const start = Math.max(starts[i] as number, from);
      kept += Math.max(end - start, 0);
      from = Math.max(from, end);
    }
    return kept;
  };
}
