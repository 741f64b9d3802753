/*
 * The front door: a table of commands, each row its options, the function of the simulator that does the work, and the
 * renderer of its result.
 *
 *   results to standard output, everything else to standard error
 *   exit codes    0 all laws held   1 a violation was found   2 bad input   70 a fault in luosim   130 interrupted
 *
 * Bad input is one line that says what is wrong, where, and how to mend it.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import pc from 'picocolors';
import { commandLine, progressLine } from './reports/command_line.ts';
import { jsonReport } from './reports/json.ts';
import { terminalReport } from './reports/terminal.ts';
import { printable } from './reports/words.ts';
import { ramBytesFor } from './scenarios/many_sessions.ts';
import { SCENARIOS } from './scenarios/table.ts';
import {
  CPUS_MAX,
  decodeRamFile,
  FileProblem,
  GENERATIONS_MAX,
  ICOUNT,
  longestNameBytes,
  type MachineParams,
  machineParamsError,
  NODES_MAX,
  NUMBERS_MAX,
  type RamFile,
  REVISIONS,
  Replacement,
  type RunInput,
  type RunResult,
  readPieces,
  revisionByName,
  SESSION_NAME_LENGTH,
  simulate,
} from './sim/index.ts';

const EXIT = { held: 0, violation: 1, badInput: 2, fault: 70 } as const;

/** What the person gave cannot be used; the message is the line to print. */
class BadInput extends Error {
  override readonly name = 'BadInput';
}

// --- the table ----------------------------------------------------------------------------------------------------

/** Options as given; one that was not given is absent. */
type Given = Readonly<Record<string, string | true | undefined>>;

interface Row<Order, Result> {
  readonly name: string;
  readonly summary: string;
  /** Flags and help of each option. */
  readonly options: readonly (readonly [string, string])[];
  /** What to do, from the options; throws BadInput. */
  readonly order: (given: Given) => Order;
  readonly work: (order: Order) => Result;
  readonly render: (result: Result, order: Order) => Iterable<string>;
  readonly exitCode: (result: Result) => number;
}

interface Entry extends Pick<Row<never, never>, 'name' | 'summary' | 'options'> {
  readonly execute: (given: Given) => number;
}

function entry<Order, Result>(row: Row<Order, Result>): Entry {
  const execute = (given: Given): number => {
    const order = row.order(given);
    const result = row.work(order);
    for (const piece of row.render(result, order)) process.stdout.write(piece);
    return row.exitCode(result);
  };
  return { ...row, execute };
}

const REVISION_NAMES = REVISIONS.map(({ name }) => name).join(', ');
const NAME_BYTES_MAX = SESSION_NAME_LENGTH - 1;
const DEFAULTS = {
  generations: 2,
  sessions: 2000,
  name: 'many-test-%d',
  seed: '1',
  nodes: 1,
  cpus: 2,
} as const;
const DEFAULT_REVISION = 'april-v1-p1';

const COMMANDS: readonly Entry[] = [
  entry({
    name: 'run',
    summary: 'run live updates from kernel to kernel, and check every law',
    options: [
      ['--scenario <name>', SCENARIOS.map(({ name, text }) => `${name}: ${text}`).join('; ')],
      ['--revision <list>', `one, or one for each kernel with commas between: ${REVISION_NAMES}`],
      ['--generations <n>', `kernels, one more than updates (default: ${DEFAULTS.generations})`],
      ['--sessions <n>', `sessions in every update (default: ${DEFAULTS.sessions})`],
      ['--name <pattern>', `session names, %d is the number (default: ${DEFAULTS.name})`],
      ['--seed <text>', `decides all that is left open (default: ${DEFAULTS.seed})`],
      ['--ram <size>', 'like 512M or 1T (default: 1G, or the power of two that the sessions need)'],
      ['--nodes <n>', `memory nodes (default: ${DEFAULTS.nodes})`],
      ['--cpus <n>', `processors (default: ${DEFAULTS.cpus})`],
      ['--json', 'print the result as JSON'],
      ['--save-ram <file>', 'save what crossed the last jump'],
      ['--boot-ram <file>', 'boot from a saved file; it brings its machine, seed and program along'],
    ],
    order: runOrder,
    work: runWork,
    render: (result, { json, again }) =>
      json ? jsonReport(result, again) : [terminalReport(result, { again, colours: colours() })],
    exitCode: ({ violations }) => (violations.length === 0 ? EXIT.held : EXIT.violation),
  }),
];

// --- luosim run ---------------------------------------------------------------------------------------------------

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
  return {
    input,
    boot,
    save: savePath === undefined ? undefined : { path: savePath, replacement: replacement(savePath) },
    json: given.json === true,
    again: commandLine(['run', ...optionsAgain(given)]),
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
    profile: ICOUNT.name,
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
  const others = ['scenario', 'revision', 'generations', 'sessions', 'name', 'seed', 'ram', 'nodes', 'cpus'];
  refuseBeside(given, '--boot-ram', others);
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

function hostFile<T>(what: string, mend: string, operation: () => T): T {
  try {
    return operation();
  } catch (error) {
    if (error instanceof FileProblem) throw new BadInput(`${what} ${error.message}; ${mend}`);
    throw error;
  }
}

function machine(given: Given, ramBytes: number): MachineParams {
  const params = {
    ramBytes: ramSize(given) ?? ramBytes,
    nodes: whole(given, 'nodes', 1, NODES_MAX) ?? DEFAULTS.nodes,
    cpus: whole(given, 'cpus', 1, CPUS_MAX) ?? DEFAULTS.cpus,
  };
  const error = machineParamsError(params);
  if (error === undefined) return params;
  throw new BadInput(
    `--ram ${quoted(text(given, 'ram') ?? 'by default')}, --nodes ${params.nodes}: ${error}`,
  );
}

function revisionList(given: Given, generations: number): string[] {
  const names = (text(given, 'revision') ?? DEFAULT_REVISION).split(',');
  for (const name of names) {
    if (revisionByName(name) === undefined) {
      throw new BadInput(`--revision ${quoted(name)} is not known; known: ${REVISION_NAMES}`);
    }
  }
  if (names.length > generations) {
    throw new BadInput(
      `--revision has ${names.length} entries for --generations ${generations}; leave some away`,
    );
  }
  return names;
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

// --- options ------------------------------------------------------------------------------------------------------

function text(given: Given, option: string): string | undefined {
  const value = given[option];
  return typeof value === 'string' ? value : undefined;
}

const flag = (option: string): string =>
  `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

function whole(given: Given, option: string, min: number, max: number): number | undefined {
  const value = text(given, option);
  if (value === undefined) return undefined;
  const n = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (n >= min && n <= max) return n;
  throw new BadInput(`${flag(option)} ${quoted(value)}: give a whole number from ${min} to ${max}`);
}

const UNITS: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

function ramSize(given: Given): number | undefined {
  const value = text(given, 'ram');
  if (value === undefined) return undefined;
  const [, digits = '', unit = ''] = /^(\d{1,15})(?:([KMGT])(?:i?B)?)?$/i.exec(value) ?? [];
  if (digits !== '') return Number(digits) * (UNITS[unit.toUpperCase()] ?? 1);
  throw new BadInput(`--ram ${quoted(value)} is no size; give a whole number with K, M, G or T, like 512M`);
}

function refuseBeside(given: Given, what: string, others: readonly string[]): void {
  const conflict = others.find((option) => given[option] !== undefined);
  if (conflict !== undefined)
    throw new BadInput(`${what} and ${flag(conflict)} exclude each other; leave one away`);
}

/** The options that decide what happens, to be given again. Where the result goes is not among them. */
function optionsAgain(given: Given): string[] {
  const seeded =
    given.bootRam === undefined ? { ...given, seed: text(given, 'seed') ?? DEFAULTS.seed } : given;
  return Object.entries(seeded).flatMap(([option, value]) => {
    return typeof value === 'string' && option !== 'saveRam' ? [flag(option), value] : [];
  });
}

// --- words for a person -------------------------------------------------------------------------------------------

/** Said to the person once the result is out; makes the exit code that of bad input. */
const afterwards: string[] = [];

const quoted = (value: string): string => `"${value}"`;

const complain = (message: string): void => {
  process.stderr.write(`luosim: ${printable(message)}\n`);
};

function colours(): ReturnType<typeof pc.createColors> {
  const forced = (process.env.FORCE_COLOR ?? '') !== '';
  return pc.createColors(pc.isColorSupported && (forced || process.stdout.isTTY === true));
}

const PROGRESS_MS = 500;

/** On a terminal, says every now and then which kernel has left. */
function progress(generations: number): (generation: number) => void {
  if (process.stderr.isTTY !== true) return () => {};
  let last = performance.now();
  return (generation) => {
    const now = performance.now();
    if (now - last < PROGRESS_MS && generation < generations - 2) return;
    last = now;
    process.stderr.write(progressLine(generation, generations));
  };
}

// --- main ---------------------------------------------------------------------------------------------------------

function main(argv: readonly string[]): number {
  let code: number = EXIT.held;
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const program = new Command('luosim')
    .description('A deterministic simulator of a Linux live update')
    .version(version)
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  for (const { name, summary, options, execute } of COMMANDS) {
    const command = program.command(name).description(summary);
    for (const [flags, help] of options) command.option(flags, help);
    command.action((given: Given) => {
      code = execute(given);
    });
  }
  try {
    program.parse(argv, { from: 'user' });
    if (afterwards.length > 0) code = EXIT.badInput;
    for (const message of afterwards) complain(message);
    return code;
  } catch (error) {
    return failed(error, argv);
  }
}

function failed(error: unknown, argv: readonly string[]): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT.held;
    const names = COMMANDS.map(({ name }) => name).join(', ');
    const said = error.code === 'commander.help' ? `no command; give one of: ${names}` : error.message;
    complain(`${said.replace(/^error: |\.$/g, '').replace(/\s*\n\s*/g, ' ')}; see npx luosim --help`);
    return EXIT.badInput;
  }
  if (error instanceof BadInput) {
    complain(error.message);
    return EXIT.badInput;
  }
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  complain(
    `a fault in luosim itself, ${name}: ${message}; please report it with the line ${commandLine(argv)}`,
  );
  process.stderr.write(`${stack}\n`);
  return EXIT.fault;
}

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // A reader that has seen enough is no error.
    if (error.code === 'EPIPE') return;
    process.exitCode = EXIT.badInput;
    if (stream === process.stdout)
      complain(`the result cannot be written: ${error.message}; free the output`);
  });
}
process.exitCode = main(process.argv.slice(2));
