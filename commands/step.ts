/*
 * luosim step: the steps of a run, the state of both kernels at one of them, or what changed between two.
 */
import { stepsJson } from '../reports/json.ts';
import { diffReport, stateReport, stepsReport } from '../reports/step.ts';
import { diffStates, type RunInput, type StateReport, type StepsReport, watchSteps } from '../sim/index.ts';
import { BadInput, EXIT, entry, type Given, quoted, refuseBeside, whole } from './command.ts';
import { givenInput, INPUT_ARGUMENT } from './given_input.ts';
import { sayMisfits } from './result.ts';
import { colours } from './terminal.ts';

const STEPS_MAX = 1e12;
const DEFAULT_COUNT = 30;
/** Steps told before and behind the one that is asked for. */
const AROUND = 5;

interface StepOrder {
  readonly input: RunInput;
  readonly from: number;
  readonly count: number;
  /** None for a list, one for a state, two for what changed. */
  readonly at: readonly number[];
  readonly json: boolean;
}

export const STEP = entry({
  name: 'step',
  summary: 'list the steps of a run, or tell both kernels at one of them',
  arguments: [INPUT_ARGUMENT],
  options: [
    ['--from <n>', 'list from this step on (default: 0)'],
    ['--count <n>', `steps listed (default: ${DEFAULT_COUNT})`],
    ['--at <n>', 'the state of both kernels at this step'],
    ['--diff <steps...>', 'what changed between two steps, given as A B'],
    ['--json', 'print all of it as JSON'],
  ],
  order: stepOrder,
  work: ({ input, from, count, at }: StepOrder): StepsReport => {
    const report = watchSteps(input, { from, count, at });
    const missing = at.find((step) => step >= report.total);
    if (missing !== undefined) {
      throw new BadInput(`step ${missing} is not there: the run has steps 0 to ${report.total - 1}`);
    }
    sayMisfits(report.result);
    return report;
  },
  render: (report, { at, from, json }) => {
    const states = at.map((step) => report.states.find(({ event }) => event.step === step) as StateReport);
    const [state, other] = states;
    const changes = state === undefined || other === undefined ? undefined : diffStates(state, other);
    if (json) return stepsJson(report, changes);
    if (state === undefined) return [stepsReport(report, { colours: colours(), from })];
    if (changes === undefined) return [stateReport(report, state, colours())];
    return [diffReport(report, changes, colours())];
  },
  exitCode: () => EXIT.held,
});

function stepOrder(given: Given, args: readonly string[]): StepOrder {
  const json = given.json === true;
  const at = whole(given, 'at', 0, STEPS_MAX);
  if (given.diff !== undefined) {
    refuseBeside(given, '--diff', ['at', 'from', 'count']);
    const { steps, words } = diffSteps(given, args);
    return { input: givenInput(words).input, from: 0, count: 0, at: steps, json };
  }
  const { input } = givenInput(args);
  if (at !== undefined) {
    refuseBeside(given, '--at', ['from', 'count']);
    const from = Math.max(at - AROUND, 0);
    return { input, from, count: at + AROUND + 1 - from, at: [at], json };
  }
  const from = whole(given, 'from', 0, STEPS_MAX) ?? 0;
  const count = whole(given, 'count', 1, STEPS_MAX) ?? DEFAULT_COUNT;
  return { input, from, count, at: [], json };
}

/** The two steps; what the person typed behind them belongs to the input. */
function diffSteps(given: Given, args: readonly string[]): { steps: number[]; words: readonly string[] } {
  const [a = '', b = '', ...behind] = given.diff as readonly string[];
  const steps = [a, b].map((diff) => whole({ diff }, 'diff', 0, STEPS_MAX) ?? 0);
  const [from, to] = steps as [number, number];
  if (from >= to) throw new BadInput(`--diff ${quoted(a)} ${quoted(b)}: give the earlier step first`);
  return { steps, words: [...args, ...behind] };
}
