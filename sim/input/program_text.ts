/*
 * The input of a run as text that a person reads and writes, a statement a line:
 *
 *   luosim 1                                     the format, first of all
 *   machine ram 1G nodes 1 cpus 2                these three are what holds where nothing is said
 *                                                `fragmented 50` behind it: half of memory is shattered
 *   profile icount
 *   seed 1
 *
 *   kernel v7.1 +get-name -serialize-rwsem       a revision; with `times 98` behind it so many kernels do the same
 *   boot mem=512M                                its command line, behind kho=on liveupdate=on: kernel/command_line.ts
 *   stage                                        its tasks run at the same time, the next stage when they have ended
 *     task agent                                 a task of that process
 *       create many-test-%d 0..1999              what it does: verbs.ts
 *
 *   fault luo_session_insert:block nth 3         an occurrence, from 0; or `probability 0.01`; or both
 *   choose luo_session_retrieve:unlocked 0 = 1   point, occurrence, choice; all other decisions take their default then
 *   choose defaults                              all decisions do
 *   corrupt 1 at 0x1401008 = 00ff                bytes of RAM between the jump of kernel 1 and the next boot
 *
 * Indentation and blank lines are for the eye; words, comments and quotation marks: program_words.ts.
 */
import type { Departure, Fault } from '../base/decisions.ts';
import { GENERATIONS_MAX } from '../base/limits.ts';
import type { CommandLine } from '../kernel/command_line.ts';
import type { MachineParams } from '../machine/machine.ts';
import type { Action, GenerationProgram, TaskProgram } from '../user/program.ts';
import { didYouMean } from './nearest.ts';
import { ProgramRules } from './program_rules.ts';
import {
  DEFAULTS,
  judgeCorruption,
  takeBoot,
  takeCorruption,
  takeDeparture,
  takeFault,
  takeMachine,
  takeProfile,
  takeRevision,
} from './program_statements.ts';
import { said, takeWhole, Words, Wrong } from './program_words.ts';
import type { Corruption, RunInput } from './run_input.ts';
import { isVerb, readAction, VERB_NAMES } from './verbs.ts';

/** What is wrong with a text, where, and how to mend it. */
export interface TextProblem {
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  readonly message: string;
}

export interface ParseOptions {
  /** Choices may be those of another luosim: points that this one does not have are let through. */
  readonly anyPoint?: boolean;
}

export const FORMAT = 1;

/** The input that a text says, or what is wrong with it. */
export function parseProgram(text: string, { anyPoint = false }: ParseOptions = {}): RunInput | TextProblem {
  const parser = new Parser(anyPoint);
  const lines = text.split('\n');
  try {
    for (const line of lines) parser.read(line);
    return parser.input();
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    return { line: parser.line, column: error.column, message: error.message };
  }
}

export const isTextProblem = (parsed: RunInput | TextProblem): parsed is TextProblem => 'message' in parsed;

type Statement = (words: Words, column: number) => void;

class Parser {
  /** The line under way. */
  line = 0;
  readonly #anyPoint: boolean;
  readonly #rules = new ProgramRules();
  #machine: MachineParams | undefined;
  #profile: string | undefined;
  #seed: string | undefined;
  readonly #generations: GenerationProgram[] = [];
  readonly #faults: Fault[] = [];
  #departures: Departure[] | undefined;
  /** Point and occurrence of each departure. */
  readonly #departed = new Set<string>();
  readonly #corruptions: Corruption[] = [];
  /** Where the next stage, task, action goes; undefined where there is no such place. */
  #stages: TaskProgram[][] | undefined;
  /** Where the command line of the kernel under way goes; undefined once a stage has begun. */
  #booted: ((line: CommandLine) => void) | undefined;
  #tasks: TaskProgram[] | undefined;
  #actions: Action[] | undefined;
  /** What can be judged only when all has been said, with its line. */
  readonly #judgements: (readonly [number, () => void])[] = [];

  constructor(anyPoint: boolean) {
    this.#anyPoint = anyPoint;
  }

  /** Throws Wrong. */
  read(line: string): void {
    this.line++;
    if (this.line === 1) {
      readFormat(line);
      return;
    }
    const words = new Words(line);
    if (words.peek() === undefined) return;
    const { text, column, quoted } = words.take('a statement');
    if (quoted) throw new Wrong(column, 'a line begins with a word that is not in quotation marks');
    const statement = Object.hasOwn(this.#statements, text) ? this.#statements[text] : undefined;
    if (statement !== undefined) {
      statement(words, column);
      words.end(`the line of a ${text} ends before it`);
    } else if (isVerb(text)) {
      if (this.#actions === undefined) throw homeless(column, text, 'task agent');
      const action = readAction(text, words);
      keepTo(this.#rules.act(action), column);
      this.#actions.push(action);
    } else {
      throw this.#unknown(text, column);
    }
  }

  /** All that was said; throws Wrong where it does not fit together. */
  input(): RunInput {
    if (this.#generations.length === 0) throw homeless(1, 'a run', 'kernel v7.3');
    for (const [line, judge] of this.#judgements) {
      this.line = line;
      judge();
    }
    return {
      machine: this.#machine ?? DEFAULTS.machine,
      profile: this.#profile ?? DEFAULTS.profile,
      seed: this.#seed ?? DEFAULTS.seed,
      program: { generations: this.#generations },
      ...(this.#faults.length === 0 ? {} : { faults: this.#faults }),
      ...(this.#departures === undefined ? {} : { departures: this.#departures }),
      ...(this.#corruptions.length === 0 ? {} : { corruptions: this.#corruptions }),
    };
  }

  readonly #statements: Readonly<Record<string, Statement>> = {
    machine: (words, column) => {
      once('machine', this.#machine, column);
      this.#machine = takeMachine(words);
    },
    profile: (words, column) => {
      once('profile', this.#profile, column);
      this.#profile = takeProfile(words);
    },
    seed: (words, column) => {
      once('seed', this.#seed, column);
      this.#seed = words.take('the seed').text;
    },
    kernel: (words, column) => this.#kernel(words, column),
    boot: (words, column) => {
      if (this.#booted === undefined) throw homeless(column, 'a command line', 'kernel v7.3');
      this.#booted(takeBoot(words));
      this.#booted = undefined;
    },
    stage: (_words, column) => {
      if (this.#stages === undefined) throw homeless(column, 'a stage', 'kernel v7.3');
      this.#booted = undefined;
      this.#rules.stage();
      this.#tasks = [];
      this.#stages.push(this.#tasks);
      this.#actions = undefined;
    },
    task: (words, column) => {
      if (this.#tasks === undefined) throw homeless(column, 'a task', 'stage');
      const process = words.take('the name of its process').text;
      keepTo(this.#rules.task(process), column);
      this.#actions = [];
      this.#tasks.push({ process, actions: this.#actions });
    },
    fault: (words, column) => {
      this.#leaveKernel();
      if (this.#faults.length === 0) this.#later(() => this.#faultsBesideChoices(column));
      this.#faults.push(takeFault(words));
    },
    choose: (words) => this.#choose(words),
    corrupt: (words) => {
      this.#leaveKernel();
      const places = takeCorruption(words);
      this.#corruptions.push(places.corruption);
      this.#later(() => {
        const { ramBytes } = this.#machine ?? DEFAULTS.machine;
        judgeCorruption(places, this.#generations.length, ramBytes);
      });
    },
  };

  #kernel(words: Words, column: number): void {
    const revision = takeRevision(words);
    const room = GENERATIONS_MAX - this.#generations.length;
    if (room === 0)
      throw new Wrong(column, `there are ${GENERATIONS_MAX} kernels before this one: no run has more`);
    let times = 1;
    if (words.peek() !== undefined) {
      words.expect('times');
      times = takeWhole(words, 'how many kernels do the same', 1, room);
    }
    this.#leaveKernel();
    this.#rules.kernel();
    this.#stages = [];
    const generation: { revision: string; boot?: CommandLine; stages: TaskProgram[][] } = {
      revision,
      stages: this.#stages,
    };
    this.#booted = (line) => {
      generation.boot = line;
    };
    for (let i = 0; i < times; i++) this.#generations.push(generation);
  }

  #choose(words: Words): void {
    this.#leaveKernel();
    this.#departures ??= [];
    const point = words.peek();
    if (point?.text === 'defaults') {
      words.expect('defaults');
      return;
    }
    const departure = takeDeparture(words, this.#anyPoint);
    const place = `${departure.occurrence} of ${departure.point}`;
    if (this.#departed.has(place)) {
      throw new Wrong(point?.column ?? 1, `occurrence ${place} is chosen before: leave one line away`);
    }
    this.#departed.add(place);
    this.#departures.push(departure);
  }

  #faultsBesideChoices(column: number): void {
    if (this.#departures === undefined) return;
    const message =
      'fault and choose exclude each other: where choices are said, a fault is `choose POINT NTH = 1`';
    throw new Wrong(column, message);
  }

  #later(judge: () => void): void {
    this.#judgements.push([this.line, judge]);
  }

  /** Stages, tasks and actions that follow belong to no kernel. */
  #leaveKernel(): void {
    this.#booted = undefined;
    this.#stages = undefined;
    this.#tasks = undefined;
    this.#actions = undefined;
  }

  #unknown(word: string, column: number): Wrong {
    const statements = Object.keys(this.#statements);
    const near = didYouMean(word, [...statements, ...VERB_NAMES]);
    const all = `; it begins with ${statements.join(', ')}, or a verb: ${VERB_NAMES.join(', ')}`;
    return new Wrong(column, `no line begins with ${said(word)}${near === '' ? all : near}`);
  }
}

function readFormat(line: string): void {
  // A byte order mark is the editor's.
  const words = new Words(line.replace(/^\ufeff/, ''));
  const first = `the first line of a program is luosim ${FORMAT}`;
  const word = words.peek();
  if (word?.text !== 'luosim') throw new Wrong(word?.column ?? 1, first);
  words.expect('luosim');
  const { text, column } = words.take(`the format, ${FORMAT},`);
  if (text !== String(FORMAT)) {
    throw new Wrong(
      column,
      `format ${said(text)} is not read here, only ${FORMAT}: use the luosim that wrote it`,
    );
  }
  words.end(first);
}

/** Something that belongs to something else stands for itself. */
const homeless = (column: number, what: string, before: string): Wrong =>
  new Wrong(column, `${what} needs a line before it like: ${before}`);

function once(what: string, said: unknown, column: number): void {
  if (said !== undefined) throw new Wrong(column, `${what} is said twice: leave one line away`);
}

function keepTo(broken: string | undefined, column: number): void {
  if (broken !== undefined) throw new Wrong(column, broken);
}
