/*
 * The reference model: the user's view of sessions. It knows what calls answered, and nothing of how a kernel works:
 * who was told "created" and has not closed must find the session in the next kernel, in the order of creation.
 *
 *   outgoing   acknowledged in this kernel, oldest first
 *   incoming   acknowledged in the kernel before: waiting -> retrieved -> gone
 *
 * A call that had not answered when the machine jumped may have happened or not: its session is uncertain.
 */

import { Column, type Storage } from '../machine/column.ts';
import type { Stateful } from '../machine/journal.ts';
import type { Thread } from '../user/process.ts';
import type { Verb } from '../user/program.ts';
import type { Violations } from './violation.ts';

const ABSENT = 0;
const LISTED = 1;
const RETRIEVED = 2;

/** An ordered set of names with a state and a process each. */
class Side implements Stateful {
  /** Name ids in order; a name that went keeps its place until the side is cleared. */
  readonly #order: Column;
  /** By name: state in the low 2 bits, process above, place in the order in #places. */
  readonly #states: Column;
  readonly #places: Column;
  /** By name: the task that was told. */
  readonly #tasks: Column;
  length = 0;
  count = 0;

  constructor(storage: Storage, label: string) {
    this.#order = new Column(storage, `${label} order`);
    this.#states = new Column(storage, `${label} states`);
    this.#places = new Column(storage, `${label} places`);
    this.#tasks = new Column(storage, `${label} tasks`);
    storage.journal.enlist(this);
  }

  state(name: number): number {
    return this.#states.get(name) & 3;
  }

  process(name: number): number {
    return this.#states.get(name) >>> 2;
  }

  task(name: number): number {
    return this.#tasks.get(name);
  }

  add(name: number, process: number, task: number): void {
    this.#states.set(name, (process << 2) | LISTED);
    this.#tasks.set(name, task);
    this.#places.set(name, this.length);
    this.#order.set(this.length++, name);
    this.count++;
  }

  setState(name: number, state: number, process: number): void {
    if (state === ABSENT) this.count--;
    this.#states.set(name, (process << 2) | state);
  }

  /** The name at a place of the order, or -1 where it has gone. */
  at(place: number): number {
    const name = this.#order.get(place);
    return this.state(name) !== ABSENT && this.#places.get(name) === place ? name : -1;
  }

  clear(): void {
    for (let place = 0; place < this.length; place++) this.#states.set(this.#order.get(place), 0);
    this.length = 0;
    this.count = 0;
  }

  capture(): unknown {
    return [this.length, this.count];
  }

  reinstate(state: unknown): void {
    [this.length, this.count] = state as [number, number];
  }
}

export class SessionModel implements Stateful {
  #outgoing: Side;
  #incoming: Side;
  readonly #violations: Violations;
  readonly #describe: (name: number) => string;
  readonly #processes: string[] = [];
  /** The name + 1 in a call that has not answered, by task; 0 for none. */
  readonly #inFlight: number[] = [];
  /** Names whose fate the jump left open. */
  #uncertain: ReadonlySet<number> = new Set();
  /** Told of sessions that are finished or closed, of one kernel or the other. */
  onGone: ((side: 'incoming' | 'outgoing', name: number) => void) | undefined;
  /** Why the sessions of the previous kernel are lost, openly; undefined while they are not. */
  lost: string | undefined;

  constructor(storage: Storage, violations: Violations, describe: (name: number) => string) {
    this.#outgoing = new Side(storage, 'model outgoing');
    this.#incoming = new Side(storage, 'model incoming');
    this.#violations = violations;
    this.#describe = describe;
    storage.journal.enlist(this);
  }

  get created(): number {
    return this.#outgoing.count;
  }

  /** Sessions of the previous kernel that have not gone. */
  get expected(): number {
    return this.#incoming.count;
  }

  get uncertain(): ReadonlySet<number> {
    return this.#uncertain;
  }

  called({ task }: Thread, _verb: Verb, name: number): void {
    this.#inFlight[task.id] = name + 1;
  }

  answered({ task, process }: Thread, verb: Verb, name: number, result: number): void {
    this.#inFlight[task.id] = 0;
    if (verb === 'exit') this.#exited(this.#processId(process.name));
    if (name === -1) return;
    if (verb === 'create') this.#created(name, this.#processId(process.name), task.id, result);
    else if (verb === 'retrieve') this.#retrieved(name, this.#processId(process.name), task.id, result);
    else if (verb === 'close' && result >= 0) this.#closed(name, this.#processId(process.name));
    else if (verb === 'finish' && result >= 0)
      this.onGone?.(this.#sideOf(name, this.#processId(process.name)), name);
  }

  /** Acknowledged and not closed, in order of acknowledgement. */
  *outgoing(): Generator<number, void, void> {
    for (let place = 0; place < this.#outgoing.length; place++) {
      const name = this.#outgoing.at(place);
      if (name !== -1) yield name;
    }
  }

  /** What the previous kernel owes, in order. */
  *incoming(): Generator<number, void, void> {
    for (let place = 0; place < this.#incoming.length; place++) {
      const name = this.#incoming.at(place);
      if (name !== -1) yield name;
    }
  }

  /** Which task was told of a session of this kernel. */
  creator(name: number): number {
    return this.#outgoing.task(name);
  }

  /** The machine jumped: what was created is owed, what was owed before and not created again is discarded. */
  jumped(): void {
    this.#uncertain = new Set(
      Array.from(this.#inFlight, (name) => (name ?? 0) - 1).filter((name) => name >= 0),
    );
    this.#inFlight.length = 0;
    this.#incoming.clear();
    [this.#incoming, this.#outgoing] = [this.#outgoing, this.#incoming];
    this.lost = undefined;
  }

  /** The previous kernel's sessions are lost and everybody can see it. */
  lostOpenly(why: string): void {
    this.lost = why;
    this.#incoming.clear();
  }

  capture(): unknown {
    return [this.#outgoing, this.#incoming, this.#uncertain, this.lost, this.#processes.slice()];
  }

  reinstate(state: unknown): void {
    const [outgoing, incoming, uncertain, lost, processes] = state as [
      Side,
      Side,
      ReadonlySet<number>,
      string | undefined,
      string[],
    ];
    this.#outgoing = outgoing;
    this.#incoming = incoming;
    this.#uncertain = uncertain;
    this.lost = lost;
    this.#processes.splice(0, this.#processes.length, ...processes);
    this.#inFlight.length = 0;
  }

  #created(name: number, process: number, task: number, result: number): void {
    if (result < 0) return;
    if (this.#outgoing.state(name) !== ABSENT) {
      this.#violations.add('one-name', `a second session "${this.#describe(name)}" was acknowledged`);
      return;
    }
    this.#outgoing.add(name, process, task);
  }

  #retrieved(name: number, process: number, task: number, result: number): void {
    const state = this.#incoming.state(name);
    const text = `"${this.#describe(name)}"`;
    if (this.#uncertain.has(name)) {
      if (result >= 0 && state === ABSENT) this.#incoming.add(name, process, task);
    } else if (result >= 0 && state !== LISTED) {
      this.#violations.add('no-invention', `${text} was retrieved and should not be there`);
    } else if (result === -2 && state === LISTED) {
      this.#violations.add('preservation', `${text} was acknowledged and is not there: ENOENT`);
    } else if (result === -22 && state === LISTED) {
      this.#violations.add('preservation', `${text} cannot be retrieved the first time: EINVAL`);
    }
    if (result >= 0 && this.#incoming.state(name) === LISTED)
      this.#incoming.setState(name, RETRIEVED, process);
  }

  /** A process may have a session of that name from either kernel; it acts on the one it opened. */
  #sideOf(name: number, process: number): 'incoming' | 'outgoing' {
    const own = this.#incoming.state(name) === RETRIEVED && this.#incoming.process(name) === process;
    return own ? 'incoming' : 'outgoing';
  }

  #closed(name: number, process: number): void {
    const side = this.#sideOf(name, process);
    if (side === 'incoming') this.#incoming.setState(name, ABSENT, 0);
    else if (this.#outgoing.state(name) === LISTED) this.#outgoing.setState(name, ABSENT, 0);
    this.onGone?.(side, name);
  }

  #exited(process: number): void {
    for (const name of this.outgoing()) {
      if (this.#outgoing.process(name) !== process) continue;
      this.#outgoing.setState(name, ABSENT, 0);
      this.onGone?.('outgoing', name);
    }
    for (const name of this.incoming()) {
      const retrieved = this.#incoming.state(name) === RETRIEVED;
      if (!retrieved || this.#incoming.process(name) !== process) continue;
      this.#incoming.setState(name, ABSENT, 0);
      this.onGone?.('incoming', name);
    }
  }

  #processId(name: string): number {
    const known = this.#processes.indexOf(name);
    return known !== -1 ? known : this.#processes.push(name) - 1;
  }
}
