import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../sim/base/errno.ts';
import type { Phys } from '../../sim/base/units.ts';
import { type BlockGeometry, blocksOf } from '../../sim/kho/block_set.ts';
import { BlockSetStore, blockSetOpener, SESSION_BLOCK_SET } from '../../sim/luo/block_set_store.ts';
import type { IncomingStore } from '../../sim/luo/session_store.ts';
import {
  type BlockWorld,
  blockWorld,
  COUNT,
  chainIn,
  disarm,
  failAt,
  NEXT,
  PAGE,
} from '../kho/block_world.ts';
import { golden } from '../kho/fdt_model.ts';
import { MIB, type TestMachine } from '../support/system.ts';
import {
  limitLaw,
  markLaw,
  retryLaw,
  roundTripLaw,
  type StoreUnderTest,
  shrunkListLaw,
} from './session_store.laws.ts';

/** Three sessions a block, five blocks: edges come up often. */
const SMALL: BlockGeometry = { entryBytes: 1360, maxBlocks: 5 };

interface SetUnderTest extends StoreUnderTest {
  readonly world: BlockWorld;
  readonly outgoing: BlockSetStore;
  open(): IncomingStore | number;
}

function store(geometry: BlockGeometry, machine: TestMachine = {}): SetUnderTest {
  const world = blockWorld(machine);
  const { kernel, ram, table, out } = world;
  const outgoing = new BlockSetStore(table, geometry);
  const owner = kernel.frames.owner('test block');
  const freed: Phys[] = [];
  const opener = blockSetOpener(table, (block) => freed.push(block), geometry);
  const open = (): IncomingStore | number => opener(outgoing.headPhys as Phys);
  return {
    machine: kernel.machine,
    world,
    ram,
    outgoing,
    open,
    allocBlock: () => {
      const { sched } = kernel;
      const address = sched.complete(out.allocPreserve(sched.boot, outgoing.blockBytes, owner, PAGE));
      return address as Phys;
    },
    incoming: () => {
      const incoming = open();
      if (typeof incoming === 'number') expect.fail(`the chain was refused: ${incoming}`);
      return incoming;
    },
    freed: () => freed,
  };
}

/** Room for one more session, as luo_session_insert makes it. */
function insert({ outgoing, allocBlock, world }: SetUnderTest, count: number): number {
  let err = outgoing.room(count);
  while (err > 0) {
    const address = allocBlock();
    err = address < 0 ? address : outgoing.addBlock(address);
    if (err < 0 && address >= 0) world.give([address]);
    if (err === 0) err = outgoing.room(count);
  }
  return err;
}

/** What a removal down to `count` gives back. */
function remove({ outgoing, world }: SetUnderTest, count: number): void {
  for (let block = outgoing.dropBlock(count); block !== 0; block = outgoing.dropBlock(count))
    world.give([block as Phys]);
}

function serialize({ outgoing, ram }: SetUnderTest, count: number): void {
  outgoing.begin();
  for (let i = 0; i < count; i++) {
    const slot = outgoing.nextSlot();
    for (let at = 0; at < 80; at += 4) ram.store32(slot + at, (i + 1) * 0x10000 + at);
  }
  outgoing.commit(count);
}

describe('the block set, three sessions a block', () => {
  const counts = fc.integer({ min: 0, max: 15 });
  it('hands over what was written, at every count', () => roundTripLaw(() => store(SMALL), counts));
  it('forgets an abandoned attempt', () => retryLaw(() => store(SMALL), counts));
  it('does not hand over what was removed', () => shrunkListLaw(() => store(SMALL), counts));
  it('refuses the 16th', () => limitLaw(() => store(SMALL), 15, -ERRNO.ENOSPC));
  it('rolls back', () => markLaw(() => store(SMALL), counts, 15));
});

describe('the block set at full size', () => {
  const edges = [0, 1, 50, 51, 52, 102, 103, 818, 819, 820];

  it.each(edges)('hands over %i sessions', (count) => {
    roundTripLaw(() => store(SESSION_BLOCK_SET), fc.constant(count), 1);
  });

  const few = fc.constantFrom(...edges.filter((count) => count <= 103));
  it('forgets an abandoned attempt', () => retryLaw(() => store(SESSION_BLOCK_SET), few));
  it('does not hand over what was removed', () => shrunkListLaw(() => store(SESSION_BLOCK_SET), few));

  it('has one-page blocks of 51 sessions, none of them at boot', () => {
    expect(SESSION_BLOCK_SET).toEqual(blocksOf(80));
    const { outgoing } = store(SESSION_BLOCK_SET);
    expect(outgoing.set.perBlock).toBe(51);
    expect(outgoing.blockBytes).toBe(4096);
    expect(outgoing.blocksAtBoot).toBe(0);
    expect(outgoing.headPhys).toBe(0);
    expect(outgoing.regions()).toEqual([]);
    outgoing.begin();
    expect(outgoing.nextSlot()).toBe(0);
    expect(outgoing.previousSlot()).toBe(0);
  });
});

describe('sessions that come and go', () => {
  it('have ceil(count / 3) blocks, whatever came before, and nothing else is kept', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 60 }), (all) => {
        const under = store(SMALL);
        const { world, outgoing } = under;
        const free = world.free([outgoing.set]);
        let count = 0;
        for (const isInsert of all) {
          if (isInsert) {
            const err = insert(under, count);
            expect(err).toBe(count === 15 ? -ERRNO.ENOSPC : 0);
            if (err === 0) count++;
          } else if (count > 0) {
            count--;
            remove(under, count);
          }
          expect(outgoing.blocks).toBe(Math.ceil(count / 3));
          expect(chainIn(under.ram, outgoing.headPhys)).toEqual(
            outgoing.regions().map(({ address }) => address),
          );
          expect(world.preserved()).toHaveLength(outgoing.blocks);
          expect(world.free([outgoing.set])).toBe(free);
        }
        serialize(under, count);
        const incoming = under.incoming();
        for (let i = 0; i < count; i++) expect(under.ram.load32(incoming.nextSlot())).toBe((i + 1) * 0x10000);
        expect(incoming.nextSlot()).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  it('are refused at the 510,001st with -ENOSPC, the page given back', () => {
    const under = store(SESSION_BLOCK_SET, { ramBytes: 64 * MIB });
    const { outgoing, world } = under;
    for (let count = 0; count < 510_000; count++) {
      if (insert(under, count) !== 0) expect.fail(`no room for session ${count}`);
    }
    expect(outgoing.blocks).toBe(10_000);
    const free = world.free([outgoing.set]);
    expect(outgoing.room(510_000)).toBe(1);
    expect(insert(under, 510_000)).toBe(-ERRNO.ENOSPC);
    expect(outgoing.blocks).toBe(10_000);
    expect(world.free([outgoing.set])).toBe(free);
    remove(under, 509_949);
    expect(outgoing.blocks).toBe(9_999);
    expect(insert(under, 509_949)).toBe(0);
  });

  it('leave everything as it was where an allocation fails', () => {
    for (const point of ['test:block page', 'kho_radix_add_page:node', 'kmem_cache_alloc:pages']) {
      const under = store(SMALL);
      const { outgoing, world } = under;
      const free = world.free([outgoing.set]);
      const failed = failAt(world.kernel, point, 0);
      expect(insert(under, 0)).toBe(-ERRNO.ENOMEM);
      expect(failed()).toBe(true);
      disarm(world.kernel);
      expect(outgoing.blocks).toBe(0);
      expect(outgoing.headPhys).toBe(0);
      expect(world.preserved()).toEqual([]);
      expect(world.free([outgoing.set])).toBe(free);
      expect(insert(under, 0)).toBe(0);
    }
  });
});

describe('the bytes', () => {
  it('of 52 sessions are two blocks, the first full to its last byte', () => {
    const under = store(SESSION_BLOCK_SET);
    const { ram, outgoing } = under;
    for (let count = 0; count < 52; count++) insert(under, count);
    serialize(under, 52);
    const [p0, p1] = outgoing.regions().map(({ address }) => address) as [Phys, Phys];
    expect(outgoing.headPhys).toBe(p0);
    const words = (header: number[], sessions: number[]): number[] => {
      const entries = sessions.flatMap((i) =>
        Array.from({ length: 20 }, (_, k) => (i + 1) * 0x10000 + k * 4),
      );
      const all = [...header, ...entries];
      return [...all, ...new Array<number>(1024 - all.length).fill(0)];
    };
    const read = (address: Phys): number[] => {
      const target = new Int32Array(1024);
      ram.loadWords(address, target, 0, 1024);
      return [...target];
    };
    const first = Array.from({ length: 51 }, (_, i) => i);
    expect(read(p0)).toEqual(words([p1, 0, 51, 0], first));
    expect(words([p1, 0, 51, 0], first)).toHaveLength(1024);
    expect(16 + 51 * 80).toBe(4096);
    expect(read(p1)).toEqual(words([0, 0, 1, 0], [51]));
  });

  it('of 51 sessions are those of a real kernel, which is read as it was meant', () => {
    const bytes = golden('k734-51sessions.session-blocks.bin');
    const name = (i: number): string => `session-${String(i).padStart(4, '0')}`;
    const under = store(SESSION_BLOCK_SET);
    const { ram, outgoing } = under;
    for (let count = 0; count < 51; count++) insert(under, count);
    outgoing.begin();
    for (let i = 0; i < 51; i++) ram.storeBytes(outgoing.nextSlot(), Buffer.from(name(i), 'latin1'));
    outgoing.commit(51);
    expect(outgoing.blocks).toBe(1);
    const head = outgoing.headPhys as Phys;
    expect(Buffer.from(ram.loadBytes(head, 4096)).equals(Buffer.from(bytes))).toBe(true);
    ram.storeBytes(head, new Uint8Array(4096));
    ram.storeBytes(head, bytes);
    const incoming = under.incoming();
    for (let i = 0; i < 51; i++) {
      expect(Buffer.from(ram.loadBytes(incoming.nextSlot(), 12)).toString('latin1')).toBe(name(i));
    }
    expect(incoming.nextSlot()).toBe(0);
  });

  it('of counts are written as slots are reserved and stay when they are taken back', () => {
    const under = store(SMALL);
    for (let count = 0; count < 5; count++) insert(under, count);
    const { ram, outgoing } = under;
    const counts = (): number[] => outgoing.regions().map(({ address }) => ram.load64(address + COUNT));
    outgoing.begin();
    for (let i = 0; i < 4; i++) outgoing.nextSlot();
    expect(counts()).toEqual([3, 1]);
    while (outgoing.previousSlot() !== 0);
    expect(counts()).toEqual([3, 1]);
    outgoing.begin();
    outgoing.nextSlot();
    expect(counts()).toEqual([1, 1]);
  });
});

describe('the reader', () => {
  it('is opened with the errno of what is wrong, and frees what a failed deserialization leaves', () => {
    const under = store(SMALL);
    for (let count = 0; count < 7; count++) insert(under, count);
    serialize(under, 7);
    expect(under.incoming().freedOnFailure).toBe(true);
    const last = under.outgoing.regions()[2]?.address as number;
    under.ram.store64(last + NEXT, under.outgoing.headPhys);
    expect(under.open()).toBe(-ERRNO.EINVAL);
    expect(under.freed()).toEqual([]);
    under.ram.store64(last + NEXT, 0);
    under.ram.store64(last + COUNT, 0);
    expect(under.open()).toBe(-ERRNO.EINVAL);
    expect(under.freed()).toEqual(under.outgoing.regions().map(({ address }) => address));
  });

  it('reads nothing once it is freed', () => {
    const under = store(SMALL);
    insert(under, 0);
    serialize(under, 1);
    const incoming = under.incoming();
    incoming.free();
    expect(incoming.nextSlot()).toBe(0);
  });
});

describe('a creation that is refused for its name after the blocks grew', () => {
  it('leaves a block with count 0: the next kernel refuses every session there is', () => {
    // luo_session_insert grows first and looks at names then; nothing shrinks the set again before the reboot.
    const under = store(SESSION_BLOCK_SET);
    for (let count = 0; count < 51; count++) insert(under, count);
    expect(insert(under, 51)).toBe(0);
    expect(under.outgoing.blocks).toBe(2);
    serialize(under, 51);
    expect(under.open()).toBe(-ERRNO.EINVAL);
    expect(under.world.kernel.log.has('Block contains invalid entry count: 0')).toBe(true);
    expect(under.freed()).toHaveLength(2);
  });

  it('is mended by the next creation and by any removal', () => {
    for (const count of [52, 50]) {
      const under = store(SESSION_BLOCK_SET);
      for (let n = 0; n < 52; n++) insert(under, n);
      if (count === 50) remove(under, 50);
      serialize(under, count);
      const incoming = under.incoming();
      for (let i = 0; i < count; i++) expect(incoming.nextSlot()).not.toBe(0);
      expect(incoming.nextSlot()).toBe(0);
    }
  });
});
