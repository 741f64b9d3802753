/*
 * memfds whose lists of folios fill the chunks in which they are handed over. `npm run test:long`.
 */
import { describe, expect, it } from 'vitest';
import { pfnOf } from '../../sim/base/units.ts';
import { V7_3 } from '../../sim/kernel/revisions.ts';
import { start, update } from '../luo/file_world.ts';
import { MIB } from '../support/system.ts';

describe('a list of folios', () => {
  // A chunk has room for 511 pages of 256 folios each; the one that fills it brings an empty one behind it.
  it.each([
    [510, 1],
    [511, 2],
    [512, 2],
    [1022, 3],
    [1023, 3],
    [1024, 3],
  ])(
    'of %i pages is handed over in %i chunks, and comes back',
    (pages, chunks) => {
      const user = start(V7_3, [], 4096 * MIB);
      const fd = user.memfd();
      user.truncate(fd, pages * MIB);
      user.pwrite(fd, pages * MIB - 3, 'end');
      expect(user.preserve(user.create('s'), fd, 1)).toBe(0);
      const { frames } = user.system.kernel;
      const { tracker } = user.system.kho.out;
      let found = 0;
      tracker?.walk((address) => {
        if (frames.ownerName(frames.ownerOf(pfnOf(address))) === 'memfd vmalloc chunk') found++;
        return 0;
      });
      expect(found).toBe(chunks);
      const next = update(user, V7_3);
      next.open();
      const back = next.retrieveFd(next.retrieve('s'), 1);
      expect(next.stat(back)).toMatchObject({ size: pages * MIB, blocks: pages * 2048 });
      expect(next.read(back, 3, pages * MIB - 3)).toBe('end');
    },
    120_000,
  );
});
