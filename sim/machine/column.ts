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
import { copyWords, fillWords } from '../base/words.ts';
import type { Journal, Undoable } from './journal.ts';
import { PIECE_MASK, PIECE_SHIFT, PIECE_WORDS, type PiecePool, ZERO_PIECE } from './pool.ts';

/** Where columns get their memory and log their changes. */
export class Storage {
  readonly pool: PiecePool;
  readonly journal: Journal;
  /** Where given: every column made here, so that its owner can dispose of them together. */
  readonly columns?: Column[] | undefined;

  constructor(pool: PiecePool, journal: Journal, columns?: Column[]) {
    this.pool = pool;
    this.journal = journal;
    this.columns = columns;
  }
}

export class Column implements Undoable {
  readonly name: string;
  readonly #storage: Storage;
  readonly #journal: Journal;
  /** Pieces the column may have. */
  readonly #end: number;
  /** Up to the last one that was written; ZERO_PIECE where nothing was. Never empty: that would be another kind of array. */
  readonly #pieces: Int32Array[] = [ZERO_PIECE];
  /**
   * The piece that was looked for last, and its number: most looks are for the same again. The first does not take the
   * place of another: what everybody comes back to, as the descriptor of a device, lies there.
   */
  #last: Int32Array = ZERO_PIECE;
  #lastNumber = 0;
  /** Whether nothing was ever written. */
  blank = true;

  /** `words` bounds the index. */
  constructor(storage: Storage, name: string, words = 2 ** 31) {
    this.name = name;
    this.#storage = storage;
    this.#journal = storage.journal;
    this.#end = Math.ceil(words / PIECE_WORDS);
    storage.columns?.push(this);
  }

  get(i: number): number {
    return this.piece(i)[i & PIECE_MASK] as number;
  }

  set(i: number, word: number): void {
    this.open(i, 1)[i & PIECE_MASK] = word;
  }

  /** Whether word `i` was `from`; then it is `to`. */
  replace(i: number, from: number, to: number): boolean {
    const at = i & PIECE_MASK;
    const piece = this.piece(i);
    if (piece[at] !== from) return false;
    if (piece === ZERO_PIECE || this.#journal.depth !== 0) this.#openSlowly(i, 1)[at] = to;
    else piece[at] = to;
    return true;
  }

  /** The piece that holds word `i`, for reading runs that do not cross a piece. */
  piece(i: number): Int32Array {
    return i >>> PIECE_SHIFT === this.#lastNumber ? this.#last : this.#find(i >>> PIECE_SHIFT);
  }

  /** The piece that holds words i..i+n-1, which do not cross a piece, for writing them: they are logged now. */
  open(i: number, n: number): Int32Array {
    const piece = this.piece(i);
    return piece === ZERO_PIECE || this.#journal.depth !== 0 ? this.#openSlowly(i, n) : piece;
  }

  /** Writes `n` words from `source`; the run must not cross a piece. */
  setRun(i: number, source: Int32Array, from: number, n: number): void {
    const piece = this.open(i, n);
    const at = i & PIECE_MASK;
    assert(at + n <= PIECE_WORDS, 'a run of words does not cross a piece');
    copyWords(piece, at, source, from, n);
  }

  /** Makes words i..i+n-1 `word`, no more than a piece of them; they may cross into the next. */
  fill(i: number, n: number, word: number): void {
    const room = PIECE_WORDS - (i & PIECE_MASK);
    if (n > room) {
      this.fill(i + room, n - room, word);
      n = room;
    }
    fillWords(this.open(i, n), i & PIECE_MASK, n, word);
  }

  undo(i: number, old: number): void {
    this.#writable(i)[i & PIECE_MASK] = old;
  }

  /** Gives all memory back. The column cannot be used again. */
  dispose(): void {
    for (const piece of this.#pieces) {
      if (piece === ZERO_PIECE) continue;
      piece.fill(0);
      this.#storage.pool.give(piece);
    }
    this.#pieces.length = 0;
    this.#last = ZERO_PIECE;
  }

  #find(p: number): Int32Array {
    const pieces = this.#pieces;
    const piece = p < pieces.length ? (pieces[p] as Int32Array) : ZERO_PIECE;
    if (p !== 0) {
      this.#last = piece;
      this.#lastNumber = p;
    }
    return piece;
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
      while (pieces.length <= p) pieces.push(ZERO_PIECE);
    }
    const piece = pieces[p] as Int32Array;
    return piece === ZERO_PIECE ? this.#materialise(p) : piece;
  }

  #materialise(p: number): Int32Array {
    const piece = this.#storage.pool.take();
    this.blank = false;
    this.#pieces[p] = piece;
    this.#lastNumber = p;
    this.#last = piece;
    return piece;
  }
}
