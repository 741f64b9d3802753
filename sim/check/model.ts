/*
 * The reference model: the user's view of sessions. It knows what calls answered, and nothing of how a kernel works:
 * who was told "created" and has not closed must find the session in the next kernel, in the order of creation.
 *
 *   outgoing   acknowledged in this kernel, oldest first
 *   incoming   acknowledged in the kernel before: waiting -> retrieved -> gone
 *
 * A process may have several descriptors of one name: of a session of either kernel, and copies (dup). It acts on the
 * one it got last.
 *
 * A call that had not answered when the machine jumped may have happened or not: its session is uncertain.
 */
import type { Storage } from '../machine/column.ts';
import type { Stateful } from '../machine/journal.ts';
import type { Thread } from '../user/process.ts';
import type { Verb } from '../user/program.ts';
import { ABSENT, actorOf, LISTED, type Order, RETRIEVED, Side, stateOf } from './side.ts';
import type { Violations } from './violation.ts';

/** Who was told: a process, by its id, and the task in it. */
interface Actor {
  readonly process: number;
  readonly task: number;
}

type SideName = 'incoming' | 'outgoing';

/** Who follows sessions: an object, and no closure, which would be another one for every run. */
interface Followers {
  gone(side: SideName, name: number): void;
}

export class SessionModel implements Stateful {
  #outgoing: Side;
  #incoming: Side;
  readonly #violations: Violations;
  readonly #describe: (name: number) => string;
  readonly #processes: string[] = [];
  readonly #actors: Actor[] = [];
  /** The thread that answered last, its number among the actors, and that of its process. */
  #lastThread: Thread | undefined;
  #lastActor = 0;
  #lastProcess = 0;
  /** Those that have acted on this kernel. */
  readonly #threads = new Set<Thread>();
  /** Names whose fate the jump, or an answer that could not be written, left open. */
  #uncertain: ReadonlySet<number> = new Set();
  /** Told of sessions that are finished or closed, of one kernel or the other. */
  files: Followers | undefined;
  /** By process and name, where there are several descriptors: whose session each leads to, the last one last. */
  #held: Map<string, readonly SideName[]> = new Map();
  /** Why the sessions of the previous kernel are lost, openly; undefined while they are not. */
  lost: string | undefined;

  constructor(storage: Storage, violations: Violations, describe: (name: number) => string) {
    this.#outgoing = new Side(storage, 'model sessions');
    this.#incoming = new Side(storage, 'model sessions before');
    this.#turn();
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

  /** A thread acts: what it is calling about when the machine jumps may have happened. */
  began(thread: Thread): void {
    this.#threads.add(thread);
  }

  answered(thread: Thread, verb: Verb, name: number, result: number): void {
    if (thread !== this.#lastThread) this.#turnTo(thread);
    const process = this.#lastProcess;
    if (name === -1) {
      if (verb === 'exit') this.#exited(process);
    } else if (verb === 'create') this.#created(name, process, result);
    else if (verb === 'retrieve') this.#retrieved(name, process, result);
    else if (result < 0) return;
    else if (verb === 'finish') this.#finished(name, process);
    else if (verb === 'close') this.#closed(name, process);
    else if (verb === 'dup') this.#copied(name, process);
  }

  /** Acknowledged and not closed, in order of acknowledgement. */
  get outgoing(): Order {
    return this.#outgoing;
  }

  /** What the previous kernel owes, in order. */
  get incoming(): Order {
    return this.#incoming;
  }

  /** Which task was told that it had created a session; of an incoming one, until it is retrieved. */
  creator(name: number, side: SideName): number {
    const entry = (side === 'outgoing' ? this.#outgoing : this.#incoming).entry(name);
    return (this.#actors[actorOf(entry)] as Actor).task;
  }

  /** The machine jumped: what was created is owed, what was owed before and not created again is discarded. */
  jumped(): void {
    const threads = [...this.#threads].sort((x, y) => x.task.id - y.task.id);
    this.#uncertain = new Set(threads.map(({ calling }) => calling).filter((name) => name !== -1));
    this.#threads.clear();
    this.#held.clear();
    this.#incoming.clear();
    this.#turn();
    this.lost = undefined;
  }

  /** What was outgoing is incoming. Done once at first: no engine takes a side for one that never changes. */
  #turn(): void {
    [this.#incoming, this.#outgoing] = [this.#outgoing, this.#incoming];
  }

  /** The previous kernel's sessions are lost and everybody can see it. */
  lostOpenly(why: string): void {
    this.lost = why;
    this.#incoming.clear();
  }

  capture(): unknown {
    const held = new Map(this.#held);
    const known = [this.#processes.length, this.#actors.length];
    return [this.#outgoing, this.#incoming, this.#uncertain, this.lost, known, held];
  }

  reinstate(state: unknown): void {
    const [outgoing, incoming, uncertain, lost, [processes, actors], held] = state as [
      Side,
      Side,
      ReadonlySet<number>,
      string | undefined,
      readonly [processes: number, actors: number],
      ReadonlyMap<string, readonly SideName[]>,
    ];
    this.#held = new Map(held);
    this.#outgoing = outgoing;
    this.#incoming = incoming;
    this.#uncertain = uncertain;
    this.lost = lost;
    this.#processes.length = processes;
    this.#actors.length = actors;
    this.#lastThread = undefined;
    this.#threads.clear();
  }

  #created(name: number, process: number, result: number): void {
    if (result < 0) return;
    const outgoing = this.#outgoing.entry(name);
    if (stateOf(outgoing) !== ABSENT) {
      this.#violations.add('one-name', `a second session "${this.#describe(name)}" was acknowledged`);
      return;
    }
    const before = this.#sideOf(name, process, this.#incoming.entry(name), outgoing);
    if (before !== undefined) this.#took(name, process, before, 'outgoing');
    this.#outgoing.add(name, this.#lastActor);
  }

  #retrieved(name: number, process: number, result: number): void {
    const incoming = this.#incoming.entry(name);
    const state = stateOf(incoming);
    if (result < 0) {
      if (state === LISTED && !this.#uncertain.has(name)) this.#notRetrieved(name, result);
      return;
    }
    if (state !== LISTED) {
      if (!this.#uncertain.has(name)) {
        const text = `"${this.#describe(name)}" was retrieved and should not be there`;
        this.#violations.add('no-invention', text);
        return;
      }
      if (state !== ABSENT) return;
      this.#incoming.add(name, this.#lastActor);
    }
    const before = this.#sideOf(name, process, incoming, this.#outgoing.entry(name));
    if (before !== undefined) this.#took(name, process, before, 'incoming');
    this.#incoming.setState(name, RETRIEVED, this.#lastActor);
  }

  /** A session that is owed was refused. */
  #notRetrieved(name: number, result: number): void {
    const said = `"${this.#describe(name)}"`;
    if (result === -2) {
      this.#violations.add('preservation', `${said} was acknowledged and is not there: ENOENT`);
    } else if (result === -22) {
      this.#violations.add('preservation', `${said} cannot be retrieved the first time: EINVAL`);
    } else if (result === -14) {
      // The answer found no page: whatever was retrieved is finished with its file, which nobody gets.
      this.#uncertain = new Set([...this.#uncertain, name]);
    }
  }

  /**
   * The kernel whose session the process acts on under this name; undefined where it has no descriptor. `incoming` and
   * `outgoing` are the name's entries.
   */
  #sideOf(name: number, process: number, incoming: number, outgoing: number): SideName | undefined {
    const held = this.#heldAs(name, process);
    if (held !== undefined) return held.at(-1);
    if (stateOf(incoming) === RETRIEVED && this.#process(actorOf(incoming)) === process) return 'incoming';
    const isItsOwn = stateOf(outgoing) === LISTED && this.#process(actorOf(outgoing)) === process;
    return isItsOwn ? 'outgoing' : undefined;
  }

  /** The same, of the name as it stands. */
  #side(name: number, process: number): SideName | undefined {
    return this.#sideOf(name, process, this.#incoming.entry(name), this.#outgoing.entry(name));
  }

  #heldAs(name: number, process: number): readonly SideName[] | undefined {
    return this.#held.size === 0 ? undefined : this.#held.get(`${process} ${name}`);
  }

  /** The process, which had one that leads to `before`, gets another descriptor of this name. */
  #took(name: number, process: number, before: SideName, side: SideName): void {
    this.#held.set(`${process} ${name}`, [...(this.#heldAs(name, process) ?? [before]), side]);
  }

  #copied(name: number, process: number): void {
    const side = this.#side(name, process);
    if (side !== undefined) this.#took(name, process, side, side);
  }

  #finished(name: number, process: number): void {
    const side = this.#side(name, process);
    if (side !== undefined) this.files?.gone(side, name);
  }

  #closed(name: number, process: number): void {
    const side = this.#side(name, process);
    if (side === undefined || this.#holdsMore(name, process, side)) return;
    if (side === 'incoming') this.#incoming.setState(name, ABSENT, 0);
    else this.#outgoing.setState(name, ABSENT, 0);
    this.files?.gone(side, name);
  }

  /** The last descriptor of the name goes; whether another one leads to its session. */
  #holdsMore(name: number, process: number, side: SideName): boolean {
    const held = this.#heldAs(name, process);
    if (held === undefined) return false;
    const rest = held.slice(0, -1);
    if (rest.length > 1) this.#held.set(`${process} ${name}`, rest);
    else this.#held.delete(`${process} ${name}`);
    return rest.includes(side);
  }

  #exited(process: number): void {
    for (let place = 0; place < this.#outgoing.length; place++) {
      const name = this.#outgoing.at(place);
      if (name === -1 || this.#process(actorOf(this.#outgoing.entry(name))) !== process) continue;
      this.#outgoing.setState(name, ABSENT, 0);
      this.files?.gone('outgoing', name);
    }
    for (let place = 0; place < this.#incoming.length; place++) {
      const name = this.#incoming.at(place);
      if (name === -1) continue;
      const entry = this.#incoming.entry(name);
      if (stateOf(entry) !== RETRIEVED || this.#process(actorOf(entry)) !== process) continue;
      this.#incoming.setState(name, ABSENT, 0);
      this.files?.gone('incoming', name);
    }
  }

  #process(actor: number): number {
    return (this.#actors[actor] as Actor).process;
  }

  #turnTo(thread: Thread): void {
    this.#lastThread = thread;
    this.#lastActor = this.#findActor(thread.process.name, thread.task.id);
    this.#lastProcess = this.#process(this.#lastActor);
  }

  #findActor(name: string, task: number): number {
    const named = this.#processes.indexOf(name);
    const process = named !== -1 ? named : this.#processes.push(name) - 1;
    const known = this.#actors.findIndex((actor) => actor.process === process && actor.task === task);
    return known !== -1 ? known : this.#actors.push({ process, task }) - 1;
  }
}
