/*
 * luo_preserved_files: which files are in someone's hands, keyed by what their handler says they are (for memfd the
 * inode). An entry stands from preserve to unpreserve in the old kernel, from retrieve to finish in the new one. Before
 * DOUBLE_PRESERVE there is no such table.
 *
 * xa_insert comes before there is a luo_file: until then the id stands among the pending ones. The memory of the
 * xarray's nodes is not modelled; that it may be missing is.
 */
import { ERRNO } from '../base/errno.ts';
import { definePoint } from '../base/point.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { DOUBLE_PRESERVE } from '../kernel/patches.ts';
import type { Stateful } from '../machine/journal.ts';
import { FileIndex, hashWords } from './file_index.ts';
import { type FileTable, type LuoFile, NO_FILE } from './file_table.ts';

const INSERT = definePoint('luo_preserve_file', 'xa_insert', 'fault');

const hashId = (id: number): number => hashWords(id | 0, Math.floor(id / 2 ** 32), 0);

export class PreservedFiles implements Stateful {
  /** Entries. */
  count = 0;
  readonly #kernel: Kernel;
  readonly #files: FileTable;
  readonly #ids: FileIndex;
  readonly #pending: number[] = [];
  readonly #enabled: boolean;

  constructor(kernel: Kernel, files: FileTable) {
    this.#kernel = kernel;
    this.#files = files;
    this.#enabled = kernel.has(DOUBLE_PRESERVE);
    this.#ids = new FileIndex(kernel.storage, files, {
      label: 'luo_preserved_files',
      has: (file) => files.id(file) !== 0,
      hash: (file) => hashId(files.id(file)),
    });
    kernel.machine.journal.enlist(this);
  }

  /** Takes an id for a file that is not there yet: 0, -EBUSY, -ENOMEM. @kernel xa_insert */
  reserve(id: number): number {
    if (!this.#enabled) return 0;
    if (this.#pending.includes(id) || this.#find(id) !== NO_FILE) return -ERRNO.EBUSY;
    if (this.#kernel.machine.decisions.fails(INSERT)) return -ERRNO.ENOMEM;
    this.#pending.push(id);
    return 0;
  }

  /** The file of a reserved id is there, or never will be (NO_FILE). */
  settle(id: number, file: LuoFile): void {
    if (!this.#enabled) return;
    this.#pending.splice(this.#pending.indexOf(id), 1);
    if (file !== NO_FILE) this.#put(id, file);
  }

  /** A file came back: false where its id is taken. */
  insert(id: number, file: LuoFile): boolean {
    if (!this.#enabled) return true;
    if (this.#find(id) !== NO_FILE) return false;
    this.#put(id, file);
    return true;
  }

  /** @kernel xa_erase */
  erase(file: LuoFile): void {
    if (this.#files.id(file) === 0) return;
    this.#files.setId(file, 0);
    this.count--;
  }

  capture(): unknown {
    return this.count;
  }

  reinstate(state: unknown): void {
    this.count = state as number;
    this.#pending.length = 0;
  }

  #put(id: number, file: LuoFile): void {
    this.#files.setId(file, id);
    this.#ids.add(file);
    this.count++;
  }

  #find(id: number): LuoFile {
    return this.#ids.find(hashId(id), (file) => this.#files.id(file) === id);
  }
}
