/*
 * Files that a process may have and live update does not know what to do with: one kind each, as far as PRESERVE_FD
 * and a few calls ask. Tmpfs files are shmem (files/shmem.ts): what decides there is whether they have a name.
 */
import type { System } from '../boot/boot.ts';
import type { FileHandle } from '../kernel/vfs.ts';

export const OTHER_KINDS = [
  'pipe',
  'eventfd',
  'epoll',
  'timerfd',
  '/dev/null',
  '/dev/zero',
  'rootfs file',
  'directory',
  'hugetlb memfd',
] as const;
export type OtherKind = (typeof OTHER_KINDS)[number];

/** Kinds of files to open: others, and tmpfs files with a name, without one any more, and never with one. */
export const OPEN_KINDS = [...OTHER_KINDS, 'tmpfs file', 'unlinked tmpfs file', 'O_TMPFILE'] as const;
export type OpenKind = (typeof OPEN_KINDS)[number];

export class OtherFiles {
  readonly #kinds = new Map<OtherKind, number>();

  constructor({ vfs }: System) {
    for (const name of OTHER_KINDS) this.#kinds.set(name, vfs.registerKind({ name, release: () => 0 }));
  }

  kindOf(name: OtherKind): number {
    return this.#kinds.get(name) as number;
  }

  is(system: System, file: FileHandle, name: OtherKind): boolean {
    return system.vfs.kind(file) === this.kindOf(name);
  }
}
