/*
 * An image told on a terminal: 80 columns, one screen for a small one; what is broken first, the line that checks it
 * again last. And every piece with every field, and JSON, both in pieces, because an image may hold millions.
 *
 *   what it is, where its root is, who wrote it, what is preserved
 *   what is broken
 *   what it holds: each piece, or each kind of piece where there are many
 *   what the next kernel makes of it
 */
import { type ImageReport, type IncomingReport, LAWS, type Piece } from '../sim/index.ts';
import {
  COLUMNS,
  type Colors,
  clip,
  counted,
  grouped,
  hex,
  labelledLines,
  printable,
  size,
  wrap,
} from './words.ts';

export interface ImageReportOptions {
  readonly colours: Colors;
  /** The command that checks this again. */
  readonly again: string;
}

const PROBLEMS_SHOWN = 5;
const PIECES_SHOWN = 20;
const UNREACHED_SHOWN = 3;
const MISSING_SHOWN = 3;
const LOG_SHOWN = 5;
/** Widths of columns. */
const NAME = 30;
const PATH = 22;
const LAST = 16;

const KINDS: Readonly<Record<ImageReport['kind'], string>> = {
  'ram-file': 'RAM file of luosim',
  'flat-dump': 'flat dump',
  'elf-core': 'ELF core',
  extracted: 'pages extracted from a dump',
};

export function imageReport(report: ImageReport, { colours, again }: ImageReportOptions): string {
  const lines = [
    ...header(report),
    ...broken(report, colours),
    '',
    ...holds(report, colours),
    '',
    ...incoming(report, colours),
    ...labelled('verdict', verdict(report, colours)),
    again,
  ];
  return lines.map((line) => `${line}\n`).join('');
}

const labelled = (label: string, text: string): string[] => labelledLines(label, printable(text));

function header(report: ImageReport): string[] {
  const { kind, ramBytes, ranges, roots, recognised, revision, scratch, preserved, notes } = report;
  const memory = ranges.length === 1 ? '' : ` in ${ranges.length} ranges`;
  const [root, ...others] = roots;
  const lines = labelled('image', `${KINDS[kind]}, ${size(ramBytes)} of memory${memory}`);
  if (root !== undefined) lines.push(...labelled('root', rootText(root)));
  for (const other of others) lines.push(...labelled('not taken', `${rootText(other)}; --fdt takes it`));
  const written = recognised === undefined ? 'in no format of a known revision' : `by ${recognised}`;
  lines.push(...labelled('written', recognised === revision ? written : `${written}, read by ${revision}`));
  if (scratch !== undefined) {
    const areas = scratch.areas.filter(({ bytes }) => bytes > 0);
    const where = areas.map(({ start, bytes }) => `${size(bytes)} at ${hex(start)}`).join(', ');
    lines.push(...labelled('scratch', `${where || 'none'} (${scratch.source})`));
  }
  lines.push(...labelled('preserved', preservedText(preserved)));
  if (preserved.unreachedBlocks > 0) lines.push(...labelled('', unreachedText(preserved)));
  for (const note of notes) lines.push(...labelled('note', note));
  return [...lines, ...lacking(report)];
}

/** What the file does not have. */
function lacking({ missing, absentPages, doubtfulCount }: ImageReport): string[] {
  const lines: string[] = [];
  if (missing.length > 0) {
    const more =
      missing.length > MISSING_SHOWN ? `; and ${missing.length - MISSING_SHOWN} more, with --json` : '';
    lines.push(...labelled('not there', `${missing.slice(0, MISSING_SHOWN).join('; ')}${more}`));
  }
  if (absentPages.length > 0) {
    const which = absentPages.slice(0, MISSING_SHOWN).map((frame) => hex(frame * 4096));
    const more = absentPages.length > which.length ? ', ...' : '';
    const read = `${counted(absentPages.length, 'page')} looked at, and taken for zero`;
    lines.push(...labelled('not there', `${read}: ${which.join(', ')}${more}`));
  }
  if (doubtfulCount > 0) {
    const what = `${counted(doubtfulCount, 'problem')} may come of that, and ${doubtfulCount === 1 ? 'does' : 'do'} not count`;
    lines.push(...labelled('', what));
  }
  return lines;
}

function rootText({ phys, formats, preservesItself }: ImageReport['roots'][number]): string {
  const { kho, luo, session, release, kexecCount } = formats;
  const names = [kho, luo, session].filter((name) => name !== '').join(', ');
  const from = release === '' ? '' : `; from ${release}, jump ${kexecCount}`;
  return `${hex(phys)}, ${names}${from}${preservesItself ? '' : '; does not preserve itself'}`;
}

function preservedText({ byOrder, pages, trackerPages }: ImageReport['preserved']): string {
  const blocks = byOrder.flatMap((n, order) => (n === 0 ? [] : [`${grouped(n)} of order ${order}`]));
  return `${[counted(pages, 'page'), ...blocks].join(', ')}; tracker ${counted(trackerPages, 'page')}`;
}

function unreachedText({ unreached, unreachedBlocks, unreachedPages }: ImageReport['preserved']): string {
  const some = unreached.slice(0, UNREACHED_SHOWN).map(({ phys }) => hex(phys));
  const more = unreachedBlocks > some.length ? ', ...' : '';
  const what = `${counted(unreachedBlocks, 'block')} of ${counted(unreachedPages, 'page')}`;
  return `${what} to which no address leads: ${some.join(', ')}${more}`;
}

function broken({ problems, problemCount, incoming: next }: ImageReport, colours: Colors): string[] {
  const lines: string[] = [];
  let shown = 0;
  const places = new Set<string>();
  for (const { path, phys, text } of problems) {
    // The first of each piece is enough to know.
    if (places.has(path) || places.size === PROBLEMS_SHOWN) continue;
    places.add(path);
    shown++;
    lines.push(...labelled('broken', `${path} at ${hex(phys)}: ${text}`).map(colours.red));
  }
  if (problemCount > shown)
    lines.push(...labelled('', `and ${grouped(problemCount - shown)} more, with --json`));
  for (const { law, text } of next?.violations ?? []) {
    lines.push(...labelled('broken', `${law}: ${LAWS[law]}`).map(colours.red), ...labelled('', text));
  }
  return lines.length === 0 ? [] : ['', ...lines];
}

/** Each piece with what matters of it; or, where there are many, each kind of piece. */
function holds(report: ImageReport, colours: Colors): string[] {
  const { outline, outlineCount } = report;
  if (outlineCount > PIECES_SHOWN) return kinds(report, colours);
  const rows = outline.map((piece) => {
    const path = piece.path.split('.');
    const what = `${'  '.repeat(path.length)}${path.at(-1)}`;
    return row(what.padEnd(PATH), told(piece), hex(piece.phys));
  });
  return [colours.dim(row('holds', '', 'address')), ...rows];
}

function kinds({ kinds: all, sessions }: ImageReport, colours: Colors): string[] {
  const column = (what: string, pieces: string, bytes: string): string =>
    row(what, '', pieces.padStart(LAST) + bytes.padStart(LAST));
  const rows = all.map(({ first, pieces, bytes }) => {
    const what = pieces === 1 ? first : first.replaceAll(/\d+/g, '*');
    return column(`  ${what}`, grouped(pieces), grouped(bytes));
  });
  const names = [...sessions.first, ...sessions.last].map(({ name }) => name);
  const ends = names.length > 2 ? `${names[0]} ... ${names.at(-1)}` : names.join(', ');
  const said = names.length === 0 ? [] : labelled('names', ends);
  return [colours.dim(column('holds', 'pieces', 'bytes')), ...rows, ...said];
}

type Say = (value: number | bigint | string) => string;

const as =
  (before: string): Say =>
  (value) =>
    `${before}${valueText(value)}`;
const nr =
  (noun: string): Say =>
  (value) =>
    typeof value === 'number' ? counted(value, noun) : `${value} ${noun}s`;

/** By struct: the fields that tell a person what it is, and how each is said. */
const TELLING: Readonly<Record<string, readonly (readonly [field: string, say: Say])[]>> = {
  fdt: [
    ['compatible', as('')],
    ['liveupdate-number', as('live update ')],
    ['luo-session/compatible', as('')],
  ],
  luo_ser: [
    ['compatible', as('')],
    ['liveupdate_num', as('live update ')],
  ],
  kho_block_header_ser: [['count', as('entries: ')]],
  luo_session_header_ser: [['count', as('entries: ')]],
  luo_file_header_ser: [['count', as('entries: ')]],
  luo_session_ser: [
    ['name', as('')],
    ['file_set_ser.count', nr('file')],
  ],
  luo_file_ser: [
    ['compatible', as('')],
    ['token', (token) => `token 0x${token.toString(16)}`],
  ],
  memfd_luo_ser: [
    ['size', nr('byte')],
    ['nr_folios', nr('folio')],
  ],
  luo_flb_header_ser: [['count', as('entries: ')]],
  luo_flb_ser: [
    ['name', as('')],
    ['count', as('count ')],
  ],
  kho_kexec_metadata: [
    ['previous_release', as('from ')],
    ['kexec_count', as('jump ')],
  ],
};

function told({ struct, fields, bytes }: Piece): string {
  const said = (TELLING[struct] ?? []).flatMap(([name, say]) => {
    const value = fields.find((field) => field.name === name)?.value;
    return value === undefined || value === '' ? [] : [say(value)];
  });
  return said.length === 0 ? `${struct}, ${counted(bytes, 'byte')}` : said.join(', ');
}

const valueText = (value: number | bigint | string): string =>
  typeof value === 'number' ? grouped(value) : String(value);

/** Two columns and one at the right end, the second cut where there is no room. */
function row(what: string, said: string, last: string): string {
  const right = last.padStart(LAST);
  const width = COLUMNS - right.length;
  return clip(printable(said === '' ? what : `${what} ${said}`), width - 1).padEnd(width) + right;
}

function incoming({ incoming: next, revision }: ImageReport, colours: Colors): string[] {
  if (next === undefined) return [];
  const lines = [colours.bold(`the next kernel, ${revision}: ${bootText(next)}`)];
  const said = next.dmesg.filter((line) =>
    /^(KHO|luo_|kho_|memblock|WARNING|BUG|Oops|Kernel panic)/.test(line),
  );
  for (const line of said.slice(-LOG_SHOWN)) {
    const alarming = /^(WARNING|BUG|Oops|Kernel panic)/.test(line);
    const wrapped = wrap(printable(line), COLUMNS - 2).slice(0, 2);
    lines.push(...wrapped.map((part) => `  ${alarming ? colours.red(part) : part}`));
  }
  if (next.state !== 'panicked') lines.push(`  open: ${next.open}, ${counted(next.sessions, 'session')}`);
  return lines;
}

function bootText({ bootKind, state, liveupdateNum }: IncomingReport): string {
  if (state === 'panicked') return 'panics';
  if (bootKind !== 'handover') return 'refuses the handover and boots cold';
  return `boots with the handover, live update ${liveupdateNum}`;
}

function verdict({ isBroken, problemCount, sessions, incoming: next }: ImageReport, colours: Colors): string {
  const { count, files } = sessions;
  const names = count === 0 ? '' : `, ${counted(count, 'session')} with ${counted(files, 'file')}`;
  if (!isBroken) return colours.green(`nothing broken${names}${next === undefined ? '; not booted' : ''}`);
  return colours.red(problemCount === 0 ? `broken${names}` : `${counted(problemCount, 'problem')}${names}`);
}

// --- in full ------------------------------------------------------------------------------------------------------

/** Every piece with every field: offset, name, value. */
export function* imageFields(pieces: Iterable<Piece>): Generator<string, void, void> {
  for (const { path, struct, phys, bytes, order, fields, problems } of pieces) {
    const preserved = order === undefined ? '' : `, preserved, order ${order}`;
    const lines = [`${path}  ${struct} at ${hex(phys)}, ${counted(bytes, 'byte')}${preserved}`];
    for (const { name, offset, kind, value } of fields) {
      const shown = typeof value === 'string' ? quotedValue(kind, value) : numberText(kind, value);
      lines.push(`  ${hex(offset).padStart(6)}  ${name.padEnd(NAME)} ${shown}`);
    }
    for (const problem of problems) lines.push(`  broken  ${problem}`);
    yield lines.map((line) => `${printable(line)}\n`).join('');
  }
  yield '\n';
}

const quotedValue = (kind: string, value: string): string =>
  kind === 'text' ? JSON.stringify(value) : value;

const numberText = (kind: string, value: number | bigint): string =>
  kind === 'address' ? `0x${value.toString(16)}` : String(value);

/** The report as it is, `again`, and with `pieces` all of them, one a line. */
export function* imageJson(
  report: ImageReport,
  again: string,
  pieces: Iterable<Piece> | undefined,
): Generator<string, void, void> {
  const whole = json({ ...report, again });
  if (pieces === undefined) {
    yield `${whole}\n`;
    return;
  }
  yield `${whole.slice(0, -1)},"all":[`;
  let first = true;
  for (const piece of pieces) {
    yield `${first ? '' : ','}\n${json(piece)}`;
    first = false;
  }
  yield '\n]}\n';
}

/** u64 values above 2^53 as text. */
const json = (value: unknown): string =>
  JSON.stringify(value, (_key, field: unknown) => (typeof field === 'bigint' ? String(field) : field));
