/*
 * Pinning a file's pages for a long time: memfd_pin_folios over the whole file.
 *
 *   every page gets a folio (holes are filled), and a folio in CMA memory moves out of it, since scratch areas are CMA
 *   and are overwritten by the next kernel's image
 */
import { ERRNO } from '../base/errno.ts';
import { PAGE_SIZE } from '../base/limits.ts';
import { definePoint } from '../base/point.ts';
import { type Pfn, pagesOf, physOf } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { CMA } from '../machine/pageblock.ts';
import { DIRTY, UPTODATE } from './page_cache.ts';
import type { Shmem } from './shmem.ts';
import type { InodeHandle } from './shmem_inode.ts';

const MIGRATE = definePoint('memfd_pin_folios', 'migration target', 'fault');
const POINTERS = definePoint('memfd_luo_preserve_folios', 'folio pointers', 'fault');

const POINTER_BYTES = 8;
/** kvmalloc gives no more at once. */
const INT_MAX = 0x7fffffff;
const PAGE_WORDS = PAGE_SIZE / 4;

/**
 * Pins all folios of a file, in file order, into `folios`: 0 or -ENOMEM with none pinned; holes that were filled stay
 * so. The array of pointers is not modelled, but that it must fit: a file of 1 TiB and more has too many pages for it.
 */
export function pinFolios(kernel: Kernel, shmem: Shmem, inode: InodeHandle, folios: Pfn[]): number {
  const pages = Math.ceil(shmem.inodes.size(inode) / PAGE_SIZE);
  if (pages === 0) return 0;
  const bytes = pages * POINTER_BYTES;
  const refused = bytes > INT_MAX || bytes > kernel.buddy.nrFree * PAGE_SIZE;
  if (refused || kernel.machine.decisions.fails(POINTERS)) return -ERRNO.ENOMEM;
  for (let index = 0; index < pages; ) {
    const isHole = shmem.cache.find(inode, index) === -1;
    const found = shmem.getFolio(inode, index);
    // What fills a hole is zeroed at once; what fallocate left is taken as it is.
    if (isHole && found >= 0) shmem.makeUptodate(found as Pfn);
    const folio = found < 0 ? found : moveOut(kernel, shmem, inode, found as Pfn);
    if (folio < 0) {
      unpinFolios(shmem, folios);
      folios.length = 0;
      kernel.printk(`memfd_luo: failed to pin folios: ${folio}`);
      return folio;
    }
    shmem.cache.pin(folio as Pfn);
    folios.push(folio as Pfn);
    index = shmem.cache.index(folio as Pfn) + pagesOf(shmem.cache.order(folio as Pfn));
  }
  return 0;
}

export function unpinFolios({ cache }: Shmem, folios: readonly Pfn[]): void {
  for (const folio of folios) cache.unpin(folio);
}

/** A folio that may stay: this one, or one that took its place; or -ENOMEM. @kernel check_and_migrate_movable_folios */
function moveOut(kernel: Kernel, shmem: Shmem, inode: InodeHandle, folio: Pfn): Pfn | number {
  if (kernel.buddy.typeOf(folio) !== CMA) return folio;
  const { cache } = shmem;
  const order = cache.order(folio);
  const target = kernel.pages.alloc(order, cache.owner, MIGRATE);
  if (target === -1) return -ERRNO.ENOMEM;
  const flags = (cache.has(folio, DIRTY) ? DIRTY : 0) | (cache.has(folio, UPTODATE) ? UPTODATE : 0);
  if (cache.has(folio, UPTODATE)) copyPages(kernel, folio, target, pagesOf(order));
  const index = cache.index(folio);
  shmem.drop(inode, folio);
  shmem.insert(inode, index, target, flags);
  return target;
}

function copyPages({ machine: { ram } }: Kernel, from: Pfn, to: Pfn, pages: number): void {
  const words = new Int32Array(PAGE_WORDS);
  ram.zeroPages(to, pages);
  for (let i = 0; i < pages; i++) {
    ram.loadWords(physOf(from) + i * PAGE_SIZE, words, 0, PAGE_WORDS);
    if (words.some((word) => word !== 0)) ram.storeWords(physOf(to) + i * PAGE_SIZE, words, 0, PAGE_WORDS);
  }
}
