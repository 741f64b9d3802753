/*
 * Finds a name that was met before, among millions: open addressing over the addresses of entries, names compared where
 * they lie in memory.
 */
import { hashName, NAME_WORDS, truncateName } from '../luo/name.ts';
import type { Memory } from './anatomy.ts';

const SLOTS_MIN = 256;

export class NameIndex {
  readonly #memory: Memory;
  readonly #words = new Int32Array(NAME_WORDS);
  readonly #other = new Int32Array(NAME_WORDS);
  /** Address + 1 of a name, and its number; 0 for nothing. */
  #addresses = new Float64Array(SLOTS_MIN);
  #numbers = new Int32Array(SLOTS_MIN);
  #used = 0;

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** The number of the name that was added first of those equal to the one at an address; adds it where there is none. */
  add(address: number, number: number): number | undefined {
    if (this.#used * 2 >= this.#addresses.length) this.#grow();
    const slot = this.#slotOf(address);
    if (this.#addresses[slot] !== 0) return this.#numbers[slot];
    this.#addresses[slot] = address + 1;
    this.#numbers[slot] = number;
    this.#used++;
    return undefined;
  }

  /** Where a name stands, or could. */
  #slotOf(address: number): number {
    const mask = this.#addresses.length - 1;
    this.#load(address, this.#words);
    for (let slot = hashName(this.#words, 0) & mask; ; slot = (slot + 1) & mask) {
      const other = this.#addresses[slot] as number;
      if (other === 0) return slot;
      this.#load(other - 1, this.#other);
      if (this.#words.every((word, k) => word === this.#other[k])) return slot;
    }
  }

  #load(address: number, words: Int32Array): void {
    this.#memory.loadWords(address, words, 0, NAME_WORDS);
    truncateName(words, 0);
  }

  #grow(): void {
    const addresses = this.#addresses;
    const numbers = this.#numbers;
    this.#addresses = new Float64Array(addresses.length * 2);
    this.#numbers = new Int32Array(addresses.length * 2);
    for (let old = 0; old < addresses.length; old++) {
      if (addresses[old] === 0) continue;
      const slot = this.#slotOf((addresses[old] as number) - 1);
      this.#addresses[slot] = addresses[old] as number;
      this.#numbers[slot] = numbers[old] as number;
    }
  }
}
