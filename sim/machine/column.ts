/*
 * Columns: growable, sparse arrays of 32-bit words, journalled. What exists by the million (frames, sessions, files,
 * descriptors, index slots) lives in them; a handle is an index.
 *
 *   directory[i >> 24] -> piece[(i >> 14) & 1023] -> word[i & 16383]
 *
 * Untouched words read as 0 and cost nothing.
 */
import { assert } from '../base/assert.ts';
import type { Journal, Undoable } from './journal.ts';
import {
  DIRECTORY_MASK,
  DIRECTORY_PIECES,
  DIRECTORY_SHIFT,
  PIECE_MASK,
  PIECE_SHIFT,
  PIECE_WORDS,
  type PiecePool,
  ZERO_PIECE,
} from './pool.ts';

const ZERO_DIRECTORY: Int32Array[] = new Array<Int32Array>(DIRECTORY_PIECES).fill(ZERO_PIECE);

/** Where columns get their memory and log their changes. */
export interface Storage {
  readonly pool: PiecePool;
  readonly journal: Journal;
  /** Where given: every column made here, so that its owner can dispose of them together. */
  readonly columns?: Column[];
}

export class Column implements Undoable {
  readonly name: string;
  readonly #storage: Storage;
  readonly #journal: Journal;
  #directories: Int32Array[][];

  /** `words` bounds the index; it costs one pointer per 16 Mi words. */
  constructor(storage: Storage, name: string, words = 2 ** 31) {
    this.name = name;
    this.#storage = storage;
    this.#journal = storage.journal;
    const directories = Math.ceil(words / (PIECE_WORDS * DIRECTORY_PIECES));
    this.#directories = new Array<Int32Array[]>(directories).fill(ZERO_DIRECTORY);
    storage.columns?.push(this);
  }

  get(i: number): number {
    const directory = this.#directories[i >>> (PIECE_SHIFT + DIRECTORY_SHIFT)] as Int32Array[];
    return (directory[(i >>> PIECE_SHIFT) & DIRECTORY_MASK] as Int32Array)[i & PIECE_MASK] as number;
  }

  set(i: number, word: number): void {
    const directory = this.#directories[i >>> (PIECE_SHIFT + DIRECTORY_SHIFT)] as Int32Array[];
    const piece = directory[(i >>> PIECE_SHIFT) & DIRECTORY_MASK] as Int32Array;
    if (piece === ZERO_PIECE || this.#journal.depth !== 0) this.open(i, 1)[i & PIECE_MASK] = word;
    else piece[i & PIECE_MASK] = word;
  }

  /** The piece that holds word `i`, for reading runs that do not cross a piece. */
  piece(i: number): Int32Array {
    const directory = this.#directories[i >>> (PIECE_SHIFT + DIRECTORY_SHIFT)] as Int32Array[];
    return directory[(i >>> PIECE_SHIFT) & DIRECTORY_MASK] as Int32Array;
  }

  /** The piece that holds words i..i+n-1, which do not cross a piece, for writing them: they are logged now. */
  open(i: number, n: number): Int32Array {
    const directory = this.#directories[i >>> (PIECE_SHIFT + DIRECTORY_SHIFT)] as Int32Array[];
    const piece = directory[(i >>> PIECE_SHIFT) & DIRECTORY_MASK] as Int32Array;
    return piece === ZERO_PIECE || this.#journal.depth !== 0 ? this.#openSlowly(i, n) : piece;
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
    for (const directory of this.#directories) {
      if (directory === ZERO_DIRECTORY) continue;
      for (const piece of directory) {
        if (piece === ZERO_PIECE) continue;
        piece.fill(0);
        this.#storage.pool.give(piece);
      }
    }
    this.#directories = [];
  }

  #openSlowly(i: number, n: number): Int32Array {
    const piece = this.#writable(i);
    if (this.#journal.depth !== 0) {
      for (let k = 0; k < n; k++) this.#journal.log(this, i + k, piece[(i & PIECE_MASK) + k] as number);
    }
    return piece;
  }

  #writable(i: number): Int32Array {
    const d = i >>> (PIECE_SHIFT + DIRECTORY_SHIFT);
    const p = (i >>> PIECE_SHIFT) & DIRECTORY_MASK;
    const piece = (this.#directories[d] as Int32Array[])[p] as Int32Array;
    return piece === ZERO_PIECE ? this.#materialise(d, p) : piece;
  }

  #materialise(d: number, p: number): Int32Array {
    let directory = this.#directories[d];
    assert(directory !== undefined, `${this.name}: index out of range`);
    if (directory === ZERO_DIRECTORY) {
      directory = ZERO_DIRECTORY.slice();
      this.#directories[d] = directory;
    }
    const piece = this.#storage.pool.take();
    directory[p] = piece;
    return piece;
  }
}
