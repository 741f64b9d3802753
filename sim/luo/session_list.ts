/*
 * struct luo_session_header: the outgoing or the incoming list of sessions. rwsem protects list and count; lookups by
 * name are a linear scan in the kernel and are charged as one.
 */
import { assert } from '../base/assert.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { STEP } from '../machine/cpu.ts';
import type { Stateful } from '../machine/journal.ts';
import { RwSemaphore } from '../sched/rwsem.ts';
import { ListRank } from './list_rank.ts';
import { NameMap } from './name_map.ts';
import {
  NO_SESSION,
  ON_INCOMING,
  ON_OUTGOING,
  type SessionHandle,
  type SessionTable,
} from './session_table.ts';

export class SessionList implements Stateful {
  readonly name: 'outgoing' | 'incoming';
  readonly rwsem: RwSemaphore;
  readonly #kernel: Kernel;
  readonly #table: SessionTable;
  readonly #list: number;
  readonly #names: NameMap;
  readonly #rank: ListRank;
  /** Sessions on the list; under rwsem. */
  count = 0;
  head: SessionHandle = NO_SESSION;
  tail: SessionHandle = NO_SESSION;
  /** Set up: there is a place to serialize to, or something to deserialize from. */
  active = false;

  constructor(kernel: Kernel, table: SessionTable, name: 'outgoing' | 'incoming') {
    this.name = name;
    this.#kernel = kernel;
    this.#table = table;
    this.rwsem = new RwSemaphore(kernel.sched, `luo_session_header[${name}].rwsem`);
    this.#list = name === 'outgoing' ? ON_OUTGOING : ON_INCOMING;
    this.#names = new NameMap(kernel.storage, table, `${name} names`, this.#list);
    this.#rank = new ListRank(kernel.storage, `${name} rank`);
    kernel.machine.journal.enlist(this);
  }

  /** The session of a normalised name or NO_SESSION, charging a hop for every session looked at. */
  scan(words: Int32Array, at: number): SessionHandle {
    const found = this.#names.find(words, at);
    const hops = found === NO_SESSION ? this.count : this.#rank.rank(this.#table.position(found)) + 1;
    this.#kernel.charge(STEP.hop, hops);
    return found;
  }

  /** list_add_tail; count++. */
  append(session: SessionHandle): void {
    if (this.#rank.sparse) this.#renumber();
    this.#table.link(session, this.tail, this.#list, this.#rank.append());
    if (this.tail === NO_SESSION) this.head = session;
    this.tail = session;
    this.count++;
    this.#names.add(session, this.head, this.count);
  }

  /** list_del; count--. */
  unlink(session: SessionHandle): void {
    const table = this.#table;
    assert(this.count > 0, 'unlink from an empty list');
    this.#rank.remove(table.position(session));
    if (session === this.head) this.head = table.next(session);
    if (session === this.tail) this.tail = table.prev(session);
    table.unlink(session);
    this.count--;
  }

  capture(): unknown {
    return [this.count, this.head, this.tail, this.active];
  }

  reinstate(state: unknown): void {
    [this.count, this.head, this.tail, this.active] = state as [
      number,
      SessionHandle,
      SessionHandle,
      boolean,
    ];
  }

  #renumber(): void {
    this.#rank.reset();
    for (let session = this.head; session !== NO_SESSION; session = this.#table.next(session)) {
      this.#table.setPosition(session, this.#rank.append());
    }
  }
}
