import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Decisions } from '../../sim/base/decisions.ts';
import type { RunResult } from '../../sim/explore/result.ts';
import { run } from '../../sim/explore/run.ts';
import type { RunInput } from '../../sim/explore/run_input.ts';
import { ICOUNT } from '../../sim/kernel/cost.ts';
import { Machine } from '../../sim/machine/machine.ts';
import { PiecePool } from '../../sim/machine/pool.ts';
import { inputs } from '../support/inputs.ts';

const pool = new PiecePool();

function runWith({ machine, seed, program }: RunInput, decisions: Decisions): RunResult {
  const on = new Machine(machine, ICOUNT, pool, decisions);
  const result = run({ machine: on, seed, decisions, program });
  on.dispose();
  return result;
}

describe('a recording', () => {
  it('replays the run it was made of', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const first = runWith(input, Decisions.seeded(input.seed, input.faults));
        const second = runWith(input, Decisions.replay(first.departures));
        expect(second).toEqual(first);
      }),
      { numRuns: 100 },
    );
  });
});
