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
 */
import { PAGE_SIZE } from '../base/limits.ts';
import { hex, type Order, pagesOf } from '../base/units.ts';
import type { DecodedField, Memory, Piece } from './anatomy.ts';
import { HandoverWalk } from './handover_walk.ts';
import { isMapPiece } from './tracker_view.ts';

/** A handover in memory. */
export interface Handover {
  readonly memory: Memory;
  /** Address of the root. */
  readonly fdtPhys: number;
  /** Whether what stands at an address is known; all is, unless given. */
  readonly knows?: (address: number) => boolean;
}

/** The first difference: where, and what stands there in each. */
export interface Difference {
  readonly path: string;
  /** Name of the field; bytes that no field has as `byte 80`. */
  readonly field: string;
  readonly one: string;
  readonly other: string;
}

/** The first difference between two handovers, undefined where there is none. */
export function handoverDifference(one: Handover, other: Handover): Difference | undefined {
  return new Comparison(one, other).difference();
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

  constructor(one: Handover, other: Handover) {
    this.#one = one;
    this.#other = other;
  }

  difference(): Difference | undefined {
    const walks = [this.#one, this.#other].map(({ memory, fdtPhys }) => new HandoverWalk(memory, fdtPhys));
    const [first, second] = walks as [HandoverWalk, HandoverWalk];
    return this.#pieces(first.pieces(), second.pieces()) ?? this.#bytes() ?? this.#blocks(first, second);
  }

  #pieces(one: Iterator<Piece>, other: Iterator<Piece>): Difference | undefined {
    for (;;) {
      const [mine, theirs] = [this.#next(one, 1), this.#next(other, -1)];
      if (mine === undefined && theirs === undefined) return undefined;
      if (mine === undefined || theirs === undefined || mine.path !== theirs.path) {
        const path = (mine ?? theirs)?.path ?? '';
        return { path, field: 'path', one: mine?.path ?? 'nothing', other: theirs?.path ?? 'nothing' };
      }
      const found = this.#piece(mine, theirs);
      if (found !== undefined) return found;
    }
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

  #piece(one: Piece, other: Piece): Difference | undefined {
    const { path } = one;
    const differs = (field: string, mine: unknown, theirs: unknown): Difference => {
      return { path, field, one: `${mine}`, other: `${theirs}` };
    };
    if (one.struct !== other.struct) return differs('struct', one.struct, other.struct);
    if (one.order !== other.order) return differs('order', one.order, other.order);
    if (one.fields.length !== other.fields.length)
      return differs('fields', one.fields.length, other.fields.length);
    for (const [i, field] of one.fields.entries()) {
      const theirs = other.fields[i] as DecodedField;
      if (field.name !== theirs.name) return differs('fields', field.name, theirs.name);
      const isAddress = field.kind === 'address';
      const same = isAddress ? this.#leadsAlike(field.value, theirs.value) : field.value === theirs.value;
      if (!same) return differs(field.name, valueText(field), valueText(theirs));
      if (isAddress) this.#mask(one.phys + field.offset, field.bytes);
    }
    if (one.bytes !== other.bytes) return differs('bytes', one.bytes, other.bytes);
    const mine = one.problems.length;
    if (mine !== other.problems.length)
      return differs('problems', one.problems.join('; '), other.problems.join('; '));
    return this.#place(one, other) ? undefined : differs('place', hex(one.phys), hex(other.phys));
  }

  /** Whether the places of two pieces, page by page, can stand for one another. Remembers what is to be compared. */
  #place({ phys, bytes, order }: Piece, { phys: otherPhys }: Piece): boolean {
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
        if (this.#one.knows?.(one + at) !== false && this.#other.knows?.(other + at) !== false) return at;
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

  #blocks(one: HandoverWalk, other: HandoverWalk): Difference | undefined {
    const key = (page: number, order: number): number => page * 64 + order;
    const theirs = new Set<number>();
    const nobodys = new Map<number, number>();
    const count = (order: number, by: number): void =>
      void nobodys.set(order, (nobodys.get(order) ?? 0) + by);
    for (const { phys, order } of other.preserved()) {
      const page = phys / PAGE_SIZE;
      if (this.#back.has(page)) theirs.add(key(page, order));
      else count(order, -1);
    }
    const path = 'preserved-memory-map';
    const more = this.#mapProblems;
    if (more !== 0) return { path, field: 'problems', one: moreText(more), other: moreText(-more) };
    for (const { phys, order } of one.preserved()) {
      const page = this.#there.get(phys / PAGE_SIZE);
      const block = `${hex(phys)} of order ${order}`;
      if (page === undefined) count(order, 1);
      else if (!theirs.delete(key(page, order))) return { path, field: 'block', one: block, other: 'none' };
    }
    for (const left of theirs) {
      const block = `${hex(Math.floor(left / 64) * PAGE_SIZE)} of order ${left % 64}`;
      return { path, field: 'block', one: 'none', other: block };
    }
    for (const [order, more] of [...nobodys].sort(([x], [y]) => x - y)) {
      if (more === 0) continue;
      const text = (n: number): string => (n > 0 ? `${n} more` : 'fewer');
      return {
        path,
        field: `blocks of order ${order} that nobody reaches`,
        one: text(more),
        other: text(-more),
      };
    }
    return undefined;
  }
}

const moreText = (n: number): string => (n > 0 ? `${n} more` : 'fewer');

const byteText = (memory: Memory, at: number): string =>
  `0x${(memory.loadBytes(at, 1)[0] ?? 0).toString(16).padStart(2, '0')}`;

function valueText({ kind, value }: DecodedField): string {
  if (kind === 'text') return JSON.stringify(value);
  return kind === 'address' ? `0x${value.toString(16)}` : `${value}`;
}
