/*
 * The pool of host memory behind everything large: RAM chunks and columns are made of 64 KiB pieces that are taken
 * here and given back, so a kernel that is gone leaves its memory to the next and a long campaign does not grow.
 *
 * Law: a piece in the pool is all zero. Whoever gives one back has zeroed what it wrote; nothing sees memory of an
 * earlier run.
 */

/** Words in a piece: 64 KiB. */
export const PIECE_WORDS = 16384;
export const PIECE_SHIFT = 14;
export const PIECE_MASK = PIECE_WORDS - 1;
/** Pieces in a directory: a directory covers 64 MiB. */
export const DIRECTORY_PIECES = 1024;
export const DIRECTORY_SHIFT = 10;
export const DIRECTORY_MASK = DIRECTORY_PIECES - 1;

/** What reading an untouched place yields. Never written. */
export const ZERO_PIECE = new Int32Array(PIECE_WORDS);

export class PiecePool {
  readonly #free: Int32Array[] = [];
  /** Pieces handed out and not given back. */
  taken = 0;

  take(): Int32Array {
    this.taken++;
    return this.#free.pop() ?? new Int32Array(PIECE_WORDS);
  }

  /** Takes back a piece that is all zero. */
  give(piece: Int32Array): void {
    this.taken--;
    this.#free.push(piece);
  }
}
