/*
 * How a kernel of a scenario ends: somebody loads the next image, and boots it. And whose revision it is.
 */
import type { TaskProgram } from '../sim/index.ts';

/** The stage of init, after which no other runs. */
export const LEAVE: readonly TaskProgram[] = [
  { process: 'init', actions: [{ do: 'load' }, { do: 'reboot' }] },
];

/** One revision for each generation, the last repeated. */
export const revisionOf = (revisions: readonly string[], generation: number): string =>
  revisions[Math.min(generation, revisions.length - 1)] as string;
