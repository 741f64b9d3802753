/*
 * Designs side by side on a terminal, 80 columns: a block for each size, a row for each design and price list.
 *
 *   create     all sessions
 *   blackout   reboot hook, boot, first open of the device
 *   usable     with every session retrieved
 */
import type picocolors from 'picocolors';
import type { CompareRow, Comparison, Growth, Time } from '../sim/index.ts';
import { clip, counted, grouped, printable, span } from './words.ts';

type Colors = ReturnType<typeof picocolors.createColors>;

export function compareReport(
  { rows, growth }: Comparison,
  { again, colours }: { readonly again: string; readonly colours: Colors },
): string {
  const sizes = [...new Set(rows.map(({ sessions }) => sessions))];
  const mixed = new Set(rows.map(({ revision }) => revision.split(' ')[0])).size > 1;
  const lines = sizes.flatMap((size) => {
    const of = rows.filter(({ sessions }) => sessions === size);
    const title = columns(counted(size, 'session'), '', 'create', 'blackout', 'usable');
    return [colours.bold(title), ...of.flatMap((row) => block(row, mixed, colours)), ''];
  });
  if (growth.length > 0) lines.push(...growthLines(growth, mixed), '');
  const broken = rows.filter(({ violations }) => violations.length > 0).length;
  lines.push(
    broken === 0 ? colours.green('all laws held') : colours.red(`${counted(broken, 'run')} broke a law`),
    again,
  );
  return lines.map((line) => `${line}\n`).join('');
}

/** A line that overwrites itself; empty once all are done. */
export const compareProgress = (done: number, of: number): string =>
  done === of ? '\r\x1b[K' : `\r${done} of ${of} runs done\x1b[K`;

const columns = (design: string, profile: string, create: string, blackout: string, usable: string): string =>
  `${clip(design, 30).padEnd(30)}${profile.padEnd(8)}${create.padStart(14)}${blackout.padStart(14)}${usable.padStart(14)}`;

const nameOf = (revision: string, nameIndex: string, mixed: boolean): string =>
  mixed ? `${revision.split(' ')[0]} ${nameIndex}` : nameIndex;

function block(row: CompareRow, mixed: boolean, colours: Colors): string[] {
  const { revision, nameIndex, create, blackout, created, sessions, result, violations } = row;
  const shown = (times: Readonly<Record<string, Time>> | undefined, profile: string): string => {
    const time = times?.[profile];
    return time === undefined ? '-' : span(time);
  };
  const lines = Object.keys(create.times).map((profile, i) =>
    columns(
      i === 0 ? `  ${nameOf(revision, nameIndex, mixed)}` : '',
      profile,
      shown(create.times, profile),
      shown(blackout?.open.times, profile),
      shown(blackout?.usable.times, profile),
    ),
  );
  const pages = `${counted(row.preservedPages, 'page')} cross, the largest block ${counted(row.largestPages, 'page')}`;
  lines.push(colours.dim(`    ${pages}; room for ${counted(row.capacity, 'session')}`));
  if (created < sessions) {
    lines.push(colours.yellow(`    ${result} after ${counted(created, 'session')}`));
  }
  const [first] = violations;
  if (first !== undefined) lines.push(colours.red(clip(`    ${first.law}: ${printable(first.text)}`, 80)));
  return lines;
}

function growthLines(growth: readonly Growth[], mixed: boolean): string[] {
  const sizes = [...new Set(growth.flatMap((fit) => fit.sizes))].map(grouped).join(', ');
  return [
    `growth over ${sizes} sessions, as sessions to the power of:`,
    ...growth.map(({ revision, nameIndex, phase, profile, exponent, residualPercent }) => {
      const what = phase === 'create' ? 'create' : 'first open';
      const fit = `${exponent.toFixed(2)}, within ${residualPercent.toFixed(1)} %`;
      return `  ${clip(nameOf(revision, nameIndex, mixed), 28).padEnd(28)}${profile.padEnd(8)}${what.padEnd(12)}${fit}`;
    }),
  ];
}
