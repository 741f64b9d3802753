/*
 * What a handover is made of, piece by piece, as its reader walks it from the KHO root: for whoever shows an image,
 * compares two, or names a place in one. The walk itself: handover_walk.ts.
 *
 *   piece   a struct, a table or a page of data at an address, with its fields decoded and what is wrong with it
 *   path    its name in the image, stable under addresses:   kho-root   luo   session-block[2]   session[103]
 */
import type { Phys } from '../base/units.ts';

/** Memory as far as a reader needs it; Ram is one. Accesses outside throw a PageFault. */
export interface Memory {
  readonly bytes: number;
  has(address: number, bytes: number): boolean;
  load32(address: number): number;
  load64(address: number): number;
  loadBytes(address: number, bytes: number): Uint8Array;
  loadWords(address: number, target: Int32Array, at: number, n: number): void;
}

export type FieldKind = 'number' | 'text' | 'address' | 'bytes';

export interface DecodedField {
  readonly name: string;
  /** Bytes from the start of the piece, and of the field. */
  readonly offset: number;
  readonly bytes: number;
  /**
   * An address is one that the reader follows: it means another place in another image. Where memory has a frame number,
   * the value is the address of that frame.
   */
  readonly kind: FieldKind;
  /** Text up to its NUL, bytes as hex; numbers and addresses below 2^53, as bigint above. */
  readonly value: number | bigint | string;
}

export interface Piece {
  readonly path: string;
  /** Name of the struct or table: `luo_session_ser`, `kho_radix_node`, `fdt`. */
  readonly struct: string;
  readonly phys: Phys;
  readonly bytes: number;
  /** Order of the preserved block that begins here; undefined for what lies inside a block or is not preserved. */
  readonly order: number | undefined;
  readonly fields: readonly DecodedField[];
  /** What its reader would refuse or stumble over, a line each. */
  readonly problems: readonly string[];
}
