/*
 * At which fragmentation a machine has room for sessions no longer, and whether runs agree.
 *
 *   free memory outside of scratch   pieces of 16 pages, and loose pages that are in none
 *   at P percent                     P of 100 pieces lack a page; the other 15 are loose
 *   the store                        takes whole pieces, where its blocks have 16 pages
 *   everything else                  takes loose pages while there are any, then breaks pieces up
 *
 * Runs: the same ratio of sessions and files to memory on a small machine, at the last percentage that is to go through and at
 * the first that is not.
 */
import { PAGE_SIZE } from '../base/limits.ts';
import { pagesOf } from '../base/units.ts';
import { PIECE_ORDER } from '../boot/shatter.ts';
import { capacityOf, type StoreShape } from '../check/store_shape.ts';
import type { Spread } from './file_forecast.ts';
import { type GenerationReport, NO_RETURN } from './result.ts';

const PIECE_PAGES = pagesOf(PIECE_ORDER);

/** Memory that sessions can have before there is any, outside of scratch: pages, and whole pieces of 16 of them. */
export interface Room {
  readonly pages: number;
  readonly pieces: number;
  /** fs.file-max. */
  readonly fileMax: number;
}

export interface ShatteredRun {
  readonly percent: number;
  /** Sessions that were created, and what ended the creating. */
  readonly created: number;
  readonly result: string;
  readonly asForetold: boolean;
}

export interface Shattered {
  readonly revision: string;
  readonly blockPages: number;
  /** From this percentage on not all sessions can be created; undefined where they always can. */
  readonly failsFromPercent: number | undefined;
  /** What was run to see whether that is so. */
  readonly ramBytes: number;
  readonly sessions: number;
  readonly files: number;
  readonly runs: readonly ShatteredRun[];
}

/** A machine as far as it decides here. */
export interface Memory {
  readonly ramBytes: number;
  readonly fragmentedPercent: number;
}

export interface ShatteredParams {
  readonly revision: string;
  readonly spread: Spread;
  readonly ramBytes: number;
  /** Pages that so much takes, once created. */
  readonly pagesCreated: (spread: Spread) => number;
  readonly shape: StoreShape;
  /** Files that a session can have. */
  readonly filesMax: number;
  /** Of the machine that is planned for, with nothing shattered. */
  readonly room: Room;
  /** Runs the creating of so much. */
  readonly kernelOf: (spread: Spread, memory: Memory) => GenerationReport;
}

/** The small machine, or the one that is planned for. */
const SMALL_RAM_BYTES = 128 * 2 ** 20;
const PERCENT_MAX = 100;

export function shattered(params: ShatteredParams): Shattered {
  const { revision, shape, room, kernelOf, spread } = params;
  const ramBytes = Math.min(params.ramBytes, SMALL_RAM_BYTES);
  const small = roomOf(kernelOf({ sessions: 0, files: 0 }, { ramBytes, fragmentedPercent: 0 }));
  const scaled = (n: number): number => Math.round((n * small.pages) / room.pages);
  // A second block, where the plan has one: the first may be there from boot on.
  const least = Math.min(spread.sessions, 2 * shape.perBlock);
  const sessions = Math.min(Math.max(scaled(spread.sessions), least), capacityOf(shape));
  const tried = { sessions, files: Math.min(scaled(spread.files), sessions * params.filesMax) };
  const threshold = failsFrom(params, tried, small) ?? PERCENT_MAX + 1;
  const runs = [threshold - 1, threshold]
    .filter((percent) => percent >= 0 && percent <= PERCENT_MAX)
    .map((percent) => runAt(percent, kernelOf(tried, { ramBytes, fragmentedPercent: percent }), threshold));
  const failsFromPercent = failsFrom(params, spread, room);
  return { revision, blockPages: pagesOf(shape.order), failsFromPercent, ramBytes, ...tried, runs };
}

function runAt(percent: number, { actions }: GenerationReport, threshold: number): ShatteredRun {
  const creates = actions.filter(({ verb }) => verb === 'create');
  // Of files as of sessions.
  const result = actions.find((action) => ![NO_RETURN, 'OK'].includes(action.result))?.result ?? 'OK';
  const created = creates.reduce((sum, { calls }) => sum + calls, 0);
  return { percent, created, result, asForetold: result === (percent < threshold ? 'OK' : 'ENOMEM') };
}

/** The room of a kernel that has no session. */
export const roomOf = ({ freePages, freePieces, scratchBytes, fileMax }: GenerationReport): Room => ({
  pages: freePages - scratchBytes / PAGE_SIZE,
  pieces: freePieces,
  fileMax,
});

function failsFrom(
  { pagesCreated, shape }: ShatteredParams,
  spread: Spread,
  { pages, pieces }: Room,
): number | undefined {
  const needed = pagesCreated(spread);
  const more = Math.max(blocksFor(shape, spread.sessions) - blocksAtBoot(shape), 0);
  const blocks = shape.order === PIECE_ORDER ? more : 0;
  const other = needed - blocks * PIECE_PAGES;
  for (let percent = 0; percent <= PERCENT_MAX; percent++) {
    const broken = Math.round((pieces * percent) / 100);
    const loose = pages - pieces * PIECE_PAGES + broken * (PIECE_PAGES - 1);
    const brokenUp = Math.ceil(Math.max(other - loose, 0) / PIECE_PAGES);
    if (blocks + brokenUp > pieces - broken) return percent;
  }
  return undefined;
}

/** Blocks that a store needs for sessions, as far as it can have more than one. */
export const blocksFor = ({ perBlock, blocksMax }: StoreShape, sessions: number): number =>
  blocksMax === 1 ? 1 : Math.ceil(sessions / perBlock);

/** Blocks that a store has before there is a session. */
export const blocksAtBoot = ({ publishedAtBoot }: StoreShape): number => (publishedAtBoot ? 1 : 0);
