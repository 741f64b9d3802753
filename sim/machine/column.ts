/*
 * Columns: growable, sparse arrays of 32-bit words, journalled. What exists by the million (frames, sessions, files,
 * descriptors, index slots) lives in them; a handle is an index.
 *
 *   piece[i >> 14] -> word[i & 16383]
 *
 * Untouched words read as 0 and cost nothing; a word that is touched costs its piece, and a pointer for every piece
 * below it.
 */
import { assert, unreachable } from '../base/assert.ts';
import type { Journal, Undoable } from './journal.ts';
import { PIECE_MASK, PIECE_SHIFT, PIECE_WORDS, type PiecePool, ZERO_PIECE } from './pool.ts';

/** Where columns get their memory and log their changes. */
export interface Storage {
  readonly pool: PiecePool;
  readonly journal: Journal;
  /** Where given: every column made here, so that its owner can dispose of them together. */
  readonly columns?: Column[];
}

/** Stands where no piece is. Its length tells it from one: to compare two arrays costs more. */
const NONE = new Int32Array(0);

export class Column implements Undoable {
  readonly name: string;
  readonly #storage: Storage;
  readonly #journal: Journal;
  /** Pieces the column may have. */
  readonly #end: number;
  /** Up to the last one that was written. */
  readonly #pieces: Int32Array[] = [];

  /** `words` bounds the index. */
  constructor(storage: Storage, name: string, words = 2 ** 31) {
    this.name = name;
    this.#storage = storage;
    this.#journal = storage.journal;
    this.#end = Math.ceil(words / PIECE_WORDS);
    storage.columns?.push(this);
  }

  get(i: number): number {
    const p = i >>> PIECE_SHIFT;
    if (p >= this.#pieces.length) return 0;
    const piece = this.#pieces[p] as Int32Array;
    const at = i & PIECE_MASK;
    return at < piece.length ? (piece[at] as number) : 0;
  }

  set(i: number, word: number): void {
    const piece = this.#own(i);
    const at = i & PIECE_MASK;
    if (at < piece.length) piece[at] = word;
    else this.#openSlowly(i, 1)[at] = word;
  }

  /** Whether word `i` was `from`; then it is `to`. */
  replace(i: number, from: number, to: number): boolean {
    const piece = this.#own(i);
    const at = i & PIECE_MASK;
    if (at < piece.length) {
      if (piece[at] !== from) return false;
      piece[at] = to;
      return true;
    }
    if (this.get(i) !== from) return false;
    this.#openSlowly(i, 1)[at] = to;
    return true;
  }

  /** The piece that holds word `i`, for reading runs that do not cross a piece. */
  piece(i: number): Int32Array {
    const p = i >>> PIECE_SHIFT;
    if (p >= this.#pieces.length) return ZERO_PIECE;
    const piece = this.#pieces[p] as Int32Array;
    return piece.length !== 0 ? piece : ZERO_PIECE;
  }

  /** The piece that holds words i..i+n-1, which do not cross a piece, for writing them: they are logged now. */
  open(i: number, n: number): Int32Array {
    const piece = this.#own(i);
    return piece.length !== 0 ? piece : this.#openSlowly(i, n);
  }

  /** Writes `n` words from `source`; the run must not cross a piece. */
  setRun(i: number, source: Int32Array, from: number, n: number): void {
    const piece = this.open(i, n);
    const at = i & PIECE_MASK;
    assert(at + n <= PIECE_WORDS, 'a run of words does not cross a piece');
    for (let k = 0; k < n; k++) piece[at + k] = source[from + k] as number;
  }

  undo(i: number, old: number): void {
    this.#writable(i)[i & PIECE_MASK] = old;
  }

  /** Gives all memory back. The column cannot be used again. */
  dispose(): void {
    for (const piece of this.#pieces) {
      if (piece === NONE) continue;
      piece.fill(0);
      this.#storage.pool.give(piece);
    }
    this.#pieces.length = 0;
  }

  /** The piece to write word `i` to without further ado; without words where there is more to do. */
  #own(i: number): Int32Array {
    const p = i >>> PIECE_SHIFT;
    if (p >= this.#pieces.length || this.#journal.depth !== 0) return NONE;
    return this.#pieces[p] as Int32Array;
  }

  #openSlowly(i: number, n: number): Int32Array {
    const piece = this.#writable(i);
    if (this.#journal.depth !== 0) {
      for (let k = 0; k < n; k++) this.#journal.log(this, i + k, piece[(i & PIECE_MASK) + k] as number);
    }
    return piece;
  }

  #writable(i: number): Int32Array {
    const p = i >>> PIECE_SHIFT;
    const pieces = this.#pieces;
    if (p >= pieces.length) {
      if (p >= this.#end) unreachable(`${this.name}: index out of range`);
      while (pieces.length <= p) pieces.push(NONE);
    }
    const piece = pieces[p] as Int32Array;
    return piece === NONE ? this.#materialise(p) : piece;
  }

  #materialise(p: number): Int32Array {
    const piece = this.#storage.pool.take();
    this.#pieces[p] = piece;
    return piece;
  }
}
