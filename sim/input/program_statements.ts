/*
 * The statements of a program's text, but for stages, tasks and what they do: what stands behind the first word, read
 * and written. program_text.ts shows them.
 */
import type { Departure, Fault } from '../base/decisions.ts';
import { CPUS_MAX, NODES_MAX } from '../base/limits.ts';
import { type Concern, pointByName, pointConcern, pointsOf } from '../base/point.ts';
import { hex } from '../base/units.ts';
import { type CommandLine, PARAMETERS, type Parameter } from '../kernel/command_line.ts';
import { ICOUNT, PROFILE_NAMES } from '../kernel/cost.ts';
import { PATCHES } from '../kernel/patches.ts';
import { parseRevision, REVISIONS } from '../kernel/revisions.ts';
import { type MachineParams, machineParamsError } from '../machine/machine.ts';
import { didYouMean } from './nearest.ts';
import {
  said,
  takeSize,
  takeWhole,
  type Word,
  type Words,
  Wrong,
  written,
  writtenSize,
} from './program_words.ts';
import type { Corruption, RunInput } from './run_input.ts';
import { CHOICE_MAX, isProbability, OCCURRENCE_MAX } from './run_input_json.ts';

/** What holds where a text says nothing: part of the format, so that a text stays the same input. */
export const DEFAULTS: Omit<RunInput, 'program'> = {
  machine: { ramBytes: 2 ** 30, nodes: 1, cpus: 2 },
  profile: ICOUNT.name,
  seed: '1',
};

/** A name that is none of those known. */
function unknown({ text, column }: Word, what: string, names: readonly string[]): Wrong {
  const near = didYouMean(text, names);
  return new Wrong(
    column,
    `no ${what} is named ${said(text)}${near === '' ? `; there are ${names.join(', ')}` : near}`,
  );
}

// --- machine, profile, revision -----------------------------------------------------------------------------------

const MACHINE_WORDS = ['ram', 'nodes', 'cpus', 'fragmented'] as const;
/** What stands behind a word, from what to what. */
const MACHINE_NUMBERS = {
  nodes: ['the number of nodes', 1, NODES_MAX],
  cpus: ['the number of cpus', 1, CPUS_MAX],
  fragmented: ['the percentage of memory', 0, 100],
} as const;

const takeNumber = (words: Words, key: keyof typeof MACHINE_NUMBERS): number => {
  const [what, min, max] = MACHINE_NUMBERS[key];
  return takeWhole(words, what, min, max);
};

export function takeMachine(words: Words): MachineParams {
  const given: Partial<Record<(typeof MACHINE_WORDS)[number], number>> = {};
  let at: Word | undefined;
  do {
    const key = words.take(`${MACHINE_WORDS.slice(0, -1).join(', ')} or ${MACHINE_WORDS.at(-1)}`);
    const text = MACHINE_WORDS.find((known) => known === key.text);
    if (text === undefined) throw unknown(key, 'part of a machine', MACHINE_WORDS);
    if (given[text] !== undefined) throw new Wrong(key.column, `${text} is said twice: leave one away`);
    if (text === 'ram' || text === 'nodes') at = words.peek();
    if (text === 'ram') given.ram = takeSize(words, 'the size of RAM');
    else given[text] = takeNumber(words, text);
  } while (words.peek() !== undefined);
  const { ramBytes, nodes, cpus } = DEFAULTS.machine;
  const machine = {
    ramBytes: given.ram ?? ramBytes,
    nodes: given.nodes ?? nodes,
    cpus: given.cpus ?? cpus,
    ...(given.fragmented === undefined ? {} : { fragmentedPercent: given.fragmented }),
  };
  const error = machineParamsError(machine);
  if (error !== undefined) throw new Wrong(at?.column ?? 1, error);
  return machine;
}

export function writtenMachine({ ramBytes, nodes, cpus, fragmentedPercent }: MachineParams): string {
  const { machine } = DEFAULTS;
  const parts = [
    ramBytes === machine.ramBytes ? '' : ` ram ${writtenSize(ramBytes)}`,
    nodes === machine.nodes ? '' : ` nodes ${nodes}`,
    cpus === machine.cpus ? '' : ` cpus ${cpus}`,
    fragmentedPercent === undefined ? '' : ` fragmented ${fragmentedPercent}`,
  ].join('');
  return parts === '' ? '' : `machine${parts}`;
}

export function takeProfile(words: Words): string {
  const word = words.take('a profile');
  if (!PROFILE_NAMES.includes(word.text)) throw unknown(word, 'profile', PROFILE_NAMES);
  return word.text;
}

/** A revision with changes, up to `times` or the end of the line. */
export function takeRevision(words: Words): string {
  const base = words.take('a revision, like v7.3,');
  const names = REVISIONS.map(({ name }) => name);
  if (!names.includes(base.text)) throw unknown(base, 'revision', names);
  const patches = PATCHES.map(({ name }) => name);
  const all = [base.text];
  for (let word = words.peek(); word !== undefined && word.text !== 'times'; word = words.peek()) {
    words.take('a patch');
    const patch = word.text.slice(1);
    if (!/^[+-]/.test(word.text)) {
      throw new Wrong(word.column, `${said(word.text)} stands where +PATCH, -PATCH or times should be`);
    }
    if (!patches.includes(patch)) throw unknown({ ...word, text: patch }, 'patch', patches);
    all.push(word.text);
  }
  const revision = parseRevision(all.join(' '));
  if (typeof revision === 'string') throw new Wrong(base.column, revision);
  return all.join(' ');
}

// --- command line -------------------------------------------------------------------------------------------------

/** Parameters as NAME=VALUE; the value may be anything, the kernel judges it. */
export function takeBoot(words: Words): CommandLine {
  const line: Partial<Record<Parameter, string>> = {};
  do {
    const word = words.take(`a parameter: ${PARAMETERS.map((name) => `${name}=`).join(', ')};`);
    const [text = '', ...value] = word.text.split('=');
    const name = PARAMETERS.find((known) => known === text);
    if (name === undefined) throw unknown({ ...word, text }, 'parameter', PARAMETERS);
    if (value.length === 0) throw new Wrong(word.end, `here = and a value are missing`);
    if (line[name] !== undefined) throw new Wrong(word.column, `${name}= is said twice: leave one away`);
    line[name] = value.join('=');
  } while (words.peek() !== undefined);
  return line;
}

export function writtenBoot(line: CommandLine): string {
  const given = PARAMETERS.filter((name) => line[name] !== undefined);
  return ['boot', ...given.map((name) => writtenParameter(name, line[name] as string))].join(' ');
}

/** The = needs no quotation marks. */
function writtenParameter(name: Parameter, value: string): string {
  return value === '' || written(value) === value ? `${name}=${value}` : written(`${name}=${value}`);
}

// --- decisions ----------------------------------------------------------------------------------------------------

function takePoint(words: Words, concern?: Concern): string {
  const word = words.take('a point, like luo_session_insert:block,');
  const point = pointByName(word.text);
  if (point === undefined)
    throw unknown(word, concern === 'fault' ? 'point that can fail' : 'point', pointsOf(concern));
  if (concern === undefined || pointConcern(point) === concern) return word.text;
  throw new Wrong(word.column, `nothing can fail at ${word.text}; it can at ${pointsOf(concern).join(', ')}`);
}

export function takeFault(words: Words): Fault {
  const point = takePoint(words, 'fault');
  let nth: number | undefined;
  let probability: number | undefined;
  do {
    const how = words.take('nth or probability');
    if (how.text === 'nth' && nth === undefined) {
      nth = takeWhole(words, 'an occurrence, counted from 0', 0, OCCURRENCE_MAX);
    } else if (how.text === 'probability' && probability === undefined) {
      const word = words.take('a probability');
      probability = /^\d*\.?\d+(e[+-]?\d+)?$/i.test(word.text) ? Number(word.text) : 0;
      if (!isProbability(probability)) {
        throw new Wrong(word.column, `${said(word.text)} is no probability: give a number above 0, up to 1`);
      }
    } else {
      throw new Wrong(how.column, `${said(how.text)} stands where nth or probability should be, each once`);
    }
  } while (words.peek() !== undefined);
  return {
    point,
    ...(nth === undefined ? {} : { nth }),
    ...(probability === undefined ? {} : { probability }),
  };
}

export function writtenFault({ point, nth, probability }: Fault): string {
  const parts = [
    nth === undefined ? '' : ` nth ${nth}`,
    probability === undefined ? '' : ` probability ${probability}`,
  ];
  return `fault ${written(point)}${parts.join('')}`;
}

/** `anyPoint`: also one that this luosim does not have. */
export function takeDeparture(words: Words, anyPoint: boolean): Departure {
  const point = anyPoint ? words.take('a point').text : takePoint(words);
  const occurrence = takeWhole(words, 'an occurrence, counted from 0', 0, OCCURRENCE_MAX);
  words.expect('=');
  const choice = takeWhole(words, 'a choice that is not the default', 1, CHOICE_MAX);
  return { point, occurrence, choice };
}

export const writtenDeparture = ({ point, occurrence, choice }: Departure): string =>
  `choose ${written(point)} ${occurrence} = ${choice}`;

// --- corruptions --------------------------------------------------------------------------------------------------

/** The kernel and the address, for what can be wrong with them once all kernels are known; and the corruption. */
export interface CorruptionPlaces {
  readonly kernel: Word;
  readonly address: Word;
  readonly corruption: Corruption;
}

const ADDRESS_MAX = Number.MAX_SAFE_INTEGER;

export function takeCorruption(words: Words): CorruptionPlaces {
  const kernel = words.peek() as Word;
  const generation = takeWhole(words, 'the number of the kernel that jumps', 0, ADDRESS_MAX);
  words.expect('at');
  const address = words.peek() as Word;
  const phys = takeWhole(words, 'a physical address', 0, ADDRESS_MAX);
  words.expect('=');
  let bytes = '';
  do {
    const { text, column } = words.take('bytes in hexadecimal');
    if (!/^([0-9a-f]{2})+$/i.test(text)) {
      throw new Wrong(column, `${said(text)} is not bytes: give two hexadecimal digits for each`);
    }
    bytes += text.toLowerCase();
  } while (words.peek() !== undefined);
  return { kernel, address, corruption: { generation, phys, bytes } };
}

/** Throws Wrong where no kernel jumps there, or RAM has no such bytes. */
export function judgeCorruption(
  { kernel, address, corruption }: CorruptionPlaces,
  kernels: number,
  ramBytes: number,
): void {
  const { generation, phys, bytes } = corruption;
  if (generation >= kernels - 1) {
    const last = `kernel ${kernels - 1} is the last and does not jump`;
    throw new Wrong(kernel.column, `${said(kernel.text)} is no kernel that jumps: ${last}`);
  }
  if (phys + bytes.length / 2 <= ramBytes) return;
  throw new Wrong(address.column, `this lies outside of RAM, which ends at ${hex(ramBytes)}`);
}

export const writtenCorruption = ({ generation, phys, bytes }: Corruption): string =>
  `corrupt ${generation} at ${hex(phys)} = ${bytes}`;
