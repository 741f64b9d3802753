/*
 * Laws of every file store: what is written for a set of files is what the next kernel reads for it, in order, for every
 * count it has room for; sets do not touch one another; and every region that was taken is given back once.
 */
import fc from 'fast-check';
import { expect } from 'vitest';
import { bytesOf, type Phys } from '../../sim/base/units.ts';
import { LUO_FILE_SER } from '../../sim/luo/abi.ts';
import type { FileSlots, FileStore } from '../../sim/luo/file_store.ts';
import type { SessionHandle } from '../../sim/luo/session_table.ts';
import type { Machine } from '../../sim/machine/machine.ts';

export interface FileStoreUnderTest {
  readonly machine: Machine;
  /** Of the kernel that preserves. */
  readonly store: FileStore;
  /** Of the next kernel: over the same memory, and rows of its own. */
  readonly next: FileStore;
  /** A preserved, zeroed region. */
  allocBlock(): Phys;
}

type Make = () => FileStoreUnderTest;

const SETS = [0, 1, 2] as SessionHandle[];
const [A, B] = SETS as [SessionHandle, SessionHandle];
const BYTES = LUO_FILE_SER.size;

/** Room for file `count` as preserve makes it: 0 or the errno, whoever says it. */
function room({ store, allocBlock }: FileStoreUnderTest, set: SessionHandle, count: number): number {
  let err = store.room(set, count);
  while (err > 0) {
    err = store.addBlock(set, allocBlock());
    if (err === 0) err = store.room(set, count);
  }
  return err;
}

function fillUp(under: FileStoreUnderTest, set: SessionHandle, from: number, to: number): void {
  for (let n = from; n < to; n++) if (room(under, set, n) !== 0) expect.fail(`no room for file ${n}`);
}

/** Fills slots from end to end. */
function write(
  { machine, store }: FileStoreUnderTest,
  set: SessionHandle,
  count: number,
  mark: number,
): number[] {
  const slots = store.write(set);
  const written: number[] = [];
  for (let n = 0; n < count; n++) {
    const slot = slots.next();
    if (slot === 0) expect.fail(`no slot ${n} of ${count}`);
    for (let at = 0; at < BYTES; at += 4) machine.ram.store32(slot + at, mark + n);
    written.push(slot);
  }
  slots.commit();
  return written;
}

/** Opens what was written as the next kernel does, which asks only where there are files. */
function expectRead(under: FileStoreUnderTest, set: SessionHandle, count: number, mark: number): void {
  const { machine, store, next } = under;
  const slots = next.open(set, store.headPhys(set) as Phys, count);
  if (typeof slots === 'number') expect.fail(`refused: ${slots}`);
  for (let n = 0; n < count; n++) {
    const slot = (slots as FileSlots).next();
    if (slot === 0) expect.fail(`file ${n} of ${count} is not there`);
    for (let at = 0; at < BYTES; at += 4) {
      if (machine.ram.load32(slot + at) !== mark + n)
        expect.fail(`file ${n} of ${count} reads wrong at ${at}`);
    }
  }
  expect((slots as FileSlots).next()).toBe(0);
  expect(next.regions(set)).toEqual(store.regions(set));
  expect(next.headPhys(set)).toBe(store.headPhys(set));
}

/** Regions that a set gives back for `count` files left: no more than it had. */
function drop(store: FileStore, set: SessionHandle, count: number): Phys[] {
  const had = store.regions(set).length;
  const given: Phys[] = [];
  for (let block = store.dropBlock(set, count); block !== 0; block = store.dropBlock(set, count)) {
    given.push(block);
    if (given.length > had) expect.fail(`more than ${had} regions are given back`);
  }
  return given;
}

/** Every region of a set, given back as the last file goes. */
function dropAll(store: FileStore, set: SessionHandle): Phys[] {
  const given = drop(store, set, 0);
  expect(store.regions(set)).toEqual([]);
  expect(store.headPhys(set)).toBe(0);
  return given;
}

const sorted = (regions: readonly Phys[]): Phys[] => [...regions].sort((a, b) => a - b);

/** Read back in order, each slot once, inside the set's regions; the next kernel then gives back every region. */
export function roundTripLaw(make: Make, counts: fc.Arbitrary<number>, numRuns = 20): void {
  fc.assert(
    fc.property(counts, (count) => {
      const under = make();
      const { store, next } = under;
      fillUp(under, A, 0, count);
      const slots = write(under, A, count, 1000);
      expect(new Set(slots).size).toBe(count);
      const regions = store.regions(A);
      expect(regions[0] ?? 0).toBe(store.headPhys(A));
      for (const slot of slots) {
        const inside = regions.some((at) => slot >= at && slot + BYTES <= at + store.blockBytes);
        if (!inside) expect.fail(`slot ${slot} is in no region`);
      }
      expect(store.blockBytes).toBe(bytesOf(store.order));
      if (count > 0) {
        expectRead(under, A, count, 1000);
        expect(next.restores(A, true)).toBe(true);
        expect(sorted(dropAll(next, A))).toEqual(sorted(regions));
      }
      expect(store.restores(A, false)).toBe(false);
      expect(sorted(dropAll(store, A))).toEqual(sorted(regions));
    }),
    { numRuns },
  );
}

/** Sets that grow in turns have nothing of one another. */
export function apartLaw(make: Make, most: number): void {
  const rounds = fc.array(fc.tuple(fc.constantFrom(...SETS), fc.integer({ min: 1, max: most })), {
    maxLength: 6,
  });
  fc.assert(
    fc.property(rounds, (all) => {
      const under = make();
      const counts = SETS.map(() => 0);
      for (const [set, more] of all) {
        const to = Math.min((counts[set] as number) + more, most);
        fillUp(under, set, counts[set] as number, to);
        counts[set] = to;
      }
      for (const set of SETS) write(under, set, counts[set] as number, 1000 * (set + 1));
      const regions = SETS.flatMap((set) => under.store.regions(set));
      expect(new Set(regions).size).toBe(regions.length);
      for (const set of SETS) {
        if (set === B) dropAll(under.store, A);
        const count = set === A ? 0 : (counts[set] as number);
        if (count !== 0) expectRead(under, set, count, 1000 * (set + 1));
      }
    }),
    { numRuns: 20 },
  );
}

/** What was written before a failure is forgotten, and the next attempt is read whole. */
export function retryLaw(make: Make, counts: fc.Arbitrary<number>): void {
  fc.assert(
    fc.property(counts, fc.nat(), (count, n) => {
      const under = make();
      const { machine, store } = under;
      fillUp(under, A, 0, count);
      const regions = store.regions(A);
      write(under, A, n % (count + 1), 5000);
      if (count > 0) store.clear(A);
      expect(store.regions(A)).toEqual(regions);
      for (const slot of slotsOf(store, count)) {
        for (let at = 0; at < BYTES; at += 4) {
          if (machine.ram.load32(slot + at) !== 0) expect.fail(`${slot + at} is not forgotten`);
        }
      }
      write(under, A, count, 1000);
      if (count > 0) expectRead(under, A, count, 1000);
    }),
    { numRuns: 20 },
  );
}

function slotsOf(store: FileStore, count: number): number[] {
  const slots = store.write(A);
  return Array.from({ length: count }, () => slots.next());
}

/** Files go, from the last: regions with them, one by one or all at the end; and what is left is read. */
export function shrinkLaw(make: Make, counts: fc.Arbitrary<number>, perRegion: number): void {
  fc.assert(
    fc.property(counts, fc.nat(), (most, n) => {
      const under = make();
      const { store } = under;
      fillUp(under, A, 0, most);
      const regions = store.regions(A);
      expect(regions).toHaveLength(Math.ceil(most / perRegion));
      const left = n % (most + 1);
      const given: Phys[] = [];
      for (let count = most - 1; count >= left; count--) {
        given.push(...drop(store, A, count));
        const needed = store.shrinks || count === 0 ? Math.ceil(count / perRegion) : regions.length;
        expect(store.regions(A)).toEqual(regions.slice(0, needed));
      }
      expect(sorted([...given, ...store.regions(A)])).toEqual(sorted(regions));
      write(under, A, left, 1000);
      if (left > 0) expectRead(under, A, left, 1000);
      fillUp(under, A, left, most);
      expect(store.regions(A)).toHaveLength(regions.length);
    }),
    { numRuns: 20 },
  );
}

/** Full, a set takes no file more, and is as it was; another set has room. */
export function limitLaw(make: Make, limit: number, perRegion: number, errno: number): void {
  const under = make();
  const { store } = under;
  for (let count = 0; count < limit; count += perRegion) {
    if (room(under, A, count) !== 0) expect.fail(`no room for file ${count}`);
  }
  expect(store.room(A, limit - 1)).toBe(0);
  const regions = store.regions(A);
  expect(regions).toHaveLength(Math.ceil(limit / perRegion));
  for (let attempt = 0; attempt < 2; attempt++) {
    expect(room(under, A, limit)).toBe(errno);
    expect(store.headPhys(A)).toBe(regions[0]);
    expect(store.regions(A)).toEqual(regions);
  }
  expect(room(under, B, 0)).toBe(0);
  expect(dropAll(store, A)).toHaveLength(regions.length);
  expect(room(under, A, 0)).toBe(0);
}

/** Rolled back to a mark, sets have the regions they had, and are read as they were written. */
export function markLaw(make: Make, counts: fc.Arbitrary<number>): void {
  fc.assert(
    fc.property(counts, counts, (count, other) => {
      const under = make();
      const { machine, store } = under;
      fillUp(under, A, 0, count);
      write(under, A, count, 1000);
      const atMark = [store.headPhys(A), store.regions(A), store.headPhys(B)];
      const mark = machine.mark();
      for (let pass = 0; pass < 2; pass++) {
        dropAll(store, A);
        fillUp(under, A, 0, other);
        write(under, A, other, 5000);
        fillUp(under, B, 0, other);
        machine.rollback(mark);
        expect([store.headPhys(A), store.regions(A), store.headPhys(B)]).toEqual(atMark);
      }
      if (count > 0) expectRead(under, A, count, 1000);
    }),
    { numRuns: 10 },
  );
}
