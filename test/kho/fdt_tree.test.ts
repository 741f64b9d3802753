/*
 * Edits against a reference tree, the byte where a page is full, and the KHO trees of real kernels byte for byte.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  firstSubnode,
  getProperty,
  nextSubnode,
  nodeName,
  pathOffset,
  subnodeOffset,
} from '../../sim/kho/fdt.ts';
import { FDT_ERR, FDT_HEADER, nativeU64, readWord, writeWord } from '../../sim/kho/fdt_abi.ts';
import { FdtTree } from '../../sim/kho/fdt_tree.ts';
import { FdtWriter } from '../../sim/kho/fdt_writer.ts';
import {
  answersTo,
  anyTree,
  blobOf,
  golden,
  nodeBytes,
  plainTree,
  propertyBytes,
  someNodeName,
  somePropertyName,
  someValue,
  type TreeNode,
  treeBytes,
  treeOf,
  write,
  writtenStrings,
} from './fdt_model.ts';

const PAGE = 4096;
const END_BYTES = 4;
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function opened(bytes: Uint8Array, bufferBytes: number): FdtTree {
  const tree = FdtTree.open(bytes, bufferBytes);
  if (typeof tree === 'number') throw new Error(`the blob does not open: ${tree}`);
  return tree;
}

/** The reference: a tree, its names in the order of the block, and what libfdt counts as used. */
class Reference {
  readonly root: TreeNode;
  readonly bufferBytes: number;
  strings: string;
  /** Bytes in front of the structure block: 64 as the writer leaves it, 56 once packed. */
  front = 64;

  constructor(root: TreeNode, bufferBytes: number) {
    this.root = structuredClone(root);
    this.strings = writtenStrings(root);
    this.bufferBytes = bufferBytes;
  }

  get bytes(): number {
    return this.front + treeBytes(this.root) + END_BYTES + this.strings.length;
  }

  fits(more: number): boolean {
    return this.bytes + more <= this.bufferBytes;
  }

  addSubnode(parent: TreeNode, name: string): number {
    if (parent.children.some((child) => answersTo(child.name, name))) return -FDT_ERR.EXISTS;
    if (!this.fits(nodeBytes(name))) return -FDT_ERR.NOSPACE;
    parent.children.unshift({ name, properties: [], children: [] });
    return 0;
  }

  setProperty(node: TreeNode, name: string, value: Uint8Array): number {
    const old = node.properties.find((property) => property.name === name);
    if (old) {
      if (!this.fits(propertyBytes(value) - propertyBytes(old.value))) return -FDT_ERR.NOSPACE;
      old.value = value;
      return 0;
    }
    const string = this.strings.includes(`${name}\0`) ? '' : `${name}\0`;
    if (!this.fits(string.length + propertyBytes(value))) return -FDT_ERR.NOSPACE;
    this.strings += string;
    node.properties.unshift({ name, value });
    return 0;
  }

  deleteNode(parent: TreeNode, node: TreeNode): number {
    parent.children.splice(parent.children.indexOf(node), 1);
    return 0;
  }
}

/** Steps from the root: at each the child of that rank (modulo their number), until there is none. */
type Way = readonly number[];

function follow(
  root: TreeNode,
  fdt: Uint8Array,
  way: Way,
): { node: TreeNode; parent: TreeNode | undefined; at: number } {
  let [node, parent, at]: [TreeNode, TreeNode | undefined, number] = [root, undefined, 0];
  for (const step of way) {
    if (node.children.length === 0) break;
    const rank = step % node.children.length;
    at = firstSubnode(fdt, at);
    for (let i = 0; i < rank; i++) at = nextSubnode(fdt, at);
    [node, parent] = [node.children[rank] as TreeNode, node];
  }
  return { node, parent, at };
}

const way: fc.Arbitrary<Way> = fc.array(fc.nat({ max: 5 }), { maxLength: 3 });
const edit = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('add' as const), way, name: someNodeName }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('set' as const),
      way,
      name: somePropertyName,
      value: someValue,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), way }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pack' as const) }) },
);

describe('an edited tree', () => {
  it('is the reference tree after every edit, and full at the same byte', () => {
    let refused = 0;
    fc.assert(
      fc.property(anyTree, fc.nat({ max: 160 }), fc.array(edit, { maxLength: 24 }), (start, slack, edits) => {
        const blob = blobOf(start);
        const reference = new Reference(start, blob.length + slack);
        let tree = opened(blob, reference.bufferBytes);
        for (const step of edits) {
          if (step.kind === 'pack') {
            tree = opened(tree.pack(), reference.bufferBytes);
            reference.front = 56;
            continue;
          }
          const { node, parent, at } = follow(reference.root, tree.buffer, step.way);
          const before = treeOf(tree.buffer);
          if (step.kind === 'add') {
            const expected = reference.addSubnode(node, step.name);
            const added = tree.addSubnode(at, step.name);
            expect(Math.min(added, 0)).toBe(expected);
            if (added >= 0) expect(nodeName(tree.buffer, added)).toBe(step.name);
            if (expected < 0) refused++;
          } else if (step.kind === 'set') {
            const expected = reference.setProperty(node, step.name, step.value);
            expect(tree.setProperty(at, step.name, step.value)).toBe(expected);
            if (expected < 0) refused++;
            if (expected < 0) expect(treeOf(tree.buffer)).toEqual(before);
          } else if (parent) {
            expect(tree.deleteNode(at)).toBe(reference.deleteNode(parent, node));
          }
          expect(treeOf(tree.buffer)).toEqual(reference.root);
        }
        const packed = tree.pack();
        reference.front = 56;
        expect(packed.length).toBe(reference.bytes);
        expect(treeOf(packed)).toEqual(reference.root);
        expect(Buffer.from(packed.subarray(-reference.strings.length)).toString('latin1')).toBe(
          reference.strings || Buffer.from(packed).toString('latin1'),
        );
      }),
    );
    expect(refused).toBeGreaterThan(10);
  });

  it('is as before, but for its strings, when a node is added and deleted', () => {
    fc.assert(
      fc.property(
        plainTree,
        way,
        fc.array(fc.tuple(somePropertyName, someValue), { maxLength: 4 }),
        (start, to, set) => {
          const blob = blobOf(start);
          const packed = opened(blob, PAGE).pack();
          const tree = opened(blob, PAGE);
          const { at } = follow(start, tree.buffer, to);
          const added = tree.addSubnode(at, 'added@1');
          for (const [name, value] of set) expect(tree.setProperty(added, name, value)).toBe(0);
          expect(tree.deleteNode(added)).toBe(0);
          const after = tree.pack();
          const strings = readWord(packed, FDT_HEADER.stringsOffset);
          expect(hexOf(after.subarray(40, strings))).toBe(hexOf(packed.subarray(40, strings)));
          expect(hexOf(after).startsWith(hexOf(packed.subarray(strings)), strings * 2)).toBe(true);
          expect(readWord(after, FDT_HEADER.stringsBytes)).toBe(after.length - strings);
        },
      ),
    );
  });

  it('keeps the whole buffer as it was when nothing has changed, but for the size in the header', () => {
    fc.assert(
      fc.property(anyTree, fc.uint8Array({ maxLength: 64 }), (start, behind) => {
        const blob = blobOf(start);
        const page = new Uint8Array(PAGE);
        page.set(blob);
        page.set(behind, blob.length);
        const tree = opened(page, PAGE);
        writeWord(page, FDT_HEADER.totalsize, PAGE);
        expect(hexOf(tree.buffer)).toBe(hexOf(page));
      }),
    );
  });

  it('ends without throwing on damaged blobs', () => {
    const change = fc.tuple(fc.nat(), fc.nat({ max: 16 }));
    let open = 0;
    fc.assert(
      fc.property(
        anyTree,
        fc.array(change, { maxLength: 6 }),
        fc.array(edit, { maxLength: 8 }),
        (start, changes, edits) => {
          const page = write(start, PAGE).writer.buffer;
          const total = readWord(page, FDT_HEADER.totalsize);
          for (const [at, value] of changes) page[4 + (at % (total - 4))] = value;
          const tree = FdtTree.open(page, PAGE);
          if (typeof tree === 'number') return;
          open++;
          for (const step of edits) {
            if (step.kind === 'pack') continue;
            const at = 4 * (step.way[0] ?? 0) * (step.way[1] ?? 0);
            if (step.kind === 'add') tree.addSubnode(at, step.name);
            else if (step.kind === 'set') tree.setProperty(at, step.name, step.value);
            else tree.deleteNode(at);
          }
          tree.pack();
        },
      ),
    );
    expect(open).toBeGreaterThan(30);
  });
});

describe('opening', () => {
  const blob = golden('k734-3sessions-2files.kho-fdt.bin');
  const damage = (field: keyof typeof FDT_HEADER, word: number): Uint8Array => {
    const damaged = blob.slice();
    writeWord(damaged, FDT_HEADER[field], word);
    return damaged;
  };

  it('answers why it cannot', () => {
    expect(FdtTree.open(blob, blob.length)).toBeInstanceOf(FdtTree);
    expect(FdtTree.open(blob, blob.length - 1)).toBe(-FDT_ERR.NOSPACE);
    expect(FdtTree.open(damage('magic', 0), PAGE)).toBe(-FDT_ERR.BADMAGIC);
    expect(FdtTree.open(damage('version', 16), PAGE)).toBe(-FDT_ERR.BADVERSION);
    expect(FdtTree.open(damage('reserveOffset', blob.length), PAGE)).toBe(-FDT_ERR.TRUNCATED);
    expect(FdtTree.open(damage('reserveOffset', 32), PAGE)).toBe(-FDT_ERR.BADLAYOUT);
    expect(FdtTree.open(damage('structOffset', 52), PAGE)).toBe(-FDT_ERR.BADLAYOUT);
    expect(FdtTree.open(damage('stringsOffset', 0xe0), PAGE)).toBe(-FDT_ERR.BADLAYOUT);
    expect(FdtTree.open(damage('stringsBytes', 0x3a), PAGE)).toBe(-FDT_ERR.BADLAYOUT);
    expect(FdtTree.open(blob.slice(0, 100), PAGE)).toBe(-FDT_ERR.TRUNCATED);
  });

  it('a newer version writes 17', () => {
    expect(readWord(opened(damage('version', 18), PAGE).buffer, FDT_HEADER.version)).toBe(17);
  });
});

describe('an edit of a broken tree', () => {
  it('is refused where the old value with its padding ends behind all data', () => {
    // The structure block ends with a value of 5 bytes without padding, the strings with the next two.
    const root = { name: '', properties: [{ name: 'x', value: new Uint8Array(5) }], children: [] };
    const blob = blobOf(root).slice(0, 64 + 25 + 2);
    blob.set([0x78, 0], 64 + 25);
    writeWord(blob, FDT_HEADER.structBytes, 25);
    writeWord(blob, FDT_HEADER.stringsOffset, 64 + 25);
    writeWord(blob, FDT_HEADER.totalsize, blob.length);
    const tree = opened(blob, PAGE);
    expect(treeOf(tree.buffer)).toEqual(root);
    expect(tree.setProperty(0, 'x', new Uint8Array(16))).toBe(-FDT_ERR.BADOFFSET);
    expect(hexOf(tree.pack().subarray(56))).toBe(hexOf(blob.subarray(64)));
  });
});

describe('the KHO root tree of real kernels', () => {
  /** The empty root as kho_init writes it, in its page. */
  function rootPage(compatible: string, map: number): Uint8Array {
    const writer = new FdtWriter(PAGE);
    let err = writer.create() | writer.finishReservemap() | writer.beginNode('');
    err |= writer.propertyString('compatible', compatible) | writer.propertyU64('preserved-memory-map', map);
    err |= writer.endNode() | writer.finish();
    expect(err).toBe(0);
    return writer.buffer;
  }

  /** Adds a subtree as kho_add_subtree does; the page after it and the result of the last step. */
  function addSubtree(
    page: Uint8Array,
    name: string,
    phys: number,
    bytes: number,
  ): { page: Uint8Array; err: number } {
    const tree = opened(page, PAGE);
    const node = tree.addSubnode(0, name);
    let err = Math.min(node, 0);
    if (err === 0) err = tree.setPropertyU64(node, 'preserved-data', phys);
    if (err === 0) err = tree.setPropertyU64(node, 'blob-size', bytes);
    if (err < 0 && node >= 0) expect(tree.deleteNode(node)).toBe(0);
    tree.pack();
    return { page: tree.buffer, err };
  }

  const blobIn = (page: Uint8Array): Uint8Array => page.slice(0, readWord(page, FDT_HEADER.totalsize));

  it.each([
    ['k7113-0sessions', 'kho-v3', 311],
    ['k7113-3sessions-2files', 'kho-v3', 311],
    ['k7113-819sessions', 'kho-v3', 311],
    ['k734-0sessions', 'kho-v4', 32],
    ['k734-130files', 'kho-v4', 32],
    ['k734-3sessions-2files', 'kho-v4', 32],
    ['k734-51sessions', 'kho-v4', 32],
    ['k734-6memfds-4K-to-32M', 'kho-v4', 32],
    ['k734-flb-test-4sessions', 'kho-v4', 32],
  ])('%s is written byte for byte', (name, compatible, luoBytes) => {
    const kernel = golden(`${name}.kho-fdt.bin`);
    const u64 = (path: string, property: string): number =>
      nativeU64(getProperty(kernel, pathOffset(kernel, path), property))?.value ?? Number.NaN;
    let page = rootPage(compatible, u64('/', 'preserved-memory-map'));
    for (const [node, bytes] of [
      ['kexec-metadata', 73],
      ['LUO', luoBytes],
    ] as const) {
      const added = addSubtree(page, node, u64(`/${node}`, 'preserved-data'), bytes);
      expect(added.err).toBe(0);
      page = added.page;
    }
    expect(hexOf(blobIn(page))).toBe(hexOf(kernel));
    expect(kernel.length).toBe(285);
  });

  it('takes 65 subtrees with names of 11 letters; the 66th leaves the tree as it was', () => {
    let page = rootPage('kho-v4', 0x1000);
    let added = 0;
    for (; added < 100; added++) {
      const { page: next, err } = addSubtree(
        page,
        `subtree-${String(added).padStart(3, '0')}`,
        0x1000 * added,
        added,
      );
      if (err < 0) {
        expect(err).toBe(-FDT_ERR.NOSPACE);
        expect(hexOf(blobIn(next))).toBe(hexOf(blobIn(page)));
        break;
      }
      page = next;
    }
    expect(added).toBe(65);
    expect(readWord(page, FDT_HEADER.totalsize)).toBe(56 + 56 + 32 + 25 + 65 * 60);
    expect(addSubtree(page, 'subtree-007', 0, 0).err).toBe(-FDT_ERR.EXISTS);
    expect(opened(page, PAGE).addSubnode(0, 'short')).toBeGreaterThanOrEqual(0);
  });

  it('forgets a subtree without a trace in the structure', () => {
    const one = addSubtree(rootPage('kho-v3', 0), 'kexec-metadata', 0x1000, 73).page;
    const tree = opened(addSubtree(one, 'LUO', 0x2000, 311).page, PAGE);
    expect(tree.deleteNode(subnodeOffset(tree.buffer, 0, 'LUO'))).toBe(0);
    expect(hexOf(tree.pack())).toBe(hexOf(blobIn(one)));
    expect(tree.deleteNode(8)).toBe(-FDT_ERR.BADOFFSET);
    expect(tree.addSubnode(8, 'x')).toBe(-FDT_ERR.BADOFFSET);
    expect(tree.setProperty(8, 'x', new Uint8Array(0))).toBe(-FDT_ERR.BADOFFSET);
    expect(tree.addSubnode(0, 'x')).toBe(-FDT_ERR.NOSPACE);
  });
});
