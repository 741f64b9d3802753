/*
 * Open files, as far as live update needs them: a struct file has operations, something private, and references.
 *
 *   descriptor --+
 *                +--> struct file --> operations (release ...), private
 *   LUO keeps ---+
 *
 * The last fput runs release. Files are records of the filp slab; a handle names one.
 */
import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import type { Op } from '../base/point.ts';
import { definePoint } from '../base/point.ts';
import type { Phys } from '../base/units.ts';
import type { Column } from '../machine/column.ts';
import { STEP } from '../machine/cpu.ts';
import type { Stateful } from '../machine/journal.ts';
import type { SlabCache } from '../machine/slab.ts';
import { indexOf } from '../machine/slab_handle.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from './kernel.ts';

declare const brand: unique symbol;
/** A struct file. */
export type FileHandle = number & { readonly [brand]: 'file' };

/** What a kind of file does. One object per kind, found by number. */
export interface FileOperations {
  readonly name: string;
  /** What tells files of the kind from others in /proc/PID/fd: `anon_inode:[luo_session] NAME`. */
  link?(privateData: number): string;
  /** Runs when the last reference goes; the VFS ignores its result. */
  release(task: Task, file: FileHandle, privateData: number): Op<number> | number;
}

const ALLOC_FILE = definePoint('alloc_file', 'filp', 'fault');

/** struct file and the dentry of an anonymous inode: sizeof on x86-64, rounded to the slab's alignment. */
const FILP_BYTES = 192;
const DENTRY_BYTES = 192;

// Row of a file, behind the cache's word.
const ROW = 4;
const PRIVATE = 1;
/** References in the low 24 bits, kind above. */
const STATE = 2;
const REFERENCES = 0xffffff;
const FLAGS = 3;

// What few files have.
const SELDOM = 3;
/** f_pos, two words. */
const POS = 0;
/** The dentry, exclusive or with the file: allocated and freed together, they mostly have the same handle. */
const DENTRY = 2;

// Flags of open(2) that a file keeps.
export const O_RDONLY = 0;
export const O_RDWR = 2;
export const O_ACCMODE = 3;
export const O_LARGEFILE = 0o100000;
/** Names a file without opening it: most calls answer -EBADF. */
export const O_PATH = 0o10000000;

export class Vfs implements Stateful {
  readonly #kernel: Kernel;
  readonly #filp: SlabCache;
  readonly #dentries: SlabCache;
  readonly #seldom: Column;
  readonly #kinds: FileOperations[] = [];
  /** fs.file-max: struct files that may exist without CAP_SYS_ADMIN. */
  fileMax: number;

  constructor(kernel: Kernel, fileMax: number) {
    this.#kernel = kernel;
    this.fileMax = fileMax;
    this.#filp = kernel.slab('filp', FILP_BYTES, ROW);
    this.#dentries = kernel.slab('dentry', DENTRY_BYTES);
    this.#seldom = this.#filp.records('file->f_pos, dentry', SELDOM, true);
    kernel.machine.journal.enlist(this);
  }

  capture(): unknown {
    return this.fileMax;
  }

  reinstate(state: unknown): void {
    this.fileMax = state as number;
  }

  /** Struct files that exist. */
  get open(): number {
    return this.#filp.live;
  }

  /** Makes a kind of file known and returns its number. Kinds are registered at boot, in initcall order. */
  registerKind(operations: FileOperations): number {
    this.#kinds.push(operations);
    return this.#kinds.length - 1;
  }

  /**
   * A file over an anonymous inode, with one reference; or -ENFILE, -ENOMEM.
   * @kernel anon_inode_getfile @simplified a struct file and a dentry, without a name, flags or credentials
   */
  allocFile(task: Task, kind: number, privateData: number): FileHandle | number {
    assert(kind < this.#kinds.length, 'a file is of a kind');
    if (this.#filp.live >= this.fileMax && !task.cred.capable) return -ERRNO.ENFILE;
    this.#kernel.charge(STEP.fileAlloc, 1);
    if (this.#kernel.machine.decisions.fails(ALLOC_FILE)) return -ERRNO.ENOMEM;
    const dentry = this.#dentries.alloc();
    if (dentry === 0) return -ERRNO.ENOMEM;
    const file = this.#filp.alloc();
    if (file === 0) {
      this.#dentries.free(dentry);
      return -ERRNO.ENOMEM;
    }
    const row = this.#filp.row(file);
    const at = this.#filp.rowAt(file);
    row[at + PRIVATE] = privateData;
    row[at + STATE] = (kind << 24) | 1;
    row[at + FLAGS] = O_RDWR;
    if (dentry !== file) this.#seldom.set(indexOf(file) * SELDOM + DENTRY, dentry ^ file);
    return file as FileHandle;
  }

  /** Whether the file is there: a descriptor may lead to one that was dropped once too often. */
  has(file: FileHandle): boolean {
    return this.#filp.isLive(file);
  }

  /** Whether the file is there and has several references. */
  isShared(file: FileHandle): boolean {
    if (!this.#filp.isLive(file)) return false;
    return ((this.#filp.peek(file)[this.#filp.rowAt(file) + STATE] as number) & REFERENCES) > 1;
  }

  privateData(file: FileHandle): number {
    return this.#get(file, PRIVATE);
  }

  /** Address of the struct file. */
  physOf(file: FileHandle): Phys {
    return this.#filp.physOf(file);
  }

  kind(file: FileHandle): number {
    return this.#get(file, STATE) >>> 24;
  }

  /** For people: what the file is open on. */
  kindName(file: FileHandle): string {
    return (this.#kinds[this.kind(file)] as FileOperations).name;
  }

  references(file: FileHandle): number {
    return this.#get(file, STATE) & REFERENCES;
  }

  /** f_flags. */
  flags(file: FileHandle): number {
    return this.#get(file, FLAGS);
  }

  setFlags(file: FileHandle, flags: number): void {
    this.#set(file, FLAGS, flags);
  }

  /** f_pos in bytes. */
  pos(file: FileHandle): number {
    const at = this.#filp.index(file) * SELDOM + POS;
    return (this.#seldom.get(at) >>> 0) + this.#seldom.get(at + 1) * 2 ** 32;
  }

  setPos(file: FileHandle, bytes: number): void {
    const at = this.#filp.index(file) * SELDOM + POS;
    this.#seldom.set(at, bytes | 0);
    this.#seldom.set(at + 1, Math.floor(bytes / 2 ** 32));
  }

  /** @kernel get_file */
  get(file: FileHandle): void {
    const state = this.#get(file, STATE);
    assert((state & REFERENCES) < REFERENCES, 'too many references');
    this.#set(file, STATE, state + 1);
  }

  /** Drops a reference; true for the last one: the caller then runs `release` and frees the file. @kernel fput */
  put(file: FileHandle): boolean {
    const row = this.#filp.openRow(file, STATE, 1);
    const at = this.#filp.rowAt(file) + STATE;
    const state = row[at] as number;
    assert((state & REFERENCES) > 0, 'fput without a reference');
    row[at] = state - 1;
    return (state & REFERENCES) === 1;
  }

  /** What readlink(2) says of /proc/PID/fd/N, without a number of an inode. */
  link(file: FileHandle): string {
    const operations = this.#kinds[this.kind(file)] as FileOperations;
    return operations.link?.(this.privateData(file)) ?? operations.name;
  }

  /** What the file's kind does when the last reference is gone. @kernel __fput @simplified a file has nothing else to give up */
  release(task: Task, file: FileHandle): Op<number> | number {
    const row = this.#filp.row(file);
    const at = this.#filp.rowAt(file);
    const operations = this.#kinds[(row[at + STATE] as number) >>> 24] as FileOperations;
    return operations.release(task, file, row[at + PRIVATE] as number);
  }

  /** Frees a released file. @kernel file_free */
  free(file: FileHandle): void {
    assert(this.references(file) === 0, 'a file in use is freed');
    this.#kernel.charge(STEP.fileFree, 1);
    this.#dentries.free(this.#seldom.get(indexOf(file) * SELDOM + DENTRY) ^ file);
    this.#filp.free(file);
  }

  #get(file: FileHandle, word: number): number {
    return this.#filp.get(file, word);
  }

  #set(file: FileHandle, word: number, value: number): void {
    this.#filp.set(file, word, value);
  }
}
