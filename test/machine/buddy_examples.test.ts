/*
 * The page allocator by example: which address comes next, which pageblock changes its type, what is reported.
 */
import { expect, test } from 'vitest';
import { SimulatorFault } from '../../sim/base/assert.ts';
import { NO_FRAME } from '../../sim/machine/frames.ts';
import { CMA, MOVABLE, UNMOVABLE } from '../../sim/machine/pageblock.ts';
import { freeBlocks, makeWorld, order, pfn, plainWorld } from './buddy_world.ts';

test('blocks come from the front of what boot handed over, and a freed block first', () => {
  const { buddy, owner } = plainWorld(4096);
  expect(buddy.alloc(order(10), MOVABLE, 0, owner)).toBe(0);
  expect(buddy.alloc(order(0), MOVABLE, 0, owner)).toBe(1024);
  expect(buddy.alloc(order(0), MOVABLE, 0, owner)).toBe(1025);
  expect(buddy.alloc(order(1), MOVABLE, 0, owner)).toBe(1026);
  buddy.free(pfn(0), order(10));
  expect(buddy.alloc(order(10), MOVABLE, 0, owner)).toBe(0);
});

test('a block whose buddy waits for its last page goes to the tail', () => {
  const { buddy, owner } = plainWorld(1024);
  for (let p = 0; p < 8; p++) expect(buddy.alloc(order(0), MOVABLE, 0, owner)).toBe(p);
  // 8..15 is free: once page 5 and 4 are free too, 4..7 would nearly merge on.
  buddy.free(pfn(6), order(0));
  buddy.free(pfn(7), order(0));
  buddy.free(pfn(0), order(0));
  buddy.free(pfn(4), order(0));
  expect(buddy.alloc(order(0), MOVABLE, 0, owner)).toBe(0);
  expect(buddy.alloc(order(0), MOVABLE, 0, owner)).toBe(4);
});

test('the first unmovable block converts the largest movable one', () => {
  const { buddy, owner } = plainWorld(4096);
  expect(buddy.alloc(order(0), UNMOVABLE, 0, owner)).toBe(0);
  expect([0, 512, 1024].map((p) => buddy.typeOf(pfn(p)))).toEqual([UNMOVABLE, UNMOVABLE, MOVABLE]);
});

test('movable memory comes from CMA while over half of what is free is CMA', () => {
  const world = makeWorld({ frames: 4096, boundaries: [], cma: [[0, 6]] });
  const { buddy, owner } = world;
  buddy.freeRange(pfn(0), pfn(4096));
  // 3072 of 4096 free pages are CMA; at 1024 of 2048 they no longer are over half.
  expect(buddy.alloc(order(10), MOVABLE, 0, owner)).toBe(0);
  expect(buddy.alloc(order(10), MOVABLE, 0, owner)).toBe(1024);
  expect(buddy.alloc(order(10), MOVABLE, 0, owner)).toBe(3072);
  expect(buddy.alloc(order(10), UNMOVABLE, 0, owner)).toBe(NO_FRAME);
  expect(buddy.alloc(order(10), MOVABLE, 0, owner)).toBe(2048);
  expect(buddy.largestFree(CMA)).toBe(-1);
});

test('an adopted block is freed like any other and merges with what lies around it', () => {
  const { buddy, frames, owner } = makeWorld({ frames: 4096, boundaries: [], cma: [] });
  frames.setStamp(pfn(1032), 3);
  buddy.freeRange(pfn(0), pfn(1032));
  buddy.freeRange(pfn(1040), pfn(4096));
  expect(buddy.useOf(pfn(1035))).toBe('reserved');
  expect(buddy.adopt(pfn(1032), order(3), owner)).toBe(true);
  expect(frames.stampOrder(pfn(1032))).toBe(-1);
  buddy.split(pfn(1032), order(3));
  for (let p = 1032; p < 1040; p++) expect(buddy.put(pfn(p))).toBe(0);
  expect(freeBlocks(buddy).map((b) => b.order)).toEqual([10, 10, 10, 10]);
});

test('the last reference frees', () => {
  const { buddy, frames, owner } = plainWorld(1024);
  const at = buddy.alloc(order(2), UNMOVABLE, 0, owner);
  frames.setRefcount(at, 2);
  expect(buddy.put(at)).toBe(1);
  expect(buddy.useOf(at)).toBe('allocated');
  expect(buddy.put(at)).toBe(0);
  expect(buddy.nrFree).toBe(1024);
  frames.setRefcount(buddy.alloc(order(2), UNMOVABLE, 0, owner), 0);
  const bad: string[] = [];
  buddy.onBadFree = (what) => bad.push(what);
  expect(buddy.put(at)).toBe(-1);
  expect(bad).toEqual(['no reference']);
  expect(buddy.useOf(at)).toBe('allocated');
});

test('a block across two nodes is given back to both', () => {
  const { buddy, owner } = makeWorld({ frames: 4096, boundaries: [1500], cma: [] });
  expect(buddy.adopt(pfn(1024), order(10), owner)).toBe(true);
  expect(buddy.free(pfn(1024), order(10))).toBe(true);
  expect([0, 1].map((node) => buddy.freePages(node, MOVABLE))).toEqual([476, 548]);
});

test('memory is handed over once', () => {
  const { buddy } = plainWorld(4096);
  expect(() => buddy.freeRange(pfn(1024), pfn(2048))).toThrow(SimulatorFault);
  const { buddy: other } = makeWorld({ frames: 4096, boundaries: [], cma: [] });
  other.freeRange(pfn(4), pfn(6));
  expect(() => other.freeRange(pfn(5), pfn(7))).toThrow(SimulatorFault);
  expect(() => other.freeRange(pfn(3), pfn(5))).toThrow(SimulatorFault);
  expect(() => buddy.setPageblocks(pfn(0), pfn(512), CMA)).toThrow(SimulatorFault);
});
