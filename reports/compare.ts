/*
 * Designs side by side on a terminal, 80 columns: a block for each size and revision, a row for each name index and
 * price list.
 *
 *   memory     of the index, beside the sessions
 *   create     all sessions
 *   blackout   reboot hook, boot, first open of the device
 *   usable     with every session retrieved
 */
import type { CompareRow, Comparison, Growth, Time } from '../sim/index.ts';
import { COLUMNS, type Colors, clip, counted, grouped, printable, roundSize, span } from './words.ts';

const PAGE_BYTES = 4096;

export function compareReport(
  { rows, growth, interrupted }: Comparison & { readonly interrupted?: true },
  { again, colours }: { readonly again: string; readonly colours: Colors },
): string {
  const blocks = groups(rows, ({ revision, sessions }) => `${sessions} ${baseOf(revision)}`);
  const lines = blocks.flatMap((of) => [...block(of, colours), '']);
  if (growth.length > 0) lines.push(...growthLines(growth, colours), '');
  if (interrupted === true) lines.push(colours.yellow(`interrupted after ${counted(rows.length, 'run')}`));
  const broken = rows.filter(({ violations }) => violations.length > 0).length;
  lines.push(
    broken === 0 ? colours.green('all laws held') : colours.red(`${counted(broken, 'run')} broke a law`),
    again,
  );
  return lines.map((line) => `${line}\n`).join('');
}

function groups<T>(all: readonly T[], keyOf: (one: T) => string): T[][] {
  const byKey = new Map<string, T[]>();
  for (const one of all) byKey.set(keyOf(one), [...(byKey.get(keyOf(one)) ?? []), one]);
  return [...byKey.values()];
}

const baseOf = (revision: string): string => revision.split(' ')[0] ?? '';

/** A label, the memory of an index or nothing, a price list, and right-aligned figures. */
const columns = (label: string, memory: string, profile: string, ...figures: readonly string[]): string =>
  `  ${label.padEnd(20)}${memory.padStart(9)}  ${profile.padEnd(7)}` +
  figures.map((figure) => figure.padStart((COLUMNS - 40) / figures.length)).join('');

function block(rows: readonly CompareRow[], colours: Colors): string[] {
  const [{ sessions, revision }] = rows as [CompareRow];
  return [
    colours.bold(`${counted(sessions, 'session')} on ${baseOf(revision)}`),
    colours.dim(columns('name index', 'memory', 'prices', 'create', 'blackout', 'usable')),
    ...rows.flatMap((row, i) => {
      const said = crossing(row);
      const next = rows[i + 1];
      // Said once where it is the same for all.
      const isLast = next === undefined || crossing(next) !== said;
      return [...design(row, colours), ...(isLast ? [colours.dim(`  ${said}`)] : [])];
    }),
  ];
}

const crossing = ({ preservedPages, largestPages, capacity }: CompareRow): string =>
  `${counted(preservedPages, 'page')} cross, the largest block ${counted(largestPages, 'page')}; ` +
  `room for ${counted(capacity, 'session')}`;

function design(row: CompareRow, colours: Colors): string[] {
  const { nameIndex, indexPages, create, blackout, created, sessions, result, violations } = row;
  const shown = (times: Readonly<Record<string, Time>> | undefined, profile: string): string => {
    const time = times?.[profile];
    return time === undefined ? '-' : span(time);
  };
  const lines = Object.keys(create.times).map((profile, i) =>
    columns(
      i === 0 ? nameIndex : '',
      i > 0 ? '' : indexPages === 0 ? '-' : roundSize(indexPages * PAGE_BYTES),
      profile,
      shown(create.times, profile),
      shown(blackout?.open.times, profile),
      shown(blackout?.usable.times, profile),
    ),
  );
  if (created < sessions) lines.push(colours.yellow(`    ${result} after ${counted(created, 'session')}`));
  const [first] = violations;
  if (first !== undefined)
    lines.push(colours.red(clip(`    ${first.law}: ${printable(first.text)}`, COLUMNS)));
  return lines;
}

function growthLines(growth: readonly Growth[], colours: Colors): string[] {
  const sizes = [...new Set(growth.flatMap((fit) => fit.sizes))].map(grouped).join(', ');
  const designs = groups(growth, ({ revision, profile }) => `${revision}/${profile}`);
  const several = new Set(growth.map(({ revision }) => baseOf(revision))).size > 1;
  return [
    clip(`time grows as sessions to this power, fitted to ${sizes}:`, COLUMNS),
    colours.dim(columns('', '', 'prices', 'create', 'first open')),
    ...designs.map((fits) => {
      const [{ revision, nameIndex, profile }] = fits as [Growth];
      const figures = fits.map(
        (fit) => `${fit.exponent.toFixed(2)}, within ${fit.residualPercent.toFixed(1)} %`,
      );
      return columns(nameIndex, several ? baseOf(revision) : '', profile, ...figures);
    }),
  ];
}
