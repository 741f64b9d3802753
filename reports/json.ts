/*
 * The result as JSON: the RunResult as it is (schemaVersion says which), and `again`, the line that runs it again. In
 * pieces, a generation each, because a run of many kernels is longer than a string may be.
 */
import type { Change, RunResult, StepsReport } from '../sim/index.ts';

/** The line that runs it again, and the token of the run where it has one. */
export interface Again {
  readonly again: string;
  readonly token?: string;
}

export function* jsonReport(
  { generations, ...rest }: RunResult,
  again: Again,
): Generator<string, void, void> {
  yield `${JSON.stringify({ ...rest, ...again }).slice(0, -1)},"generations":[`;
  for (const [i, generation] of generations.entries()) {
    yield `${i === 0 ? '' : ','}\n${JSON.stringify(generation)}`;
  }
  yield '\n]}\n';
}

/** Steps, states and what changed between two of them; of the result its digest. */
export function* stepsJson(
  { events, result, ...rest }: StepsReport,
  changes: readonly Change[] | undefined,
): Generator<string, void, void> {
  const { schemaVersion, digest } = result;
  const head = { schemaVersion, digest, ...rest, ...(changes === undefined ? {} : { changes }) };
  yield `${JSON.stringify(head).slice(0, -1)},"events":[`;
  for (const [i, event] of events.entries()) yield `${i === 0 ? '' : ','}\n${JSON.stringify(event)}`;
  yield '\n]}\n';
}
