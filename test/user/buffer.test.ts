/*
 * Buffers of arguments: what is copied from one to another is all of it, however little of it is filled.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ArgumentBuffer } from '../../sim/user/buffer.ts';

const WORDS = 18;
const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const place = fc.nat(WORDS - 1);
const which = fc.boolean();

type Step = (buffers: readonly ArgumentBuffer[], plain: readonly Int32Array[]) => void;

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(which, place, word).map(
    ([b, k, value]): Step =>
      (buffers, plain) => {
        (buffers[+b] as ArgumentBuffer).set(k, value);
        (plain[+b] as Int32Array)[k] = value;
      },
  ),
  fc.tuple(which, place, word).map(
    ([b, k, value]): Step =>
      (buffers, plain) => {
        (buffers[+b] as ArgumentBuffer).words[k] = value;
        (plain[+b] as Int32Array)[k] = value;
      },
  ),
  which.map(
    (b): Step =>
      (buffers, plain) => {
        (buffers[+b] as ArgumentBuffer).clear();
        (plain[+b] as Int32Array).fill(0);
      },
  ),
  fc.tuple(which, fc.nat(WORDS)).map(
    ([b, n]): Step =>
      (buffers, plain) => {
        (buffers[+b] as ArgumentBuffer).take(buffers[+!b] as ArgumentBuffer, n);
        (plain[+b] as Int32Array).set((plain[+!b] as Int32Array).subarray(0, n));
      },
  ),
);

describe('laws', () => {
  test('two buffers hold what arrays hold that are written and copied whole', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const buffers = [new ArgumentBuffer(WORDS), new ArgumentBuffer(WORDS)];
        const plain = [new Int32Array(WORDS), new Int32Array(WORDS)];
        for (const take of steps) {
          take(buffers, plain);
          expect(buffers.map(({ content }) => [...content])).toEqual(plain.map((words) => [...words]));
        }
      }),
      { numRuns: 300 },
    );
  });
});
