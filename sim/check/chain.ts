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
import type { Subtree } from '../kho/root_fdt.ts';
import { LUO_MAX_BLOCKS, LUO_SUBTREE } from '../luo/abi.ts';
import type { Ram } from '../machine/ram.ts';
import { following, type TallyByOwner } from './frames.ts';
import { readKhoRoot, readLuoRoot } from './published.ts';
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
export function readPublishedRoot(system: System): PublishedRoot | string {
  const { kernel, kho, luo } = system;
  const { ram } = kernel.machine;
  if (!ram.has(kho.outgoingFdtPhys, PAGE_SIZE)) return 'the KHO root lies outside of memory';
  const { format, mapPhys, subtrees, problems } = readKhoRoot(ram, kho.outgoingFdtPhys);
  const { khoCompatible } = kernel.revision;
  if (format !== undefined && format.compatible !== khoCompatible)
    return `the KHO root is not compatible with '${khoCompatible}'`;
  if (problems.length > 0) return `the KHO root ${problems[0]}`;
  // Bitmaps are listed at the reboot, by finalize, which live update calls.
  const finalized = kernel.revision.parts.tracker !== 'bitmaps' || (isSerialized(system) && luo.enabled);
  if (mapPhys === 0 && finalized) return 'the KHO root has no preserved-memory-map';
  return { mapPhys: mapPhys as Phys, subtrees };
}

/** The LUO root as the next kernel reads it, or what is wrong with it. */
export function readPublishedLuo({ kernel }: System, root: PublishedRoot): PublishedLuo | string {
  const subtree = root.subtrees.get(LUO_SUBTREE);
  if (subtree === undefined) return 'the KHO root has no LUO subtree';
  const { ram } = kernel.machine;
  if (!ram.has(subtree.phys, PAGE_SIZE)) return 'the LUO root lies outside of memory';
  const { format, number, sessions, flbs, problems } = readLuoRoot(ram, subtree);
  const { luoCompatible, sessionCompatible } = kernel.revision;
  if (problems.length > 0) return `the LUO root ${problems[0]}`;
  if (format?.compatible !== (sessionCompatible === '' ? luoCompatible : sessionCompatible))
    return `the LUO root is not compatible`;
  return {
    fdtPhys: subtree.phys,
    number,
    sessionHeader: sessions as Phys,
    flbHeader: flbs as Phys,
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

/** The reboot hook has succeeded. */
const isSerialized = ({ kernel, kexec }: System): boolean => kernel.state === 'rebooting' && !kexec.restarts;

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
  const early = !shape.publishedAtBoot && !isSerialized(system);
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
