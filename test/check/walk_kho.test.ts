/*
 * What a walk says of a damaged root and a damaged map of preserved memory.
 */
import { describe } from 'vitest';
import { BEDS, FAR, ROOT, saysOf, turned } from './damage.ts';

describe('the root', () => {
  saysOf([
    ['is none', 'files', (b) => [[b.phys(ROOT), '\0']], 'kho-root is no device tree (-9)'],
    [
      'is of no known format',
      'files',
      (b) => [[b.text(ROOT, 'kho-v4'), 'kho-v9']],
      'kho-root is compatible with no KHO that is known',
    ],
    [
      'has no map',
      'files',
      (b) => [[b.text(ROOT, 'preserved-memory'), 'x']],
      'kho-root has no preserved-memory-map',
    ],
    [
      'has an empty map',
      'bitmaps',
      (b) => [[b.at(ROOT, 'preserved-memory-map'), 0]],
      'kho-root preserved-memory-map is 0x0: no page of memory',
    ],
    [
      'is its own map',
      'files',
      (b) => [[b.at(ROOT, 'preserved-memory-map'), b.phys(ROOT)]],
      'kho-root preserved-memory-map is the root itself',
    ],
    [
      'has a map elsewhere',
      'files',
      (b) => [[b.at(ROOT, 'preserved-memory-map'), FAR]],
      'kho-root preserved-memory-map is 0x200000000000: no page of memory',
    ],
    [
      'has no sizes',
      'files',
      (b) => [[b.text(ROOT, 'blob-size'), 'x']],
      'kho-root has a subtree "LUO" that lacks an address or a size',
    ],
    [
      'has a subtree elsewhere',
      'array',
      (b) => [[b.at(ROOT, 'LUO/preserved-data'), 8]],
      'kho-root subtree "LUO" is 0x8: no page of memory',
    ],
    [
      'is not preserved',
      'files',
      (b) => [turned(b, b.phys(ROOT), 0, 'radix-leaf[0]')],
      'kho-root is not preserved',
    ],
    [
      'has a subtree in no order',
      'array',
      (b) => [turned(b, b.phys('luo'), 0, 'radix-leaf[2]')],
      'luo is not preserved',
    ],
    [
      'has metadata of no version',
      'files',
      (b) => [[b.phys('kexec-metadata'), '\x02']],
      'kexec-metadata has version 2, which no reader knows',
    ],
    [
      'has metadata too small',
      'files',
      (b) => [[b.at(ROOT, 'kexec-metadata/blob-size'), 72]],
      'kexec-metadata has 72 bytes of 73',
    ],
    [
      'has metadata without an end',
      'files',
      (b) => [[b.at('kexec-metadata', 'previous_release'), '7'.repeat(65)]],
      'kexec-metadata previous_release has no end',
    ],
  ]);
});

describe('the map', () => {
  saysOf([
    [
      'leads out of memory',
      'files',
      (b) => [[b.phys('radix-node[1]') + 8, FAR]],
      'radix-node[1] slot[1] is 0x200000000000: no page of memory',
    ],
    [
      'leads back',
      'files',
      (b) => [[b.phys('radix-node[2]') + 8, b.phys('radix-node[0]')]],
      `radix-node[2] slot[1] is 0x863000, where another piece lies`,
    ],
    [
      'leads to the root',
      'files',
      (b) => [[b.phys('radix-node[2]') + 8, b.phys(ROOT)]],
      `radix-node[2] slot[1] is 0x864000, where another piece lies`,
    ],
    [
      'names what is not there',
      'files',
      (b) => [
        [b.phys('radix-node[4]') + 8 * 9, 0xf00000],
        [0xf00000, '\x01'],
      ],
      'radix-leaf[1] names 0x48000000 of order 0, which is not in memory',
    ],
    [
      'names a part twice',
      'array',
      (b) => [turned(b, b.phys('session-block[0]') + 4096, 0, 'radix-leaf[2]')],
      'radix-leaf[2] names 0x9e1000 of order 0, part of which is named before',
    ],
    [
      'has two orders for a block',
      'array',
      (b) => [turned(b, b.phys('session-block[0]'), 0, 'radix-leaf[2]')],
      'session-block[0] is preserved with orders 0 and 4',
    ],
    [
      'has another order for a block',
      'array',
      (b) => [
        turned(b, b.phys('session-block[0]'), 0, 'radix-leaf[2]'),
        turned(b, b.phys('session-block[0]'), 4, 'radix-leaf[0]'),
      ],
      'session-block[0] is preserved with order 0, its reader takes it for order 4',
    ],
    [
      'of bitmaps counts too many',
      'bitmaps',
      (b) => [[b.at('bitmap-chunk[0]', 'num_elms'), Uint8Array.of(0, 1)]],
      'bitmap-chunk[0] counts 256 bitmaps of 255',
    ],
    [
      'of bitmaps has no order',
      'bitmaps',
      (b) => [[b.at('bitmap-chunk[0]', 'order'), Uint8Array.of(29)]],
      'bitmap-chunk[0] has order 29: no block of memory',
    ],
    [
      'of bitmaps leads out of memory',
      'bitmaps',
      (b) => [[b.at('bitmap-chunk[1]', 'next'), FAR]],
      'bitmap-chunk[1] next is 0x200000000000: no page of memory of its own',
    ],
    [
      'of bitmaps leads back',
      'bitmaps',
      (b) => [[b.at('bitmap-chunk[1]', 'next'), b.phys('bitmap-chunk[0]')]],
      `bitmap-chunk[1] next is 0x${BEDS.bitmaps.phys('bitmap-chunk[0]').toString(16)}: no page of memory of its own`,
    ],
    [
      'of bitmaps lacks one',
      'bitmaps',
      (b) => [[b.at('bitmap-chunk[0]', 'entry[0].bitmap'), 0]],
      'bitmap-chunk[0] entry[0].bitmap is 0x0: no page of memory of its own',
    ],
    [
      'of bitmaps begins anywhere',
      'bitmaps',
      (b) => [[b.at('bitmap-chunk[0]', 'entry[0].phys_start'), 4096]],
      'bitmap-chunk[0] entry[0].phys_start is 0x1000: no multiple of 0x8000000',
    ],
    [
      'of bitmaps names what is not there',
      'bitmaps',
      (b) => [[b.phys('bitmap[0]') + 4095, '\x80']],
      'bitmap[0] names 0x7fff000 of order 0, which is not in memory',
    ],
  ]);
});
