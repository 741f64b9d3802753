/*
 * File-lifecycle-bound state: global objects of the kernel that live as long as the files that need them. The page in
 * which the outgoing kernel names them, and an FLB as a driver defines it. Layout: abi.ts. What becomes of one:
 * flb_objects.ts.
 */
import { PAGE_SIZE } from '../base/limits.ts';
import { definePoint, type Op } from '../base/point.ts';
import type { Phys } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { KernelModule } from '../kernel/module.ts';
import type { Kho } from '../kho/kexec_handover.ts';
import type { Task } from '../sched/task.ts';
import { LUO_FLB_HEADER_SER, LUO_FLB_PAGES } from './abi.ts';

const PAGE = definePoint('luo_flb_setup_outgoing', 'page', 'fault');

/** struct liveupdate_flb_op_args. */
export interface FlbOpArgs {
  /** u64 that crosses. */
  data: bigint;
  /** The object in this kernel; undefined is NULL. */
  obj: unknown;
}

/** struct liveupdate_flb with its operations, as a driver defines it. */
export interface Flb {
  /** At most 47 bytes; unique among FLBs. */
  readonly compatible: string;
  readonly module: KernelModule | undefined;
  /** For the first file that needs it: sets data and obj; 0 or a negative errno. */
  preserve(args: FlbOpArgs): number;
  /** The last of those files is not preserved any more. */
  unpreserve(args: FlbOpArgs): void;
  /** In the new kernel, once: sets obj from data; 0 or a negative errno. */
  retrieve(args: FlbOpArgs): number;
  /** The last of those files is finished. */
  finish(args: FlbOpArgs): void;
}

/** The outgoing page, preserved until the machine goes; or -ENOMEM. @kernel luo_flb_setup_outgoing */
export function* setupOutgoingFlb(kernel: Kernel, kho: Kho, task: Task): Op<number> {
  const owner = kernel.frames.owner('luo flb page');
  const page = yield* kho.out.allocPreserve(task, LUO_FLB_PAGES * PAGE_SIZE, owner, PAGE);
  if (page < 0) return page;
  kernel.machine.ram.store64((page as Phys) + LUO_FLB_HEADER_SER.at.pgcnt, LUO_FLB_PAGES);
  return page;
}
