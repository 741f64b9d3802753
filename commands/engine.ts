/*
 * What the engine is told before runs that may be long: compile with more inlined. A call of an agent goes through some
 * fifty small functions, and the engine stops at a few of them. A long run takes a fifth less time for it; one of
 * milliseconds would take more, to be compiled. It changes nothing that a run comes to.
 */
import { setFlagsFromString } from 'node:v8';

/** Bytecodes inlined into a function at most; 920 if nothing is said. More than this was no faster, and took memory. */
const INLINED = 4000;

export const expectLongRuns = (): void =>
  setFlagsFromString(`--max-inlined-bytecode-size-cumulative=${INLINED}`);
