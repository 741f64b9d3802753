/*
 * The session store of v6.19 to v7.1 (luo-session-v2): one region of 16 pages, 819 sessions, allocated and preserved
 * at late init and never freed. Layout: abi.ts.
 *
 *   luo-session-header --> | count | session 0 | session 1 | ...   count is written when all sessions are
 *
 * A serialization that fails leaves count as it was: 0, or what an earlier attempt wrote whose kexec failed. The next
 * kernel trusts count, and reads on behind the region if it says so. No lock of its own: the outgoing rwsem.
 */
import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { type Order, orderOf, type Phys } from '../base/units.ts';
import type { Journal, Stateful } from '../machine/journal.ts';
import type { Ram } from '../machine/ram.ts';
import { LUO_SESSION_ARRAY_SER, LUO_SESSION_BYTES, LUO_SESSION_MAX, LUO_SESSION_SER } from './abi.ts';
import type { IncomingStore, OpenIncoming, OutgoingStore } from './session_store.ts';

const COUNT = LUO_SESSION_ARRAY_SER.at.count;
const HEADER_BYTES = LUO_SESSION_ARRAY_SER.size;
const SLOT_BYTES = LUO_SESSION_SER.size;

const slotAt = (region: number, i: number): number => region + HEADER_BYTES + i * SLOT_BYTES;

export interface ArrayGeometry {
  readonly regionBytes: number;
  readonly sessionsMax: number;
}

/** The region of the real kernels; tests scale it down. */
export const SESSION_ARRAY: ArrayGeometry = { regionBytes: LUO_SESSION_BYTES, sessionsMax: LUO_SESSION_MAX };

export class SessionArray implements OutgoingStore, Stateful {
  readonly #ram: Ram;
  readonly #geometry: ArrayGeometry;
  readonly blocksAtBoot = 1;
  /** 0 before late init. */
  #region = 0;
  /** Slots that were given out. */
  #next = 0;

  constructor(journal: Journal, ram: Ram, geometry: ArrayGeometry) {
    this.#ram = ram;
    this.#geometry = geometry;
    journal.enlist(this);
  }

  get headPhys(): number {
    return this.#region;
  }

  get blocks(): number {
    return this.#region === 0 ? 0 : 1;
  }

  get blockBytes(): number {
    return this.#geometry.regionBytes;
  }

  /** -ENOMEM at the limit. */
  room(count: number): number {
    assert(this.#region !== 0, 'sessions are created once the region is there');
    return count >= this.#geometry.sessionsMax ? -ERRNO.ENOMEM : 0;
  }

  addBlock(address: Phys): number {
    assert(this.#region === 0, 'there is one region');
    this.#region = address;
    return 0;
  }

  dropBlock(_count: number): number {
    return 0;
  }

  begin(): void {
    this.#next = 0;
  }

  nextSlot(): number {
    if (this.#next === this.#geometry.sessionsMax) return 0;
    return slotAt(this.#region, this.#next++);
  }

  previousSlot(): number {
    if (this.#next === 0) return 0;
    return slotAt(this.#region, --this.#next);
  }

  commit(count: number): void {
    assert(this.#next === count, 'every session got its slot');
    this.#ram.store64(this.#region + COUNT, count);
  }

  regions(): { readonly address: Phys; readonly order: Order }[] {
    if (this.#region === 0) return [];
    return [{ address: this.#region as Phys, order: orderOf(this.#geometry.regionBytes) }];
  }

  capture(): unknown {
    return [this.#region, this.#next];
  }

  reinstate(state: unknown): void {
    [this.#region, this.#next] = state as [number, number];
  }
}

/** Reads an array as it lies there. A region outside memory is found out when it is read. */
export class IncomingSessionArray implements IncomingStore, Stateful {
  readonly #ram: Ram;
  readonly #region: Phys;
  readonly #restoreFree: (address: Phys) => void;
  readonly freedOnFailure = false;
  readonly capacity = 0;
  #next = 0;

  constructor(journal: Journal, ram: Ram, region: Phys, restoreFree: (address: Phys) => void) {
    this.#ram = ram;
    this.#region = region;
    this.#restoreFree = restoreFree;
    journal.enlist(this);
  }

  nextSlot(): number {
    if (this.#next >= this.#ram.load64(this.#region + COUNT)) return 0;
    return slotAt(this.#region, this.#next++);
  }

  free(): void {
    this.#restoreFree(this.#region);
  }

  capture(): unknown {
    return this.#next;
  }

  reinstate(state: unknown): void {
    this.#next = state as number;
  }
}

/** Nothing is looked at before the device is opened. @kernel luo_session_setup_incoming */
export function sessionArrayOpener(
  journal: Journal,
  ram: Ram,
  restoreFree: (address: Phys) => void,
): OpenIncoming {
  return (region) => new IncomingSessionArray(journal, ram, region, restoreFree);
}
