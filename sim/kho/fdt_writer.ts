/*
 * Writing a flattened device tree in one pass, byte for byte as the libfdt of Linux 6.19 to 7.3 does (fdt_create ...
 * fdt_finish): the LUO tree and the empty KHO root are made so. Layout: fdt_abi.ts. Edits afterwards: fdt_tree.ts.
 *
 * The buffer has a size from the start (a page). Names grow down from its end, so the name of the first property ends
 * up last in the strings block; finish moves them behind the structure. NOSPACE comes where the two would meet:
 *
 *   0        48            64                                                      size
 *   | header | reserve map | structure -->              free             <-- names |
 *
 * A name is taken from the strings block if it is there, be it as the tail of another. The names that finish leaves at
 * the end of the page are real too: `buffer` is the whole page.
 */
import { assert } from '../base/assert.ts';
import {
  FDT_ERR,
  FDT_HEADER,
  FDT_LAST_COMPATIBLE_VERSION,
  FDT_MAGIC,
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

/** fdt_create aligns the reserve map to its entries. */
const WRITER_RESERVE_OFFSET = 48;
const WRITER_STRUCT_OFFSET = WRITER_RESERVE_OFFSET + FDT_RESERVE_ENTRY_BYTES;

/**
 * The sequential writer. Every step returns 0 or a negative FDT_ERR, and the steps after a failed one still work on
 * what is there, so that callers can OR the results together as the kernel does. Steps out of turn are BADSTATE, steps
 * without create BADMAGIC. Like libfdt it does not count whether nodes are closed.
 */
export class FdtWriter {
  /** The whole buffer; the blob is its head once `finish` returned 0. */
  readonly buffer: Uint8Array;
  #state: 'blank' | 'reserve' | 'struct' | 'complete' = 'blank';
  /** Bytes of the structure block so far. */
  #structBytes = 0;
  /** Bytes of names so far, counted from the end of the buffer. */
  #stringsBytes = 0;
  /** Where name offsets stand: from the end of the buffer until finish makes them count from the front. */
  #nameOffsets: number[] = [];

  constructor(bufferBytes: number) {
    this.buffer = new Uint8Array(bufferBytes);
  }

  /** @kernel fdt_create */
  create(): number {
    if (this.buffer.length < WRITER_RESERVE_OFFSET) return -FDT_ERR.NOSPACE;
    this.buffer.fill(0);
    this.#state = 'reserve';
    this.#structBytes = 0;
    this.#stringsBytes = 0;
    this.#nameOffsets = [];
    return 0;
  }

  /** Ends the reserve map, always empty here. @kernel fdt_finish_reservemap */
  finishReservemap(): number {
    if (this.#state !== 'reserve') return this.#outOfTurn();
    if (this.buffer.length < WRITER_STRUCT_OFFSET) return -FDT_ERR.NOSPACE;
    this.#state = 'struct';
    return 0;
  }

  /** @kernel fdt_begin_node */
  beginNode(name: string): number {
    if (this.#state !== 'struct') return this.#outOfTurn();
    const bytes = nulTerminated(name);
    const at = this.#grab(FDT_TAG_BYTES + tagAlign(bytes.length));
    if (at < 0) return at;
    writeWord(this.buffer, at, FDT_TAG.BEGIN_NODE);
    this.buffer.set(bytes, at + FDT_TAG_BYTES);
    return 0;
  }

  /** @kernel fdt_end_node */
  endNode(): number {
    if (this.#state !== 'struct') return this.#outOfTurn();
    const at = this.#grab(FDT_TAG_BYTES);
    if (at < 0) return at;
    writeWord(this.buffer, at, FDT_TAG.END_NODE);
    return 0;
  }

  /** @kernel fdt_property */
  property(name: string, value: Uint8Array): number {
    if (this.#state !== 'struct') return this.#outOfTurn();
    const stringsBytes = this.#stringsBytes;
    const nameOffset = this.#findOrAddString(nulTerminated(name));
    if (nameOffset === undefined) return -FDT_ERR.NOSPACE;
    const at = this.#grab(FDT_PROP_BYTES + tagAlign(value.length));
    if (at < 0) {
      this.#stringsBytes = stringsBytes;
      return at;
    }
    writeWord(this.buffer, at, FDT_TAG.PROP);
    writeWord(this.buffer, at + 4, value.length);
    writeWord(this.buffer, at + 8, nameOffset);
    this.buffer.set(value, at + FDT_PROP_BYTES);
    this.#nameOffsets.push(at + 8);
    return 0;
  }

  /** A native little-endian u64, as KHO and LUO store addresses and counts; not a device tree cell. */
  propertyU64(name: string, value: number | bigint): number {
    return this.property(name, u64Bytes(value));
  }

  /** @kernel fdt_property_string */
  propertyString(name: string, value: string): number {
    return this.property(name, nulTerminated(value));
  }

  /** Moves the names behind the structure and writes the header. @kernel fdt_finish */
  finish(): number {
    if (this.#state !== 'struct') return this.#outOfTurn();
    const end = this.#grab(FDT_TAG_BYTES);
    if (end < 0) return end;
    writeWord(this.buffer, end, FDT_TAG.END);

    const strings = WRITER_STRUCT_OFFSET + this.#structBytes;
    this.buffer.copyWithin(strings, this.buffer.length - this.#stringsBytes);
    for (const at of this.#nameOffsets) {
      writeWord(this.buffer, at, readWord(this.buffer, at) + this.#stringsBytes);
    }
    const header = {
      magic: FDT_MAGIC,
      totalsize: strings + this.#stringsBytes,
      structOffset: WRITER_STRUCT_OFFSET,
      stringsOffset: strings,
      reserveOffset: WRITER_RESERVE_OFFSET,
      version: FDT_VERSION,
      lastCompatible: FDT_LAST_COMPATIBLE_VERSION,
      bootCpu: 0,
      stringsBytes: this.#stringsBytes,
      structBytes: this.#structBytes,
    } satisfies Record<keyof typeof FDT_HEADER, number>;
    for (const [field, word] of Object.entries(header)) {
      writeWord(this.buffer, FDT_HEADER[field as keyof typeof FDT_HEADER], word);
    }
    this.#state = 'complete';
    return 0;
  }

  /** A copy of the finished blob. */
  blob(): Uint8Array {
    assert(this.#state === 'complete', 'the device tree is not finished');
    return this.buffer.slice(0, readWord(this.buffer, FDT_HEADER.totalsize));
  }

  #outOfTurn(): number {
    return this.#state === 'blank' ? -FDT_ERR.BADMAGIC : -FDT_ERR.BADSTATE;
  }

  /** Room for `bytes` at the end of the structure: its place in the buffer, or NOSPACE. @kernel fdt_grab_space_ */
  #grab(bytes: number): number {
    const at = WRITER_STRUCT_OFFSET + this.#structBytes;
    if (at + bytes > this.buffer.length - this.#stringsBytes) return -FDT_ERR.NOSPACE;
    this.#structBytes += bytes;
    return at;
  }

  /** Offset of a name from the end of the buffer, negative; undefined without room. @kernel fdt_find_add_string_ */
  #findOrAddString(name: Uint8Array): number | undefined {
    const start = this.buffer.length - this.#stringsBytes;
    const found = findBytes(this.buffer, start, this.#stringsBytes, name);
    if (found >= 0) return found - this.#stringsBytes;
    if (start - name.length < WRITER_STRUCT_OFFSET + this.#structBytes) return undefined;
    this.buffer.set(name, start - name.length);
    this.#stringsBytes += name.length;
    return -this.#stringsBytes;
  }
}
