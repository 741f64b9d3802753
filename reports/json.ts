/*
 * The result as JSON: the RunResult as it is (schemaVersion says which), and `again`, the line that runs it again. In
 * pieces, a generation each, because a run of many kernels is longer than a string may be.
 */
import type { RunResult } from '../sim/index.ts';

export function* jsonReport(
  { generations, ...rest }: RunResult,
  again: string,
): Generator<string, void, void> {
  yield `${JSON.stringify({ ...rest, again }).slice(0, -1)},"generations":[`;
  for (const [i, generation] of generations.entries()) {
    yield `${i === 0 ? '' : ','}\n${JSON.stringify(generation)}`;
  }
  yield '\n]}\n';
}
