/*
 * What a slab cache's objects are known by, and what using one for an object that is gone ends in.
 *
 *   handle    30 .. 24 generation (1..127) | 23 .. 0 index; never 0
 */
export const INDEX_BITS = 24;
export const INDEX_MASK = (1 << INDEX_BITS) - 1;
export const GENERATION_MASK = 127 << INDEX_BITS;
export const GENERATION_ONE = 1 << INDEX_BITS;

/** Index of an object, live or not. */
export const indexOf = (handle: number): number => handle & INDEX_MASK;

/** A handle whose object was freed was used, or freed again. */
export class UseAfterFree extends Error {
  override readonly name = 'UseAfterFree';
  readonly cache: string;
  readonly handle: number;

  constructor(cache: string, handle: number, what: 'use after free' | 'double free') {
    super(`${what} of ${cache} object ${indexOf(handle)}`);
    this.cache = cache;
    this.handle = handle;
  }
}
