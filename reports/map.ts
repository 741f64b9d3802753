/*
 * The kernel map on a terminal, 80 columns: counts first, then by source file of the kernel
 *
 *   a table                 function, status, the file that has it or why it is absent
 *   or all that is known    of each function: which kernels have it, where it is, what is not as there, why it is absent
 */
import type { FunctionStatus, MapAnswer, MappedFunction, Place } from '../sim/index.ts';
import { COLUMNS, type Colors, clip, counted, grouped, wrap } from './words.ts';

const NAME = 36;
const STATUS = 12;
const LABEL = 10;

export interface MapOptions {
  /** All that is known, in place of the table. */
  readonly inFull: boolean;
  readonly colours: Colors;
}

export function* mapReport(
  { known, counts, functions }: MapAnswer,
  { inFull, colours }: MapOptions,
): Generator<string, void, void> {
  const shown = functions.length === known ? '' : `${grouped(functions.length)} of `;
  yield `${shown}${counted(known, 'kernel function')}: ${tally(counts)}\n`;
  if (!inFull) yield `${colours.dim('all that is known of one: npx luosim map NAME')}\n`;
  for (const source of new Set(functions.map((entry) => entry.source))) {
    const entries = functions.filter((entry) => entry.source === source);
    yield `\n${colours.bold(source)}\n`;
    for (const entry of entries) yield inFull ? whole(entry, colours) : row(entry, colours);
  }
}

const tally = ({ faithful, simplified, absent }: MapAnswer['counts']): string =>
  `${grouped(faithful)} faithful, ${grouped(simplified)} simplified, ${grouped(absent)} absent`;

function row({ name, status, places, why }: MappedFunction, colours: Colors): string {
  const files = [...new Set(places.map(({ file }) => file))];
  const more = files.length > 1 ? ` +${files.length - 1}` : '';
  const last = files[0] === undefined ? clip(why ?? '', COLUMNS - 2 - NAME - STATUS) : `${files[0]}${more}`;
  return `  ${name.padEnd(NAME)}${tinted(status, STATUS, colours)}${last}\n`;
}

function whole({ name, revisions, status, places, why }: MappedFunction, colours: Colors): string {
  const lines = [`  ${name.padEnd(NAME)}${tinted(status, 0, colours)}`];
  if (revisions !== '') lines.push(...labelled('in', revisions));
  for (const place of places) lines.push(...placed(place));
  if (why !== undefined) lines.push(...labelled('why', why));
  return lines.map((line) => `${line}\n`).join('');
}

const placed = ({ file, declaration, how }: Place): string[] => [
  ...labelled('here', `${file}: ${declaration}`),
  ...(how === undefined ? [] : labelled('but', how)),
];

/** A label in its column, the text beside it on as many lines as it takes. */
const labelled = (label: string, text: string): string[] =>
  wrap(text, COLUMNS - LABEL).map((line, i) => `    ${(i === 0 ? label : '').padEnd(LABEL - 4)}${line}`);

function tinted(status: FunctionStatus, width: number, colours: Colors): string {
  const word = status.padEnd(width);
  if (status === 'faithful') return colours.green(word);
  return status === 'simplified' ? colours.yellow(word) : colours.dim(word);
}
