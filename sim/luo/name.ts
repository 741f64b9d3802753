/*
 * Session names: 64 bytes, NUL-terminated, in 16 words. A name in a buffer is normalised (zero behind the first NUL,
 * as strscpy into a zeroed struct leaves it), so that equality of words is equality under strncmp over 64 bytes.
 */
import { SESSION_NAME_LENGTH } from '../base/limits.ts';

export const NAME_WORDS = SESSION_NAME_LENGTH / 4;

/** Whether a word has a zero byte. */
const hasZero = (word: number): boolean => ((word - 0x01010101) & ~word & 0x80808080) !== 0;

/** Clears what stands behind the first NUL; false where there is none in 64 bytes. */
export function normaliseName(words: Int32Array, at: number): boolean {
  for (let k = 0; k < NAME_WORDS; k++) {
    const word = words[at + k] as number;
    if (!hasZero(word)) continue;
    words[at + k] = maskBehindNul(word);
    for (let rest = k + 1; rest < NAME_WORDS; rest++) words[at + rest] = 0;
    return true;
  }
  return false;
}

/** Copies a normalised name 8 bytes at a time, and nothing behind those that have its NUL. @kernel strscpy */
export function copyName(target: Int32Array, to: number, words: Int32Array, at: number): void {
  for (let k = 0; k < NAME_WORDS; k += 2) {
    const [low, high] = [words[at + k] as number, words[at + k + 1] as number];
    target[to + k] = low;
    target[to + k + 1] = high;
    if (hasZero(low) || hasZero(high)) return;
  }
}

/** Whether a name is terminated and not empty: 1 to 63 bytes. */
export function isValidName(words: Int32Array, at: number): boolean {
  if (((words[at] as number) & 0xff) === 0) return false;
  for (let k = 0; k < NAME_WORDS; k++) if (hasZero(words[at + k] as number)) return true;
  return false;
}

/** Cuts a name to 63 bytes and its NUL, as strscpy into name[64] does. */
export function truncateName(words: Int32Array, at: number): void {
  if (!normaliseName(words, at))
    words[at + NAME_WORDS - 1] = (words[at + NAME_WORDS - 1] as number) & 0x00ffffff;
}

function maskBehindNul(word: number): number {
  for (let byte = 0; byte < 4; byte++) {
    if (((word >>> (byte * 8)) & 0xff) === 0) return byte === 0 ? 0 : word & (2 ** (byte * 8) - 1);
  }
  return word;
}

/** 32-bit hash of a normalised name (the MurmurHash3 mix). */
export function hashName(words: Int32Array, at: number): number {
  let h = 0x9747b28c;
  for (let k = 0; k < NAME_WORDS; k++) {
    const word = words[at + k] as number;
    if (word === 0) break;
    let k1 = Math.imul(word, 0xcc9e2d51);
    k1 = Math.imul((k1 << 15) | (k1 >>> 17), 0x1b873593);
    h ^= k1;
    h = (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
  }
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** Writes bytes as a name: at most 64 of them, zero padded. */
export function putName(words: Int32Array, at: number, bytes: Uint8Array): void {
  words.fill(0, at, at + NAME_WORDS);
  for (let i = 0; i < Math.min(bytes.length, SESSION_NAME_LENGTH); i++) {
    words[at + (i >>> 2)] = (words[at + (i >>> 2)] as number) | ((bytes[i] as number) << ((i & 3) * 8));
  }
}

/** The bytes of a name up to its NUL, one character each (latin-1). */
export function nameText(words: Int32Array, at: number): string {
  let name = '';
  for (let i = 0; i < SESSION_NAME_LENGTH; i++) {
    const byte = ((words[at + (i >>> 2)] as number) >>> ((i & 3) * 8)) & 0xff;
    if (byte === 0) break;
    name += String.fromCharCode(byte);
  }
  return name;
}
