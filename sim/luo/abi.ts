/*
 * What the Live Update Orchestrator writes for the next kernel. Sources: include/linux/kho/abi/luo.h of 6.19, 7.1.13
 * and 7.3.4; april-v1 from its mails, header field order inferred (see kernel/revisions.ts).
 *
 *   luo_session_ser   80 bytes   name[64], file_set_ser {files, count}
 *
 *   block of 16 pages (april-v1), 819 entries, no byte unused:
 *     0     8      16          96                                65536
 *     | next | count | entry 0  | entry 1 |   ...   | entry 818 |
 *
 *   root FDT of one page (up to v7.1, april-v1):
 *     / { compatible = "luo-v1"; liveupdate-number = <u64>;
 *         luo-session { compatible; luo-session-header = <u64 phys>; };
 *         luo-flb     { compatible = "luo-flb-v1"; luo-flb-header = <u64 phys>; }; }
 */
import { entriesIn, nested, struct, text, u64 } from '../base/layout.ts';
import {
  FLB_COMPATIBLE_LENGTH,
  HANDLER_COMPATIBLE_LENGTH,
  PAGE_SIZE,
  SESSION_NAME_LENGTH,
} from '../base/limits.ts';

/** Name of LUO's subtree in the KHO root. */
export const LUO_SUBTREE = 'LUO';

export const LUO_FILE_SET_SER = struct('luo_file_set_ser', { files: u64, count: u64 });

export const LUO_SESSION_SER = struct('luo_session_ser', {
  name: text(SESSION_NAME_LENGTH),
  file_set_ser: nested(LUO_FILE_SET_SER),
});

export const LUO_FILE_SER = struct('luo_file_ser', {
  compatible: text(HANDLER_COMPATIBLE_LENGTH),
  data: u64,
  token: u64,
});

/** Head of a session block of the chain. */
export const LUO_SESSION_BLOCK_SER = struct('luo_session_header_ser', { next: u64, count: u64 });
/** Pages of a session region: LUO_SESSION_PGCNT. */
export const LUO_SESSION_PAGES = 16;
export const LUO_SESSION_BYTES = LUO_SESSION_PAGES * PAGE_SIZE;
/** Sessions in a block of the chain: 819. */
export const LUO_SESSIONS_PER_BLOCK = entriesIn(LUO_SESSION_BYTES, LUO_SESSION_BLOCK_SER, LUO_SESSION_SER);
/** Blocks in a chain. */
export const LUO_MAX_BLOCKS = 10_000;

export const LUO_FLB_HEADER_SER = struct('luo_flb_header_ser', { pgcnt: u64, count: u64 });
export const LUO_FLB_SER = struct('luo_flb_ser', {
  name: text(FLB_COMPATIBLE_LENGTH),
  data: u64,
  count: u64,
});
export const LUO_FLB_PAGES = 1;
/** FLBs in the page: 63. */
export const LUO_FLB_MAX = entriesIn(LUO_FLB_PAGES * PAGE_SIZE, LUO_FLB_HEADER_SER, LUO_FLB_SER);

/*
 * struct luo_ser (v7.3), the KHO blob itself: 32 bytes.
 */
export const LUO_SER = struct('luo_ser', {
  compatible: text(8),
  liveupdate_num: u64,
  sessions_pa: u64,
  flbs_pa: u64,
});

export const LUO_FDT_BYTES = PAGE_SIZE;
export const LUO_FDT_COMPATIBLE = 'luo-v1';
export const LUO_FDT_NUMBER = 'liveupdate-number';
export const LUO_FDT_SESSION_NODE = 'luo-session';
export const LUO_FDT_SESSION_HEADER = 'luo-session-header';
export const LUO_FDT_FLB_NODE = 'luo-flb';
export const LUO_FDT_FLB_COMPATIBLE = 'luo-flb-v1';
export const LUO_FDT_FLB_HEADER = 'luo-flb-header';

/*
 * Sessions of the fixed arrays (v6.19 to v7.1, luo-session-v2): one region of 16 pages.
 *
 *   0       8         88                      65528   65536
 *   | count | entry 0 | entry 1 | ... | entry 818 | - |
 */
export const LUO_SESSION_ARRAY_SER = struct('luo_session_header_ser', { count: u64 });
/** Sessions in the array, LUO_SESSION_MAX: 819. */
export const LUO_SESSION_MAX = entriesIn(LUO_SESSION_BYTES, LUO_SESSION_ARRAY_SER, LUO_SESSION_SER);

/*
 * Files of a session: up to v7.1 a region of 2 pages with 128 entries and no header; april-v1 blocks of 2 pages (inferred
 * but for the header); v7.3 block sets of one-page blocks (kho/abi.ts).
 *
 *   0        64       128                 8192           0     8      16       80                 8144   8192
 *   | file 0 | file 1 | ...  | file 127 |                | next | count | file 0 | ... | file 126 | -    |
 */
export const LUO_FILE_PAGES = 2;
export const LUO_FILE_BYTES = LUO_FILE_PAGES * PAGE_SIZE;
/** Files in the region, LUO_FILE_MAX: 128. */
export const LUO_FILE_MAX = Math.floor(LUO_FILE_BYTES / LUO_FILE_SER.size);
export const LUO_FILE_BLOCK_SER = struct('luo_file_header_ser', { next: u64, count: u64 });
/** Files in a block of the chain: 127. */
export const LUO_FILES_PER_BLOCK = entriesIn(LUO_FILE_BYTES, LUO_FILE_BLOCK_SER, LUO_FILE_SER);
