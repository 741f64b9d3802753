/*
 * Command lines to copy, and the progress of a long one.
 */
import { grouped } from './words.ts';

/** A command for a POSIX shell, as a person would type it in a built clone. */
export const commandLine = (words: readonly string[]): string =>
  ['npx luosim', ...words.map(inShell)].join(' ');

function inShell(word: string): string {
  if (/^[\w%+,./:=@-]+$/.test(word)) return word;
  if (!/\p{Cc}/u.test(word)) return `'${word.replaceAll("'", "'\\''")}'`;
  const octal = [...new TextEncoder().encode(word)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`);
  return `"$(printf '${octal.join('')}')"`;
}

/** A line that overwrites itself; empty once the last kernel but one has left. */
export const progressLine = (generation: number, generations: number): string =>
  generation === generations - 2 ? '\r\x1b[K' : `\rkernel ${generation} of ${generations} has left\x1b[K`;

/** The same while a dump is gone through; empty at its end. */
export const scanLine = (done: number, all: number): string =>
  done >= all
    ? '\r\x1b[K'
    : `\rlooking for the root: ${grouped(mib(done))} of ${grouped(mib(all))} MiB\x1b[K`;

const mib = (bytes: number): number => Math.floor(bytes / 2 ** 20);
