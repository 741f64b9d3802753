/*
 * How many generators stand on each other when a task yields. A chain of `yield*` hands the innermost result object
 * through unchanged, so with every generator's `next` wrapped, the depth of the call that first returned an object is
 * the depth of the yield. Normal runs pay nothing: the wrapper stands only while `body` runs.
 */

interface Resumable {
  next(...args: unknown[]): IteratorResult<unknown, unknown>;
}

const GENERATOR_PROTOTYPE = Object.getPrototypeOf(
  Object.getPrototypeOf((function* () {})()) as object,
) as Resumable;

/** The deepest chain of generators at a yield that reached whoever resumed the outermost one. */
export function deepestYield(body: () => void): number {
  const original = GENERATOR_PROTOTYPE.next;
  let depth = 0;
  let deepest = 0;
  let lastStep: unknown;
  let lastDepth = 0;
  GENERATOR_PROTOTYPE.next = function next(this: Resumable, ...args) {
    depth++;
    try {
      const step = original.apply(this, args as []);
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
  try {
    body();
  } finally {
    GENERATOR_PROTOTYPE.next = original;
  }
  return deepest;
}
