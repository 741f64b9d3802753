/*
 * Reading device trees: what was written comes back, names are found by libfdt's rules, headers are judged as libfdt
 * judges them, and the blobs of real kernels say what those kernels meant.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkHeader,
  firstSubnode,
  getProperty,
  nextNode,
  nodeCheckCompatible,
  nodeName,
  pathOffset,
  probe,
  properties,
  propertyOffset,
  subnodeOffset,
} from '../../sim/kho/fdt.ts';
import {
  FDT_ERR,
  FDT_HEADER,
  FDT_MAGIC,
  FDT_SW_MAGIC,
  FDT_TAG,
  nameBytes,
  nativeU64,
  readWord,
  u64Bytes,
  writeWord,
} from '../../sim/kho/fdt_abi.ts';
import { FdtWriter } from '../../sim/kho/fdt_writer.ts';
import {
  answersTo,
  anyTree,
  blobOf,
  golden,
  plainTree,
  someNodeName,
  type TreeNode,
  treeOf,
} from './fdt_model.ts';

const LUO = golden('k7113-3sessions-2files.luo-fdt.bin');
const KHO = golden('k734-3sessions-2files.kho-fdt.bin');

describe('reading a device tree', () => {
  it('gives back what was written', () => {
    fc.assert(
      fc.property(anyTree, (tree) => {
        const blob = blobOf(tree);
        expect(checkHeader(blob)).toBe(0);
        expect(treeOf(blob)).toEqual(tree);
      }),
    );
  });

  it('finds a child by name, the unit address left out or not, the first that answers', () => {
    fc.assert(
      fc.property(plainTree, someNodeName, (tree, name) => {
        const blob = blobOf(tree);
        const index = tree.children.findIndex((child) => answersTo(child.name, name));
        const found = subnodeOffset(blob, 0, name);
        if (index < 0) expect(found).toBe(-FDT_ERR.NOTFOUND);
        else expect(treeOf(blob, found)).toEqual(tree.children[index]);
        expect(pathOffset(blob, `/${name}`)).toBe(found);
      }),
    );
  });

  it('finds the path of every node and the value of every property', () => {
    fc.assert(
      fc.property(plainTree, (tree) => {
        const blob = blobOf(tree);
        const visit = (node: TreeNode, path: string): void => {
          const at = pathOffset(blob, path === '' ? '/' : path);
          expect(treeOf(blob, at)).toEqual(node);
          for (const { name, value } of node.properties) expect(getProperty(blob, at, name)).toEqual(value);
          expect(getProperty(blob, at, 'not-there')).toBeUndefined();
          const plain = node.children.filter((n) =>
            node.children.every((o) => o === n || !answersTo(o.name, n.name)),
          );
          for (const child of plain) visit(child, `${path}/${child.name}`);
        };
        visit(tree, '');
      }),
    );
  });
});

describe('the header', () => {
  const damage = (field: keyof typeof FDT_HEADER, word: number): Uint8Array => {
    const blob = LUO.slice();
    writeWord(blob, FDT_HEADER[field], word);
    return blob;
  };

  it.each(['k7113-3sessions-2files.luo-fdt.bin', 'k734-3sessions-2files.kho-fdt.bin'])(
    'of %s is sound',
    (name) => {
      expect(checkHeader(golden(name))).toBe(0);
      expect(probe(golden(name))).toBe(golden(name).length);
    },
  );

  it.each([
    ['magic', 0, -FDT_ERR.BADMAGIC, -FDT_ERR.BADMAGIC],
    ['magic', FDT_SW_MAGIC, -FDT_ERR.BADMAGIC, -FDT_ERR.BADSTATE],
    ['version', 15, -FDT_ERR.BADVERSION, -FDT_ERR.BADVERSION],
    ['version', 16, 0, 311],
    ['version', 18, 0, 311],
    ['lastCompatible', 18, -FDT_ERR.BADVERSION, -FDT_ERR.BADVERSION],
    ['lastCompatible', 17, 0, 311],
    ['totalsize', 39, -FDT_ERR.TRUNCATED, 39],
    ['totalsize', 310, -FDT_ERR.TRUNCATED, 310],
    ['totalsize', 312, -FDT_ERR.TRUNCATED, -FDT_ERR.TRUNCATED],
    ['totalsize', 2 ** 31, -FDT_ERR.TRUNCATED, -FDT_ERR.TRUNCATED],
    ['reserveOffset', 39, -FDT_ERR.TRUNCATED, 311],
    ['reserveOffset', 312, -FDT_ERR.TRUNCATED, 311],
    ['structOffset', 128, -FDT_ERR.TRUNCATED, 311],
    ['structBytes', 248, -FDT_ERR.TRUNCATED, 311],
    ['structBytes', 2 ** 32 - 64, -FDT_ERR.TRUNCATED, 311],
    ['stringsOffset', 249, -FDT_ERR.TRUNCATED, 311],
    ['stringsBytes', 64, -FDT_ERR.TRUNCATED, 311],
  ] as const)('with %s %i answers %i and %i', (field, word, checked, probed) => {
    expect(checkHeader(damage(field, word))).toBe(checked);
    expect(probe(damage(field, word))).toBe(probed);
  });

  it('with a version older than what may read it is refused, but not by the weaker check', () => {
    const blob = damage('version', 17);
    writeWord(blob, FDT_HEADER.lastCompatible, 17);
    writeWord(blob, FDT_HEADER.version, 16);
    expect(checkHeader(blob)).toBe(-FDT_ERR.BADVERSION);
    expect(probe(blob)).toBe(311);
    const newer = damage('version', 18);
    writeWord(newer, FDT_HEADER.lastCompatible, 18);
    expect([checkHeader(newer), probe(newer)]).toEqual([-FDT_ERR.BADVERSION, -FDT_ERR.BADVERSION]);
  });

  it('of every blob cut short is refused', () => {
    for (let bytes = 0; bytes < LUO.length; bytes++) {
      const cut = LUO.slice(0, bytes);
      expect(checkHeader(cut)).toBeLessThan(0);
      expect(subnodeOffset(cut, 0, 'luo-session')).toBeLessThan(0);
    }
  });
});

describe('a tree from a real kernel', () => {
  it('is read name by name and value by value', () => {
    const session = subnodeOffset(LUO, 0, 'luo-session');
    expect(nodeCheckCompatible(LUO, 0, 'luo-v1')).toBe(0);
    expect(nodeCheckCompatible(LUO, session, 'luo-session-v2')).toBe(0);
    expect(nativeU64(getProperty(LUO, 0, 'liveupdate-number'))?.value).toBe(1);
    expect(nativeU64(getProperty(LUO, session, 'luo-session-header'))?.value).toBe(0x9e0000);
    expect(treeOf(KHO).children.map(({ name }) => name)).toEqual(['LUO', 'kexec-metadata']);
    expect(nativeU64(getProperty(KHO, pathOffset(KHO, '/kexec-metadata'), 'blob-size'))?.value).toBe(73);
    expect(pathOffset(KHO, '//kexec-metadata/')).toBe(pathOffset(KHO, '/kexec-metadata'));
    expect(pathOffset(KHO, 'LUO')).toBe(-FDT_ERR.BADPATH);
    expect(pathOffset(KHO, '/LUO/nobody')).toBe(-FDT_ERR.NOTFOUND);
  });

  it('answers BADOFFSET where no node is', () => {
    for (const at of [-4, 2, 8, KHO.length, 2 ** 40]) {
      expect(subnodeOffset(KHO, at, 'LUO')).toBe(-FDT_ERR.BADOFFSET);
      expect(propertyOffset(KHO, at, 'compatible')).toBe(-FDT_ERR.BADOFFSET);
      expect(nodeName(KHO, at)).toBeUndefined();
    }
  });
});

describe('a tree of some oddity', () => {
  const leaf = (name: string): TreeNode => ({ name, properties: [], children: [] });

  it('has no node at an offset that is not a multiple of 4', () => {
    const value = Uint8Array.of(0, 0, 0, 0, 0, 1, 0x61, 0, 0, 0, 0, 2);
    const blob = blobOf({ ...leaf(''), properties: [{ name: 'x', value }] });
    expect(readWord(blob, 64 + 22)).toBe(FDT_TAG.BEGIN_NODE);
    expect(nodeName(blob, 22)).toBeUndefined();
    expect(nextNode(blob, 22, { depth: 0 })).toBe(-FDT_ERR.BADOFFSET);
  });

  it('ends where an END stands, also inside a node', () => {
    const blob = blobOf({ ...leaf(''), children: [leaf('a'), leaf('b')] });
    writeWord(blob, 64 + 16, FDT_TAG.END);
    expect(firstSubnode(blob, 0)).toBe(8);
    expect(nextNode(blob, 8, { depth: 0 })).toBe(-FDT_ERR.NOTFOUND);
    expect(subnodeOffset(blob, 0, 'b')).toBe(-FDT_ERR.NOTFOUND);
    expect(propertyOffset(blob, 8, 'x')).toBe(-FDT_ERR.BADSTRUCTURE);
  });

  it('is walked over its NOPs', () => {
    const blob = blobOf({
      ...leaf(''),
      properties: [{ name: 'x', value: new Uint8Array(4) }],
      children: [leaf('b')],
    });
    for (let at = 64 + 8; at < 64 + 24; at += 4) writeWord(blob, at, FDT_TAG.NOP);
    expect(treeOf(blob)).toEqual({ ...leaf(''), children: [leaf('b')] });
  });

  it('with two @ in a name is found by the whole name only', () => {
    const blob = blobOf({ ...leaf(''), children: [leaf('mem@0@1')] });
    expect(subnodeOffset(blob, 0, 'mem@0')).toBe(-FDT_ERR.NOTFOUND);
    expect(subnodeOffset(blob, 0, 'mem')).toBe(8);
  });

  it('takes no name from behind the strings block', () => {
    const blob = blobOf({ ...leaf(''), properties: [{ name: 'xy', value: new Uint8Array(0) }] });
    const page = new Uint8Array(128);
    page.set(blob);
    page.set(nameBytes('zz'), blob.length);
    writeWord(page, FDT_HEADER.totalsize, page.length);
    expect(propertyOffset(page, 0, 'xy')).toBe(8);
    writeWord(page, 64 + 8 + 8, 3);
    expect(propertyOffset(page, 0, 'zz')).toBe(-FDT_ERR.NOTFOUND);
    writeWord(page, 64 + 8 + 8, 0);
    writeWord(page, FDT_HEADER.stringsBytes, 2);
    expect(properties(page, 0)).toEqual([{ name: undefined, value: new Uint8Array(0), at: 64 + 8 + 12 }]);
  });
});

describe('nodeCheckCompatible', () => {
  const compatible = (value: Uint8Array): Uint8Array =>
    blobOf({ name: '', properties: [{ name: 'compatible', value }], children: [] });

  it('answers as a search in the list of strings', () => {
    const word = fc.constantFrom('luo-v1', 'luo-v2', 'luo', 'v1', '', 'luo-v1;x');
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 4 }), word, (list, wanted) => {
        const blob = compatible(Uint8Array.from(list.flatMap((text) => [...nameBytes(text), 0])));
        // The empty string is found behind the last NUL as well, so it always is.
        const listed = list.includes(wanted) || wanted === '';
        expect(nodeCheckCompatible(blob, 0, wanted)).toBe(listed ? 0 : 1);
      }),
    );
  });

  it('takes an unterminated string when a zero follows by chance, as libfdt does', () => {
    expect(nodeCheckCompatible(compatible(nameBytes('luo-v1')), 0, 'luo-v1')).toBe(0);
    expect(nodeCheckCompatible(compatible(nameBytes('luo-v1')), 0, 'luo-v')).toBe(1);
    expect(nodeCheckCompatible(compatible(nameBytes('luo-v')), 0, 'luo-v1')).toBe(1);
  });

  it('answers the error where the property or the node is missing', () => {
    const none = blobOf({ name: '', properties: [], children: [] });
    expect(nodeCheckCompatible(none, 0, 'luo-v1')).toBe(-FDT_ERR.NOTFOUND);
    expect(nodeCheckCompatible(none, 4, 'luo-v1')).toBe(-FDT_ERR.BADOFFSET);
  });

  it('does not look behind the end of the blob', () => {
    // A header cut so that the value is the last thing in the blob: no zero may be found behind it.
    const blob = new Uint8Array(200);
    blob.set(compatible(nameBytes('luo-version1')));
    const end = 64 + 8 + 12 + 12;
    blob.copyWithin(40, end + 8, end + 8 + 11);
    writeWord(blob, FDT_HEADER.stringsOffset, 40);
    writeWord(blob, FDT_HEADER.structBytes, end - 64);
    writeWord(blob, FDT_HEADER.totalsize, end);
    blob.fill(0, end);
    expect(getProperty(blob, 0, 'compatible')).toEqual(nameBytes('luo-version1'));
    expect(nodeCheckCompatible(blob, 0, 'luo-version1')).toBe(1);
  });
});

describe('a native u64', () => {
  it('is the little-endian number, and says from where on a number is not exact', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
        const read = nativeU64(u64Bytes(value));
        expect(read?.lo).toBe(Number(value & 0xffffffffn));
        expect(read?.hi).toBe(Number(value >> 32n));
        expect(read?.value).toBe(Number(value));
        expect(read?.exact).toBe(value < 2n ** 53n);
        expect(new DataView(u64Bytes(value).buffer).getBigUint64(0, true)).toBe(value);
      }),
    );
    expect(nativeU64(u64Bytes(2n ** 53n - 1n))?.exact).toBe(true);
    expect(nativeU64(u64Bytes(2n ** 53n))?.exact).toBe(false);
    fc.assert(fc.property(fc.maxSafeNat(), (value) => nativeU64(u64Bytes(value))?.value === value));
  });

  it('has 8 bytes', () => {
    for (const bytes of [0, 4, 7, 9]) expect(nativeU64(new Uint8Array(bytes))).toBeUndefined();
    expect(nativeU64(undefined)).toBeUndefined();
    for (const value of [-1, 0.5, 2 ** 53, Number.NaN, -1n, 2n ** 64n])
      expect(() => u64Bytes(value)).toThrow();
  });
});

describe('constants', () => {
  it('agree with what real kernels wrote', () => {
    expect(readWord(LUO, 0)).toBe(FDT_MAGIC);
    expect(FDT_SW_MAGIC).toBe(~FDT_MAGIC >>> 0);
    expect(Object.values(FDT_ERR)).toEqual(Array.from({ length: 19 }, (_, i) => i + 1));
    expect(new FdtWriter(4096).buffer.length).toBe(4096);
  });
});
