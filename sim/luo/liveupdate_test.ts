/*
 * The in-kernel test module of live update, lib/tests/liveupdate.c: three FLBs that are tied to every file handler.
 *
 *   handler registered   once: the object of the previous kernel is asked for (-ENODATA, -ENOENT are fine) and let go;
 *                        then all are tied to the handler, the first one twice, which must be refused
 *   preserve             data is a magic number and the index; retrieve and finish check it
 */
import { ERRNO, printErrno } from '../base/errno.ts';
import type { Op } from '../base/point.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Task } from '../sched/task.ts';
import type { FileHandler } from './file_handler.ts';
import type { Flb } from './flb.ts';
import type { LuoFlbs } from './flb_objects.ts';

export const TEST_NFLBS = 3;
export const TEST_FLB_MAGIC = 0xfeedf00dcafebee0n;

export class LiveUpdateTest {
  readonly flbs: readonly Flb[];
  readonly #kernel: Kernel;
  readonly #luo: LuoFlbs;
  #asked = false;

  constructor(kernel: Kernel, flbs: LuoFlbs) {
    this.#kernel = kernel;
    this.#luo = flbs;
    this.flbs = Array.from({ length: TEST_NFLBS }, (_, i) => this.#make(i));
  }

  /** @kernel liveupdate_test_register */
  *registerFlbs(task: Task, handler: FileHandler): Op<void> {
    if (!this.#asked) {
      this.#asked = true;
      for (const flb of this.flbs) {
        const got = yield* this.#luo.getIncoming(task, flb);
        if (typeof got === 'object') yield* this.#luo.putIncoming(task, flb);
        else if (got !== -ERRNO.ENODATA && got !== -ERRNO.ENOENT) {
          this.#print(`liveupdate_flb_get_incoming for ${flb.compatible} failed: ${printErrno(got)}`);
        }
      }
    }
    for (const flb of this.flbs) {
      const err = yield* this.#luo.register(task, handler, flb);
      if (err !== 0) {
        this.#print(`Failed to register ${flb.compatible}: ${printErrno(err)}`);
        return;
      }
    }
    const again = yield* this.#luo.register(task, handler, this.flbs[0] as Flb);
    if (again !== -ERRNO.EEXIST)
      this.#kernel.warn('liveupdate_test_register: a second registration is taken');
    this.#print(`Registered ${TEST_NFLBS} FLBs with file handler: [${handler.compatible}]`);
  }

  #make(i: number): Flb {
    const compatible = `liveupdate-test-flb-v${i}`;
    const data = TEST_FLB_MAGIC + BigInt(i);
    return {
      compatible,
      module: undefined,
      preserve: (args) => {
        this.#print(`preserve was triggered for ${compatible}`);
        args.data = data;
        args.obj = data;
        return 0;
      },
      unpreserve: () => this.#print(`unpreserve was triggered for ${compatible}`),
      retrieve: (args) => {
        args.obj = args.data;
        if (args.data === data) this.#print(`found flb data from the previous boot: ${compatible}`);
        else this.#print(`ERROR - incorrect data for ${compatible}`);
        return 0;
      },
      finish: (args) => {
        const right = args.obj === data;
        this.#print(`finish was triggered for ${compatible}${right ? '' : ': incorrect object'}`);
      },
    };
  }

  #print(line: string): void {
    this.#kernel.printk(`luo_test: ${line}`);
  }
}
