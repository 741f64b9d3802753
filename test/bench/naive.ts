/*
 * What a person would write first for the same cycle: an object a session in a Map by name, names as strings, blocks
 * through a DataView. No frames, no allocator, no tracker, no clocks, no digest, no locks, no laws but the last phase.
 *
 *   block (64 KiB)   u64 next | u64 count | 819 times { name[64], u64 files, u64 count }
 *
 * Handing over is a reference: memory is the list of blocks. It is written to be read, and not to be slow.
 */
import type { Mark } from './clock.ts';

const BLOCK_BYTES = 65536;
const HEADER_BYTES = 16;
const NAME_BYTES = 64;
const SLOT_BYTES = 80;
const PER_BLOCK = Math.floor((BLOCK_BYTES - HEADER_BYTES) / SLOT_BYTES);

const encoder = new TextEncoder();
const decoder = new TextDecoder();

class Session {
  readonly name: string;
  readonly files: bigint[] = [];
  retrieved = false;

  constructor(name: string) {
    this.name = name;
  }
}

class Sessions {
  readonly byName = new Map<string, Session>();

  create(name: string): void {
    if (name.length >= NAME_BYTES) throw new Error('EINVAL');
    if (this.byName.has(name)) throw new Error('EEXIST');
    this.byName.set(name, new Session(name));
  }

  serialize(): ArrayBuffer[] {
    const blocks: ArrayBuffer[] = [];
    let block = new DataView(new ArrayBuffer(0));
    let count = PER_BLOCK;
    for (const session of this.byName.values()) {
      if (count === PER_BLOCK) {
        block = new DataView(new ArrayBuffer(BLOCK_BYTES));
        blocks.push(block.buffer as ArrayBuffer);
        count = 0;
      }
      const at = HEADER_BYTES + count * SLOT_BYTES;
      encoder.encodeInto(session.name, new Uint8Array(block.buffer, at, NAME_BYTES));
      block.setBigUint64(at + NAME_BYTES + 8, BigInt(session.files.length), true);
      count++;
      block.setBigUint64(8, BigInt(count), true);
    }
    return blocks;
  }

  deserialize(blocks: readonly ArrayBuffer[]): void {
    for (const buffer of blocks) {
      const block = new DataView(buffer);
      const count = Number(block.getBigUint64(8, true));
      for (let slot = 0; slot < count; slot++) {
        const at = HEADER_BYTES + slot * SLOT_BYTES;
        const bytes = new Uint8Array(buffer, at, NAME_BYTES);
        this.create(decoder.decode(bytes.subarray(0, bytes.indexOf(0))));
        if (block.getBigUint64(at + NAME_BYTES + 8, true) !== 0n) throw new Error('EINVAL');
      }
    }
  }
}

/** One cycle: create, serialize, handoff, deserialize, verify. */
export function naiveCycle(sessions: number, mark: Mark): void {
  mark('create');
  let kernel: Sessions | undefined = new Sessions();
  for (let i = 0; i < sessions; i++) kernel.create(`many-test-${i}`);
  mark('serialize');
  const memory = kernel.serialize();
  mark('handoff');
  kernel = undefined;
  const next = new Sessions();
  mark('deserialize');
  next.deserialize(memory);
  mark('verify');
  let i = 0;
  for (const { name } of next.byName.values()) {
    if (name !== `many-test-${i++}`) throw new Error(`${name} stands at ${i - 1}`);
  }
  if (i !== sessions) throw new Error(`${i} sessions of ${sessions}`);
}
