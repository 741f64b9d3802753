/*
 * What is published for the next kernel, read as it will read it: bytes in RAM, from the KHO root on.
 *
 *   KHO root FDT --LUO--> LUO FDT --luo-session-header--> block 0 --next--> block 1 ... --next--> 0
 *
 * The law of the chain, at every quiescence and at the jump: it is the store's blocks in the store's order, there is
 * at least one and at most LUO_MAX_BLOCKS, the last one ends it, and the list never has more sessions than it holds.
 */
import { PAGE_SIZE } from '../base/limits.ts';
import type { Phys } from '../base/units.ts';
import type { System } from '../boot/boot.ts';
import { KHO_BLOB_SIZE, KHO_RADIX_TREE } from '../kernel/patches.ts';
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
import { nativeU64 } from '../kho/fdt_abi.ts';
import type { Subtree } from '../kho/root_fdt.ts';
import {
  LUO_FDT_FLB_HEADER,
  LUO_FDT_FLB_NODE,
  LUO_FDT_NUMBER,
  LUO_FDT_SESSION_HEADER,
  LUO_FDT_SESSION_NODE,
  LUO_MAX_BLOCKS,
  LUO_SUBTREE,
} from '../luo/abi.ts';
import { readSerRoot } from '../luo/root_ser.ts';
import type { Ram } from '../machine/ram.ts';
import { following, type TallyByOwner } from './frames.ts';
import { type StoreShape, shapeOf } from './store_shape.ts';
import type { Violations } from './violation.ts';

/** The KHO root. */
export interface PublishedRoot {
  /** 0 where nobody finalized what is preserved (v6.19): the next kernel will find nothing. */
  readonly mapPhys: Phys;
  readonly subtrees: ReadonlyMap<string, Subtree>;
}

/** The LUO root. */
export interface PublishedLuo {
  readonly fdtPhys: Phys;
  readonly number: number;
  readonly sessionHeader: Phys;
  readonly flbHeader: Phys;
}

/** The KHO root as the next kernel reads it, or what is wrong with it. */
export function readPublishedRoot({ kernel, kho, luo }: System): PublishedRoot | string {
  const { ram } = kernel.machine;
  if (!ram.has(kho.outgoingFdtPhys, PAGE_SIZE)) return 'the KHO root lies outside of memory';
  const fdt = ram.loadBytes(kho.outgoingFdtPhys, PAGE_SIZE);
  if (checkHeader(fdt) < 0) return 'the KHO root is no device tree';
  const { khoCompatible } = kernel.revision;
  if (nodeCheckCompatible(fdt, 0, khoCompatible) !== 0)
    return `the KHO root is not compatible with '${khoCompatible}'`;
  const map = nativeU64(getProperty(fdt, 0, KHO_MAP_PROPERTY));
  // Bitmaps are listed at the reboot, by finalize, which live update calls.
  const finalized =
    kernel.revision.parts.tracker !== 'bitmaps' || (kernel.state === 'rebooting' && luo.enabled);
  if (map === undefined || (map.value === 0 && finalized)) return 'the KHO root has no preserved-memory-map';
  const subtrees = new Map<string, Subtree>();
  for (let node = firstSubnode(fdt, 0); node >= 0; node = nextSubnode(fdt, node)) {
    const name = nodeName(fdt, node) ?? '';
    const data = nativeU64(
      getProperty(fdt, node, kernel.has(KHO_RADIX_TREE) ? KHO_DATA_PROPERTY : KHO_V1_DATA_PROPERTY),
    );
    const size = nativeU64(getProperty(fdt, node, KHO_SIZE_PROPERTY));
    const sized = size !== undefined || !kernel.has(KHO_BLOB_SIZE);
    if (data === undefined || !sized) return `subtree "${name}" lacks an address or a size`;
    subtrees.set(name, { phys: data.value as Phys, bytes: size?.value ?? PAGE_SIZE });
  }
  return { mapPhys: map.value as Phys, subtrees };
}

/** The LUO root as the next kernel reads it, or what is wrong with it. */
export function readPublishedLuo({ kernel }: System, root: PublishedRoot): PublishedLuo | string {
  const subtree = root.subtrees.get(LUO_SUBTREE);
  if (subtree === undefined) return 'the KHO root has no LUO subtree';
  const { ram } = kernel.machine;
  if (!ram.has(subtree.phys, PAGE_SIZE)) return 'the LUO root lies outside of memory';
  if (kernel.revision.parts.luoRoot === 'luo_ser') {
    const ser = readSerRoot(ram, subtree, kernel.revision.luoCompatible);
    if (typeof ser === 'string') return ser;
    const { number, sessionsPa, flbsPa } = ser;
    return { fdtPhys: subtree.phys, number, sessionHeader: sessionsPa, flbHeader: flbsPa };
  }
  const fdt = ram.loadBytes(subtree.phys, PAGE_SIZE);
  if (nodeCheckCompatible(fdt, 0, kernel.revision.luoCompatible) !== 0)
    return 'the LUO root is not compatible';
  const number = nativeU64(getProperty(fdt, 0, LUO_FDT_NUMBER));
  const sessions = subnodeOffset(fdt, 0, LUO_FDT_SESSION_NODE);
  const flbs = subnodeOffset(fdt, 0, LUO_FDT_FLB_NODE);
  if (number === undefined || sessions < 0 || flbs < 0) return 'the LUO root lacks a number or a node';
  if (nodeCheckCompatible(fdt, sessions, kernel.revision.sessionCompatible) !== 0) {
    return 'the session node is not compatible';
  }
  const sessionHeader = nativeU64(getProperty(fdt, sessions, LUO_FDT_SESSION_HEADER));
  const flbHeader = nativeU64(getProperty(fdt, flbs, LUO_FDT_FLB_HEADER));
  if (sessionHeader === undefined || flbHeader === undefined) return 'a node of the LUO root has no header';
  return {
    fdtPhys: subtree.phys,
    number: number.value,
    sessionHeader: sessionHeader.value as Phys,
    flbHeader: flbHeader.value as Phys,
  };
}

/** Addresses of the blocks from `head` on; a string says why it is no chain. */
export function readChain(ram: Ram, head: Phys, { nextAt }: StoreShape): Phys[] | string {
  const blocks: Phys[] = [];
  const after = (at: number): number => (nextAt === undefined ? 0 : ram.load64(at + nextAt));
  for (let at: number = head; at !== 0; at = after(at)) {
    const name = `block ${blocks.length} of the chain, 0x${at.toString(16)},`;
    if (at % PAGE_SIZE !== 0 || !ram.has(at, PAGE_SIZE)) return `${name} is no page of memory`;
    if (blocks.length === LUO_MAX_BLOCKS) return `${name} is one too many: the chain does not end`;
    blocks.push(at as Phys);
  }
  return blocks;
}

/** Whether the store is to be found by the next kernel at all: LUO came up. */
export const isPublished = ({ kho, luo }: System): boolean => kho.out.tracker !== undefined && luo.enabled;

/** The law; `settled` as in frames.ts. */
export function checkChain(
  system: System,
  tallies: TallyByOwner,
  settled: boolean,
  violations: Violations,
): void {
  if (!isPublished(system)) return;
  following(violations, 'chain', () => {
    const wrong = chainFault(system, tallies, settled);
    if (wrong !== undefined) violations.add('chain', wrong);
  });
}

function chainFault(system: System, tallies: TallyByOwner, settled: boolean): string | undefined {
  const { store, outgoing } = system.luo.sessions;
  const root = readPublishedRoot(system);
  if (typeof root === 'string') return root;
  const luo = readPublishedLuo(system, root);
  if (typeof luo === 'string') return luo;
  const { kernel } = system;
  const shape = shapeOf(kernel.revision.parts.sessionStore);
  const early = !shape.publishedAtBoot && kernel.state !== 'rebooting';
  if (early && luo.sessionHeader !== 0) return 'sessions are published before they are serialized';
  const chain = readChain(kernel.machine.ram, (early ? store.headPhys : luo.sessionHeader) as Phys, shape);
  if (typeof chain === 'string') return chain;
  if (chain.length === 0 && shape.publishedAtBoot) return 'luo-session-header is 0: there is no block';
  if (chain.length === 0 && outgoing.count === 0) return undefined;
  const regions = store.regions();
  if (chain.length !== regions.length)
    return `the chain has ${chain.length} blocks, the store ${regions.length}`;
  for (const [i, { address }] of regions.entries()) {
    if (chain[i] !== address)
      return `block ${i} of the chain is ${hexOf(chain[i])}, of the store ${hexOf(address)}`;
  }
  if (outgoing.count > chain.length * shape.perBlock) {
    return `${outgoing.count} sessions do not fit ${chain.length} blocks of ${shape.perBlock}`;
  }
  const owned = tallies.get('luo session block')?.blocks ?? 0;
  return settled && owned !== chain.length
    ? `the chain has ${chain.length} of ${owned} session blocks`
    : undefined;
}

const hexOf = (address: number | undefined): string =>
  address === undefined ? 'none' : `0x${address.toString(16)}`;
