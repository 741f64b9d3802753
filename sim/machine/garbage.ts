/*
 * What a page reads as before anything of this machine wrote it.
 *
 *   garbage     a stretch that something unmodelled wrote, as the image of the next kernel that lands in scratch: a
 *               pattern of the stretch's seed and the address, so it costs nothing however large it is. Where
 *               stretches overlap, the later one is what is there.
 *   backdrop    memory of another machine, read as it is asked for: a dump of a real one
 *   otherwise   zero
 */
import { PAGE_SIZE } from '../base/limits.ts';
import { highWord, type Phys } from '../base/units.ts';

/** A stretch of whole pages. */
export interface GarbageRegion {
  readonly start: Phys;
  readonly bytes: number;
  readonly seed: number;
}

/** Memory that lies behind a machine's own. */
export interface Backdrop {
  /** The word at an aligned address of RAM. */
  wordAt(address: number): number;
  /** Copies the page at `address` into words[at..]; nobody looks at it yet. */
  copyPage(address: number, words: Int32Array, at: number): void;
}

/** Where the untouched memory of a machine comes from; never changes, so it is its own copy. */
export class GarbageMap {
  readonly regions: readonly GarbageRegion[];
  readonly #backdrop: Backdrop | undefined;

  constructor(regions: readonly GarbageRegion[], backdrop?: Backdrop) {
    this.regions = regions;
    this.#backdrop = backdrop;
  }

  /** Whether all of memory reads as zero. */
  get blank(): boolean {
    return this.regions.length === 0 && this.#backdrop === undefined;
  }

  /** With one more stretch, which takes the place of an earlier one of the same extent. */
  with(added: GarbageRegion): GarbageMap {
    const others = this.regions.filter(({ start, bytes }) => start !== added.start || bytes !== added.bytes);
    return new GarbageMap([...others, added], this.#backdrop);
  }

  /** Whether an untouched page may read as anything but zero. */
  covers(address: number): boolean {
    return this.#backdrop !== undefined || this.at(address) !== undefined;
  }

  /** The stretch an address lies in. */
  at(address: number): GarbageRegion | undefined {
    return this.regions.findLast(({ start, bytes }) => address >= start && address < start + bytes);
  }

  /** What an untouched word reads as. */
  wordAt(address: number): number {
    const region = this.at(address);
    if (region !== undefined) return patternWord(region.seed, address);
    return this.#backdrop?.wordAt(address) ?? 0;
  }

  /** Copies the untouched page at `address` into words[at..], which are zero: false where it is nothing but zeros. */
  fillPage(words: Int32Array, at: number, address: number): boolean {
    const region = this.at(address);
    if (region !== undefined) fillPattern(words, at, PAGE_SIZE / 4, region.seed, address);
    else this.#backdrop?.copyPage(address, words, at);
    return region !== undefined || this.#backdrop !== undefined;
  }
}

/** The word that the pattern `seed` has at an address. */
export function patternWord(seed: number, address: number): number {
  let h = Math.imul(seed ^ (address | 0), 0x9e3779b1) ^ highWord(address);
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
  return h ^ (h >>> 13);
}

/** Writes the pattern of `n` words at an address into words[at..]. */
export function fillPattern(words: Int32Array, at: number, n: number, seed: number, address: number): void {
  for (let k = 0; k < n; k++) words[at + k] = patternWord(seed, address + k * 4);
}
