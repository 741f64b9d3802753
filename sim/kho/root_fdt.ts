/*
 * The root FDT of the handover: one preserved page with the tracker's address and a subnode per subsystem. Layout:
 * abi.ts. Written sequentially at kho_init, edited in place for every subtree, read early by the next kernel.
 *
 *   a subsystem's node    kho-v1 {fdt}    kho-v2 {preserved-data}    kho-v3, kho-v4 {preserved-data, blob-size}
 */
import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { PAGE_SIZE } from '../base/limits.ts';
import type { Phys } from '../base/units.ts';
import type { Ram } from '../machine/ram.ts';
import { KHO_MAP_PROPERTY, KHO_SIZE_PROPERTY } from './abi.ts';
import {
  checkHeader,
  firstSubnode,
  getProperty,
  nextSubnode,
  nodeCheckCompatible,
  subnodeOffset,
} from './fdt.ts';
import { FDT_ERR, nativeU64, u64Bytes } from './fdt_abi.ts';
import { FdtTree } from './fdt_tree.ts';
import { FdtWriter } from './fdt_writer.ts';

/** A blob found under a name. */
export interface Subtree {
  readonly phys: Phys;
  /** A page where the format does not say. */
  readonly bytes: number;
}

/** Why a root was refused, for the log. */
export interface RootRefused {
  readonly refused: string;
  /** What v6.19 adds to its last line. */
  readonly err: number;
}

/** How a revision describes a blob. */
export interface SubtreeFormat {
  readonly dataProperty: string;
  readonly sized: boolean;
}

/** The outgoing root. */
export class RootFdt {
  readonly phys: Phys;
  readonly #ram: Ram;
  readonly #format: SubtreeFormat;

  constructor(ram: Ram, phys: Phys, format: SubtreeFormat) {
    this.#ram = ram;
    this.phys = phys;
    this.#format = format;
  }

  /** Says where the map of preserved memory is, in place. @kernel kho_update_memory_map */
  setMap(mapPhys: Phys): void {
    const tree = this.#open();
    assert(typeof tree !== 'number', 'the root was written here');
    const err = tree.setProperty(0, KHO_MAP_PROPERTY, u64Bytes(mapPhys));
    assert(err >= 0, 'a property of the same size fits');
    this.#close(tree);
  }

  /** Writes the empty root: 0 or a negative FDT error. @kernel kho_out_fdt_setup */
  setup(compatible: string, mapPhys: Phys): number {
    const writer = new FdtWriter(PAGE_SIZE);
    let err = writer.create();
    err |= writer.finishReservemap();
    err |= writer.beginNode('');
    err |= writer.propertyString('compatible', compatible);
    err |= writer.property(KHO_MAP_PROPERTY, u64Bytes(mapPhys));
    err |= writer.endNode();
    err |= writer.finish();
    if (err === 0) this.#ram.storeBytes(this.phys, writer.buffer);
    return err;
  }

  /**
   * 0, -EEXIST for a known name, -ENOMEM where the page is full.
   * @kernel kho_add_subtree @simplified where a property does not fit, v6.19, too, takes the node out again and answers
   * -ENOMEM; no entry in debugfs
   */
  add(name: string, blob: Phys, bytes: number): number {
    const tree = this.#open();
    if (typeof tree === 'number') return -ERRNO.ENOMEM;
    const node = tree.addSubnode(0, name);
    if (node < 0) return node === -FDT_ERR.EXISTS ? -ERRNO.EEXIST : -ERRNO.ENOMEM;
    const { dataProperty, sized } = this.#format;
    const failed =
      tree.setProperty(node, dataProperty, u64Bytes(blob)) < 0 ||
      (sized && tree.setProperty(node, KHO_SIZE_PROPERTY, u64Bytes(bytes)) < 0);
    if (failed) tree.deleteNode(node);
    this.#close(tree);
    return failed ? -ERRNO.ENOMEM : 0;
  }

  /** Removes the first subtree whose blob lies at this address; nothing where there is none. @kernel kho_remove_subtree */
  remove(blob: Phys): void {
    const tree = this.#open();
    if (typeof tree === 'number') return;
    for (let node = firstSubnode(tree.buffer, 0); node >= 0; node = nextSubnode(tree.buffer, node)) {
      if (nativeU64(getProperty(tree.buffer, node, this.#format.dataProperty))?.value !== blob) continue;
      tree.deleteNode(node);
      break;
    }
    this.#close(tree);
  }

  #open(): FdtTree | number {
    return FdtTree.open(this.#ram.loadBytes(this.phys, PAGE_SIZE), PAGE_SIZE);
  }

  #close(tree: FdtTree): void {
    tree.pack();
    this.#ram.storeBytes(this.phys, tree.buffer);
  }
}

/**
 * Accepts or refuses an incoming root: the address of the preserved-memory map, or why not, in the kernel's words.
 * @kernel kho_populate
 * @kernel kho_get_mem_map_phys, kho_get_mem_map @simplified a map at 0 is logged, too, as one that is missing
 */
export function readRoot(ram: Ram, fdtPhys: Phys, compatible: string): Phys | RootRefused {
  const at = `0x${fdtPhys.toString(16)}`;
  if (!ram.has(fdtPhys, PAGE_SIZE)) {
    return { refused: `setup: failed to memremap FDT (${at})`, err: -ERRNO.EFAULT };
  }
  const fdt = ram.loadBytes(fdtPhys, PAGE_SIZE);
  const header = checkHeader(fdt);
  if (header < 0) {
    return { refused: `setup: handover FDT (${at}) is invalid: ${header}`, err: -ERRNO.EINVAL };
  }
  const match = nodeCheckCompatible(fdt, 0, compatible);
  if (match !== 0) {
    const refused = `setup: handover FDT (${at}) is incompatible with '${compatible}': ${match}`;
    return { refused, err: -ERRNO.EINVAL };
  }
  const map = nativeU64(getProperty(fdt, 0, KHO_MAP_PROPERTY));
  if (map === undefined || map.value === 0) {
    const what = compatible === 'kho-v1' ? 'bitmaps' : 'map';
    return { refused: `failed to get preserved memory ${what}`, err: -ERRNO.ENOENT };
  }
  return map.value as Phys;
}

/**
 * Finds a subsystem's blob in the incoming root: -ENOENT without a node, -EINVAL for a broken one; `warn` gets the
 * kernel's line. @kernel kho_retrieve_subtree
 */
export function retrieveSubtree(
  ram: Ram,
  fdtPhys: Phys,
  { dataProperty, sized }: SubtreeFormat,
  name: string,
  warn: (line: string) => void,
): Subtree | number {
  const fdt = ram.loadBytes(fdtPhys, PAGE_SIZE);
  const node = subnodeOffset(fdt, 0, name);
  if (node < 0) return -ERRNO.ENOENT;
  const data = nativeU64(getProperty(fdt, node, dataProperty));
  if (data === undefined) return -ERRNO.EINVAL;
  if (!sized) return { phys: data.value as Phys, bytes: PAGE_SIZE };
  const size = nativeU64(getProperty(fdt, node, KHO_SIZE_PROPERTY));
  if (size === undefined) {
    warn(`broken KHO subnode '${name}': missing or invalid blob-size property`);
    return -ERRNO.EINVAL;
  }
  return { phys: data.value as Phys, bytes: size.value };
}
