/* The counter that holds the house to five generators at a yield must itself count right. */
import { expect, test } from 'vitest';
import { definePoint, type Op } from '../../sim/base/point.ts';
import { deepestYield } from './generator_depth.ts';
import { makeWorld } from './world.ts';

const HERE = definePoint('test_depth', 'here');

function* nested(depth: number): Op<void> {
  if (depth > 1) yield* nested(depth - 1);
  else yield HERE;
}

const run = (body: () => Op<void>): number =>
  deepestYield(() => {
    const { sched } = makeWorld();
    sched.spawn('a', body);
    expect(sched.run()).toEqual({ reason: 'idle' });
  });

test.each([1, 2, 5, 9])('%i generators on each other', (depth) => {
  expect(run(() => nested(depth))).toBe(depth);
});

test('the deepest yield counts, not the deepest call or the last yield', () => {
  expect(
    run(function* () {
      yield HERE;
      yield* nested(3);
      yield* silent(6);
      yield HERE;
    }),
  ).toBe(4);
});

test('generators that are only iterated do not count', () => {
  expect(
    run(function* () {
      for (const n of [1, 2].values()) for (const _ of numbers(n)) yield HERE;
    }),
  ).toBe(1);
});

test('afterwards generators are as before', () => {
  const { next } = nested(1);
  expect(() =>
    deepestYield(() => {
      throw new Error('x');
    }),
  ).toThrow('x');
  expect(nested(1).next).toBe(next);
});

function* silent(depth: number): Op<void> {
  if (depth > 1) yield* silent(depth - 1);
}

function* numbers(n: number): Generator<number, void, void> {
  for (let i = 0; i < n; i++) yield i;
}
