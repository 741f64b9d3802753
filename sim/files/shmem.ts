/*
 * shmem: files in memory, which memfds, unlinked tmpfs files and O_TMPFILE files are. No swap.
 *
 *   page      hole --write, store, fallocate, pin--> folio      not up to date after fallocate: zeroed when first used
 *             no memory, or not charged (cgroup) -ENOMEM; not accounted for (shmem_acct.ts) -ENOSPC
 *   write     seals WRITE, FUTURE_WRITE -EPERM; page by page: beyond the size with GROW or frozen -EPERM (or a short count)
 *   truncate  another size while frozen, smaller with SHRINK, larger with GROW -EPERM
 *   fallocate frozen -EPERM; beyond the size with GROW -EPERM; punching a hole with WRITE, FUTURE_WRITE -EPERM
 *
 *   lock      inode->i_rwsem around whatever changes the file; a store through a mapping takes none
 *
 * Contents are bytes in RAM, so that they cross as such. A clean folio can be reclaimed: the page is a hole again.
 */
import { ERRNO } from '../base/errno.ts';
import { PAGE_SIZE } from '../base/limits.ts';
import { definePoint, type Op } from '../base/point.ts';
import { bytesOf, type Order, type Pfn, type Phys, pagesOf, pfnOf, physOf } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Overcommit } from '../kernel/overcommit.ts';
import type { FileHandle, Vfs } from '../kernel/vfs.ts';
import { STEP } from '../machine/cpu.ts';
import { MOVABLE } from '../machine/pageblock.ts';
import type { Task } from '../sched/task.ts';
import { DIRTY, PageCache, PINNED, UPTODATE } from './page_cache.ts';
import { type BlockCharges, ShmemAccounts } from './shmem_acct.ts';
import {
  F_SEAL_FUTURE_WRITE,
  F_SEAL_GROW,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  type InodeHandle,
  InodeTable,
} from './shmem_inode.ts';
import type { Contents } from './shmem_write.ts';

const FOLIO = definePoint('shmem_alloc_folio', 'folio', 'fault');
const MOVES: { readonly type: typeof MOVABLE } = { type: MOVABLE };

/** loff_t is signed: sizes a u64 can hold and this cannot are -EINVAL before anything here is asked. */
export const SIZE_MAX = 2 ** 53;

export class Shmem {
  readonly inodes: InodeTable;
  readonly cache: PageCache;
  readonly accounts: ShmemAccounts;
  readonly kind: number;
  readonly #kernel: Kernel;
  readonly #vfs: Vfs;

  /** Absent where nobody has a limit. */
  charges: BlockCharges | undefined;

  constructor(kernel: Kernel, vfs: Vfs, overcommit: Overcommit) {
    this.#kernel = kernel;
    this.#vfs = vfs;
    this.inodes = new InodeTable(kernel);
    this.cache = new PageCache(kernel, this.inodes);
    this.accounts = new ShmemAccounts(kernel, this.inodes, overcommit);
    this.kind = vfs.registerKind({
      name: 'shmem',
      release: (_task, _file, inode) => {
        this.#putInode(inode as InodeHandle);
        return 0;
      },
    });
  }

  isShmem(file: FileHandle): boolean {
    return this.#vfs.kind(file) === this.kind;
  }

  inodeOf(file: FileHandle): InodeHandle {
    return this.#vfs.privateData(file) as InodeHandle;
  }

  /** An empty file and its inode: the file, or -ENOMEM, -ENFILE. @kernel shmem_file_setup */
  createFile(
    task: Task,
    mode: number,
    seals: number,
    links: number,
    folioOrder: number,
  ): FileHandle | number {
    const inode = this.inodes.alloc(mode, seals, links, 0, folioOrder);
    if (inode === 0) return -ERRNO.ENOMEM;
    const file = this.openFile(task, inode);
    if (file < 0) this.inodes.free(inode);
    return file;
  }

  /** One more struct file over an inode. */
  openFile(task: Task, inode: InodeHandle): FileHandle | number {
    const file = this.#vfs.allocFile(task, this.kind, inode);
    if (file >= 0) this.inodes.addFiles(inode, 1);
    return file;
  }

  /** A name of the file is gone; without names and files it goes. */
  unlink(inode: InodeHandle): void {
    this.inodes.setLinks(inode, this.inodes.links(inode) - 1);
    this.#freeUnused(inode);
  }

  /** Bytes written from `at`, or a negative errno where that is none. @kernel shmem_file_write_iter */
  *write(task: Task, inode: InodeHandle, at: number, contents: Contents): Op<number> {
    const { lock } = this.inodes;
    const { bytes } = contents;
    if (bytes === 0) return 0;
    if (!lock.tryLock(task, inode)) yield* lock.wait(task, inode);
    let done = 0;
    let err = 0;
    while (done < bytes && err === 0) {
      const pos = at + done;
      const inPage = Math.min(bytes - done, PAGE_SIZE - (pos % PAGE_SIZE));
      err = this.#writeError(inode, pos + inPage);
      const folio = err === 0 ? this.usePage(inode, Math.floor(pos / PAGE_SIZE)) : -ERRNO.EPERM;
      if (err === 0 && folio < 0) err = folio;
      if (err !== 0) break;
      const chunk = this.#writeFolio(inode, folio as Pfn, pos, contents, done);
      done += chunk;
      if (pos + chunk > this.inodes.size(inode)) this.inodes.setSize(inode, pos + chunk);
    }
    lock.unlock(task, inode);
    return done > 0 ? done : err;
  }

  /** At most `bytes` bytes from `at`: fewer at the end of the file, zeroes for holes. @kernel shmem_file_read_iter */
  read(inode: InodeHandle, at: number, bytes: number): Uint8Array {
    const length = Math.max(Math.min(bytes, this.inodes.size(inode) - at), 0);
    const copy = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const pos = at + done;
      const chunk = Math.min(length - done, PAGE_SIZE - (pos % PAGE_SIZE));
      const folio = this.cache.find(inode, Math.floor(pos / PAGE_SIZE));
      if (folio !== -1 && this.cache.has(folio, UPTODATE)) {
        copy.set(this.#kernel.machine.ram.loadBytes(this.addressOf(folio, pos), chunk), done);
      }
      done += chunk;
    }
    return copy;
  }

  /** 0 or a negative errno. @kernel shmem_setattr */
  *truncate(task: Task, inode: InodeHandle, bytes: number): Op<number> {
    const { inodes } = this;
    if (!inodes.lock.tryLock(task, inode)) yield* inodes.lock.wait(task, inode);
    const size = inodes.size(inode);
    const seals = inodes.seals(inode);
    const refused =
      (inodes.frozen(inode) && bytes !== size) ||
      (bytes < size && (seals & F_SEAL_SHRINK) !== 0) ||
      (bytes > size && (seals & F_SEAL_GROW) !== 0);
    if (!refused) {
      if (bytes < size) this.#dropFrom(inode, bytes);
      else if (bytes === size) this.accounts.recalc(inode, 0);
      inodes.setSize(inode, bytes);
    }
    inodes.lock.unlock(task, inode);
    return refused ? -ERRNO.EPERM : 0;
  }

  /** Gives [at, at + bytes) memory, or takes it away (`punch`): 0 or a negative errno. @kernel shmem_fallocate */
  *fallocate(task: Task, inode: InodeHandle, at: number, bytes: number, punch: boolean): Op<number> {
    const { inodes } = this;
    if (at < 0 || bytes <= 0) return -ERRNO.EINVAL;
    if (!inodes.lock.tryLock(task, inode)) yield* inodes.lock.wait(task, inode);
    const err = this.#fallocate(inode, at, at + bytes, punch);
    inodes.lock.unlock(task, inode);
    return err;
  }

  /** The folio of a page, there and up to date, made and zeroed where it must be, and dirty from here on; or as getFolio. */
  usePage(inode: InodeHandle, index: number, mapped = 0): Pfn | number {
    const folio = this.getFolio(inode, index, mapped);
    if (folio < 0) return folio;
    this.makeUptodate(folio as Pfn);
    this.cache.mark(folio as Pfn, DIRTY);
    return folio;
  }

  /**
   * The folio of a page, allocated where there is none; or -ENOMEM, -ENOSPC. `mapped`: pages that the caller has mapped.
   * @kernel shmem_get_folio
   */
  getFolio(inode: InodeHandle, index: number, mapped = 0): Pfn | number {
    const found = this.cache.find(inode, index);
    if (found !== -1) return found;
    const folio = this.#allocFolio(inode, index, mapped);
    this.accounts.recalc(inode, folio < 0 ? 0 : pagesOf(this.cache.order(folio as Pfn)));
    return folio;
  }

  /** Charged, accounted for and put into the file; the inode does not know what it accounts for. @kernel shmem_alloc_and_add_folio */
  #allocFolio(inode: InodeHandle, index: number, mapped: number): Pfn | number {
    const { pages } = this.#kernel;
    for (let order = this.#orderFor(inode, index); ; order = 0) {
      const folio = pages.alloc(order as Order, this.cache.owner, FOLIO, MOVES);
      if (folio === -1 && order > 0) continue;
      if (folio === -1) return -ERRNO.ENOMEM;
      if (this.charges?.charge(inode, order as Order) === false) {
        pages.put(folio);
        return -ERRNO.ENOMEM;
      }
      if (!this.accounts.mayAllocate(inode, pagesOf(order as Order), mapped)) {
        this.charges?.uncharge(inode, order as Order);
        pages.put(folio);
        if (order > 0) continue;
        return -ERRNO.ENOSPC;
      }
      this.insert(inode, index - (index % 2 ** order), folio, 0);
      return folio;
    }
  }

  /** Puts a block into the file. */
  insert(inode: InodeHandle, index: number, folio: Pfn, flags: number): void {
    this.cache.add(inode, index, folio, flags);
    this.inodes.addPages(inode, pagesOf(this.cache.order(folio)));
  }

  /** Takes a folio out of the file, and drops it. */
  drop(inode: InodeHandle, folio: Pfn): void {
    this.inodes.addPages(inode, -pagesOf(this.cache.order(folio)));
    this.cache.remove(inode, folio);
    this.#kernel.pages.put(folio);
  }

  makeUptodate(folio: Pfn): void {
    if (this.cache.has(folio, UPTODATE)) return;
    this.#kernel.machine.ram.zeroPages(folio, pagesOf(this.cache.order(folio)));
    this.cache.mark(folio, UPTODATE);
  }

  /** Address of the byte at a position of the file, in the folio that holds it. */
  addressOf(folio: Pfn, pos: number): number {
    return physOf(folio) + pos - this.cache.index(folio) * PAGE_SIZE;
  }

  /** Memory pressure: clean folios that nobody pins go, and with them what they hold. Folios reclaimed. @kernel shrink_folio_list */
  reclaim(): number {
    let reclaimed = 0;
    for (const inode of this.inodes.all()) {
      for (const folio of this.cache.of(inode)) {
        if (this.cache.has(folio, DIRTY | PINNED)) continue;
        this.cache.reclaimed += pagesOf(this.cache.order(folio));
        this.drop(inode as InodeHandle, folio);
        reclaimed++;
      }
    }
    return reclaimed;
  }

  #writeError(inode: InodeHandle, end: number): number {
    const seals = this.inodes.seals(inode);
    const beyond = end > this.inodes.size(inode);
    const refused =
      (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0 ||
      (beyond && ((seals & F_SEAL_GROW) !== 0 || this.inodes.frozen(inode)));
    return refused ? -ERRNO.EPERM : 0;
  }

  /** Writes what belongs at a place up to the end of its page, or whole pages of a pattern in its folio: how much. */
  #writeFolio(inode: InodeHandle, folio: Pfn, pos: number, contents: Contents, done: number): number {
    const left = contents.bytes - done;
    const index = Math.floor(pos / PAGE_SIZE);
    if (contents.seed !== undefined && pos % PAGE_SIZE === 0) {
      const size = this.inodes.size(inode);
      const ahead = this.cache.index(folio) + pagesOf(this.cache.order(folio)) - index;
      // What goes beyond the size is asked for page by page.
      const inside = Math.max(Math.floor((size - pos) / PAGE_SIZE), 1);
      const pages = Math.min(Math.floor(left / PAGE_SIZE), ahead, inside);
      if (pages > 0) {
        const first = pfnOf(this.addressOf(folio, pos) as Phys);
        this.#kernel.machine.ram.stampPages(first, pages, { seed: contents.seed, every: 0, index });
        return pages * PAGE_SIZE;
      }
    }
    const chunk = Math.min(left, PAGE_SIZE - (pos % PAGE_SIZE));
    this.#store(folio, pos, contents.slice(done, chunk));
    return chunk;
  }

  #store(folio: Pfn, pos: number, bytes: Uint8Array): void {
    this.#kernel.machine.ram.storeBytes(this.addressOf(folio, pos), bytes);
  }

  #fallocate(inode: InodeHandle, start: number, end: number, punch: boolean): number {
    const { inodes } = this;
    const seals = inodes.seals(inode);
    if (inodes.frozen(inode)) return -ERRNO.EPERM;
    if (punch) {
      if ((seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0) return -ERRNO.EPERM;
      this.#punch(inode, start, end);
      return 0;
    }
    if ((seals & F_SEAL_GROW) !== 0 && end > inodes.size(inode)) return -ERRNO.EPERM;
    const first = Math.floor(start / PAGE_SIZE);
    for (let index = first; index < Math.ceil(end / PAGE_SIZE); ) {
      const isHole = this.cache.find(inode, index) === -1;
      const folio = this.getFolio(inode, index);
      if (folio < 0) {
        this.#undoFallocate(inode, first, index);
        return folio;
      }
      // What an earlier call allocated is not this one's to undo.
      if (!isHole) this.makeUptodate(folio as Pfn);
      // Memory pressure is not to take it, though it holds nothing yet.
      this.cache.mark(folio as Pfn, DIRTY);
      index = this.cache.index(folio as Pfn) + pagesOf(this.cache.order(folio as Pfn));
    }
    if (end > inodes.size(inode)) inodes.setSize(inode, end);
    return 0;
  }

  /** What was allocated in pages [first, end) and never used goes; what has contents stays. @kernel shmem_undo_range */
  #undoFallocate(inode: InodeHandle, first: number, end: number): void {
    for (const folio of this.cache.of(inode)) {
      const index = this.cache.index(folio);
      const inside = index >= first && index + pagesOf(this.cache.order(folio)) <= end;
      if (inside && !this.cache.has(folio, UPTODATE)) this.drop(inode, folio);
    }
    this.accounts.recalc(inode, 0);
  }

  /** Whole folios in the range go, the rest of it is zeroed. */
  #punch(inode: InodeHandle, start: number, end: number): void {
    for (const folio of this.cache.of(inode)) {
      const from = this.cache.index(folio) * PAGE_SIZE;
      const to = from + bytesOf(this.cache.order(folio));
      if (to <= start || from >= end) continue;
      if (from >= start && to <= end) this.drop(inode, folio);
      else this.#zero(folio, Math.max(from, start), Math.min(to, end));
    }
    this.accounts.recalc(inode, 0);
  }

  #dropFrom(inode: InodeHandle, bytes: number): void {
    this.#punch(inode, bytes, Number.MAX_SAFE_INTEGER);
  }

  #zero(folio: Pfn, from: number, to: number): void {
    if (!this.cache.has(folio, UPTODATE)) return;
    this.#kernel.machine.ram.storeBytes(this.addressOf(folio, from), new Uint8Array(to - from));
    this.cache.mark(folio, DIRTY);
  }

  /** The order wanted where an aligned block of it is all hole and ends in the file, 0 otherwise. */
  #orderFor(inode: InodeHandle, index: number): number {
    const order = this.inodes.folioOrder(inode);
    if (order === 0) return 0;
    const first = index - (index % 2 ** order);
    if ((first + 2 ** order) * PAGE_SIZE > this.inodes.size(inode)) return 0;
    if ((this.inodes.orders(inode) & ((1 << order) - 1)) === 0) return order;
    for (let at = first; at < first + 2 ** order; at++) if (this.cache.find(inode, at) !== -1) return 0;
    return order;
  }

  #putInode(inode: InodeHandle): void {
    this.inodes.addFiles(inode, -1);
    this.#freeUnused(inode);
  }

  /** @kernel shmem_evict_inode */
  #freeUnused(inode: InodeHandle): void {
    if (this.inodes.files(inode) > 0 || this.inodes.links(inode) > 0) return;
    this.#kernel.charge(STEP.inodeFreed, 1);
    for (const folio of this.cache.of(inode)) this.drop(inode, folio);
    this.accounts.recalc(inode, 0);
    this.inodes.free(inode);
  }
}
