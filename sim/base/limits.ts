/*
 * The limits of the modelled system, one line and one reason each. A limit that a revision changes stands in
 * that revision's layout or patch, not here.
 */

/** x86-64 base pages; the only page size modelled. */
export const PAGE_SHIFT = 12;
export const PAGE_SIZE = 4096;
/** Largest buddy block, CONFIG_ARCH_FORCE_MAX_ORDER default: 4 MiB. */
export const MAX_PAGE_ORDER = 10;
/** A pageblock is one 2 MiB huge page on x86-64; migrate types are kept per pageblock. */
export const PAGEBLOCK_ORDER = 9;

/** Smallest machine that boots: below it the reserved memory leaves no room for scratch. */
export const RAM_BYTES_MIN = 16 * 2 ** 20;
/** Largest machine: frame numbers stay in 28 bits, frame columns in Int32 indices. */
export const RAM_BYTES_MAX = 2 ** 40;
/** Largest machine whose memory can be shattered: that takes a step for every 64 KiB. */
export const SHATTERED_RAM_BYTES_MAX = 64 * 2 ** 30;
/** Memory nodes; MAX_NUMNODES is 1024, more than 8 adds nothing to a live update. */
export const NODES_MAX = 8;
export const CPUS_MAX = 64;

/** LIVEUPDATE_SESSION_NAME_LENGTH: a name and its NUL. */
export const SESSION_NAME_LENGTH = 64;
/** LIVEUPDATE_HNDL_COMPAT_LENGTH. */
export const HANDLER_COMPATIBLE_LENGTH = 48;
/** LIVEUPDATE_FLB_COMPAT_LENGTH. */
export const FLB_COMPATIBLE_LENGTH = 48;

/** Last-level cache of the priced machine: a list that takes more comes from memory at every hop. */
export const CACHE_BYTES = 32 * 2 ** 20;

/** fs.nr_open: no process can have more descriptors (fs/file.c). */
export const NR_OPEN = 1_048_576;
/** files_maxfiles_init: fs.file-max is free memory in KiB / 10, at least NR_FILE. */
export const NR_FILE = 8192;

/** Generations in one run: a bound for the person, not for the system. */
export const GENERATIONS_MAX = 100_000;
