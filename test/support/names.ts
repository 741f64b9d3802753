/*
 * Names as bytes, for tests.
 */
import { SESSION_NAME_LENGTH } from '../../sim/base/limits.ts';

/** Writes bytes as a name: at most 64 of them, zero padded. */
export function putName(words: Int32Array, at: number, bytes: Uint8Array): void {
  words.fill(0, at, at + SESSION_NAME_LENGTH / 4);
  for (let i = 0; i < Math.min(bytes.length, SESSION_NAME_LENGTH); i++) {
    words[at + (i >>> 2)] = (words[at + (i >>> 2)] as number) | ((bytes[i] as number) << ((i & 3) * 8));
  }
}
