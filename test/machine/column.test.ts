/*
 * Columns against a map of words, journalled and not; pieces that go back to the pool are zero.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SimulatorFault } from '../../sim/base/assert.ts';
import { Column, type Storage } from '../../sim/machine/column.ts';
import { Journal, type Mark } from '../../sim/machine/journal.ts';
import { PIECE_WORDS, PiecePool, ZERO_PIECE } from '../../sim/machine/pool.ts';

const WORDS = 2 ** 31;

/** Indices where pieces and directories begin and end, and some in between. */
const index = fc.oneof(
  fc.nat(40),
  fc.nat(40).map((n) => PIECE_WORDS - 20 + n),
  fc.nat(40).map((n) => 2 ** 24 - 20 + n),
  fc.nat(40).map((n) => 2 ** 30 - 20 + n),
  fc.nat(40).map((n) => WORDS - 1 - n),
);
const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });

type Step =
  | { kind: 'set'; at: number; word: number }
  | { kind: 'run'; at: number; words: number[] }
  | { kind: 'open'; at: number; words: number[] }
  | { kind: 'fill'; at: number; n: number; word: number }
  | { kind: 'mark' }
  | { kind: 'rollback'; which: number };

const words = fc.array(word, { minLength: 1, maxLength: 12 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('set' as const), at: index, word }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('run' as const), at: index, words }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('open' as const), at: index, words }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('fill' as const),
      at: index,
      n: fc.integer({ min: 1, max: 30 }),
      word,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('mark' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('rollback' as const), which: fc.nat(5) }) },
);

const storage = (): Storage => ({ pool: new PiecePool(), journal: new Journal() });
const room = (at: number): number => PIECE_WORDS - (at % PIECE_WORDS);

/** Takes as many pieces as were ever out and looks whether one is not zero. */
function poolIsZero(pool: PiecePool, pieces: number): boolean {
  for (let n = 0; n < pieces; n++) {
    if (pool.take().some((w) => w !== 0)) return false;
  }
  return true;
}

test('a word is replaced where it is what it should be, and only there', () => {
  for (const marked of [false, true]) {
    const store = storage();
    const column = new Column(store, 'column', WORDS);
    const mark = marked ? store.journal.mark() : undefined;
    expect([column.replace(7, 1, 2), column.get(7)]).toEqual([false, 0]);
    expect([column.replace(7, 0, 2), column.get(7)]).toEqual([true, 2]);
    expect([column.replace(7, 0, 3), column.get(7)]).toEqual([false, 2]);
    expect([column.replace(7, 2, 3), column.get(7), column.get(8)]).toEqual([true, 3, 0]);
    if (mark !== undefined) store.journal.rollback(mark);
    expect(column.get(7)).toBe(marked ? 0 : 3);
  }
});

describe('laws', () => {
  test('a column is a map of words, and a rollback restores it', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60, size: 'max' }),
        fc.array(index, { maxLength: 10 }),
        (steps, probes) => {
          const store = storage();
          const column = new Column(store, 'column', WORDS);
          let model = new Map<number, number>();
          const marks: { mark: Mark; model: Map<number, number> }[] = [];
          const seen = new Set(probes);
          for (const s of steps) {
            if (s.kind === 'mark') {
              marks.push({ mark: store.journal.mark(), model: new Map(model) });
            } else if (s.kind === 'rollback') {
              const to = marks[s.which % (marks.length || 1)];
              if (to === undefined) continue;
              store.journal.rollback(to.mark);
              marks.length = to.mark.depth;
              model = new Map(to.model);
            } else if (s.kind === 'set') {
              column.set(s.at, s.word);
              model.set(s.at, s.word);
              seen.add(s.at);
            } else if (s.kind === 'fill') {
              const n = Math.min(s.n, WORDS - s.at);
              column.fill(s.at, n, s.word);
              for (let at = s.at; at < s.at + n; at++) {
                model.set(at, s.word);
                seen.add(at);
              }
            } else {
              const n = Math.min(s.words.length, room(s.at));
              const source = Int32Array.from([7, ...s.words]);
              if (s.kind === 'run') column.setRun(s.at, source, 1, n);
              else column.open(s.at, n).set(source.subarray(1, 1 + n), s.at % PIECE_WORDS);
              for (let k = 0; k < n; k++) {
                model.set(s.at + k, s.words[k] as number);
                seen.add(s.at + k);
              }
            }
            const wrong = [...seen].filter((at) => {
              const expected = model.get(at) ?? 0;
              return column.get(at) !== expected || column.piece(at)[at % PIECE_WORDS] !== expected;
            });
            expect(wrong).toEqual([]);
          }
          const out = store.pool.taken;
          column.dispose();
          expect(store.pool.taken).toBe(0);
          expect(poolIsZero(store.pool, out)).toBe(true);
          expect(ZERO_PIECE.every((w) => w === 0)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('reading takes no memory', () => {
    fc.assert(
      fc.property(fc.array(index), (indices) => {
        const store = storage();
        const column = new Column(store, 'column', WORDS);
        for (const at of indices) {
          expect(column.get(at)).toBe(0);
          expect(column.piece(at)).toBe(ZERO_PIECE);
        }
        expect(store.pool.taken).toBe(0);
      }),
      { numRuns: 30 },
    );
  });
});

test('a run that crosses a piece is refused', () => {
  const column = new Column(storage(), 'column', WORDS);
  const source = new Int32Array(8);
  expect(() => column.setRun(PIECE_WORDS - 4, source, 0, 5)).toThrow(SimulatorFault);
  column.setRun(PIECE_WORDS - 4, source, 0, 4);
});

test('columns are listed where their owner asked for it', () => {
  const columns: Column[] = [];
  const column = new Column({ ...storage(), columns }, 'column', 10);
  expect(columns).toEqual([column]);
});
