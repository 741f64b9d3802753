/*
 * The sequential writer: laws over trees, the byte where it is full, and the LUO trees of a real kernel byte for byte.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkHeader, getProperty, subnodeOffset } from '../../sim/kho/fdt.ts';
import { FDT_ERR, FDT_HEADER, nativeU64, readWord } from '../../sim/kho/fdt_abi.ts';
import { FdtWriter } from '../../sim/kho/fdt_writer.ts';
import { anyTree, blobOf, golden, treeBytes, treeOf, write, writtenStrings } from './fdt_model.ts';

const PAGE = 4096;
const END_BYTES = 4;
const text = (fdt: Uint8Array): string => Buffer.from(fdt).toString('latin1');
const stringsOf = (fdt: Uint8Array): string => {
  const start = readWord(fdt, FDT_HEADER.stringsOffset);
  return text(fdt.subarray(start, start + readWord(fdt, FDT_HEADER.stringsBytes)));
};

describe('the sequential writer', () => {
  it('lays down the tree, and the strings with the first name last', () => {
    fc.assert(
      fc.property(anyTree, (tree) => {
        const { writer, results } = write(tree, 1 << 15);
        expect(results.every((result) => result === 0)).toBe(true);
        const blob = writer.blob();
        const strings = writtenStrings(tree);
        expect(treeOf(blob)).toEqual(tree);
        expect(stringsOf(blob)).toBe(strings);
        expect(blob.length).toBe(64 + treeBytes(tree) + END_BYTES + strings.length);
      }),
    );
  });

  it('needs exactly the bytes of the blob: at one less some step answers NOSPACE', () => {
    fc.assert(
      fc.property(anyTree, fc.integer({ min: 1, max: 64 }), (tree, less) => {
        const blob = blobOf(tree);
        const fits = write(tree, blob.length);
        expect(fits.results.every((result) => result === 0)).toBe(true);
        expect(fits.writer.blob()).toEqual(blob);
        const { results } = write(tree, Math.max(64, blob.length - less));
        expect(results).toContain(-FDT_ERR.NOSPACE);
        expect(results.every((result) => result === 0 || result === -FDT_ERR.NOSPACE)).toBe(true);
      }),
    );
  });

  it('writes the same blob into any buffer that is large enough', () => {
    fc.assert(
      fc.property(anyTree, fc.nat({ max: 500 }), (tree, more) => {
        const blob = blobOf(tree);
        expect(write(tree, blob.length + more).writer.blob()).toEqual(blob);
      }),
    );
  });

  it('takes back the name of a property that did not fit, and goes on with what does', () => {
    const writer = new FdtWriter(64 + 8 + 16 + 4 + 4 + 2);
    writer.create();
    writer.finishReservemap();
    expect(writer.beginNode('')).toBe(0);
    expect(writer.property('long-name', new Uint8Array(16))).toBe(-FDT_ERR.NOSPACE);
    expect(writer.property('much-longer-name-than-there-is-room-for', new Uint8Array(0))).toBe(
      -FDT_ERR.NOSPACE,
    );
    expect(writer.beginNode('a-node-that-does-not-fit-in-here')).toBe(-FDT_ERR.NOSPACE);
    expect(writer.property('x', Uint8Array.of(1, 2, 3))).toBe(0);
    expect(writer.endNode()).toBe(0);
    expect(writer.endNode() | writer.finish()).toBe(-FDT_ERR.NOSPACE);
  });

  it('takes back a name also when it can finish', () => {
    const writer = new FdtWriter(64 + 8 + 16 + 8 + 2);
    writer.create();
    writer.finishReservemap();
    expect(writer.beginNode('')).toBe(0);
    expect(writer.property('long-name', new Uint8Array(8))).toBe(-FDT_ERR.NOSPACE);
    expect(writer.property('a-name-that-reaches-into-the-nodes', new Uint8Array(0))).toBe(-FDT_ERR.NOSPACE);
    expect(writer.property('x', Uint8Array.of(1, 2, 3))).toBe(0);
    expect(writer.endNode() | writer.finish()).toBe(0);
    expect(stringsOf(writer.blob())).toBe('x\0');
    expect(treeOf(writer.blob()).properties).toEqual([{ name: 'x', value: Uint8Array.of(1, 2, 3) }]);
  });

  it('refuses steps out of turn, and results can be ORed together', () => {
    const writer = new FdtWriter(PAGE);
    const all = (): number[] => [
      writer.finishReservemap(),
      writer.beginNode(''),
      writer.propertyString('compatible', 'luo-v1'),
      writer.propertyU64('liveupdate-number', 1),
      writer.endNode(),
      writer.finish(),
    ];
    expect(all()).toEqual(Array(6).fill(-FDT_ERR.BADMAGIC));
    expect(writer.create()).toBe(0);
    expect([writer.beginNode(''), writer.endNode(), writer.finish()]).toEqual(
      Array(3).fill(-FDT_ERR.BADSTATE),
    );
    expect(() => writer.blob()).toThrow();
    expect(all()).toEqual([0, 0, 0, 0, 0, 0]);
    expect(all()).toEqual(Array(6).fill(-FDT_ERR.BADSTATE));
    expect(all().reduce((or, result) => or | result, 0)).toBe(-FDT_ERR.BADSTATE);
    expect(writer.create()).toBe(0);
    expect(all()).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it('answers NOSPACE where not even the header and the reserve map fit', () => {
    const steps = (bytes: number): number[] => {
      const writer = new FdtWriter(bytes);
      return [writer.create(), writer.finishReservemap(), writer.beginNode('')];
    };
    expect(steps(47)).toEqual([-FDT_ERR.NOSPACE, -FDT_ERR.BADMAGIC, -FDT_ERR.BADMAGIC]);
    expect(steps(48)).toEqual([0, -FDT_ERR.NOSPACE, -FDT_ERR.BADSTATE]);
    expect(steps(63)).toEqual([0, -FDT_ERR.NOSPACE, -FDT_ERR.BADSTATE]);
    expect(steps(64)).toEqual([0, 0, -FDT_ERR.NOSPACE]);
    expect(steps(72)).toEqual([0, 0, 0]);
  });

  it('starts afresh with create', () => {
    const filled = { name: 'f', value: new Uint8Array(40).fill(0xff) };
    const { writer } = write({ name: '', properties: [filled], children: [] }, PAGE);
    const odd = { name: '', properties: [{ name: 'odd', value: Uint8Array.of(1) }], children: [] };
    expect(writer.create() | writer.finishReservemap() | writer.beginNode('')).toBe(0);
    expect(writer.property('odd', Uint8Array.of(1)) | writer.endNode() | writer.finish()).toBe(0);
    expect(writer.buffer).toEqual(write(odd, PAGE).writer.buffer);
  });

  it('leaves the names at the end of the page behind', () => {
    const { writer } = write(
      { name: '', properties: [{ name: 'fdt', value: new Uint8Array(8) }], children: [] },
      PAGE,
    );
    expect(text(writer.buffer.subarray(PAGE - 4))).toBe('fdt\0');
    expect(writer.buffer.subarray(writer.blob().length, PAGE - 4).every((byte) => byte === 0)).toBe(true);
  });
});

describe('the LUO tree of Linux 7.1.13', () => {
  const header = (fdt: Uint8Array, node: string, property: string): number =>
    nativeU64(getProperty(fdt, node === '' ? 0 : subnodeOffset(fdt, 0, node), property))?.value ?? Number.NaN;

  it.each([
    'k7113-0sessions.luo-fdt.bin',
    'k7113-3sessions-2files.luo-fdt.bin',
    'k7113-819sessions.luo-fdt.bin',
  ])('%s is written byte for byte', (name) => {
    const kernel = golden(name);
    const writer = new FdtWriter(PAGE);
    let err = writer.create();
    err |= writer.finishReservemap();
    err |= writer.beginNode('');
    err |= writer.propertyString('compatible', 'luo-v1');
    err |= writer.propertyU64('liveupdate-number', header(kernel, '', 'liveupdate-number'));
    err |= writer.beginNode('luo-session');
    err |= writer.propertyString('compatible', 'luo-session-v2');
    err |= writer.propertyU64('luo-session-header', header(kernel, 'luo-session', 'luo-session-header'));
    err |= writer.endNode();
    err |= writer.beginNode('luo-flb');
    err |= writer.propertyString('compatible', 'luo-flb-v1');
    err |= writer.propertyU64('luo-flb-header', header(kernel, 'luo-flb', 'luo-flb-header'));
    err |= writer.endNode();
    err |= writer.endNode();
    err |= writer.finish();
    expect(err).toBe(0);
    expect(checkHeader(writer.blob())).toBe(0);
    expect(Buffer.from(writer.blob()).toString('hex')).toBe(Buffer.from(kernel).toString('hex'));
    expect(header(kernel, '', 'liveupdate-number')).toBe(1);
    expect(kernel.length).toBe(311);
  });
});
