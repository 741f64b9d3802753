/*
 * Extracts of real machines become pages, or are refused with one line; and what they do not hold is said.
 */
import { fc, test } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import { extractedImage } from '../../sim/image/extracted_image.ts';
import { walkRadixTree } from '../../sim/kho/radix.ts';
import { GOLDEN_IMAGES, goldenExtract, goldenImage, goldenRam } from '../support/golden.ts';

/** What a change to the JSON is refused with. */
type Change = (json: Json, parts: Map<string, Uint8Array>) => void;
// biome-ignore lint/suspicious/noExplicitAny: a document of any shape, to be broken in many places
type Json = any;

function changed(stem: string, change: Change): ReturnType<typeof extractedImage> {
  const { json, parts } = goldenExtract(stem);
  const copy = structuredClone(json);
  change(copy, parts);
  return extractedImage(copy, parts);
}

describe.each(GOLDEN_IMAGES)('%s', (stem) => {
  it('is a tree that lists the blocks that the extract lists, on the machine it came from', () => {
    const image = goldenImage(stem);
    const { kho_map: map } = goldenExtract(stem).json as Json;
    const blocks: [string, number][] = [];
    const nodes: string[] = [];
    const see = (node: number): void => void nodes.push(`0x${(node * 4096).toString(16)}`);
    const visit = (address: number, order: number): number =>
      blocks.push([`0x${address.toString(16)}`, order]) * 0;
    walkRadixTree(goldenRam(image), Number(map.root_pa) as never, visit, see);
    const inOrder = (list: [string, number][]): string[] =>
      list.map(([at, order]) => `${at} ${order}`).sort();
    expect(inOrder(blocks)).toEqual(inOrder(map.preserved));
    const all = [...map.nodes.map(([at]: [string]) => at), ...map.leaves.map(({ pa }: { pa: string }) => pa)];
    expect(nodes.sort()).toEqual(all.sort());
    const mib = { 'k734-130files': 64, 'k734-6memfds-4K-to-32M': 384 }[stem] ?? 256;
    expect(image.ramBytes).toBe(mib * 2 ** 20);
  });
});

describe('what an extract does not hold', () => {
  it.each([
    ['k734-0sessions', []],
    ['k7113-819sessions', []],
    ['k734-3sessions-2files', ['12248 of 12312 bytes of the memfd at 0xa32000']],
    [
      'k734-130files',
      ['kexec-metadata', '128 of 130 memfd records', '128 of 528 preserved blocks', 'the scratch areas'],
    ],
  ])('%s', (stem, missing) => {
    expect(goldenImage(stem).missing).toEqual(missing);
  });
});

describe('an extract is refused with the place and the reason', () => {
  const refused: [string, string, Change, RegExp][] = [
    ['no object', 'k734-51sessions', (j) => delete j.luo, /^is wrong at its top: no luo$/],
    ['a list that is none', 'k734-51sessions', (j) => (j.kho_map.nodes = 7), /at kho_map\.nodes: no list$/],
    ['a text that is none', 'k734-51sessions', (j) => (j.kho_fdt.hex = 7), /at kho_fdt\.hex: no text$/],
    ['half a byte', 'k734-51sessions', (j) => (j.luo.hex += '0'), /at luo\.hex: no bytes of two hexadecimal/],
    ['a number in words', 'k734-51sessions', (j) => (j.luo.pa = 'there'), /at luo\.pa: 'there' is no number/],
    ['an address inside a page', 'k734-51sessions', (j) => (j.luo.pa = '0x9da010'), /'0x9da010' is no page/],
    [
      'an address beyond memory',
      'k734-51sessions',
      (j) => (j.luo.pa = '0x9da0000000000'),
      /is no page of memory/,
    ],
    [
      'a count in words',
      'k7113-819sessions',
      (j) => (j.luo.flb.count = 'none'),
      /flb\.count: no whole number/,
    ],
    [
      'a FDT that is none',
      'k734-51sessions',
      (j, p) => {
        j.kho_fdt.hex = `00${j.kho_fdt.hex.slice(2)}`;
        p.delete('kho-fdt');
      },
      /at kho_fdt\.hex: no device tree$/,
    ],
    [
      'another LUO',
      'k734-51sessions',
      (j) => (j.luo.pa = '0x9dc000'),
      /at luo\.pa: not where kho_fdt has LUO$/,
    ],
    ['another size', 'k734-51sessions', (j) => j.luo.blob_size++, /at luo\.blob_size: not the size of hex$/],
    [
      'another root',
      'k734-51sessions',
      (j) => (j.kho_map.root_pa = '0x864000'),
      /root_pa: not the preserved-memory-map/,
    ],
    [
      'a FDT beside it that differs',
      'k734-51sessions',
      (_j, p) => p.get('kho-fdt')?.set([1], 284),
      /not the bytes of kho-fdt\.bin$/,
    ],
    [
      'a header that differs',
      'k734-51sessions',
      (_j, p) => p.get('session-blocks')?.set([1], 9),
      /session_blocks\[0\]\.header_hex: not the bytes of session-blocks\.bin/,
    ],
    [
      'an entry that differs',
      'k734-51sessions',
      (_j, p) => p.get('session-blocks')?.set([1], 16),
      /first3\[0\]\.hex: not the bytes/,
    ],
    [
      'a last entry that differs',
      'k7113-819sessions',
      (_j, p) => p.get('session-array')?.set([1], 65448),
      /session_array\.last\.hex: not the bytes/,
    ],
    [
      'no blocks beside it',
      'k734-51sessions',
      (_j, p) => p.delete('session-blocks'),
      /1 blocks, and 0 bytes in session-blocks\.bin/,
    ],
    [
      'no array beside it',
      'k7113-819sessions',
      (_j, p) => p.delete('session-array'),
      /no session-array\.bin beside it/,
    ],
    [
      'an array that is cut',
      'k7113-819sessions',
      (_j, p) => p.set('session-array', new Uint8Array(65520)),
      /819 sessions do not lie in the 65520 bytes/,
    ],
    [
      'what belongs nowhere',
      'k734-51sessions',
      (_j, p) => p.set('session-array', new Uint8Array(8)),
      /^has no place for session-array\.bin$/,
    ],
    [
      'two on one page',
      'k734-51sessions',
      (j) => (j.luo.flb.pa = '0x9da000'),
      /at luo\.flb\.pa: 0x9da000 is taken by luo\.pa$/,
    ],
    ['a table too few', 'k734-51sessions', (j) => j.kho_map.nodes.pop(), /fewer tables than its leaves need/],
    [
      'a table too many',
      'k734-51sessions',
      (j) => j.kho_map.nodes.push(['0xb00000', 1]),
      /more tables than its leaves need/,
    ],
    [
      'a table elsewhere',
      'k734-51sessions',
      (j) => j.kho_map.nodes.reverse(),
      /nodes\[0\]: no table of level 5/,
    ],
    [
      'a block without a leaf',
      'k734-51sessions',
      (j) => (j.kho_map.preserved[0][1] = 3),
      /preserved\[0\]: no leaf has its bit/,
    ],
    [
      'a block less',
      'k734-51sessions',
      (j) => j.kho_map.leaves[0].nbits++,
      /leaves\[0\]\.nbits: 5 blocks are listed/,
    ],
    [
      'more blocks than there are',
      'k734-51sessions',
      (j) => j.kho_map.preserved_total--,
      /5 blocks, more than/,
    ],
    [
      'a scratch area without an end',
      'k734-51sessions',
      (j) => (j.debugfs[1].hex = '3078330a'),
      /1 areas, and 3 in scratch_phys/,
    ],
    [
      'a scratch area without an address',
      'k734-51sessions',
      (j) => (j.debugfs[2].hex = '78330a'),
      /'x3' is no address/,
    ],
  ];

  it.each(refused)('%s', (_what, stem, change, text) => {
    expect(changed(stem, change)).toMatch(text);
  });

  // Any place of the document at all, with a value of any kind: one line or an image, and never an exception.
  const paths = (value: unknown, at: readonly string[] = []): (readonly string[])[] =>
    typeof value === 'object' && value !== null
      ? [at, ...Object.entries(value).flatMap(([key, inner]) => paths(inner, [...at, key]))]
      : [at];
  const { json: whole } = goldenExtract('k734-flb-test-4sessions');
  const place = fc.constantFrom(...paths(whole).slice(1));
  const values = fc.constantFrom(null, 7, -1, 2 ** 60, '', 'x', '0x1000', '0xfffffffffffff', [], {}, [[]]);

  test.prop([place, values], { numRuns: 60 })('whatever stands anywhere in it', (path, value) => {
    const result = changed('k734-flb-test-4sessions', (json) => {
      let target = json;
      for (const key of path.slice(0, -1)) target = target[key];
      target[path.at(-1) as string] = value;
    });
    if (typeof result === 'string') expect(result).toMatch(/^(is wrong at|has no place for) [^\n]+$/);
    else expect(result.pages.length).toBeGreaterThan(0);
  });
});
