/*
 * The matrix of revisions, told in 80 columns, and as JSON.
 *
 *   input
 *   table      a row for each kernel before, a column for each one after; how the first jump of the pair went.
 *              Where names do not fit, they get numbers; where numbers do not fit, there are several tables
 *   again      how the jumps down and up again differ from that
 *   reasons    for each way to lose sessions, the line of dmesg that says why, and the pairs that it belongs to
 *   verdict, digest, and the line that runs it again last
 */
import { type MatrixCell, type MatrixJump, type MatrixResult, OUTCOMES, type Outcome } from '../sim/index.ts';
import type { Colors } from './words.ts';
import { COLUMNS, counted, grouped, LABEL, labelled, printable, size, wrap } from './words.ts';

const WIDTH = COLUMNS - LABEL;
const OUTCOME_WIDTH = Math.max(...OUTCOMES.map(({ length }) => length));
const GAP = 2;
const CORNER = 'from \\ to';
const VIOLATIONS_SHOWN = 3;

interface Commands {
  /** The command that runs this again. */
  readonly again: string;
  /** The command that runs one pair. */
  readonly pair: (cell: MatrixCell) => string;
}

export interface MatrixOptions extends Commands {
  readonly colours: Colors;
  readonly sessions: number;
}

/** The result as it is, with the lines that run it, and each pair, again. */
export const matrixJson = ({ cells, ...rest }: MatrixResult, { again, pair }: Commands): string[] => [
  `${JSON.stringify({ ...rest, again }).slice(0, -1)},"cells":[`,
  cells.map((cell) => `\n${JSON.stringify({ ...cell, again: pair(cell) })}`).join(','),
  '\n]}\n',
];

export function matrixReport(result: MatrixResult, options: MatrixOptions): string {
  const { colours } = options;
  const names = namesOf(result.revisions);
  const lines = [
    ...header(result, options.sessions),
    ...names.legend,
    ...tables(result, names, colours),
    '',
    ...again(result, names, colours),
    ...reasons(result, names, colours),
    '',
    ...verdict(result, options),
    options.again,
  ];
  return lines.map((line) => `${line}\n`).join('');
}

function header({ machine, profile, seed, cells, kernels }: MatrixResult, sessions: number): string[] {
  const { ramBytes, nodes, cpus } = machine;
  return [
    labelled('machine', `${size(ramBytes)} RAM, ${counted(nodes, 'node')}, ${counted(cpus, 'CPU')}`),
    labelled(
      'seed',
      `${printable(seed)}; ${counted(sessions, 'session')} in every update, profile ${profile}`,
    ),
    labelled(
      'pairs',
      `${grouped(cells.length)}, each up, down and up again in ${counted(kernels.length, 'kernel')}`,
    ),
    '',
  ];
}

/** What revisions are called in this report. */
interface Names {
  readonly label: (revision: string) => string;
  /** Width of the first column. */
  readonly first: number;
  /** Which number stands for which revision, where numbers do. */
  readonly legend: readonly string[];
}

const columnWidth = (label: string): number => Math.max(label.length, OUTCOME_WIDTH) + GAP;

function namesOf(revisions: readonly string[]): Names {
  const first = Math.max(CORNER.length, ...revisions.map(({ length }) => length)) + GAP;
  if (revisions.reduce((width, name) => width + columnWidth(name), first) - GAP <= COLUMNS) {
    return { label: (revision) => revision, first, legend: [] };
  }
  const label = (revision: string): string => String(revisions.indexOf(revision) + 1);
  const legend = revisions.flatMap((revision) =>
    wrap(revision, WIDTH).map((line, i) => labelled(i === 0 ? `${label(revision)}` : '', line)),
  );
  return { label, first: CORNER.length + GAP, legend: [...legend, ''] };
}

function tables({ revisions, cells }: MatrixResult, { label, first }: Names, colours: Colors): string[] {
  const lines: string[] = [];
  let rest = revisions;
  while (rest.length > 0) {
    let width = first - GAP;
    const columns = rest.filter((name) => {
      width += columnWidth(label(name));
      return width <= COLUMNS;
    });
    const titles = columns.map((name) => label(name).padEnd(columnWidth(label(name)))).join('');
    lines.push(...(lines.length > 0 ? [''] : []), colours.dim(`${CORNER.padEnd(first)}${titles}`.trimEnd()));
    for (const from of revisions) {
      const row = columns.map((to) => {
        const cell = cells.find((each) => each.from === from && each.to === to);
        const outcome = cell?.jumps[0]?.outcome ?? 'stays';
        const gap = to === columns.at(-1) ? 0 : columnWidth(label(to)) - outcome.length;
        return painted(outcome, colours) + ' '.repeat(gap);
      });
      lines.push(label(from).padEnd(first) + row.join(''));
    }
    rest = rest.slice(columns.length);
  }
  return lines;
}

function painted(outcome: Outcome, colours: Colors, text: string = outcome): string {
  if (outcome === 'keeps') return colours.green(text);
  return outcome === 'cold' ? colours.yellow(text) : colours.red(text);
}

/** Jumps that went otherwise than the first jump of their pair. */
function again({ cells }: MatrixResult, { label }: Names, colours: Colors): string[] {
  const firstOf = (from: string, to: string): Outcome | undefined =>
    cells.find((cell) => cell.from === from && cell.to === to)?.jumps[0]?.outcome;
  const other = cells.flatMap(({ jumps }) => {
    const at = jumps.findIndex(({ from, to, outcome }) => outcome !== firstOf(from, to));
    if (at === -1) return [];
    const { outcome } = jumps[at] as MatrixJump;
    const path = [jumps[0]?.from ?? '', ...jumps.slice(0, at + 1).map(({ to }) => to)]
      .map(label)
      .join(' -> ');
    return wrap(`${path}: ${outcome}`, WIDTH).map((line) => painted(outcome, colours, line));
  });
  if (other.length === 0) return [labelled('again', 'down and up again, every jump went as the table says')];
  return other.map((line, i) => (i === 0 ? 'again' : '').padEnd(LABEL) + line);
}

function reasons({ cells, revisions }: MatrixResult, { label }: Names, colours: Colors): string[] {
  const jumps = cells.flatMap((cell) => cell.jumps);
  return OUTCOMES.filter((outcome) => outcome !== 'keeps').flatMap((outcome) => {
    const byReason = new Map<string, MatrixJump[]>();
    for (const jump of jumps) {
      if (jump.outcome !== outcome) continue;
      const why = reason(jump);
      byReason.set(why, [...(byReason.get(why) ?? []), jump]);
    }
    return [...byReason].flatMap(([why, those]) => [
      ...wrap(why, WIDTH).map(
        (line, i) => painted(outcome, colours, (i === 0 ? outcome : '').padEnd(LABEL)) + line,
      ),
      ...pairs(those, revisions).flatMap(([from, to]) => {
        const [left, right] = [from, to].map((names) => names.map(label).join(', '));
        return wrap(`${left} -> ${right}`, WIDTH - GAP).map((line) => ' '.repeat(LABEL + GAP) + line);
      }),
    ]);
  });
}

/** The line of dmesg that says what is wrong, addresses left out; what agents were told where there is none. */
function reason({ dmesg, refusals, kept, sessions }: MatrixJump): string {
  const line = dmesg[0]?.replace(/0x[0-9a-f]+/g, '0x...');
  if (line !== undefined) return printable(line);
  const told = [...new Set(refusals.map(({ verb, result }) => `${verb} answers ${result}`))].join(', ');
  return told === '' ? `${grouped(kept)} of ${counted(sessions, 'session')}, nobody says why` : told;
}

/** Pairs of kernels, those with the same successors together: [before], [after]. */
function pairs(jumps: readonly MatrixJump[], revisions: readonly string[]): [string[], string[]][] {
  const byTargets = new Map<string, [string[], string[]]>();
  for (const from of revisions) {
    const to = revisions.filter((name) => jumps.some((jump) => jump.from === from && jump.to === name));
    if (to.length === 0) continue;
    const known = byTargets.get(to.join());
    if (known === undefined) byTargets.set(to.join(), [[from], to]);
    else known[0].push(from);
  }
  return [...byTargets.values()];
}

function verdict({ cells, digest }: MatrixResult, { colours, pair }: MatrixOptions): string[] {
  const broken = cells.filter(({ violations }) => violations.length > 0);
  const lines = broken.slice(0, VIOLATIONS_SHOWN).flatMap((cell) => {
    const [first] = cell.violations;
    const said = wrap(`kernel ${first?.generation}, ${first?.law}: ${printable(first?.text ?? '')}`, WIDTH);
    return [
      ...said.slice(0, 2).map((line, i) => colours.red(labelled(i === 0 ? 'broken' : '', line))),
      pair(cell),
    ];
  });
  if (broken.length > VIOLATIONS_SHOWN) {
    lines.push(labelled('', `and ${broken.length - VIOLATIONS_SHOWN} more pairs, all with --json`));
  }
  lines.push(
    broken.length === 0
      ? colours.green(labelled('verdict', 'all laws held in every pair'))
      : colours.red(labelled('verdict', `laws broken in ${counted(broken.length, 'pair')}`)),
    labelled('digest', digest),
  );
  return lines;
}
