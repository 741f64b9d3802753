/*
 * What a walk says of damaged roots of LUO, sessions and FLBs.
 */
import { describe, expect, it } from 'vitest';
import { APRIL_V1 } from '../../sim/kernel/revisions.ts';
import { handoverOf, left, piecesOf, problemsOf } from '../support/handovers.ts';
import { Bed, ROOT, saysOf } from './damage.ts';

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
    const { image, ...bed } = new Bed(
      handoverOf(left({ revision: APRIL_V1, sessions: 0, ramBytes: 2 ** 30 })),
    );
    const first = bed.pieces.find(({ path }) => path === 'session-block[0]')?.phys as number;
    // The order of a block does not matter here, nor that nobody preserves them.
    const block = (n: number): number => (n === 0 ? first : 2 ** 26 + n * 65536);
    for (let n = 0; n < 10_000; n++) image.memory.store64(block(n), block(n + 1));
    const problems = problemsOf(piecesOf(image)).filter((text) => !text.endsWith('is not preserved'));
    expect(problems).toEqual([
      'session-block[9999] is block 10000, and not the last: its reader refuses the chain',
    ]);
  });
});
