/*
 * Parsed JSON that came from outside, read strictly: every step knows its place, and what is not as it must be ends the
 * reading with one line that says what and where. Addresses stand there as text, "0x9d8000"; bytes as hexadecimal text.
 */
import { RAM_BYTES_MAX } from '../base/limits.ts';
import type { Phys } from '../base/units.ts';
import { isObject, isWhole } from '../input/program_json.ts';

/** Ends the reading; the message is to be said after the file's name. */
export class BadExtract extends Error {
  override readonly name = 'BadExtract';
}

/** A value and its place: `luo.session_blocks[0].pa`. */
export class Place {
  readonly at: string;
  readonly #value: unknown;

  constructor(value: unknown, at = '') {
    this.#value = value;
    this.at = at;
  }

  wrong(what: string): never {
    throw new BadExtract(`is wrong at ${this.at === '' ? 'its top' : this.at}: ${what}`);
  }

  /** The member of an object; undefined where there is none, or null stands for it. */
  optional(key: string): Place | undefined {
    if (!isObject(this.#value)) this.wrong('no object');
    const value = Object.hasOwn(this.#value, key) ? this.#value[key] : undefined;
    if (value === undefined || value === null) return undefined;
    return new Place(value, this.at === '' ? key : `${this.at}.${key}`);
  }

  get(key: string): Place {
    return this.optional(key) ?? this.wrong(`no ${key}`);
  }

  /** The entries of the list under a key, none where there is none. */
  *each(key: string): Generator<Place, void, void> {
    const list = this.optional(key);
    if (list !== undefined) yield* list.list();
  }

  list(): Place[] {
    if (!Array.isArray(this.#value)) this.wrong('no list');
    return this.#value.map((value: unknown, i) => new Place(value, `${this.at}[${i}]`));
  }

  text(): string {
    return typeof this.#value === 'string' ? this.#value : this.wrong('no text');
  }

  whole(max: number): number {
    return isWhole(this.#value, max) ? this.#value : this.wrong(`no whole number up to ${max}`);
  }

  /** Hexadecimal text as a number below 2^52. */
  number(): number {
    const text = this.text();
    if (!/^0x[0-9a-f]{1,13}$/.test(text)) this.wrong(`'${text}' is no number as 0x1f`);
    return Number(text);
  }

  /** Address of a page of the largest machine. */
  page(): Phys {
    const address = this.number();
    if (address % 4096 !== 0 || address >= RAM_BYTES_MAX) this.wrong(`'${this.text()}' is no page of memory`);
    return address as Phys;
  }

  hex(): Uint8Array {
    const text = this.text();
    if (text.length % 2 !== 0 || !/^[0-9a-f]*$/.test(text))
      this.wrong('no bytes of two hexadecimal digits each');
    return Uint8Array.from({ length: text.length / 2 }, (_, i) =>
      Number.parseInt(text.slice(2 * i, 2 * i + 2), 16),
    );
  }
}
