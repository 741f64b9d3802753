/*
 * Session names: 64 bytes, NUL-terminated, in 16 words. A name in a buffer is normalised (zero behind the first NUL,
 * as strscpy into a zeroed struct leaves it), so that equality of words is equality under strncmp over 64 bytes.
 */
import { SESSION_NAME_LENGTH } from '../base/limits.ts';

export const NAME_WORDS = SESSION_NAME_LENGTH / 4;

/** The top bit of the first zero byte of a word, perhaps with those of bytes behind it; 0 where there is none. */
const zeroBits = (word: number): number => (word - 0x01010101) & ~word & 0x80808080;

/** Whether a word has a zero byte. */
const hasZero = (word: number): boolean => zeroBits(word) !== 0;

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
    const low = words[at + k] as number;
    const high = words[at + k + 1] as number;
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

/** Keeps the bytes in front of the first zero byte, which is there. */
function maskBehindNul(word: number): number {
  const zeros = zeroBits(word);
  return word & (((zeros & -zeros) >>> 7) - 1);
}

const SEED = 0x9747b28c;

/** A name that can be looked for in a map. */
export interface Name {
  /** Normalised. */
  readonly words: Int32Array;
  /** 32 bits: the MurmurHash3 mix. */
  readonly hash: number;
  /**
   * Where a map of 2^n slots begins to look for it, in the low n bits. A number at the end of a name counts: behind
   * `vm-7` lies `vm-8`, and who goes through them in order goes through memory in order.
   */
  readonly place: number;
  /** Odd; how far on a map looks, each time that a slot is another's: the same for about a thousand numbers. */
  readonly stride: number;
}

/**
 * Hashes names. Those that follow one another begin alike, and one is often asked for twice in a row: hashing begins at
 * the first word in which a name differs from the one before it. (What it comes to does not depend on that.)
 */
export class NameHasher implements Name {
  readonly words = new Int32Array(NAME_WORDS);
  hash = avalanche(SEED);
  place = avalanche(SEED);
  stride = strideOf(this.place, 0);
  /** Words up to the first that is 0. */
  length = 0;
  /** State of the hash before each word. */
  readonly #states = new Int32Array(NAME_WORDS + 1).fill(SEED, 0, 1);
  /** The same before the decimal digits that stand there, and their value, modulo 2^32. */
  readonly #stems = new Int32Array(NAME_WORDS + 1).fill(SEED, 0, 1);
  readonly #numbers = new Int32Array(NAME_WORDS + 1);

  /** Takes 64 bytes up to their NUL; `cut`: at most 63, as strscpy into name[64] does. */
  set(words: Int32Array, at: number, cut = false): void {
    const own = this.words;
    const alike = cut ? NAME_WORDS - 1 : NAME_WORDS;
    // No byte of a word is 0 that another one follows.
    let k = this.length > SKIPPED && startsAlike(own, words, at) ? SKIPPED : 0;
    let word = words[at + k] as number;
    while (word === own[k] && k < alike) {
      if (hasZero(word) || ++k === NAME_WORDS) return;
      word = words[at + k] as number;
    }
    const states = this.#states;
    const stems = this.#stems;
    const numbers = this.#numbers;
    let h = states[k] as number;
    let stem = stems[k] as number;
    let number = numbers[k] as number;
    for (;;) {
      if (cut && k === NAME_WORDS - 1) word &= 0x00ffffff;
      const ends = hasZero(word);
      if (ends) word = maskBehindNul(word);
      if (word === 0) break;
      own[k] = word;
      // The last byte that is not 0 comes to the top.
      const unused = Math.clz32(word) & ~7;
      const ending = word << unused;
      const digits = digitsOf(ending);
      const beyondStem = digits * 8 + unused;
      const above = beyondStem === 32 ? Math.imul(number, POWERS[digits] as number) : 0;
      number = (above + numberIn(ending, digits)) | 0;
      if (beyondStem !== 32) stem = mixWord(h, word & (-1 >>> beyondStem));
      h = mixWord(h, word);
      states[++k] = h;
      stems[k] = stem;
      numbers[k] = number;
      if (ends || k === NAME_WORDS) break;
      word = words[at + k] as number;
    }
    for (let rest = k; rest < this.length; rest++) own[rest] = 0;
    this.length = k;
    this.hash = avalanche(h);
    const start = avalanche(stem);
    this.place = (start + number) | 0;
    this.stride = strideOf(start, number);
  }
}

/** Words that are compared at once. */
const SKIPPED = 3;

const startsAlike = (own: Int32Array, words: Int32Array, at: number): boolean =>
  own[0] === words[at] && own[1] === words[at + 1] && own[2] === words[at + 2];

/** Of bits that slots of a small map do not show: names that meet in one go apart. */
const strideOf = (start: number, number: number): number =>
  (Math.imul(start ^ (start >>> 16) ^ Math.imul(number >>> TOGETHER, 0x85ebca6b), 0x9e3779b1) >>> 8) | 1;
/** The numbers that go the same way: 2^10. No map is smaller, so that no two of them begin at one slot. */
const TOGETHER = 10;

const POWERS = [1, 10, 100, 1000, 10_000];

/** How many decimal digits stand at the end of four bytes, 0 to 4. */
function digitsOf(word: number): number {
  const values = word ^ 0x30303030;
  return Math.clz32((((values & 0x7f7f7f7f) + 0x76767676) | values) & 0x80808080) >>> 3;
}

/** The value of the last `digits` of four bytes. */
function numberIn(word: number, digits: number): number {
  const values = digits === 0 ? 0 : (word ^ 0x30303030) & (-1 << (32 - digits * 8));
  return (
    (values >>> 24) + ((values >>> 16) & 0xff) * 10 + ((values >>> 8) & 0xff) * 100 + (values & 0xff) * 1000
  );
}

function mixWord(h: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593) ^ h;
  return (Math.imul((k << 13) | (k >>> 19), 5) + 0xe6546b64) | 0;
}

function avalanche(hash: number): number {
  let h = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

const asked = new NameHasher();

/** 32-bit hash of a normalised name. */
export function hashName(words: Int32Array, at: number): number {
  asked.set(words, at);
  return asked.hash;
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
