/*
 * Struct layouts as data. A layout is a list of fields with offsets, packed and little-endian, as the kernel writes
 * them. The abi files of each subsystem declare theirs here; nobody else knows an offset.
 *
 *   const HEADER = struct('luo_session_header_ser', { next: u64, count: u64 });
 *   HEADER.size        16
 *   HEADER.at.count    8
 */
import { assert } from './assert.ts';

export interface FieldType {
  readonly kind: 'u16' | 'u32' | 's32' | 'u64' | 'text' | 'struct';
  readonly size: number;
  readonly layout?: Layout<string>;
}

export const u16: FieldType = { kind: 'u16', size: 2 };
export const u32: FieldType = { kind: 'u32', size: 4 };
export const s32: FieldType = { kind: 's32', size: 4 };
export const u64: FieldType = { kind: 'u64', size: 8 };
/** A NUL-padded byte string of fixed size. */
export const text = (size: number): FieldType => ({ kind: 'text', size });
/** A struct inside a struct. */
export const nested = (layout: Layout<string>): FieldType => ({ kind: 'struct', size: layout.size, layout });

export interface Field {
  readonly name: string;
  readonly type: FieldType;
  /** Bytes from the start of the struct. */
  readonly offset: number;
}

export interface Layout<Name extends string> {
  readonly name: string;
  readonly size: number;
  readonly fields: readonly Field[];
  readonly at: Readonly<Record<Name, number>>;
}

/** Lays fields out one after the other, without padding. */
export function struct<Name extends string>(name: string, spec: Record<Name, FieldType>): Layout<Name> {
  const fields: Field[] = [];
  const at = {} as Record<Name, number>;
  let offset = 0;
  for (const [fieldName, type] of Object.entries(spec) as [Name, FieldType][]) {
    fields.push({ name: fieldName, type, offset });
    at[fieldName] = offset;
    offset += type.size;
  }
  assert(offset > 0, `struct ${name} is empty`);
  return { name, size: offset, fields, at };
}

/** Number of whole entries of `layout` that fit behind a header in `bytes`. */
export function entriesIn(bytes: number, header: Layout<string>, layout: Layout<string>): number {
  return Math.floor((bytes - header.size) / layout.size);
}
