/*
 * Price lists. Steps are counted exactly (machine/cpu.ts); a profile turns them into nanoseconds.
 *
 *   icount   instructions of an emulated 7.3.4 guest, one instruction one nanosecond: creating a session took about
 *            3,100 plus 125 for every session already there, serializing 135 a session, the way from the jump to the
 *            next init about 323 million. How the 3,100 divide among syscall, locks and allocations is our reading.
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
    memfdPreserve: 17_000,
    memfdRetrieve: 8_000,
    memfdFinish: 2_800,
    folioPinned: 100,
    folioAdded: 600,
    folioBatch: 2_450,
    boot: 323_000_000,
  },
};
