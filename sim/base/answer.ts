/*
 * Operations that agents call by the million and that hardly ever wait. A generator costs its making and a resumption,
 * waiting or not; so such an operation is plain functions, each from one place where it may have to wait to the next,
 * and an object stands for it only while it waits:
 *
 *   insert(task)   if (!rwsem.tryWrite(task)) return after(rwsem.waitWrite(task), this, this.#insertLocked, task);
 *                  return this.#insertLocked(task);
 *
 * What comes after a wait is a method and its arguments, and no closure: a function in which a closure might be made
 * costs an object at every call.
 *
 *   answer   the result, which is a number; or the operation that will come to it
 *
 * What comes after a wait takes the place of what waited: a chain of waits is no deeper than the last.
 */
import type { Op, Point } from './point.ts';

export type Answer = number | Op<number>;

/** Goes on with a method of `self` once `op` has come to its result, which may be the method's last argument. */
export function after<A extends readonly unknown[], T>(
  op: Op<T>,
  self: object | undefined,
  then: ((...args: NoInfer<[...A, T]>) => Answer) | ((...args: NoInfer<A>) => Answer),
  ...args: A
): Op<number> {
  const goOn = (result: unknown): Answer => Reflect.apply(then, self, [...args, result]);
  return new After(op, goOn) as unknown as Op<number>;
}

/** Gives way to others at a point. */
export function* giveWay(point: Point): Op<void> {
  yield point;
}

/** For generators: the result of an answer. */
export function* settle(answer: Answer): Op<number> {
  return typeof answer === 'number' ? answer : yield* answer;
}

const same = (result: unknown): Answer => result as number;

/** A generator as far as anybody asks: resumed by `next` and `yield*`, never thrown into. */
export class After implements Iterator<Point, number, void> {
  #op: Op<unknown>;
  #then: (result: unknown) => Answer;

  constructor(op: Op<unknown>, then: (result: unknown) => Answer) {
    this.#op = op;
    this.#then = then;
  }

  next(): IteratorResult<Point, number> {
    for (;;) {
      const step = this.#op.next();
      if (step.done !== true) return step;
      const answer: unknown = this.#then(step.value);
      if (typeof answer === 'number') return { done: true, value: answer };
      if (answer instanceof After) {
        this.#op = answer.#op;
        this.#then = answer.#then;
      } else {
        this.#op = answer as Op<number>;
        this.#then = same;
      }
    }
  }

  [Symbol.iterator](): this {
    return this;
  }
}
