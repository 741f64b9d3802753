/*
 * The two roots of a handover as their readers decode them, of whatever revision: formats are known by their compatible
 * strings. Nothing is gone into; what a reader would refuse is among the problems, in order.
 *
 *   kho-v1            {fdt}                          bitmaps
 *   kho-v2            {preserved-data}               radix tree
 *   kho-v3, kho-v4    {preserved-data, blob-size}    radix tree
 *
 *   luo-v1   FDT, luo-session-v2   one array of 819 sessions      files in one region of 128
 *                 luo-session-v3   chain of 16-page blocks        the same
 *                 luo-session-v4   the same                       chain of 2-page blocks
 *   luo-v3   struct luo_ser        one array                      files in one region
 *   luo-v4   struct luo_ser        chain of 1-page blocks         files in one region
 *   luo-v5   struct luo_ser        the same                       chain of 1-page blocks
 */
import { PAGE_SIZE } from '../base/limits.ts';
import { hex, isPageAligned, type Phys } from '../base/units.ts';
import type { Parts } from '../kernel/revisions.ts';
import { KHO_DATA_PROPERTY, KHO_MAP_PROPERTY, KHO_SIZE_PROPERTY, KHO_V1_DATA_PROPERTY } from '../kho/abi.ts';
import {
  checkHeader,
  firstSubnode,
  getProperty,
  nextSubnode,
  nodeCheckCompatible,
  nodeName,
  subnodeOffset,
} from '../kho/fdt.ts';
import { FDT_MAGIC, nativeU64, readWord } from '../kho/fdt_abi.ts';
import type { Subtree } from '../kho/root_fdt.ts';
import {
  LUO_FDT_COMPATIBLE,
  LUO_FDT_FLB_COMPATIBLE,
  LUO_FDT_FLB_HEADER,
  LUO_FDT_FLB_NODE,
  LUO_FDT_NUMBER,
  LUO_FDT_SESSION_HEADER,
  LUO_FDT_SESSION_NODE,
  LUO_SER,
} from '../luo/abi.ts';
import { LUO_COMPATIBLE_BYTES } from '../luo/root_ser.ts';
import type { Memory } from './anatomy.ts';
import { textAt } from './decode.ts';

/** How a format describes subtrees and the map. */
interface KhoFormat {
  readonly compatible: string;
  readonly dataProperty: string;
  readonly sized: boolean;
  readonly bitmaps: boolean;
}

const KHO_FORMATS: readonly KhoFormat[] = [
  { compatible: 'kho-v1', dataProperty: KHO_V1_DATA_PROPERTY, sized: false, bitmaps: true },
  { compatible: 'kho-v2', dataProperty: KHO_DATA_PROPERTY, sized: false, bitmaps: false },
  { compatible: 'kho-v3', dataProperty: KHO_DATA_PROPERTY, sized: true, bitmaps: false },
  { compatible: 'kho-v4', dataProperty: KHO_DATA_PROPERTY, sized: true, bitmaps: false },
];

export interface KhoRoot {
  readonly fdt: Uint8Array;
  /** Undefined where no KHO that is known wrote it; then nothing else is read. */
  readonly format: KhoFormat | undefined;
  /** 0 where it does not say, or where nobody finalized (v6.19). */
  readonly mapPhys: number;
  /** Those that are whole. */
  readonly subtrees: ReadonlyMap<string, Subtree>;
  readonly problems: string[];
}

/** The root in a page of memory. As kho_populate and kho_retrieve_subtree read it. */
export function readKhoRoot(memory: Memory, phys: number): KhoRoot {
  const fdt = memory.loadBytes(phys, PAGE_SIZE);
  const problems: string[] = [];
  const subtrees = new Map<string, Subtree>();
  const header = checkHeader(fdt);
  const format = KHO_FORMATS.find(({ compatible }) => nodeCheckCompatible(fdt, 0, compatible) === 0);
  if (header < 0) problems.push(`is no device tree (${header})`);
  else if (format === undefined) problems.push('is compatible with no KHO that is known');
  if (header < 0 || format === undefined) return { fdt, format: undefined, mapPhys: 0, subtrees, problems };
  const map = nativeU64(getProperty(fdt, 0, KHO_MAP_PROPERTY));
  if (map === undefined) problems.push(`has no ${KHO_MAP_PROPERTY}`);
  for (let node = firstSubnode(fdt, 0); node >= 0; node = nextSubnode(fdt, node)) {
    const name = nodeName(fdt, node) ?? '';
    const data = nativeU64(getProperty(fdt, node, format.dataProperty));
    const size = nativeU64(getProperty(fdt, node, KHO_SIZE_PROPERTY));
    if (data === undefined || (format.sized && size === undefined)) {
      problems.push(`has a subtree "${name}" that lacks an address or a size`);
    } else if (!subtrees.has(name)) {
      subtrees.set(name, { phys: data.value as Phys, bytes: format.sized ? (size?.value ?? 0) : PAGE_SIZE });
    }
  }
  return { fdt, format, mapPhys: map?.value ?? 0, subtrees, problems };
}

/** How files are stored: a region without a header, or a chain of blocks. */
export type FileFormat = 'region' | 'chain' | 'block set';

export interface LuoFormat {
  /** Of the session node, or of struct luo_ser. */
  readonly compatible: string;
  readonly sessions: Parts['sessionStore'];
  readonly files: FileFormat;
}

const SESSION_FORMATS: readonly LuoFormat[] = [
  { compatible: 'luo-session-v2', sessions: 'array-16', files: 'region' },
  { compatible: 'luo-session-v3', sessions: 'block-chain-16', files: 'region' },
  { compatible: 'luo-session-v4', sessions: 'block-chain-16', files: 'chain' },
];
const SER_FORMATS: readonly LuoFormat[] = [
  { compatible: 'luo-v3', sessions: 'array-16', files: 'region' },
  { compatible: 'luo-v4', sessions: 'block-set-1', files: 'region' },
  { compatible: 'luo-v5', sessions: 'block-set-1', files: 'block set' },
];

export interface LuoRoot {
  /** The device tree; undefined for struct luo_ser. */
  readonly fdt: Uint8Array | undefined;
  /** Undefined where no LUO that is known wrote it. */
  readonly format: LuoFormat | undefined;
  readonly number: number;
  /** Address of the first session block, 0 for none. */
  readonly sessions: number;
  /** Of the FLB page, 0 for none. */
  readonly flbs: number;
  readonly problems: string[];
}

/** The root in a page of memory, as luo_early_startup reads it. */
export function readLuoRoot(memory: Memory, subtree: Subtree): LuoRoot {
  const page = memory.loadBytes(subtree.phys, PAGE_SIZE);
  return readWord(page, 0) === FDT_MAGIC ? readFdt(page) : readSer(memory, subtree);
}

function readFdt(fdt: Uint8Array): LuoRoot {
  const problems: string[] = [];
  const u64 = (node: number, name: string): number => {
    const value = node < 0 ? undefined : nativeU64(getProperty(fdt, node, name))?.value;
    if (value === undefined) problems.push(`has no ${name}`);
    return value ?? 0;
  };
  const header = checkHeader(fdt);
  if (header < 0) problems.push(`is no device tree (${header})`);
  else if (nodeCheckCompatible(fdt, 0, LUO_FDT_COMPATIBLE) !== 0)
    problems.push('is compatible with no LUO that is known');
  if (problems.length > 0) return { fdt, format: undefined, number: 0, sessions: 0, flbs: 0, problems };
  const number = u64(0, LUO_FDT_NUMBER);
  const node = subnodeOffset(fdt, 0, LUO_FDT_SESSION_NODE);
  const format = SESSION_FORMATS.find(({ compatible }) => nodeCheckCompatible(fdt, node, compatible) === 0);
  if (node >= 0 && format === undefined)
    problems.push(`has a node ${LUO_FDT_SESSION_NODE} that no LUO knows`);
  const sessions = u64(node, LUO_FDT_SESSION_HEADER);
  const flb = subnodeOffset(fdt, 0, LUO_FDT_FLB_NODE);
  if (flb >= 0 && nodeCheckCompatible(fdt, flb, LUO_FDT_FLB_COMPATIBLE) !== 0) {
    problems.push(`has a node ${LUO_FDT_FLB_NODE} that no LUO knows`);
  }
  return { fdt, format, number, sessions, flbs: u64(flb, LUO_FDT_FLB_HEADER), problems };
}

function readSer(memory: Memory, { phys, bytes }: Subtree): LuoRoot {
  const problems: string[] = [];
  if (bytes < LUO_SER.size) problems.push(`is too small: ${bytes} of ${LUO_SER.size} bytes`);
  const found = textAt(memory, phys, LUO_COMPATIBLE_BYTES);
  const format = SER_FORMATS.find(({ compatible }) => compatible === found);
  if (format === undefined) problems.push('is compatible with no LUO that is known');
  const at = LUO_SER.at;
  return {
    fdt: undefined,
    format,
    number: memory.load64(phys + at.liveupdate_num),
    sessions: memory.load64(phys + at.sessions_pa),
    flbs: memory.load64(phys + at.flbs_pa),
    problems,
  };
}

/** Whether an address is that of a page of memory; says so among the problems of the piece it stands in, where not. */
export function leads(memory: Memory, address: number, what: string, problems: string[]): address is Phys {
  const good = isPageAligned(address) && address > 0 && memory.has(address, PAGE_SIZE);
  if (!good) problems.push(`${what} is ${hex(address)}: no page of memory`);
  return good;
}
