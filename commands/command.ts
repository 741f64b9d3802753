/*
 * What a command is: a row of the table in cli.ts with its arguments and options, the function of the simulator that
 * does the work, and the renderer of its result. And what every row needs to read what a person typed.
 *
 * Bad input is one line that says what is wrong, where, and how to mend it.
 */
import { printable } from '../reports/words.ts';
import { FileProblem } from '../sim/index.ts';

/** 0 all laws held   1 a violation was found   2 bad input   70 a fault in luosim   130 interrupted */
export const EXIT = { held: 0, violation: 1, badInput: 2, fault: 70, interrupted: 130 } as const;

/** What the person gave cannot be used; the message is the line to print. */
export class BadInput extends Error {
  override readonly name = 'BadInput';
}

/** Options as given; one that was not given is absent. */
export type Given = Readonly<Record<string, string | true | readonly string[] | undefined>>;

/** Flags or name, and help. */
export type Described = readonly [string, string];

export interface Row<Order, Result> {
  readonly name: string;
  readonly summary: string;
  /** `<name>` must be given, `[name]` may be. */
  readonly arguments?: readonly Described[];
  readonly options: readonly Described[];
  /** What to do, from options and arguments; throws BadInput. */
  readonly order: (given: Given, args: readonly string[]) => Order | Promise<Order>;
  readonly work: (order: Order) => Result | Promise<Result>;
  readonly render: (result: Result, order: Order) => Iterable<string>;
  readonly exitCode: (result: Result) => number;
}

export interface Entry extends Pick<Row<never, never>, 'name' | 'summary' | 'arguments' | 'options'> {
  readonly execute: (given: Given, args: readonly string[]) => Promise<number>;
}

export function entry<Order, Result>(row: Row<Order, Result>): Entry {
  const execute = async (given: Given, args: readonly string[]): Promise<number> => {
    const order = await row.order(given, args);
    const result = await row.work(order);
    for (const piece of row.render(result, order)) process.stdout.write(piece);
    return row.exitCode(result);
  };
  return { ...row, execute };
}

/** Said to the person once the result is out; makes the exit code that of bad input. */
export const afterwards: string[] = [];

export const quoted = (value: string): string => `"${value}"`;

export const complain = (message: string): void => {
  process.stderr.write(`luosim: ${printable(message)}\n`);
};

// --- options ------------------------------------------------------------------------------------------------------

export function text(given: Given, option: string): string | undefined {
  const value = given[option];
  return typeof value === 'string' ? value : undefined;
}

/** The option as typed: `saveRam` is `--save-ram`. */
export const flag = (option: string): string =>
  `--${option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

export function whole(given: Given, option: string, min: number, max: number): number | undefined {
  const value = text(given, option);
  if (value === undefined) return undefined;
  const n = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (n >= min && n <= max) return n;
  throw new BadInput(`${flag(option)} ${quoted(value)}: give a whole number from ${min} to ${max}`);
}

export const UNITS: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** Bytes. */
export function ramSize(given: Given): number | undefined {
  const value = text(given, 'ram');
  if (value === undefined) return undefined;
  const [, digits = '', unit = ''] = /^(\d{1,15})(?:([KMGT])(?:i?B)?)?$/i.exec(value) ?? [];
  if (digits !== '') return Number(digits) * (UNITS[unit.toUpperCase()] ?? 1);
  throw new BadInput(`--ram ${quoted(value)} is no size; give a whole number with K, M, G or T, like 512M`);
}

export function refuseBeside(given: Given, what: string, others: readonly string[]): void {
  const conflict = others.find((option) => given[option] !== undefined);
  if (conflict !== undefined)
    throw new BadInput(`${what} and ${flag(conflict)} exclude each other; leave one away`);
}

/** Options as typed, in their order, without some. */
export const optionsGiven = (given: Given, without: readonly string[]): string[] =>
  Object.entries(given).flatMap(([option, value]) =>
    typeof value === 'string' && !without.includes(option) ? [flag(option), value] : [],
  );

/** Does something with a file of the host; what it refuses is said in one line. */
export function hostFile<T>(what: string, mend: string, operation: () => T): T {
  try {
    return operation();
  } catch (error) {
    if (error instanceof FileProblem) throw new BadInput(`${what} ${error.message}; ${mend}`);
    throw error;
  }
}
