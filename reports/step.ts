/*
 * Steps and states told on a terminal, in 80 columns:
 *
 *   a list     what happened between two steps, then the step: its number, time, task and kernel function with words
 *   a state    the steps around it, then each kernel: the one before as it left, then the one that runs
 *   a diff     what changed, kernel by kernel
 *
 * Every fact that a state has is in --json; here long lists are cut.
 */
import {
  type Change,
  type EventWord,
  type KernelStateReport,
  type ListReport,
  lockText,
  type StateReport,
  type StepEvent,
  type StepsReport,
  type StoreReport,
  type TaskReport,
  type Time,
} from '../sim/index.ts';
import {
  COLUMNS,
  type Colors,
  clip,
  counted,
  grouped,
  hex,
  labelledLines,
  printable,
  wrap,
} from './words.ts';

/** Entries of a list that are shown. */
const SHOWN = 24;
const CHANGES_SHOWN = 100;

export interface StepsView {
  readonly colours: Colors;
  /** The first step listed. */
  readonly from: number;
}

const said = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');

/** The list of steps. */
export function stepsReport(report: StepsReport, { colours, from }: StepsView): string {
  const { events, total } = report;
  const last = events.at(-1)?.step;
  const kernel = events[0] === undefined ? '' : `, kernel ${events[0].generation}`;
  const range = last === undefined ? `none from ${grouped(from)} on` : `${grouped(from)} to ${grouped(last)}`;
  const lines = [labelledLines('steps', `${range} of ${grouped(total)}${kernel}`)[0] as string];
  for (const event of events) lines.push(...eventLines(event, colours, ' '));
  lines.push(...report.rest.flatMap((note) => noteLines(note, colours)));
  lines.push(...brokenLines(report, colours));
  return said(lines);
}

/** The state at one step, with the steps around it. */
export function stateReport(report: StepsReport, state: StateReport, colours: Colors): string {
  const lines = labelledLines('step', `${grouped(state.event.step)} of ${grouped(report.total)}`);
  for (const event of report.events) {
    const here = event.step === state.event.step;
    lines.push(...eventLines(event, colours, here ? '>' : ' '));
  }
  lines.push(...brokenLines(report, colours));
  const running = state.kernels.length - 1;
  for (const [i, kernel] of state.kernels.entries()) {
    lines.push('', ...kernelLines(kernel, i < running, colours));
  }
  return said(lines);
}

/** What changed between two steps. */
export function diffReport(report: StepsReport, changes: readonly Change[], colours: Colors): string {
  const [before, after] = report.states as [StateReport, StateReport];
  const lines = labelledLines(
    'changes',
    `from step ${grouped(before.event.step)} to ${grouped(after.event.step)}`,
  );
  for (const { event } of [before, after]) lines.push(...eventLines({ ...event, notes: [] }, colours, ' '));
  let generation = -1;
  for (const change of changes.slice(0, CHANGES_SHOWN)) {
    if (change.generation !== generation) {
      generation = change.generation;
      lines.push('', colours.bold(`kernel ${generation}`));
    }
    lines.push(...changeLines(change, colours));
  }
  if (changes.length === 0) lines.push('', 'nothing changed');
  const more = changes.length - CHANGES_SHOWN;
  if (more > 0) lines.push(`and ${grouped(more)} more, all with --json`);
  return said(lines);
}

function changeLines({ what, from, to }: Change, colours: Colors): string[] {
  const values = [from, to].filter((value) => value !== undefined).join(' -> ');
  const text = printable(`${what}: ${values}`);
  const [sign, colour] =
    from === undefined ? ['+', colours.green] : to === undefined ? ['-', colours.red] : ['~', colours.yellow];
  return wrap(text, COLUMNS - 4).map((line, i) => colour(`${i === 0 ? sign : ' '} ${line}`));
}

const seconds = ({ seconds: whole, ns }: Time): string =>
  `${whole}.${String(Math.floor(ns / 1000)).padStart(6, '0')}`;

function eventLines(event: StepEvent, colours: Colors, mark: string): string[] {
  const { step, time, task, taskName, fn, words, notes } = event;
  const who = task === 0 ? 'boot' : `${task} ${printable(taskName)}`;
  const head = `${mark}${grouped(step).padStart(8)} ${seconds(time).padStart(10)}  ${clip(who, 10).padEnd(10)} `;
  const text = printable([fn, words.map(wordText).join(', ')].join(' '));
  const lines = wrap(text, COLUMNS - head.length).map(
    (line, i) => (i === 0 ? head : ' '.repeat(head.length)) + line,
  );
  return [
    ...notes.flatMap((note) => noteLines(note, colours)),
    ...(mark === ' ' ? lines : lines.map((line) => colours.bold(line))),
  ];
}

/** Words that need not be said: what stands there says what it is. */
const PLAIN_WORDS = new Set(['block', 'owner', 'session', 'answer', 'lock']);

const wordText = ({ name, text }: EventWord): string => (PLAIN_WORDS.has(name) ? text : `${name} ${text}`);

const noteLines = (note: string, colours: Colors): string[] =>
  wrap(printable(note), COLUMNS - 2).map((line) => colours.dim(`  ${line}`));

function brokenLines({ broken }: StepsReport, colours: Colors): string[] {
  return broken.flatMap(({ law, step, generation, text }) => {
    const where = step < 0 ? 'before the first step' : `behind step ${grouped(step)}`;
    const told = `${law}, kernel ${generation}, found ${where}: ${printable(text)}`;
    return labelledLines('broken', told).map((line) => colours.red(line));
  });
}

function kernelLines(kernel: KernelStateReport, left: boolean, colours: Colors): string[] {
  const { generation, revision, state, memory, tracker } = kernel;
  const lines = [colours.bold(`kernel ${generation}${left ? ' as it left' : ''}: ${revision}, ${state}`)];
  const say = (label: string, text: string): void => {
    for (const line of labelledLines(label, text, COLUMNS - 2)) lines.push(`  ${line}`);
  };
  for (const [i, task] of shownTasks(kernel.tasks, left).entries())
    say(i === 0 ? 'tasks' : '', taskText(task));
  for (const list of kernel.lists) say(list.name, listText(list));
  if (kernel.store !== undefined) sayStore(say, 'store', kernel.store);
  if (kernel.incomingStore !== undefined) sayStore(say, 'was left', kernel.incomingStore);
  say('memory', `${counted(memory.freePages, 'page')} free`);
  if (memory.owners.length > 0)
    say('', memory.owners.map(({ owner, pages }) => `${owner} ${grouped(pages)}`).join(', '));
  if (memory.stampedPages > 0)
    say('', `${counted(memory.stampedPages, 'page')} handed over and not restored`);
  if (tracker !== undefined) {
    const orders = tracker.blocksByOrder.flatMap((n, order) =>
      n > 0 ? [`${grouped(n)} of order ${order}`] : [],
    );
    const what = [counted(tracker.preservedPages, 'page'), ...orders].join(', ');
    say('preserved', `${what}; the tracker has ${counted(tracker.nodes, 'page')}`);
  }
  const open = kernel.processes.filter(({ descriptors }) => descriptors.length > 0);
  for (const [i, { name, descriptors }] of open.entries()) {
    const files = cut(
      descriptors.map(({ fd, file }) => `${fd} ${file}`),
      descriptors.length,
    );
    say(i === 0 ? 'descriptors' : '', printable(`${name}: ${files}`));
  }
  for (const problem of kernel.problems) say('problem', printable(problem));
  return lines;
}

/** The boot context counts while it does something. */
const shownTasks = (tasks: readonly TaskReport[], left: boolean): TaskReport[] =>
  tasks.filter(({ id, state, holds }) => id !== 0 || (state === 'runs' && !left) || holds.length > 0);

function taskText({ id, name, cpu, state, point, holds, waitsFor }: TaskReport): string {
  const who = id === 0 ? 'boot' : `${id} ${printable(name)}, CPU ${cpu}`;
  const parts = [`${who}: ${state}${point === undefined ? '' : ` at ${point}`}`];
  if (waitsFor !== undefined) {
    parts.push(`waits for ${lockText(waitsFor)}, held by ${printable(waitsFor.heldBy.join(', '))}`);
  }
  if (holds.length > 0) parts.push(`holds ${holds.map(lockText).join(', ')}`);
  return printable(parts.join('; '));
}

function listText({ count, sessions, broken }: ListReport): string {
  const names = sessions.map(
    ({ name, retrieved }) => `${JSON.stringify(name)}${retrieved ? ' retrieved' : ''}`,
  );
  const all = printable(`${counted(count, 'session')}${count > 0 ? `: ${cut(names, count)}` : ''}`);
  return broken === undefined ? all : `${all}; then the list breaks off: ${broken}`;
}

function sayStore(say: (label: string, text: string) => void, label: string, store: StoreReport): void {
  say(label, `${counted(store.blocks, 'block')} of ${counted(store.pagesPerBlock, 'page')}`);
  for (const { phys, count, next } of store.listed.slice(0, SHOWN)) {
    say(
      '',
      `${hex(phys)}: count ${grouped(count)}${next === undefined ? '' : `, next ${next === 0 ? 'none' : hex(next)}`}`,
    );
  }
  if (store.blocks > SHOWN) say('', `and ${grouped(store.blocks - SHOWN)} more`);
}

/** The first of many, and how many more there are. */
function cut(entries: readonly string[], count: number): string {
  const shown = entries.slice(0, SHOWN);
  const more = count - shown.length;
  return [...shown, ...(more > 0 ? [`and ${grouped(more)} more`] : [])].join(', ');
}
