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
import { PAGE_SIZE, RAM_BYTES_MAX, RAM_BYTES_MIN } from '../base/limits.ts';
import { type Pfn, type Phys, roundUp } from '../base/units.ts';
import type { ScratchArea } from '../kho/scratch.ts';
import { GarbageMap } from '../machine/garbage.ts';
import type { MachineParams } from '../machine/machine.ts';
import { ELF_MAGIC, readElfCore } from './elf_core.ts';
import { FileRuns } from './file_runs.ts';
import { FileProblem, OpenFile, readPieces } from './host_file.ts';
import { ImageMemory, KeptPages, type MemoryRange } from './image_memory.ts';
import { decodeRamFile, RAM_FILE_MAGIC, type RamFile } from './ram_file.ts';

export type ImageKind = 'ram-file' | 'flat-dump' | 'elf-core' | 'extracted';

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
  /** What the file lacks and what was assumed, a line each. */
  readonly notes: readonly string[];
  close(): void;
}

export interface ImageRequest {
  readonly path: string;
  /** Bytes of RAM of the machine, where the file has less. */
  readonly ramBytes?: number;
}

/** A machine's RAM comes in such steps. */
const RAM_STEP = 4 * 2 ** 20;

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

/** Throws a FileProblem, to be said after the file's name. */
export function openImage(request: ImageRequest): Image {
  const file = new OpenFile(request.path);
  try {
    const head = new Uint8Array(64);
    const begin = head.subarray(0, file.read(head, 0));
    if (beginsWith(begin, RAM_FILE_MAGIC)) return ramFileImage(decoded(request.path), file);
    if (beginsWith(begin, ELF_MAGIC)) return elfImage(file, request);
    for (const [magic, what] of OTHERS) {
      if (beginsWith(begin, latin1(magic))) throw new FileProblem(what);
    }
    return flatImage(file, request);
  } catch (error) {
    file.close();
    throw error;
  }
}

const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

const beginsWith = (bytes: Uint8Array, magic: Uint8Array): boolean =>
  bytes.length >= magic.length && magic.every((byte, i) => bytes[i] === byte);

function decoded(path: string): RamFile {
  const file = decodeRamFile(readPieces(path));
  if (typeof file === 'string') throw new FileProblem(file);
  return file;
}

function ramFileImage({ header, pages }: RamFile, file: OpenFile): Image {
  file.close();
  const garbage = new GarbageMap(header.garbage);
  const untouched = (frame: Pfn): Int32Array => {
    const words = new Int32Array(PAGE_SIZE / 4);
    garbage.fillPage(words, 0, frame * PAGE_SIZE);
    return words;
  };
  const kept = new Map<number, Int32Array>(pages.map(({ frame, words }) => [frame, words]));
  const { machine, fdtPhys, scratchPhys } = header;
  return {
    kind: 'ram-file',
    memory: new ImageMemory([{ start: 0, end: machine.ramBytes }], new KeptPages(kept, untouched)),
    ramBytes: machine.ramBytes,
    fdtPhys: fdtPhys as Phys,
    scratch: { arrayPhys: scratchPhys as Phys, machine },
    notes: [],
    close: () => {},
  };
}

function elfImage(file: OpenFile, { ramBytes }: ImageRequest): Image {
  const core = readElfCore(file);
  if (typeof core === 'string') throw new FileProblem(core);
  const { ranges, runs } = core;
  const notes: string[] = [];
  const missing = runs.reduce((sum, { offset, bytes }) => sum + Math.max(offset + bytes - file.bytes, 0), 0);
  if (missing > 0) notes.push(`the file is cut off: ${missing} bytes of its segments are missing`);
  const memory = new ImageMemory(ranges, new FileRuns(file, runs));
  return {
    kind: 'elf-core',
    memory,
    ramBytes: machineBytes(memory, ramBytes),
    fdtPhys: undefined,
    scratch: undefined,
    notes,
    close: () => file.close(),
  };
}

function flatImage(file: OpenFile, { ramBytes = 0 }: ImageRequest): Image {
  if (file.bytes < PAGE_SIZE) throw new FileProblem(`has ${file.bytes} bytes: no memory of a machine`);
  const range: MemoryRange = { start: 0, end: Math.max(file.bytes, ramBytes) };
  const runs = [{ phys: 0, offset: 0, bytes: file.bytes }];
  const memory = new ImageMemory([range], new FileRuns(file, runs));
  return {
    kind: 'flat-dump',
    memory,
    ramBytes: machineBytes(memory, ramBytes),
    fdtPhys: undefined,
    scratch: undefined,
    notes: [],
    close: () => file.close(),
  };
}

function machineBytes(memory: ImageMemory, asked = 0): number {
  const bytes = roundUp(Math.max(memory.bytes, asked, RAM_BYTES_MIN), RAM_STEP);
  if (bytes <= RAM_BYTES_MAX) return bytes;
  const [has, most] = [memory.bytes, RAM_BYTES_MAX].map((n) => `0x${n.toString(16)}`);
  throw new FileProblem(`has memory up to ${has}, and luosim knows machines up to ${most}`);
}
