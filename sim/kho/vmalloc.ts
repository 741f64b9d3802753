/*
 * Preserving vmalloc areas: a descriptor, and chunk pages that list the area's pages. Layout: abi.ts.
 *
 *   kho_vmalloc.first --> chunk {next, phys[511]} --> chunk ... --> 0
 *
 * A new chunk is made as soon as one is full, even when nothing follows: an area of 511 * k pages ends in an empty
 * chunk. Chunk pages are preserved as pages. Huge mappings are not modelled: order is 0.
 */
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
 * The descriptor of a preserved area, or -ENOMEM with nothing left preserved.
 * @kernel kho_preserve_vmalloc, vmalloc_flags_to_kho @simplified every area is of vmalloc's plainest kind, VM_ALLOC and
 * of order 0: huge mappings are not modelled
 */
export function* preserveVmalloc(
  kernel: Kernel,
  out: KhoOut,
  task: Task,
  { pages }: VmArea,
): Op<VmallocDescriptor | number> {
  const { ram } = kernel.machine;
  const first = yield* newChunk(kernel, out, task);
  if (first < 0) return -ERRNO.ENOMEM;
  const descriptor = { first: first as Phys, totalPages: pages.length, flags: KHO_VMALLOC_ALLOC, order: 0 };
  let chunk = first as Phys;
  let used = 0;
  for (const page of pages) {
    let err = yield* out.preservePages(task, page, 1);
    if (err === 0) {
      ram.store64(entryAt(chunk, used++), physOf(page));
      if (used === KHO_VMALLOC_SIZE) {
        const next = yield* newChunk(kernel, out, task);
        err = Math.min(next, 0);
        if (err === 0) {
          ram.store64(chunk + KHO_VMALLOC_CHUNK.at.next, next);
          chunk = next as Phys;
          used = 0;
        }
      }
    }
    if (err !== 0) {
      yield* unpreserveVmalloc(kernel, out, task, descriptor);
      return err;
    }
  }
  return descriptor;
}

/**
 * Chunks and entries are unpreserved, chunk pages freed; the area stays.
 * @kernel kho_unpreserve_vmalloc, kho_vmalloc_unpreserve_chunk @simplified huge mappings are not modelled: order is 0
 */
export function* unpreserveVmalloc(
  kernel: Kernel,
  out: KhoOut,
  task: Task,
  { first }: VmallocDescriptor,
): Op<void> {
  const { ram } = kernel.machine;
  for (let chunk: number = first; chunk !== 0; ) {
    yield* out.unpreservePages(task, pfnOf(chunk as Phys), 1);
    for (let i = 0; i < KHO_VMALLOC_SIZE; i++) {
      const page = ram.load64(entryAt(chunk as Phys, i));
      if (page === 0) break;
      yield* out.unpreservePages(task, pfnOf(page as Phys), 1);
    }
    const next = ram.load64(chunk + KHO_VMALLOC_CHUNK.at.next);
    kernel.pages.put(pfnOf(chunk as Phys));
    chunk = next;
  }
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

/** Address of a zeroed, preserved chunk, for the caller to link; or a negative errno. @kernel new_vmalloc_chunk */
function* newChunk(kernel: Kernel, out: KhoOut, task: Task): Op<number> {
  const page = kernel.pages.alloc(0 as Order, kernel.frames.owner('kho vmalloc chunk'), CHUNK_PAGE, ZEROED);
  if (page === -1) return -ERRNO.ENOMEM;
  const err = yield* out.preservePages(task, page, 1);
  if (err === 0) return physOf(page);
  kernel.pages.put(page);
  return err;
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
