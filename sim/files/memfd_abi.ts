/*
 * What the memfd handler writes for the next kernel. Sources: include/linux/kho/abi/memfd.h of 6.19 (memfd-v1), 7.1.13
 * and 7.3.4 (memfd-v2, identical), checked against images of both.
 *
 *   memfd-v1, 40 bytes   pos | size | nr_folios | folios {first, total_pages, flags, order}
 *   memfd-v2, 48 bytes   pos | size | seals, flags | nr_folios | folios
 *
 * folios describes a vmalloc area of 16-byte entries, 256 a page:
 *
 *   first u64    51 .. 0 frame number, 0 for a hole   63 .. 52 flags: bit 52 dirty, bit 53 up to date
 *   second u64   index of the folio's first page in the file
 */
import { nested, struct, u32, u64 } from '../base/layout.ts';
import { KHO_VMALLOC } from '../kho/abi.ts';

export const MEMFD_V1_COMPATIBLE = 'memfd-v1';
export const MEMFD_V2_COMPATIBLE = 'memfd-v2';

export const MEMFD_LUO_SER_V1 = struct('memfd_luo_ser', {
  pos: u64,
  size: u64,
  nr_folios: u64,
  folios: nested(KHO_VMALLOC),
});

export const MEMFD_LUO_SER = struct('memfd_luo_ser', {
  pos: u64,
  size: u64,
  seals: u32,
  flags: u32,
  nr_folios: u64,
  folios: nested(KHO_VMALLOC),
});

export const MEMFD_LUO_FOLIO_SER = struct('memfd_luo_folio_ser', { pfn_and_flags: u64, index: u64 });
/** Bits of the high word of the first u64. */
export const MEMFD_FOLIO_PFN_HIGH = 0xfffff;
export const MEMFD_FOLIO_DIRTY = 1 << 20;
export const MEMFD_FOLIO_UPTODATE = 1 << 21;

/** Seals that memfd-v2 can carry: all that there are. */
export const MEMFD_LUO_ALL_SEALS = 0x3f;
