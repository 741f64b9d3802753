import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Decisions, type Departure } from '../../sim/base/decisions.ts';
import { definePoint, type Point } from '../../sim/base/point.ts';

const POINTS = ['a', 'b', 'c'].map((what) => definePoint('test_decisions', what));
const FAULTS = ['x', 'y'].map((what) => definePoint('test_decisions', what, 'fault'));
const [A] = POINTS as [Point];
const [X] = FAULTS as [Point];

interface Question {
  readonly fault: boolean;
  readonly which: number;
  readonly n: number;
}

const ask = (decisions: Decisions, { fault, which, n }: Question): number => {
  return fault
    ? Number(decisions.fails(FAULTS[which % FAULTS.length] as Point))
    : decisions.choose(POINTS[which % POINTS.length] as Point, n);
};

const questions = fc.array(
  fc.record({ fault: fc.boolean(), which: fc.nat(5), n: fc.integer({ min: 1, max: 4 }) }),
  { maxLength: 60 },
);
const faults = [
  { point: 'test_decisions:x', probability: 0.3 },
  { point: 'test_decisions:y', nth: 2 },
];

const departure = (point: string, occurrence: number, choice: number): Departure => ({
  point: `test_decisions:${point}`,
  occurrence,
  choice,
});

describe('a recording', () => {
  it('of a seeded run answers as the seed did, and records itself', () => {
    fc.assert(
      fc.property(questions, fc.string(), (all, seed) => {
        const first = Decisions.seeded(seed, faults);
        const answers = all.map((question) => ask(first, question));
        const second = Decisions.replay(first.departures);
        expect(all.map((question) => ask(second, question))).toEqual(answers);
        expect(second.departures).toEqual(first.departures);
        expect(second.misfits()).toEqual([]);
      }),
    );
  });

  it('does not mind questions at points that it does not name', () => {
    const extra = definePoint('test_decisions', 'extra');
    fc.assert(
      fc.property(questions, fc.string(), fc.array(fc.nat(60)), (all, seed, places) => {
        const first = Decisions.seeded(seed, faults);
        const answers = all.map((question) => ask(first, question));
        const second = Decisions.replay(first.departures);
        const answered = all.map((question, i) => {
          for (const place of places) if (place === i) expect(second.choose(extra, 3)).toBe(0);
          return ask(second, question);
        });
        expect(answered).toEqual(answers);
        expect(second.misfits()).toEqual([]);
      }),
    );
  });

  it('reaches points that are declared after it was read', () => {
    const decisions = Decisions.replay([departure('late', 1, 2), departure('late fault', 0, 1)]);
    const armed = Decisions.seeded('s');
    const late = definePoint('test_decisions', 'late');
    const lateFault = definePoint('test_decisions', 'late fault', 'fault');
    expect([decisions.choose(late, 3), decisions.choose(late, 3)]).toEqual([0, 2]);
    expect([decisions.fails(lateFault), decisions.fails(lateFault)]).toEqual([true, false]);
    expect(decisions.misfits()).toEqual([]);
    expect(armed.fails(lateFault)).toBe(false);
    expect(armed.choose(late, 2)).toBeLessThan(2);
  });
});

describe('what of a recording does not fit', () => {
  it('is a point that there is not', () => {
    const gone = departure('gone', 0, 1);
    const decisions = Decisions.replay([departure('a', 0, 1), gone]);
    expect(decisions.choose(A, 2)).toBe(1);
    expect(decisions.misfits()).toEqual([{ index: 1, departure: gone, why: 'no such point', count: 0 }]);
  });

  it('is a choice that there is not, and the default is taken', () => {
    const decisions = Decisions.replay([departure('a', 1, 3), departure('x', 0, 2)]);
    expect([decisions.choose(A, 4), decisions.choose(A, 3), decisions.fails(X)]).toEqual([0, 0, false]);
    expect(decisions.departures).toEqual([]);
    expect(decisions.misfits()).toMatchObject([
      { index: 0, why: 'no such choice', count: 3 },
      { index: 1, why: 'no such choice', count: 2 },
    ]);
  });

  it('is an occurrence that was not reached; a question with one answer is none', () => {
    const decisions = Decisions.replay([departure('a', 2, 1), departure('x', 1, 1)]);
    for (const n of [2, 1, 1, 2]) decisions.choose(A, n);
    expect(decisions.misfits()).toMatchObject([
      { index: 0, why: 'not reached', count: 2 },
      { index: 1, why: 'not reached', count: 0 },
    ]);
    decisions.choose(A, 2);
    expect(decisions.misfits()).toMatchObject([{ index: 1, why: 'not reached', count: 0 }]);
  });

  it('is said in the order of the recording', () => {
    const points = ['b', 'gone', 'a', 'gone again'];
    const decisions = Decisions.replay(points.map((point) => departure(point, 0, 1)));
    expect(decisions.misfits().map(({ index }) => index)).toEqual([0, 1, 2, 3]);
  });
});
