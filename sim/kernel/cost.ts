/*
 * Price lists. Steps are counted exactly (machine/cpu.ts); a profile turns them into nanoseconds.
 *
 *   icount   instructions of an emulated 7.3.4 guest, one instruction one nanosecond, repeatable. Measured on it and on
 *            7.1.13, without the caller's own instructions:
 *              create        3,148 and 125 for every session there   (117 where the names differ one byte earlier)
 *              refused name  1,297, the taken name being the first
 *              first open      960 a session and 125 for every one before it
 *              retrieve      2,450 and 125 for every session looked at
 *              close           904 to 964 of a retrieved session, its finish within
 *              reboot          134 a session and 127,000 until the next kernel starts; 323 million until its init
 *              memfd         preserve 26,000 and 330 to 460 a page, retrieve 12,700 and 660 to 1,000, finish of an open
 *                            one 1,900: a folio has its price, and every 31, which page cache and LRU take at once
 *            How the sums divide among the kinds of steps is our reading: SOURCES.
 *   dram     the same instructions on a processor that retires four in a nanosecond; a hop in a list that is larger than
 *            the cache waits 90 ns for memory besides (a step of kind miss). An upper bound: no prefetcher helps, and
 *            sessions lie in memory in any order.
 *
 * Neither is a measurement of a real machine: a figure in virtual time is only worth its profile's name.
 */
import type { CostProfile, StepKind } from '../machine/cpu.ts';

const INSTRUCTIONS: Readonly<Record<StepKind, number>> = {
  syscall: 400,
  hop: 125,
  miss: 0,
  lock: 25,
  pageAlloc: 350,
  pageZeroed: 550,
  slabAlloc: 650,
  slabFree: 100,
  fileAlloc: 2_000,
  fileFree: 250,
  treeLevel: 40,
  nameHash: 110,
  entryCopied: 85,
  pageReserved: 250,
  tokenHop: 3,
  memfdPreserve: 19_000,
  memfdRetrieve: 9_300,
  memfdFinish: 1_950,
  fileDeserialized: 235,
  inodeFreed: 1_400,
  folioPinned: 100,
  folioAdded: 645,
  folioBatch: 2_000,
  shutdown: 127_000,
  boot: 323_000_000,
};

/** Where the number of instructions of a step comes from. */
export const SOURCES: Readonly<Record<StepKind, string>> = {
  syscall: 'refused name, less one slabAlloc, locks and the one comparison',
  hop: 'slope of create over sessions there, and of open and retrieve: measured',
  miss: 'what is touched is not cached: an instruction count does not see it, dram charges 90 ns',
  lock: 'assumed: an uncontended lock or unlock',
  pageAlloc: 'assumed',
  pageZeroed: 'assumed: 4096 bytes by rep stosb and its set-up',
  slabAlloc: 'open, a session, less its copied entry and locks: a zeroed object and its set-up',
  slabFree: 'close, with fileFree, less syscall and locks',
  fileAlloc: 'create less refused name: an anonymous inode file and its descriptor',
  fileFree: 'close, with slabFree',
  treeLevel: 'assumed',
  nameHash: 'assumed: jhash over 64 bytes',
  entryCopied: 'slope of the reboot over sessions, less lock and unlock',
  pageReserved: 'assumed',
  tokenHop: 'slope of preserving files one by one over files there: measured',
  memfdPreserve: 'preserve of a one-page memfd, less its folio and the rest: measured',
  memfdRetrieve: 'retrieve of a one-page memfd, less its folio and the rest: measured',
  memfdFinish: 'finish of open memfds: measured',
  fileDeserialized: 'open with 500 files: measured',
  inodeFreed: 'finish of memfds that nobody has open: measured',
  folioPinned: 'slope of preserve over pages: measured',
  folioAdded: 'slope of retrieve over pages: measured',
  folioBatch: 'the same, above 31 pages: measured',
  shutdown: 'reboot of 1,000 and of 2,000 sessions, less the slope: measured',
  boot: 'jump to init, decompression included: measured',
};

const INSTRUCTIONS_PER_NS = 4;
const MISS_NS = 90;

export const ICOUNT: CostProfile = { name: 'icount', nsPerStep: INSTRUCTIONS };

const DRAM_PRICES = Object.entries(INSTRUCTIONS).map(([kind, n]): [string, number] => [
  kind,
  kind === 'miss' ? MISS_NS : Math.round(n / INSTRUCTIONS_PER_NS),
]);

export const DRAM: CostProfile = {
  name: 'dram',
  nsPerStep: Object.fromEntries(DRAM_PRICES) as Record<StepKind, number>,
};

/** The first prices a run unless another is asked for. */
export const PROFILES: readonly CostProfile[] = [ICOUNT, DRAM];

export const PROFILE_NAMES: readonly string[] = PROFILES.map(({ name }) => name);

export const profileByName = (name: string): CostProfile | undefined =>
  PROFILES.find((profile) => profile.name === name);
