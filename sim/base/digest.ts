/*
 * A running digest: 64 bits over 32-bit words, order dependent, two multiply-rotate lanes. It tells runs apart and
 * proves replays equal; it is no cryptographic hash.
 */

export class Digest {
  #a = 0x243f6a88;
  #b = 0x13198a2e;

  /** Adds one 32-bit word. */
  mix(word: number): void {
    const a = Math.imul(this.#a ^ word, 0x9e3779b1);
    this.#a = (a << 15) | (a >>> 17);
    this.#b = (Math.imul(this.#b, 0x85ebca6b) + (word ^ this.#a)) | 0;
  }

  /** Adds four words. */
  mixFour(first: number, second: number, third: number, fourth: number): void {
    let a = Math.imul(this.#a ^ first, 0x9e3779b1);
    a = (a << 15) | (a >>> 17);
    let b = (Math.imul(this.#b, 0x85ebca6b) + (first ^ a)) | 0;
    a = Math.imul(a ^ second, 0x9e3779b1);
    a = (a << 15) | (a >>> 17);
    b = (Math.imul(b, 0x85ebca6b) + (second ^ a)) | 0;
    a = Math.imul(a ^ third, 0x9e3779b1);
    a = (a << 15) | (a >>> 17);
    b = (Math.imul(b, 0x85ebca6b) + (third ^ a)) | 0;
    a = Math.imul(a ^ fourth, 0x9e3779b1);
    a = (a << 15) | (a >>> 17);
    this.#a = a;
    this.#b = (Math.imul(b, 0x85ebca6b) + (fourth ^ a)) | 0;
  }

  /** Adds a number that may exceed 32 bits (exact below 2^53). */
  mixNumber(n: number): void {
    this.mix(n | 0);
    this.mix(Math.floor(n / 4294967296) | 0);
  }

  mixText(text: string): void {
    this.mix(text.length);
    for (let i = 0; i < text.length; i++) this.mix(text.charCodeAt(i));
  }

  /** The digest so far: 16 hexadecimal digits. */
  toString(): string {
    return avalanche(this.#a ^ this.#b) + avalanche(this.#b + Math.imul(this.#a, 0xc2b2ae35));
  }

  capture(): readonly [number, number] {
    return [this.#a, this.#b];
  }

  reinstate([a, b]: readonly [number, number]): void {
    this.#a = a;
    this.#b = b;
  }
}

function avalanche(word: number): string {
  let h = word | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0).toString(16).padStart(8, '0');
}
