/*
 * Leaks: what is gone must have left nothing behind.
 *
 *   at quiescence    luo_session objects == sessions on the lists, filp objects == files that are open or in a
 *                    session, a dentry each;
 *                    the incoming list is what the previous kernel still owes; what is passing is not there
 *   at the end       when everything is finished and closed, what is left is what the real system keeps (owners.ts):
 *                    of this kernel the roots, the store's blocks and the tracker, of the one before one page per root
 *   from one         free memory after a handover boot, and at the end of generations that did the same, is the same to
 *   generation       the page. Tracker nodes are left out: how many there are depends on where blocks happen to lie.
 *   to the next
 *
 * Everything finished and closed means: no session and no open file exists and nobody stands in a call. A generation
 * that ends otherwise is not judged.
 */
import type { System } from '../boot/boot.ts';
import { DOUBLE_PRESERVE, KHO_RADIX_DESTROY } from '../kernel/patches.ts';
import type { FileHandle, Vfs } from '../kernel/vfs.ts';
import type { LuoFiles } from '../luo/file.ts';
import { type LuoFile, NO_FILE } from '../luo/file_table.ts';
import type { Process } from '../user/process.ts';
import { type Census, freePages, Tally } from './census.ts';
import { isPublished, readPublishedRoot } from './chain.ts';
import { type TallyByOwner, talliesByOwner, tallyOf } from './frames.ts';
import type { Crossing } from './handover.ts';
import type { SessionModel } from './model.ts';
import { type Kept, OWNER_RULES, ruleOf } from './owners.ts';
import type { Violations } from './violation.ts';

/** No object without someone who holds it; at quiescence, no task having died. */
export function checkObjects(
  { kernel, luo, vfs }: System,
  processes: Iterable<Process>,
  model: SessionModel,
  violations: Violations,
): void {
  const report = (text: string): void => violations.add('leak', text);
  const { table, outgoing, incoming, incomingHead } = luo.sessions;
  const listed = outgoing.count + incoming.count;
  if (table.slab.live !== listed)
    report(`${table.slab.live} luo_session objects live, ${listed} sessions are listed`);
  const held = heldFiles(vfs, luo.files, processes);
  if (vfs.open !== held) report(`${vfs.open} filp objects live, ${held} are open or in a session`);
  checkPreserved(luo.files, report);
  const dentries = kernel.slabs.find(({ name }) => name === 'dentry')?.live ?? 0;
  if (dentries !== vfs.open) report(`${dentries} dentry objects live for ${vfs.open} files`);
  // A name whose fate the jump left open may be there or not; sessions that were lost openly are nobody's.
  const known =
    incoming.active && incomingHead === 0 && model.lost === undefined && model.uncertain.size === 0;
  if (known && incoming.count !== model.expected) {
    report(
      `${incoming.count} sessions are on the incoming list, ${model.expected} were not finished and closed`,
    );
  }
}

/** luo_preserved_files has exactly the files that are in someone's hands: none twice, and what is gone is out of it. */
function checkPreserved({ table, preserved, kernel }: LuoFiles, report: Report): void {
  const ids = new Set<number>();
  let held = 0;
  for (let index = 0; index < table.slab.indexEnd; index++) {
    const file = table.slab.handleAt(index) as LuoFile;
    if (file === NO_FILE || table.file(file) === 0) continue;
    held++;
    ids.add(table.id(file));
  }
  if (!kernel.has(DOUBLE_PRESERVE)) return;
  if (ids.size !== held || preserved.count !== held) {
    report(
      `${preserved.count} files are in the table of preserved files, ${held} are held under ${ids.size} ids`,
    );
  }
}

/**
 * Files that descriptors lead to or LUO keeps for a session: to one of several references perhaps several. A file that is
 * gone counts, too.
 */
function heldFiles(vfs: Vfs, { table }: LuoFiles, processes: Iterable<Process>): number {
  let alone = 0;
  const shared = new Set<number>();
  const hold = (file: FileHandle): void => {
    if (vfs.isShared(file)) shared.add(file);
    else alone++;
  };
  for (const process of processes) process.eachFile(hold);
  for (let index = 0; index < table.slab.indexEnd; index++) {
    const file = table.slab.handleAt(index) as LuoFile;
    if (file !== NO_FILE && table.file(file) !== 0) hold(table.file(file) as FileHandle);
  }
  return alone + shared.size;
}

/** What is given back at once is not there when nobody stands in a call. */
export function checkTransient(tallies: TallyByOwner, violations: Violations): void {
  for (const { owner, kept, why } of OWNER_RULES) {
    const { blocks } = tallies.get(owner) ?? new Tally();
    if (kept === 'none' && blocks > 0)
      violations.add('leak', `${blocks} blocks of "${owner}" are there: ${why}`);
  }
}

/** Whether everything is finished and closed. */
export const isFinished = ({ kernel, luo, vfs }: System): boolean =>
  kernel.state === 'running' && vfs.open === 0 && luo.sessions.table.slab.live === 0;

/** What is left when everything is finished and closed; `crossing` as in handover.ts. */
export function checkLeft(
  system: System,
  census: Census,
  crossing: Crossing | undefined,
  violations: Violations,
): void {
  const report = (text: string): void => violations.add('leak', text);
  const tallies = talliesByOwner(system.kernel, census);
  const published = hasTestData(system);
  for (const [owner, { blocks }] of tallies) {
    const rule = ruleOf(owner);
    const most = rule === undefined ? blocks : mostKept(rule.kept, system, published);
    if (blocks > most) report(`${blocks} blocks of "${owner}" are left, ${most} may be: ${rule?.why}`);
  }
  for (const { owner, kept, in: isIn } of OWNER_RULES) {
    if (isIn !== undefined && !isIn(system.kernel.revision)) continue;
    const least = leastKept(kept, system);
    const { blocks } = tallies.get(owner) ?? new Tally();
    if (blocks < least) report(`${blocks} blocks of "${owner}" are left, ${least} should be`);
  }
  if (crossing !== undefined && system.kernel.bootKind === 'handover') {
    checkStillReserved(system, census, crossing, report);
  }
}

type Report = (text: string) => void;

/** Whether the test module of this kernel has something for the next. */
function hasTestData(system: System): boolean {
  if (system.kho.out.tracker === undefined) return false;
  const root = readPublishedRoot(system);
  return typeof root === 'object' && root.subtrees.has('kho_test');
}

function mostKept(kept: Kept, { kernel, kho, luo }: System, published: boolean): number {
  if (kept === 'one') return 1;
  if (kept === 'store') return luo.sessions.store.blocks;
  if (kept === 'tracker') {
    // A kho_init that fails gives all nodes of a radix tree back since v7.3, before only the root.
    return kho.out.tracker?.nodes().length ?? (kernel.has(KHO_RADIX_DESTROY) ? 0 : Number.MAX_SAFE_INTEGER);
  }
  if (kept === 'blocks') {
    const { store, incomingHead } = luo.sessions;
    return store.blocks > 0 || incomingHead !== 0 ? Number.MAX_SAFE_INTEGER : 0;
  }
  if (kept === 'records') return Number.MAX_SAFE_INTEGER;
  return kept === 'published' && published ? Number.MAX_SAFE_INTEGER : 0;
}

/** A part that did not come up may have left some of its pages behind, as the real one does, or none. */
function leastKept(kept: Kept, { kho, luo }: System): number {
  const up = kho.out.tracker !== undefined && luo.enabled;
  if (kept === 'one' && up) return 1;
  return kept === 'store' && up ? luo.sessions.store.blocks : 0;
}

/** Stamps that nobody will ever redeem: those of the roots, and of what nobody asked for. */
function checkStillReserved(
  { kernel, luo }: System,
  { stamped, someStamped }: Census,
  { all, owners, published }: Crossing,
  report: Report,
): void {
  if (!kernel.options.kho) {
    if (!stamped.same(all)) report(`${stamped} are still reserved, with KHO off all ${all} should be`);
    return;
  }
  const kept = tallyOf(owners, ({ outlivesPages }) => outlivesPages > 0);
  // The device was never opened, deserializing failed, or there is no way to them: the setup of LUO failed halfway.
  if (luo.sessions.incomingHead !== 0 || !published) {
    kept.addAll(owners.get('luo session block') ?? new Tally());
    kept.addAll(tallyOf(owners, (rule) => rule.kept === 'files'));
  }
  const unclaimed = tallyOf(owners, (rule) => rule.kept === 'published');
  unclaimed.addAll(kept);
  if (stamped.same(kept) || stamped.same(unclaimed)) return;
  report(
    `${stamped} of the previous kernel are still reserved, ${kept} should be; among them ${someStamped.join(', ')}`,
  );
}

interface Point {
  /** What must be equal for the pages to be comparable. */
  readonly key: string;
  readonly pages: number;
}

/** Memory from one generation of a run to the next. */
export class Growth {
  readonly #violations: Violations;
  #booted: Point | undefined;
  #ended: Point | undefined;
  /** What the running kernel was handed. */
  #incoming: Crossing | undefined;

  constructor(violations: Violations) {
    this.#violations = violations;
  }

  /** A kernel has booted. */
  booted(system: System, census: Census, crossing: Crossing | undefined): void {
    this.#incoming = crossing;
    const pages = comparable(system, census) + census.stamped.pages;
    const point = isComparable(system) ? { key: kernelKey(system), pages } : undefined;
    this.#compare(this.#booted, point, 'after boot, with what was handed over,');
    this.#booted = point;
  }

  /** A kernel is at its end. `deeds`: what was done in it and how it went; undefined where that cannot be compared. */
  ended(system: System, census: Census, deeds: string | undefined): void {
    const { blocks, pages } = this.#incoming?.all ?? new Tally();
    const point =
      deeds === undefined || !isComparable(system)
        ? undefined
        : {
            key: `${blocks} ${pages} ${kernelKey(system)} ${deeds}`,
            pages: comparable(system, census),
          };
    this.#compare(this.#ended, point, 'at the end, having done the same,');
    this.#ended = point;
  }

  #compare(before: Point | undefined, now: Point | undefined, when: string): void {
    if (before === undefined || now === undefined || before.key !== now.key || before.pages === now.pages)
      return;
    this.#violations.add(
      'leak',
      `${now.pages} pages are free ${when} ${before.pages} were one generation ago`,
    );
  }
}

/** Kernels that get on with the same memory: the same revision, the same command line. */
const kernelKey = ({ kernel: { revision, options } }: System): string =>
  `${revision.name} ${JSON.stringify(options)}`;

/** Handover boots in which everything came up start from the same memory. */
const isComparable = (system: System): boolean =>
  system.kernel.bootKind === 'handover' && isPublished(system);

/**
 * Free pages, with those of the tracker, which come and go with the places of blocks, and with those of records of
 * what was handed over.
 */
function comparable({ kernel }: System, census: Census): number {
  const passing: readonly Kept[] = ['tracker', 'records', 'blocks'];
  const tallies = talliesByOwner(kernel, census);
  return freePages(census) + tallyOf(tallies, ({ kept }) => passing.includes(kept)).pages;
}
