/*
 * A side of the model against an array: names that count up and names that do not, gone and come again, marks.
 */
import { describe, expect, it } from 'vitest';
import { RandomStream } from '../../sim/base/random.ts';
import { ABSENT, actorOf, LISTED, RETRIEVED, Side, stateOf } from '../../sim/check/side.ts';
import { Journal } from '../../sim/machine/journal.ts';
import { PiecePool } from '../../sim/machine/pool.ts';

interface Told {
  readonly name: number;
  readonly state: number;
  readonly actor: number;
}

/** Names by place; undefined where they have gone. */
type Naive = (Told | undefined)[];

const NAMES = 40_000;

function step(side: Side, naive: Naive, random: RandomStream): Naive {
  const there = naive.flatMap((told, place) => (told === undefined ? [] : [place]));
  const what = random.below(20);
  const actor = random.below(3) === 0 ? random.below(1000) : random.below(5);
  if (what === 0) {
    side.clear();
    return [];
  }
  if (what < 9 || there.length === 0) {
    const taken = new Set(there.map((place) => naive[place]?.name));
    const first = random.below(3) === 0 ? (naive.at(-1)?.name ?? 16_380) + 1 : random.below(NAMES);
    const added = Array.from({ length: 1 + random.below(9) }, (_, i) => first + i);
    const fresh = added.filter((name) => !taken.has(name));
    for (const name of fresh) side.add(name, actor);
    return [...naive, ...fresh.map((name) => ({ name, state: LISTED, actor }))];
  }
  const place = there[random.below(there.length)] as number;
  const { name } = naive[place] as Told;
  const state = what < 13 ? RETRIEVED : ABSENT;
  side.setState(name, state, actor);
  return naive.with(place, state === ABSENT ? undefined : { name, state, actor });
}

function expectSame(side: Side, naive: Naive): void {
  const places = naive.map((_, place) => place);
  const names = naive.map((told) => told?.name ?? -1);
  expect([side.length, side.count]).toEqual([naive.length, names.filter((name) => name !== -1).length]);
  expect(places.map((place) => side.at(place))).toEqual(names);
  expect(places.toReversed().map((place) => side.at(place))).toEqual(names.toReversed());
  for (const told of naive) {
    if (told === undefined) continue;
    const entry = side.entry(told.name);
    expect([stateOf(entry), actorOf(entry)]).toEqual([told.state, told.actor]);
  }
}

describe('a side of the model is an array of who was told what', () => {
  it.each([1, 2, 3, 4, 5, 6])('through additions, departures and marks (seed %i)', (seed) => {
    const random = new RandomStream(`side/${seed}`);
    const journal = new Journal();
    const side = new Side({ pool: new PiecePool(), journal }, 'side');
    let naive: Naive = [];
    for (let round = 0; round < 60; round++) {
      for (let i = 0; i < 3; i++) naive = step(side, naive, random);
      expectSame(side, naive);
      const mark = journal.mark();
      let other = naive;
      for (let i = 0; i < 6; i++) other = step(side, other, random);
      expectSame(side, other);
      journal.rollback(mark);
      journal.forget();
      expectSame(side, naive);
    }
    side.clear();
    for (let name = 0; name < NAMES; name += 7) expect(side.entry(name)).toBe(0);
  });
});
