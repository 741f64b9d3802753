/*
 * Handovers that are compared, and what a comparison finds: bijection.ts.
 */
import type { Memory } from './anatomy.ts';
import type { UnknownBytes } from './unknown_bytes.ts';

/** A handover in memory. */
export interface Handover {
  readonly memory: Memory;
  /** Address of the root. */
  readonly fdtPhys: number;
  /** What is not known; nothing, unless given. */
  readonly unknown?: UnknownBytes;
  /** Where the map names some blocks only: how many there are in all. */
  readonly preservedTotal?: number | undefined;
}

/** The first difference: where, and what stands there in each. */
export interface Difference {
  readonly path: string;
  /** Name of the field; bytes that no field has as `byte 80`. */
  readonly field: string;
  readonly one: string;
  readonly other: string;
}
