/*
 * Numbers, sizes and spans of virtual time as a person reads them; and text from outside, made safe to print.
 */
import type picocolors from 'picocolors';
import type { Time } from '../sim/index.ts';

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const TIB = 2 ** 40;
const SECOND_NS = 1_000_000_000;
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** 1999000 is "1,999,000". */
export const grouped = (n: number): string => String(n).replace(/\B(?=(\d{3})+$)/g, ',');

/** "3 blocks", "1 block". */
export const counted = (n: number, noun: string): string => `${grouped(n)} ${noun}${n === 1 ? '' : 's'}`;

export const hex = (n: number): string => `0x${n.toString(16)}`;

/** Bytes in the largest unit that leaves no fraction: "1 GiB". */
export function size(bytes: number): string {
  if (bytes % TIB === 0) return `${bytes / TIB} TiB`;
  if (bytes % GIB === 0) return `${bytes / GIB} GiB`;
  return bytes % MIB === 0 ? `${bytes / MIB} MiB` : `${grouped(bytes)} bytes`;
}

/** Bytes as a person says them, one decimal: "1.2 MiB". */
export function roundSize(bytes: number): string {
  const unit = bytes >= GIB ? GIB : bytes >= MIB ? MIB : KIB;
  const name = unit === GIB ? 'GiB' : unit === MIB ? 'MiB' : 'KiB';
  return `${(bytes / unit).toFixed(1)} ${name}`;
}

export function since(from: Time, to: Time): Time {
  const ns = to.ns - from.ns;
  const seconds = to.seconds - from.seconds;
  return ns < 0 ? { seconds: seconds - 1, ns: ns + SECOND_NS } : { seconds, ns };
}

export function plus(a: Time, b: Time): Time {
  const ns = a.ns + b.ns;
  const carry = ns >= SECOND_NS ? 1 : 0;
  return { seconds: a.seconds + b.seconds + carry, ns: ns - carry * SECOND_NS };
}

/** Three decimals of the unit that fits, cut off: "255.794 ms"; one from two minutes on: "17.4 h". */
export function span({ seconds, ns }: Time): string {
  if (seconds >= 2 * DAY)
    return `${grouped(Math.floor(seconds / DAY))}.${Math.floor((seconds % DAY) / (DAY / 10))} days`;
  if (seconds >= 2 * HOUR)
    return `${Math.floor(seconds / HOUR)}.${Math.floor((seconds % HOUR) / (HOUR / 10))} h`;
  if (seconds >= 2 * MINUTE)
    return `${Math.floor(seconds / MINUTE)}.${Math.floor((seconds % MINUTE) / (MINUTE / 10))} min`;
  if (seconds > 0) return `${grouped(seconds)}.${decimals(ns, 1_000_000)} s`;
  if (ns >= 1_000_000) return `${Math.floor(ns / 1_000_000)}.${decimals(ns % 1_000_000, 1000)} ms`;
  if (ns >= 1000) return `${Math.floor(ns / 1000)}.${decimals(ns % 1000, 1)} us`;
  return `${ns} ns`;
}

const decimals = (n: number, unit: number): string => String(Math.floor(n / unit)).padStart(3, '0');

/** Text on one line: whatever would move the cursor or colour the terminal is written as its code. */
export const printable = (text: string): string =>
  text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (c) => `\\u${(c.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );

/** Cut to a width, with two dots where something is missing. */
export function clip(text: string, width: number): string {
  const letters = [...text];
  return letters.length <= width ? text : `${letters.slice(0, Math.max(width - 2, 0)).join('')}..`;
}

/** Lines of whole words; a word that is too long is clipped. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    line = clip(line === '' ? word : `${line} ${word}`, width);
  }
  return [...lines, line];
}

/** What a terminal can show, or nothing of it. */
export type Colors = ReturnType<typeof picocolors.createColors>;

/** Width of a terminal, and of the labels at its left edge. */
export const COLUMNS = 80;
export const LABEL = 12;

/** A label in its column and what it says, cut to the width. */
export const labelled = (label: string, text: string): string =>
  label.padEnd(LABEL) + clip(text, COLUMNS - LABEL);

/** A label in its column, and as many lines as the text takes. */
export const labelledLines = (label: string, text: string, width = COLUMNS): string[] =>
  wrap(text, width - LABEL).map((line, i) => (i === 0 ? label : '').padEnd(LABEL) + line);
