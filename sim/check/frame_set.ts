/*
 * A set of frames, sparse: pages of bits that come to be as frames are added, 128 MiB of memory each.
 */
const PAGE_FRAMES = 32768;

export class FrameSet {
  readonly #pages = new Map<number, Uint32Array>();

  has(frame: number): boolean {
    const bits = this.#pages.get(Math.floor(frame / PAGE_FRAMES));
    return bits !== undefined && (((bits[(frame % PAGE_FRAMES) >>> 5] as number) >>> (frame & 31)) & 1) === 1;
  }

  /** Adds [first, first + frames); whether none of them was there. */
  add(first: number, frames: number): boolean {
    let fresh = true;
    for (let frame = first; frame < first + frames; ) {
      const bits = this.#page(Math.floor(frame / PAGE_FRAMES));
      const bit = frame & 31;
      const run = Math.min(32 - bit, first + frames - frame);
      const mask = (run === 32 ? 0xffffffff : ((1 << run) - 1) << bit) >>> 0;
      const at = (frame % PAGE_FRAMES) >>> 5;
      const word = bits[at] as number;
      if ((word & mask) !== 0) fresh = false;
      bits[at] = word | mask;
      frame += run;
    }
    return fresh;
  }

  #page(number: number): Uint32Array {
    let bits = this.#pages.get(number);
    if (bits === undefined) {
      bits = new Uint32Array(PAGE_FRAMES / 32);
      this.#pages.set(number, bits);
    }
    return bits;
  }
}
