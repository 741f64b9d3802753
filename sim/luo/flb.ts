/*
 * File-lifecycle-bound state: the page in which the outgoing kernel names global objects that live as long as the
 * files that need them. Layout: abi.ts. With no FLB in use the page says {pgcnt 1, count 0}.
 */

import { PAGE_SIZE } from '../base/limits.ts';
import type { Op } from '../base/point.ts';
import { definePoint } from '../base/point.ts';
import type { Phys } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Kho } from '../kho/kexec_handover.ts';
import type { Task } from '../sched/task.ts';
import { LUO_FLB_HEADER_SER, LUO_FLB_PAGES } from './abi.ts';

const PAGE = definePoint('luo_flb_setup_outgoing', 'page', 'fault');

/** The outgoing page, preserved until the machine goes; or -ENOMEM. @kernel luo_flb_setup_outgoing */
export function* setupOutgoingFlb(kernel: Kernel, kho: Kho, task: Task): Op<number> {
  const owner = kernel.frames.owner('luo flb page');
  const page = yield* kho.out.allocPreserve(task, LUO_FLB_PAGES * PAGE_SIZE, owner, PAGE);
  if (page < 0) return page;
  kernel.machine.ram.store64(page + LUO_FLB_HEADER_SER.at.pgcnt, LUO_FLB_PAGES);
  return page;
}

/** Writes the FLBs that are in use: none. @kernel luo_flb_serialize @simplified no FLB has a user yet: the count is 0 */
export function serializeFlb(kernel: Kernel, page: Phys): void {
  kernel.machine.ram.store64(page + LUO_FLB_HEADER_SER.at.count, 0);
}
