/*
 * Editing a flattened device tree in its page, byte for byte as the libfdt of Linux 6.19 to 7.3 does (fdt_open_into ...
 * fdt_pack): KHO adds and removes its subtrees so. Layout: fdt_abi.ts. The blob opened here: fdt_writer.ts.
 *
 *   0        40            56                                                      size
 *   | header | reserve map | structure | strings |                  free           |     after pack
 *
 * A new node goes in front of its siblings, a new property in front of the node's others, a new name behind the known
 * ones, unless it is found there, be it as the tail of another. Everything behind an edit moves at once. The 8 bytes
 * that the sequential writer leaves between header and reserve map count as used until pack closes the gap. What edits
 * leave behind the blob is real too: `buffer` is the whole page.
 */
import { assert } from '../base/assert.ts';
import { nextNode, nextTag, probe, propertyOffset, subnodeOffset } from './fdt.ts';
import {
  FDT_ERR,
  FDT_HEADER,
  FDT_HEADER_BYTES,
  FDT_PROP_BYTES,
  FDT_RESERVE_ENTRY_BYTES,
  FDT_TAG,
  FDT_TAG_BYTES,
  FDT_VERSION,
  findBytes,
  nulTerminated,
  readWord,
  tagAlign,
  u64Bytes,
  writeWord,
} from './fdt_abi.ts';

/** Whether the blocks lie in the order and places that edits count on. @kernel fdt_blocks_misordered_ */
function blocksMisordered(fdt: Uint8Array, reserveBytes: number): boolean {
  const struct = readWord(fdt, FDT_HEADER.structOffset);
  const strings = readWord(fdt, FDT_HEADER.stringsOffset);
  return (
    readWord(fdt, FDT_HEADER.reserveOffset) < FDT_HEADER_BYTES ||
    struct < readWord(fdt, FDT_HEADER.reserveOffset) + reserveBytes ||
    strings < struct + readWord(fdt, FDT_HEADER.structBytes) ||
    readWord(fdt, FDT_HEADER.totalsize) < strings + readWord(fdt, FDT_HEADER.stringsBytes)
  );
}

/** Bytes of the reserve map with its end, or TRUNCATED. @kernel fdt_num_mem_rsv @simplified in bytes, not in entries */
function reserveMapBytes(fdt: Uint8Array): number {
  const total = readWord(fdt, FDT_HEADER.totalsize);
  const start = readWord(fdt, FDT_HEADER.reserveOffset);
  for (let end = start + FDT_RESERVE_ENTRY_BYTES; end <= total; end += FDT_RESERVE_ENTRY_BYTES) {
    if (readWord(fdt, end - 8) === 0 && readWord(fdt, end - 4) === 0) return end - start;
  }
  return -FDT_ERR.TRUNCATED;
}

/**
 * A finished blob opened for edits. Nodes are offsets that move when something in front of them changes, as in libfdt.
 * A failed edit leaves the tree as it was.
 */
export class FdtTree {
  /** The whole buffer: the tree, and behind it what the page held. */
  readonly buffer: Uint8Array;

  private constructor(buffer: Uint8Array) {
    this.buffer = buffer;
  }

  /**
   * Opens a copy of `bytes` in a buffer of `bufferBytes`. Bytes behind the blob are kept where they are, as when the
   * kernel opens a tree into its own page. Errors: those of `probe`, NOSPACE, BADVERSION below 17, BADLAYOUT where
   * libfdt would put the blocks in order first.
   * @kernel fdt_open_into @simplified versions before 17 and blocks out of order are refused, not put right
   */
  static open(bytes: Uint8Array, bufferBytes: number): FdtTree | number {
    const total = probe(bytes);
    if (total < 0) return total;
    const reserveBytes = reserveMapBytes(bytes);
    if (reserveBytes < 0) return reserveBytes;
    if (readWord(bytes, FDT_HEADER.version) < FDT_VERSION) return -FDT_ERR.BADVERSION;
    if (blocksMisordered(bytes, reserveBytes)) return -FDT_ERR.BADLAYOUT;
    if (total > bufferBytes) return -FDT_ERR.NOSPACE;

    const buffer = new Uint8Array(bufferBytes);
    buffer.set(bytes.subarray(0, bufferBytes));
    writeWord(buffer, FDT_HEADER.version, FDT_VERSION);
    writeWord(buffer, FDT_HEADER.totalsize, bufferBytes);
    return new FdtTree(buffer);
  }

  /** Adds a node in front of the parent's other children: the node, or EXISTS, NOSPACE, BADOFFSET. @kernel fdt_add_subnode */
  addSubnode(parent: number, name: string): number {
    const found = subnodeOffset(this.buffer, parent, name);
    if (found >= 0) return -FDT_ERR.EXISTS;
    if (found !== -FDT_ERR.NOTFOUND) return found;

    let node = nextTag(this.buffer, parent).next;
    let step = nextTag(this.buffer, node);
    while (step.tag === FDT_TAG.PROP || step.tag === FDT_TAG.NOP) {
      node = step.next;
      step = nextTag(this.buffer, node);
    }
    const bytes = nulTerminated(name);
    const nodeBytes = FDT_TAG_BYTES + tagAlign(bytes.length) + FDT_TAG_BYTES;
    const err = this.#spliceStruct(node, 0, nodeBytes);
    if (err < 0) return err;
    const at = readWord(this.buffer, FDT_HEADER.structOffset) + node;
    this.buffer.fill(0, at, at + nodeBytes);
    writeWord(this.buffer, at, FDT_TAG.BEGIN_NODE);
    this.buffer.set(bytes, at + FDT_TAG_BYTES);
    writeWord(this.buffer, at + nodeBytes - FDT_TAG_BYTES, FDT_TAG.END_NODE);
    return node;
  }

  /**
   * Changes a property where it stands, or adds it in front of the node's others: 0 or NOSPACE, BADOFFSET. The padding
   * behind a value keeps what lay there, as in libfdt. @kernel fdt_setprop
   */
  setProperty(node: number, name: string, value: Uint8Array): number {
    let property = propertyOffset(this.buffer, node, name);
    if (property >= 0) {
      const oldBytes = readWord(this.buffer, this.#structOffset + property + 4);
      const err = this.#spliceStruct(property + FDT_PROP_BYTES, tagAlign(oldBytes), tagAlign(value.length));
      if (err < 0) return err;
      writeWord(this.buffer, this.#structOffset + property + 4, value.length);
    } else if (property === -FDT_ERR.NOTFOUND) {
      property = this.#addProperty(node, name, value.length);
      if (property < 0) return property;
    } else {
      return property;
    }
    this.buffer.set(value, this.#structOffset + property + FDT_PROP_BYTES);
    return 0;
  }

  /** Sets a native little-endian u64. */
  setPropertyU64(node: number, name: string, value: number | bigint): number {
    return this.setProperty(node, name, u64Bytes(value));
  }

  /** Takes a node out with all below it. Its names stay in the strings block. @kernel fdt_del_node */
  deleteNode(node: number): number {
    const walk = { depth: 0 };
    let end = node;
    while (end >= 0 && walk.depth >= 0) end = nextNode(this.buffer, end, walk);
    return end < 0 ? end : this.#spliceStruct(node, end - node, 0);
  }

  /** Closes all gaps and returns a copy of the blob. After it there is no room until it is opened again. @kernel fdt_pack */
  pack(): Uint8Array {
    const { buffer } = this;
    const reserveBytes = reserveMapBytes(buffer);
    assert(reserveBytes > 0, 'the reserve map was sound when the tree was opened');
    const structBytes = readWord(buffer, FDT_HEADER.structBytes);
    const stringsBytes = readWord(buffer, FDT_HEADER.stringsBytes);
    const struct = FDT_HEADER_BYTES + reserveBytes;
    const strings = struct + structBytes;
    const move = (to: number, field: number, bytes: number): void => {
      const from = readWord(buffer, field);
      assert(from >= to, 'packing moves towards the front');
      buffer.copyWithin(to, from, from + bytes);
      writeWord(buffer, field, to);
    };
    move(FDT_HEADER_BYTES, FDT_HEADER.reserveOffset, reserveBytes);
    move(struct, FDT_HEADER.structOffset, structBytes);
    move(strings, FDT_HEADER.stringsOffset, stringsBytes);
    writeWord(buffer, FDT_HEADER.totalsize, strings + stringsBytes);
    return buffer.slice(0, strings + stringsBytes);
  }

  get #structOffset(): number {
    return readWord(this.buffer, FDT_HEADER.structOffset);
  }

  /** End of the strings block, which is the end of all data. */
  get #dataBytes(): number {
    return readWord(this.buffer, FDT_HEADER.stringsOffset) + readWord(this.buffer, FDT_HEADER.stringsBytes);
  }

  /** Makes `newBytes` of room where `oldBytes` were, at `at` in the buffer: 0, BADOFFSET or NOSPACE. @kernel fdt_splice_ */
  #splice(at: number, oldBytes: number, newBytes: number): number {
    const data = this.#dataBytes;
    if (oldBytes < 0 || at + oldBytes > data) return -FDT_ERR.BADOFFSET;
    if (data - oldBytes + newBytes > readWord(this.buffer, FDT_HEADER.totalsize)) return -FDT_ERR.NOSPACE;
    this.buffer.copyWithin(at + newBytes, at + oldBytes, data);
    return 0;
  }

  /** The same at an offset of the structure block. @kernel fdt_splice_struct_ */
  #spliceStruct(offset: number, oldBytes: number, newBytes: number): number {
    const err = this.#splice(this.#structOffset + offset, oldBytes, newBytes);
    if (err < 0) return err;
    const moved = newBytes - oldBytes;
    for (const field of [FDT_HEADER.structBytes, FDT_HEADER.stringsOffset]) {
      writeWord(this.buffer, field, readWord(this.buffer, field) + moved);
    }
    return 0;
  }

  /** A new property of `valueBytes`, the value not yet set: its offset or an error. @kernel fdt_add_property_ */
  #addProperty(node: number, name: string, valueBytes: number): number {
    const property = nextTag(this.buffer, node).next;
    const stringsBytes = readWord(this.buffer, FDT_HEADER.stringsBytes);
    const nameOffset = this.#findOrAddString(nulTerminated(name));
    if (nameOffset < 0) return nameOffset;
    const err = this.#spliceStruct(property, 0, FDT_PROP_BYTES + tagAlign(valueBytes));
    if (err < 0) {
      writeWord(this.buffer, FDT_HEADER.stringsBytes, stringsBytes);
      return err;
    }
    const at = this.#structOffset + property;
    writeWord(this.buffer, at, FDT_TAG.PROP);
    writeWord(this.buffer, at + 4, valueBytes);
    writeWord(this.buffer, at + 8, nameOffset);
    return property;
  }

  /** Offset of a name in the strings block, or NOSPACE. @kernel fdt_find_add_string_ */
  #findOrAddString(name: Uint8Array): number {
    const stringsBytes = readWord(this.buffer, FDT_HEADER.stringsBytes);
    const start = readWord(this.buffer, FDT_HEADER.stringsOffset);
    const found = findBytes(this.buffer, start, stringsBytes, name);
    if (found >= 0) return found;
    const end = start + stringsBytes;
    const err = this.#splice(end, 0, name.length);
    if (err < 0) return err;
    this.buffer.set(name, end);
    writeWord(this.buffer, FDT_HEADER.stringsBytes, stringsBytes + name.length);
    return stringsBytes;
  }
}
