/*
 * What a walk says of damaged roots, of a damaged map of preserved memory, and of damaged sessions and FLBs.
 */
import { describe, expect, it } from 'vitest';
import { V7_3 } from '../../sim/kernel/revisions.ts';
import { handoverOf, left, piecesOf, problemsOf } from '../support/handovers.ts';
import { MIB } from '../support/system.ts';
import { BEDS, Bed, FAR, ROOT, saysOf, turned } from './damage.ts';

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

describe('the root of LUO', () => {
  saysOf([
    ['is no device tree', 'array', (b) => [[b.phys('luo') + 7, '\0']], 'luo is no device tree (-8)'],
    [
      'is of no known format',
      'array',
      (b) => [[b.text('luo', 'luo-v1'), 'luo-v9']],
      'luo is compatible with no LUO that is known',
    ],
    [
      'has no number',
      'array',
      (b) => [[b.text('luo', 'liveupdate-number'), 'x']],
      'luo has no liveupdate-number',
    ],
    [
      'has sessions of no known format',
      'array',
      (b) => [[b.text('luo', 'luo-session-v2'), 'luo-session-v9']],
      'luo has a node luo-session that no LUO knows',
    ],
    [
      'has no sessions',
      'array',
      (b) => [[b.text('luo', 'luo-session\0'), 'luo-sexsion']],
      'luo has no luo-session-header',
    ],
    [
      'has sessions nowhere',
      'array',
      (b) => [[b.at('luo', 'luo-session/luo-session-header'), 0]],
      'luo luo-session-header is 0x0: no page of memory',
    ],
    [
      'has FLBs of no known format',
      'array',
      (b) => [[b.text('luo', 'luo-flb-v1'), 'luo-flb-v9']],
      'luo has a node luo-flb that no LUO knows',
    ],
    ['has no FLBs', 'array', (b) => [[b.text('luo', 'luo-flb\0'), 'luo-flx']], 'luo has no luo-flb-header'],
    [
      'is a struct of no known format',
      'files',
      (b) => [[b.phys('luo'), 'luo-v9']],
      'luo is compatible with no LUO that is known',
    ],
    [
      'is a struct too small',
      'files',
      (b) => [[b.at(ROOT, 'LUO/blob-size'), 31]],
      'luo is too small: 31 of 32 bytes',
    ],
    [
      'has sessions elsewhere',
      'files',
      (b) => [[b.at('luo', 'sessions_pa'), 2n ** 60n]],
      'luo sessions_pa is 0x1000000000000000: no page of memory',
    ],
    [
      'has one page for both',
      'files',
      (b) => [[b.at('luo', 'flbs_pa'), b.phys('session-block[0]')]],
      'flb-page lies where another piece does',
    ],
  ]);
});

describe('sessions', () => {
  saysOf([
    [
      'are too many for a block',
      'files',
      (b) => [[b.at('session-block[0]', 'count'), 52]],
      'session-block[0] counts 52 entries of 51',
    ],
    [
      'are too many for the array',
      'array',
      (b) => [[b.at('session-block[0]', 'count'), 2n ** 60n]],
      `session-block[0] counts ${2 ** 60} entries of 819`,
    ],
    [
      'are none in a block',
      'files',
      (b) => [[b.at('session-block[0]', 'count'), 0]],
      'session-block[0] counts 0 entries: its reader refuses the chain',
    ],
    [
      'go on nowhere',
      'april',
      (b) => [[b.at('session-block[1]', 'next'), 1]],
      'session-block[1] next is 0x1: no page of memory',
    ],
    [
      'go round',
      'april',
      (b) => [[b.at('session-block[1]', 'next'), b.phys('session-block[0]')]],
      'session-block[2] lies where another piece does',
    ],
    [
      'lie in a block that is not preserved',
      'april',
      (b) => [[b.at('session-block[1]', 'next'), 0x800000]],
      'session-block[2] is not preserved',
    ],
    [
      'reach beyond memory',
      'april',
      (b) => [[b.at('session-block[1]', 'next'), b.image.memory.bytes - 4096]],
      'session-block[2] reaches beyond memory',
    ],
    [
      'have a name without an end',
      'array',
      (b) => [[b.phys('session[1]'), 'n'.repeat(64)]],
      'session[1] its name has no end',
    ],
    [
      'have one name',
      'april',
      (b) => [[b.phys('session[819]'), 'session-0003\0']],
      'session[819] has the name of session[3]',
    ],
    [
      'have files nowhere',
      'array',
      (b) => [[b.at('session[0]', 'file_set_ser.files'), 0]],
      'session[0] counts 2 files, and says of none where it is',
    ],
    [
      'have files elsewhere',
      'files',
      (b) => [[b.at('session[0]', 'file_set_ser.files'), 24]],
      'session[0] file_set_ser.files is 0x18: no page of memory',
    ],
    [
      'have FLBs in more pages',
      'files',
      (b) => [[b.at('flb-page', 'pgcnt'), 2]],
      'flb-page says that it has 2 pages',
    ],
    [
      'have more FLBs than a page',
      'files',
      (b) => [[b.at('flb-page', 'count'), 64]],
      'flb-page counts 64 FLBs of 63',
    ],
    [
      'have an FLB without an end',
      'files',
      (b) => [[b.phys('flb[1]'), 'f'.repeat(48)]],
      'flb[1] its name has no end',
    ],
  ]);

  it('are refused behind block 10,000', () => {
    const bed = new Bed(handoverOf(left({ revision: V7_3, sessions: 1, ramBytes: 64 * MIB })));
    const { memory } = bed.image;
    const first = bed.phys('session-block[0]');
    const block = (n: number): number => (n === 0 ? first : 16 * MIB + n * 4096);
    for (let n = 0; n < 10_000; n++) memory.store64(block(n), block(n + 1));
    // Nobody preserves them, and they are empty.
    const others = problemsOf(piecesOf(bed.image)).filter((text) => !/is not preserved$|counts 0/.test(text));
    expect(others).toEqual([
      'session-block[9999] is block 10000, and not the last: its reader refuses the chain',
    ]);
  });
});
