/*
 * A program that came from outside, as parsed JSON: is it one that a run can be given? What is checked here is what the
 * floors below assert or take for granted; whether the program makes sense is for the kernels that run it to say.
 *
 *   { generations: [ { revision, stages: [ [ { process, actions: [ { do, names?, phase? } ] } ] ] } ] }
 */
import { GENERATIONS_MAX } from '../base/limits.ts';
import { revisionByName } from '../kernel/revisions.ts';
import { FILL_BYTES } from '../user/contents.ts';
import { type Names, NUMBERS_MAX, PATTERNS_MAX } from '../user/names.ts';
import type { Program, TaskProgram, Verb } from '../user/program.ts';

type Operand = 'names' | 'session' | 'phase' | 'number';

/** What an action has beside its verb: the fields with their kinds. */
const OPERANDS: Readonly<Record<Verb, Readonly<Record<string, Operand>>>> = {
  open: {},
  'close-device': {},
  create: { names: 'names' },
  retrieve: { names: 'names' },
  finish: { names: 'names' },
  close: { names: 'names' },
  load: {},
  reboot: {},
  exit: {},
  memfd: { names: 'names', bytes: 'number' },
  write: { names: 'names', at: 'number', bytes: 'number', seed: 'number' },
  fill: { names: 'names', every: 'number', seed: 'number' },
  truncate: { names: 'names', bytes: 'number' },
  allocate: { names: 'names', bytes: 'number' },
  seek: { names: 'names', at: 'number' },
  seal: { names: 'names', seals: 'number' },
  read: { names: 'names' },
  preserve: { names: 'names', session: 'session', token: 'number' },
  'retrieve-fd': { names: 'names', session: 'session', token: 'number' },
  'close-file': { names: 'names' },
  reclaim: {},
  'kho-test': { phase: 'phase' },
};

type Json = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const isWhole = (value: unknown, max: number): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max;

/** Why this is no program, said with the place in it; undefined where it is a `Program`. */
export function programError(value: unknown): string | undefined {
  if (!isObject(value) || !Array.isArray(value.generations)) return 'program.generations is no list';
  const generations: readonly unknown[] = value.generations;
  if (generations.length === 0 || generations.length > GENERATIONS_MAX) {
    return `program.generations has ${generations.length} entries, not 1 to ${GENERATIONS_MAX}`;
  }
  for (const [i, generation] of generations.entries()) {
    const error = generationError(generation, `program.generations[${i}]`);
    if (error !== undefined) return error;
  }
  const patterns = patternsOf(value as unknown as Program);
  const numbered = [...patterns].filter((pattern) => pattern.includes('%d')).length;
  if (numbered > PATTERNS_MAX) return `program has ${numbered} name patterns, more than ${PATTERNS_MAX}`;
  return undefined;
}

function generationError(value: unknown, at: string): string | undefined {
  if (!isObject(value)) return `${at} is no object`;
  const { revision } = value;
  if (typeof revision !== 'string' || revisionByName(revision) === undefined) {
    return `${at}.revision is no known revision`;
  }
  if (!Array.isArray(value.stages)) return `${at}.stages is no list`;
  const stages: readonly unknown[] = value.stages;
  const gone = new Set<string>();
  for (const [i, stage] of stages.entries()) {
    if (!Array.isArray(stage)) return `${at}.stages[${i}] is no list`;
    for (const [k, task] of (stage as unknown[]).entries()) {
      const error = taskError(task, `${at}.stages[${i}][${k}]`);
      if (error !== undefined) return error;
    }
    const error = afterExit(stage as TaskProgram[], gone, `${at}.stages[${i}]`);
    if (error !== undefined) return error;
  }
  return undefined;
}

/** A process that exits does nothing more in its generation, in no task. */
function afterExit(stage: readonly TaskProgram[], gone: Set<string>, at: string): string | undefined {
  for (const { process, actions } of stage) {
    if (gone.has(process)) return `${at}: process ${JSON.stringify(process)} has exited before`;
    const exit = actions.findIndex((action) => action.do === 'exit');
    if (exit === -1) continue;
    const alone = stage.filter((task) => task.process === process).length === 1;
    if (!alone || exit < actions.length - 1)
      return `${at}: process ${JSON.stringify(process)} acts after its exit`;
  }
  for (const { process, actions } of stage) if (actions.at(-1)?.do === 'exit') gone.add(process);
  return undefined;
}

function taskError(value: unknown, at: string): string | undefined {
  if (!isObject(value) || typeof value.process !== 'string') return `${at}.process is no text`;
  if (!Array.isArray(value.actions)) return `${at}.actions is no list`;
  for (const [i, action] of (value.actions as unknown[]).entries()) {
    const error = actionError(action, `${at}.actions[${i}]`);
    if (error !== undefined) return error;
  }
  return undefined;
}

function actionError(value: unknown, at: string): string | undefined {
  const verb = isObject(value) ? value.do : undefined;
  if (!isObject(value) || typeof verb !== 'string' || !Object.hasOwn(OPERANDS, verb)) {
    return `${at}.do is no known verb`;
  }
  for (const [field, kind] of Object.entries(OPERANDS[verb as Verb])) {
    const error = operandError(value[field], kind, `${at}.${field}`);
    if (error !== undefined) return error;
  }
  return verb === 'fill' && Number(value.every) < FILL_BYTES
    ? `${at}.every is below ${FILL_BYTES}`
    : undefined;
}

function operandError(value: unknown, kind: Operand, at: string): string | undefined {
  switch (kind) {
    case 'phase':
      return value !== 'save' && value !== 'restore' ? `${at} is neither save nor restore` : undefined;
    case 'number':
      return isWhole(value, Number.MAX_SAFE_INTEGER) ? undefined : `${at} is no whole number`;
    case 'session':
      return namesError(value, at) ?? ((value as Names).count === 1 ? undefined : `${at} is not one session`);
    case 'names':
      return namesError(value, at);
  }
}

function namesError(value: unknown, at: string): string | undefined {
  if (!isObject(value) || typeof value.pattern !== 'string') return `${at}.pattern is no text`;
  const { pattern, first, count } = value;
  if (!isWhole(first, NUMBERS_MAX - 1)) return `${at}.first is no whole number below ${NUMBERS_MAX}`;
  if (count === 0) return `${at}.count is 0: leave the action out`;
  if (!isWhole(count, NUMBERS_MAX - first)) return `${at}.count: the last number is not below ${NUMBERS_MAX}`;
  const placeholders = pattern.split('%d').length - 1;
  if (placeholders > 1) return `${at}.pattern has more than one %d`;
  if (placeholders === 0 && (first !== 0 || count > 1))
    return `${at}: several names, but no %d in the pattern`;
  return undefined;
}

function patternsOf({ generations }: Program): Set<string> {
  const patterns = new Set<string>();
  for (const task of generations.flatMap(({ stages }) => stages.flat())) {
    for (const action of task.actions) {
      if ('names' in action) patterns.add(action.names.pattern);
      if ('session' in action) patterns.add(action.session.pattern);
    }
  }
  return patterns;
}
