/*
 * What files add to an update, foretold from updates of one or two thousand files: steps of every kind in every part, and
 * pages of memory, less those of the same update without files. What a file takes depends on the files of its own
 * session alone, so both are a sum over
 *
 *   one       once a file is there at all
 *   sessions  that have files
 *   blocks    of the file store, in all sessions; a store of one region has as many as sessions
 *   files
 *   pairs     of files of the same session: a token is looked for along the session's list
 *
 * and each of the five has a price that follows from five updates. A sixth, of more files in a session than any of them
 * and not the same number in every one, says how far that is off.
 */
import { assert } from '../base/assert.ts';
import { capacityOf, type FileShape } from '../check/store_shape.ts';
import { STEP_KINDS, type StepKind } from '../machine/cpu.ts';
import { nsOf, priced, type Steps } from './blackout.ts';
import { FILE_PHASES, type Sample, UPDATE_MEMORY, type UpdateMemory } from './forecast.ts';

/** Parts of an update in which files take steps. */
export const PHASES_OF_FILES = ['reboot', 'open', ...FILE_PHASES] as const;
export type PhaseOfFiles = (typeof PHASES_OF_FILES)[number];

/** Files in sessions, as evenly as they go. */
export interface Spread {
  readonly sessions: number;
  readonly files: number;
}

/** An update with files, and the same without. */
interface Pair {
  readonly spread: Spread;
  readonly withFiles: Sample;
  readonly without: Sample;
}

/** Of an update that is a sample: enough that a slab's last page is little. */
const FILES_OF_SAMPLE = 2000;

export class FileForecast {
  readonly #shape: FileShape;
  readonly #basis: readonly Pair[];
  readonly #check: Pair;

  /** `update` runs one with so many files in so many sessions, at most 800. */
  constructor(update: (spread: Spread) => Sample, shape: FileShape) {
    const filesMax = capacityOf(shape);
    this.#shape = shape;
    const pairOf = (sessions: number, files: number): Pair => ({
      spread: { sessions, files },
      withFiles: update({ sessions, files }),
      without: update({ sessions, files: 0 }),
    });
    const spreads = this.#hasBlocks
      ? [shape.perBlock, shape.perBlock + 1, 2 * shape.perBlock]
      : [64, filesMax];
    const each = spreads.map((files): [number, number] => [Math.ceil(FILES_OF_SAMPLE / files), files]);
    this.#basis = [[400, 1] as const, [800, 1] as const, ...each].map(([n, files]) => pairOf(n, n * files));
    const most = this.#hasBlocks ? 3 * shape.perBlock + 7 : filesMax - 1;
    this.#check = pairOf(16, 16 * most + 5);
  }

  get samples(): Spread[] {
    return this.#basis.map(({ spread }) => spread);
  }

  get checkedWith(): Spread {
    return this.#check.spread;
  }

  /** The worst of times of all that has to do with files, by every profile, and of pages. */
  get residualPercent(): number {
    const { spread, withFiles, without } = this.#check;
    const pairs = UPDATE_MEMORY.map((what): [number, number] => [
      without.pages[what] + this.pages(what, spread),
      withFiles.pages[what],
    ]);
    for (const phase of PHASES_OF_FILES) {
      const real = Object.values(priced([withFiles.steps[phase]]).times);
      const foretold = Object.values(priced([without.steps[phase], this.steps(phase, spread)]).times);
      for (const [i, time] of real.entries()) pairs.push([nsOf(foretold[i] ?? time), nsOf(time)]);
    }
    const worst = Math.max(...pairs.map(([foretold, real]) => Math.abs(foretold / real - 1)));
    return Math.round(worst * 10_000) / 100;
  }

  /** Steps that files add. */
  steps(phase: PhaseOfFiles, spread: Spread): Steps {
    const steps: Partial<Record<StepKind, number>> = {};
    for (const kind of STEP_KINDS) {
      const n = Math.round(this.#sum((sample) => sample.steps[phase][kind] ?? 0, spread));
      if (n > 0) steps[kind] = n;
    }
    return steps;
  }

  /** Pages that files add, their contents among them. */
  pages(what: UpdateMemory, spread: Spread): number {
    return Math.max(0, Math.round(this.#sum(({ pages }) => pages[what], spread)));
  }

  #sum(of: (sample: Sample) => number, spread: Spread): number {
    if (spread.files === 0) return 0;
    const prices = solve(
      this.#basis.map((pair) => this.#features(pair.spread)),
      this.#basis.map(({ withFiles, without }) => of(withFiles) - of(without)),
    );
    return this.#features(spread).reduce((sum, n, i) => sum + n * (prices[i] as number), 0);
  }

  get #hasBlocks(): boolean {
    return this.#shape.blocksMax > 1;
  }

  #features({ sessions, files }: Spread): number[] {
    const least = Math.floor(files / sessions);
    const more = files % sessions;
    const sum = (of: (each: number) => number): number =>
      more * of(least + 1) + (sessions - more) * of(least);
    const blocks = sum((each) => Math.ceil(each / this.#shape.perBlock));
    const pairs = sum((each) => (each * (each - 1)) / 2);
    return [1, Math.min(sessions, files), ...(this.#hasBlocks ? [blocks] : []), files, pairs];
  }
}

/** The x with rows * x = values, by elimination; rows are as many as columns, and independent. */
function solve(rows: readonly (readonly number[])[], values: readonly number[]): number[] {
  const left = rows.map((row, i) => [...row, values[i] as number]);
  const n = left.length;
  for (let column = 0; column < n; column++) {
    const best = left.reduce(
      (most, row, i) =>
        i >= column && Math.abs(row[column] ?? 0) > Math.abs(left[most]?.[column] ?? 0) ? i : most,
      column,
    );
    [left[column], left[best]] = [left[best] as number[], left[column] as number[]];
    const pivot = left[column] as number[];
    assert(pivot.length === n + 1 && pivot[column] !== 0, 'samples are independent');
    for (const [i, row] of left.entries()) {
      if (i === column) continue;
      const factor = (row[column] as number) / (pivot[column] as number);
      for (let k = column; k <= n; k++) row[k] = (row[k] as number) - factor * (pivot[k] as number);
    }
  }
  return left.map((row, i) => (row[n] as number) / (row[i] as number));
}
