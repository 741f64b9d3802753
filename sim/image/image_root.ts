/*
 * Which page of an image is the root of its handover, and which formats it is written in. A dump may hold several: the
 * one that the dumped kernel writes, the one it was handed itself, copies.
 *
 *   a root         page whose device tree says compatible = "kho-v..."
 *   the best       preserves itself, so its map is whole; then the one with most jumps behind it; then the lowest
 */
import { PAGE_SIZE } from '../base/limits.ts';
import { type Order, type Phys, pfnOf } from '../base/units.ts';
import type { Memory } from '../check/anatomy.ts';
import { parseRevision, REVISIONS, type Revision } from '../kernel/revisions.ts';
import {
  KEXEC_METADATA,
  KEXEC_METADATA_NODE,
  KHO_DATA_PROPERTY,
  KHO_MAP_PROPERTY,
  KHO_TREE_MAX_DEPTH,
  KHO_V1_DATA_PROPERTY,
  KHOSER_MEM_BITMAP_PTR,
  KHOSER_MEM_CHUNK,
} from '../kho/abi.ts';
import { getProperty, subnodeOffset } from '../kho/fdt.ts';
import { FDT_MAGIC, nativeU64 } from '../kho/fdt_abi.ts';
import { bitmapIndex, radixKey, tableIndex } from '../kho/radix.ts';
import { LUO_FDT_SESSION_NODE, LUO_SER, LUO_SUBTREE } from '../luo/abi.ts';
import type { ImageMemory } from './image_memory.ts';

/** What an image says of how it is written; '' where it does not. */
export interface Formats {
  readonly kho: string;
  readonly luo: string;
  readonly session: string;
  /** Of the kernel that wrote it, and the jumps of the machine up to the one it was written for. */
  readonly release: string;
  readonly kexecCount: number;
}

export interface Root {
  readonly phys: Phys;
  /** Address of its map of preserved memory, and of LUO's own root; 0 where it names none. */
  readonly mapPhys: Phys;
  readonly luoPhys: Phys;
  readonly formats: Formats;
  /** Whether its map is there and names the page it lies in. */
  readonly preservesItself: boolean;
}

const MAGIC_BYTES = Uint8Array.from([24, 16, 8, 0], (shift) => (FDT_MAGIC >>> shift) & 0xff);
const KHO_ROOT = /^kho-v/;
const ROOTS_MAX = 64;
const CHUNKS_MAX = 100_000;

/** Roots in the image, the best first. Reads every page's first word. */
export function findRoots(memory: ImageMemory): Root[] {
  const roots: Root[] = [];
  for (const phys of memory.source.pagesBeginningWith(MAGIC_BYTES)) {
    const root = readRootAt(memory, phys);
    if (root !== undefined && KHO_ROOT.test(root.formats.kho)) roots.push(root);
    if (roots.length === ROOTS_MAX) break;
  }
  return roots.sort(
    (x, y) =>
      Number(y.preservesItself) - Number(x.preservesItself) ||
      y.formats.kexecCount - x.formats.kexecCount ||
      x.phys - y.phys,
  );
}

/** The root at an address, whatever is wrong with it; undefined where no page of memory is. */
export function readRootAt(memory: Memory, phys: Phys): Root | undefined {
  if (!memory.has(phys, PAGE_SIZE)) return undefined;
  const fdt = memory.loadBytes(phys, PAGE_SIZE);
  const kho = compatibleOf(fdt, 0);
  const mapPhys = (nativeU64(getProperty(fdt, 0, KHO_MAP_PROPERTY))?.value ?? 0) as Phys;
  const luoPhys = subtree(fdt, LUO_SUBTREE);
  const formats = { kho, ...luoFormats(memory, luoPhys), ...metadata(memory, fdt) };
  const names = kho === 'kho-v1' ? namedByBitmaps : namedByTree;
  return { phys, mapPhys, luoPhys, formats, preservesItself: mapPhys !== 0 && names(memory, mapPhys, phys) };
}

/** Formats that were never released under a name of their own. */
const BETWEEN = ['v6.19 +kho-radix-tree', 'v7.3 -session-block-set', 'v7.3 -file-block-set'];

/**
 * The revision that wrote an image: of those that write its formats the one of its release series, else the newest. Undefined
 * where none does.
 */
export function revisionOf({ kho, luo, session, release }: Formats): Revision | undefined {
  const known = [...BETWEEN.map((name) => parseRevision(name) as Revision), ...REVISIONS];
  const fitting = known.filter(
    (revision) =>
      revision.khoCompatible === kho &&
      (luo === '' || (revision.luoCompatible === luo && revision.sessionCompatible === session)),
  );
  return (
    fitting.find((revision) => seriesOf(revision.release) === seriesOf(release)) ??
    fitting.findLast((revision) => !revision.release.includes('-')) ??
    fitting.at(-1)
  );
}

/** "7.1.13" is of 7.1. */
const seriesOf = (release: string): string => /^\d+\.\d+/.exec(release)?.[0] ?? '';

function luoFormats(memory: Memory, phys: Phys): Pick<Formats, 'luo' | 'session'> {
  if (phys === 0 || !memory.has(phys, PAGE_SIZE)) return { luo: '', session: '' };
  const page = memory.loadBytes(phys, PAGE_SIZE);
  if (!MAGIC_BYTES.every((byte, i) => page[i] === byte)) {
    return { luo: textOf(page.subarray(0, LUO_SER.at.liveupdate_num)), session: '' };
  }
  const node = subnodeOffset(page, 0, LUO_FDT_SESSION_NODE);
  return { luo: compatibleOf(page, 0), session: node < 0 ? '' : compatibleOf(page, node) };
}

function metadata(memory: Memory, root: Uint8Array): Pick<Formats, 'release' | 'kexecCount'> {
  const phys = subtree(root, KEXEC_METADATA_NODE);
  if (phys === 0 || !memory.has(phys, KEXEC_METADATA.size)) return { release: '', kexecCount: 0 };
  const { previous_release, kexec_count } = KEXEC_METADATA.at;
  const release = memory.loadBytes(phys + previous_release, kexec_count - previous_release);
  return { release: textOf(release), kexecCount: memory.load32(phys + kexec_count) >>> 0 };
}

function subtree(root: Uint8Array, name: string): Phys {
  const node = subnodeOffset(root, 0, name);
  const data = getProperty(root, node, KHO_DATA_PROPERTY) ?? getProperty(root, node, KHO_V1_DATA_PROPERTY);
  return (nativeU64(data)?.value ?? 0) as Phys;
}

const compatibleOf = (fdt: Uint8Array, node: number): string =>
  textOf(getProperty(fdt, node, 'compatible') ?? new Uint8Array());

function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return String.fromCharCode(...bytes.subarray(0, end === -1 ? bytes.length : end));
}

/** Whether a radix tree has the key of a page. */
function namedByTree(memory: Memory, map: number, page: Phys): boolean {
  const key = radixKey(pfnOf(page), 0 as Order);
  let node = map;
  for (let level = KHO_TREE_MAX_DEPTH - 1; level > 0; level--) {
    if (!memory.has(node, PAGE_SIZE)) return false;
    node = memory.load64(node + 8 * tableIndex(key, level));
  }
  return node !== 0 && bitIn(memory, node, bitmapIndex(key));
}

/** Whether a list of bitmaps names a page. */
function namedByBitmaps(memory: Memory, map: number, page: Phys): boolean {
  let chunk = map;
  for (let n = 0; n < CHUNKS_MAX && chunk !== 0 && memory.has(chunk, PAGE_SIZE); n++) {
    const nr = memory.load32(chunk + KHOSER_MEM_CHUNK.at.num_elms) >>> 0;
    const end = Math.min(KHOSER_MEM_CHUNK.size + nr * KHOSER_MEM_BITMAP_PTR.size, PAGE_SIZE);
    if (memory.load32(chunk + KHOSER_MEM_CHUNK.at.order) === 0) {
      for (let at = KHOSER_MEM_CHUNK.size; at < end; at += KHOSER_MEM_BITMAP_PTR.size) {
        const start = memory.load64(chunk + at + KHOSER_MEM_BITMAP_PTR.at.phys_start);
        const bitmap = memory.load64(chunk + at + KHOSER_MEM_BITMAP_PTR.at.bitmap);
        const bit = (page - start) / PAGE_SIZE;
        if (bit >= 0 && bit < PAGE_SIZE * 8 && bitIn(memory, bitmap, bit)) return true;
      }
    }
    chunk = memory.load64(chunk + KHOSER_MEM_CHUNK.at.next);
  }
  return false;
}

const bitIn = (memory: Memory, bitmap: number, bit: number): boolean =>
  memory.has(bitmap, PAGE_SIZE) && ((memory.load32(bitmap + 4 * (bit >>> 5)) >>> (bit & 31)) & 1) === 1;
