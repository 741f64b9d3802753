/*
 * Garbage: stretches of memory that something unmodelled wrote, as the image of the next kernel that lands in scratch.
 * An untouched page in one reads as a pattern of the stretch's seed and its address, so it costs nothing however large
 * it is. Where stretches overlap, the later one is what is there.
 */
import type { Phys } from '../base/units.ts';

/** A stretch of whole pages. */
export interface GarbageRegion {
  readonly start: Phys;
  readonly bytes: number;
  readonly seed: number;
}

/** The stretches of a machine; never changes, so it is its own copy. */
export class GarbageMap {
  static readonly NONE = new GarbageMap([]);
  readonly regions: readonly GarbageRegion[];

  constructor(regions: readonly GarbageRegion[]) {
    this.regions = regions;
  }

  /** With one more stretch, which takes the place of an earlier one of the same extent. */
  with(added: GarbageRegion): GarbageMap {
    const others = this.regions.filter(({ start, bytes }) => start !== added.start || bytes !== added.bytes);
    return new GarbageMap([...others, added]);
  }

  /** The stretch an address lies in. */
  at(address: number): GarbageRegion | undefined {
    return this.regions.findLast(({ start, bytes }) => address >= start && address < start + bytes);
  }

  /** What an untouched word reads as. */
  wordAt(address: number): number {
    const region = this.at(address);
    return region === undefined ? 0 : patternWord(region.seed, address);
  }
}

const HIGH = 4294967296;

/** The word that the pattern `seed` has at an address. */
export function patternWord(seed: number, address: number): number {
  let h = Math.imul(seed ^ (address | 0), 0x9e3779b1) ^ Math.floor(address / HIGH);
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
  return h ^ (h >>> 13);
}

/** Writes the pattern of `n` words at an address into words[at..]. */
export function fillPattern(words: Int32Array, at: number, n: number, seed: number, address: number): void {
  for (let k = 0; k < n; k++) words[at + k] = patternWord(seed, address + k * 4);
}
