/*
 * Programs: what agents do, as data. A program is the whole input of a run beside its seed.
 *
 *   generation   one kernel: its revision, its command line, and its stages
 *   stage        tasks that run at the same time; the next stage starts when all have ended
 *   task         a thread of a process; its actions come one after the other
 *
 * Processes live on between stages, so a task may use descriptors that an earlier task of the process opened. A
 * generation that ends without a successful reboot ends the run.
 */
import type { CommandLine } from '../kernel/command_line.ts';
import type { Names } from './names.ts';
import type { OpenKind } from './other_files.ts';

/** A number where it is exact, so up to 2^53 - 1; above that its decimal digits. */
export type U64 = number | string;

export const U64_MAX = 2n ** 64n - 1n;

/** The u64 of a whole number, which is taken modulo 2^64. */
export function u64Of(value: bigint): U64 {
  const whole = value & U64_MAX;
  return whole <= Number.MAX_SAFE_INTEGER ? Number(whole) : String(whole);
}

/** Token `i` of an action. */
export const tokenAt = (token: U64, i: number): U64 =>
  typeof token === 'number' && token + i <= Number.MAX_SAFE_INTEGER
    ? token + i
    : u64Of(BigInt(token) + BigInt(i));

export type Action =
  /** open("/dev/liveupdate") */
  | { readonly do: 'open' }
  /** close of that descriptor */
  | { readonly do: 'close-device' }
  /** On every one of the names, in order, until one fails. */
  | { readonly do: SessionVerb; readonly names: Names }
  /**
   * memfd_create with MFD_ALLOW_SEALING for every name, then ftruncate to so many bytes. Its memory comes in folios of
   * `folios` bytes where it can: what shmem_enabled allows; of a page, unless given.
   */
  | { readonly do: 'memfd'; readonly names: Names; readonly bytes: number; readonly folios?: number }
  /** open(2), pipe(2) and their like: one file of a kind for every name. */
  | { readonly do: 'open-file'; readonly names: Names; readonly kind: OpenKind }
  /** pwrite of `bytes` bytes of the pattern of a seed. */
  | {
      readonly do: 'write';
      readonly names: Names;
      readonly at: number;
      readonly bytes: number;
      readonly seed: number;
    }
  /** A word of the pattern at every multiple of `every` bytes, through a shared mapping: guest RAM that is used. */
  | { readonly do: 'fill'; readonly names: Names; readonly every: number; readonly seed: number }
  /** ftruncate */
  | { readonly do: 'truncate'; readonly names: Names; readonly bytes: number }
  /** fallocate of the first bytes */
  | { readonly do: 'allocate'; readonly names: Names; readonly bytes: number }
  /** lseek to `at` */
  | { readonly do: 'seek'; readonly names: Names; readonly at: number }
  /** fcntl(F_ADD_SEALS) */
  | { readonly do: 'seal'; readonly names: Names; readonly seals: number }
  /** Reads every file whole; what is there is compared with what was written. */
  | { readonly do: 'read'; readonly names: Names }
  /** PRESERVE_FD of every name in one session, with ascending tokens from `token`; after the last u64 comes 0. */
  | { readonly do: 'preserve'; readonly names: Names; readonly session: Names; readonly token: U64 }
  /** RETRIEVE_FD, the same. */
  | { readonly do: 'retrieve-fd'; readonly names: Names; readonly session: Names; readonly token: U64 }
  /** close of the descriptors */
  | { readonly do: 'close-file'; readonly names: Names }
  /** Memory pressure: whatever can be reclaimed is. */
  | { readonly do: 'reclaim' }
  /** kexec_file_load */
  | { readonly do: 'load' }
  /** kexec_load, the older call: what it loads carries no handover */
  | { readonly do: 'kexec-load' }
  /** reboot(LINUX_REBOOT_CMD_KEXEC) */
  | { readonly do: 'reboot' }
  /** reboot(LINUX_REBOOT_CMD_RESTART): through the firmware, without a handover */
  | { readonly do: 'restart' }
  /** setrlimit(RLIMIT_NOFILE) */
  | { readonly do: 'limit-files'; readonly files: number }
  /** A write to /proc/sys/fs/file-max. */
  | { readonly do: 'file-max'; readonly files: number }
  /** Writes to /proc/sys/vm/overcommit_memory, overcommit_ratio and overcommit_kbytes. */
  | { readonly do: 'overcommit-memory'; readonly policy: number }
  | { readonly do: 'overcommit-ratio'; readonly percent: number }
  | { readonly do: 'overcommit-kbytes'; readonly kbytes: number }
  /** memory.max of a cgroup that the process moves to: pages of memfds that it touches first are charged to it. */
  | { readonly do: 'memory-max'; readonly bytes: number }
  /** setuid: the process loses every capability, for good. */
  | { readonly do: 'drop-privileges' }
  /** Whether the pages of its calls' arguments may have to be waited for (userfaultfd). */
  | { readonly do: 'slow-pages'; readonly slow: 'on' | 'off' }
  /** SIGKILL to a process of this kernel; it does nothing in later stages. */
  | { readonly do: 'kill'; readonly process: string }
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

/** What is done with files: the names are theirs, and files have names of their own, apart from sessions. */
export type FileAction = Extract<Action, { do: FileVerb }>;
export type FileVerb =
  | 'memfd'
  | 'open-file'
  | 'write'
  | 'fill'
  | 'truncate'
  | 'allocate'
  | 'seek'
  | 'seal'
  | 'read'
  | 'preserve'
  | 'retrieve-fd'
  | 'close-file';

const FILE_VERBS: ReadonlySet<Verb> = new Set<FileVerb>([
  'memfd',
  'open-file',
  'write',
  'fill',
  'truncate',
  'allocate',
  'seek',
  'seal',
  'read',
  'preserve',
  'retrieve-fd',
  'close-file',
]);

export const isFileAction = (action: Action): action is FileAction => FILE_VERBS.has(action.do);

export interface TaskProgram {
  readonly process: string;
  readonly actions: readonly Action[];
}

export interface GenerationProgram {
  readonly revision: string;
  /** Its command line behind `kho=on liveupdate=on`; whatever stands there is for the kernel to judge. */
  readonly boot?: CommandLine;
  readonly stages: readonly (readonly TaskProgram[])[];
}

export interface Program {
  readonly generations: readonly GenerationProgram[];
}
