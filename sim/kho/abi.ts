/*
 * What Kexec HandOver writes for the next kernel: layouts and constants, 4 KiB pages, all values native endian.
 * Sources: include/linux/kho/abi/kexec_handover.h of 7.1.13 and 7.3.4, checked against images of both.
 *
 * Root FDT, one preserved page:
 *   / { compatible = "kho-v3"; preserved-memory-map = <u64 radix root>;
 *       NAME { preserved-data = <u64 phys>; blob-size = <u64 bytes>; };   one per subsystem
 *     }
 *
 * Radix tree, one page a node, six levels; level 5 down to 1 are tables of 512 addresses, level 0 is a bitmap:
 *   key(phys, order) = 2^(52-order) | phys >> (12+order)
 *   bits   L5 59:51 | L4 50:42 | L3 41:33 | L2 32:24 | L1 23:15 | L0 14:0
 *
 * Bitmaps and their list (kho-v1, v6.19), one page each; a subsystem's node has one property, fdt = <u64 phys>:
 *   chunk    next | order, num_elms | {phys_start, bitmap} * 255        one order a chunk
 *   bitmap   bit b = the block of 2^order pages at phys_start + (b << (order + 12))
 */
import { entriesIn, struct, text, u16, u32, u64 } from '../base/layout.ts';
import { PAGE_SIZE } from '../base/limits.ts';

/** Root properties. */
export const KHO_MAP_PROPERTY = 'preserved-memory-map';
export const KHO_DATA_PROPERTY = 'preserved-data';
export const KHO_SIZE_PROPERTY = 'blob-size';

/** struct kho_scratch: one area. */
export const KHO_SCRATCH = struct('kho_scratch', { addr: u64, size: u64 });

/** The scratch array is passed in a segment of this alignment. */
export const KHO_SCRATCH_SEGMENT_ALIGN = 65536;

export const KEXEC_METADATA_NODE = 'kexec-metadata';
export const KEXEC_METADATA_VERSION = 1;
/** struct kho_kexec_metadata, version 1, packed: 73 bytes. */
export const KEXEC_METADATA = struct('kho_kexec_metadata', {
  version: u32,
  previous_release: text(65),
  kexec_count: u32,
});

/** struct kho_vmalloc: describes a preserved vmalloc area. */
export const KHO_VMALLOC = struct('kho_vmalloc', { first: u64, total_pages: u32, flags: u16, order: u16 });
export const KHO_VMALLOC_ALLOC = 0x0001;
export const KHO_VMALLOC_HUGE_VMAP = 0x0002;
/** struct kho_vmalloc_chunk: one page, this header and addresses, zero terminated if not full. */
export const KHO_VMALLOC_CHUNK = struct('kho_vmalloc_chunk', { next: u64 });
export const KHO_VMALLOC_ENTRY = struct('kho_vmalloc_chunk entry', { phys: u64 });
/** Addresses in a chunk: 511. */
export const KHO_VMALLOC_SIZE = entriesIn(PAGE_SIZE, KHO_VMALLOC_CHUNK, KHO_VMALLOC_ENTRY);

/** Position of the order-0 marker bit in a key. */
export const KHO_ORDER_0_LOG2 = 52;
export const KHO_TABLE_SIZE_LOG2 = 9;
export const KHO_BITMAP_SIZE_LOG2 = 15;
/** Levels of the tree: ceil((52 - 15 + 1) / 9) + 1. */
export const KHO_TREE_MAX_DEPTH = 6;

/*
 * Blocks of serialized entries (kho_block), v7.3: preserved pages in a chain, entries of one size each.
 *
 *   0     8      16                                    4096
 *   | next | count | entry 0 | entry 1 | ... | unused  |      next: address of the next block, 0 in the last
 */
export const KHO_BLOCK_SIZE = PAGE_SIZE;
export const KHO_BLOCK_HEADER_SER = struct('kho_block_header_ser', { next: u64, count: u64 });
/** Blocks in a chain: a guard against damaged chains more than a limit. */
export const KHO_MAX_BLOCKS = 10_000;

/** What kho-v1 calls the address of a subsystem's data, which has no size there. */
export const KHO_V1_DATA_PROPERTY = 'fdt';

/** Bits of a bitmap: PRESERVE_BITS; 128 MiB of memory at order 0. */
export const KHO_PRESERVE_BITS_LOG2 = 15;
/** struct khoser_mem_chunk: one page, this header and entries. */
export const KHOSER_MEM_CHUNK = struct('khoser_mem_chunk_hdr', { next: u64, order: u32, num_elms: u32 });
export const KHOSER_MEM_BITMAP_PTR = struct('khoser_mem_bitmap_ptr', { phys_start: u64, bitmap: u64 });
/** Entries of a chunk: 255. */
export const KHOSER_BITMAP_SIZE = entriesIn(PAGE_SIZE, KHOSER_MEM_CHUNK, KHOSER_MEM_BITMAP_PTR);
