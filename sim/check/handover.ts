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
import { isPageAligned, type Order, type Phys, pfnOf } from '../base/units.ts';
import type { System } from '../boot/boot.ts';
import {
  KEXEC_METADATA_NODE,
  KHO_SCRATCH,
  KHO_VMALLOC_CHUNK,
  KHO_VMALLOC_ENTRY,
  KHO_VMALLOC_SIZE,
} from '../kho/abi.ts';
import { getProperty, subnodeOffset } from '../kho/fdt.ts';
import { readKexecMetadata } from '../kho/metadata.ts';
import type { Subtree } from '../kho/root_fdt.ts';
import { walkIncoming } from '../kho/trackers.ts';
import { vmallocFromBytes } from '../kho/vmalloc.ts';
import { LUO_FILE_SET_SER, LUO_FLB_HEADER_SER, LUO_FLB_PAGES, LUO_SESSION_SER } from '../luo/abi.ts';
import { NAME_WORDS, nameText } from '../luo/name.ts';
import { NO_SESSION, type SessionHandle, type SessionTable } from '../luo/session_table.ts';
import type { Ram } from '../machine/ram.ts';
import { type Census, Tally } from './census.ts';
import { isPublished, type PublishedRoot, readChain, readPublishedLuo, readPublishedRoot } from './chain.ts';
import { following, tallyOf } from './frames.ts';
import { TAKEN_EARLY } from './owners.ts';
import { type StoreShape, shapeOf } from './store_shape.ts';
import type { Violations } from './violation.ts';

/** Where the tree of lib/test_kho.c names what it preserved. */
const KHO_TEST = { subtree: 'kho_test', node: 'data', folios: 'folios_info' } as const;

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
    if (system.kho.out.tracker === undefined) return;
    const root = readPublishedRoot(system);
    if (typeof root === 'string') {
      report(root);
      return;
    }
    if (root.mapPhys === 0) return;
    crossing = readCrossing(system, root.mapPhys);
    checkRoot(system, root, report);
    if (isPublished(system)) checkLuo(system, root, report);
    checkKhoTest(system, root.subtrees.get(KHO_TEST.subtree), report);
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
  const early = kernel.revision.parts.luoRoot === 'luo_ser';
  const left = early ? tallyOf(crossing.owners, ({ owner }) => owner !== TAKEN_EARLY) : crossing.all;
  if (!stamped.same(left)) violations.add('stamp', `${stamped} are stamped, ${left} were preserved`);
}

type Report = (text: string) => void;

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

/** An address that the next kernel will follow must be that of a preserved block of just this order. */
function checkAddress(
  { kho }: System,
  what: string,
  address: number,
  order: number,
  report: Report,
): boolean {
  const good =
    isPageAligned(address) && kho.out.tracker?.has(pfnOf(address as Phys), order as Order) === true;
  if (!good) report(`${what} is 0x${address.toString(16)}: no preserved block of order ${order}`);
  return good;
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
    if (pages !== LUO_FLB_PAGES || count !== 0) report(`the FLB page says ${pages} pages, ${count} in use`);
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

/** Slot i is session i: its name, and no files, which nothing can hold yet. */
function checkSlots(
  { kernel, luo }: System,
  chain: readonly Phys[],
  shape: StoreShape,
  report: Report,
): void {
  const { perBlock, headerBytes } = shape;
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
    for (let slot = block + headerBytes; slot < block + headerBytes + count * SLOT.size; slot += SLOT.size) {
      const wrong = slotFault(ram, slot, table, session);
      if (wrong !== undefined) {
        report(`slot ${sum} of ${outgoing.count}: ${wrong}`);
        return;
      }
      session = table.next(session);
      sum++;
    }
  }
  if (sum !== outgoing.count) report(`the blocks count ${sum} sessions, the list has ${outgoing.count}`);
}

/** What stands in a slot, and the name of the session that should. */
const stored = new Int32Array(SLOT.size / 4);
const own = new Int32Array(NAME_WORDS);

/** Why a slot is not that of a session; undefined where it is. Names are compared up to the NUL, as the reader will. */
function slotFault(ram: Ram, slot: number, table: SessionTable, session: SessionHandle): string | undefined {
  if (session === NO_SESSION) return `"${storedName(ram, slot)}" is there, no session is left on the list`;
  ram.loadWords(slot, stored, 0, stored.length);
  table.loadName(session, own, 0);
  for (let k = 0; k < NAME_WORDS; k++) {
    const word = own[k] as number;
    if (stored[SLOT.at.name / 4 + k] !== word) {
      return `"${storedName(ram, slot)}" is there, the list has "${nameText(own, 0)}"`;
    }
    if (word >>> 24 === 0) break;
  }
  const files = SLOT.at.file_set_ser / 4;
  for (let k = 0; k < LUO_FILE_SET_SER.size / 4; k++) {
    if (stored[files + k] !== 0) return `"${nameText(own, 0)}" has files there, and holds none`;
  }
  return undefined;
}

function storedName(ram: Ram, slot: number): string {
  const words = new Int32Array(NAME_WORDS);
  ram.loadWords(slot + SLOT.at.name, words, 0, NAME_WORDS);
  return nameText(words, 0);
}

/** lib/test_kho.c: its tree, the chunks of its list of folios, and the folios. */
function checkKhoTest(system: System, subtree: Subtree | undefined, report: Report): void {
  if (subtree === undefined) return;
  const { ram } = system.kernel.machine;
  const fdt = ram.loadBytes(subtree.phys, PAGE_SIZE);
  const data = subnodeOffset(fdt, 0, KHO_TEST.node);
  const list = vmallocFromBytes(getProperty(fdt, data, KHO_TEST.folios) ?? new Uint8Array());
  if (list === undefined) {
    report('kho_test has no list of folios');
    return;
  }
  let pages = 0;
  for (let chunk: number = list.first; chunk !== 0; chunk = ram.load64(chunk + KHO_VMALLOC_CHUNK.at.next)) {
    if (!checkAddress(system, 'a chunk of kho_test', chunk, 0, report)) return;
    for (let i = 0; i < KHO_VMALLOC_SIZE; i++) {
      const page = ram.load64(chunk + KHO_VMALLOC_CHUNK.size + i * KHO_VMALLOC_ENTRY.size);
      if (page === 0) break;
      if (++pages > list.totalPages || !checkAddress(system, 'a page of kho_test', page, 0, report)) break;
      checkFolios(system, page, report);
    }
    if (pages > list.totalPages) break;
  }
  if (pages !== list.totalPages) report(`the list of kho_test has ${pages} pages of ${list.totalPages}`);
}

/** Entries are address | order; the list is zero behind the last. */
function checkFolios(system: System, page: number, report: Report): void {
  for (let at = page; at < page + PAGE_SIZE; at += 8) {
    const entry = system.kernel.machine.ram.load64(at);
    if (entry === 0) return;
    checkAddress(system, 'a folio of kho_test', entry - (entry % PAGE_SIZE), entry % PAGE_SIZE, report);
  }
}
