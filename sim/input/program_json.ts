/*
 * A program that came from outside, as parsed JSON: is it one that a run can be given? What is checked here is what the
 * floors below assert or take for granted; whether the program makes sense is for the kernels that run it to say.
 *
 *   { generations: [ { revision, boot?, stages: [ [ { process, actions: [ { do, ... } ] } ] ] } ] }
 *   boot           { kho?, liveupdate?, mem?, kho_scratch? }, texts
 *   { do, ... }    verbs.ts
 */
import { GENERATIONS_MAX } from '../base/limits.ts';
import { PARAMETERS } from '../kernel/command_line.ts';
import { revisionByName } from '../kernel/revisions.ts';
import type { Action } from '../user/program.ts';
import { ProgramRules } from './program_rules.ts';
import { actionError } from './verbs.ts';

type Json = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const isWhole = (value: unknown, max: number): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max;

/** What the object has beside what it should have, said with the place in it. */
export function extraField(value: Json, fields: readonly string[], at: string): string | undefined {
  const extra = Object.keys(value).find((field) => !fields.includes(field));
  return extra === undefined ? undefined : `${at}.${extra} is none of ${fields.join(', ')}`;
}

/** Why this is no program, said with the place in it; undefined where it is a `Program`. */
export function programError(value: unknown): string | undefined {
  if (!isObject(value) || !Array.isArray(value.generations)) return 'program.generations is no list';
  const generations: readonly unknown[] = value.generations;
  if (generations.length === 0 || generations.length > GENERATIONS_MAX) {
    return `program.generations has ${generations.length} entries, not 1 to ${GENERATIONS_MAX}`;
  }
  const rules = new ProgramRules();
  return (
    firstError(generations, 'program.generations', (entry, at) => generationError(entry, at, rules)) ??
    extraField(value, ['generations'], 'program')
  );
}

function generationError(value: unknown, at: string, rules: ProgramRules): string | undefined {
  if (!isObject(value)) return `${at} is no object`;
  const { revision, boot, stages } = value;
  if (typeof revision !== 'string' || revisionByName(revision) === undefined) {
    return `${at}.revision is no known revision`;
  }
  const wrong = boot === undefined ? undefined : bootError(boot, `${at}.boot`);
  if (wrong !== undefined) return wrong;
  rules.kernel();
  return (
    firstError(stages, `${at}.stages`, (stage, place) => {
      rules.stage();
      return firstError(stage, place, (entry, where) => taskError(entry, where, rules));
    }) ?? extraField(value, ['revision', 'boot', 'stages'], at)
  );
}

/** Of each parameter the text behind its =. */
function bootError(value: unknown, at: string): string | undefined {
  if (!isObject(value)) return `${at} is no object`;
  const given = Object.keys(value);
  if (given.length === 0) return `${at} has nothing in it: leave it out`;
  const odd = PARAMETERS.find((name) => given.includes(name) && typeof value[name] !== 'string');
  return odd === undefined ? extraField(value, PARAMETERS, at) : `${at}.${odd} is no text`;
}

function taskError(value: unknown, at: string, rules: ProgramRules): string | undefined {
  if (!isObject(value) || typeof value.process !== 'string') return `${at}.process is no text`;
  const broken = rules.task(value.process);
  if (broken !== undefined) return `${at}: ${broken}`;
  return (
    firstError(value.actions, `${at}.actions`, (action, place) => {
      const error = actionError(action, place);
      if (error !== undefined) return error;
      const rule = rules.act(action as Action);
      return rule === undefined ? undefined : `${place}: ${rule}`;
    }) ?? extraField(value, ['process', 'actions'], at)
  );
}

/** The first error in a list, or that it is none. */
function firstError(
  list: unknown,
  at: string,
  error: (entry: unknown, at: string) => string | undefined,
): string | undefined {
  if (!Array.isArray(list)) return `${at} is no list`;
  for (const [i, entry] of (list as unknown[]).entries()) {
    const found = error(entry, `${at}[${i}]`);
    if (found !== undefined) return found;
  }
  return undefined;
}
