/*
 * Ranks against an array that is counted through: how many listed elements stand in front of a position, whatever was
 * appended, removed, forgotten and rolled back.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ListRank } from '../../sim/luo/list_rank.ts';
import { runs } from '../support/seed.ts';
import { bareKernel } from '../support/system.ts';

/** Many at a time: a group has 1024 positions, and several groups must come and go. */
const step = fc.record({
  what: fc.constantFrom('append', 'append', 'remove', 'remove', 'reset', 'mark', 'rollback'),
  n: fc.integer({ min: 1, max: 2500 }),
  at: fc.nat(),
});

interface Model {
  readonly positions: number[];
  next: number;
}

/** A few places and both ends, counted through. */
function expectRanks(rank: ListRank, { positions, next }: Model, at: number): void {
  for (const place of [0, 1, at, at + 1023, at + 1024, positions.length - 1]) {
    const i = place % Math.max(positions.length, 1);
    const position = positions[i];
    if (position !== undefined && rank.rank(position) !== i) {
      expect.fail(`position ${position} has rank ${rank.rank(position)}, not ${i}`);
    }
  }
  expect(rank.sparse).toBe(next > 8192 && next > 4 * positions.length);
}

it('the rank of a position is the number of listed ones in front of it', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const { storage } = bareKernel();
      const rank = new ListRank(storage, 'test');
      let model: Model = { positions: [], next: 0 };
      const marks: [ReturnType<typeof storage.journal.mark>, Model][] = [];
      for (const { what, n, at } of steps) {
        const { positions } = model;
        if (what === 'append') {
          for (let i = 0; i < n; i++) {
            expect(rank.append()).toBe(model.next);
            positions.push(model.next++);
          }
        } else if (what === 'remove') {
          // A run of them, so that whole groups empty.
          const from = at % Math.max(positions.length, 1);
          for (const position of positions.splice(from, n)) rank.remove(position);
        } else if (what === 'reset') {
          // As a list renumbers: all that are left come back, from 0 on.
          rank.reset();
          model = { positions: positions.map(() => rank.append()), next: positions.length };
          expect(model.positions).toEqual(positions.map((_, i) => i));
        } else if (what === 'mark' && marks.length < 2) {
          marks.push([storage.journal.mark(), { positions: positions.slice(), next: model.next }]);
        } else if (what === 'rollback' && marks.length > 0) {
          const [mark, then] = marks.at(-1) as (typeof marks)[number];
          storage.journal.rollback(mark);
          model = { positions: then.positions.slice(), next: then.next };
        }
        expectRanks(rank, model, at);
      }
    }),
    { numRuns: runs(20) },
  );
});
