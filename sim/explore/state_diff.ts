/*
 * What changed between two states: every fact of each kernel as a name and a value, compared by name.
 */
import type { KernelStateReport, LockReport, StateReport, StoreReport, TaskReport } from './step_report.ts';

export interface Change {
  readonly generation: number;
  /** What the fact is about: `session "a" on the outgoing list`, `pages of slab:filp`. */
  readonly what: string;
  /** Absent for what was not there. */
  readonly from?: string;
  /** Absent for what is gone. */
  readonly to?: string;
}

/** The changes from one state to another, kernel by kernel, in the order of the facts. */
export function diffStates(before: StateReport, after: StateReport): Change[] {
  const generations = new Set([...before.kernels, ...after.kernels].map(({ generation }) => generation));
  return [...generations]
    .sort((x, y) => x - y)
    .flatMap((generation) => {
      const from = factsOf(before.kernels.find((kernel) => kernel.generation === generation));
      const to = factsOf(after.kernels.find((kernel) => kernel.generation === generation));
      return changes(generation, from, to);
    });
}

type Facts = ReadonlyMap<string, string>;

function changes(generation: number, from: Facts, to: Facts): Change[] {
  const found: Change[] = [];
  for (const [what, value] of from) {
    const now = to.get(what);
    if (now === value) continue;
    found.push({ generation, what, from: value, ...(now === undefined ? {} : { to: now }) });
  }
  for (const [what, value] of to) if (!from.has(what)) found.push({ generation, what, to: value });
  return found;
}

/** A lock as a person says it. */
export const lockText = ({ lock, row, mode }: LockReport): string =>
  `${lock}${row === undefined ? '' : ` of ${row}`}${mode === undefined ? '' : ` (${mode})`}`;

const hex = (n: number): string => `0x${n.toString(16)}`;

function factsOf(kernel: KernelStateReport | undefined): Facts {
  const facts = new Map<string, string>();
  if (kernel === undefined) return facts;
  /** Two sessions may have one name: the second is another fact. */
  const add = (what: string, value: string | number): void => {
    let name = what;
    for (let copy = 2; facts.has(name); copy++) name = `${what}, number ${copy}`;
    facts.set(name, String(value));
  };
  add('kernel', kernel.state);
  for (const task of kernel.tasks) addTask(add, task);
  for (const { name, count, sessions } of kernel.lists) {
    add(`sessions on the ${name} list`, count);
    for (const session of sessions) {
      add(`session ${JSON.stringify(session.name)}, ${name}`, session.retrieved ? 'retrieved' : 'listed');
    }
  }
  addStore(add, 'store', kernel.store);
  addStore(add, 'incoming store', kernel.incomingStore);
  add('free pages', kernel.memory.freePages);
  for (const { owner, pages } of kernel.memory.owners) add(`pages of ${owner}`, pages);
  add('pages handed over and not restored', kernel.memory.stampedPages);
  add('preserved pages', kernel.tracker?.preservedPages ?? 0);
  add('pages of the tracker', kernel.tracker?.nodes ?? 0);
  for (const { name, alive, descriptors } of kernel.processes) {
    add(`process ${name}`, alive ? 'alive' : 'gone');
    for (const { fd, file } of descriptors) add(`descriptor ${fd} of ${name}`, file);
  }
  for (const problem of kernel.problems) add(problem, 'so');
  return facts;
}

type Add = (what: string, value: string | number) => void;

function addTask(add: Add, task: TaskReport): void {
  const who = `task ${task.id} ${task.name}`;
  add(who, task.point === undefined ? task.state : `${task.state} at ${task.point}`);
  if (task.waitsFor !== undefined) add(`${who} waits for`, lockText(task.waitsFor));
  for (const lock of task.holds) add(`${who} holds ${lockText(lock)}`, 'held');
}

function addStore(add: Add, name: string, store: StoreReport | undefined): void {
  if (store === undefined) return;
  add(`blocks of the ${name}`, store.blocks);
  for (const { phys, count, next } of store.listed) {
    add(
      `block ${hex(phys)} of the ${name}`,
      `count ${count}${next === undefined ? '' : `, next ${hex(next)}`}`,
    );
  }
}
