/*
 * The input of a run as a person gives it: a token, however a mail has broken it; the name of a file that holds a token
 * or the text of a program; or - for standard input.
 */
import {
  decodeToken,
  isTextProblem,
  looksLikeToken,
  parseProgram,
  type RunInput,
  readText,
  type ScenarioOptions,
} from '../sim/index.ts';
import { BadInput, type Described, hostFile, quoted } from './command.ts';
import { optionsInput } from './scenario.ts';

export const INPUT_ARGUMENT: Described = [
  '[input...]',
  'a token, a file with a token or the text of a program, or - for standard input',
];

export interface GivenInput {
  readonly input: RunInput;
  /** Of a token that keeps a scenario. */
  readonly options: ScenarioOptions | undefined;
  /** As words of a command line. */
  readonly words: readonly string[];
}

export function givenInput(args: readonly string[]): GivenInput {
  const typed = args.join(' ');
  if (looksLikeToken(typed)) return fromToken(typed, 'token', [typed.replace(/\s+/g, '')]);
  const [path, ...more] = args;
  if (path === undefined) throw new BadInput('no input: give a token, which begins with luo1, or a file');
  if (more.length > 0) {
    throw new BadInput(
      `${quoted(typed)} is no token, which begins with luo1, and more than one file; give one`,
    );
  }
  const what = path === '-' ? 'standard input' : quoted(path);
  const content = hostFile(what, 'give a file, or a token, which begins with luo1', () => readText(path));
  if (looksLikeToken(content)) return fromToken(content, `${what}: token`, args);
  const input = parseProgram(content, { anyPoint: true });
  if (isTextProblem(input))
    throw new BadInput(`${what} line ${input.line}, column ${input.column}: ${input.message}`);
  return { input, options: undefined, words: args };
}

function fromToken(typed: string, what: string, words: readonly string[]): GivenInput {
  const content = decodeToken(typed);
  if (typeof content === 'string') throw new BadInput(`${what} ${content}`);
  if (content.kind === 'scenario') {
    return { ...within(`${what} of a scenario`, () => optionsInput(content.options)), words };
  }
  const input = parseProgram(content.text, { anyPoint: true });
  if (isTextProblem(input)) {
    throw new BadInput(`${what} of a program, line ${input.line}, column ${input.column}: ${input.message}`);
  }
  return { input, options: undefined, words };
}

/** What is wrong with the options of a token is said as such. */
function within<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof BadInput) throw new BadInput(`${what}: ${error.message}`);
    throw error;
  }
}
