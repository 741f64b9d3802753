/*
 * What crosses: the laws at the jump, and of the kernel after it.
 *
 *   handover   slot i of the chain is session i of the list; blocks are filled in order; counts add up; every address
 *              stored is that of a preserved block of the order that its reader takes it for; numbers count on
 *   stamp      the next kernel has stamped exactly the blocks that crossed, before it restores any
 *
 * What was preserved at the jump is remembered as a Crossing: plain data, the same size for one block and a million.
 */
import { PAGE_SIZE } from '../base/limits.ts';
import { fromWords, hex, type Phys, pfnOf } from '../base/units.ts';
import type { System } from '../boot/boot.ts';
import { KEXEC_METADATA_NODE, KHO_SCRATCH } from '../kho/abi.ts';
import { readKexecMetadata } from '../kho/metadata.ts';
import type { Subtree } from '../kho/root_fdt.ts';
import { walkIncoming } from '../kho/trackers.ts';
import { LUO_FILE_SET_SER, LUO_FLB_HEADER_SER, LUO_FLB_PAGES, LUO_SESSION_SER } from '../luo/abi.ts';
import { NAME_WORDS, nameText } from '../luo/name.ts';
import { NO_SESSION, OTHER_NAME, type SessionHandle, type SessionTable } from '../luo/session_table.ts';
import { PIECE_WORDS } from '../machine/pool.ts';
import type { Ram } from '../machine/ram.ts';
import { type Census, Tally } from './census.ts';
import { isPublished, type PublishedRoot, readChain, readPublishedLuo, readPublishedRoot } from './chain.ts';
import { checkAddress, checkFiles, type Report } from './file_handover.ts';
import { following } from './frames.ts';
import { TAKEN_EARLY } from './owners.ts';
import { type StoreShape, shapeOf } from './store_shape.ts';
import { mapView } from './tracker_view.ts';
import type { Violations } from './violation.ts';
import { Walk } from './walk.ts';
import { KHO_TEST, khoTestPieces } from './walk_kho.ts';

/** What a kernel preserved, as the tree that it published says at the jump. */
export interface Crossing {
  readonly all: Tally;
  /** By the name of the owner that preserved it. */
  readonly owners: ReadonlyMap<string, Tally>;
  /** Whether sessions can be found: LUO came up. */
  readonly published: boolean;
}

/** The law of the jump, and what crosses; undefined where the next kernel finds nothing. */
export function checkHandover(system: System, violations: Violations): Crossing | undefined {
  let crossing: Crossing | undefined;
  const report = (text: string): void => violations.add('handover', text);
  following(violations, 'handover', () => {
    if (system.kho.out.tracker === undefined || !system.kexec.handsOver) return;
    const root = readPublishedRoot(system);
    if (typeof root === 'string') {
      report(root);
      return;
    }
    if (root.mapPhys === 0) return;
    crossing = readCrossing(system, root.mapPhys);
    checkRoot(system, root, report);
    if (isPublished(system)) checkLuo(system, root, report);
    checkKhoTest(system, root, report);
  });
  return crossing;
}

/** After a handover boot, before anything is restored. `crossing`: what the previous kernel preserved, if known. */
export function checkStamps(
  { kernel }: System,
  { stamped, someStamped }: Census,
  crossing: Crossing | undefined,
  violations: Violations,
): void {
  if (kernel.bootKind !== 'handover') {
    if (stamped.blocks > 0) violations.add('stamp', `a cold boot has stamped ${someStamped[0]}`);
    return;
  }
  if (crossing === undefined) return;
  // With KHO off nobody looks what was handed over.
  const taken = kernel.options.kho ? crossing.owners.get(TAKEN_EARLY) : undefined;
  const left = crossing.all.without(taken ?? new Tally());
  if (!stamped.same(left)) violations.add('stamp', `${stamped} are stamped, ${left} were preserved`);
}

function readCrossing(system: System, mapPhys: Phys): Crossing {
  const { frames, machine } = system.kernel;
  const all = new Tally();
  const owners = new Map<string, Tally>();
  walkIncoming(system.kernel, machine.ram, mapPhys, (address, order) => {
    const pfn = pfnOf(address);
    all.add(pfn, order);
    if (!frames.online(pfn) || !frames.isAllocatedHead(pfn)) return 0;
    const owner = frames.ownerName(frames.ownerOf(pfn));
    const tally = owners.get(owner) ?? new Tally();
    tally.add(pfn, order);
    owners.set(owner, tally);
    return 0;
  });
  return { all, owners, published: isPublished(system) };
}

function checkRoot(system: System, { mapPhys, subtrees }: PublishedRoot, report: Report): void {
  const { kernel, kho } = system;
  checkAddress(system, 'the KHO root', kho.outgoingFdtPhys, 0, report);
  if (mapPhys !== kho.out.tracker?.mapPhys) report('preserved-memory-map is not the live tracker');
  for (const [name, { phys, bytes }] of subtrees) {
    checkAddress(system, `subtree "${name}"`, phys, 0, report);
    if (bytes > PAGE_SIZE) report(`subtree "${name}" has ${bytes} bytes in a page`);
  }
  if (kernel.revision.kexecMetadata) checkMetadata(system, subtrees.get(KEXEC_METADATA_NODE), report);
  checkPlan(system, report);
}

function checkMetadata({ kernel, kho }: System, metadata: Subtree | undefined, report: Report): void {
  const { ram } = kernel.machine;
  const read = metadata === undefined ? 'no kexec-metadata' : readKexecMetadata(ram, metadata);
  if (typeof read === 'string') {
    report(read);
  } else {
    const count = (kho.incomingMetadata?.kexecCount ?? 0) + 1;
    if (read.kexecCount !== count)
      report(`kexec-metadata counts ${read.kexecCount} jumps, this is number ${count}`);
    if (read.previousRelease !== kernel.revision.release) report('kexec-metadata names another release');
  }
}

function checkPlan({ kho, kexec }: System, report: Report): void {
  const { fdtPhys, scratchPhys, segments } = kexec.plan();
  if (fdtPhys !== kho.outgoingFdtPhys) report('the KHO root passed on is not the live one');
  const array = segments.find(({ phys }) => phys === scratchPhys)?.contents;
  for (const [i, { start, bytes }] of kho.scratch.entries()) {
    const entry = i * KHO_SCRATCH.size;
    const same = array !== undefined && u64At(array, entry) === start && u64At(array, entry + 8) === bytes;
    if (!same) report(`scratch area ${i} is passed on wrongly`);
  }
}

const u64At = (bytes: Uint8Array, at: number): number => {
  let value = 0;
  for (let i = 7; i >= 0; i--) value = value * 256 + (bytes[at + i] ?? 0);
  return value;
};

function checkLuo(system: System, root: PublishedRoot, report: Report): void {
  const { ram } = system.kernel.machine;
  const luo = readPublishedLuo(system, root);
  if (typeof luo === 'string') {
    report(luo);
    return;
  }
  const number = system.luo.liveupdateNum + 1;
  if (luo.number !== number) report(`liveupdate-number is ${luo.number}, this is update ${number}`);
  if (checkAddress(system, 'luo-flb-header', luo.flbHeader, 0, report)) {
    const pages = ram.load64(luo.flbHeader + LUO_FLB_HEADER_SER.at.pgcnt);
    const count = ram.load64(luo.flbHeader + LUO_FLB_HEADER_SER.at.count);
    const inUse = system.luo.files.flbs.inUse.length;
    if (pages !== LUO_FLB_PAGES || count !== inUse) {
      report(`the FLB page says ${pages} pages, ${count} in use, ${inUse} are`);
    }
  }
  const shape = shapeOf(system.kernel.revision.parts.sessionStore);
  const chain = readChain(ram, luo.sessionHeader, shape);
  if (typeof chain === 'string') {
    report(chain);
    return;
  }
  for (const [i, block] of chain.entries()) {
    if (!checkAddress(system, `session block ${i}`, block, shape.order, report)) return;
  }
  checkSlots(system, chain, shape, report);
}

const SLOT = LUO_SESSION_SER;
const NAME = SLOT.at.name / 4;
const SLOT_WORDS = SLOT.size / 4;
const FILES = (SLOT.at.file_set_ser + LUO_FILE_SET_SER.at.files) / 4;
const COUNT = (SLOT.at.file_set_ser + LUO_FILE_SET_SER.at.count) / 4;

/** Slot i is session i: its name, and its files. */
function checkSlots(system: System, chain: readonly Phys[], shape: StoreShape, report: Report): void {
  const { perBlock, headerBytes } = shape;
  const { kernel, luo } = system;
  const { ram } = kernel.machine;
  const { table, outgoing } = luo.sessions;
  let session = outgoing.head;
  let sum = 0;
  let partial = -1;
  for (const [b, block] of chain.entries()) {
    const count = ram.load64(block + shape.countAt);
    if (count > perBlock) {
      report(`session block ${b} counts ${count} of ${perBlock}`);
      return;
    }
    if (count === 0 && !shape.emptyBlocks)
      report(`session block ${b} is empty: the next kernel refuses the chain`);
    if (count > 0 && partial !== -1)
      report(`session block ${b} has sessions behind block ${partial}, which is not full`);
    if (count < perBlock && partial === -1) partial = b;
    for (let slot = 0; slot < count; ) {
      const address = block + headerBytes + slot * SLOT.size;
      const words = ram.view(address, SLOT_WORDS);
      // As many as lie in one place are read there.
      const inPlace = words.length === PIECE_WORDS && ram.has(address, (count - slot) * SLOT.size);
      const last = slot + (inPlace ? Math.floor((PIECE_WORDS - ram.viewAt) / SLOT_WORDS) : 1);
      for (let at = ram.viewAt; slot < last && slot < count; slot++, at += SLOT_WORDS) {
        // Names are compared up to the NUL, as the reader will.
        const next = session === NO_SESSION ? OTHER_NAME : table.nextIfNamed(session, words, at + NAME);
        if (next === OTHER_NAME) {
          const found = slotFault(ram, block + headerBytes + slot * SLOT.size, table, session);
          report(`slot ${sum} of ${outgoing.count}: ${found}`);
          return;
        }
        if (!checkSlotFiles(system, session, words, at, report)) return;
        session = next;
        sum++;
      }
    }
  }
  if (sum !== outgoing.count) report(`the blocks count ${sum} sessions, the list has ${outgoing.count}`);
}

/** The files of the slot whose words begin at `at`, and of its session. */
const checkSlotFiles = (
  system: System,
  session: SessionHandle,
  words: Int32Array,
  at: number,
  report: Report,
): boolean => {
  const head = words[at + FILES] as number;
  const headHigh = words[at + FILES + 1] as number;
  const count = words[at + COUNT] as number;
  const countHigh = words[at + COUNT + 1] as number;
  // Nearly all have none.
  const isBlank = (head | headHigh | count | countHigh) === 0;
  if (isBlank && system.luo.files.sets.isUntouched(session)) return true;
  return checkFiles(system, session, fromWords(head, headHigh), fromWords(count, countHigh), report);
};

/** In which way a slot is not that of a session. */
function slotFault(ram: Ram, slot: number, table: SessionTable, session: SessionHandle): string {
  const stored = nameText(ram.view(slot + SLOT.at.name, NAME_WORDS), ram.viewAt);
  return session === NO_SESSION
    ? `"${stored}" is there, no session is left on the list`
    : `"${stored}" is there, the list has "${table.name(session)}"`;
}

/** lib/test_kho.c: its tree, the list of its folios, and the folios. */
function checkKhoTest({ kernel }: System, { mapPhys, subtrees }: PublishedRoot, report: Report): void {
  const subtree = subtrees.get(KHO_TEST.subtree);
  if (subtree === undefined) return;
  const walk = new Walk(kernel.machine.ram);
  walk.tracker = mapView(walk.memory, mapPhys, kernel.revision.parts.tracker === 'bitmaps');
  for (const { path, phys, problems } of khoTestPieces(walk, subtree)) {
    for (const problem of problems) report(`${path} at ${hex(phys)} ${problem}`);
  }
}
