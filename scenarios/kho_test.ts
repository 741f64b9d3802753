/*
 * The kernel's test of kexec handover alone (lib/test_kho.c): no session, no device. A module fills folios of random
 * orders with random bytes and preserves them; the next kernel takes them over and compares order and contents. The
 * kernel's test ends there; here every kernel but the last saves anew, for any number of updates.
 */
import type { Action, GenerationProgram, Program } from '../sim/index.ts';

export interface KhoTestParams {
  /** One revision for each generation, the last repeated. */
  readonly revisions: readonly string[];
  readonly generations: number;
}

export default function khoTest({ revisions, generations }: KhoTestParams): Program {
  const last = generations - 1;
  return {
    generations: Array.from({ length: generations }, (_, generation): GenerationProgram => {
      const actions: Action[] = [];
      if (generation > 0) actions.push({ do: 'kho-test', phase: 'restore' });
      if (generation < last) actions.push({ do: 'kho-test', phase: 'save' });
      const stages = [[{ process: 'test_kho', actions }]];
      if (generation < last) stages.push([{ process: 'init', actions: [{ do: 'load' }, { do: 'reboot' }] }]);
      return { revision: revisions[Math.min(generation, revisions.length - 1)] as string, stages };
    }),
  };
}
