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
  readPieces,
  readText,
  type ScenarioOptions,
  type TextProblem,
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
  /** The file it stands in; of a token and of standard input, which is gone once it is read, there is none. */
  readonly file: string | undefined;
}

/** `anyPoint`: choices may be those of another luosim, and what has no place here is told as a misfit. */
export function givenInput(args: readonly string[], anyPoint = true): GivenInput {
  const typed = args.join(' ');
  if (looksLikeToken(typed)) return fromToken(typed, 'token', undefined);
  const [path, ...more] = args;
  if (path === undefined) throw new BadInput('no input: give a token, which begins with luo1, or a file');
  if (more.length > 0) {
    throw new BadInput(
      `${quoted(typed)} is no token, which begins with luo1, and more than one file; give one`,
    );
  }
  const file = path === '-' ? undefined : path;
  const what = file === undefined ? 'standard input' : quoted(path);
  const content = hostFile(what, 'give a file, or a token, which begins with luo1', () => textOf(path));
  if (looksLikeToken(content)) return fromToken(content, `${what}: token`, file);
  const input = parseProgram(content, { anyPoint });
  if (isTextProblem(input)) throw new BadInput(`${file ?? what}:${placed(input)}`);
  return { input, options: undefined, file };
}

const RAM_FILE = 'luosim RAM file';

function textOf(path: string): string {
  if (path === '-') return readText(path);
  for (const piece of readPieces(path)) {
    const first = new TextDecoder('latin1').decode(piece.subarray(0, RAM_FILE.length));
    if (first === RAM_FILE) throw new BadInput(`${quoted(path)} is a RAM file: run it with --boot-ram`);
    break;
  }
  return readText(path);
}

const placed = ({ line, column, message }: TextProblem): string => `${line}:${column}: ${message}`;

function fromToken(typed: string, what: string, file: string | undefined): GivenInput {
  const content = decodeToken(typed);
  if (typeof content === 'string') throw new BadInput(`${what} ${content}`);
  if (content.kind === 'scenario') {
    return { ...within(`${what} of a scenario`, () => optionsInput(content.options)), file };
  }
  const input = parseProgram(content.text, { anyPoint: true });
  if (isTextProblem(input)) throw new BadInput(`${what} of a program:${placed(input)}`);
  return { input, options: undefined, file };
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
