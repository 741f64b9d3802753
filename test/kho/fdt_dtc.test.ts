/*
 * What others say about our blobs: the device tree compiler, which has its own reader, and fdtput, which is libfdt.
 * Both come with Debian's device-tree-compiler. Where they are missing these tests skip and say so.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it, type TestContext } from 'vitest';
import { pathOffset } from '../../sim/kho/fdt.ts';
import { FDT_HEADER, writeWord } from '../../sim/kho/fdt_abi.ts';
import { FdtTree } from '../../sim/kho/fdt_tree.ts';
import {
  blobOf,
  golden,
  plainTree,
  someNodeName,
  somePropertyName,
  someValue,
  treeOf,
  write,
} from './fdt_model.ts';

const MISSING = ['dtc', 'fdtput'].filter((tool) => spawnSync(tool, ['--version']).error !== undefined);
const need = (ctx: TestContext): void =>
  ctx.skip(MISSING.length > 0, `${MISSING.join(' and ')} not installed (Debian: device-tree-compiler)`);

const RUNS = { numRuns: 40 };

/** Runs dtc over a blob: its exit status, what it wrote, what it said. */
function dtc(blob: Uint8Array, format: 'dts' | 'dtb'): { status: number | null; out: Buffer; said: string } {
  const run = spawnSync('dtc', ['-I', 'dtb', '-O', format, '-q', '-q', '-'], { input: blob });
  return { status: run.status, out: run.stdout, said: run.stderr.toString() };
}

describe('dtc', () => {
  it('accepts every blob of the sequential writer, and the reader reads what dtc makes of it', (ctx) => {
    need(ctx);
    fc.assert(
      fc.property(plainTree, (tree) => {
        const blob = blobOf(tree);
        const source = dtc(blob, 'dts');
        expect(source.said).toBe('');
        expect(source.status).toBe(0);
        const again = dtc(blob, 'dtb');
        expect(again.status).toBe(0);
        expect(treeOf(Uint8Array.from(again.out))).toEqual(tree);
      }),
      RUNS,
    );
  });

  it('accepts every edited blob', (ctx) => {
    need(ctx);
    const set = fc.array(fc.tuple(somePropertyName, someValue), { maxLength: 4 });
    fc.assert(
      fc.property(plainTree, someNodeName, set, (start, name, properties) => {
        const tree = FdtTree.open(write(start, 4096).writer.buffer, 4096) as FdtTree;
        const added = Math.max(tree.addSubnode(0, name), 0);
        for (const [property, value] of properties) expect(tree.setProperty(added, property, value)).toBe(0);
        const run = dtc(tree.pack(), 'dts');
        expect(run.said).toBe('');
        expect(run.status).toBe(0);
      }),
      RUNS,
    );
  });

  it('prints the trees of real kernels', (ctx) => {
    need(ctx);
    const luo = dtc(golden('k7113-3sessions-2files.luo-fdt.bin'), 'dts');
    expect(luo.status).toBe(0);
    expect(luo.out.toString()).toContain('compatible = "luo-session-v2";');
    const kho = dtc(golden('k734-3sessions-2files.kho-fdt.bin'), 'dts');
    expect(kho.status).toBe(0);
    expect(kho.out.toString()).toContain('compatible = "kho-v4";');
  });

  it.for([
    ['a broken magic', FDT_HEADER.magic, 0xd00dfeee],
    ['a token that is none', 64, 7],
    ['a name outside the strings', 64 + 8 + 8, 0x4000],
    ['a value longer than the tree', 64 + 8 + 4, 0x4000],
  ] as const)('refuses %s', ([, at, word], ctx) => {
    need(ctx);
    const blob = golden('k7113-3sessions-2files.luo-fdt.bin');
    writeWord(blob, at, word);
    expect(dtc(blob, 'dts').status).not.toBe(0);
  });
});

describe('fdtput', () => {
  const folder = mkdtempSync(join(tmpdir(), 'luosim-fdt-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  /** Runs fdtput over the file. */
  function fdtput(file: string, flags: string[], ...rest: string[]): number | null {
    return spawnSync('fdtput', [...flags, file, ...rest]).status;
  }

  const names = { node: fc.constantFrom('luo', 'luo-session', 'mem', 'a'), property: somePropertyName };
  const parent = fc.constantFrom('', '', '/luo', '/luo/a');
  const step = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), parent, name: names.node }),
    fc.record({
      kind: fc.constant('set' as const),
      parent,
      name: names.property,
      value: fc.uint8Array({ minLength: 1, maxLength: 12 }),
    }),
    fc.record({ kind: fc.constant('delete' as const), parent, name: names.node }),
  );

  it('edits a blob to the same bytes', (ctx) => {
    need(ctx);
    fc.assert(
      fc.property(plainTree, fc.array(step, { minLength: 1, maxLength: 8 }), (start, steps) => {
        const file = join(folder, 'tree.dtb');
        let page = write(start, 8192).writer.blob();
        writeFileSync(file, page);
        for (const { kind, parent: path, name, ...rest } of steps) {
          const tree = FdtTree.open(page, 8192) as FdtTree;
          const at = pathOffset(page, path === '' ? '/' : path);
          const child = pathOffset(page, `${path}/${name}`);
          if (at < 0 || (kind === 'delete' && child < 0)) continue;
          if (kind === 'add') {
            const added = tree.addSubnode(at, name);
            expect(fdtput(file, ['-c'], `${path}/${name}`) === 0).toBe(added >= 0);
            // fdtput writes nothing where it fails.
            if (added < 0) continue;
          } else if (kind === 'set') {
            const value = 'value' in rest ? [...rest.value] : [];
            expect(tree.setProperty(at, name, Uint8Array.from(value))).toBe(0);
            expect(
              fdtput(file, ['-t', 'bx'], path || '/', name, ...value.map((byte) => byte.toString(16))),
            ).toBe(0);
          } else {
            expect(tree.deleteNode(child)).toBe(0);
            expect(fdtput(file, ['-r'], `${path}/${name}`)).toBe(0);
          }
          page = tree.pack();
          expect(page).toEqual(Uint8Array.from(readFileSync(file)));
        }
      }),
      RUNS,
    );
  });
});
