/*
 * A preserved vmalloc area as its reader goes over it: a descriptor, chunks of addresses, the area's pages. Layout:
 * kho/abi.ts.
 *
 *   kho_vmalloc.first --> chunk {next, phys[511]} --> chunk ... --> 0       each phys stands for 2^order pages
 */
import { MAX_PAGE_ORDER, PAGE_SIZE } from '../base/limits.ts';
import { bytesOf, type Order, type Phys, pagesOf } from '../base/units.ts';
import {
  KHO_VMALLOC_ALLOC,
  KHO_VMALLOC_CHUNK,
  KHO_VMALLOC_ENTRY,
  KHO_VMALLOC_HUGE_VMAP,
  KHO_VMALLOC_SIZE,
} from '../kho/abi.ts';
import type { VmallocDescriptor } from '../kho/vmalloc.ts';
import type { DecodedField, Piece } from './anatomy.ts';
import { numberOf, structFields } from './decode.ts';
import { headOf, type Walk } from './walk.ts';

/** The descriptor whose fields begin with `prefix`. */
export function descriptorOf(fields: readonly DecodedField[], prefix: string): VmallocDescriptor {
  return {
    first: numberOf(fields, `${prefix}.first`) as Phys,
    totalPages: numberOf(fields, `${prefix}.total_pages`),
    flags: numberOf(fields, `${prefix}.flags`),
    order: numberOf(fields, `${prefix}.order`),
  };
}

/** Why a descriptor is refused; what is wrong with its pages is said of the chunks. */
export function descriptorProblems(
  walk: Walk,
  { first, flags, order }: VmallocDescriptor,
  name: string,
  problems: string[],
): void {
  const unknown = flags & ~(KHO_VMALLOC_ALLOC | KHO_VMALLOC_HUGE_VMAP);
  if (unknown !== 0) problems.push(`${name}.flags has 0x${unknown.toString(16)}, which no reader knows`);
  if (order > MAX_PAGE_ORDER) problems.push(`${name}.order is ${order}: no order of a page`);
  walk.leads(first, `${name}.first`, problems);
}

/**
 * The chunks and pages of an area. What is in a page is for `visit`, which gets the number of its first page in the
 * area and the address.
 */
export function* vmallocPieces(
  walk: Walk,
  { first, totalPages, order }: VmallocDescriptor,
  paths: { readonly chunk: string; readonly page: string },
  visit: (phys: Phys, page: number, bytes: number) => Generator<Piece, void, void>,
): Generator<Piece, void, void> {
  if (order > MAX_PAGE_ORDER) return;
  const step = pagesOf(order as Order);
  let pages = 0;
  let next: number = walk.leads(first, '', []) ? first : 0;
  for (let n = 0; next !== 0; n++) {
    const chunk = walk.begin(next as Phys, 0 as Order);
    const { problems, phys } = chunk;
    const fields = structFields(walk.memory, phys, KHO_VMALLOC_CHUNK, ['next']);
    const listed = chunk.fresh ? entriesOf(walk, phys, fields) : [];
    next = numberOf(fields, 'next');
    const follows = chunk.fresh && next !== 0 && walk.leads(next, 'next', problems);
    const good = listed.filter((entry, i) => walk.leads(entry, `phys[${i}]`, problems));
    const all = pages + listed.length * step;
    if (all > totalPages || (!follows && all < totalPages)) {
      problems.push(`brings the list to ${all} pages, of an area of ${totalPages}`);
    }
    yield headOf(`${paths.chunk}[${n}]`, KHO_VMALLOC_CHUNK.name, chunk, PAGE_SIZE, fields);
    for (const entry of good) {
      const block = walk.begin(entry as Phys, order as Order);
      const bytes = bytesOf(order as Order);
      yield headOf(`${paths.page}[${pages}]`, 'vmalloc page', block, block.fresh ? bytes : PAGE_SIZE, []);
      if (block.fresh) yield* visit(entry as Phys, pages, bytes);
      pages += step;
    }
    pages = all;
    if (!follows) return;
  }
}

/** Addresses up to the first 0; adds their fields. */
function entriesOf({ memory }: Walk, chunk: Phys, fields: DecodedField[]): number[] {
  const entries: number[] = [];
  for (let i = 0; i < KHO_VMALLOC_SIZE; i++) {
    const offset = KHO_VMALLOC_CHUNK.size + i * KHO_VMALLOC_ENTRY.size;
    const value = memory.load64(chunk + offset);
    if (value === 0) break;
    entries.push(value);
    fields.push({ name: `phys[${i}]`, offset, bytes: KHO_VMALLOC_ENTRY.size, kind: 'address', value });
  }
  return entries;
}
