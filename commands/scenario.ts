/*
 * The input of a run from a scenario and its options: typed by a person, or kept in a token.
 */
import { ramBytesFor, ramBytesWith } from '../scenarios/many_sessions.ts';
import { SCENARIOS, type Scenario } from '../scenarios/table.ts';
import {
  GENERATIONS_MAX,
  ICOUNT,
  longestNameBytes,
  NUMBERS_MAX,
  type RunInput,
  type ScenarioOptions,
  SESSION_NAME_LENGTH,
} from '../sim/index.ts';
import { BadInput, type Described, type Given, quoted, refuseBeside, text, UNITS, whole } from './command.ts';
import {
  MACHINE_OPTIONS,
  machine,
  PATCH_OPTIONS,
  PROFILE_OPTION,
  profile,
  REVISION_NAMES,
  revisionNames,
} from './machine.ts';

const NAME_BYTES_MAX = SESSION_NAME_LENGTH - 1;
const DEFAULTS = { generations: 2, sessions: 2000, name: 'many-test-%d' } as const;
export const DEFAULT_REVISION = 'april-v1-p1';
export const DEFAULT_SEED = '1';

const OTHER_DEFAULTS = SCENARIOS.filter(({ sessions }) => sessions !== undefined)
  .map(({ name, sessions }) => `; ${name}: ${sessions}`)
  .join('');

export const SCENARIO_OPTIONS: readonly Described[] = [
  [
    '--scenario <name>',
    `${SCENARIOS.map(({ name, text }) => `${name}: ${text}`).join('; ')}; or a module of your own, like ./mine.mjs`,
  ],
  ['--revision <list>', `one, or one for each kernel with commas between: ${REVISION_NAMES}`],
  ...PATCH_OPTIONS,
  ['--generations <n>', `kernels, one more than updates (default: ${DEFAULTS.generations})`],
  ['--sessions <n>', `sessions in every update (default: ${DEFAULTS.sessions}${OTHER_DEFAULTS})`],
  ['--name <pattern>', `session names, %d is the number (default: ${DEFAULTS.name})`],
  ['--seed <text>', `decides all that is left open (default: ${DEFAULT_SEED})`],
  ['--ram <size>', 'like 512M or 1T (default: 1G, or the power of two that the sessions need)'],
  ...MACHINE_OPTIONS,
  PROFILE_OPTION,
];

/** Options of the table above, as `Given` spells them. */
export const SCENARIO_GIVEN: readonly string[] = SCENARIO_OPTIONS.map(([flags]) =>
  flags.slice(2, flags.indexOf(' ')),
);

export interface ScenarioInput {
  readonly input: RunInput;
  /** Every option as it was given or is by default: what a token keeps. */
  readonly options: ScenarioOptions;
}

/** The input of a scenario that is known by its name. */
export const scenarioInput = (given: Given): ScenarioInput => inputFrom(given, namedScenario(given));

function namedScenario(given: Given): Scenario {
  const name = text(given, 'scenario') ?? SCENARIOS[0]?.name;
  const scenario = SCENARIOS.find((known) => known.name === name);
  if (scenario === undefined) {
    const names = SCENARIOS.map((known) => known.name).join(', ');
    throw new BadInput(`--scenario ${quoted(name ?? '')} is not known; give one of: ${names}`);
  }
  return scenario;
}

/** The input of a scenario, by the options given. */
export function inputFrom(given: Given, scenario: Scenario): ScenarioInput {
  refuseBeside(given, `--scenario ${scenario.name}`, scenario.without);
  const generations = whole(given, 'generations', 1, GENERATIONS_MAX) ?? DEFAULTS.generations;
  const sessions = whole(given, 'sessions', 0, NUMBERS_MAX) ?? scenario.sessions ?? DEFAULTS.sessions;
  const revisions = revisionList(given, generations);
  const pattern = namePattern(given, sessions);
  const input: RunInput = {
    machine: machine(
      given,
      scenario.bytes === undefined ? ramBytesFor(sessions) : ramBytesWith(scenario.bytes(sessions)),
    ),
    profile: profile(given),
    seed: text(given, 'seed') ?? DEFAULT_SEED,
    program: scenario.program({ revisions, generations, sessions, pattern }),
  };
  const words = {
    scenario: scenario.name,
    revision: revisions.join(','),
    generations: String(generations),
    sessions: String(sessions),
    name: pattern,
    seed: input.seed,
    ram: ramWord(input.machine.ramBytes),
    nodes: String(input.machine.nodes),
    cpus: String(input.machine.cpus),
    // Tokens are older than these two.
    ...(input.machine.fragmentedPercent ? { fragmented: String(input.machine.fragmentedPercent) } : {}),
    ...(input.profile === ICOUNT.name ? {} : { profile: input.profile }),
  };
  const kept = Object.entries(words).filter(
    ([option]) => !scenario.without.some((other) => other === option),
  );
  return { input, options: Object.fromEntries(kept) };
}

/** The input that a token keeps as options; they are as a person would have typed them. */
export function optionsInput(options: ScenarioOptions): ScenarioInput {
  const unknown = Object.keys(options).find((option) => !SCENARIO_GIVEN.includes(option));
  if (unknown !== undefined)
    throw new BadInput(`--${unknown} is not known here: use the luosim that printed it`);
  return scenarioInput(options);
}

/** RAM as --ram takes it, in the largest unit that leaves no fraction. */
function ramWord(bytes: number): string {
  const unit = [...'TGM'].find((letter) => bytes % (UNITS[letter] as number) === 0);
  return unit === undefined ? String(bytes) : `${bytes / (UNITS[unit] as number)}${unit}`;
}

function revisionList(given: Given, generations: number): string[] {
  const names = (text(given, 'revision') ?? DEFAULT_REVISION).split(',');
  const revisions = revisionNames(given, names);
  if (names.length <= generations) return revisions;
  throw new BadInput(
    `--revision has ${names.length} entries for --generations ${generations}; leave some away`,
  );
}

function namePattern(given: Given, sessions: number): string {
  const pattern = text(given, 'name') ?? DEFAULTS.name;
  const what = `--name ${quoted(pattern)}`;
  const placeholders = pattern.split('%d').length - 1;
  if (placeholders > 1) throw new BadInput(`${what} has ${placeholders} times %d; give it once`);
  if (placeholders === 0 && sessions > 1) {
    throw new BadInput(`${what} names ${sessions} sessions alike; put %d where the number goes`);
  }
  const bytes = longestNameBytes({ pattern, first: 0, count: Math.max(sessions, 1) });
  if (bytes <= NAME_BYTES_MAX) return pattern;
  const tooMany = bytes - NAME_BYTES_MAX;
  throw new BadInput(
    `${what} makes names of ${bytes} bytes, the ABI has room for ${NAME_BYTES_MAX}; cut ${tooMany}`,
  );
}
