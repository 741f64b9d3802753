/*
 * Whether two handovers are the same but for where their pages lie: one walk beside the other, piece by piece.
 *
 *   the same        paths and structs in the same order, orders of blocks, and every byte of every block that is reached
 *                   and no address, those behind the last entry of a block, too
 *   one to one      a page of the one stands for one page of the other: what begins at it, and what leads to it; an
 *                   address keeps its offset in the page, 0 is 0
 *   the map         names the same blocks in both, as far as they are reached; of others, as many of each order. Its own
 *                   pages follow from where the blocks lie, and are not compared
 *
 * Contents of preserved blocks that nobody reaches are not compared: nothing says which stands for which.
 *
 * Of a handover of which a part is not known (an extract that was cut), what is known is compared, and what the other
 * has instead of the rest is told: pieces of which no byte is known there, or whose place nothing known leads to. Either
 * is led to by an address, so a piece that should be there and is not makes a difference where the address stands.
 */
import { PAGE_SIZE } from '../base/limits.ts';
import { hex, type Order, pagesOf } from '../base/units.ts';
import type { DecodedField, Memory, Piece } from './anatomy.ts';
import type { Difference, Handover } from './difference.ts';
import { HandoverWalk } from './handover_walk.ts';
import { mapDifference, moreText, type Walked } from './map_difference.ts';
import { isMapPiece } from './tracker_view.ts';

/**
 * The first difference between two handovers, undefined where there is none. `untold` gets the paths of the pieces of
 * which one of them knows nothing: those were not compared.
 */
export function handoverDifference(
  one: Handover,
  other: Handover,
  untold: string[] = [],
): Difference | undefined {
  return new Comparison(one, other, untold).difference();
}

/** Bytes from one address on against as many from another. */
interface Range {
  readonly one: number;
  readonly other: number;
  readonly bytes: number;
}

class Comparison {
  readonly #one: Handover;
  readonly #other: Handover;
  readonly #untold: string[];
  /** Page numbers of the one by those of the other, and the other way round. */
  readonly #there = new Map<number, number>();
  readonly #back = new Map<number, number>();
  readonly #ranges: Range[] = [];
  /** Pages, of the one, that are compared whole. */
  readonly #whole = new Set<number>();
  /** Problems of the map's own pages: those of the one less those of the other. */
  #mapProblems = 0;
  /** A page of each, while it is compared. */
  readonly #page: readonly [Int32Array, Int32Array] = [
    new Int32Array(PAGE_SIZE / 4),
    new Int32Array(PAGE_SIZE / 4),
  ];
  /** A bit for each byte that is part of an address, by page. */
  readonly #addresses = new Map<number, Uint8Array>();

  constructor(one: Handover, other: Handover, untold: string[]) {
    this.#one = one;
    this.#other = other;
    this.#untold = untold;
  }

  difference(): Difference | undefined {
    const [one, other] = [this.#one, this.#other].map((handover) => {
      return { handover, walk: new HandoverWalk(handover.memory, handover.fdtPhys) };
    }) as [Walked, Walked];
    return (
      this.#pieces(one.walk.pieces(), other.walk.pieces()) ??
      this.#bytes() ??
      this.#problemsOfMap() ??
      mapDifference(one, other, this.#there)
    );
  }

  #pieces(one: Iterator<Piece>, other: Iterator<Piece>): Difference | undefined {
    let [mine, theirs] = [this.#next(one, 1), this.#next(other, -1)];
    while (mine !== undefined || theirs !== undefined) {
      if (mine?.path === theirs?.path) {
        const found = this.#piece(mine as Piece, theirs as Piece);
        if (found !== undefined) return found;
        [mine, theirs] = [this.#next(one, 1), this.#next(other, -1)];
      } else if (theirs !== undefined && this.#isUntold(theirs, this.#one, this.#back)) {
        this.#untold.push(theirs.path);
        theirs = this.#next(other, -1);
      } else if (mine !== undefined && this.#isUntold(mine, this.#other, this.#there)) {
        this.#untold.push(mine.path);
        mine = this.#next(one, 1);
      } else {
        const path = (mine ?? theirs)?.path ?? '';
        return { path, field: 'path', one: mine?.path ?? 'nothing', other: theirs?.path ?? 'nothing' };
      }
    }
    return undefined;
  }

  /** Whether a handover knows nothing of a piece of the other, whose pages stand for its by `pages`. */
  #isUntold({ phys, bytes }: Piece, handover: Handover, pages: ReadonlyMap<number, number>): boolean {
    if (handover.unknown === undefined) return false;
    const page = pages.get(Math.floor(phys / PAGE_SIZE));
    if (page === undefined) return true;
    return isBlank(page * PAGE_SIZE + (phys % PAGE_SIZE), bytes, handover);
  }

  /** The next piece that is not the map's. */
  #next(pieces: Iterator<Piece>, sign: number): Piece | undefined {
    for (;;) {
      const { done, value } = pieces.next();
      if (done === true) return undefined;
      if (!isMapPiece(value)) return value;
      this.#mapProblems += sign * value.problems.length;
    }
  }

  #problemsOfMap(): Difference | undefined {
    const more = this.#mapProblems;
    const inPart = (this.#one.preservedTotal ?? this.#other.preservedTotal) !== undefined;
    if (more === 0 || inPart) return undefined;
    return { path: 'preserved-memory-map', field: 'problems', one: moreText(more), other: moreText(-more) };
  }

  #piece(one: Piece, other: Piece): Difference | undefined {
    const { path } = one;
    const differs = (field: string, mine: unknown, theirs: unknown): Difference => {
      return { path, field, one: `${mine}`, other: `${theirs}` };
    };
    if (one.struct !== other.struct) return differs('struct', one.struct, other.struct);
    if (isBlank(one.phys, one.bytes, this.#one) || isBlank(other.phys, other.bytes, this.#other))
      this.#untold.push(path);
    const ordersKnown = this.#ordersKnown(one, other);
    if (ordersKnown && one.order !== other.order) return differs('order', one.order, other.order);
    const fields = Math.min(one.fields.length, other.fields.length);
    for (let i = 0; i < fields; i++) {
      const [field, theirs] = [one.fields[i], other.fields[i]] as [DecodedField, DecodedField];
      if (field.name !== theirs.name) return differs('fields', field.name, theirs.name);
      const isAddress = field.kind === 'address';
      if (isAddress) this.#mask(one.phys + field.offset, field.bytes);
      if (!this.#isKnown(one, other, field)) continue;
      const same = isAddress ? this.#leadsAlike(field.value, theirs.value) : field.value === theirs.value;
      if (!same) return differs(field.name, valueText(field), valueText(theirs));
    }
    for (const field of [...one.fields.slice(fields), ...other.fields.slice(fields)]) {
      if (this.#isKnown(one, other, field)) return differs('fields', one.fields.length, other.fields.length);
    }
    if (!this.#isKnown(one, other) || !ordersKnown)
      return this.#place(one, other) ? undefined : differs('place', hex(one.phys), hex(other.phys));
    if (one.bytes !== other.bytes) return differs('bytes', one.bytes, other.bytes);
    if (one.problems.length !== other.problems.length)
      return differs('problems', one.problems.join('; '), other.problems.join('; '));
    return this.#place(one, other) ? undefined : differs('place', hex(one.phys), hex(other.phys));
  }

  /** Whether both maps say how a block is preserved, if it is: a cut one may not name it. */
  #ordersKnown(one: Piece, other: Piece): boolean {
    const cut = (piece: Piece, { preservedTotal }: Handover): boolean =>
      piece.order === undefined && preservedTotal !== undefined;
    return !cut(one, this.#one) && !cut(other, this.#other);
  }

  /** Whether both know a field of a piece whole, or all of it. */
  #isKnown(one: Piece, other: Piece, field?: DecodedField): boolean {
    const { offset, bytes } = field ?? { offset: 0, bytes: Math.max(one.bytes, other.bytes) };
    const unknown = (handover: Handover, { phys }: Piece): number =>
      handover.unknown?.in(phys + offset, bytes) ?? 0;
    return unknown(this.#one, one) === 0 && unknown(this.#other, other) === 0;
  }

  /** Whether the places of two pieces, page by page, can stand for one another. Remembers what is to be compared. */
  #place({ phys, bytes, ...one }: Piece, { phys: otherPhys, ...other }: Piece): boolean {
    const order = one.order ?? other.order;
    if (!this.#leadsAlike(phys, otherPhys)) return false;
    const page = Math.floor(phys / PAGE_SIZE);
    if (order === undefined || bytes === 0) {
      if (!this.#whole.has(page)) this.#ranges.push({ one: phys, other: otherPhys, bytes });
      return true;
    }
    const pages = pagesOf(order as Order);
    const otherPage = Math.floor(otherPhys / PAGE_SIZE);
    for (let i = 0; i < pages; i++) {
      if (!this.#bind(page + i, otherPage + i)) return false;
      this.#whole.add(page + i);
    }
    this.#ranges.push({ one: phys, other: otherPhys, bytes: pages * PAGE_SIZE });
    return true;
  }

  /** Whether two addresses can mean the same. */
  #leadsAlike(one: DecodedField['value'], other: DecodedField['value']): boolean {
    if (typeof one !== 'number' || typeof other !== 'number' || one === 0 || other === 0)
      return one === other;
    if (one % PAGE_SIZE !== other % PAGE_SIZE) return false;
    return this.#bind(Math.floor(one / PAGE_SIZE), Math.floor(other / PAGE_SIZE));
  }

  #bind(page: number, other: number): boolean {
    const [there, back] = [this.#there.get(page), this.#back.get(other)];
    if (there === undefined && back === undefined) {
      this.#there.set(page, other);
      this.#back.set(other, page);
      return true;
    }
    return there === other;
  }

  #mask(address: number, bytes: number): void {
    const offset = address % PAGE_SIZE;
    const page = (address - offset) / PAGE_SIZE;
    let bits = this.#addresses.get(page);
    if (bits === undefined) {
      bits = new Uint8Array(PAGE_SIZE / 8);
      this.#addresses.set(page, bits);
    }
    for (let at = offset; at < Math.min(offset + bytes, PAGE_SIZE); at++) {
      bits[at >>> 3] = (bits[at >>> 3] as number) | (1 << (at & 7));
    }
    const rest = offset + bytes - PAGE_SIZE;
    if (rest > 0) this.#mask(address + bytes - rest, rest);
  }

  #isAddress(at: number): boolean {
    const bits = this.#addresses.get(Math.floor(at / PAGE_SIZE));
    const offset = at % PAGE_SIZE;
    return bits !== undefined && (((bits[offset >>> 3] as number) >>> (offset & 7)) & 1) === 1;
  }

  #bytes(): Difference | undefined {
    for (const { one, other, bytes } of this.#ranges) {
      for (let done = 0; done < bytes; done += PAGE_SIZE) {
        const at = this.#firstByte(one + done, other + done, Math.min(PAGE_SIZE, bytes - done));
        if (at !== undefined) return this.#named(one + done + at, other + done + at);
      }
    }
    return undefined;
  }

  /** Offset of the first byte that differs and is no part of an address; at most a page. */
  #firstByte(one: number, other: number, bytes: number): number | undefined {
    const [mine, theirs] = this.#page;
    const n = Math.ceil(bytes / 4);
    this.#one.memory.loadWords(one, mine, 0, n);
    this.#other.memory.loadWords(other, theirs, 0, n);
    for (let w = 0; w < n; w++) {
      const differing = (mine[w] as number) ^ (theirs[w] as number);
      if (differing === 0) continue;
      for (let byte = 0; byte < 4 && w * 4 + byte < bytes; byte++) {
        const at = w * 4 + byte;
        if (((differing >>> (byte * 8)) & 0xff) === 0 || this.#isAddress(one + at)) continue;
        if ((this.#one.unknown?.in(one + at, 1) ?? 0) + (this.#other.unknown?.in(other + at, 1) ?? 0) === 0)
          return at;
      }
    }
    return undefined;
  }

  /** The innermost piece that has a byte, and the byte's field. */
  #named(one: number, other: number): Difference {
    let found: Piece | undefined;
    for (const piece of new HandoverWalk(this.#one.memory, this.#one.fdtPhys).pieces()) {
      if (isMapPiece(piece)) continue;
      const size = piece.order === undefined ? piece.bytes : PAGE_SIZE * 2 ** piece.order;
      if (one >= piece.phys && one < piece.phys + size && piece.phys >= (found?.phys ?? 0)) found = piece;
    }
    const offset = one - (found?.phys ?? 0);
    const field = found?.fields.find(({ offset: from, bytes }) => offset >= from && offset < from + bytes);
    return {
      path: found?.path ?? '',
      field: field?.name ?? `byte ${offset}`,
      one: byteText(this.#one.memory, one),
      other: byteText(this.#other.memory, other),
    };
  }
}

/** Whether no byte from an address on is known. */
const isBlank = (phys: number, bytes: number, { unknown }: Handover): boolean =>
  unknown !== undefined && bytes > 0 && unknown.in(phys, bytes) === bytes;

const byteText = (memory: Memory, at: number): string =>
  `0x${(memory.loadBytes(at, 1)[0] ?? 0).toString(16).padStart(2, '0')}`;

function valueText({ kind, value }: DecodedField): string {
  if (kind === 'text') return JSON.stringify(value);
  return kind === 'address' ? `0x${value.toString(16)}` : `${value}`;
}
