/*
 * A run told on a terminal: at most 40 lines of 80 columns, however many kernels, and the line that runs it again last.
 *
 *   machine, input
 *   for each kernel: how it booted, its phases with calls, names compared and virtual time; what crossed its jump
 *   blackout, verdict, digest
 *
 * Where that does not fit, the kernels between the first and the last become one line. What many agents do in turn is
 * one phase.
 */
import {
  type ActionReport,
  type GenerationProgram,
  type GenerationReport,
  type HandoverReport,
  LAWS,
  longestBlackout,
  NO_RETURN,
  type RunResult,
  type Time,
  type Violation,
} from '../sim/index.ts';
import { misfitText } from './misfit.ts';
import {
  COLUMNS,
  type Colors,
  clip,
  counted,
  grouped,
  hex,
  LABEL,
  labelled,
  plus,
  printable,
  since,
  size,
  span,
  wrap,
} from './words.ts';

const LINES = 40;
const VIOLATIONS_SHOWN = 3;
const LOSSES_SHOWN = 2;

export interface TerminalOptions {
  readonly colours: Colors;
  /** The command that runs this again. */
  readonly again: string;
  readonly token?: string;
}

export function terminalReport(result: RunResult, { colours, again, token }: TerminalOptions): string {
  const head = header(result, colours);
  // A token is copied: its line is as long as it must be.
  const tail = [
    ...verdict(result, colours),
    ...(token === undefined ? [] : [`${'token'.padEnd(LABEL)}${token}`]),
    again,
  ];
  const mixed = new Set(result.program.generations.map(({ revision }) => revision)).size > 1;
  const kernels = result.generations.map((generation, i) => {
    const title = `kernel ${i}: ${booted(generation)}${mixed ? `, ${generation.revision}` : ''}`;
    const [line = '', ...more] = kernel(title, generation, colours);
    return [line, ...commandLine(result.program.generations[i]?.boot), ...more];
  });
  let body = kernels.flat();
  const room = LINES - head.length - tail.length;
  if (body.length > room && kernels.length > 2) {
    body = [...(kernels[0] ?? []), between(result, colours), ...(kernels.at(-1) ?? [])];
  }
  if (body.length > room) body = [...body.slice(0, room - 1), colours.dim('  ... all with --json')];
  return [...head, ...body, ...tail].map((line) => `${line}\n`).join('');
}

/** A row of the table of phases. */
function row(label: string, calls: string, compared: string, time: string): string {
  const numbers = calls.padStart(11) + compared.padStart(20) + time.padStart(17);
  // A title without numbers may be longer than a phase.
  const blank = numbers.length - numbers.trimStart().length;
  const width = COLUMNS - numbers.length + Math.max(blank - 2, 0);
  return clip(label, width).padEnd(width) + numbers.slice(Math.max(blank - 2, 0));
}

function header({ machine, profile, seed, program }: RunResult, colours: Colors): string[] {
  const { ramBytes, nodes, cpus, fragmentedPercent = 0 } = machine;
  const created = program.generations
    .flatMap(({ stages }) => stages.flat())
    .flatMap(({ actions }) => actions.filter((action) => action.do === 'create'));
  const revisions = [...new Set(program.generations.map(({ revision }) => revision))];
  const lines = [
    labelled(
      'machine',
      `${size(ramBytes)} RAM, ${counted(nodes, 'node')}, ${counted(cpus, 'CPU')}` +
        (fragmentedPercent > 0 ? `, ${fragmentedPercent} % of memory shattered` : ''),
    ),
    labelled('revision', revisions.join(', ')),
    labelled('seed', `${printable(seed)}; times are virtual, profile ${profile}`),
  ];
  const pattern = created[0];
  if (pattern !== undefined && 'names' in pattern) {
    lines.push(labelled('names', printable(pattern.names.pattern)));
  }
  return [...lines, '', colours.dim(row('', 'calls', 'names compared', 'time'))];
}

function kernel(title: string, generation: GenerationReport, colours: Colors): string[] {
  const lines = [colours.bold(row(title, '', '', span(generation.bootedAt)))];
  for (const phase of phases(generation.actions)) lines.push(phaseRow(phase, generation, colours));
  if (generation.state === 'panicked') {
    const last = wrap(printable(generation.dmesg.at(-1) ?? 'panicked'), COLUMNS - 2).slice(0, 2);
    lines.push(...last.map((line) => colours.red(`  ${line}`)));
  }
  if (generation.handover !== undefined) lines.push(...jump(generation.handover));
  return lines;
}

/** What the kernel was given behind the command line of all. */
function commandLine(given: GenerationProgram['boot']): string[] {
  const words = Object.entries(given ?? {}).map(([name, value]) => `${name}=${value}`);
  return words.length === 0 ? [] : [clip(`  command line ${printable(words.join(' '))}`, COLUMNS)];
}

export function booted({ bootKind, liveupdateNum }: GenerationReport): string {
  if (bootKind === 'cold') return 'cold boot';
  return bootKind === 'handover'
    ? `handover boot, live update ${liveupdateNum}`
    : 'handover refused, cold boot';
}

/** The same action by one agent after another. */
interface Phase {
  readonly first: ActionReport;
  calls: number;
  /** Names compared in walks of a list. */
  compared: number;
  /** Sessions written to or read from the store. */
  copied: number;
  time: Time;
  readonly failures: Set<string>;
}

function phases(actions: readonly ActionReport[]): Phase[] {
  const byKind = new Map<string, Phase>();
  for (const action of actions) {
    const { verb, calls, result, from, to, steps } = action;
    const kind = `${verb} ${action.phase ?? ''}`;
    let phase = byKind.get(kind);
    if (phase === undefined) {
      phase = {
        first: action,
        calls: 0,
        compared: 0,
        copied: 0,
        time: { seconds: 0, ns: 0 },
        failures: new Set(),
      };
      byKind.set(kind, phase);
    }
    phase.calls += calls;
    phase.compared += steps.hop ?? 0;
    phase.copied += steps.entryCopied ?? 0;
    phase.time = plus(phase.time, since(from, to));
    if (result !== 'OK' && result !== NO_RETURN) phase.failures.add(result);
  }
  return [...byKind.values()];
}

function phaseRow(
  { first, calls, compared, copied, time, failures }: Phase,
  { outgoingSessions }: GenerationReport,
  colours: Colors,
): string {
  const failed = failures.size > 0 ? `: ${[...failures].join(', ')}` : '';
  const line = row(
    `  ${phaseName(first, copied, outgoingSessions)}${failed}`,
    first.names.length > 0 || calls !== 1 ? grouped(calls) : '',
    compared > 0 ? grouped(compared) : '',
    span(time),
  );
  return failed === '' ? line : colours.yellow(line);
}

function phaseName({ verb, phase }: ActionReport, copied: number, outgoing: number): string {
  switch (verb) {
    case 'open':
      return copied > 0 ? `open: deserialize ${counted(copied, 'session')}` : 'open';
    case 'reboot':
      return `reboot hook: serialize ${counted(outgoing, 'session')}`;
    case 'load':
      return 'load the next kernel';
    case 'kexec-load':
      return 'load the next kernel without a handover';
    case 'restart':
      return 'restart through the firmware';
    case 'close-device':
      return 'close the device';
    case 'kho-test':
      return `test_kho ${phase ?? ''}`;
    default:
      return verb;
  }
}

function jump(handover: HandoverReport): string[] {
  const { fdtPhys, scratchPhys, storeRegions, blocksByOrder, preservedPages, trackerPages } = handover;
  if (fdtPhys === 0) return [labelled('jump', 'nothing is handed over')];
  const orders = blocksByOrder
    .map((blocks, order) => (blocks > 0 ? `${grouped(blocks)} of order ${order}` : ''))
    .filter((blocks) => blocks !== '');
  const blocks =
    orders.length <= 3
      ? orders.join(', ')
      : `orders 0 to ${blocksByOrder.length - 1}: ${blocksByOrder.join(' ')}`;
  const store = `${counted(storeRegions.length, 'block')} of ${counted(storeRegions[0]?.pages ?? 0, 'page')}`;
  return [
    labelled('jump', `${counted(preservedPages, 'page')} preserved, ${blocks}`),
    labelled(
      '',
      `root FDT ${hex(fdtPhys)}, scratch array ${hex(scratchPhys)}, tracker ${trackerPages} pages`,
    ),
    labelled('store', `${store}${addresses(storeRegions.map(({ phys }) => hex(phys)))}`),
  ];
}

/** All addresses where they are few, the ends of the chain otherwise. */
const addresses = (all: readonly string[]): string =>
  all.length <= 3 ? ` at ${all.join(' ')}` : `, first ${all[0]}, last ${all.at(-1)}`;

/** What happened between the first kernel and the last, in one line. */
function between({ generations }: RunResult, colours: Colors): string {
  const middle = generations.slice(1, -1);
  const kinds = new Set(middle.map(({ bootKind }) => bootKind));
  const actions = middle.flatMap((generation) => generation.actions);
  const failures = actions.filter(({ result }) => result !== 'OK' && result !== NO_RETURN).length;
  const how = `${[...kinds].join(', ')} boots`;
  const what = failures === 0 ? 'every call answered OK' : `${counted(failures, 'action')} failed`;
  const label = middle.length === 1 ? 'kernel 1' : `kernels 1 to ${middle.length}`;
  return colours.bold(clip(`${label}: ${how}, ${what}`, COLUMNS));
}

/** Blackout, what was lost or broken, verdict, digest; a blank line before. */
export function verdict(result: RunResult, colours: Colors): string[] {
  const { openLosses, violations, digest } = result;
  const lines = [''];
  const gap = longestBlackout(result.generations);
  if (gap !== undefined) {
    const times = Object.entries(gap.open.times).map(([name, time]) => `${span(time)} by ${name}`);
    lines.push(labelled('blackout', `${times.join(', ')}: reboot, boot, first open`));
  }
  for (const loss of openLosses.slice(0, LOSSES_SHOWN)) {
    const said = wrap(printable(loss), COLUMNS - LABEL).slice(0, 2);
    lines.push(...said.map((line, i) => colours.yellow(labelled(i === 0 ? 'lost openly' : '', line))));
  }
  if (openLosses.length > LOSSES_SHOWN)
    lines.push(labelled('', `and ${openLosses.length - LOSSES_SHOWN} more`));
  for (const violation of violations.slice(0, VIOLATIONS_SHOWN)) lines.push(...broken(violation, colours));
  if (violations.length > VIOLATIONS_SHOWN) {
    lines.push(labelled('', `and ${violations.length - VIOLATIONS_SHOWN} more, all with --json`));
  }
  const misfit = misfitText(result.misfits);
  if (misfit !== undefined) {
    const said = wrap(printable(`${misfit}: this is not the run that was recorded`), COLUMNS - LABEL);
    lines.push(...said.map((line, i) => colours.yellow(labelled(i === 0 ? 'misfit' : '', line))));
  }
  const laws = new Set(violations.map(({ law }) => law)).size;
  lines.push(
    laws === 0
      ? colours.green(labelled('verdict', 'all laws held'))
      : colours.red(labelled('verdict', `${counted(laws, 'law')} broken`)),
    labelled('digest', digest),
  );
  return lines;
}

/** Two lines each at most: the law in its sentence, and what is wrong. */
function broken({ law, text, generation }: Violation, colours: Colors): string[] {
  const said = wrap(`kernel ${generation}, ${law}: ${LAWS[law]}`, COLUMNS - LABEL).slice(0, 2);
  const wrong = wrap(printable(text), COLUMNS - LABEL).slice(0, 2);
  return [
    ...said.map((line, i) => colours.red(labelled(i === 0 ? 'broken' : '', line))),
    ...wrong.map((line) => labelled('', line)),
  ];
}
