/*
 * A handover as extracted from a real machine's memory: a JSON file that describes what was found, and raw blobs beside
 * it, become pages that a reader, or a kernel, can be given. Format: test/golden/README.md.
 *
 *   STEM.json                          addresses, root FDT, LUO root, FLB page, tracker, memfd records, debugfs files
 *   STEM.kho-fdt.bin  STEM.luo-fdt.bin                 the same bytes as in the JSON
 *   STEM.session-blocks.bin  STEM.session-array.bin    session metadata, blocks one behind the other
 *   STEM.file-blocks-SESSION.bin                       file metadata of a session
 *
 * What an extract does not say is not invented: `missing` names it, and pages that nothing is known of read as zero.
 * Behind a blob its page is zero, too, as the allocator of preserved memory leaves it; but not behind a device tree,
 * where libfdt has left what it moved: that is `unknown`.
 */
import { entriesIn } from '../base/layout.ts';
import { PAGE_SIZE } from '../base/limits.ts';
import type { Phys } from '../base/units.ts';
import type { Stretch } from '../check/unknown_bytes.ts';
import { type RamPage, wordsOf } from '../explore/ram_file.ts';
import {
  KEXEC_METADATA,
  KEXEC_METADATA_NODE,
  KHO_BLOCK_HEADER_SER,
  KHO_BLOCK_SIZE,
  KHO_DATA_PROPERTY,
  KHO_MAP_PROPERTY,
} from '../kho/abi.ts';
import { checkHeader, getProperty, subnodeOffset } from '../kho/fdt.ts';
import { nativeU64 } from '../kho/fdt_abi.ts';
import type { ScratchArea } from '../kho/scratch.ts';
import {
  LUO_FILE_SER,
  LUO_FLB_HEADER_SER,
  LUO_FLB_SER,
  LUO_SESSION_ARRAY_SER,
  LUO_SESSION_MAX,
  LUO_SESSION_SER,
  LUO_SUBTREE,
} from '../luo/abi.ts';
import { BadExtract, Place } from './extracted_json.ts';
import { ExtractedMemfds } from './extracted_memfds.ts';
import { placeTree } from './extracted_tree.ts';
import { Sheets } from './sheets.ts';

export interface ExtractedImage {
  /** The kernel that left, in the extract's words: `Linux 7.3.4`. */
  readonly kernel: string;
  /** Pages of which something is known, ascending. */
  readonly pages: readonly RamPage[];
  readonly fdtPhys: Phys;
  /** Scratch areas as debugfs showed them; none where it was not read. */
  readonly scratch: readonly ScratchArea[];
  /** A multiple of 64 MiB that holds every address named: the machine may have had more. */
  readonly ramBytes: number;
  /** What belongs to the handover and is not in the extract, a line each. */
  readonly missing: readonly string[];
  /** Bytes of preserved blocks that read as zero here and were something else, as far as their place is known. */
  readonly unknown: readonly Stretch[];
  /** How many blocks were preserved, where the extract does not list them all. */
  readonly preservedTotal: number | undefined;
}

/** Blobs by what stands in their file names between STEM and `.bin`. */
export type Parts = ReadonlyMap<string, Uint8Array>;

/** Parts that an extract may have beside it; or what is wrong with its JSON, to be said after its name. */
export function extractParts(json: unknown): readonly string[] | string {
  return atTheDoor(() => {
    const root = new Place(json);
    const luo = root.get('luo');
    root.get('kho_fdt');
    const parts = ['kho-fdt'];
    if (luo.get('kind').text() === 'fdt') parts.push('luo-fdt');
    if (luo.optional('session_blocks') !== undefined) parts.push('session-blocks');
    if (luo.optional('session_array') !== undefined) parts.push('session-array');
    for (const set of luo.each('file_blocks')) parts.push(`file-blocks-${set.get('session').text()}`);
    return parts;
  });
}

/** The pages; or what is wrong, to be said after the name of the JSON file. */
export function extractedImage(json: unknown, parts: Parts): ExtractedImage | string {
  const known = extractParts(json);
  if (typeof known === 'string') return known;
  for (const name of parts.keys()) {
    if (!known.includes(name)) return `has no place for ${name}.bin`;
  }
  return atTheDoor(() => new Extract(new Place(json), parts).image());
}

const RAM_STEP = 64 * 2 ** 20;
const OUT = '/sys/kernel/debug/kho/out';

function atTheDoor<T>(read: () => T): T | string {
  try {
    return read();
  } catch (error) {
    if (error instanceof BadExtract) return error.message;
    throw error;
  }
}

class Extract {
  readonly #root: Place;
  readonly #parts: Parts;
  readonly #sheets = new Sheets();
  readonly #missing: string[] = [];
  readonly #unknown: Stretch[] = [];
  /** Where the records of memfds are. */
  readonly #memfds: number[] = [];

  constructor(root: Place, parts: Parts) {
    this.#root = root;
    this.#parts = parts;
  }

  image(): ExtractedImage {
    const fdt = this.#root.get('kho_fdt');
    const fdtPhys = fdt.get('pa').page();
    const bytes = this.#blob(fdt, 'kho-fdt');
    if (checkHeader(bytes) < 0) fdt.get('hex').wrong('no device tree');
    this.#knowsOnly(fdtPhys, bytes.length, PAGE_SIZE);
    this.#luo(bytes);
    this.#kexecMetadata(bytes);
    const memfds = new ExtractedMemfds(this.#sheets, this.#missing, this.#unknown);
    memfds.place([...this.#root.each('memfd')], this.#memfds);
    const map = this.#root.get('kho_map');
    const mapPhys = nativeU64(getProperty(bytes, 0, KHO_MAP_PROPERTY))?.value;
    if (map.get('root_pa').page() !== mapPhys)
      map.get('root_pa').wrong(`not the ${KHO_MAP_PROPERTY} of kho_fdt`);
    const placed = placeTree(map, this.#sheets, this.#missing);
    const scratch = this.#scratch();
    const ends = scratch.map(({ start, bytes: size }) => start + size);
    const end = Math.max(this.#sheets.end, ...ends);
    return {
      kernel: this.#root.get('kernel').text(),
      pages: this.#sheets.pages().map(([frame, page]) => ({ frame, words: wordsOf(page) })),
      fdtPhys,
      scratch,
      ramBytes: Math.ceil(end / RAM_STEP) * RAM_STEP,
      missing: this.#missing,
      unknown: this.#unknown,
      preservedTotal: placed.listed === placed.total ? undefined : placed.total,
    };
  }

  /** Places the bytes under `hex` at `pa`; a part of that name must be equal. */
  #blob(place: Place, part?: string): Uint8Array {
    const bytes = place.get('hex').hex();
    const beside = part === undefined ? undefined : this.#parts.get(part);
    if (beside !== undefined && !sameBytes(beside, bytes))
      place.get('hex').wrong(`not the bytes of ${part}.bin`);
    this.#sheets.put(place.get('pa'), bytes);
    return bytes;
  }

  #luo(fdt: Uint8Array): void {
    const luo = this.#root.get('luo');
    const pa = luo.get('pa');
    if (subtreePhys(fdt, LUO_SUBTREE) !== pa.page()) pa.wrong(`not where kho_fdt has ${LUO_SUBTREE}`);
    const isFdt = luo.get('kind').text() === 'fdt';
    const bytes = this.#blob(luo, isFdt ? 'luo-fdt' : undefined);
    if (isFdt) this.#knowsOnly(pa.page(), bytes.length, PAGE_SIZE);
    if (luo.get('blob_size').whole(PAGE_SIZE) !== bytes.length)
      luo.get('blob_size').wrong('not the size of hex');
    const flb = luo.get('flb');
    const flbs = (this.#blob(flb).length - LUO_FLB_HEADER_SER.size) / LUO_FLB_SER.size;
    this.#lacks(flb.get('count').whole(PAGE_SIZE) - Math.floor(Math.max(flbs, 0)), 'FLBs');
    const blocks = luo.optional('session_blocks');
    if (blocks !== undefined) this.#blocks(blocks, 'session-blocks');
    const array = luo.optional('session_array');
    if (array !== undefined) this.#sessionArray(array);
    for (const set of luo.each('file_blocks')) {
      const blocks = this.#blocks(set.get('blocks'), `file-blocks-${set.get('session').text()}`);
      for (const block of blocks) this.#filesOf(block);
    }
    for (const files of luo.each('file_arrays')) this.#fileArray(files);
  }

  /** Where the records of a block's files are: all are memfds. */
  #filesOf(block: Uint8Array): void {
    const count = u64At(block, KHO_BLOCK_HEADER_SER.at.count);
    for (let i = 0; i < Math.min(count, entriesIn(KHO_BLOCK_SIZE, KHO_BLOCK_HEADER_SER, LUO_FILE_SER)); i++) {
      const entry = KHO_BLOCK_HEADER_SER.size + i * LUO_FILE_SER.size;
      this.#memfds.push(u64At(block, entry + LUO_FILE_SER.at.data));
    }
  }

  /** A chain of blocks, whose bytes are a part; each block. */
  #blocks(blocks: Place, part: string): Uint8Array[] {
    const list = blocks.list();
    const found: Uint8Array[] = [];
    const bytes = this.#parts.get(part) ?? new Uint8Array();
    if (bytes.length !== list.length * KHO_BLOCK_SIZE) {
      blocks.wrong(`${list.length} blocks, and ${bytes.length} bytes in ${part}.bin beside it`);
    }
    for (const [i, block] of list.entries()) {
      const own = bytes.subarray(i * KHO_BLOCK_SIZE, (i + 1) * KHO_BLOCK_SIZE);
      const told = [block.get('header_hex'), ...[...block.each('first3')].map((entry) => entry.get('hex'))];
      this.#told(own, told, part);
      this.#sheets.put(block.get('pa'), own);
      found.push(own);
    }
    return found;
  }

  #sessionArray(array: Place): void {
    const part = 'session-array';
    const bytes = this.#parts.get(part) ?? array.wrong(`no ${part}.bin beside it`);
    const count = array.get('count').whole(LUO_SESSION_MAX);
    const slot = LUO_SESSION_SER.size;
    const needed = LUO_SESSION_ARRAY_SER.size + count * slot;
    if (bytes.length < needed || bytes.length > array.get('bytes').whole(2 ** 20)) {
      array.wrong(`${count} sessions do not lie in the ${bytes.length} bytes of ${part}.bin`);
    }
    this.#told(
      bytes,
      [array.get('header_hex'), ...[...array.each('first3')].map((entry) => entry.get('hex'))],
      part,
    );
    const last = array.optional('last')?.get('hex');
    if (last !== undefined) this.#told(bytes.subarray(needed - slot), [last], part);
    this.#sheets.put(array.get('pa'), bytes);
  }

  /** What the JSON shows of a part must stand at its beginning. */
  #told(bytes: Uint8Array, told: readonly Place[], part: string): void {
    let at = 0;
    for (const place of told) {
      const hex = place.hex();
      if (!sameBytes(bytes.subarray(at, at + hex.length), hex)) place.wrong(`not the bytes of ${part}.bin`);
      at += hex.length;
    }
  }

  #fileArray(files: Place): void {
    const start = files.get('pa').page();
    const entries = files.get('entries').list();
    for (const [i, entry] of entries.entries()) {
      const hex = entry.get('hex').hex();
      if (hex.length !== LUO_FILE_SER.size)
        entry.get('hex').wrong(`${hex.length} bytes of ${LUO_FILE_SER.size}`);
      this.#sheets.putAt(start + i * LUO_FILE_SER.size, hex, entry);
      this.#memfds.push(u64At(hex, LUO_FILE_SER.at.data));
    }
    const count = files.get('count').whole(2 ** 32);
    this.#lacks(count - entries.length, `files of ${files.get('session').text()}`);
  }

  #kexecMetadata(fdt: Uint8Array): void {
    const address = subtreePhys(fdt, KEXEC_METADATA_NODE);
    if (address === undefined) return;
    const dump = this.#debugfs(`sub_fdts/${KEXEC_METADATA_NODE}`);
    if (dump !== undefined) {
      this.#sheets.putAt(address, dump.hex(), dump);
      return;
    }
    this.#missing.push(KEXEC_METADATA_NODE);
    this.#knowsOnly(address, 0, KEXEC_METADATA.size);
  }

  #scratch(): ScratchArea[] {
    const starts = this.#debugfs('scratch_phys');
    const lengths = this.#debugfs('scratch_len');
    if (starts === undefined || lengths === undefined) {
      this.#missing.push('the scratch areas');
      return [];
    }
    const bytes = addresses(lengths);
    const areas = addresses(starts).map((start, i) => ({ start: start as Phys, bytes: bytes[i] ?? 0 }));
    if (areas.length !== bytes.length)
      lengths.wrong(`${bytes.length} areas, and ${areas.length} in scratch_phys`);
    return areas;
  }

  /** What a file of the kernel that left contains. */
  #debugfs(name: string): Place | undefined {
    for (const file of this.#root.each('debugfs')) {
      if (file.get('dump').text() === `${OUT}/${name}` && file.get('stage').whole(9) === 1)
        return file.get('hex');
    }
    return undefined;
  }

  #knowsOnly(phys: number, known: number, bytes: number): void {
    this.#unknown.push({ phys: phys + known, bytes: bytes - known });
  }

  #lacks(n: number, what: string, of?: number): void {
    if (n > 0) this.#missing.push(of === undefined ? `${n} ${what}` : `${n} of ${of} ${what}`);
  }
}

const u64At = (bytes: Uint8Array, at: number): number => nativeU64(bytes.subarray(at, at + 8))?.value ?? 0;

/** Where a subtree of the root lies. */
function subtreePhys(fdt: Uint8Array, name: string): number | undefined {
  return nativeU64(getProperty(fdt, subnodeOffset(fdt, 0, name), KHO_DATA_PROPERTY))?.value;
}

/** The lines of a debugfs file, an address each. */
function addresses(file: Place): number[] {
  const lines = new TextDecoder().decode(file.hex()).split('\n').slice(0, -1);
  return lines.map((line) => {
    return /^0x[0-9a-f]{1,10}$/.test(line) ? Number(line) : file.wrong(`'${line}' is no address`);
  });
}

const sameBytes = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && one.every((byte, i) => byte === other[i]);
