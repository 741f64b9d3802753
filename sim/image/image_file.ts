/*
 * Files that hold the memory of a machine, recognised by their content:
 *
 *   ram-file     what luosim run --save-ram wrote              knows its root and its scratch array
 *   elf-core     QEMU dump-guest-memory, /proc/vmcore, kdump   elf_core.ts
 *   extracted    JSON of pages taken out of a dump, with its .bin files beside it (extracted_image.ts)
 *   flat-dump    physical memory from address 0 on (QEMU pmemsave): whatever else there is
 *
 * Memory is read when somebody looks, but for RAM files and extracted pages, which are held whole.
 */
import { extname } from 'node:path';
import { PAGE_SIZE, RAM_BYTES_MAX, RAM_BYTES_MIN } from '../base/limits.ts';
import { hex, type Pfn, type Phys, roundUp } from '../base/units.ts';
import { namesBeside, OpenFile, readPieces, readWhole } from '../explore/host_file.ts';
import { decodeRamFile, RAM_FILE_MAGIC, type RamFileHeader } from '../explore/ram_file.ts';
import { KEXEC_METADATA_NODE } from '../kho/abi.ts';
import type { ScratchArea } from '../kho/scratch.ts';
import { GarbageMap } from '../machine/garbage.ts';
import { Journal } from '../machine/journal.ts';
import type { MachineParams } from '../machine/machine.ts';
import { PiecePool } from '../machine/pool.ts';
import { Stamps } from '../machine/stamps.ts';
import { ELF_MAGIC, readElfCore } from './elf_core.ts';
import { extractedImage, extractParts } from './extracted_image.ts';
import { FileRuns, type OnScan } from './file_runs.ts';
import { ImageMemory, KeptPages, type MemoryRange } from './image_memory.ts';
import type { Doubt, ImageKind } from './image_report.ts';

/** What the file itself says of the scratch areas. */
export type FileScratch =
  /** The array that the next kernel is given, and for which machine it was written. */
  | { readonly arrayPhys: Phys; readonly machine: MachineParams }
  | { readonly areas: readonly ScratchArea[]; readonly source: string };

export interface Image {
  readonly kind: ImageKind;
  readonly memory: ImageMemory;
  /** RAM of a machine that has this memory, bytes. */
  readonly ramBytes: number;
  /** Root of the handover, where the file says it. */
  readonly fdtPhys: Phys | undefined;
  readonly scratch: FileScratch | undefined;
  /** What was assumed, a line each. */
  readonly notes: readonly string[];
  /** What belongs to the handover and is not in the file, as the file says. */
  readonly missing: readonly string[];
  /** Whether a problem may come of that. */
  readonly doubt: Doubt;
  close(): void;
}

export interface ImageRequest {
  readonly path: string;
  /** Bytes of RAM of the machine, where the file has less. */
  readonly ramBytes?: number;
  /** Looking for the root takes a while. */
  readonly onScan?: OnScan;
}

/** A machine's RAM comes in such steps. */
const RAM_STEP = 4 * 2 ** 20;
const EXTRACT_BYTES_MAX = 256 * 2 ** 20;

/** A file that does not say of itself that it lacks anything. */
const WHOLE = { missing: [], doubt: () => false } as const;

/** Files whose contents no seeking gets at. */
const OTHERS: readonly (readonly [string, string])[] = [
  ['KDUMP   ', 'is a compressed kdump; write it with dump-guest-memory without -z, or with makedumpfile -E'],
  ['DISKDUMP', 'is a diskdump; give an ELF core or a flat dump'],
  ['makedumpfile', 'is a flattened makedumpfile; put it together with makedumpfile -R'],
  ['QEVM', 'is a QEMU migration stream; save memory with pmemsave or dump-guest-memory'],
  ['EMiL', 'is a LiME dump; save memory with format=padded, which is a flat dump'],
  ['\x1f\x8b', 'is compressed with gzip; decompress it'],
  ['\xfd7zXZ', 'is compressed with xz; decompress it'],
  ['\x28\xb5\x2f\xfd', 'is compressed with zstd; decompress it'],
];

/** The image, or why the file is none, to be said after its name. Throws a FileProblem where it cannot be read. */
export function openImage(request: ImageRequest): Image | string {
  const file = new OpenFile(request.path);
  let image: Image | string | undefined;
  try {
    image = recognise(file, request);
  } finally {
    if (typeof image !== 'object') file.close();
  }
  return image;
}

function recognise(file: OpenFile, request: ImageRequest): Image | string {
  const head = new Uint8Array(64);
  const begin = head.subarray(0, file.read(head, 0));
  if (beginsWith(begin, RAM_FILE_MAGIC)) return ramFileImage(file, request);
  if (beginsWith(begin, ELF_MAGIC)) return elfImage(file, request);
  if (/^\s*\{\s*"/.test(String.fromCharCode(...begin))) return extractImage(file, request);
  return OTHERS.find(([magic]) => beginsWith(begin, latin1(magic)))?.[1] ?? flatImage(file, request);
}

const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

const beginsWith = (bytes: Uint8Array, magic: Uint8Array): boolean =>
  bytes.length >= magic.length && magic.every((byte, i) => bytes[i] === byte);

/** Pages that are not in a RAM file. */
function untouchedOf({ garbage, stamps = [] }: RamFileHeader): (frame: Pfn) => Int32Array {
  const regions = new GarbageMap(garbage);
  const stamped = new Stamps({ pool: new PiecePool(), journal: new Journal() });
  for (const stamp of stamps) stamped.put(stamp.first, stamp.order, stamp);
  return (frame) => {
    const words = new Int32Array(PAGE_SIZE / 4);
    const address = frame * PAGE_SIZE;
    if (!stamped.fillPage(words, 0, address)) regions.fillPage(words, 0, address);
    return words;
  };
}

function ramFileImage(file: OpenFile, { path }: ImageRequest): Image | string {
  const decoded = decodeRamFile(readPieces(path));
  if (typeof decoded === 'string') return decoded;
  const { header, pages } = decoded;
  const untouched = untouchedOf(header);

  const kept = new Map<number, Int32Array>(pages.map(({ frame, words }) => [frame, words]));
  const { machine, fdtPhys, scratchPhys } = header;
  return {
    kind: 'ram-file',
    memory: new ImageMemory([{ start: 0, end: machine.ramBytes }], new KeptPages(kept, untouched)),
    ramBytes: machine.ramBytes,
    fdtPhys: fdtPhys as Phys,
    scratch: { arrayPhys: scratchPhys as Phys, machine },
    notes: [],
    ...WHOLE,
    close: () => file.close(),
  };
}

function elfImage(file: OpenFile, { ramBytes: asked, onScan }: ImageRequest): Image | string {
  const core = readElfCore(file);
  if (typeof core === 'string') return core;
  const { ranges, runs } = core;
  const notes: string[] = [];
  const missing = runs.reduce((sum, { offset, bytes }) => sum + Math.max(offset + bytes - file.bytes, 0), 0);
  if (missing > 0) notes.push(`the file is cut off: ${missing} bytes of its segments are missing`);
  const memory = new ImageMemory(ranges, new FileRuns(file, runs, onScan));
  const ramBytes = machineBytes(memory, asked);
  if (typeof ramBytes === 'string') return ramBytes;
  return {
    kind: 'elf-core',
    memory,
    ramBytes,
    fdtPhys: undefined,
    scratch: undefined,
    notes,
    ...WHOLE,
    close: () => file.close(),
  };
}

function extractImage(file: OpenFile, { path, ramBytes: asked }: ImageRequest): Image | string {
  if (file.bytes > EXTRACT_BYTES_MAX) return 'is too long for JSON of extracted pages; give another file';
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(readWhole(path)));
  } catch {
    return 'begins as JSON and is none; give the JSON of extracted pages, or a dump';
  }
  const names = extractParts(json);
  const extract = typeof names === 'string' ? names : extractedImage(json, readParts(path, names));
  if (typeof extract === 'string') return `${extract}; extract it again`;
  const { pages, fdtPhys, scratch, missing, kernel } = extract;
  const kept = new Map<number, Int32Array>(pages.map(({ frame, words }) => [frame, words]));
  const range = { start: 0, end: Math.max(extract.ramBytes, asked ?? 0) };
  const memory = new ImageMemory([range], new KeptPages(kept));
  const ramBytes = machineBytes(memory, asked);
  if (typeof ramBytes === 'string') return ramBytes;
  const notes =
    asked === undefined ? [`size of memory not known: ${ramBytes / 2 ** 20} MiB assumed; or give --ram`] : [];
  return {
    kind: 'extracted',
    memory,
    ramBytes,
    fdtPhys,
    scratch: { areas: scratch, source: `debugfs of ${kernel}` },
    notes,
    missing,
    doubt: doubtOf(missing),
    close: () => file.close(),
  };
}

/** What an extract cut short takes with it: the blocks of its map, and whatever is told of its memfds but their bytes. */
function doubtOf(missing: readonly string[]): Doubt {
  const lacksBlocks = missing.some((what) => what.endsWith('preserved blocks'));
  const lacksFiles = missing.some((what) => /folios|memfd records|files of|FLBs/.test(what));
  const lacksMetadata = missing.includes(KEXEC_METADATA_NODE);
  return ({ path, text }) =>
    (lacksBlocks && text === 'is not preserved') ||
    (lacksFiles && /\.(file|memfd)|^flb/.test(path)) ||
    (lacksMetadata && path === KEXEC_METADATA_NODE);
}

/** The blobs beside a JSON file, by name. */
function readParts(path: string, names: readonly string[]): Map<string, Uint8Array> {
  const present = new Set(namesBeside(path));
  const stem = path.slice(0, path.length - extname(path).length);
  const there = names.filter((name) => present.has(`${name}.bin`));
  return new Map(there.map((name) => [name, readWhole(`${stem}.${name}.bin`)]));
}

function flatImage(file: OpenFile, { ramBytes: asked = 0, onScan }: ImageRequest): Image | string {
  if (file.bytes < PAGE_SIZE) return `has ${file.bytes} bytes, less than a page of memory; give another file`;
  const range: MemoryRange = { start: 0, end: Math.max(file.bytes, asked) };
  const runs = [{ phys: 0, offset: 0, bytes: file.bytes }];
  const memory = new ImageMemory([range], new FileRuns(file, runs, onScan));
  const ramBytes = machineBytes(memory, asked);
  if (typeof ramBytes === 'string') return ramBytes;
  return {
    kind: 'flat-dump',
    memory,
    ramBytes,
    fdtPhys: undefined,
    scratch: undefined,
    notes: [],
    ...WHOLE,
    close: () => file.close(),
  };
}

function machineBytes(memory: ImageMemory, asked = 0): number | string {
  const bytes = roundUp(Math.max(memory.bytes, asked, RAM_BYTES_MIN), RAM_STEP);
  if (bytes <= RAM_BYTES_MAX) return bytes;
  return `has memory up to ${hex(memory.bytes)}, and luosim knows machines up to ${hex(RAM_BYTES_MAX)}; give another file`;
}
