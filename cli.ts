/*
 * The front door: a table of commands (commands/), each row its options, the function of the simulator that does the
 * work, and the renderer of its result.
 *
 *   results to standard output, everything else to standard error
 *   exit codes    0 all laws held   1 a violation was found   2 bad input   70 a fault in luosim   130 interrupted
 *
 * Bad input is one line that says what is wrong, where, and how to mend it.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { CHECK_IMAGE } from './commands/check_image.ts';
import { afterwards, BadInput, complain, type Entry, EXIT, type Given } from './commands/command.ts';
import { COMPARE } from './commands/compare.ts';
import { MAP } from './commands/map.ts';
import { MATRIX } from './commands/matrix.ts';
import { PLAN } from './commands/plan.ts';
import { REPLAY } from './commands/replay.ts';
import { RUN } from './commands/run.ts';
import { SHOW } from './commands/show.ts';
import { STEP } from './commands/step.ts';
import { STRESS } from './commands/stress.ts';
import { isRunThread, runThread } from './commands/thread.ts';
import { commandLine } from './reports/command_line.ts';

const COMMANDS: readonly Entry[] = [RUN, STRESS, COMPARE, PLAN, REPLAY, SHOW, STEP, MATRIX, CHECK_IMAGE, MAP];

async function main(argv: readonly string[]): Promise<number> {
  let code: number = EXIT.held;
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const program = new Command('luosim')
    .description('A deterministic simulator of a Linux live update')
    .version(version)
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  for (const row of COMMANDS) {
    const command = program.command(row.name).description(row.summary);
    for (const [name, help] of row.arguments ?? []) command.argument(name, help);
    for (const [flags, help] of row.options) command.option(flags, help);
    command.action(async () => {
      code = await row.execute(command.opts<Given>(), command.args);
    });
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
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

function start(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // A reader that has seen enough is no error.
      if (error.code === 'EPIPE') return;
      process.exitCode = EXIT.badInput;
      if (stream === process.stdout)
        complain(`the result cannot be written: ${error.message}; free the output`);
    });
  }
  main(process.argv.slice(2)).then((code) => {
    // Output that could not be written has said so.
    process.exitCode ??= code;
  });
}

// Runs that are watched are this same file in a thread of its own.
if (isRunThread) runThread();
else start();
