/*
 * Spans of untouched memory against a set of blocks.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SimulatorFault } from '../../sim/base/assert.ts';
import { Journal } from '../../sim/machine/journal.ts';
import { PiecePool } from '../../sim/machine/pool.ts';
import { FreeSpans, MAX_BLOCK_PAGES } from '../../sim/machine/spans.ts';
import { pfn } from './buddy_world.ts';

const BLOCKS = 40;
const at = (block: number) => pfn(block * MAX_BLOCK_PAGES);

const step = fc.tuple(
  fc.constantFrom('add', 'add', 'take', 'mark', 'rollback'),
  fc.nat(1),
  fc.nat(BLOCKS - 1),
  fc.nat(6),
);

/** Runs of consecutive blocks. */
function runs(blocks: ReadonlySet<number>): [number, number][] {
  const found: [number, number][] = [];
  for (let b = 0; b <= BLOCKS; b++) {
    if (!blocks.has(b)) continue;
    const last = found.at(-1);
    if (last !== undefined && last[1] === b) last[1] = b + 1;
    else found.push([b, b + 1]);
  }
  return found;
}

test('spans are the runs of the blocks that are in them', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const journal = new Journal();
      const spans = new FreeSpans({ pool: new PiecePool(), journal });
      let model = [new Set<number>(), new Set<number>()] as const;
      let marked: { mark: ReturnType<Journal['mark']>; model: typeof model } | undefined;
      for (const [what, type, start, length] of steps) {
        const mine = model[type] as Set<number>;
        if (what === 'add') {
          const wanted = Array.from({ length: Math.min(length + 1, BLOCKS - start) }, (_, i) => start + i);
          const add = (): void => spans.add(type, at(start), at(start + wanted.length));
          if (wanted.some((b) => mine.has(b))) {
            expect(add).toThrow(SimulatorFault);
          } else {
            add();
            for (const b of wanted) mine.add(b);
          }
        } else if (what === 'take' && mine.size > 0) {
          const lowest = Math.min(...mine);
          expect(spans.takeFirst(type)).toBe(at(lowest));
          mine.delete(lowest);
        } else if (what === 'mark') {
          marked = { mark: journal.mark(), model: [new Set(model[0]), new Set(model[1])] };
        } else if (what === 'rollback' && marked !== undefined) {
          journal.rollback(marked.mark);
          model = [new Set(marked.model[0]), new Set(marked.model[1])];
        }
        for (const t of [0, 1]) {
          const blocks = model[t] as Set<number>;
          const seen = [...spans.of(t)].map((s) => [s.start / MAX_BLOCK_PAGES, s.end / MAX_BLOCK_PAGES]);
          expect(seen).toEqual(runs(blocks));
          const overlaps = blocks.has(start) || (length > 3 && blocks.has(start + 1));
          const end = length > 3 ? pfn(at(start + 1) + 5) : pfn(at(start) + 9);
          expect(spans.overlaps(t, pfn(at(start) + 7), end)).toBe(overlaps);
        }
      }
    }),
    { numRuns: 60 },
  );
});
