/*
 * What agents write: a pattern of a seed and the place in the file, so that whoever knows seed and place knows the
 * bytes. Whole pages of it are never made: shmem keeps them as stamps.
 */
import type { Contents } from '../files/shmem_write.ts';
import { patternWord } from '../machine/stamps.ts';

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

/** The same to be written at `at`, made as it is needed. */
export const patternContents = (seed: number, at: number, bytes: number): Contents => ({
  bytes,
  seed,
  slice: (from, n) => patternBytes(seed, at + from, n),
});
