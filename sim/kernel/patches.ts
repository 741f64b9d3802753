/*
 * Patches: what tells one revision from another. Code that differs asks `kernel.has(PATCH)`; a reported bug is a
 * revision without a patch. Only what code of sessions, LUO core or KHO asks for has a constant.
 *
 *   subject   as commit or mail have it; in words of ours, without the prefix of a subsystem, where neither is known
 *   commit    of the mainline tree, '' for never merged or not known
 *   date      of posting or merge, as known: '2026-05-19', '2026-08', ''
 *   link      where it can be read, '' where not known
 *   requires  what it builds on: it goes when one of these goes, and brings them when it comes
 *   excludes  other designs for the same thing
 *
 *   kho-radix-tree <- kho-blob-size <- luo-ser <- session-block-set <- file-block-set        (what 7.2 and 7.3 became)
 *                                      luo-ser >< session-blocks <- file-blocks              (the April 2026 series)
 */

export interface Patch {
  readonly name: string;
  readonly subject: string;
  readonly commit: string;
  readonly date: string;
  readonly link: string;
  readonly requires: readonly Patch[];
  readonly excludes: readonly Patch[];
}

const patch = (fields: Pick<Patch, 'name' | 'subject'> & Partial<Patch>): Patch => ({
  commit: '',
  date: '',
  link: '',
  requires: [],
  excludes: [],
  ...fields,
});

const KEXEC_LIST = 'https://lists.infradead.org/pipermail/kexec';
const LKML = 'https://lkml.iu.edu';

// KHO.

/** Radix tree instead of bitmaps, and no finalize ("kho: Remove finalize state and clients"); `preserved-data`. kho-v2. */
export const KHO_RADIX_TREE = patch({
  name: 'kho-radix-tree',
  subject: 'kho: Adopt radix tree for preserved memory tracking',
  date: '2026-02-05',
  link: `${LKML}/hypermail/linux/kernel/2602.0/10485.html`,
});

/** Subtrees carry the size of their blob (series "kho: history", v9). kho-v3. */
export const KHO_BLOB_SIZE = patch({
  name: 'kho-blob-size',
  subject: 'blob-size of every subtree in the root FDT',
  date: '2026-03-16',
  requires: [KHO_RADIX_TREE],
});

export const KHO_KEXEC_METADATA = patch({
  name: 'kho-kexec-metadata',
  subject: 'kho: kexec-metadata: track previous kernel chain',
  commit: '76aa46b9e404',
  date: '2026-03-16',
  link: `${LKML}/2604.0/05250.html`,
  requires: [KHO_BLOB_SIZE],
});

/** kho_preserve_pages and its reverse cut blocks where memory nodes meet. */
export const KHO_NUMA_SPLIT = patch({
  name: 'kho-numa-split',
  subject: 'no block of a preserved range spans two memory nodes',
});

/** kho_restore_page does not refuse orders above MAX_PAGE_ORDER any more. */
export const KHO_RESTORE_ANY_ORDER = patch({
  name: 'kho-restore-any-order',
  subject: 'the order in a stamp is not checked at restore',
});

/** The log says "disabling KHO revival" without the errno. */
export const KHO_POPULATE_CLEANUP = patch({
  name: 'kho-populate-cleanup',
  subject: 'a refused handover is logged without the errno',
});

/** Scratch areas are aligned to the largest buddy block, not to a pageblock. */
export const KHO_SCRATCH_ALIGN = patch({
  name: 'kho-scratch-align',
  subject: 'scratch areas of whole largest blocks, for deferred initialisation of struct pages',
  commit: '797fe91e50d6',
  date: '2026-08-03',
});

/** A failing kho_init frees all nodes of the tree, not the root alone. */
export const KHO_RADIX_DESTROY = patch({
  name: 'kho-radix-destroy',
  subject: 'kho_radix_destroy_tree frees every node',
  requires: [KHO_RADIX_TREE],
});

/** Early boot may use every GiB without a preserved block; scratch stays as it is for the next kernel. */
export const KHO_EXTENDED_SCRATCH = patch({
  name: 'kho-extended-scratch',
  subject: 'kho: extend scratch',
  date: '2026-06-05',
  link: `${LKML}/2606.0/11630.html`,
  requires: [KHO_RADIX_TREE],
});

// LUO core and sessions: the locking series of May 2026 and its neighbours.

/** One global rwsem: whatever changes a session reads, the reboot hook writes and keeps it. SES-SERIALIZE-RACE. */
export const SERIALIZE_RWSEM = patch({
  name: 'serialize-rwsem',
  subject: 'liveupdate: block session mutations during reboot',
  commit: 'bb1328be35bf',
  date: '2026-05-27',
  link: `${KEXEC_LIST}/2026-May/036498.html`,
});

/** Retrieve keeps the list rwsem until it has the session's mutex. SES-RETRIEVE-TOCTOU. */
export const RETRIEVE_LOCK = patch({
  name: 'retrieve-lock',
  subject: 'fix TOCTOU race in luo_session_retrieve()',
  commit: 'd3ae9e7fddb4',
});

/** Session ioctls only in their direction: -EINVAL. SES-DIRECTION. */
export const DIRECTION_CHECK = patch({
  name: 'direction-check',
  subject: 'session ioctls only on sessions of their direction',
  commit: '507e3b479f9c',
  date: '2026-05-19',
});

/** Names of 1 to 63 bytes: -EINVAL. SES-NAME-LEN. */
export const NAME_CHECK = patch({
  name: 'name-check',
  subject: 'liveupdate: reject LIVEUPDATE_IOCTL_CREATE_SESSION with invalid name length',
  commit: 'e947433cd0d2',
  date: '2026-04-18',
  link: 'https://lore.kerneltesting.org/linux-mm/20260420-buchung-panne-57e262f5057f@brauner/T/',
});

/** Any failure of the first open is what every later open gets, not that of an insertion alone. SES-DESER-STICKY. */
export const DESERIALIZE_LATCH = patch({
  name: 'deserialize-latch',
  subject: 'return value of session deserialization (item 8 of "Fix module unloading and unregister API" v4)',
  date: '2026-04-13',
  link: `${LKML}/2604.1/08999.html`,
});

/** A session whose files do not come back fails deserialization. */
export const DESERIALIZE_FILE_ERRORS = patch({
  name: 'deserialize-file-errors',
  subject: 'liveupdate: propagate file deserialization failures',
  commit: '307e0c5859b0',
});

// Files, memfd and FLBs.

/** A file is preserved once, by whatever name: -EBUSY. MEMFD-DOUBLE-PRESERVE. */
export const DOUBLE_PRESERVE = patch({
  name: 'double-preserve',
  subject: 'a table of preserved files, keyed by what the handler says a file is',
  date: '2026-05-24',
  link: `${LKML}/2605.3/00209.html`,
});

/** A retrieve that failed is what every later one gets. FILE-RETRIEVE-RETRY, CVE-2026-43489. */
export const RETRIEVE_STATUS = patch({
  name: 'retrieve-status',
  subject: 'a failed retrieve of a file is remembered',
  date: '2026-02-16',
});

/** A reboot that was given up leaves the files as they were before it, ready for the next. */
export const UNFREEZE_KEEPS_DATA = patch({
  name: 'unfreeze-keeps-data',
  subject: 'unfreeze does not forget what a handler has serialized',
});

/** Handlers are pinned by the files that need them, not by being registered; unregistering cannot fail. MOD-UNREG-EBUSY. */
export const MODULE_PER_FILE = patch({
  name: 'module-per-file',
  subject: 'module references while in use, one rwsem for registration ("Fix module unloading" v4)',
  date: '2026-04-13',
  link: `${LKML}/2604.1/08999.html`,
});

/** FLB counts saturate, and users of the incoming object hold a reference (with d2850ff2f8c5). FLB-IN-REF. */
export const FLB_INCOMING_REF = patch({
  name: 'flb-incoming-ref',
  subject: 'reference counting of incoming FLB data',
  commit: 'd8e47bd066d7',
  requires: [MODULE_PER_FILE],
});

/** Users of the outgoing object hold a reference. FLB-OUT-REF. */
export const FLB_OUTGOING_REF = patch({
  name: 'flb-outgoing-ref',
  subject: 'reference counting of outgoing FLB data',
  commit: '36882f339239',
  date: '2026-05-28',
  requires: [FLB_INCOMING_REF],
});

/** An FLB that could not be retrieved stays so. */
export const FLB_RETRIEVE_STATUS = patch({
  name: 'flb-retrieve-status',
  subject: 'a failed retrieve of an FLB is remembered',
  requires: [FLB_INCOMING_REF],
});

/** memfd-v2: seals cross, sizes beyond the index of a folio are refused. */
export const MEMFD_SEALS = patch({ name: 'memfd-seals', subject: 'memfd-v2: preserve file seals' });

/** Every folio of a memfd counts as dirty and up to date. MEMFD-DIRTY, CVE-2026-43389, and MEMFD-UPTODATE. */
export const MEMFD_DIRTY = patch({
  name: 'memfd-dirty',
  subject: 'folios are zeroed where they must be, marked dirty and up to date at preserve',
  date: '2026-02-23',
});

/** What a failed retrieve has not used is given back, and so is its record. */
export const MEMFD_UNWIND = patch({
  name: 'memfd-unwind',
  subject: 'a failed retrieve frees the folios that are left',
});

/** A folio is accounted for by its pages, and leaves the page cache where that is refused. MEMFD-ACCT. */
export const MEMFD_ACCT = patch({
  name: 'memfd-acct',
  subject: 'folios count by their pages, and one that is not accounted for leaves the page cache',
  date: '2026-03-26',
});

// LUO core and sessions: after the locking series.

export const GET_NAME = patch({
  name: 'get-name',
  subject: 'liveupdate: add LIVEUPDATE_SESSION_GET_NAME ioctl',
  date: '2026-04-18',
  link: `${KEXEC_LIST}/2026-March/035547.html`,
});

/** FINISH with reserved != 0: -EINVAL. FINISH-RESERVED. */
export const FINISH_RESERVED = patch({
  name: 'finish-reserved',
  subject: 'FINISH refuses a reserved field that is not 0',
  commit: '05cf3d87a0bf',
  date: '2026-08',
});

/** RETRIEVE_FD drops the session's mutex before it copies its answer out. SES-GUARD-GOTO. */
export const RETRIEVE_FD_GUARD = patch({
  name: 'retrieve-fd-guard',
  subject: 'liveupdate: avoid mixing cleanup guards with goto in luo_session_retrieve_fd',
  commit: '6af06e11bd48',
  date: '2026-06-03',
  link: `${KEXEC_LIST}/2026-May/036534.html`,
});

/** struct luo_ser is the KHO blob, in place of LUO's FDT (with d376e4b55c9a, which made the struct). */
export const LUO_SER = patch({
  name: 'luo-ser',
  subject: 'liveupdate: register luo_ser as KHO subtree',
  commit: 'cf071b3536df',
  date: '2026-06-03',
  link: `${KEXEC_LIST}/2026-May/036510.html`,
  requires: [KHO_BLOB_SIZE],
});

/** One-page block sets for sessions, the first block with the first session (0349ff288705, b5a58a922e6f). kho-v4. */
export const SESSION_BLOCK_SET = patch({
  name: 'session-block-set',
  subject: 'liveupdate: Remove limit on the number of sessions',
  commit: '2a441a14c2c0',
  date: '2026-06-03',
  link: `${KEXEC_LIST}/2026-June/036592.html`,
  requires: [LUO_SER],
});

/** One-page block sets for files. luo-v5. */
export const FILE_BLOCK_SET = patch({
  name: 'file-block-set',
  subject: 'liveupdate: Remove limit on the number of files per session',
  commit: '1d1153097f4d',
  date: '2026-06-03',
  link: `${KEXEC_LIST}/2026-June/036592.html`,
  requires: [SESSION_BLOCK_SET],
});

// The April 2026 series, never merged in this form.

/** Session metadata in a chain of 16-page blocks instead of one array; v1 1/5. */
export const SESSION_BLOCKS = patch({
  name: 'session-blocks',
  subject: 'liveupdate: Remove limit on the number of sessions',
  date: '2026-04-14',
  link: `${KEXEC_LIST}/2026-April/035723.html`,
  excludes: [LUO_SER],
});

/** File metadata in chains of 2-page blocks; v1 2/5. */
export const FILE_BLOCKS = patch({
  name: 'file-blocks',
  subject: 'liveupdate: Remove limit on the number of files per session',
  date: '2026-04-14',
  link: `${KEXEC_LIST}/2026-April/035723.html`,
  requires: [SESSION_BLOCKS],
});

// Designs for finding a name that nobody has posted, in place of the scan of the list: to compare their price.

/** A table of session names that grows with their number (as lib/rhashtable.c does), beside the list. */
export const NAME_HASH = patch({ name: 'name-hash', subject: 'session names in a resizable hash table' });

/** A red-black tree of sessions by name, beside the list. */
export const NAME_RBTREE = patch({
  name: 'name-rbtree',
  subject: 'session names in a red-black tree',
  excludes: [NAME_HASH],
});

/** An xarray by a 32-bit hash of the name, beside the list. */
export const NAME_XARRAY = patch({
  name: 'name-xarray',
  subject: 'session names in an xarray, by their hash',
  excludes: [NAME_HASH, NAME_RBTREE],
});

/** Deserializing looks for duplicates once, by sorting, and keeps what it sorted for retrieving. */
export const NAME_SORT = patch({
  name: 'name-sort',
  subject: 'duplicate names looked for once, when all sessions are deserialized',
  excludes: [NAME_HASH, NAME_RBTREE, NAME_XARRAY],
});

/** All of them, what others build on before what builds on it. */
export const PATCHES: readonly Patch[] = [
  KHO_RADIX_TREE,
  KHO_BLOB_SIZE,
  KHO_KEXEC_METADATA,
  KHO_NUMA_SPLIT,
  KHO_RESTORE_ANY_ORDER,
  KHO_POPULATE_CLEANUP,
  KHO_SCRATCH_ALIGN,
  KHO_RADIX_DESTROY,
  KHO_EXTENDED_SCRATCH,
  DESERIALIZE_FILE_ERRORS,
  DOUBLE_PRESERVE,
  RETRIEVE_STATUS,
  UNFREEZE_KEEPS_DATA,
  MODULE_PER_FILE,
  FLB_INCOMING_REF,
  FLB_OUTGOING_REF,
  FLB_RETRIEVE_STATUS,
  MEMFD_SEALS,
  MEMFD_DIRTY,
  MEMFD_UNWIND,
  MEMFD_ACCT,
  SERIALIZE_RWSEM,
  RETRIEVE_LOCK,
  DIRECTION_CHECK,
  NAME_CHECK,
  DESERIALIZE_LATCH,
  GET_NAME,
  FINISH_RESERVED,
  RETRIEVE_FD_GUARD,
  LUO_SER,
  SESSION_BLOCK_SET,
  FILE_BLOCK_SET,
  SESSION_BLOCKS,
  FILE_BLOCKS,
  NAME_HASH,
  NAME_RBTREE,
  NAME_XARRAY,
  NAME_SORT,
];

export const patchByName = (name: string): Patch | undefined => PATCHES.find((known) => known.name === name);

/** A patch with all it builds on, transitively. */
export function withRequired(patch: Patch): readonly Patch[] {
  return [...patch.requires.flatMap(withRequired), patch];
}

/** A patch with all that builds on it, transitively. */
export function withDependents(patch: Patch): readonly Patch[] {
  return PATCHES.filter((other) => withRequired(other).includes(patch));
}
