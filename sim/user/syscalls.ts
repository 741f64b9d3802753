/*
 * System calls on files, as far as preserving them can be told from what they answer.
 *
 *   memfd_create   MFD_HUGETLB is another file system; MFD_NOEXEC_SEAL: no execute bits, F_SEAL_EXEC, sealing allowed;
 *                  without MFD_ALLOW_SEALING F_SEAL_SEAL is set from the start
 *   write, truncate, fallocate, seals   files/shmem.ts, files/seals.ts; on files that are open for writing only
 *   read, write, mmap on /dev/liveupdate and on sessions   -EINVAL, -EINVAL, -ENODEV
 *
 * A descriptor of O_PATH answers -EBADF to all but close, dup and fstat.
 */
import type { Answer } from '../base/answer.ts';
import { ERRNO } from '../base/errno.ts';
import type { Op } from '../base/point.ts';
import type { System } from '../boot/boot.ts';
import { addSeals } from '../files/seals.ts';
import { SIZE_MAX } from '../files/shmem.ts';
import {
  F_SEAL_EXEC,
  F_SEAL_FUTURE_WRITE,
  F_SEAL_SEAL,
  F_SEAL_WRITE,
  type InodeHandle,
} from '../files/shmem_inode.ts';
import { fillMapped, storeMapped } from '../files/shmem_mapped.ts';
import type { Contents } from '../files/shmem_write.ts';
import { type FileHandle, O_ACCMODE, O_LARGEFILE, O_RDONLY } from '../kernel/vfs.ts';
import { patternBytes } from './contents.ts';
import { type OpenKind, OtherFiles, type OtherKind } from './other_files.ts';
import { dropFile, type Process, type Thread } from './process.ts';

export const MFD_CLOEXEC = 0x1;
export const MFD_ALLOW_SEALING = 0x2;
export const MFD_HUGETLB = 0x4;
export const MFD_NOEXEC_SEAL = 0x8;
export const MFD_EXEC = 0x10;
const MFD_ALL = 0x1f;

export const FALLOC_FL_KEEP_SIZE = 0x1;
export const FALLOC_FL_PUNCH_HOLE = 0x2;

export const SEEK_SET = 0;
export const SEEK_CUR = 1;
export const SEEK_END = 2;

/** What one read(2) or write(2) does at most: INT_MAX less a part of a page. */
export const MAX_RW_COUNT = 0x7ffff000;

const ALL = 0o777;
const NO_EXECUTE = 0o666;
const REGULAR = 0o100000;
const SECTORS_PER_PAGE = 8;

/** What fstat(2), F_GETFL, F_GET_SEALS and lseek say of a shmem file. */
export interface Stat {
  readonly size: number;
  readonly pos: number;
  readonly seals: number;
  /** st_mode. */
  readonly mode: number;
  readonly flags: number;
  readonly closeOnExec: boolean;
  /** Of 512 bytes. */
  readonly blocks: number;
  /** Which inode, as a number without meaning but to compare. */
  readonly inode: number;
}

export class Syscalls {
  readonly #system: System;
  readonly #others: OtherFiles;

  constructor(system: System) {
    this.#system = system;
    this.#others = new OtherFiles(system);
  }

  /** A descriptor, or -EINVAL, -EMFILE, -ENFILE, -ENOMEM. `folioOrder`: what huge pages are wanted for the file. */
  memfdCreate({ task, process }: Thread, flags: number, folioOrder = 0): number {
    this.#system.kernel.enterSyscall();
    if ((flags & ~MFD_ALL) !== 0 || (flags & (MFD_EXEC | MFD_NOEXEC_SEAL)) === (MFD_EXEC | MFD_NOEXEC_SEAL)) {
      return -ERRNO.EINVAL;
    }
    const noExec = (flags & MFD_NOEXEC_SEAL) !== 0;
    const sealing = noExec || (flags & MFD_ALLOW_SEALING) !== 0;
    const seals = (sealing ? 0 : F_SEAL_SEAL) | (noExec ? F_SEAL_EXEC : 0);
    const closeOnExec = (flags & MFD_CLOEXEC) !== 0;
    if ((flags & MFD_HUGETLB) !== 0) {
      return this.#install(process, closeOnExec, () => this.#openOther(task, 'hugetlb memfd'));
    }
    const { shmem } = this.#system.files;
    const mode = noExec ? NO_EXECUTE : ALL;
    return this.#install(process, closeOnExec, () => shmem.createFile(task, mode, seals, 0, folioOrder));
  }

  /** open(2), pipe(2) and their like: a descriptor of that kind, or a negative errno. */
  open({ task, process }: Thread, kind: OpenKind): number {
    this.#system.kernel.enterSyscall();
    const { shmem } = this.#system.files;
    return this.#install(process, false, () => {
      if (kind !== 'tmpfs file' && kind !== 'unlinked tmpfs file' && kind !== 'O_TMPFILE') {
        return this.#openOther(task, kind);
      }
      const file = shmem.createFile(task, NO_EXECUTE, F_SEAL_SEAL, kind === 'O_TMPFILE' ? 0 : 1, 0);
      if (file >= 0 && kind === 'unlinked tmpfs file') shmem.unlink(shmem.inodeOf(file as FileHandle));
      return file;
    });
  }

  /** open("/proc/self/fd/N", flags): another struct file over the same inode; with O_PATH it only names it. */
  reopen({ task, process }: Thread, fd: number, flags: number): number {
    this.#system.kernel.enterSyscall();
    const inode = this.#inode(process, fd);
    if (inode < 0) return inode;
    const { files, vfs } = this.#system;
    return this.#install(process, false, () => {
      const file = files.shmem.openFile(task, inode as InodeHandle);
      if (file >= 0) vfs.setFlags(file as FileHandle, flags);
      return file;
    });
  }

  /** @kernel ksys_dup */
  dup({ process }: Thread, fd: number): number {
    this.#system.kernel.enterSyscall();
    const file = process.file(fd);
    if (file < 0) return file;
    return this.#install(process, false, () => {
      process.hold(file as FileHandle);
      return file;
    });
  }

  close({ task, process }: Thread, fd: number): Answer {
    const system = this.#system;
    system.kernel.enterSyscall();
    const file = process.detach(fd);
    return file < 0 ? file : dropFile(system, task, file as FileHandle);
  }

  /** Bytes written at the file's position, which moves. */
  *write(thread: Thread, fd: number, contents: Contents): Op<number> {
    const { vfs } = this.#system;
    const file = thread.process.opened(fd);
    if (file < 0) {
      this.#system.kernel.enterSyscall();
      return file;
    }
    const at = vfs.pos(file as FileHandle);
    const written = this.pwrite(thread, fd, at, contents);
    const result = typeof written === 'number' ? written : yield* written;
    if (result > 0) vfs.setPos(file as FileHandle, at + result);
    return result;
  }

  /**
   * Bytes written, at most MAX_RW_COUNT; -EBADF where the file is not open for writing, -EINVAL where it cannot be
   * written, or shmem's.
   */
  pwrite(thread: Thread, fd: number, at: number, contents: Contents): Op<number> | number {
    const { kernel, vfs, files } = this.#system;
    kernel.enterSyscall();
    const file = thread.fdget(fd);
    if (file < 0) return file;
    if ((vfs.flags(file as FileHandle) & O_ACCMODE) === O_RDONLY) return -ERRNO.EBADF;
    const bytes = Math.min(contents.bytes, MAX_RW_COUNT);
    if (this.#others.is(this.#system, file as FileHandle, '/dev/null')) return bytes;
    if (this.#others.is(this.#system, file as FileHandle, '/dev/zero')) return bytes;
    if (!files.shmem.isShmem(file as FileHandle)) return -ERRNO.EINVAL;
    return files.shmem.write(thread.task, files.shmem.inodeOf(file as FileHandle), at, {
      ...contents,
      bytes,
    });
  }

  /** What is there from `at`, fewer bytes at the end of the file; or a negative errno. */
  pread({ process }: Thread, fd: number, at: number, bytes: number): Uint8Array | number {
    const { kernel, files } = this.#system;
    kernel.enterSyscall();
    const file = process.opened(fd);
    if (file < 0) return file;
    if (this.#others.is(this.#system, file as FileHandle, '/dev/null')) return new Uint8Array();
    if (this.#others.is(this.#system, file as FileHandle, '/dev/zero')) return new Uint8Array(bytes);
    if (!files.shmem.isShmem(file as FileHandle)) return -ERRNO.EINVAL;
    return files.shmem.read(files.shmem.inodeOf(file as FileHandle), at, bytes);
  }

  /** Stores through a shared writable mapping that is made for it: 0, -ENODEV, -EPERM, -EFAULT, -ENOMEM. */
  mmapStore({ process }: Thread, fd: number, at: number, bytes: Uint8Array): number {
    const { kernel, vfs, files } = this.#system;
    kernel.enterSyscall();
    const file = process.opened(fd);
    if (file < 0) return file;
    if (!files.shmem.isShmem(file as FileHandle)) return -ERRNO.ENODEV;
    const inode = files.shmem.inodeOf(file as FileHandle);
    const sealed = (files.shmem.inodes.seals(inode) & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0;
    const readOnly = (vfs.flags(file as FileHandle) & O_ACCMODE) === O_RDONLY;
    if (sealed) return -ERRNO.EPERM;
    return readOnly ? -ERRNO.EACCES : storeMapped(kernel.machine.ram, files.shmem, inode, at, bytes);
  }

  /** Words of a pattern, stored through such a mapping at every multiple of a distance: 0, or as mmapStore. */
  mmapFill(thread: Thread, fd: number, every: number, seed: number): number {
    const refused = this.mmapStore(thread, fd, 0, new Uint8Array());
    if (refused !== 0) return refused;
    const { kernel, files } = this.#system;
    const inode = files.shmem.inodeOf(thread.process.opened(fd) as FileHandle);
    const contents = (at: number, bytes: number): Uint8Array => patternBytes(seed, at, bytes);
    return fillMapped(kernel.machine.ram, files.shmem, inode, every, contents, seed);
  }

  /** The new position, or -EBADF, -EINVAL, -ESPIPE. */
  lseek({ process }: Thread, fd: number, offset: number, whence: number): number {
    const { kernel, vfs, files } = this.#system;
    kernel.enterSyscall();
    const file = process.opened(fd);
    if (file < 0) return file;
    if (!files.shmem.isShmem(file as FileHandle)) return -ERRNO.ESPIPE;
    const size = files.shmem.inodes.size(files.shmem.inodeOf(file as FileHandle));
    const from = whence === SEEK_SET ? 0 : whence === SEEK_CUR ? vfs.pos(file as FileHandle) : size;
    if (whence > SEEK_END || from + offset < 0 || from + offset >= SIZE_MAX) return -ERRNO.EINVAL;
    vfs.setPos(file as FileHandle, from + offset);
    return from + offset;
  }

  ftruncate(thread: Thread, fd: number, bytes: number): Op<number> | number {
    const inode = this.#writableInode(thread, fd);
    if (inode < 0) return inode;
    if (bytes < 0 || bytes >= SIZE_MAX) return -ERRNO.EINVAL;
    return this.#system.files.shmem.truncate(thread.task, inode as InodeHandle, bytes);
  }

  /** `mode`: 0, or FALLOC_FL_PUNCH_HOLE with FALLOC_FL_KEEP_SIZE. */
  fallocate(thread: Thread, fd: number, mode: number, at: number, bytes: number): Op<number> | number {
    const inode = this.#writableInode(thread, fd);
    if (inode < 0) return inode === -ERRNO.EINVAL ? -ERRNO.EBADF : inode;
    const punch = (mode & FALLOC_FL_PUNCH_HOLE) !== 0;
    if (punch && (mode & FALLOC_FL_KEEP_SIZE) === 0) return -ERRNO.EOPNOTSUPP;
    return this.#system.files.shmem.fallocate(thread.task, inode as InodeHandle, at, bytes, punch);
  }

  /** fcntl(F_ADD_SEALS): 0, -EPERM where the file is not open for writing, or seals.ts. */
  addSeals(thread: Thread, fd: number, seals: number): Op<number> | number {
    const inode = this.#writableInode(thread, fd);
    if (inode < 0) return inode === -ERRNO.EINVAL && thread.process.opened(fd) >= 0 ? -ERRNO.EPERM : inode;
    return addSeals(this.#system.files.shmem, thread.task, inode as InodeHandle, seals);
  }

  /** Everything that can be asked of a shmem file; -EBADF, -EINVAL for other files. */
  stat({ process }: Thread, fd: number): Stat | number {
    const { kernel, vfs, files } = this.#system;
    kernel.enterSyscall();
    const inode = this.#inode(process, fd);
    if (inode < 0) return inode;
    const { inodes } = files.shmem;
    const handle = inode as InodeHandle;
    const file = process.file(fd) as FileHandle;
    return {
      size: inodes.size(handle),
      pos: vfs.pos(file),
      seals: inodes.seals(handle),
      mode: REGULAR | inodes.mode(handle),
      flags: vfs.flags(file) | O_LARGEFILE,
      closeOnExec: process.closesOnExec(fd),
      blocks: inodes.pages(handle) * SECTORS_PER_PAGE,
      inode: inodes.slab.physOf(handle),
    };
  }

  /** readlink("/proc/self/fd/N") without the number of an inode, or -EBADF. */
  link({ process }: Thread, fd: number): string | number {
    const file = process.file(fd);
    return file < 0 ? file : this.#system.vfs.link(file as FileHandle);
  }

  /** A descriptor for the file that `make` makes. */
  #install(process: Process, closeOnExec: boolean, make: () => FileHandle | number): number {
    const fd = process.reserveFd();
    if (fd < 0) return fd;
    const file = make();
    if (file < 0) process.returnFd(fd);
    else process.install(fd, file as FileHandle, closeOnExec);
    return file < 0 ? file : fd;
  }

  #openOther(task: Thread['task'], kind: OtherKind): FileHandle | number {
    return this.#system.vfs.allocFile(task, this.#others.kindOf(kind), 0);
  }

  #inode(process: Process, fd: number): InodeHandle | number {
    const file = process.file(fd);
    if (file < 0) return file;
    const { shmem } = this.#system.files;
    return shmem.isShmem(file as FileHandle) ? shmem.inodeOf(file as FileHandle) : -ERRNO.EINVAL;
  }

  /** -EINVAL for files that are no shmem or not open for writing. */
  #writableInode(thread: Thread, fd: number): InodeHandle | number {
    this.#system.kernel.enterSyscall();
    const { vfs } = this.#system;
    const file = thread.fdget(fd);
    if (file < 0) return file;
    const readOnly = (vfs.flags(file as FileHandle) & O_ACCMODE) === O_RDONLY;
    return readOnly ? -ERRNO.EINVAL : this.#inode(thread.process, fd);
  }
}
