/*
 * Preserving memfds: mm/memfd_luo.c. memfd-v1 is v6.19's, memfd-v2 what came with MEMFD_SEALS.
 *
 *   old kernel   can_preserve   a shmem file without links
 *                preserve       i_rwsem | freeze the mapping | record, preserved | seals, position, size | pin all folios
 *                               (holes get one, those in CMA move out) | an entry and a key each | the list, preserved
 *                freeze         position, anew          (what is written until then is in the folios)
 *                unpreserve     thaw | the list, folios, record; unpin
 *   new kernel   retrieve       new file | seals by the rules of F_ADD_SEALS | position, size | every folio restored into
 *                               the page cache | record freed
 *                finish         never tried: list, folios and record restored and freed; else nothing
 *
 *                       v6.19                            since
 *   record              40 bytes, no seals               48 bytes; seals that are not known -EOPNOTSUPP
 *   size                bounded by memory                more than 2^32 pages -EFBIG
 *   folio flags         as the folio is at preserve      zeroed, dirty and up to date (MEMFD_DIRTY)
 *   failed retrieve     record stays, and what was not   what was not restored yet is restored and freed, and the record
 *                       restored yet is lost             (MEMFD_UNWIND)
 *   accounted for       a page for each folio; one that  its pages; one that is refused goes at once (MEMFD_ACCT)
 *                       is refused goes with the file
 */
import { ERRNO, printErrno } from '../base/errno.ts';
import { PAGE_SIZE } from '../base/limits.ts';
import { definePoint, type Op } from '../base/point.ts';
import { hex, type Pfn, type Phys, pagesOf, pfnOf, physOf } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { MEMFD_ACCT, MEMFD_DIRTY, MEMFD_SEALS, MEMFD_UNWIND } from '../kernel/patches.ts';
import { type FileHandle, O_LARGEFILE, O_RDWR, type Vfs } from '../kernel/vfs.ts';
import { type VmArea, vfree, vmAddress, vzalloc } from '../kernel/vmalloc.ts';
import type { Kho } from '../kho/kexec_handover.ts';
import { loadVmalloc, preserveVmalloc, restoreVmalloc, storeVmalloc, vmallocBlocks } from '../kho/vmalloc.ts';
import type { FileHandler, FileOpArgs } from '../luo/file_handler.ts';
import { STEP } from '../machine/cpu.ts';
import type { Task } from '../sched/task.ts';
import {
  MEMFD_FOLIO_DIRTY,
  MEMFD_FOLIO_PFN_HIGH,
  MEMFD_FOLIO_UPTODATE,
  MEMFD_LUO_ALL_SEALS,
  MEMFD_LUO_FOLIO_SER,
  MEMFD_LUO_SER,
  MEMFD_LUO_SER_V1,
  MEMFD_V1_COMPATIBLE,
  MEMFD_V2_COMPATIBLE,
} from './memfd_abi.ts';
import { DIRTY, UPTODATE } from './page_cache.ts';
import { pinFolios, unpinFolios } from './pin.ts';
import { addSealsLocked } from './seals.ts';
import type { Shmem } from './shmem.ts';
import type { InodeHandle } from './shmem_inode.ts';

const SER = definePoint('memfd_luo_preserve', 'memfd_luo_ser', 'fault');
const ARRAY = definePoint('memfd_luo_preserve_folios', 'folios_ser', 'fault');
const CHARGE = definePoint('memfd_luo_retrieve_folios', 'mem_cgroup_charge', 'fault');

const ENTRY = MEMFD_LUO_FOLIO_SER;
const PAGES_MAX = 0xffffffff;
const EXECUTABLE = 0o777;
/** Folios that go to an LRU list, or come from the page cache, at once. */
const BATCH = 31;

export class MemfdHandler implements FileHandler {
  readonly compatible: string;
  readonly module = undefined;
  readonly #kernel: Kernel;
  readonly #kho: Kho;
  readonly #vfs: Vfs;
  readonly #shmem: Shmem;
  /** Offsets in the record of this revision. */
  readonly #at: typeof MEMFD_LUO_SER_V1.at;
  readonly #bytes: number;
  readonly #hasSeals: boolean;

  constructor(kernel: Kernel, kho: Kho, vfs: Vfs, shmem: Shmem) {
    this.#kernel = kernel;
    this.#kho = kho;
    this.#vfs = vfs;
    this.#shmem = shmem;
    this.#hasSeals = kernel.has(MEMFD_SEALS);
    const layout = this.#hasSeals ? MEMFD_LUO_SER : MEMFD_LUO_SER_V1;
    this.compatible = this.#hasSeals ? MEMFD_V2_COMPATIBLE : MEMFD_V1_COMPATIBLE;
    this.#at = layout.at;
    this.#bytes = layout.size;
  }

  /** @kernel memfd_luo_can_preserve */
  canPreserve(file: FileHandle): boolean {
    const { inodes } = this.#shmem;
    return this.#shmem.isShmem(file) && inodes.links(this.#shmem.inodeOf(file)) === 0;
  }

  /** The inode: two files over it are one. @kernel memfd_luo_get_id */
  getId(file: FileHandle): number {
    return this.#shmem.inodes.slab.physOf(this.#shmem.inodeOf(file));
  }

  /** @kernel memfd_luo_preserve @kernel memfd_luo_preserve_folios */
  *preserve(task: Task, args: FileOpArgs): Op<number> {
    const kernel = this.#kernel;
    const { out } = this.#kho;
    const { inodes } = this.#shmem;
    const inode = this.#shmem.inodeOf(args.file as FileHandle);
    kernel.charge(STEP.memfdPreserve, 1);
    if (!inodes.lock.tryLock(task, inode)) yield* inodes.lock.wait(task, inode);
    inodes.setFrozen(inode, true);
    const ser = yield* out.allocPreserve(task, this.#bytes, kernel.frames.owner('memfd_luo_ser'), SER);
    let err = ser < 0 ? ser : this.#describe(args.file as FileHandle, inode, ser);
    const folios: Pfn[] = [];
    if (err === 0) err = pinFolios(kernel, this.#shmem, inode, folios);
    let area: VmArea | undefined;
    if (err === 0 && folios.length > 0) {
      const owner = kernel.frames.owner('memfd folios_ser');
      const allocated = vzalloc(kernel, folios.length * ENTRY.size, owner, ARRAY);
      if (allocated === -1) err = -ERRNO.ENOMEM;
      else area = allocated;
    }
    let done = 0;
    if (area !== undefined) {
      for (; done < folios.length && err === 0; done++) {
        err = yield* out.preserveFolio(task, folios[done] as Pfn);
        if (err !== 0) break;
        this.#writeEntry(area, done, folios[done] as Pfn);
      }
      const descriptor =
        err === 0
          ? yield* preserveVmalloc(kernel, out, task, area, kernel.frames.owner('memfd vmalloc chunk'))
          : err;
      if (typeof descriptor === 'number') err = descriptor;
      else storeVmalloc(kernel, ser + this.#at.folios, descriptor);
    }
    if (err === 0) {
      kernel.machine.ram.store64(ser + this.#at.nr_folios, folios.length);
      args.serializedData = ser;
      args.privateData = 1;
    } else {
      while (done > 0) yield* out.unpreserveFolio(task, folios[--done] as Pfn);
      if (area !== undefined) vfree(kernel, area);
      unpinFolios(this.#shmem, folios);
      if (ser >= 0) yield* out.unpreserveFree(task, ser as Phys);
      inodes.setFrozen(inode, false);
    }
    inodes.lock.unlock(task, inode);
    return err;
  }

  /** @kernel memfd_luo_freeze */
  freeze({ file, serializedData }: FileOpArgs): number {
    if (serializedData === 0) {
      this.#kernel.warn('memfd_luo_freeze: nothing was serialized');
      return -ERRNO.EINVAL;
    }
    this.#kernel.machine.ram.store64(serializedData + this.#at.pos, this.#vfs.pos(file as FileHandle));
    return 0;
  }

  /** (kho_unpreserve_vmalloc and the rest unrolled: the chain from close would grow too long.) @kernel memfd_luo_unpreserve */
  *unpreserve(task: Task, { file, serializedData: ser }: FileOpArgs): Op<void> {
    if (ser === 0) {
      this.#kernel.warn('memfd_luo_unpreserve: nothing was serialized');
      return;
    }
    const { frames, pages } = this.#kernel;
    const { out } = this.#kho;
    const { inodes } = this.#shmem;
    const inode = this.#shmem.inodeOf(file as FileHandle);
    if (!inodes.lock.tryLock(task, inode)) yield* inodes.lock.wait(task, inode);
    inodes.setFrozen(inode, false);
    const nr = this.#kernel.machine.ram.load64(ser + this.#at.nr_folios);
    const blocks =
      nr === 0 ? undefined : vmallocBlocks(this.#kernel, loadVmalloc(this.#kernel, ser + this.#at.folios));
    const area: VmArea = { pages: blocks?.pages ?? [] };
    const folios: Pfn[] = [];
    for (let i = 0; i < nr; i++) {
      const { pfn } = this.#readEntry(area, i);
      if (pfn !== 0) folios.push(pfn);
    }
    const keys = [...(blocks?.chunks ?? []), ...area.pages, ...folios, pfnOf(ser as Phys)];
    const lock = out.tracker?.lock;
    for (const block of keys) {
      if (lock !== undefined && !lock.tryLock(task)) yield* lock.wait(task);
      out.delLocked(block, frames.order(block));
      lock?.unlock(task);
    }
    for (const chunk of blocks?.chunks ?? []) pages.put(chunk);
    unpinFolios(this.#shmem, folios);
    vfree(this.#kernel, area);
    pages.put(pfnOf(ser as Phys));
    inodes.lock.unlock(task, inode);
  }

  /** @kernel memfd_luo_retrieve */
  retrieve(task: Task, args: FileOpArgs): number {
    const ser = args.serializedData;
    const { ram } = this.#kernel.machine;
    this.#kernel.charge(STEP.memfdRetrieve, 1);
    if (ser === 0) return -ERRNO.EINVAL;
    const seals = this.#hasSeals ? ram.load32(ser + MEMFD_LUO_SER.at.seals) : 0;
    if ((seals & ~MEMFD_LUO_ALL_SEALS) !== 0) {
      this.#kho.in.restoreFree(ser as Phys);
      return -ERRNO.EOPNOTSUPP;
    }
    let err = 0;
    const file = this.#shmem.createFile(task, EXECUTABLE, 0, 0, 0);
    if (file < 0) {
      this.#print(`failed to setup file: ${printErrno(file)}`);
      err = file;
    } else {
      this.#vfs.setFlags(file as FileHandle, O_RDWR | O_LARGEFILE);
      const inode = this.#shmem.inodeOf(file as FileHandle);
      err = this.#hasSeals ? addSealsLocked(this.#shmem, inode, seals) : 0;
      if (err !== 0) this.#print(`failed to add seals: ${printErrno(err)}`);
      this.#vfs.setPos(file as FileHandle, ram.load64(ser + this.#at.pos));
      this.#shmem.inodes.setSize(inode, ram.load64(ser + this.#at.size));
      if (err === 0) err = this.#retrieveFolios(inode, ser);
      if (err !== 0) this.#fput(task, file as FileHandle);
    }
    if (err === 0 || this.#kernel.has(MEMFD_UNWIND)) this.#kho.in.restoreFree(ser as Phys);
    if (err === 0) args.file = file as FileHandle;
    return err;
  }

  /** Nobody came for it: memory goes back. @kernel memfd_luo_finish @kernel memfd_luo_discard_folios */
  finish(_task: Task, { retrieveStatus, serializedData: ser }: FileOpArgs): undefined {
    this.#kernel.charge(STEP.memfdFinish, 1);
    if (retrieveStatus !== 0 || ser === 0) return undefined;
    const area = this.#restoreList(ser);
    const nr = this.#kernel.machine.ram.load64(ser + this.#at.nr_folios);
    if (area !== undefined) {
      for (let i = 0; i < nr; i++) this.#discard(this.#readEntry(area, i).pfn);
      vfree(this.#kernel, area);
    }
    this.#kho.in.restoreFree(ser as Phys);
    return undefined;
  }

  /** Size, seals and position go into the record: 0 or -EFBIG. */
  #describe(file: FileHandle, inode: InodeHandle, ser: number): number {
    const { ram } = this.#kernel.machine;
    const { inodes } = this.#shmem;
    const size = inodes.size(inode);
    ram.store64(ser + this.#at.pos, this.#vfs.pos(file));
    if (this.#hasSeals && Math.ceil(size / PAGE_SIZE) > PAGES_MAX) return -ERRNO.EFBIG;
    ram.store64(ser + this.#at.size, size);
    if (this.#hasSeals) ram.store32(ser + MEMFD_LUO_SER.at.seals, inodes.seals(inode));
    return 0;
  }

  #writeEntry(area: VmArea, i: number, folio: Pfn): void {
    const { cache } = this.#shmem;
    if (this.#kernel.has(MEMFD_DIRTY)) {
      this.#shmem.makeUptodate(folio);
      cache.mark(folio, DIRTY);
    }
    const flags =
      (cache.has(folio, DIRTY) ? MEMFD_FOLIO_DIRTY : 0) |
      (cache.has(folio, UPTODATE) ? MEMFD_FOLIO_UPTODATE : 0);
    const { ram } = this.#kernel.machine;
    const at = vmAddress(area, i * ENTRY.size);
    ram.store32(at, folio | 0);
    ram.store32(at + 4, flags);
    ram.store64(at + ENTRY.at.index, cache.index(folio));
    this.#kernel.charge(STEP.folioPinned, 1);
    if (i % BATCH === BATCH - 1) this.#kernel.charge(STEP.folioBatch, 1);
  }

  #readEntry(area: VmArea, i: number): { readonly pfn: Pfn; readonly flags: number; readonly index: number } {
    const { ram } = this.#kernel.machine;
    const at = vmAddress(area, i * ENTRY.size);
    const high = ram.load32(at + 4);
    const pfn = (ram.load32(at) >>> 0) + (high & MEMFD_FOLIO_PFN_HIGH) * 2 ** 32;
    const flags =
      ((high & MEMFD_FOLIO_DIRTY) !== 0 ? DIRTY : 0) | ((high & MEMFD_FOLIO_UPTODATE) !== 0 ? UPTODATE : 0);
    return { pfn: pfn as Pfn, flags, index: ram.load64(at + ENTRY.at.index) };
  }

  /** The list of folios, taken over; undefined where there is none or it cannot be. */
  #restoreList(ser: number): VmArea | undefined {
    const kernel = this.#kernel;
    if (kernel.machine.ram.load64(ser + this.#at.nr_folios) === 0) return undefined;
    const owner = kernel.frames.owner('memfd folios_ser');
    return restoreVmalloc(kernel, this.#kho.in, loadVmalloc(kernel, ser + this.#at.folios), owner);
  }

  /** 0, -EINVAL, -EIO, -ENOMEM, -ENOSPC; what was put into the file stays there. @kernel memfd_luo_retrieve_folios */
  #retrieveFolios(inode: InodeHandle, ser: number): number {
    const { machine, pages } = this.#kernel;
    const nr = machine.ram.load64(ser + this.#at.nr_folios);
    if (nr === 0) return 0;
    const area = this.#restoreList(ser);
    if (area === undefined) return -ERRNO.EINVAL;
    let err = 0;
    let i = 0;
    for (; i < nr && err === 0; i++) {
      const { pfn, flags, index } = this.#readEntry(area, i);
      if (pfn === 0) continue;
      const folio = this.#kho.in.restoreFolio(physOf(pfn), this.#shmem.cache.owner);
      if (folio === -1) {
        this.#print(`Unable to restore folio at physical address: ${physOf(pfn).toString(16)}`);
        err = -ERRNO.EIO;
      } else if (machine.decisions.fails(CHARGE) || !this.#mayCharge(inode, folio)) {
        pages.put(folio);
        err = -ERRNO.ENOMEM;
      } else if (!this.#addFolio(inode, index, folio, flags, i)) {
        err = -ERRNO.ENOSPC;
      } else {
        this.#kernel.charge(STEP.folioAdded, 1);
        if (i % BATCH === BATCH - 1) this.#kernel.charge(STEP.folioBatch, 4);
      }
    }
    for (; i < nr; i++) this.#giveUp(this.#readEntry(area, i).pfn);
    vfree(this.#kernel, area);
    return err;
  }

  /** Puts entry `i` into the file and accounts for it: false where that is refused. */
  #addFolio(inode: InodeHandle, index: number, folio: Pfn, flags: number, i: number): boolean {
    const shmem = this.#shmem;
    const all = pagesOf(shmem.cache.order(folio));
    const isCounted = this.#kernel.has(MEMFD_ACCT);
    const pages = isCounted ? all : 1;
    shmem.insert(inode, index, folio, flags);
    if (shmem.accounts.mayAdd(pages)) {
      shmem.accounts.recalc(inode, pages);
      return true;
    }
    const what = isCounted ? `${i}(${all} pages)` : `${i}`;
    this.#print(`shmem: failed to account folio index ${what}: ${-ERRNO.ENOSPC}`);
    if (isCounted) shmem.drop(inode, folio);
    return false;
  }

  /** @kernel mem_cgroup_charge @simplified where a process has a limit, or a decision refuses it */
  #mayCharge(inode: InodeHandle, folio: Pfn): boolean {
    return this.#shmem.charges?.charge(inode, this.#kernel.frames.order(folio)) !== false;
  }

  /** An entry behind the one that failed. Before MEMFD_UNWIND a frame number stands where an address is wanted. */
  #giveUp(pfn: Pfn): void {
    if (pfn === 0) return;
    if (this.#kernel.has(MEMFD_UNWIND)) this.#discard(pfn);
    else this.#discardAt(pfn as number as Phys);
  }

  #discard(pfn: Pfn): void {
    if (pfn !== 0) this.#discardAt(physOf(pfn));
  }

  #discardAt(address: Phys): void {
    const folio = this.#kho.in.restoreFolio(address, this.#shmem.cache.owner);
    if (folio === -1) this.#print(`Failed to restore folio at physical address: ${hex(address)}`);
    else this.#kernel.pages.put(folio);
  }

  #fput(task: Task, file: FileHandle): void {
    if (!this.#vfs.put(file)) return;
    this.#vfs.release(task, file);
    this.#vfs.free(file);
  }

  #print(line: string): void {
    this.#kernel.printk(`memfd_luo: ${line}`);
  }
}
