/*
 * Revisions of the modelled system: a base and the patches applied to it. What a revision writes and which designs it
 * uses follow from its patches, by the tables below; nothing about a revision is said twice.
 *
 *   v6.19         LUO as first merged; bitmaps and kho_finalize
 *   v7.1          7.1.13: radix tree, the locking series and its neighbours; still fixed arrays
 *   v7.0          v7.1 without the locking series and its neighbours
 *   april-v1-p1   v7.0 and patch 1/5 of the April 2026 series, the mail under review
 *   april-v1      v7.0 and the whole series
 *   v7.3          7.3.4: everything that was merged, so block sets and struct luo_ser
 *
 * A name with changes behind it names a variant: `v7.1 +get-name -serialize-rwsem`. INFERRED says what no source
 * shows.
 */
import { assert } from '../base/assert.ts';
import { MAX_PAGE_ORDER, PAGE_SIZE, PAGEBLOCK_ORDER } from '../base/limits.ts';
import {
  DESERIALIZE_FILE_ERRORS,
  DESERIALIZE_LATCH,
  DIRECTION_CHECK,
  DOUBLE_PRESERVE,
  FILE_BLOCK_SET,
  FILE_BLOCKS,
  FINISH_RESERVED,
  FLB_INCOMING_REF,
  FLB_OUTGOING_REF,
  FLB_RETRIEVE_STATUS,
  GET_NAME,
  KHO_BLOB_SIZE,
  KHO_EXTENDED_SCRATCH,
  KHO_KEXEC_METADATA,
  KHO_NUMA_SPLIT,
  KHO_POPULATE_CLEANUP,
  KHO_RADIX_DESTROY,
  KHO_RADIX_TREE,
  KHO_RESTORE_ANY_ORDER,
  KHO_SCRATCH_ALIGN,
  LUO_SER,
  MEMFD_ACCT,
  MEMFD_DIRTY,
  MEMFD_SEALS,
  MEMFD_UNWIND,
  MODULE_PER_FILE,
  NAME_CHECK,
  NAME_HASH,
  NAME_RBTREE,
  NAME_SORT,
  NAME_XARRAY,
  PATCHES,
  type Patch,
  patchByName,
  RETRIEVE_FD_GUARD,
  RETRIEVE_LOCK,
  RETRIEVE_STATUS,
  SERIALIZE_RWSEM,
  SESSION_BLOCK_SET,
  SESSION_BLOCKS,
  UNFREEZE_KEEPS_DATA,
  withDependents,
  withRequired,
} from './patches.ts';

/** Designs that are whole parts; one of each is chosen. */
export interface Parts {
  readonly sessionStore: 'array-16' | 'block-chain-16' | 'block-set-1';
  readonly fileStore: 'array-2' | 'block-chain-2' | 'block-set-1';
  readonly tracker: 'bitmaps' | 'radix';
  readonly rebootExclusion: 'list-rwsem' | 'global-rwsem';
  readonly luoRoot: 'fdt' | 'luo_ser';
  readonly nameIndex: 'list-scan' | 'hash' | 'rbtree' | 'xarray' | 'sort-at-deserialize';
}

/** What follows from the patches. */
interface Design {
  readonly parts: Parts;
  /** compatible of the root FDT. */
  readonly khoCompatible: string;
  /** compatible of LUO's FDT, or in struct luo_ser. */
  readonly luoCompatible: string;
  /** compatible of the luo-session node; '' under luo_ser, where luoCompatible covers it. */
  readonly sessionCompatible: string;
  readonly scratchAlignBytes: number;
  /** Whether the handover says which kernel it comes from. */
  readonly kexecMetadata: boolean;
}

export interface Revision extends Design {
  /** The base, and behind it how the patches differ from the base's. */
  readonly name: string;
  /** One of REVISIONS. */
  readonly base: string;
  /** What `uname -r` says; carried in kexec-metadata. */
  readonly release: string;
  /** In the order of PATCHES. */
  readonly patches: readonly Patch[];
}

/** What rests on inference rather than on a source. */
export interface Inference {
  readonly revisions: readonly string[];
  readonly what: string;
}

export const INFERRED: readonly Inference[] = [
  {
    revisions: ['v6.19'],
    what: 'read in public copies of the sources, never run; the FLB page and the luo-flb node are there from the start',
  },
  {
    revisions: ['v7.0', 'april-v1-p1', 'april-v1'],
    what: 'kho-v3 with radix tree, blob sizes and kexec-metadata; whatever the locking series does not touch is as in 7.1.13',
  },
  {
    revisions: ['april-v1-p1', 'april-v1'],
    what:
      'the bodies of the patches could not be read; certain are block size, chain, {next, count}, 10,000 blocks, ' +
      'allocation in insert, luo-session-v3 and -v4; inferred from the next version of the series: the order of next ' +
      'and count, -ENOSPC at the block limit, blocks kept for reuse until the kernel ends, the first block allocated ' +
      'at late init, trailing blocks with count 0 tolerated, counts not checked when the chain is read, cycles found ' +
      'by the block limit, all as in v7.0 outside the blocks (no name check, no direction check)',
  },
  {
    revisions: ['april-v1'],
    what:
      'file blocks of 2 pages, 127 files each; a block is allocated before the file is looked up, kept for reuse until ' +
      'the set has no files, and 10,000 blocks are the limit (-ENOSPC)',
  },
  {
    revisions: ['v6.19'],
    what: 'the size of a memfd is bounded by the memory that describes it alone; handlers are pinned while registered',
  },
];

/** The first row whose patch is applied decides. */
type Choice<T> = readonly (readonly [Patch, T])[];

const SESSION_STORE: Choice<Parts['sessionStore']> = [
  [SESSION_BLOCK_SET, 'block-set-1'],
  [SESSION_BLOCKS, 'block-chain-16'],
];
const FILE_STORE: Choice<Parts['fileStore']> = [
  [FILE_BLOCK_SET, 'block-set-1'],
  [FILE_BLOCKS, 'block-chain-2'],
];
const NAME_INDEX: Choice<Parts['nameIndex']> = [
  [NAME_HASH, 'hash'],
  [NAME_RBTREE, 'rbtree'],
  [NAME_XARRAY, 'xarray'],
  [NAME_SORT, 'sort-at-deserialize'],
];
const KHO_COMPATIBLE: Choice<string> = [
  // The block format has no string of its own: it is covered by that of KHO.
  [SESSION_BLOCK_SET, 'kho-v4'],
  [KHO_BLOB_SIZE, 'kho-v3'],
  [KHO_RADIX_TREE, 'kho-v2'],
];
const LUO_COMPATIBLE: Choice<string> = [
  [FILE_BLOCK_SET, 'luo-v5'],
  [SESSION_BLOCK_SET, 'luo-v4'],
  // No kernel was released with this one; the number is the one before.
  [LUO_SER, 'luo-v3'],
];
const SESSION_COMPATIBLE: Choice<string> = [
  [LUO_SER, ''],
  [FILE_BLOCKS, 'luo-session-v4'],
  [SESSION_BLOCKS, 'luo-session-v3'],
];

function designOf(patches: ReadonlySet<Patch>): Design {
  const choose = <T>(choice: Choice<T>, otherwise: T): T =>
    choice.find(([patch]) => patches.has(patch))?.[1] ?? otherwise;
  return {
    parts: {
      sessionStore: choose(SESSION_STORE, 'array-16'),
      fileStore: choose(FILE_STORE, 'array-2'),
      tracker: patches.has(KHO_RADIX_TREE) ? 'radix' : 'bitmaps',
      rebootExclusion: patches.has(SERIALIZE_RWSEM) ? 'global-rwsem' : 'list-rwsem',
      luoRoot: patches.has(LUO_SER) ? 'luo_ser' : 'fdt',
      nameIndex: choose(NAME_INDEX, 'list-scan'),
    },
    khoCompatible: choose(KHO_COMPATIBLE, 'kho-v1'),
    luoCompatible: choose(LUO_COMPATIBLE, 'luo-v1'),
    sessionCompatible: choose(SESSION_COMPATIBLE, 'luo-session-v2'),
    scratchAlignBytes: PAGE_SIZE << (patches.has(KHO_SCRATCH_ALIGN) ? MAX_PAGE_ORDER : PAGEBLOCK_ORDER),
    kexecMetadata: patches.has(KHO_KEXEC_METADATA),
  };
}

function released(name: string, release: string, applied: readonly Patch[]): Revision {
  const patches = new Set(applied);
  assert(contradiction(patches) === undefined, `${name} contradicts itself`);
  return {
    name,
    base: name,
    release,
    patches: PATCHES.filter((patch) => patches.has(patch)),
    ...designOf(patches),
  };
}

const V7_0_PATCHES: readonly Patch[] = [
  KHO_RADIX_TREE,
  KHO_BLOB_SIZE,
  KHO_KEXEC_METADATA,
  KHO_NUMA_SPLIT,
  KHO_RESTORE_ANY_ORDER,
  KHO_POPULATE_CLEANUP,
  DESERIALIZE_FILE_ERRORS,
  DOUBLE_PRESERVE,
  RETRIEVE_STATUS,
  UNFREEZE_KEEPS_DATA,
  MODULE_PER_FILE,
  FLB_INCOMING_REF,
  MEMFD_SEALS,
  MEMFD_DIRTY,
  MEMFD_UNWIND,
  MEMFD_ACCT,
];
/** The locking series of May 2026 and its neighbours, backported to 7.1.y. */
export const LOCKING_SERIES: readonly Patch[] = [
  SERIALIZE_RWSEM,
  RETRIEVE_LOCK,
  DIRECTION_CHECK,
  NAME_CHECK,
  DESERIALIZE_LATCH,
];
const V7_3_PATCHES: readonly Patch[] = [
  ...V7_0_PATCHES,
  ...LOCKING_SERIES,
  KHO_SCRATCH_ALIGN,
  KHO_RADIX_DESTROY,
  KHO_EXTENDED_SCRATCH,
  FLB_OUTGOING_REF,
  FLB_RETRIEVE_STATUS,
  GET_NAME,
  FINISH_RESERVED,
  RETRIEVE_FD_GUARD,
  LUO_SER,
  SESSION_BLOCK_SET,
  FILE_BLOCK_SET,
];

export const V6_19 = released('v6.19', '6.19.0', []);
export const V7_0 = released('v7.0', '7.0.0', V7_0_PATCHES);
export const V7_1 = released('v7.1', '7.1.13', [...V7_0_PATCHES, ...LOCKING_SERIES]);
export const APRIL_V1_P1 = released('april-v1-p1', '7.0.0-april-v1-p1', [...V7_0_PATCHES, SESSION_BLOCKS]);
export const APRIL_V1 = released('april-v1', '7.0.0-april-v1', [
  ...V7_0_PATCHES,
  SESSION_BLOCKS,
  FILE_BLOCKS,
]);
export const V7_3 = released('v7.3', '7.3.4', V7_3_PATCHES);

export const REVISIONS: readonly Revision[] = [V6_19, V7_0, V7_1, APRIL_V1_P1, APRIL_V1, V7_3];

/**
 * A revision with patches added and taken away, by name; a string says in one line what is wrong. A patch brings what
 * it builds on, and takes along what builds on it. Adding what is there and taking away what is not changes nothing.
 */
export function withPatches(
  revision: Revision,
  add: readonly string[],
  remove: readonly string[],
): Revision | string {
  const patches = new Set(revision.patches);
  const added: Patch[] = [];
  const removed: Patch[] = [];
  for (const [names, found] of [
    [add, added],
    [remove, removed],
  ] as const) {
    for (const name of names) {
      const patch = patchByName(name);
      if (patch === undefined) {
        return `no patch is named '${name}'; there are ${PATCHES.map((known) => known.name).join(', ')}`;
      }
      found.push(patch);
    }
  }
  for (const patch of removed.flatMap(withDependents)) patches.delete(patch);
  for (const patch of added.flatMap(withRequired)) patches.add(patch);
  for (const patch of removed) {
    if (!patches.has(patch)) continue;
    const user = added.find((other) => withRequired(other).includes(patch)) as Patch;
    return user === patch
      ? `${patch.name} cannot be both added and taken away`
      : `${user.name} builds on ${patch.name}, which is to be taken away`;
  }
  return contradiction(patches) ?? variant(revision.base, patches);
}

export const NAME_INDEXES: readonly Parts['nameIndex'][] = [
  'list-scan',
  ...NAME_INDEX.map(([, index]) => index),
];

/** A revision with another name index. */
export function withNameIndex(revision: Revision, index: Parts['nameIndex']): Revision {
  const patches = new Set(revision.patches);
  for (const [patch, design] of NAME_INDEX) {
    patches.delete(patch);
    if (design === index) patches.add(patch);
  }
  return variant(revision.base, patches);
}

/** A revision by what `Revision.name` says, a variant included; a string says in one line what is wrong. */
export function parseRevision(name: string): Revision | string {
  const [base, ...changes] = name.split(' ');
  const revision = REVISIONS.find((known) => known.name === base);
  if (revision === undefined) {
    return `no revision is named '${base}'; there are ${REVISIONS.map((known) => known.name).join(', ')}`;
  }
  const signed = (sign: string): string[] =>
    changes.filter((change) => change.startsWith(sign)).map((change) => change.slice(1));
  const [add, remove] = [signed('+'), signed('-')];
  if (add.length + remove.length < changes.length) {
    return `'${name}': a change to ${base} is +PATCH or -PATCH, one space before each`;
  }
  return withPatches(revision, add, remove);
}

export function revisionByName(name: string): Revision | undefined {
  const revision = parseRevision(name);
  return typeof revision === 'string' ? undefined : revision;
}

function variant(base: string, patches: ReadonlySet<Patch>): Revision {
  const from = REVISIONS.find((known) => known.name === base);
  assert(from !== undefined, `${base} is a revision`);
  const changes = [
    ...PATCHES.filter((patch) => patches.has(patch) && !from.patches.includes(patch)).map(
      ({ name }) => `+${name}`,
    ),
    ...from.patches.filter((patch) => !patches.has(patch)).map(({ name }) => `-${name}`),
  ];
  return {
    ...from,
    name: [base, ...changes].join(' '),
    patches: PATCHES.filter((patch) => patches.has(patch)),
    ...designOf(patches),
  };
}

/** Why a set of patches makes no kernel. */
function contradiction(patches: ReadonlySet<Patch>): string | undefined {
  for (const patch of patches) {
    for (const needed of patch.requires) {
      if (!patches.has(needed)) return `${patch.name} builds on ${needed.name}, which is not there`;
    }
    for (const other of patch.excludes) {
      if (patches.has(other)) {
        return `${patch.name} and ${other.name} are two designs for one thing: take one away`;
      }
    }
  }
  return undefined;
}
