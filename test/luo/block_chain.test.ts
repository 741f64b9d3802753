import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../sim/base/errno.ts';
import { definePoint } from '../../sim/base/point.ts';
import { type Order, type Phys, physOf } from '../../sim/base/units.ts';
import { ZEROED } from '../../sim/kernel/mm.ts';
import { LUO_SESSION_BLOCK_SER } from '../../sim/luo/abi.ts';
import {
  APRIL_CHAIN,
  BlockChain,
  type ChainGeometry,
  countBlocks,
  IncomingBlockChain,
} from '../../sim/luo/block_chain.ts';
import { bareKernel, MIB } from '../support/system.ts';
import {
  limitLaw,
  markLaw,
  retryLaw,
  roundTripLaw,
  type StoreUnderTest,
  shrunkListLaw,
} from './session_store.laws.ts';

const BLOCK = definePoint('test', 'chain block', 'fault');
/** Blocks scaled down, so that edges come up often. */
const SMALL: ChainGeometry = { blockBytes: 65536, perBlock: 3, maxBlocks: 5 };

function chain(geometry: ChainGeometry): StoreUnderTest {
  const kernel = bareKernel();
  const { ram, journal } = kernel.machine;
  const outgoing = new BlockChain(kernel.storage, ram, geometry);
  const owner = kernel.frames.owner('test block');
  const freed: Phys[] = [];
  const allocBlock = (): Phys => physOf(kernel.pages.alloc(4 as Order, owner, BLOCK, ZEROED) as never);
  outgoing.addBlock(allocBlock());
  return {
    machine: kernel.machine,
    ram,
    outgoing,
    allocBlock,
    incoming: () =>
      new IncomingBlockChain(journal, ram, outgoing.headPhys as Phys, 0, (block) => freed.push(block)),
    freed: () => freed,
  };
}

describe('the chain of blocks, three sessions a block', () => {
  const counts = fc.integer({ min: 0, max: 15 });
  it('hands over what was written, at every count', () => roundTripLaw(() => chain(SMALL), counts));
  it('forgets an abandoned attempt', () => retryLaw(() => chain(SMALL), counts));
  it('does not hand over what was removed', () => shrunkListLaw(() => chain(SMALL), counts));
  it('refuses the 16th', () => limitLaw(() => chain(SMALL), 15, -ERRNO.ENOSPC));
  it('rolls back', () => markLaw(() => chain(SMALL), counts, 15));
});

describe('the chain of blocks at full size', () => {
  const edges = [0, 1, 50, 51, 52, 102, 103, 818, 819, 820, 1638, 1639];

  it.each(edges)('hands over %i sessions', (count) => {
    roundTripLaw(() => chain(APRIL_CHAIN), fc.constant(count), 1);
  });

  const few = fc.constantFrom(...edges.filter((count) => count <= 820));
  it('forgets an abandoned attempt', () => retryLaw(() => chain(APRIL_CHAIN), few));
  it('does not hand over what was removed', () => shrunkListLaw(() => chain(APRIL_CHAIN), few));

  it('has 819 sessions a block and refuses the block after the 10,000th', () => {
    expect(APRIL_CHAIN).toEqual({ blockBytes: 65536, perBlock: 819, maxBlocks: 10_000 });
    const kernel = bareKernel({ ramBytes: 128 * MIB });
    const store = new BlockChain(kernel.storage, kernel.machine.ram, APRIL_CHAIN);
    // Only the book-keeping of the chain: blocks overlap in memory here.
    for (let block = 0; block < 10_000; block++) store.addBlock((0x100000 + block * 4096) as Phys);
    expect(store.room(8_190_000 - 1)).toBe(0);
    expect(store.room(8_190_000)).toBe(-ERRNO.ENOSPC);
  });
});

describe('an incoming chain', () => {
  const { next } = LUO_SESSION_BLOCK_SER.at;

  it('that is a cycle is refused, whatever its length', () => {
    for (const length of [1, 2, 3, 5]) {
      const store = chain({ ...SMALL, maxBlocks: 5 });
      for (let block = 1; block < length; block++) store.outgoing.addBlock(store.allocBlock());
      const regions = store.outgoing.regions();
      store.ram.store64((regions.at(-1)?.address as number) + next, store.outgoing.headPhys);
      expect(countBlocks(store.ram, store.outgoing.headPhys as Phys, SMALL)).toBe(-ERRNO.EINVAL);
    }
  });

  it('of the longest length is accepted, one block more is not', () => {
    const store = chain(SMALL);
    for (let block = 1; block < 5; block++) store.outgoing.addBlock(store.allocBlock());
    expect(countBlocks(store.ram, store.outgoing.headPhys as Phys, SMALL)).toBe(5);
    expect(countBlocks(store.ram, store.outgoing.headPhys as Phys, { ...SMALL, maxBlocks: 4 })).toBe(
      -ERRNO.EINVAL,
    );
  });
});
