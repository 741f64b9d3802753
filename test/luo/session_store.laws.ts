/*
 * Laws of every session store: what is written through the outgoing side is what the incoming side reads, in order,
 * for every count it has room for, and nothing else.
 */

import fc from 'fast-check';
import { expect } from 'vitest';
import type { Phys } from '../../sim/base/units.ts';
import type { IncomingStore, OutgoingStore } from '../../sim/luo/session_store.ts';
import type { Ram } from '../../sim/machine/ram.ts';

export interface StoreUnderTest {
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
    fc.property(counts, fc.nat(), (count, n) => {
      const store = make();
      fillUp(store, count);
      const abandoned = count === 0 ? 0 : n % (count + 1);
      const slots = write(store, abandoned, 5000);
      for (const slot of slots.reverse()) expect(store.outgoing.previousSlot()).toBe(slot);
      if (count > 0) expect(store.outgoing.previousSlot()).toBe(0);
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
