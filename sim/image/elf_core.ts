/*
 * ELF cores of a whole machine: QEMU's dump-guest-memory, /proc/vmcore, kexec crash dumps, makedumpfile -E. Only what
 * says where memory lies is read: PT_LOAD segments by physical address. 64 bits, little endian.
 *
 *   Elf64_Ehdr     0 "\x7fELF", class, data   16 type   32 phoff   40 shoff   54 phentsize   56 phnum
 *   Elf64_Phdr     0 type   8 offset   24 paddr   32 filesz   40 memsz             0xffff headers: as sh_info of section 0
 *
 * Memory of a segment behind its filesz was there and is not in the file.
 */

import type { OpenFile } from '../explore/host_file.ts';
import type { FileRun } from './file_runs.ts';
import type { MemoryRange } from './image_memory.ts';

export interface ElfCore {
  readonly ranges: readonly MemoryRange[];
  readonly runs: readonly FileRun[];
}

export const ELF_MAGIC = Uint8Array.of(0x7f, 0x45, 0x4c, 0x46);

const HEADER_BYTES = 64;
const PHDR_BYTES = 56;
const ELFCLASS64 = 2;
const ELFDATA2LSB = 1;
const ET_CORE = 4;
const PT_LOAD = 1;
/** The number of program headers does not fit e_phnum. */
const PN_XNUM = 0xffff;
const PHDRS_MAX = 1_000_000;
/** p_paddr of a segment that has none. */
const NO_ADDRESS = 0xffffffffffffffffn;
const REMEDY = 'dump memory again with dump-guest-memory, or give a flat dump';

/** Where memory lies in the core, or what is wrong with it, to be said after its name. */
export function readElfCore(file: OpenFile): ElfCore | string {
  const header = bytesAt(file, 0, HEADER_BYTES);
  if (header === undefined) return `is an ELF file that ends in its header; ${REMEDY}`;
  if (header.getUint8(4) !== ELFCLASS64) return `is an ELF file of 32 bits, of 64 is asked; ${REMEDY}`;
  if (header.getUint8(5) !== ELFDATA2LSB)
    return `is an ELF file of a big-endian machine, and only little-endian ones are read; ${REMEDY}`;
  if (header.getUint16(16, true) !== ET_CORE) return `is an ELF file and no core; ${REMEDY}`;
  const size = header.getUint16(54, true);
  if (size < PHDR_BYTES) return `is an ELF core with program headers of ${size} bytes; ${REMEDY}`;
  const nr = countOf(file, header);
  const at = Number(header.getBigUint64(32, true));
  const table = nr === undefined ? undefined : bytesAt(file, at, nr * size);
  if (nr === undefined || table === undefined)
    return `is an ELF core that ends before its program headers do; ${REMEDY}`;
  const ranges: MemoryRange[] = [];
  const runs: FileRun[] = [];
  for (let phdr = 0; phdr < nr * size; phdr += size) {
    if (table.getUint32(phdr, true) !== PT_LOAD) continue;
    const phys = table.getBigUint64(phdr + 24, true);
    if (phys === NO_ADDRESS) continue;
    const [offset, filesz, memsz] = [8, 32, 40].map((field) =>
      Number(table.getBigUint64(phdr + field, true)),
    );
    const start = Number(phys);
    ranges.push({ start, end: start + Math.max(memsz as number, filesz as number) });
    runs.push({ phys: start, offset: offset as number, bytes: filesz as number });
  }
  if (ranges.length === 0) return `is an ELF core without memory (no PT_LOAD segment); ${REMEDY}`;
  return { ranges, runs };
}

function countOf(file: OpenFile, header: DataView): number | undefined {
  const nr = header.getUint16(56, true);
  if (nr !== PN_XNUM) return nr;
  const section = bytesAt(file, Number(header.getBigUint64(40, true)), HEADER_BYTES);
  const many = section?.getUint32(44, true);
  return many === undefined || many > PHDRS_MAX ? undefined : many;
}

function bytesAt(file: OpenFile, position: number, bytes: number): DataView | undefined {
  if (position + bytes > file.bytes) return undefined;
  const view = new DataView(new ArrayBuffer(bytes));
  return file.read(new Uint8Array(view.buffer), position) === bytes ? view : undefined;
}
