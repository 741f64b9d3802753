/*
 * Memory put together from pieces: pages come to be as bytes are put in place, and no two pieces may claim one byte.
 */
import { PAGE_SIZE, RAM_BYTES_MAX } from '../base/limits.ts';
import type { Pfn } from '../base/units.ts';
import type { Place } from './extracted_json.ts';

export class Sheets {
  readonly #pages = new Map<Pfn, Uint8Array>();
  /** Claimed bytes, by the page in which they begin or go on. */
  readonly #claims = new Map<number, { readonly from: number; readonly to: number; readonly by: string }[]>();
  /** Behind the last byte that was put. */
  end = 0;

  /** Puts bytes where a page begins whose address stands at a place. */
  put(pa: Place, bytes: Uint8Array): void {
    this.putAt(pa.page(), bytes, pa);
  }

  /** `place` answers for them. */
  putAt(address: number, bytes: Uint8Array, place: Place): void {
    if (!Number.isInteger(address) || address < 0 || address + bytes.length > RAM_BYTES_MAX) {
      place.wrong(`0x${address.toString(16)} is no memory`);
    }
    for (let done = 0; done < bytes.length; ) {
      const at = address + done;
      const frame = Math.floor(at / PAGE_SIZE) as Pfn;
      const part = bytes.subarray(done, done + PAGE_SIZE - (at % PAGE_SIZE));
      this.#claim(frame, at, at + part.length, place);
      this.#page(frame).set(part, at % PAGE_SIZE);
      done += part.length;
    }
    this.end = Math.max(this.end, address + bytes.length);
  }

  /** Ascending. */
  pages(): [Pfn, Uint8Array][] {
    return [...this.#pages].sort(([x], [y]) => x - y);
  }

  #claim(frame: Pfn, from: number, to: number, place: Place): void {
    const claims = this.#claims.get(frame) ?? [];
    const other = claims.find((claim) => from < claim.to && to > claim.from);
    if (other !== undefined) place.wrong(`0x${from.toString(16)} is taken by ${other.by}`);
    claims.push({ from, to, by: place.at });
    this.#claims.set(frame, claims);
  }

  #page(frame: Pfn): Uint8Array {
    let page = this.#pages.get(frame);
    if (page === undefined) {
      page = new Uint8Array(PAGE_SIZE);
      this.#pages.set(frame, page);
    }
    return page;
  }
}
