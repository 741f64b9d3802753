/*
 * Answers: a chain of waits stands where it waits, ends with the last result, and is no deeper than one wait.
 */
import { expect, test } from 'vitest';
import { type Answer, after, giveWay, settle } from '../../sim/base/answer.ts';
import { definePoint, type Op, type Point } from '../../sim/base/point.ts';
import { deepestYield } from '../sched/generator_depth.ts';

const HERE = definePoint('answer_test', 'here');
const THERE = definePoint('answer_test', 'there');

/** Waits `n` times in a row, here and there by turns, and comes to how often. */
function waits(n: number, done = 0): Answer {
  if (done === n) return done;
  return after(giveWay(done % 2 === 0 ? HERE : THERE), undefined, waits, n, done + 1);
}

function ran(op: Op<number>): { points: Point[]; result: number } {
  const points: Point[] = [];
  for (;;) {
    const step = op.next();
    if (step.done === true) return { points, result: step.value };
    points.push(step.value);
  }
}

test('what need not wait is its result', () => {
  expect([waits(0), ran(settle(5))]).toEqual([0, { points: [], result: 5 }]);
  expect(ran(settle(waits(2)))).toEqual({ points: [HERE, THERE], result: 2 });
});

test('a chain waits in order, however long, and is one operation and one wait deep', () => {
  for (const n of [1, 2, 9]) {
    const points = Array.from({ length: n }, (_, i) => (i % 2 === 0 ? HERE : THERE));
    const scale = {
      by: 10,
      times(result: number): number {
        return result * this.by;
      },
    };
    expect(ran(after(waits(n) as Op<number>, scale, scale.times))).toEqual({ points, result: n * 10 });
    const inGenerator = function* (): Op<number> {
      return (yield* waits(n) as Op<number>) + 1;
    };
    expect(ran(inGenerator())).toEqual({ points, result: n + 1 });
    expect(deepestYield(() => void ran(waits(n) as Op<number>))).toBe(2);
  }
});

test('what comes after a wait may be a generator, and its result is the last', () => {
  const slowly = function* (n: number): Op<number> {
    yield THERE;
    return n * 10;
  };
  const once = (n: number): Answer => (n < 10 ? slowly(n) : -1);
  const points = [HERE, THERE, THERE];
  expect(ran(after(waits(2) as Op<number>, undefined, once))).toEqual({ points, result: 20 });
});

test('what is thrown behind a wait passes through', () => {
  const op = after(giveWay(HERE), undefined, () => {
    throw new RangeError('behind');
  });
  expect(op.next()).toEqual({ done: false, value: HERE });
  expect(() => op.next()).toThrow(RangeError);
});
