/*
 * What LUO knows of an FLB, struct luo_flb_private: both sides with their locks, and how many handlers it is tied to.
 */
import type { Kernel } from '../kernel/kernel.ts';
import type { Stateful } from '../machine/journal.ts';
import type { Ram } from '../machine/ram.ts';
import { Mutex } from '../sched/mutex.ts';
import { LUO_FLB_SER } from './abi.ts';
import type { Flb, FlbOpArgs } from './flb.ts';

/** One side of an FLB. */
export interface FlbSide extends FlbOpArgs {
  count: number;
}

/** struct luo_flb_private: what LUO knows of an FLB. */
export class FlbState implements Stateful {
  readonly flb: Flb;
  readonly outgoingLock: Mutex;
  readonly incomingLock: Mutex;
  outgoing: FlbSide = { count: 0, data: 0n, obj: undefined };
  incoming: FlbSide = { count: 0, data: 0n, obj: undefined };
  finished = false;
  /** 0 untried, 1 retrieved, a negative errno where that is remembered. */
  status = 0;
  /** Handlers it is linked to. */
  users = 0;

  /** `number` tells FLBs of one name apart, of which at most one registers. */
  constructor({ sched, machine }: Kernel, flb: Flb, number: number) {
    this.flb = flb;
    const name = `flb[${flb.compatible}${number === 0 ? '' : `#${number}`}]`;
    this.outgoingLock = new Mutex(sched, `${name}.outgoing.lock`);
    this.incomingLock = new Mutex(sched, `${name}.incoming.lock`);
    machine.journal.enlist(this);
  }

  capture(): unknown {
    return [{ ...this.outgoing }, { ...this.incoming }, this.finished, this.status, this.users];
  }

  reinstate(state: unknown): void {
    const [outgoing, incoming, finished, status, users] = state as [
      FlbSide,
      FlbSide,
      boolean,
      number,
      number,
    ];
    this.outgoing = { ...outgoing };
    this.incoming = { ...incoming };
    this.finished = finished;
    this.status = status;
    this.users = users;
  }
}

/** u64 without loss. */
export function storeU64(ram: Ram, at: number, value: bigint): void {
  ram.store32(at, Number(value & 0xffffffffn) | 0);
  ram.store32(at + 4, Number(value >> 32n) | 0);
}

export const loadU64 = (ram: Ram, at: number): bigint =>
  (BigInt(ram.load32(at + 4) >>> 0) << 32n) | BigInt(ram.load32(at) >>> 0);

/** name[48] as bytes: NUL padded. */
export function paddedName(text: string): Uint8Array {
  const bytes = new Uint8Array(LUO_FLB_SER.at.data);
  for (let i = 0; i < Math.min(text.length, bytes.length - 1); i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
