/*
 * luosim run: live updates from kernel to kernel, with every law checked. What runs is a scenario with its options, a
 * scenario in a module of the person's own, the text of a program, or what follows from a RAM file.
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
import { givenInput } from './given_input.ts';
import { exitCode, renderResult } from './result.ts';
import { DEFAULT_SEED, inputFrom, SCENARIO_GIVEN, SCENARIO_OPTIONS, scenarioInput } from './scenario.ts';
import { isModule, scenarioModule } from './scenario_module.ts';
import { progress } from './terminal.ts';

export const RUN = entry({
  name: 'run',
  summary: 'run live updates from kernel to kernel, and check every law',
  arguments: [
    ['[file]', 'the text of a program, which brings its machine and seed along; or a module with a scenario'],
  ],
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

async function runOrder(given: Given, [path]: readonly string[]): Promise<RunOrder> {
  const savePath = text(given, 'saveRam');
  const { input, options, boot, words } = await source(given, path);
  if (savePath !== undefined && input.program.generations.length === 1) {
    throw new BadInput('--save-ram: no kernel jumps where there is only one; give two or more');
  }
  return {
    input,
    options,
    mailable: boot === undefined,
    boot,
    save: savePath === undefined ? undefined : { path: savePath, replacement: replacement(savePath) },
    json: given.json === true,
    again: commandLine(['run', ...words]),
  };
}

interface Source extends Pick<RunOrder, 'input' | 'options' | 'boot'> {
  /** What to type to run it again; where the result goes does not decide what happens. */
  readonly words: readonly string[];
}

/** What is to be run, wherever the person says that it comes from. */
async function source(given: Given, path: string | undefined): Promise<Source> {
  const words = optionsGiven(given, ['saveRam']);
  const seeded = optionsGiven({ ...given, seed: text(given, 'seed') ?? DEFAULT_SEED }, ['saveRam']);
  const bootPath = text(given, 'bootRam');
  if (path !== undefined) refuseBeside(given, quoted(path), ['scenario', 'bootRam']);
  if (bootPath !== undefined) {
    const file = ramFile(given, bootPath);
    return { input: file.header, options: undefined, boot: { path: bootPath, file }, words };
  }
  const named = text(given, 'scenario');
  const module = path ?? named;
  if (module !== undefined && (isModule(module) || named?.includes('/') === true)) {
    const scenario = await scenarioModule(
      module,
      path === undefined ? `--scenario ${quoted(module)}` : quoted(module),
    );
    const { input } = inputFrom(given, scenario);
    return { input, options: undefined, boot: undefined, words: [...asArgument(path), ...seeded] };
  }
  if (path === undefined) return { ...scenarioInput(given), boot: undefined, words: seeded };
  refuseBeside(given, quoted(path), SCENARIO_GIVEN);
  const { input, options } = givenInput([path], false);
  return { input, options, boot: undefined, words: [...asArgument(path), ...words] };
}

/** A path that no command takes for an option. */
const asArgument = (path: string | undefined): string[] =>
  path === undefined ? [] : [path !== '-' && path.startsWith('-') ? `./${path}` : path];

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
