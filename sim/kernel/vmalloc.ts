/*
 * vmalloc: memory that is contiguous only in the kernel's own address space. An area is a list of single pages; it
 * is addressed here by area and byte offset.
 */

import { PAGE_SIZE } from '../base/limits.ts';
import type { Point } from '../base/point.ts';
import { type Order, type Pfn, type Phys, physOf } from '../base/units.ts';
import type { Owner } from '../machine/frames.ts';
import type { Kernel } from './kernel.ts';
import { ZEROED } from './mm.ts';

export interface VmArea {
  readonly pages: readonly Pfn[];
}

/** A zeroed area of at least `bytes`, or -1. @kernel vzalloc @simplified single pages, without addresses or mappings */
export function vzalloc(kernel: Kernel, bytes: number, owner: Owner, point: Point): VmArea | -1 {
  const pages: Pfn[] = [];
  while (pages.length * PAGE_SIZE < bytes) {
    const page = kernel.pages.alloc(0 as Order, owner, point, ZEROED);
    if (page === -1) {
      for (const taken of pages) kernel.pages.put(taken);
      return -1;
    }
    pages.push(page);
  }
  return { pages };
}

/** @kernel vfree @simplified there is no mapping to take down */
export function vfree(kernel: Kernel, { pages }: VmArea): void {
  for (const page of pages) kernel.pages.put(page);
}

/** Physical address of a byte of the area. */
export function vmAddress({ pages }: VmArea, offset: number): Phys {
  return (physOf(pages[Math.floor(offset / PAGE_SIZE)] as Pfn) + (offset % PAGE_SIZE)) as Phys;
}
