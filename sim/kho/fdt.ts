/*
 * Reading flattened device trees, as the libfdt of Linux 6.19 to 7.3 does; the layout is drawn in fdt_abi.ts.
 *
 * A node is known by the offset of its BEGIN_NODE in the structure block, as in libfdt: the root is 0, and an edit in
 * front of a node moves it. Errors are values, negative FDT_ERR numbers. Every function here is total: on any bytes
 * it ends, throws nothing and reads nothing outside them.
 *
 *   header       checkHeader, probe
 *   tokens       nextTag, nextNode
 *   nodes        nodeName, subnodeOffset, pathOffset, firstSubnode, nextSubnode
 *   properties   propertyOffset, getProperty, properties, nodeCheckCompatible
 *
 * Different from libfdt, on purpose: bytes that end before totalsize are TRUNCATED (libfdt would read on); versions
 * before 16 are BADVERSION (libfdt reads back to 2); an unfinished blob is always BADSTATE to a reader (libfdt reads
 * what is there so far); paths know no aliases; alignment in memory is not modelled.
 */
import { assert } from '../base/assert.ts';
import {
  FDT_ERR,
  FDT_HEADER,
  FDT_HEADER_BYTES,
  FDT_HEADER_BYTES_V16,
  FDT_MAGIC,
  FDT_PROP_BYTES,
  FDT_SW_MAGIC,
  FDT_TAG,
  FDT_TAG_BYTES,
  FDT_TOTALSIZE_MAX,
  FDT_VERSION,
  FDT_VERSION_MIN,
  nulTerminated,
  readWord,
  tagAlign,
} from './fdt_abi.ts';

/** The NUL-terminated string that starts at `start`, undefined if no NUL comes before `end`. */
function textAt(fdt: Uint8Array, start: number, end: number): string | undefined {
  const nul = fdt.subarray(0, end).indexOf(0, start);
  if (nul < 0) return undefined;
  let text = '';
  for (let i = start; i < nul; i++) text += String.fromCharCode(fdt[i] ?? 0);
  return text;
}

/**
 * @returns 0 or BADMAGIC, BADVERSION, TRUNCATED: whether the header is sound. The tree itself is not looked at.
 * @kernel fdt_check_header @simplified versions before 16 are BADVERSION, bytes that end before totalsize TRUNCATED
 */
export function checkHeader(fdt: Uint8Array): number {
  if (readWord(fdt, FDT_HEADER.magic) !== FDT_MAGIC) return -FDT_ERR.BADMAGIC;
  const version = readWord(fdt, FDT_HEADER.version);
  const lastCompatible = readWord(fdt, FDT_HEADER.lastCompatible);
  if (version < FDT_VERSION_MIN || lastCompatible > FDT_VERSION) return -FDT_ERR.BADVERSION;
  if (version < lastCompatible) return -FDT_ERR.BADVERSION;

  const header = version >= FDT_VERSION ? FDT_HEADER_BYTES : FDT_HEADER_BYTES_V16;
  const total = readWord(fdt, FDT_HEADER.totalsize);
  if (total < header || total > FDT_TOTALSIZE_MAX || total > fdt.length) return -FDT_ERR.TRUNCATED;
  const inside = (offset: number): boolean => offset >= header && offset <= total;
  const struct = readWord(fdt, FDT_HEADER.structOffset);
  const structBytes = version >= FDT_VERSION ? readWord(fdt, FDT_HEADER.structBytes) : 0;
  const strings = readWord(fdt, FDT_HEADER.stringsOffset);
  const stringsBytes = readWord(fdt, FDT_HEADER.stringsBytes);
  const sound =
    inside(readWord(fdt, FDT_HEADER.reserveOffset)) &&
    inside(struct) &&
    inside(struct + structBytes) &&
    inside(strings) &&
    inside(strings + stringsBytes);
  return sound ? 0 : -FDT_ERR.TRUNCATED;
}

/**
 * The weaker check in front of every lookup: totalsize, or BADMAGIC, BADSTATE, BADVERSION, TRUNCATED.
 * @kernel fdt_ro_probe_ @simplified versions before 16 are BADVERSION, an unfinished blob BADSTATE, bytes that end
 * before totalsize TRUNCATED
 */
export function probe(fdt: Uint8Array): number {
  const magic = readWord(fdt, FDT_HEADER.magic);
  if (magic === FDT_SW_MAGIC) return -FDT_ERR.BADSTATE;
  if (magic !== FDT_MAGIC) return -FDT_ERR.BADMAGIC;
  if (readWord(fdt, FDT_HEADER.version) < FDT_VERSION_MIN) return -FDT_ERR.BADVERSION;
  if (readWord(fdt, FDT_HEADER.lastCompatible) > FDT_VERSION) return -FDT_ERR.BADVERSION;
  const total = readWord(fdt, FDT_HEADER.totalsize);
  return total >= FDT_TOTALSIZE_MAX || total > fdt.length ? -FDT_ERR.TRUNCATED : total;
}

export interface Tag {
  /** FDT_TAG; END also where the structure is broken. */
  readonly tag: number;
  /** Offset of the next token in the structure block, or why there is none (negative). */
  readonly next: number;
}

/** Bytes of the structure block that can be read; negative or 0 if there are none. */
function structLimit(fdt: Uint8Array): number {
  const total = Math.min(readWord(fdt, FDT_HEADER.totalsize), fdt.length);
  const limit = total - readWord(fdt, FDT_HEADER.structOffset);
  const sized = readWord(fdt, FDT_HEADER.version) >= FDT_VERSION;
  return sized ? Math.min(limit, readWord(fdt, FDT_HEADER.structBytes)) : limit;
}

/** The token at `offset` of the structure block, and where the one after it starts. @kernel fdt_next_tag */
export function nextTag(fdt: Uint8Array, offset: number): Tag {
  const limit = structLimit(fdt);
  if (offset < 0 || offset + FDT_TAG_BYTES > limit) return { tag: FDT_TAG.END, next: -FDT_ERR.TRUNCATED };
  const broken: Tag = { tag: FDT_TAG.END, next: -FDT_ERR.BADSTRUCTURE };
  const base = readWord(fdt, FDT_HEADER.structOffset);
  const tag = readWord(fdt, base + offset);
  let end = offset + FDT_TAG_BYTES;
  switch (tag) {
    case FDT_TAG.BEGIN_NODE: {
      const nul = fdt.indexOf(0, base + end);
      if (nul < 0) return broken;
      end = nul + 1 - base;
      break;
    }
    case FDT_TAG.PROP:
      end = offset + FDT_PROP_BYTES + readWord(fdt, base + end);
      break;
    case FDT_TAG.END_NODE:
    case FDT_TAG.NOP:
    case FDT_TAG.END:
      break;
    default:
      return broken;
  }
  if (end > limit) return broken;
  const next = tagAlign(end);
  assert(next > offset, 'a token does not advance');
  return { tag, next };
}

/** Offset behind the BEGIN_NODE at `node`, or BADOFFSET. @kernel fdt_check_node_offset_ */
function insideNode(fdt: Uint8Array, node: number): number {
  if (node < 0 || node % FDT_TAG_BYTES !== 0) return -FDT_ERR.BADOFFSET;
  const step = nextTag(fdt, node);
  return step.tag === FDT_TAG.BEGIN_NODE ? step.next : -FDT_ERR.BADOFFSET;
}

/** Depth below the node a walk began at: 0 there, 1 in its children, -1 once the walk has left it. */
export interface Depth {
  depth: number;
}

/**
 * The node after `node` in the order of the blob, `depth` brought up to date. Leaving the subtree the walk began in
 * returns the offset behind it, with depth -1. @kernel fdt_next_node
 */
export function nextNode(fdt: Uint8Array, node: number, walk: Depth): number {
  let offset = insideNode(fdt, node);
  while (offset >= 0) {
    const { tag, next } = nextTag(fdt, offset);
    if (tag === FDT_TAG.BEGIN_NODE) {
      walk.depth++;
      return offset;
    }
    if (tag === FDT_TAG.END_NODE && --walk.depth < 0) return next;
    if (tag === FDT_TAG.END) return next >= 0 ? -FDT_ERR.NOTFOUND : next;
    offset = next;
  }
  return offset;
}

/** Name of a node with its unit address; undefined if there is no node at that offset. @kernel fdt_get_name */
export function nodeName(fdt: Uint8Array, node: number): string | undefined {
  const end = insideNode(fdt, node);
  if (probe(fdt) < 0 || end < 0) return undefined;
  const base = readWord(fdt, FDT_HEADER.structOffset);
  return textAt(fdt, base + node + FDT_TAG_BYTES, base + end);
}

/**
 * The child called `name`: a node, or NOTFOUND and the like. A unit address may be left out: `mem` finds `mem@0`,
 * if that comes first. @kernel fdt_subnode_offset
 */
export function subnodeOffset(fdt: Uint8Array, parent: number, name: string): number {
  const err = probe(fdt);
  if (err < 0) return err;
  const walk = { depth: 0 };
  let node = parent;
  while (node >= 0 && walk.depth >= 0) {
    if (walk.depth === 1) {
      const own = nodeName(fdt, node);
      if (own === name) return node;
      if (!name.includes('@') && own?.startsWith(`${name}@`)) return node;
    }
    node = nextNode(fdt, node, walk);
  }
  return walk.depth < 0 ? -FDT_ERR.NOTFOUND : node;
}

/**
 * The node at an absolute path, `/` the root; BADPATH if it does not begin with a slash.
 * @kernel fdt_path_offset @simplified paths know no aliases
 */
export function pathOffset(fdt: Uint8Array, path: string): number {
  const err = probe(fdt);
  if (err < 0) return err;
  if (!path.startsWith('/')) return -FDT_ERR.BADPATH;
  let node = 0;
  for (const name of path.split('/')) {
    if (name !== '' && node >= 0) node = subnodeOffset(fdt, node, name);
  }
  return node;
}

/** The first child of `parent`, or NOTFOUND. @kernel fdt_first_subnode */
export function firstSubnode(fdt: Uint8Array, parent: number): number {
  const walk = { depth: 0 };
  const node = nextNode(fdt, parent, walk);
  return node < 0 || walk.depth !== 1 ? -FDT_ERR.NOTFOUND : node;
}

/** The sibling after `node`, or NOTFOUND. @kernel fdt_next_subnode */
export function nextSubnode(fdt: Uint8Array, node: number): number {
  const walk = { depth: 1 };
  let next = node;
  do {
    next = nextNode(fdt, next, walk);
    if (next < 0 || walk.depth < 1) return -FDT_ERR.NOTFOUND;
  } while (walk.depth > 1);
  return next;
}

/** The string at `offset` of the strings block; undefined if it is outside or has no end. @kernel fdt_get_string */
function stringAt(fdt: Uint8Array, offset: number): string | undefined {
  const total = probe(fdt);
  const start = (readWord(fdt, FDT_HEADER.stringsOffset) + offset) >>> 0;
  if (total < 0 || offset > FDT_TOTALSIZE_MAX || start >= total) return undefined;
  let end = total;
  if (readWord(fdt, FDT_HEADER.version) >= FDT_VERSION) {
    end = Math.min(end, start + readWord(fdt, FDT_HEADER.stringsBytes) - offset);
  }
  return textAt(fdt, start, end);
}

/** The first property at or after `offset` in the same node. */
function propertyFrom(fdt: Uint8Array, offset: number): number {
  let at = offset;
  while (at >= 0) {
    const { tag, next } = nextTag(fdt, at);
    if (tag === FDT_TAG.PROP) return at;
    if (tag === FDT_TAG.END) return next >= 0 ? -FDT_ERR.BADSTRUCTURE : next;
    if (tag !== FDT_TAG.NOP) return -FDT_ERR.NOTFOUND;
    at = next;
  }
  return at;
}

/** The property called `name`: the offset of its PROP token, or NOTFOUND and the like. @kernel fdt_get_property */
export function propertyOffset(fdt: Uint8Array, node: number, name: string): number {
  let at = propertyFrom(fdt, insideNode(fdt, node));
  while (at >= 0) {
    const base = readWord(fdt, FDT_HEADER.structOffset);
    if (stringAt(fdt, readWord(fdt, base + at + 8)) === name) return at;
    at = propertyFrom(fdt, nextTag(fdt, at).next);
  }
  return at;
}

/** A copy of the value of the PROP token at `property`. */
function valueAt(fdt: Uint8Array, property: number): Uint8Array {
  const at = readWord(fdt, FDT_HEADER.structOffset) + property;
  return fdt.slice(at + FDT_PROP_BYTES, at + FDT_PROP_BYTES + readWord(fdt, at + FDT_TAG_BYTES));
}

/** A copy of a property's value; undefined if the node has none of that name. @kernel fdt_getprop */
export function getProperty(fdt: Uint8Array, node: number, name: string): Uint8Array | undefined {
  const property = propertyOffset(fdt, node, name);
  return property < 0 ? undefined : valueAt(fdt, property);
}

export interface Property {
  /** Undefined where the strings block is broken. */
  readonly name: string | undefined;
  readonly value: Uint8Array;
  /** Offset of the value in the blob. */
  readonly at: number;
}

/** The properties of a node in the order of the blob. */
export function properties(fdt: Uint8Array, node: number): Property[] {
  const found: Property[] = [];
  const base = readWord(fdt, FDT_HEADER.structOffset);
  for (let offset = propertyFrom(fdt, insideNode(fdt, node)); offset >= 0; ) {
    const name = stringAt(fdt, readWord(fdt, base + offset + 8));
    found.push({ name, value: valueAt(fdt, offset), at: base + offset + FDT_PROP_BYTES });
    offset = propertyFrom(fdt, nextTag(fdt, offset).next);
  }
  return found;
}

/**
 * Whether `compatible` lists the string: 0 it does, 1 it does not, negative if there is no such property. As in libfdt
 * the NUL of the last string is also found right behind the value, so an unterminated string can match.
 * @kernel fdt_node_check_compatible
 */
export function nodeCheckCompatible(fdt: Uint8Array, node: number, compatible: string): number {
  const property = propertyOffset(fdt, node, 'compatible');
  if (property < 0) return property;
  const wanted = nulTerminated(compatible);
  const blob = fdt.subarray(0, readWord(fdt, FDT_HEADER.totalsize));
  let start = readWord(fdt, FDT_HEADER.structOffset) + property + FDT_PROP_BYTES;
  const end = start + readWord(fdt, start - 8);
  while (end - start >= compatible.length) {
    const from = start;
    if (wanted.every((byte, i) => blob[from + i] === byte)) return 0;
    const nul = blob.subarray(0, end).indexOf(0, start);
    if (nul < 0) return 1;
    start = nul + 1;
  }
  return 1;
}
