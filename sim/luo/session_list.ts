/*
 * struct luo_session_header: the outgoing or the incoming list of sessions. rwsem protects list and count; lookups by
 * name are a linear scan in the kernel and are charged as one, or as what another design would take (name_index.ts).
 */
import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Stateful } from '../machine/journal.ts';
import { RwSemaphore } from '../sched/rwsem.ts';
import { ListRank } from './list_rank.ts';
import { NameHasher } from './name.ts';
import type { IndexedList, NameIndex } from './name_index.ts';
import { nameIndex } from './name_indexes.ts';
import { NameMap } from './name_map.ts';
import {
  NO_SESSION,
  ON_INCOMING,
  ON_OUTGOING,
  type SessionHandle,
  type SessionTable,
} from './session_table.ts';

export class SessionList implements Stateful, IndexedList {
  readonly name: 'outgoing' | 'incoming';
  readonly rwsem: RwSemaphore;
  readonly kernel: Kernel;
  readonly table: SessionTable;
  readonly #list: number;
  readonly #names: NameMap;
  readonly #rank: ListRank;
  readonly #index: NameIndex;
  /** The index looks for duplicates when all sessions are there. */
  readonly #looksLater: boolean;
  readonly #hasher = new NameHasher();
  /** Sessions that joined unchecked under a name that was there. */
  #duplicates = 0;
  /** Sessions on the list; under rwsem. */
  count = 0;
  head: SessionHandle = NO_SESSION;
  tail: SessionHandle = NO_SESSION;
  /** Set up: there is a place to serialize to, or something to deserialize from. */
  active = false;

  constructor(kernel: Kernel, table: SessionTable, name: 'outgoing' | 'incoming') {
    this.name = name;
    this.kernel = kernel;
    this.table = table;
    this.rwsem = new RwSemaphore(kernel.sched, `luo_session_header[${name}].rwsem`);
    this.#list = name === 'outgoing' ? ON_OUTGOING : ON_INCOMING;
    this.#names = new NameMap(kernel.storage, table, `${name} names`, this.#list);
    this.#rank = new ListRank(kernel.storage, `${name} rank`);
    this.#index = nameIndex(this);
    this.#looksLater = this.#index.settle !== undefined;
    kernel.machine.journal.enlist(this);
  }

  /** Pages of the index by name. */
  get indexPages(): number {
    return this.#index.pages ?? 0;
  }

  /** The session of a name or NO_SESSION, charging what finding it takes. 64 bytes without NUL are no name. */
  scan(words: Int32Array, at: number): SessionHandle {
    this.#hasher.set(words, at);
    const found = this.#names.find(this.#hasher);
    this.#index.search(found, this.#hasher.hash);
    return found;
  }

  /** Whether the name of a session that is to join the list is found to be taken; some designs look later. */
  taken(session: SessionHandle): boolean {
    const found = this.#names.findNameOf(session);
    if (this.#looksLater) {
      if (found !== NO_SESSION) this.#duplicates++;
      return false;
    }
    this.#index.search(found, this.table.hash(session));
    return found !== NO_SESSION;
  }

  /** list_add_tail; count++: 0, or -ENOMEM where the index has no room. */
  append(session: SessionHandle): number {
    const err = this.#index.add?.(session) ?? 0;
    if (err !== 0) return err;
    const { table } = this;
    if (this.#rank.sparse) this.#renumber();
    table.link(session, this.tail, this.#list, this.#rank.append());
    if (this.tail === NO_SESSION) this.head = session;
    this.tail = session;
    this.count++;
    this.#names.add(session, this.head, this.count);
    return 0;
  }

  /** So many sessions more may be about to join, as far as anybody knows. */
  expect(more: number): void {
    this.#names.reserve(this.count + more, this.head);
  }

  /** All sessions that were handed over have joined: 0, -EEXIST where a name is there twice, -ENOMEM. */
  settle(): number {
    const err = this.#index.settle?.() ?? 0;
    return err === 0 && this.#duplicates > 0 ? -ERRNO.EEXIST : err;
  }

  rankOf(session: SessionHandle): number {
    return this.#rank.rank(this.table.position(session));
  }

  /** list_del; count--. */
  unlink(session: SessionHandle): void {
    const { table } = this;
    assert(this.count > 0, 'unlink from an empty list');
    this.#rank.remove(table.position(session));
    if (session === this.head) this.head = table.next(session);
    if (session === this.tail) this.tail = table.prev(session);
    table.unlink(session);
    this.count--;
    this.#index.remove?.(session);
  }

  capture(): unknown {
    return [this.count, this.head, this.tail, this.active, this.#duplicates];
  }

  reinstate(state: unknown): void {
    [this.count, this.head, this.tail, this.active, this.#duplicates] = state as [
      number,
      SessionHandle,
      SessionHandle,
      boolean,
      number,
    ];
  }

  hashOf(session: SessionHandle): number {
    return this.table.hash(session);
  }

  #renumber(): void {
    this.#rank.reset();
    for (let session = this.head; session !== NO_SESSION; session = this.table.next(session)) {
      this.table.setPosition(session, this.#rank.append());
    }
  }
}
