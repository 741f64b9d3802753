/*
 * What the parts of a walk over a handover share: memory, the tracker, and which frames have a piece already.
 *
 *   no frame belongs to two blocks of the walk, and a block that is met again is not gone into: so the walk ends,
 *   whatever memory holds
 */
import { bytesOf, type Order, type Phys, pagesOf, pfnOf } from '../base/units.ts';
import type { DecodedField, Memory, Piece } from './anatomy.ts';
import { FrameSet } from './frame_set.ts';
import { leads } from './published.ts';
import type { TrackerView } from './tracker_view.ts';

/** A block that a reader takes. */
export interface Block {
  readonly phys: Phys;
  /** As the tracker has it. */
  readonly order: number | undefined;
  readonly problems: string[];
  /** Whether nothing else of the walk lies there; else it is not to be gone into. */
  readonly fresh: boolean;
}

/** Takes any order: the stamp says it. */
export const ANY_ORDER = -1;

export class Walk {
  readonly memory: Memory;
  /** Undefined until the root has said where it is, and where it has none. */
  tracker: TrackerView | undefined;
  /** Frames of blocks that the walk met. */
  readonly met = new FrameSet();

  constructor(memory: Memory) {
    this.memory = memory;
  }

  /** Whether an address can be followed; see leads. */
  leads(address: number, what: string, problems: string[]): address is Phys {
    return leads(this.memory, address, what, problems);
  }

  /** Begins the block at a page of memory, which its reader takes for one of `expected`. */
  begin(phys: Phys, expected: Order | typeof ANY_ORDER): Block {
    const problems: string[] = [];
    const frame = pfnOf(phys);
    const orders = this.tracker?.ordersOf(frame) ?? [];
    const order = orders.find((found) => found === expected) ?? orders[0];
    if (this.tracker !== undefined) {
      if (order === undefined) problems.push('is not preserved');
      else if (expected !== ANY_ORDER && order !== expected)
        problems.push(`is preserved with order ${order}, its reader takes it for order ${expected}`);
      if (orders.length > 1) problems.push(`is preserved with orders ${orders.join(' and ')}`);
    }
    const size = expected === ANY_ORDER ? (order ?? 0) : expected;
    const inside = this.memory.has(phys, bytesOf(size as Order));
    if (!inside) problems.push('reaches beyond memory');
    const fresh = inside && this.met.add(frame, pagesOf(size as Order));
    if (inside && !fresh) problems.push('lies where another piece does');
    return { phys, order, problems, fresh };
  }
}

/** The piece that a block begins with. */
export function headOf(
  path: string,
  struct: string,
  { phys, order, problems }: Block,
  bytes: number,
  fields: readonly DecodedField[],
): Piece {
  return { path, struct, phys, bytes, order, fields, problems };
}

/** A piece inside a block. */
export function insideOf(
  path: string,
  struct: string,
  phys: Phys,
  bytes: number,
  fields: readonly DecodedField[],
  problems: readonly string[],
): Piece {
  return { path, struct, phys, bytes, order: undefined, fields, problems };
}
