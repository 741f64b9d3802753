/*
 * What the tests of device trees share: a tree as plain values, how libfdt is said to size and change it, and trees
 * from fast-check. Nothing here looks at the bytes of a blob but through the reader under test.
 */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { firstSubnode, nextSubnode, nodeName, properties } from '../../sim/kho/fdt.ts';
import { FdtWriter } from '../../sim/kho/fdt_writer.ts';

export interface TreeNode {
  name: string;
  properties: { name: string; value: Uint8Array }[];
  children: TreeNode[];
}

export const golden = (name: string): Uint8Array =>
  Uint8Array.from(readFileSync(new URL(`../golden/${name}`, import.meta.url)));

/** Runs the sequential writer over a tree; the result of each step in order. */
export function write(tree: TreeNode, bufferBytes: number): { writer: FdtWriter; results: number[] } {
  const writer = new FdtWriter(bufferBytes);
  const results = [writer.create(), writer.finishReservemap()];
  const node = (at: TreeNode): void => {
    results.push(writer.beginNode(at.name));
    for (const { name, value } of at.properties) results.push(writer.property(name, value));
    for (const child of at.children) node(child);
    results.push(writer.endNode());
  };
  node(tree);
  results.push(writer.finish());
  return { writer, results };
}

export function blobOf(tree: TreeNode): Uint8Array {
  return write(tree, 1 << 16).writer.blob();
}

/** The tree in a blob; stops at `limit` nodes, which a sound reader never reaches. */
export function treeOf(fdt: Uint8Array, node = 0, limit = { nodes: 1 + fdt.length / 8 }): TreeNode {
  if (--limit.nodes < 0) throw new Error('more nodes than fit in the blob');
  const children: TreeNode[] = [];
  for (let child = firstSubnode(fdt, node); child >= 0; child = nextSubnode(fdt, child)) {
    children.push(treeOf(fdt, child, limit));
  }
  const named = properties(fdt, node).map(({ name, value }) => ({ name: name ?? '(broken)', value }));
  return { name: nodeName(fdt, node) ?? '(broken)', properties: named, children };
}

const padded = (bytes: number): number => bytes + ((4 - (bytes % 4)) % 4);
export const nodeBytes = (name: string): number => 8 + padded(name.length + 1);
export const propertyBytes = (value: Uint8Array): number => 12 + padded(value.length);

/** Bytes a node and all below it take in the structure block. */
export function treeBytes(tree: TreeNode): number {
  const own = tree.properties.reduce((sum, { value }) => sum + propertyBytes(value), nodeBytes(tree.name));
  return tree.children.reduce((sum, child) => sum + treeBytes(child), own);
}

/** The strings block the sequential writer makes: later names in front, none that is the tail of one in it. */
export function writtenStrings(tree: TreeNode, strings = ''): string {
  let block = strings;
  for (const { name } of tree.properties) if (!block.includes(`${name}\0`)) block = `${name}\0${block}`;
  return tree.children.reduce((sum, child) => writtenStrings(child, sum), block);
}

/** libfdt's rule for a name that is looked up: a unit address may be left out. */
export const answersTo = (own: string, name: string): boolean =>
  own === name || (!name.includes('@') && own.startsWith(`${name}@`));

const byteName = (maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.integer({ min: 1, max: 255 }).map((n) => String.fromCharCode(n)), maxLength });

/** Names that share tails, so that the strings block is shared; legal in a dts source too. */
const PROPERTY_NAMES = ['compatible', 'ible', 'preserved-data', 'data', 'blob-size', 'size', 'e', 'map'];
const NODE_NAMES = ['luo', 'luo-session', 'mem@0', 'mem@10', 'mem', 'kexec-metadata', 'a', 'b'];

interface TreeShape {
  propertyName: fc.Arbitrary<string>;
  nodeName: fc.Arbitrary<string>;
  /** Whether siblings may have the same name, or a name that the other answers to. */
  unique: boolean;
}

function treeArbitrary({ propertyName, nodeName, unique }: TreeShape): fc.Arbitrary<TreeNode> {
  const property = fc.record({ name: propertyName, value: fc.uint8Array({ maxLength: 17 }) });
  const propertyList = unique
    ? fc.uniqueArray(property, { maxLength: 4, selector: (p) => p.name })
    : fc.array(property, { maxLength: 4 });
  const { tree } = fc.letrec<{ tree: TreeNode }>((tie) => {
    const children = unique
      ? fc.uniqueArray(tie('tree'), { maxLength: 3, selector: (n) => n.name })
      : fc.array(tie('tree'), { maxLength: 3 });
    return {
      tree: fc.record({
        name: nodeName,
        properties: propertyList,
        children: fc.oneof(
          { maxDepth: 4, withCrossShrink: true },
          fc.constant(null).map((): TreeNode[] => []),
          children,
        ),
      }),
    };
  });
  return tree.map((root) => ({ ...root, name: '' }));
}

/** Any bytes in names, names that come twice. */
export const anyTree = treeArbitrary({
  propertyName: fc.oneof(fc.constantFrom(...PROPERTY_NAMES), byteName(12)),
  nodeName: fc.oneof(fc.constantFrom(...NODE_NAMES), byteName(12)),
  unique: false,
});

/** Trees a device tree compiler has nothing against. */
export const plainTree = treeArbitrary({
  propertyName: fc.oneof(fc.constantFrom(...PROPERTY_NAMES), fc.stringMatching(/^z[a-z0-9,._+-]{0,12}$/)),
  nodeName: fc.oneof(
    fc.constantFrom(...NODE_NAMES),
    fc.stringMatching(/^z[a-z0-9,._+-]{0,12}(@[0-9a-f]{1,4})?$/),
  ),
  unique: true,
});

export const somePropertyName = fc.constantFrom(...PROPERTY_NAMES);
export const someNodeName = fc.constantFrom(...NODE_NAMES);
export const someValue = fc.uint8Array({ maxLength: 17 });
