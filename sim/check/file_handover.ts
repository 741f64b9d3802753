/*
 * What crosses of files, read at the jump as the next kernel will read it: the file set in a session's slot, its regions
 * and entries, and what a memfd's entry leads to.
 *
 *   file_set_ser {files, count} --> regions --> luo_file_ser {compatible, data, token}
 *                                                     memfd: data --> record --> chunks --> list --> folios
 *
 * Every address must be that of a preserved block of the order that its reader takes it for; entry i is file i.
 */
import { PAGE_SIZE } from '../base/limits.ts';
import { isPageAligned, type Order, type Pfn, type Phys, pfnOf, physOf } from '../base/units.ts';
import type { System } from '../boot/boot.ts';
import {
  MEMFD_FOLIO_PFN_HIGH,
  MEMFD_LUO_FOLIO_SER,
  MEMFD_LUO_SER,
  MEMFD_LUO_SER_V1,
  MEMFD_V1_COMPATIBLE,
} from '../files/memfd_abi.ts';
import { loadVmalloc, vmallocBlocks } from '../kho/vmalloc.ts';
import { LUO_FILE_SER } from '../luo/abi.ts';
import { type LuoFile, NO_FILE } from '../luo/file_table.ts';
import type { SessionHandle } from '../luo/session_table.ts';
import { fileShapeOf } from './store_shape.ts';

export type Report = (text: string) => void;

const ENTRY = LUO_FILE_SER;
const FOLIO = MEMFD_LUO_FOLIO_SER;

/** An address that the next kernel will follow must be that of a preserved block of just this order. */
export function checkAddress(
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

/** Whether a file set of `count` files from the region at `head` on is that of the session. */
export function checkFiles(
  system: System,
  session: SessionHandle,
  head: number,
  count: number,
  report: Report,
): boolean {
  const { kernel, luo } = system;
  const { sets, table } = luo.files;
  const { ram } = kernel.machine;
  let region = head;
  if (count === 0 && region === 0 && sets.listed(session) === 0) return true;
  const name = luo.sessions.table.name(session);
  if (count !== sets.listed(session) || (count === 0 && region !== 0)) {
    report(`"${name}" has files there: ${count}; and holds ${sets.listed(session)}`);
    return false;
  }
  const shape = fileShapeOf(kernel.revision.parts.fileStore);
  let file = sets.first(session);
  let seen = 0;
  while (region !== 0) {
    if (!checkAddress(system, `a file region of "${name}"`, region, shape.order, report)) return false;
    const here = shape.countAt === undefined ? count : ram.load64(region + shape.countAt);
    if (here > shape.perBlock) {
      report(`a file region of "${name}" counts ${here} of ${shape.perBlock}`);
      return false;
    }
    for (let i = 0; i < here; i++, seen++) {
      const wrong = entryFault(system, region + shape.headerBytes + i * ENTRY.size, file, report);
      if (wrong !== undefined) {
        report(`file ${seen} of "${name}": ${wrong}`);
        return false;
      }
      file = table.next(file);
    }
    region = shape.nextAt === undefined ? 0 : ram.load64(region + shape.nextAt);
  }
  if (seen !== count) report(`the file regions of "${name}" count ${seen} files, its slot ${count}`);
  return seen === count;
}

/** Why an entry is not that of a file; undefined where it is. */
function entryFault(system: System, entry: number, file: LuoFile, report: Report): string | undefined {
  if (file === NO_FILE) return 'an entry is there, no file is left on the list';
  const { kernel, luo } = system;
  const { table, handlers } = luo.files;
  const { ram } = kernel.machine;
  const handler = table.handler(file);
  const words = new Int32Array(ENTRY.size / 4);
  ram.loadWords(entry, words, 0, words.length);
  const { compatible } = handlers.byNumber(handler);
  if (handlers.textOf(words) !== compatible)
    return `"${handlers.textOf(words)}" is there, not "${compatible}"`;
  const data = ram.load64(entry + ENTRY.at.data);
  if (data !== table.data(file)) return `data 0x${data.toString(16)} is there, the file has another`;
  const token = ENTRY.at.token / 4;
  if (words[token] !== table.tokenLow(file) || words[token + 1] !== table.tokenHigh(file)) {
    return 'another token is there';
  }
  if (handlers.byNumber(handler) === system.files.memfd) checkMemfd(system, compatible, data, report);
  return undefined;
}

/** The record of a memfd and all that it leads to. */
function checkMemfd(system: System, compatible: string, ser: number, report: Report): void {
  const { kernel } = system;
  const { ram } = kernel.machine;
  if (!checkAddress(system, 'the record of a memfd', ser, 0, report)) return;
  const { at } = compatible === MEMFD_V1_COMPATIBLE ? MEMFD_LUO_SER_V1 : MEMFD_LUO_SER;
  const nr = ram.load64(ser + at.nr_folios);
  if (nr === 0) return;
  const descriptor = loadVmalloc(kernel, ser + at.folios);
  const { chunks, pages } = vmallocBlocks(kernel, descriptor);
  for (const block of [...chunks, ...pages]) {
    if (!checkAddress(system, "a page of a memfd's list", physOf(block), 0, report)) return;
  }
  if (pages.length !== descriptor.totalPages || pages.length !== Math.ceil((nr * FOLIO.size) / PAGE_SIZE)) {
    report(`the list of a memfd with ${nr} folios has ${pages.length} pages`);
    return;
  }
  for (let i = 0; i < nr; i++) {
    const offset = i * FOLIO.size;
    const address = physOf(pages[Math.floor(offset / PAGE_SIZE)] as Pfn) + (offset % PAGE_SIZE);
    const pfn = (ram.load32(address) >>> 0) + (ram.load32(address + 4) & MEMFD_FOLIO_PFN_HIGH) * 2 ** 32;
    if (pfn === 0) continue;
    const order = kernel.frames.isAllocatedHead(pfn as Pfn) ? kernel.frames.order(pfn as Pfn) : 0;
    if (!checkAddress(system, `folio ${i} of a memfd`, physOf(pfn as Pfn), order, report)) return;
  }
}
