/*
 * Laws of every session store: what is written through the outgoing side is what the incoming side reads, in order,
 * for every count it has room for, and nothing else.
 */

import fc from 'fast-check';
import { expect } from 'vitest';
import type { Phys } from '../../sim/base/units.ts';
import type { IncomingStore, OutgoingStore } from '../../sim/luo/session_store.ts';
import type { Machine } from '../../sim/machine/machine.ts';
import type { Ram } from '../../sim/machine/ram.ts';

export interface StoreUnderTest {
  readonly machine: Machine;
  readonly ram: Ram;
  readonly outgoing: OutgoingStore;
  /** A preserved, zeroed region for a block. */
  allocBlock(): Phys;
  /** The reader of what was committed. */
  incoming(): IncomingStore;
  /** Regions that the reader has freed. */
  freed(): Phys[];
}

/** Makes room for `count` sessions as insert does, one by one. */
function fillUp({ outgoing, allocBlock }: StoreUnderTest, count: number): void {
  for (let n = 0; n < count; n++) {
    let room = outgoing.room(n);
    while (room > 0) {
      expect(outgoing.addBlock(allocBlock())).toBe(0);
      room = outgoing.room(n);
    }
    if (room !== 0) expect.fail(`no room for session ${n}: ${room}`);
  }
}

function write({ ram, outgoing }: StoreUnderTest, count: number, mark: number): number[] {
  const slots: number[] = [];
  outgoing.begin();
  for (let n = 0; n < count; n++) {
    const slot = outgoing.nextSlot();
    if (slot === 0) expect.fail(`no slot ${n} of ${count}`);
    ram.store32(slot, mark + n);
    slots.push(slot);
  }
  return slots;
}

/** Every count up to `max`: read back in order, each slot once, inside the store's regions. */
export function roundTripLaw(make: () => StoreUnderTest, counts: fc.Arbitrary<number>, numRuns = 30): void {
  fc.assert(
    fc.property(counts, (count) => {
      const store = make();
      fillUp(store, count);
      const slots = write(store, count, 1000);
      expect(new Set(slots).size).toBe(count);
      store.outgoing.commit(count);
      const regions = store.outgoing.regions();
      const incoming = store.incoming();
      // It knows nothing yet, or of enough.
      if (incoming.capacity !== 0) expect(incoming.capacity).toBeGreaterThanOrEqual(count);
      for (let n = 0; n < count; n++) {
        const slot = incoming.nextSlot();
        const inside = regions.some(
          ({ address, order }) => slot >= address && slot < address + 4096 * 2 ** order,
        );
        if (store.ram.load32(slot) !== 1000 + n || !inside) expect.fail(`slot ${n} of ${count} reads wrong`);
      }
      expect(incoming.nextSlot()).toBe(0);
      incoming.free();
      expect(store.freed()).toEqual(regions.map(({ address }) => address));
    }),
    { numRuns },
  );
}

/** An attempt that is taken back, at any place, leaves no trace in what a second attempt hands over. */
export function retryLaw(make: () => StoreUnderTest, counts: fc.Arbitrary<number>): void {
  fc.assert(
    fc.property(counts, fc.nat(), fc.boolean(), (count, n, isUndone) => {
      const store = make();
      fillUp(store, count);
      const abandoned = count === 0 ? 0 : n % (count + 1);
      const slots = write(store, abandoned, 5000);
      // One that has succeeded, and whose reboot then failed, is left where it stands.
      if (isUndone) {
        for (const slot of slots.reverse()) expect(store.outgoing.previousSlot()).toBe(slot);
        if (count > 0) expect(store.outgoing.previousSlot()).toBe(0);
      }
      write(store, count, 1000);
      store.outgoing.commit(count);
      const incoming = store.incoming();
      for (let i = 0; i < count; i++) expect(store.ram.load32(incoming.nextSlot())).toBe(1000 + i);
      expect(incoming.nextSlot()).toBe(0);
    }),
    { numRuns: 30 },
  );
}

/** Fewer sessions than there were: the tail that is left over is not read. */
export function shrunkListLaw(make: () => StoreUnderTest, counts: fc.Arbitrary<number>): void {
  fc.assert(
    fc.property(counts, fc.nat(), (most, n) => {
      const store = make();
      fillUp(store, most);
      write(store, most, 3000);
      store.outgoing.commit(most);
      const left = n % (most + 1);
      for (let count = most - 1; count >= left; count--) while (store.outgoing.dropBlock(count) !== 0);
      write(store, left, 1000);
      store.outgoing.commit(left);
      const incoming = store.incoming();
      for (let i = 0; i < left; i++) expect(store.ram.load32(incoming.nextSlot())).toBe(1000 + i);
      expect(incoming.nextSlot()).toBe(0);
    }),
    { numRuns: 30 },
  );
}

/** Full, a store refuses one more with its errno and is as it was; what a removal frees can be used again. */
export function limitLaw(make: () => StoreUnderTest, limit: number, errno: number): void {
  const store = make();
  const { outgoing } = store;
  fillUp(store, limit);
  const before = { regions: outgoing.regions(), blocks: outgoing.blocks, head: outgoing.headPhys };
  for (let attempt = 0; attempt < 2; attempt++) {
    // Some look at the limit before there is a block, some when it is linked.
    const room = outgoing.room(limit);
    expect(room === 1 ? outgoing.addBlock(store.allocBlock()) : room).toBe(errno);
    expect({ regions: outgoing.regions(), blocks: outgoing.blocks, head: outgoing.headPhys }).toEqual(before);
  }
  expect(outgoing.room(limit - 1)).toBe(0);
  write(store, limit, 1000);
  expect(outgoing.nextSlot()).toBe(0);
  outgoing.commit(limit);
  const incoming = store.incoming();
  for (let i = 0; i < limit; i++) expect(store.ram.load32(incoming.nextSlot())).toBe(1000 + i);
  expect(incoming.nextSlot()).toBe(0);
  while (outgoing.dropBlock(0) !== 0);
  fillUp(store, limit);
  expect(outgoing.regions()).toHaveLength(before.blocks);
}

/** Rolled back to a mark, blocks, cursor and reader are what they were, wherever they stood, and do the same again. */
export function markLaw(make: () => StoreUnderTest, counts: fc.Arbitrary<number>, limit: number): void {
  fc.assert(
    fc.property(counts, fc.nat(), fc.nat(), (count, n, m) => {
      const store = make();
      const { machine, ram, outgoing } = store;
      fillUp(store, count);
      const slots = write(store, count, 1000);
      outgoing.commit(count);
      const incoming = store.incoming();
      const read = n % (count + 1);
      for (let i = 0; i < read; i++) incoming.nextSlot();
      for (let back = m % (count + 1); back > 0; back--) expect(outgoing.previousSlot()).toBe(slots.pop());
      const picture = (): unknown => [outgoing.regions(), outgoing.headPhys, outgoing.blocks];
      const atMark = picture();
      const mark = machine.mark();
      for (let pass = 0; pass < 2; pass++) {
        for (let i = read; i < count; i++) expect(ram.load32(incoming.nextSlot())).toBe(1000 + i);
        expect(incoming.nextSlot()).toBe(0);
        incoming.free();
        expect(outgoing.previousSlot()).toBe(slots.at(-1) ?? 0);
        for (let left = count - 1; left >= 0; left--) while (outgoing.dropBlock(left) !== 0);
        fillUp(store, limit);
        write(store, limit, 5000);
        outgoing.commit(limit);
        machine.rollback(mark);
        expect(picture()).toEqual(atMark);
      }
    }),
    { numRuns: 30 },
  );
}
