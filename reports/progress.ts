/*
 * How far a run is, as one line: kernel, phase, calls of how many, how fast, how long until the phase is over, memory of
 * the process.
 */
import type { Phase } from '../sim/index.ts';
import { COLUMNS, clip, grouped, roundSize } from './words.ts';

/** A row under way; without figures, one that begins. */
export interface Moment {
  /** Of several runs, which one. */
  readonly about?: string;
  readonly generation: number;
  readonly phase: Phase;
  /** Calls so far, and in all: 0 where the phase is not made of calls. */
  readonly calls?: number;
  readonly of: number;
  /** Wall time so far. */
  readonly ms?: number;
  readonly rssBytes?: number;
}

/** What a phase is called, if not by its name. */
const NAMES: Partial<Record<Phase, string>> = {
  laws: 'laws in full',
  deserialize: 'first open: deserialize',
  verify: 'laws: every name in order',
  serialize: 'reboot hook: serialize',
  'close-device': 'close the device',
  load: 'load the next kernel',
};

export const phaseName = (phase: Phase): string => NAMES[phase] ?? phase;

/** Short enough not to wrap on a terminal. */
export function momentLine({ about, generation, phase, calls, of, ms, rssBytes }: Moment): string {
  const where = `${about === undefined ? '' : `${about}, `}kernel ${generation}: ${phaseName(phase)}`;
  return clip([where, ...figuresOf(calls, of, ms), ...memory(rssBytes)].join(', '), COLUMNS - 1);
}

function figuresOf(calls: number | undefined, of: number, ms: number | undefined): string[] {
  if (ms === undefined || calls === undefined) return of > 1 ? [`${grouped(of)} calls`] : [];
  if (of <= 1) return [seconds(ms)];
  const perMs = calls / Math.max(ms, 1);
  const left = perMs > 0 ? [`${seconds((of - calls) / perMs)} left`] : [];
  return [`${grouped(calls)} of ${grouped(of)}`, `${grouped(Math.round(perMs * 1000))}/s`, ...left];
}

const memory = (rssBytes: number | undefined): string[] =>
  rssBytes === undefined ? [] : [roundSize(rssBytes)];

const seconds = (ms: number): string => `${Math.ceil(ms / 1000)} s`;
