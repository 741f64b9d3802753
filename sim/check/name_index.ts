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
  /** Address + 1 of a name, its number and its hash; address 0 for nothing. */
  #addresses = new Float64Array(SLOTS_MIN);
  #numbers = new Int32Array(SLOTS_MIN);
  #hashes = new Int32Array(SLOTS_MIN);
  #used = 0;

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** The number of the name that was added first of those equal to the one at an address; adds it where there is none. */
  add(address: number, number: number): number | undefined {
    if (this.#used * 2 >= this.#addresses.length) this.#grow();
    this.#load(address, this.#words);
    const hash = hashName(this.#words, 0);
    const mask = this.#addresses.length - 1;
    let slot = hash & mask;
    for (; this.#addresses[slot] !== 0; slot = (slot + 1) & mask) {
      if (this.#hashes[slot] !== hash) continue;
      this.#load((this.#addresses[slot] as number) - 1, this.#other);
      if (this.#words.every((word, k) => word === this.#other[k])) return this.#numbers[slot];
    }
    this.#set(slot, address + 1, number, hash);
    this.#used++;
    return undefined;
  }

  #set(slot: number, address: number, number: number, hash: number): void {
    this.#addresses[slot] = address;
    this.#numbers[slot] = number;
    this.#hashes[slot] = hash;
  }

  #load(address: number, words: Int32Array): void {
    this.#memory.loadWords(address, words, 0, NAME_WORDS);
    truncateName(words, 0);
  }

  #grow(): void {
    const [addresses, numbers, hashes] = [this.#addresses, this.#numbers, this.#hashes];
    const slots = addresses.length * 2;
    this.#addresses = new Float64Array(slots);
    this.#numbers = new Int32Array(slots);
    this.#hashes = new Int32Array(slots);
    for (const [old, address] of addresses.entries()) {
      if (address === 0) continue;
      const hash = hashes[old] as number;
      let slot = hash & (slots - 1);
      while (this.#addresses[slot] !== 0) slot = (slot + 1) & (slots - 1);
      this.#set(slot, address, numbers[old] as number, hash);
    }
  }
}
