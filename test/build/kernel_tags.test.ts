/*
 * Reading the tags: whatever the layout of a comment, the same is read; what cannot be read is refused with its line.
 */
import { fc, test } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import { tagsOf } from '../../build/kernel_tags.ts';

/** What is read of a source in one file, without the file. */
function read(text: string): { kernel: string; declaration: string; how: string | undefined }[] {
  const { tags, complaints } = tagsOf('sim/x.ts', text);
  expect(complaints).toEqual([]);
  return tags.map(({ kernel, declaration, how }) => ({ kernel, declaration, how }));
}

const complaint = (text: string): string => {
  const { tags, complaints } = tagsOf('sim/x.ts', text);
  expect(tags).toEqual([]);
  expect(complaints).toHaveLength(1);
  return complaints[0] ?? '';
};

// --- laws ---------------------------------------------------------------------------------------------------------

const kernelName = fc.stringMatching(/^[a-z_][a-z0-9_]{0,20}$/);
const word = fc.stringMatching(/^[A-Za-z0-9,;:'%()-]{1,9}$/);
const prose = fc.array(word, { minLength: 1, maxLength: 12 });
const clause = fc.record({
  names: fc.uniqueArray(kernelName, { minLength: 1, maxLength: 3 }),
  how: fc.option(prose, { nil: undefined }),
});

/** Words of a comment, broken where `breaks` says so. */
function comment(words: readonly string[], breaks: readonly boolean[], indent: string): string {
  const lines = words.map((text, i) => (breaks[i % breaks.length] ? `\n${indent} * ${text}` : ` ${text}`));
  return `${indent}/**${lines.join('')}${breaks[0] ? `\n${indent}` : ''} */`;
}

describe('a tag', () => {
  test.prop([
    fc.option(prose, { nil: [] }),
    fc.array(clause, { minLength: 1, maxLength: 4 }),
    fc.array(fc.boolean(), { minLength: 1, maxLength: 7 }),
    fc.boolean(),
  ])('is read the same however its comment is broken into lines', (before, clauses, breaks, inClass) => {
    const words = [...before];
    for (const { names, how } of clauses) {
      words.push('@kernel', ...names.map((name, i) => (i < names.length - 1 ? `${name},` : name)));
      if (how !== undefined) words.push('@simplified', ...how);
    }
    const indent = inClass ? '  ' : '';
    const declared = inClass ? 'class Kho {\n%\n  *finalize(task: Task): Op<void> {' : '%\nfunction f() {';
    const declaration = inClass ? 'Kho.finalize' : 'f';
    const expected = clauses.flatMap(({ names, how }) =>
      names.map((kernel) => ({ kernel, declaration, how: how?.join(' ') })),
    );
    const text = declared.replace('%', () => comment(words, breaks, indent));
    expect(read(text)).toEqual(expected);
  });

  test.prop([fc.array(prose, { maxLength: 5 })])('is not there where nobody put one', (lines) => {
    const text = `/*\n${lines.map((line) => ` * ${line.join(' ')}\n`).join('')} */\nexport const x = 1;\n`;
    expect(read(text)).toEqual([]);
  });
});

// --- what it belongs to -------------------------------------------------------------------------------------------

describe('a tag belongs to what is declared behind it:', () => {
  it.each([
    ['export function radixKey(frame: Pfn): number {', 'radixKey'],
    ['function* newChunk(kernel: Kernel): Op<number> {', 'newChunk'],
    ['export const bitmapIndex = (key: number): number => key % BITS;', 'bitmapIndex'],
    ['export type FreeBlock = (address: Phys) => void;', 'FreeBlock'],
    ['export class Zone {', 'Zone'],
    ['export abstract class Zone {', 'Zone'],
    ['interface Command {', 'Command'],
  ])('%s', (line, declaration) => {
    expect(read(`/** Text. @kernel k */\n${line}\n`)).toEqual([{ kernel: 'k', declaration, how: undefined }]);
  });

  it.each([
    ['constructor(kernel: Kernel) {', 'Kho'],
    ['get isKhoBoot(): boolean {', 'Kho.isKhoBoot'],
    ['set x(value: number) {', 'Kho.x'],
    ['enabled: boolean;', 'Kho.enabled'],
    ['managed = 0;', 'Kho.managed'],
    ['readonly present: boolean;', 'Kho.present'],
    ['onBadFree: ((what: BadFree) => void) | undefined;', 'Kho.onBadFree'],
    ['#isFor({ direction }: Command): boolean {', 'Kho.#isFor'],
    ['*#insert(task: Task): Op<number> {', 'Kho.#insert'],
    ['static open(bytes: Uint8Array): FdtTree | number {', 'Kho.open'],
    ['find<T>(what: T): T {', 'Kho.find'],
  ])('%s in a class', (line, declaration) => {
    const text = `function before() {\n}\n\nexport class Kho implements Stateful {\n  /** @kernel k */\n  ${line}\n`;
    expect(read(text)).toEqual([{ kernel: 'k', declaration, how: undefined }]);
  });

  it('and not to a class that ended before it', () => {
    const text =
      'class A {\n  a = 1;\n}\n\nclass B {\n  /** @kernel k */\n  b = 2;\n}\n/** @kernel l */\nconst c = 3;\n';
    expect(read(text).map(({ declaration }) => declaration)).toEqual(['B.b', 'c']);
  });
});

// --- refusals -----------------------------------------------------------------------------------------------------

describe('refused is', () => {
  const before = 'const x = 1;\n\n';
  it.each([
    ['no name', '/** @kernel */\nconst y = 2;', /^sim\/x\.ts:3: @kernel "": give names/],
    [
      'prose behind a name',
      '/** @kernel panic and more */\nconst y = 2;',
      /:3: @kernel "panic and more": give/,
    ],
    ['names without a comma', '/** @kernel down_read up_read */\nconst y = 2;', /:3: .*with a comma between/],
    ['a name that is none', '/** @kernel NR-PAGES */\nconst y = 2;', /:3: @kernel "NR-PAGES"/],
    ['an empty clause', '/** @kernel panic @simplified */\nconst y = 2;', /:3: @simplified does not say how/],
    [
      'a clause without a name',
      '/** @simplified no panic */\nconst y = 2;',
      /:3: @simplified "no panic" follows no/,
    ],
    [
      'a second clause',
      '/** @kernel k @simplified a @simplified b */\nconst y = 2;',
      /:3: @simplified "b" follows no/,
    ],
    [
      'a tag in a line comment',
      '// @kernel panic\nconst y = 2;',
      /:3: a tag stands outside of any doc comment/,
    ],
    ['a tag in a plain comment', '/* @kernel panic */\nconst y = 2;', /:3: a tag stands outside/],
    ['a tag in front of nothing', '/** @kernel panic */\n\n', /:3: a tag stands in front of nothing/],
    ['a tag deep inside', 'const o = {\n    /** @kernel panic */\n    z: 1,\n};', /:4: a tag .* nothing/],
  ])('%s', (_what, text, complaints) => {
    expect(complaint(`${before}${text}\n`)).toMatch(complaints);
  });
});
