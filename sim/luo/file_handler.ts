/*
 * What a kind of file must be able to do to be preserved: struct liveupdate_file_handler and its operations.
 *
 *   old kernel    can_preserve  get_id  preserve  (write on)  freeze  unfreeze  unpreserve
 *   new kernel    retrieve  can_finish  finish
 *
 * preserve may take its time, freeze runs in the reboot hook. What crosses is a name (compatible) and one u64, which
 * is the handler's own to read: memfd keeps a physical address in it.
 */
import type { Op } from '../base/point.ts';
import type { KernelModule } from '../kernel/module.ts';
import type { FileHandle } from '../kernel/vfs.ts';
import type { Task } from '../sched/task.ts';

/** struct liveupdate_file_op_args. An operation writes its answers here. */
export interface FileOpArgs {
  /** 0 in the new kernel until the file was retrieved. */
  file: FileHandle | 0;
  serializedData: number;
  /** Kept for the operations of the old kernel, never serialized. */
  privateData: number;
  /** 0 untried, 1 retrieved, a negative errno where that failed. */
  retrieveStatus: number;
}

export interface FileHandler {
  /** At most 47 bytes; unique. */
  readonly compatible: string;
  /** Whose code this is; undefined for the kernel's own. */
  readonly module: KernelModule | undefined;
  canPreserve(file: FileHandle): boolean;
  /** What two files have in common that are one to the handler; the struct file itself if not given. */
  getId?(file: FileHandle): number;
  /** 0, having set serializedData (and privateData), or a negative errno with everything undone. */
  preserve(task: Task, args: FileOpArgs): Op<number> | number;
  unpreserve(task: Task, args: FileOpArgs): Op<void> | undefined;
  /** Last words before the reboot: 0, perhaps with another serializedData, or a negative errno. */
  freeze?(args: FileOpArgs): number;
  unfreeze?(args: FileOpArgs): void;
  /** 0, having set file, or a negative errno. */
  retrieve(task: Task, args: FileOpArgs): Op<number> | number;
  canFinish?(args: FileOpArgs): boolean;
  finish(task: Task, args: FileOpArgs): Op<void> | undefined;
}
