/*
 * The reader over bytes that are no device tree, or one that was damaged: it ends, throws nothing, stays inside.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkHeader,
  firstSubnode,
  getProperty,
  nextNode,
  nextSubnode,
  nextTag,
  nodeCheckCompatible,
  nodeName,
  pathOffset,
  probe,
  properties,
  propertyOffset,
  subnodeOffset,
} from '../../sim/kho/fdt.ts';
import { FDT_ERR, FDT_HEADER, FDT_TAG, readWord, writeWord } from '../../sim/kho/fdt_abi.ts';
import { anyTree, blobOf, golden, treeOf } from './fdt_model.ts';

const LUO = golden('k7113-3sessions-2files.luo-fdt.bin');
const KHO = golden('k734-3sessions-2files.kho-fdt.bin');

/** Asks everything of the reader, at every offset; the answers. */
function askEverything(fdt: Uint8Array): unknown[] {
  const answers: unknown[] = [
    checkHeader(fdt),
    probe(fdt),
    pathOffset(fdt, '/luo-session'),
    pathOffset(fdt, '/a/b'),
  ];
  for (let at = -4; at < fdt.length + 4; at += at % 8 === 0 ? 3 : 1) {
    answers.push(nextTag(fdt, at), nodeName(fdt, at), firstSubnode(fdt, at), nextSubnode(fdt, at));
    answers.push(subnodeOffset(fdt, at, 'mem'), propertyOffset(fdt, at, 'compatible'));
    answers.push(nodeCheckCompatible(fdt, at, 'luo-v1'), getProperty(fdt, at, 'data'), properties(fdt, at));
  }
  return answers;
}

/** A blob with words and bytes of it changed: often still half readable. */
const damaged = (sources: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> =>
  fc
    .tuple(
      sources,
      fc.array(fc.tuple(fc.nat(), fc.oneof(fc.nat({ max: 16 }), fc.nat({ max: 0xff }))), { maxLength: 6 }),
      fc.array(fc.tuple(fc.nat({ max: 9 }), fc.integer({ min: -64, max: 64 })), { maxLength: 2 }),
      fc.option(fc.nat(), { freq: 4 }),
    )
    .map(([source, bytes, words, cut]) => {
      const blob = source.slice();
      for (const [at, value] of bytes) blob[40 + (at % (blob.length - 40))] = value;
      for (const [word, by] of words) writeWord(blob, word * 4, (readWord(blob, word * 4) + by) >>> 0);
      return cut === null ? blob : blob.slice(0, cut % blob.length);
    });

const anyBlob = fc.oneof(anyTree.map(blobOf), fc.constantFrom(LUO, KHO));

/** The token at `offset` of a structure block that is cut out of the blob, so that nothing lies behind it. */
function tokenIn(struct: Uint8Array, offset: number): { tag: number; next: number } {
  const word = (at: number): number => new DataView(struct.buffer).getUint32(at);
  if (offset + 4 > struct.length) return { tag: FDT_TAG.END, next: -FDT_ERR.TRUNCATED };
  const tag = word(offset);
  const broken = { tag: FDT_TAG.END, next: -FDT_ERR.BADSTRUCTURE };
  let bytes = 4;
  if (tag === FDT_TAG.BEGIN_NODE) bytes = struct.indexOf(0, offset + 4) + 1 - offset;
  else if (tag === FDT_TAG.PROP) bytes = offset + 8 > struct.length ? Number.NaN : 12 + word(offset + 4);
  else if (tag !== FDT_TAG.END_NODE && tag !== FDT_TAG.NOP && tag !== FDT_TAG.END) return broken;
  if (!(bytes >= 4 && offset + bytes <= struct.length)) return broken;
  return { tag, next: Math.ceil((offset + bytes) / 4) * 4 };
}

describe('the reader', () => {
  it('ends without throwing on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 160 }), (bytes) => {
        askEverything(bytes);
        treeOf(bytes);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.uint8Array({ maxLength: 40 }), (struct, strings) => {
        const blob = LUO.slice(0, 64 + struct.length + strings.length);
        for (let i = 0; i < struct.length; i++) blob[64 + i] = (struct[i] ?? 0) % (i % 4 === 3 ? 12 : 2);
        blob.set(strings, 64 + struct.length);
        writeWord(blob, FDT_HEADER.totalsize, blob.length);
        writeWord(blob, FDT_HEADER.structBytes, struct.length);
        writeWord(blob, FDT_HEADER.stringsOffset, 64 + struct.length);
        writeWord(blob, FDT_HEADER.stringsBytes, strings.length);
        askEverything(blob);
        treeOf(blob);
      }),
    );
  });

  it('ends without throwing on damaged blobs, and every token goes forward inside them', () => {
    fc.assert(
      fc.property(damaged(anyBlob), (blob) => {
        askEverything(blob);
        treeOf(blob);
        for (let at = 0; at >= 0 && nextTag(blob, at).tag !== FDT_TAG.END; ) {
          const { next } = nextTag(blob, at);
          expect(next).toBeGreaterThan(at);
          expect(next).toBeLessThan(blob.length + 4);
          at = next;
        }
        const walk = { depth: 0 };
        let visited = 0;
        for (
          let node = nextNode(blob, 0, walk);
          node >= 0 && walk.depth >= 0;
          node = nextNode(blob, node, walk)
        ) {
          expect(++visited).toBeLessThan(blob.length / 8);
        }
      }),
    );
  });

  it('takes tokens from the structure block alone', () => {
    fc.assert(
      fc.property(damaged(anyBlob), fc.nat({ max: 8 }), fc.boolean(), (blob, cut, inTotal) => {
        // Short blocks: tokens that stick out into the strings, or out of the blob.
        const field = inTotal ? FDT_HEADER.totalsize : FDT_HEADER.structBytes;
        if (blob.length >= 40) writeWord(blob, field, Math.max(0, readWord(blob, field) - cut));
        const start = readWord(blob, FDT_HEADER.structOffset);
        const total = Math.min(blob.length, readWord(blob, FDT_HEADER.totalsize));
        const old = readWord(blob, FDT_HEADER.version) < 17;
        const end = old ? total : Math.min(total, start + readWord(blob, FDT_HEADER.structBytes));
        const struct = blob.slice(start, Math.max(start, end));
        for (let at = 0; at < struct.length + 8; at++) expect(nextTag(blob, at)).toEqual(tokenIn(struct, at));
      }),
    );
  });

  it('answers the same whatever lies behind and around the blob', () => {
    fc.assert(
      fc.property(damaged(anyBlob), fc.constantFrom(0, 1, 9, 0xff), (blob, filler) => {
        const total = Math.min(readWord(blob, FDT_HEADER.totalsize), blob.length);
        const room = new Uint8Array(blob.length + 128).fill(filler);
        room.set(blob, 64);
        room.fill(filler, 64 + Math.max(total, 40));
        const answers = askEverything(blob);
        expect(askEverything(room.subarray(64, 64 + blob.length))).toEqual(answers);
      }),
    );
  });
});
