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

const append = (rank: ListRank, n: number): void => {
  for (; n > 0; n--) rank.append();
};

it('a hole far behind the others counts, and none once it is rolled back', () => {
  const { storage } = bareKernel();
  const rank = new ListRank(storage, 'test');
  append(rank, 70_000);
  rank.remove(5);
  const mark = storage.journal.mark();
  for (const far of [69_000, 20_000, 69_000]) {
    rank.remove(far);
    expect([6, far - 1, far + 1, 69_999].map((position) => rank.rank(position))).toEqual([
      5,
      far - 2,
      far - 1,
      69_997,
    ]);
    storage.journal.rollback(mark);
    expect([6, far, 69_999].map((position) => rank.rank(position))).toEqual([5, far - 1, 69_998]);
  }
});

it('a list is sparse from position 8,193 on, and with more than three of four positions empty', () => {
  const rank = new ListRank(bareKernel().storage, 'test');
  for (const _ of ['at first', 'after a reset']) {
    const sparse: boolean[] = [];
    append(rank, 8192);
    for (let position = 0; position < 8192 - 2048; position++) rank.remove(position);
    rank.remove(8191);
    sparse.push(rank.sparse);
    append(rank, 1);
    sparse.push(rank.sparse);
    append(rank, 1);
    rank.remove(8190);
    sparse.push(rank.sparse);
    append(rank, 2);
    sparse.push(rank.sparse);
    rank.remove(8189);
    sparse.push(rank.sparse);
    rank.remove(8188);
    sparse.push(rank.sparse);
    expect(sparse).toEqual([false, true, true, false, false, true]);
    rank.reset();
  }
});
