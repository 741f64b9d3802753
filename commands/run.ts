/*
 * luosim run: live updates from kernel to kernel, with every law checked.
 */
import { commandLine } from '../reports/command_line.ts';
import { jsonReport } from '../reports/json.ts';
import { terminalReport } from '../reports/terminal.ts';
import { ramBytesFor } from '../scenarios/many_sessions.ts';
import { SCENARIOS } from '../scenarios/table.ts';
import {
  decodeRamFile,
  FileProblem,
  GENERATIONS_MAX,
  longestNameBytes,
  NUMBERS_MAX,
  PROFILES,
  type RamFile,
  Replacement,
  type RunInput,
  type RunResult,
  readPieces,
  SESSION_NAME_LENGTH,
  simulate,
} from '../sim/index.ts';
import {
  afterwards,
  BadInput,
  EXIT,
  entry,
  type Given,
  hostFile,
  optionsGiven,
  quoted,
  refuseBeside,
  text,
  whole,
} from './command.ts';
import {
  MACHINE_OPTIONS,
  machine,
  PATCH_OPTIONS,
  PROFILE_NAMES,
  profile,
  REVISION_NAMES,
  revisionNames,
} from './machine.ts';
import { colours, progress } from './terminal.ts';

const NAME_BYTES_MAX = SESSION_NAME_LENGTH - 1;
const DEFAULTS = { generations: 2, sessions: 2000, name: 'many-test-%d', seed: '1' } as const;
const DEFAULT_REVISION = 'april-v1-p1';

export const RUN = entry({
  name: 'run',
  summary: 'run live updates from kernel to kernel, and check every law',
  options: [
    ['--scenario <name>', SCENARIOS.map(({ name, text }) => `${name}: ${text}`).join('; ')],
    ['--revision <list>', `one, or one for each kernel with commas between: ${REVISION_NAMES}`],
    ...PATCH_OPTIONS,
    ['--generations <n>', `kernels, one more than updates (default: ${DEFAULTS.generations})`],
    ['--sessions <n>', `sessions in every update (default: ${DEFAULTS.sessions})`],
    ['--name <pattern>', `session names, %d is the number (default: ${DEFAULTS.name})`],
    ['--seed <text>', `decides all that is left open (default: ${DEFAULTS.seed})`],
    ['--ram <size>', 'like 512M or 1T (default: 1G, or the power of two that the sessions need)'],
    ...MACHINE_OPTIONS,
    ['--profile <name>', `prices of virtual time: ${PROFILE_NAMES} (default: ${PROFILES[0]?.name})`],
    ['--json', 'print the result as JSON'],
    ['--save-ram <file>', 'save what crossed the last jump'],
    ['--boot-ram <file>', 'boot from a saved file; it brings its machine, seed and program along'],
  ],
  order: runOrder,
  work: runWork,
  render: (result: RunResult, { json, again }: RunOrder) =>
    json ? jsonReport(result, again) : [terminalReport(result, { again, colours: colours() })],
  exitCode: ({ violations }) => (violations.length === 0 ? EXIT.held : EXIT.violation),
});

interface RunOrder {
  readonly input: RunInput;
  readonly boot: { readonly path: string; readonly file: RamFile } | undefined;
  readonly save: { readonly path: string; readonly replacement: Replacement } | undefined;
  readonly json: boolean;
  /** The command line that runs this again. */
  readonly again: string;
}

function runOrder(given: Given): RunOrder {
  const bootPath = text(given, 'bootRam');
  const savePath = text(given, 'saveRam');
  const boot = bootPath === undefined ? undefined : { path: bootPath, file: ramFile(given, bootPath) };
  const input = boot?.file.header ?? runInput(given);
  if (savePath !== undefined && input.program.generations.length === 1) {
    throw new BadInput('--save-ram: with --generations 1 no kernel jumps; give 2 or more');
  }
  // Where the result goes does not decide what happens.
  const seeded = bootPath === undefined ? { ...given, seed: text(given, 'seed') ?? DEFAULTS.seed } : given;
  return {
    input,
    boot,
    save: savePath === undefined ? undefined : { path: savePath, replacement: replacement(savePath) },
    json: given.json === true,
    again: commandLine(['run', ...optionsGiven(seeded, ['saveRam'])]),
  };
}

function runInput(given: Given): RunInput {
  const name = text(given, 'scenario') ?? SCENARIOS[0]?.name;
  const scenario = SCENARIOS.find((known) => known.name === name);
  if (scenario === undefined) {
    const names = SCENARIOS.map((known) => known.name).join(', ');
    throw new BadInput(`--scenario ${quoted(name ?? '')} is not known; give one of: ${names}`);
  }
  refuseBeside(given, `--scenario ${scenario.name}`, scenario.without);
  const generations = whole(given, 'generations', 1, GENERATIONS_MAX) ?? DEFAULTS.generations;
  const sessions = whole(given, 'sessions', 0, NUMBERS_MAX) ?? DEFAULTS.sessions;
  const revisions = revisionList(given, generations);
  const pattern = namePattern(given, sessions);
  return {
    machine: machine(given, ramBytesFor(sessions)),
    profile: profile(given),
    seed: text(given, 'seed') ?? DEFAULTS.seed,
    program: scenario.program({ revisions, generations, sessions, pattern }),
  };
}

function runWork({ input, boot, save }: RunOrder): RunResult {
  let unsaved: FileProblem | undefined;
  let saved = false;
  const write = (pieces: Iterable<Uint8Array>): void => {
    try {
      save?.replacement.write(pieces);
      saved = true;
    } catch (error) {
      // The run goes on: its result is not lost with the file.
      if (!(error instanceof FileProblem)) throw error;
      unsaved = error;
    }
  };
  const result = simulate(input, {
    ...(boot === undefined ? {} : { boot: boot.file }),
    ...(save === undefined ? {} : { save: write }),
    onJump: progress(input.program.generations.length),
  });
  if (typeof result === 'string') throw new BadInput(`--boot-ram ${quoted(boot?.path ?? '')} ${result}`);
  const file = quoted(save?.path ?? '');
  if (unsaved !== undefined) afterwards.push(`--save-ram ${file} ${unsaved.message}; nothing was saved`);
  else if (save !== undefined && !saved)
    afterwards.push(`--save-ram ${file}: no kernel jumped; nothing was saved`);
  return result;
}

function ramFile(given: Given, path: string): RamFile {
  const others = ['scenario', 'revision', 'with', 'without', 'generations', 'sessions', 'name', 'seed'];
  refuseBeside(given, '--boot-ram', [...others, 'ram', 'nodes', 'cpus', 'fragmented', 'profile']);
  const what = `--boot-ram ${quoted(path)}`;
  const file = hostFile(what, 'give a file that luosim run --save-ram wrote', () =>
    decodeRamFile(readPieces(path)),
  );
  if (typeof file === 'string') throw new BadInput(`${what} ${file}`);
  return file;
}

function replacement(path: string): Replacement {
  const mend = 'give a file in a directory that can be written';
  return hostFile(`--save-ram ${quoted(path)}`, mend, () => new Replacement(path));
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
