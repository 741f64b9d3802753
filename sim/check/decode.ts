/*
 * Bytes of a handover as fields of pieces: structs by their layouts, properties of device trees by their names. Nothing
 * here judges; a field of any contents has a value.
 */
import type { FieldType, Layout } from '../base/layout.ts';
import { KHO_VMALLOC } from '../kho/abi.ts';
import { nextNode, nodeName, properties } from '../kho/fdt.ts';
import { FDT_HEADER, FDT_TAG_BYTES, readWord } from '../kho/fdt_abi.ts';
import { vmallocFromBytes } from '../kho/vmalloc.ts';
import type { DecodedField, Memory } from './anatomy.ts';

/** A u64 at an address, whole. */
export function u64At(memory: Memory, address: number): number | bigint {
  const low = memory.load32(address) >>> 0;
  const high = memory.load32(address + 4) >>> 0;
  return high < 2 ** 21 ? high * 2 ** 32 + low : (BigInt(high) << 32n) | BigInt(low);
}

/** Text up to its NUL, a character for each byte; all of the field where there is none. */
export function textAt(memory: Memory, address: number, bytes: number): string {
  let text = '';
  for (let i = 0; i < bytes; i += 4) {
    const word = memory.load32(address + i);
    for (let shift = 0; shift < Math.min(32, (bytes - i) * 8); shift += 8) {
      const byte = (word >>> shift) & 0xff;
      if (byte === 0) return text;
      text += String.fromCharCode(byte);
    }
  }
  return text;
}

/** The fields of a struct; a u64 is an address where `addresses` has its name. */
export function structFields(
  memory: Memory,
  phys: number,
  layout: Layout<string>,
  addresses: readonly string[] = [],
): DecodedField[] {
  const fields: DecodedField[] = [];
  addFields(fields, memory, phys, layout, addresses, '', 0);
  return fields;
}

function addFields(
  fields: DecodedField[],
  memory: Memory,
  phys: number,
  layout: Layout<string>,
  addresses: readonly string[],
  prefix: string,
  base: number,
): void {
  for (const { name: own, type, offset: inside } of layout.fields) {
    const name = prefix + own;
    const offset = base + inside;
    if (type.layout !== undefined) {
      addFields(fields, memory, phys, type.layout, addresses, `${name}.`, offset);
      continue;
    }
    const value = valueAt(memory, phys + offset, type);
    const kind = typeof value === 'string' ? 'text' : addresses.includes(name) ? 'address' : 'number';
    fields.push({ name, offset, bytes: type.size, kind, value });
  }
}

function valueAt(memory: Memory, address: number, { kind, size }: FieldType): number | bigint | string {
  if (kind === 'text') return textAt(memory, address, size);
  if (kind === 'u64') return u64At(memory, address);
  const word = memory.load32(address);
  if (kind === 'u16') return word & 0xffff;
  return kind === 's32' ? word : word >>> 0;
}

/** A field's value as a number to calculate with: rounded where it is a bigint. */
export function numberOf(fields: readonly DecodedField[], name: string): number {
  return Number(fields.find((field) => field.name === name)?.value ?? 0);
}

/** A node of a device tree and its path: '' for the root, then `luo-session` and so on. */
export interface FdtNode {
  readonly path: string;
  readonly offset: number;
}

/** All nodes, in the order of the blob; a root alone where there is no more to be read. */
export function fdtNodes(fdt: Uint8Array): FdtNode[] {
  const nodes: FdtNode[] = [{ path: '', offset: 0 }];
  const above: string[] = [];
  const walk = { depth: 0 };
  for (let node = nextNode(fdt, 0, walk); node >= 0 && walk.depth > 0; node = nextNode(fdt, node, walk)) {
    above.length = walk.depth - 1;
    above.push(nodeName(fdt, node) ?? '');
    nodes.push({ path: above.join('/'), offset: node });
  }
  return nodes;
}

/** Properties of every node, `luo-session/compatible`; 8 bytes are an address where `addresses` has the last name. */
export function fdtFields(fdt: Uint8Array, addresses: readonly string[]): DecodedField[] {
  const fields: DecodedField[] = [];
  for (const { path, offset } of fdtNodes(fdt)) {
    for (const { name = '?', value, at } of properties(fdt, offset)) {
      const full = path === '' ? name : `${path}/${name}`;
      if (name === FOLIOS_INFO) addVmalloc(fields, full, value, at);
      else fields.push(propertyField(full, value, at, addresses.includes(name)));
    }
  }
  return fields;
}

/** The one property that is a struct, of lib/test_kho.c. */
const FOLIOS_INFO = 'folios_info';

function addVmalloc(fields: DecodedField[], name: string, value: Uint8Array, at: number): void {
  const list = vmallocFromBytes(value);
  if (list === undefined) {
    fields.push(propertyField(name, value, at, false));
    return;
  }
  const values = [list.first, list.totalPages, list.flags, list.order];
  for (const [i, { name: own, offset, type }] of KHO_VMALLOC.fields.entries()) {
    const kind = own === 'first' ? 'address' : 'number';
    fields.push({
      name: `${name}.${own}`,
      offset: at + offset,
      bytes: type.size,
      kind,
      value: values[i] as number,
    });
  }
}

function propertyField(name: string, value: Uint8Array, offset: number, isAddress: boolean): DecodedField {
  const bytes = value.length;
  const isNumber = (bytes === 8 || bytes === 4) && !name.endsWith('compatible');
  if (!isNumber) {
    const nul = value.indexOf(0);
    const isText = nul > 0 && nul === bytes - 1 && value.every((byte, i) => i === nul || isPrintable(byte));
    return isText
      ? { name, offset, bytes, kind: 'text', value: String.fromCharCode(...value.subarray(0, nul)) }
      : { name, offset, bytes, kind: 'bytes', value: hexOf(value) };
  }
  let number = 0n;
  for (const byte of [...value].reverse()) number = (number << 8n) | BigInt(byte);
  const kind = isAddress && bytes === 8 ? 'address' : 'number';
  return { name, offset, bytes, kind, value: number < 2n ** 53n ? Number(number) : number };
}

const isPrintable = (byte: number): boolean => byte >= 0x20 && byte < 0x7f;
const hexOf = (bytes: Uint8Array): string =>
  Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');

/** Bytes of a blob that count: what its header says, or all of the page where it has none. */
export function fdtBytes(fdt: Uint8Array): number {
  const total = readWord(fdt, FDT_HEADER.totalsize);
  return total >= FDT_TAG_BYTES && total <= fdt.length ? total : fdt.length;
}
