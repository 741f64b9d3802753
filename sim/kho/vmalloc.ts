/*
 * Preserving vmalloc areas: a descriptor, and chunk pages that list the area's pages. Layout: abi.ts.
 *
 *   kho_vmalloc.first --> chunk {next, phys[511]} --> chunk ... --> 0
 *
 * A new chunk is made as soon as one is full, even when nothing follows: an area of 511 * k pages ends in an empty
 * chunk. Chunk pages are preserved as pages. Huge mappings are not modelled: order is 0.
 */
import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';

import { definePoint, type Op } from '../base/point.ts';
import { type Order, type Pfn, type Phys, pfnOf, physOf } from '../base/units.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { ZEROED } from '../kernel/mm.ts';
import type { VmArea } from '../kernel/vmalloc.ts';
import type { Owner } from '../machine/frames.ts';
import type { Task } from '../sched/task.ts';
import {
  KHO_VMALLOC,
  KHO_VMALLOC_ALLOC,
  KHO_VMALLOC_CHUNK,
  KHO_VMALLOC_ENTRY,
  KHO_VMALLOC_SIZE,
} from './abi.ts';
import type { KhoOut } from './preserve.ts';
import type { KhoIn } from './restore.ts';

const ORDER_0 = 0 as Order;
const CHUNK_PAGE = definePoint('new_vmalloc_chunk', 'page', 'fault');

/** struct kho_vmalloc as values. */
export interface VmallocDescriptor {
  readonly first: Phys;
  readonly totalPages: number;
  readonly flags: number;
  readonly order: number;
}

const entryAt = (chunk: Phys, i: number): number =>
  chunk + KHO_VMALLOC_CHUNK.size + i * KHO_VMALLOC_ENTRY.size;

/**
 * The descriptor of a preserved area, or a negative errno with nothing left preserved. (kho_preserve_pages of single
 * pages, unrolled: the chain of generators from PRESERVE_FD would grow too long.)
 * @kernel kho_preserve_vmalloc, new_vmalloc_chunk, vmalloc_flags_to_kho
 * @simplified every area is of vmalloc's plainest kind, VM_ALLOC and
 * of order 0: huge mappings are not modelled
 */
export function* preserveVmalloc(
  kernel: Kernel,
  out: KhoOut,
  task: Task,
  { pages }: VmArea,
  chunkOwner: Owner,
): Op<VmallocDescriptor | number> {
  const { ram } = kernel.machine;
  const lock = out.tracker?.lock;
  let descriptor: VmallocDescriptor | undefined;
  let chunk = 0 as Phys;
  // Chunk k comes before page 511 k, the last one also behind all pages where they fill it.
  for (let i = 0; i <= pages.length; i++) {
    const inChunk = i % KHO_VMALLOC_SIZE;
    let err = 0;
    if (inChunk === 0) {
      const page = kernel.pages.alloc(ORDER_0, chunkOwner, CHUNK_PAGE, ZEROED);
      err = page === -1 ? -ERRNO.ENOMEM : 0;
      if (err === 0) {
        if (lock !== undefined && !lock.tryLock(task)) yield* lock.wait(task);
        err = out.addLocked(page as Pfn, ORDER_0);
        lock?.unlock(task);
        if (err !== 0) kernel.pages.put(page as Pfn);
      }
      if (err === 0) {
        const address = physOf(page as Pfn);
        if (descriptor !== undefined) ram.store64(chunk + KHO_VMALLOC_CHUNK.at.next, address);
        descriptor ??= { first: address, totalPages: pages.length, flags: KHO_VMALLOC_ALLOC, order: 0 };
        chunk = address;
      }
    }
    if (err === 0 && i < pages.length) {
      if (lock !== undefined && !lock.tryLock(task)) yield* lock.wait(task);
      err = out.addLocked(pages[i] as Pfn, ORDER_0);
      lock?.unlock(task);
      if (err === 0) ram.store64(entryAt(chunk, inChunk), physOf(pages[i] as Pfn));
    }
    if (err !== 0) {
      if (descriptor !== undefined) yield* unpreserveVmalloc(kernel, out, task, descriptor);
      return err;
    }
  }
  assert(descriptor !== undefined, 'an area has a chunk');
  return descriptor;
}

/** Every block that describes an area or belongs to it. */
export interface VmallocBlocks {
  readonly chunks: readonly Pfn[];
  readonly pages: readonly Pfn[];
}

/** The blocks of a preserved area of this kernel, in chunk order. */
export function vmallocBlocks(kernel: Kernel, { first }: VmallocDescriptor): VmallocBlocks {
  const { ram } = kernel.machine;
  const chunks: Pfn[] = [];
  const pages: Pfn[] = [];
  for (let chunk: number = first; chunk !== 0; chunk = ram.load64(chunk + KHO_VMALLOC_CHUNK.at.next)) {
    chunks.push(pfnOf(chunk as Phys));
    for (let i = 0; i < KHO_VMALLOC_SIZE; i++) {
      const page = ram.load64(entryAt(chunk as Phys, i));
      if (page === 0) break;
      pages.push(pfnOf(page as Phys));
    }
  }
  return { chunks, pages };
}

/**
 * Chunks and entries are unpreserved, chunk pages freed; the area stays.
 * @kernel kho_unpreserve_vmalloc, kho_vmalloc_unpreserve_chunk @simplified huge mappings are not modelled: order is 0
 */
export function* unpreserveVmalloc(
  kernel: Kernel,
  out: KhoOut,
  task: Task,
  descriptor: VmallocDescriptor,
): Op<void> {
  const { chunks, pages } = vmallocBlocks(kernel, descriptor);
  for (const block of [...chunks, ...pages]) yield* out.unpreservePages(task, block, 1);
  for (const chunk of chunks) kernel.pages.put(chunk);
}

/**
 * Takes the area over, or undefined; what was restored before a failure is lost.
 * @kernel kho_restore_vmalloc, kho_flags_to_vmalloc @simplified huge mappings are refused; the array of pages and the
 * mapping take no memory and cannot fail
 */
export function restoreVmalloc(
  kernel: Kernel,
  incoming: KhoIn,
  { first, totalPages, flags, order }: VmallocDescriptor,
  owner: Owner,
): VmArea | undefined {
  if ((flags & ~KHO_VMALLOC_ALLOC) !== 0 || order !== 0) return undefined;
  const { ram } = kernel.machine;
  const pages: Pfn[] = [];
  for (let chunk: number = first; chunk !== 0; ) {
    for (let i = 0; i < KHO_VMALLOC_SIZE; i++) {
      const page = ram.load64(entryAt(chunk as Phys, i));
      if (page === 0) break;
      if (pages.length + 1 > totalPages) return undefined;
      if (!incoming.restorePages(page as Phys, 1, owner)) return undefined;
      pages.push(pfnOf(page as Phys));
    }
    const next = ram.load64(chunk + KHO_VMALLOC_CHUNK.at.next);
    if (!incoming.restorePages(chunk as Phys, 1, owner)) return undefined;
    kernel.pages.put(pfnOf(chunk as Phys));
    chunk = next;
  }
  return pages.length === totalPages ? { pages } : undefined;
}

/** The 16 bytes of a descriptor. */
export function vmallocBytes({ first, totalPages, flags, order }: VmallocDescriptor): Uint8Array {
  const bytes = new Uint8Array(KHO_VMALLOC.size);
  putLittle(bytes, KHO_VMALLOC.at.first, 8, first);
  putLittle(bytes, KHO_VMALLOC.at.total_pages, 4, totalPages);
  putLittle(bytes, KHO_VMALLOC.at.flags, 2, flags);
  putLittle(bytes, KHO_VMALLOC.at.order, 2, order);
  return bytes;
}

export function vmallocFromBytes(bytes: Uint8Array): VmallocDescriptor | undefined {
  if (bytes.length !== KHO_VMALLOC.size) return undefined;
  return {
    first: getLittle(bytes, KHO_VMALLOC.at.first, 8) as Phys,
    totalPages: getLittle(bytes, KHO_VMALLOC.at.total_pages, 4),
    flags: getLittle(bytes, KHO_VMALLOC.at.flags, 2),
    order: getLittle(bytes, KHO_VMALLOC.at.order, 2),
  };
}

function putLittle(bytes: Uint8Array, at: number, size: number, value: number): void {
  let rest = value;
  for (let i = 0; i < size; i++) {
    bytes[at + i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

function getLittle(bytes: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (let i = size - 1; i >= 0; i--) value = value * 256 + (bytes[at + i] as number);
  return value;
}

/** Writes a descriptor to memory. */
export function storeVmalloc(kernel: Kernel, at: number, descriptor: VmallocDescriptor): void {
  kernel.machine.ram.storeBytes(at, vmallocBytes(descriptor));
}

/** A descriptor from memory. */
export function loadVmalloc(kernel: Kernel, at: number): VmallocDescriptor {
  const bytes = kernel.machine.ram.loadBytes(at, KHO_VMALLOC.size);
  return vmallocFromBytes(bytes) as VmallocDescriptor;
}
