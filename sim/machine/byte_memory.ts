/*
 * Bytes of a memory that is read and written in words, little-endian.
 */
import { PageFault } from './page_fault.ts';

export abstract class ByteMemory {
  /** Whether the whole range is memory that can be reached. */
  abstract has(address: number, bytes: number): boolean;
  abstract load32(address: number): number;
  abstract store32(address: number, word: number): void;
  abstract loadWords(address: number, target: Int32Array, at: number, n: number): void;
  abstract storeWords(address: number, source: Int32Array, from: number, n: number): void;

  load8(address: number): number {
    if (!this.has(address, 1)) throw new PageFault(address);
    return (this.load32(address - (address & 3)) >>> ((address & 3) * 8)) & 0xff;
  }

  store8(address: number, byte: number): void {
    if (!this.has(address, 1)) throw new PageFault(address);
    const aligned = address - (address & 3);
    const shift = (address & 3) * 8;
    const word = this.load32(aligned);
    this.store32(aligned, (word & ~(0xff << shift)) | ((byte & 0xff) << shift));
  }

  /** A copy of `bytes` bytes. */
  loadBytes(address: number, bytes: number): Uint8Array {
    if (!this.has(address, bytes)) throw new PageFault(address);
    const copy = new Uint8Array(Math.ceil(bytes / 4) * 4);
    const whole = (address & 3) === 0 ? bytes >>> 2 : 0;
    if (whole > 0) this.loadWords(address, new Int32Array(copy.buffer), 0, whole);
    for (let i = whole * 4; i < bytes; i++) copy[i] = this.load8(address + i);
    return copy.subarray(0, bytes);
  }

  storeBytes(address: number, source: Uint8Array): void {
    if (!this.has(address, source.length)) throw new PageFault(address);
    const whole = (address & 3) === 0 ? source.length >>> 2 : 0;
    if (whole > 0) {
      // A copy: `source` may be a part of any buffer, at any place.
      const words = new Int32Array(whole);
      new Uint8Array(words.buffer).set(source.subarray(0, whole * 4));
      this.storeWords(address, words, 0, whole);
    }
    for (let i = whole * 4; i < source.length; i++) this.store8(address + i, source[i] as number);
  }
}
