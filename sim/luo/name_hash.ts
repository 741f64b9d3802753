/*
 * A resizable hash table of session names, a design for comparison (after lib/rhashtable.c):
 *
 *   bucket   head of a chain of sessions, the newest first; 8 bytes in pages of the table
 *   grow     when more than three quarters as many sessions as buckets are there: twice as many buckets, every name
 *            hashed again, the old table freed
 *
 * Simplified: the session that makes the table grow pays for it (in the kernel a worker does it meanwhile), and a table
 * that empties does not shrink. A failure to grow is no error: chains grow longer.
 */
import { ERRNO } from '../base/errno.ts';
import { PAGE_SIZE } from '../base/limits.ts';
import { definePoint } from '../base/point.ts';
import { type VmArea, vfree, vzalloc } from '../kernel/vmalloc.ts';
import { Column } from '../machine/column.ts';
import { STEP } from '../machine/cpu.ts';
import type { Stateful } from '../machine/journal.ts';
import { chargeHops, chargeLoads, type IndexedList, type NameIndex } from './name_index.ts';
import { NO_SESSION, type SessionHandle } from './session_table.ts';

const TABLE = definePoint('rhashtable_insert_slow', 'table', 'fault');

const BUCKET_BYTES = 8;
/** HASH_DEFAULT_SIZE. */
const BUCKETS_MIN = 64;
/** Grown when more than this many quarters are full. */
const FULL_QUARTERS = 3;

export class NameHash implements NameIndex, Stateful {
  readonly #list: IndexedList;
  /** Handles: the head by bucket, the next by session index. */
  #heads: Column;
  readonly #next: Column;
  #buckets = 0;
  #pages: VmArea = { pages: [] };

  constructor(list: IndexedList) {
    this.#list = list;
    const { storage, machine } = list.kernel;
    this.#heads = new Column(storage, `${list.name} name buckets`);
    this.#next = new Column(storage, `${list.name} name chains`);
    machine.journal.enlist(this);
  }

  get pages(): number {
    return this.#pages.pages.length;
  }

  search(found: SessionHandle, hash: number): void {
    this.#list.kernel.charge(STEP.nameHash, 1);
    if (this.#buckets === 0) return;
    chargeLoads(this.#list.kernel, this.#buckets * BUCKET_BYTES, 1);
    const { table } = this.#list;
    let hops = 0;
    for (
      let s = this.#head(hash);
      s !== NO_SESSION;
      s = this.#next.get(table.slab.index(s)) as SessionHandle
    ) {
      hops++;
      if (s === found) break;
    }
    chargeHops(this.#list, hops);
  }

  add(session: SessionHandle): number {
    const { count } = this.#list;
    if ((count + 1) * 4 > this.#buckets * FULL_QUARTERS) this.#grow();
    if (this.#buckets === 0) return -ERRNO.ENOMEM;
    this.#link(session);
    return 0;
  }

  remove(session: SessionHandle): void {
    const hash = this.#list.hashOf(session);
    const { slab } = this.#list.table;
    const next = this.#next.get(slab.index(session));
    let hops = 1;
    let at = this.#head(hash);
    if (at === session) {
      this.#heads.set(this.#bucket(hash), next);
    } else {
      while (this.#next.get(slab.index(at)) !== session) {
        at = this.#next.get(slab.index(at)) as SessionHandle;
        hops++;
      }
      this.#next.set(slab.index(at), next);
    }
    this.#list.kernel.charge(STEP.nameHash, 1);
    chargeHops(this.#list, hops);
  }

  capture(): unknown {
    return [this.#heads, this.#buckets, this.#pages];
  }

  reinstate(state: unknown): void {
    [this.#heads, this.#buckets, this.#pages] = state as [Column, number, VmArea];
  }

  #bucket(hash: number): number {
    return (hash >>> 0) % this.#buckets;
  }

  #head(hash: number): SessionHandle {
    return this.#heads.get(this.#bucket(hash)) as SessionHandle;
  }

  #link(session: SessionHandle): void {
    const bucket = this.#bucket(this.#list.hashOf(session));
    this.#next.set(this.#list.table.slab.index(session), this.#heads.get(bucket));
    this.#heads.set(bucket, session);
  }

  /** Twice as many buckets; every name is hashed again, as rhashtable_rehash_table does. */
  #grow(): void {
    const { kernel, table, head, count } = this.#list;
    const buckets = Math.max(this.#buckets * 2, BUCKETS_MIN);
    const owner = kernel.frames.owner('session name index');
    const pages = vzalloc(kernel, Math.max(buckets * BUCKET_BYTES, PAGE_SIZE), owner, TABLE);
    if (pages === -1) return;
    vfree(kernel, this.#pages);
    this.#pages = pages;
    this.#buckets = buckets;
    const old = this.#heads;
    this.#heads = new Column(kernel.storage, old.name, buckets);
    // A mark may still need it.
    if (kernel.machine.journal.depth === 0) old.dispose();
    for (let at = head; at !== NO_SESSION; at = table.next(at)) this.#link(at);
    kernel.charge(STEP.nameHash, count);
    chargeHops(this.#list, count);
  }
}
