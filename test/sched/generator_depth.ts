/*
 * How many generators, and operations of answer.ts, stand on each other when a task yields. A chain of `yield*` hands the innermost result object
 * through unchanged, so with every generator's `next` wrapped, the depth of the call that first returned an object is
 * the depth of the yield. Normal runs pay nothing: the wrapper stands only while `body` runs.
 */
import { After } from '../../sim/base/answer.ts';

interface Resumable {
  next(...args: unknown[]): IteratorResult<unknown, unknown>;
}

const GENERATOR_PROTOTYPE = Object.getPrototypeOf(
  Object.getPrototypeOf((function* () {})()) as object,
) as Resumable;

/** The deepest chain of generators at a yield that reached whoever resumed the outermost one. */
export function deepestYield(body: () => void): number {
  const prototypes = [GENERATOR_PROTOTYPE, After.prototype as Resumable];
  const originals = prototypes.map(({ next }) => next);
  let depth = 0;
  let deepest = 0;
  let lastStep: unknown;
  let lastDepth = 0;
  for (const [i, prototype] of prototypes.entries()) {
    prototype.next = function next(this: Resumable, ...args) {
      depth++;
      try {
        const step = (originals[i] as Resumable['next']).apply(this, args as []);
        if (step.done !== true) {
          if (step !== lastStep) lastDepth = depth;
          lastStep = step;
          if (depth === 1) deepest = Math.max(deepest, lastDepth);
        }
        return step;
      } finally {
        depth--;
      }
    };
  }
  try {
    body();
  } finally {
    for (const [i, prototype] of prototypes.entries()) prototype.next = originals[i] as Resumable['next'];
  }
  return deepest;
}
