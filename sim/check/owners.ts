/*
 * Who may own frames, and what becomes of them: the page owners of every revision, as far as they are modelled.
 * Sources: the lifetimes of preserved regions in 7.1.13 and 7.3.4.
 *
 *   preserved    each block crosses: at quiescence it has its key in the tracker
 *   kept         blocks of this kernel that are still there when everything is finished and closed
 *   outlives     blocks that stay reserved, unused, in the kernel after the one that made them
 *
 * The kept and the outliving pages belong to one kernel each and are preserved by no later one, so their number is the
 * same in every generation.
 */
import { LONG_LIVED } from '../boot/shatter.ts';
import type { Revision } from '../kernel/revisions.ts';

/** How many blocks an owner has left in its own kernel when everything is finished and closed. */
export type Kept =
  | 'none'
  /** One, if the part of the kernel that makes it came up. */
  | 'one'
  /** As many as the session store has blocks. */
  | 'store'
  /** As many as the tracker has nodes. */
  | 'tracker'
  /** For what is remembered beside the sessions, any number: slabs, tables, pages that others keep. */
  | 'records'
  /** Slab pages for the blocks of the store, and of a chain that nobody has deserialized yet. */
  | 'blocks'
  /** Whatever the last `kho-test save` of this kernel published, none if it published nothing. */
  | 'published'
  /** What files need while they are open or preserved. */
  | 'files';

/** What the next kernel takes over before anything can be checked: struct luo_ser, at early init. */
export const TAKEN_EARLY = 'luo ser';

export interface OwnerRule {
  /** Name of the owner; with a trailing * of all that begin so. */
  readonly owner: string;
  readonly preserved: boolean;
  readonly kept: Kept;
  /** Pages that the next kernel never gets back. */
  readonly outlivesPages: number;
  readonly why: string;
  /** Whether a revision has such blocks at all; every one if not given. */
  readonly in?: (revision: Revision) => boolean;
}

function rule(
  owner: string,
  preserved: boolean,
  kept: Kept,
  outlivesPages: number,
  why: string,
  revisions?: (revision: Revision) => boolean,
): OwnerRule {
  return {
    owner,
    preserved,
    kept,
    outlivesPages,
    why,
    ...(revisions === undefined ? {} : { in: revisions }),
  };
}

const withMetadata = ({ kexecMetadata }: Revision): boolean => kexecMetadata;
const withFdt = ({ parts }: Revision): boolean => parts.luoRoot === 'fdt';
const withTable = ({ parts }: Revision): boolean =>
  parts.nameIndex === 'hash' || parts.nameIndex === 'sort-at-deserialize';
const withSer = ({ parts }: Revision): boolean => parts.luoRoot === 'luo_ser';

/** Who may own an allocated block at quiescence. */
export const OWNER_RULES: readonly OwnerRule[] = [
  rule('kho root fdt', true, 'one', 1, 'never freed; the next kernel reads it where it lies'),
  rule('kexec-metadata', true, 'one', 1, 'never freed; the next kernel copies and leaves it', withMetadata),
  rule('luo fdt', true, 'one', 1, 'mapped for good by the next kernel (up to v7.1)', withFdt),
  rule('luo flb page', true, 'one', 1, 'never freed; mapped by the next kernel, not restored'),
  rule('luo session block', true, 'store', 0, 'kept for reuse; freed by deserialization'),
  rule('luo file block', true, 'files', 0, 'gone with the files of its session; freed by finish'),
  rule('memfd_luo_ser', true, 'files', 0, 'the record of a preserved memfd; freed by retrieve or finish'),
  rule('memfd folios_ser', true, 'files', 0, 'the list of its folios; freed by retrieve or finish'),
  rule('memfd vmalloc chunk', true, 'files', 0, 'lists the pages of that list; freed when it is restored'),
  rule('memfd folio', true, 'files', 0, 'pinned until it is not preserved any more; retrieve takes it over'),
  rule('shmem', false, 'files', 0, 'gone with its file'),
  rule('luo ser', true, 'one', 0, 'the next kernel frees it once it has read it (v7.3)', withSer),
  rule('kho radix node', false, 'tracker', 0, 'nodes are never freed by del, and not preserved themselves'),
  rule('kho bitmap', false, 'tracker', 0, 'bitmaps are never freed, and not preserved themselves (v6.19)'),
  rule('kho bitmap list', false, 'tracker', 0, 'replaced by the next finalize, not preserved (v6.19)'),
  rule('kho_test', true, 'published', 0, 'kept by the module; the next kernel restores and frees it'),
  rule('kho vmalloc chunk', true, 'published', 0, 'lists a preserved area; freed when that is restored'),
  rule('kho restored', false, 'none', 0, 'kho_restore_free gives it back at once'),
  rule('slab:kho_mem_phys', false, 'records', 0, 'the orders that bitmaps were ever needed for (v6.19)'),
  rule('slab:radix_tree_node', false, 'records', 0, 'nodes of the sets of bitmaps (v6.19)'),
  rule('session name index', false, 'records', 0, 'a table of names lives as long as its kernel', withTable),
  rule(LONG_LIVED, false, 'records', 0, 'memory shattered on purpose; nobody gives these pages back'),
  rule('slab:kho_block', false, 'blocks', 0, 'one for each block of a set (v7.3)'),
  rule('slab:*', false, 'none', 0, 'an empty slab gives its frames back'),
];

const EXACT = new Map(OWNER_RULES.map((r) => [r.owner, r]));
const PREFIXES = OWNER_RULES.filter(({ owner }) => owner.endsWith('*'));

export function ruleOf(owner: string): OwnerRule | undefined {
  return EXACT.get(owner) ?? PREFIXES.find((r) => owner.startsWith(r.owner.slice(0, -1)));
}

/** What stays by design, for people: the pages of the kernel before that a handover boot never gets back. */
export const KEPT_FOR_EVER: readonly OwnerRule[] = OWNER_RULES.filter(
  ({ outlivesPages }) => outlivesPages > 0,
);
