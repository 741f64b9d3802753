/*
 * What is written to a shmem file: bytes, or a pattern whose whole pages are stamped (machine/stamps.ts).
 */

export interface Contents {
  readonly bytes: number;
  /** Of the pattern that it is: whole pages can be stamped. */
  readonly seed?: number;
  /** `n` bytes from one on, at most a page. */
  slice(from: number, n: number): Uint8Array;
}
