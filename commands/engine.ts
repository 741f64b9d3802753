/*
 * What the engine is told before many calls: compile with more inlined. A call of an agent goes through some fifty small
 * functions, and the engine stops at a few of them. Calls take a third less time for it, once it has compiled, which
 * takes seconds. It changes nothing that a run comes to.
 */
import { setFlagsFromString } from 'node:v8';

/** Calls from which on they win back what compiling took: 4,000,000 sessions created, retrieved, finished and closed. */
const MANY = 16_000_000;
/** Bytecodes inlined into a function at most; 920 if nothing is said. More than this was no faster, and took memory. */
const INLINED = 4000;
/**
 * How often a call is made, for each call of the function that it stands in, to be inlined; 0.15 if nothing is said.
 * What is seldom called costs little where it stands, but behind a call the engine looks again at the class of all.
 */
const SELDOM = 0.001;

/** So many calls of agents are to come in this process. */
export function expectCalls(calls: number): void {
  if (calls < MANY) return;
  setFlagsFromString(`--max-inlined-bytecode-size-cumulative=${INLINED}`);
  setFlagsFromString(`--min-inlining-frequency=${SELDOM}`);
}
