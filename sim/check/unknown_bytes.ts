/*
 * Bytes of a memory that are not known: stretches, ascending and apart.
 */

export interface Stretch {
  readonly phys: number;
  readonly bytes: number;
}

export class UnknownBytes {
  readonly #stretches: readonly Stretch[];

  /** `stretches` in any order; none overlaps another. */
  constructor(stretches: readonly Stretch[]) {
    this.#stretches = [...stretches].sort((x, y) => x.phys - y.phys);
  }

  /** How many of the bytes from an address on are not known. */
  in(address: number, bytes: number): number {
    let unknown = 0;
    for (let i = this.#from(address); i < this.#stretches.length; i++) {
      const { phys, bytes: length } = this.#stretches[i] as Stretch;
      if (phys >= address + bytes) break;
      unknown += Math.min(phys + length, address + bytes) - Math.max(phys, address);
    }
    return unknown;
  }

  /** The first stretch that ends behind an address. */
  #from(address: number): number {
    let [low, high] = [0, this.#stretches.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { phys, bytes } = this.#stretches[middle] as Stretch;
      if (phys + bytes <= address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
