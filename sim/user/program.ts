/*
 * Programs: what agents do, as data. A program is the whole input of a run beside its seed.
 *
 *   generation   one kernel: its revision and its stages
 *   stage        tasks that run at the same time; the next stage starts when all have ended
 *   task         a thread of a process; its actions come one after the other
 *
 * Processes live on between stages, so a task may use descriptors that an earlier task of the process opened. A
 * generation that ends without a successful reboot ends the run.
 */
import type { Names } from './names.ts';

export type Action =
  /** open("/dev/liveupdate") */
  | { readonly do: 'open' }
  /** close of that descriptor */
  | { readonly do: 'close-device' }
  /** On every one of the names, in order, until one fails. */
  | { readonly do: SessionVerb; readonly names: Names }
  /** kexec_file_load */
  | { readonly do: 'load' }
  /** reboot(LINUX_REBOOT_CMD_KEXEC) */
  | { readonly do: 'reboot' }
  /** The process exits: everything it has open is closed. */
  | { readonly do: 'exit' }
  /** The test module of lib/test_kho.c: fills and preserves folios, or takes them over and compares. */
  | { readonly do: 'kho-test'; readonly phase: 'save' | 'restore' };

/**
 * What a process does with a session acts on the descriptor of that name that it got last: from create, retrieve or dup
 * (dup(2): one more descriptor of the same session). close closes it, and the one before is the last again; the session
 * goes with its last descriptor.
 */
export type SessionVerb = 'create' | 'retrieve' | 'finish' | 'dup' | 'close';

export type Verb = Action['do'];

export interface TaskProgram {
  readonly process: string;
  readonly actions: readonly Action[];
}

export interface GenerationProgram {
  readonly revision: string;
  readonly stages: readonly (readonly TaskProgram[])[];
}

export interface Program {
  readonly generations: readonly GenerationProgram[];
}
