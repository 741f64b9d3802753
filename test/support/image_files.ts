/*
 * Dumps of a machine's memory, written as QEMU and kdump write them, from a Ram: for tests of what reads them.
 */
import { closeSync, ftruncateSync, openSync, writeFileSync, writeSync } from 'node:fs';
import manySessions from '../../scenarios/many_sessions.ts';
import { PAGE_SIZE } from '../../sim/base/limits.ts';
import { type Phys, physOf } from '../../sim/base/units.ts';
import { decodeRamFile, placeRamFile } from '../../sim/explore/ram_file.ts';
import { simulate } from '../../sim/explore/simulate.ts';
import type { ImageReport } from '../../sim/image/image_report.ts';
import { Journal } from '../../sim/machine/journal.ts';
import type { MachineParams } from '../../sim/machine/machine.ts';
import { PiecePool } from '../../sim/machine/pool.ts';
import { Ram } from '../../sim/machine/ram.ts';
import { MIB } from './system.ts';

const WORDS = PAGE_SIZE / 4;

/** Pages that were written and are not all zero, ascending; not what something unmodelled overwrote. */
export function* writtenPages(ram: Ram): Generator<[Phys, Uint8Array]> {
  const words = new Int32Array(WORDS);
  for (const frame of ram.dirtyPages()) {
    ram.loadWords(physOf(frame), words, 0, WORDS);
    if (words.some((word) => word !== 0)) yield [physOf(frame), new Uint8Array(words.slice().buffer)];
  }
}

/** pmemsave from 0 on; holes where memory is zero. */
export function writeFlatDump(path: string, ram: Ram, bytes = ram.bytes): void {
  const fd = openSync(path, 'w');
  ftruncateSync(fd, bytes);
  for (const [phys, page] of writtenPages(ram)) if (phys < bytes) writeSync(fd, page, 0, PAGE_SIZE, phys);
  closeSync(fd);
}

/** A PT_LOAD segment of a core. */
export interface Segment {
  readonly phys: number;
  readonly bytes: number;
  /** Bytes that the file has; all unless given. */
  readonly kept?: number;
}

export interface CoreOptions {
  readonly elfClass?: number;
  readonly data?: number;
  readonly type?: number;
  /** Write the number of program headers to section 0, as cores with very many have it. */
  readonly extended?: boolean;
}

/** A core with a PT_NOTE in front and the segments in the order given. */
export function writeElfCore(
  path: string,
  ram: Ram,
  segments: readonly Segment[],
  { elfClass = 2, data = 1, type = 4, extended = false }: CoreOptions = {},
): void {
  const nr = segments.length + 1;
  const headers = 64 + 56 * nr + (extended ? 64 : 0);
  const header = new DataView(new ArrayBuffer(headers));
  [0x7f, 0x45, 0x4c, 0x46, elfClass, data, 1].forEach((byte, i) => {
    header.setUint8(i, byte);
  });
  header.setUint16(16, type, true);
  header.setUint16(18, 62, true);
  header.setBigUint64(32, 64n, true);
  header.setUint16(52, 64, true);
  header.setUint16(54, 56, true);
  header.setUint16(56, extended ? 0xffff : nr, true);
  if (extended) {
    header.setUint16(58, 64, true);
    header.setUint16(60, 1, true);
    header.setBigUint64(40, BigInt(64 + 56 * nr), true);
    header.setUint32(64 + 56 * nr + 44, nr, true);
  }
  header.setUint32(64, 4, true);
  const fd = openSync(path, 'w');
  let offset = Math.ceil(headers / 0x1000) * 0x1000;
  for (const [i, { phys, bytes, kept = bytes }] of segments.entries()) {
    const at = 64 + 56 * (i + 1);
    header.setUint32(at, 1, true);
    header.setBigUint64(at + 8, BigInt(offset), true);
    header.setBigUint64(at + 16, 0xffff888000000000n + BigInt(phys), true);
    header.setBigUint64(at + 24, BigInt(phys), true);
    header.setBigUint64(at + 32, BigInt(kept), true);
    header.setBigUint64(at + 40, BigInt(bytes), true);
    ftruncateSync(fd, offset + kept);
    for (const [page, contents] of writtenPages(ram)) {
      const from = Math.max(page, phys);
      const to = Math.min(page + PAGE_SIZE, phys + kept);
      if (from < to) writeSync(fd, contents, from - page, to - from, offset + from - phys);
    }
    offset += kept;
  }
  writeSync(fd, new Uint8Array(header.buffer), 0, headers, 0);
  closeSync(fd);
}

export interface SavedRun {
  readonly revision: string;
  readonly sessions: number;
  readonly generations?: number;
  readonly machine?: MachineParams;
}

/** A RAM file of a run's last jump, and the memory that crossed. */
export function saveRamFile(
  path: string,
  { revision, sessions, generations = 2, machine = { ramBytes: 32 * MIB, nodes: 1, cpus: 1 } }: SavedRun,
): { readonly ram: Ram; readonly fdtPhys: Phys; readonly scratchPhys: Phys } {
  const revisions = [revision];
  const program = manySessions({ revisions, generations, sessions, pattern: 's-%d' });
  const pieces: Uint8Array[] = [];
  simulate(
    { machine, profile: 'icount', seed: 'image', program },
    { save: (written) => pieces.push(...Array.from(written, (piece) => piece.slice())) },
  );
  writeFileSync(path, Buffer.concat(pieces));
  const file = decodeRamFile(pieces);
  if (typeof file === 'string') throw new Error(file);
  const ram = new Ram({ pool: new PiecePool(), journal: new Journal() }, machine.ramBytes);
  placeRamFile(file, ram);
  return { ram, fdtPhys: file.header.fdtPhys as Phys, scratchPhys: file.header.scratchPhys as Phys };
}

/** How the incoming kernel got on, in a word. */
export function outcomeOf({ incoming }: ImageReport): string {
  if (incoming === undefined) return 'not booted';
  if (incoming.state === 'panicked') return 'panic';
  if (incoming.bootKind !== 'handover') return incoming.bootKind;
  if (incoming.open !== 'OK') return incoming.open;
  const { warnings, oopses, violations } = incoming;
  return warnings + oopses + violations.length === 0 ? 'sound' : 'unsound';
}
