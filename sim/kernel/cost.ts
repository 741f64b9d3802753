/*
 * Price lists. Steps are counted exactly (machine/cpu.ts); a profile turns them into nanoseconds.
 *
 *   icount   instructions of an emulated 7.3.4 guest, one instruction one nanosecond: creating a session took about
 *            3,100 plus 125 for every session already there, serializing 135 a session, the way from the jump to the
 *            next init about 323 million. How the 3,100 divide among syscall, locks and allocations is our reading.
 *
 *            Preserving a memfd took about 26,000 and 330 to 460 a page, retrieving 12,700 and 660 to 1,000, finishing one
 *            that is open 1,900: a folio has its price, and every 31 folios, which page cache and LRU lists take at once.
 */
import type { CostProfile } from '../machine/cpu.ts';

export const ICOUNT: CostProfile = {
  name: 'icount',
  nsPerStep: {
    syscall: 1_900,
    hop: 125,
    lock: 25,
    pageAlloc: 350,
    pageZeroed: 550,
    slabAlloc: 300,
    treeLevel: 40,
    entryCopied: 135,
    pageReserved: 250,
    tokenHop: 3,
    memfdPreserve: 19_000,
    memfdRetrieve: 9_300,
    memfdFinish: 1_700,
    fileDeserialized: 235,
    inodeFreed: 1_900,
    folioPinned: 100,
    folioAdded: 645,
    folioBatch: 2_000,
    boot: 323_000_000,
  },
};
