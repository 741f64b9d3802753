/*
 * The reference model by itself: who was told what, what a second answer means, and what a mark brings back.
 */
import { describe, expect, it } from 'vitest';
import { SessionModel } from '../../sim/check/model.ts';
import type { Order } from '../../sim/check/side.ts';
import { Violations } from '../../sim/check/violation.ts';
import { Journal } from '../../sim/machine/journal.ts';
import { PiecePool } from '../../sim/machine/pool.ts';
import type { Thread } from '../../sim/user/process.ts';

const thread = (process: string, task: number): Thread =>
  ({ process: { name: process }, task: { id: task }, calling: -1 }) as Thread;

/** A call that has not answered. */
function call(model: SessionModel, by: Thread, name: number): void {
  model.began(by);
  by.calling = name;
}

function makeModel(): { model: SessionModel; violations: Violations; journal: Journal } {
  const journal = new Journal();
  const violations = new Violations();
  const model = new SessionModel({ pool: new PiecePool(), journal }, violations, (name) => `s${name}`);
  return { model, violations, journal };
}

const namesOf = (order: Order): number[] =>
  Array.from({ length: order.length }, (_, place) => order.at(place)).filter((name) => name !== -1);

describe('who was told of a session', () => {
  it('is a process and a task in it: threads of one process, and one task id in two', () => {
    const { model } = makeModel();
    const told = [thread('p', 1), thread('p', 2), thread('q', 2), thread('q', 1), thread('p', 1)];
    for (const [name, by] of told.entries()) model.answered(by, 'create', name, 3);
    expect(told.map((_, name) => model.creator(name, 'outgoing'))).toEqual([1, 2, 2, 1, 1]);
    // What p closes is its own, whichever of its tasks asks; q's is not.
    for (const name of [0, 1, 2]) model.answered(thread('p', 9), 'close', name, 0);
    expect(namesOf(model.outgoing)).toEqual([2, 3, 4]);
    model.answered(thread('q', 9), 'exit', -1, 0);
    expect(namesOf(model.outgoing)).toEqual([4]);
  });

  it('is forgotten at a rollback where it was told of after the mark', () => {
    const { model, journal } = makeModel();
    model.answered(thread('p', 1), 'create', 0, 3);
    const mark = journal.mark();
    for (const [process, task] of [
      ['q', 2],
      ['r', 3],
      ['p', 4],
    ] as const) {
      const by = thread(process, task);
      model.answered(by, 'create', 1, 3);
      model.answered(by, 'dup', 1, 4);
      model.answered(by, 'close', 1, 0);
      expect([namesOf(model.outgoing), model.creator(1, 'outgoing')]).toEqual([[0, 1], task]);
      journal.rollback(mark);
      expect([namesOf(model.outgoing), model.created]).toEqual([[0], 1]);
      // The same thread again, now the first that asks.
      model.answered(by, 'create', 2, 3);
      expect([namesOf(model.outgoing), model.creator(2, 'outgoing')]).toEqual([[0, 2], task]);
      journal.rollback(mark);
    }
  });

  it('has the copies that stood at the mark', () => {
    const { model, journal } = makeModel();
    const p = thread('p', 1);
    model.answered(p, 'create', 0, 3);
    model.answered(p, 'dup', 0, 4);
    const mark = journal.mark();
    for (const _ of ['once', 'twice', 'again']) {
      model.answered(p, 'close', 0, 0);
      expect(namesOf(model.outgoing)).toEqual([0]);
      model.answered(p, 'close', 0, 0);
      expect(namesOf(model.outgoing)).toEqual([]);
      journal.rollback(mark);
    }
  });
});

describe('a call that had not answered at the jump', () => {
  it('leaves its session uncertain, and no other does', () => {
    const { model, violations } = makeModel();
    const [p, q] = [thread('p', 1), thread('q', 2)];
    call(model, p, 0);
    p.calling = -1;
    model.answered(p, 'create', 0, 3);
    const refused = thread('p', 3);
    call(model, refused, 2);
    refused.calling = -1;
    model.answered(refused, 'create', 2, -17);
    call(model, q, 5);
    call(model, p, 1);
    model.jumped();
    expect([...model.uncertain]).toEqual([1, 5]);
    const other = thread('r', 9);
    model.answered(other, 'retrieve', 1, -2);
    expect(namesOf(model.incoming)).toEqual([0]);
    model.answered(other, 'retrieve', 5, 3);
    expect(namesOf(model.incoming)).toEqual([0, 5]);
    expect(violations.all).toEqual([]);
    model.jumped();
    expect(model.uncertain.size).toBe(0);
  });
});

describe('a session of the last kernel', () => {
  it('is retrieved once, and by a process that had copies of its namesake as its own', () => {
    const { model, violations } = makeModel();
    const p = thread('p', 1);
    model.answered(p, 'create', 0, 3);
    model.answered(p, 'dup', 0, 4);
    model.jumped();
    model.answered(p, 'retrieve', 0, 3);
    model.answered(p, 'close', 0, 0);
    expect(namesOf(model.incoming)).toEqual([]);
    model.answered(p, 'create', 0, 3);
    model.answered(p, 'close', 0, 0);
    expect(namesOf(model.outgoing)).toEqual([]);
    expect(violations.all).toEqual([]);
  });

  it('is broken to whom it comes a second time', () => {
    const { model, violations } = makeModel();
    model.answered(thread('p', 1), 'create', 0, 3);
    model.jumped();
    for (const by of [thread('p', 1), thread('q', 2)]) model.answered(by, 'retrieve', 0, 3);
    expect(violations.all.map(({ law }) => law)).toEqual(['no-invention']);
  });
});
