/*
 * What agents write: a pattern of a seed and the place in the file, so that whoever knows seed and place knows the
 * bytes, and no byte of a pattern is 0.
 */

/** The word of the pattern `seed` at a multiple of 4 bytes. */
export function patternWord(seed: number, at: number): number {
  let h =
    Math.imul(seed ^ 0x2545f491, 0x9e3779b1) ^ Math.imul((at / 4) | 0, 0x85ebca6b) ^ Math.floor(at / 2 ** 34);
  h = Math.imul(h ^ (h >>> 15), 0xc2b2ae35);
  return (h ^ (h >>> 13)) | 0x01010101;
}

/** `bytes` bytes of the pattern from a place on. */
export function patternBytes(seed: number, at: number, bytes: number): Uint8Array {
  const filled = new Uint8Array(bytes);
  let word = 0;
  for (let i = 0; i < bytes; i++) {
    const byte = (at + i) % 4;
    if (byte === 0 || i === 0) word = patternWord(seed, at + i - byte);
    filled[i] = (word >>> (byte * 8)) & 0xff;
  }
  return filled;
}

/** Bytes that `fill` stores at each place. */
export const FILL_BYTES = 8;
