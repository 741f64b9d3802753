/*
 * luosim run: live updates from kernel to kernel, with every law checked.
 */
import { commandLine } from '../reports/command_line.ts';
import {
  decodeRamFile,
  FileProblem,
  type RamFile,
  Replacement,
  type RunInput,
  type RunResult,
  readPieces,
  type ScenarioOptions,
  simulate,
} from '../sim/index.ts';
import {
  afterwards,
  BadInput,
  entry,
  type Given,
  hostFile,
  optionsGiven,
  quoted,
  refuseBeside,
  text,
} from './command.ts';
import { exitCode, renderResult } from './result.ts';
import { DEFAULT_SEED, SCENARIO_GIVEN, SCENARIO_OPTIONS, scenarioInput } from './scenario.ts';
import { progress } from './terminal.ts';

export const RUN = entry({
  name: 'run',
  summary: 'run live updates from kernel to kernel, and check every law',
  options: [
    ...SCENARIO_OPTIONS,
    ['--json', 'print the result as JSON'],
    ['--save-ram <file>', 'save what crossed the last jump'],
    ['--boot-ram <file>', 'boot from a saved file; it brings its machine, seed and program along'],
  ],
  order: runOrder,
  work: runWork,
  render: renderResult,
  exitCode,
});

interface RunOrder {
  readonly input: RunInput;
  readonly options: ScenarioOptions | undefined;
  /** Whether the input alone makes the run: memory from a file is in no token. */
  readonly mailable: boolean;
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
  const { input, options } =
    boot === undefined ? scenarioInput(given) : { input: boot.file.header, options: undefined };
  if (savePath !== undefined && input.program.generations.length === 1) {
    throw new BadInput('--save-ram: with --generations 1 no kernel jumps; give 2 or more');
  }
  // Where the result goes does not decide what happens.
  const seeded = bootPath === undefined ? { ...given, seed: text(given, 'seed') ?? DEFAULT_SEED } : given;
  return {
    input,
    options,
    mailable: boot === undefined,
    boot,
    save: savePath === undefined ? undefined : { path: savePath, replacement: replacement(savePath) },
    json: given.json === true,
    again: commandLine(['run', ...optionsGiven(seeded, ['saveRam'])]),
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
  refuseBeside(given, '--boot-ram', SCENARIO_GIVEN);
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
