/*
 * What a walk over an image meets, added up: the same size for three sessions and for eight million.
 *
 *   kinds       pieces by the shape of their path, in the order in which the first of each was met
 *   outline     the first pieces, whole, but for pages of the map, of data, and of lists of pages
 *   sessions    number, files, the first and the last of them, and a digest over all names in order
 *   preserved   blocks by order, and those that no piece begins
 */
import { Digest } from '../base/digest.ts';
import { PAGE_SIZE } from '../base/limits.ts';
import { bytesOf, type Phys, pagesOf, pfnOf } from '../base/units.ts';
import { FIRMWARE_BYTES } from '../boot/image.ts';
import type { Memory, Piece } from '../check/anatomy.ts';
import { Tally } from '../check/census.ts';
import { HandoverWalk } from '../check/handover_walk.ts';
import { isMapPiece } from '../check/tracker_view.ts';
import { type ScratchArea, scratchOverlap } from '../kho/scratch.ts';
import { LUO_FILE_SET_SER, LUO_SER, LUO_SESSION_SER } from '../luo/abi.ts';
import { NAME_WORDS, nameText, truncateName } from '../luo/name.ts';
import type { MemoryRange } from './image_memory.ts';
import type {
  Doubt,
  ImageProblem,
  ImageReport,
  ImageSession,
  PieceKind,
  PreservedBlock,
  PreservedBlocks,
} from './image_report.ts';

const PROBLEMS_KEPT = 1000;
const OUTLINE_PIECES = 64;
/** What there may be thousands of below one piece that tells how many. */
const BULK = /\.(chunk|page|folio|contents|entry)\[\d+\]$/;
const SESSIONS_KEPT = 16;
const BLOCKS_KEPT = 1000;

type Writable<T> = { -readonly [K in keyof T]: T[K] };

export class ImageContents {
  pieces = 0;
  /** Problems that are the image's, and those that may come of what the file does not have. */
  readonly problems: ImageProblem[] = [];
  problemCount = 0;
  readonly doubtful: ImageProblem[] = [];
  doubtfulCount = 0;
  readonly outline: Piece[] = [];
  outlineCount = 0;
  /** Over the names of all sessions, as the kernel keeps them. */
  readonly names = new Digest();
  /** All preserved blocks. */
  readonly tally = new Tally();
  /** The block of struct luo_ser, which the kernel gives back before anybody can look. */
  readonly luoSer = new Tally();
  readonly preserved: PreservedBlocks;
  readonly #memory: Memory;
  readonly #walk: HandoverWalk;
  readonly #doubt: Doubt;
  readonly #kinds = new Map<string, Writable<PieceKind>>();
  readonly #first: ImageSession[] = [];
  readonly #last: ImageSession[] = [];
  readonly #mapPages: Phys[] = [];
  #sessions = 0;
  #files = 0;

  /** Walks the handover whose root lies at an address. */
  constructor(memory: Memory, fdtPhys: Phys, doubt: Doubt) {
    this.#memory = memory;
    this.#doubt = doubt;
    this.#walk = new HandoverWalk(memory, fdtPhys);
    for (const piece of this.#walk.pieces()) this.#add(piece);
    this.preserved = this.#preservedBlocks();
  }

  /** A problem that is no piece's. */
  addProblem(problem: ImageProblem): void {
    if (this.#doubt(problem)) {
      this.doubtfulCount++;
      if (this.doubtful.length < PROBLEMS_KEPT) this.doubtful.push(problem);
    } else {
      this.problemCount++;
      if (this.problems.length < PROBLEMS_KEPT) this.problems.push(problem);
    }
  }

  /** Where no preserved block and no page of the map may lie: they would be overwritten before they are read. */
  checkPlaces(scratch: readonly ScratchArea[]): void {
    for (const { start, end } of this.taken()) {
      const isScratch = scratchOverlap(scratch, start as Phys, end - start);
      if (!isScratch && start >= FIRMWARE_BYTES) continue;
      const text = `lies ${isScratch ? 'in a scratch area' : 'in the first MiB, which is the firmware'}`;
      this.addProblem({ path: 'preserved memory', phys: start, text });
    }
  }

  get kinds(): PieceKind[] {
    return [...this.#kinds.values()];
  }

  get sessions(): ImageReport['sessions'] {
    return { count: this.#sessions, files: this.#files, first: this.#first, last: this.#last };
  }

  /** Where memory is taken: preserved blocks, and the map's own pages, which are not preserved. */
  *taken(): Generator<MemoryRange, void, void> {
    for (const { phys, order } of this.#walk.preserved()) yield { start: phys, end: phys + bytesOf(order) };
    for (const start of this.#mapPages) yield { start, end: start + PAGE_SIZE };
  }

  #add(piece: Piece): void {
    const { path, phys, order, struct } = piece;
    this.pieces++;
    this.#countKind(piece);
    for (const text of piece.problems) this.addProblem({ path, phys, text });
    if (isMapPiece(piece)) this.#mapPages.push(phys);
    else if (!BULK.test(path) && ++this.outlineCount <= OUTLINE_PIECES) this.outline.push(piece);
    if (struct === LUO_SESSION_SER.name) this.#addSession(phys);
    if (struct === LUO_SER.name && order !== undefined) this.luoSer.add(pfnOf(phys), order);
  }

  #countKind({ path, struct, phys, bytes, problems }: Piece): void {
    const kind = path.replaceAll(/\d+/g, '');
    const known = this.#kinds.get(kind);
    if (known === undefined) {
      const first = { first: path, last: path, struct, phys, pieces: 1, bytes, problems: problems.length };
      this.#kinds.set(kind, first);
      return;
    }
    known.last = path;
    known.pieces++;
    known.bytes += bytes;
    known.problems += problems.length;
  }

  #addSession(phys: Phys): void {
    const words = new Int32Array(NAME_WORDS);
    this.#memory.loadWords(phys + LUO_SESSION_SER.at.name, words, 0, NAME_WORDS);
    truncateName(words, 0);
    for (const word of words) this.names.mix(word);
    const files = this.#memory.load64(phys + LUO_SESSION_SER.at.file_set_ser + LUO_FILE_SET_SER.at.count);
    this.#sessions++;
    this.#files += files;
    const session = { name: nameText(words, 0), phys, files };
    if (this.#first.length < SESSIONS_KEPT) {
      this.#first.push(session);
    } else {
      if (this.#last.length === SESSIONS_KEPT) this.#last.shift();
      this.#last.push(session);
    }
  }

  #preservedBlocks(): PreservedBlocks {
    const byOrder: number[] = [];
    for (const { phys, order } of this.#walk.preserved()) {
      this.tally.add(pfnOf(phys), order);
      byOrder[order] = (byOrder[order] ?? 0) + 1;
    }
    const unreached: PreservedBlock[] = [];
    let [unreachedBlocks, unreachedPages] = [0, 0];
    for (const { phys, order } of this.#walk.unreached()) {
      if (unreached.length < BLOCKS_KEPT) unreached.push({ phys, order });
      unreachedBlocks++;
      unreachedPages += pagesOf(order);
    }
    return {
      byOrder: Array.from(byOrder, (n) => n ?? 0),
      pages: this.tally.pages,
      trackerPages: this.#mapPages.length,
      unreached,
      unreachedBlocks,
      unreachedPages,
    };
  }
}
