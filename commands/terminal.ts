/*
 * What the terminal can do: colours, and a line of progress that overwrites itself.
 */
import pc from 'picocolors';
import { progressLine, scanLine } from '../reports/command_line.ts';

export function colours(): ReturnType<typeof pc.createColors> {
  const forced = (process.env.FORCE_COLOR ?? '') !== '';
  return pc.createColors(pc.isColorSupported && (forced || process.stdout.isTTY === true));
}

const PROGRESS_MS = 500;

/** On a terminal, says every now and then which kernel has left. */
export function progress(generations: number): (generation: number) => void {
  if (process.stderr.isTTY !== true) return () => {};
  let last = performance.now();
  return (generation) => {
    const now = performance.now();
    if (now - last < PROGRESS_MS && generation < generations - 2) return;
    last = now;
    process.stderr.write(progressLine(generation, generations));
  };
}

/** On a terminal, says every now and then how much of a dump was gone through. */
export function scanProgress(): (done: number, all: number) => void {
  if (process.stderr.isTTY !== true) return () => {};
  let last = performance.now();
  let said = false;
  return (done, all) => {
    const now = performance.now();
    if (done < all ? now - last < PROGRESS_MS : !said) return;
    last = now;
    said = true;
    process.stderr.write(scanLine(done, all));
  };
}
