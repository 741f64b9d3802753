/*
 * The three file stores at the size they have, each by the laws of all.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../sim/base/errno.ts';
import type { Phys } from '../../sim/base/units.ts';
import type { Kernel } from '../../sim/kernel/kernel.ts';
import { KhoBlockTable } from '../../sim/kho/block_table.ts';
import { FileArray } from '../../sim/luo/file_array.ts';
import { FileBlockSet } from '../../sim/luo/file_block_set.ts';
import { FileChain } from '../../sim/luo/file_chain.ts';
import { type FileStore, STORE_WORDS, type StoreRow } from '../../sim/luo/file_store.ts';
import type { SessionHandle } from '../../sim/luo/session_table.ts';
import { Column } from '../../sim/machine/column.ts';
import { bareKernel, MIB } from '../support/system.ts';
import {
  apartLaw,
  type FileStoreUnderTest,
  limitLaw,
  markLaw,
  retryLaw,
  roundTripLaw,
  shrinkLaw,
} from './file_store.laws.ts';

type RowOf = (set: SessionHandle) => StoreRow;
type Design = (kernel: Kernel, rowOf: RowOf) => FileStore;

const rowsOf = (kernel: Kernel, name: string): RowOf => {
  const rows = new Column(kernel.storage, name);
  return (set) => ({ rows, at: set * STORE_WORDS });
};

const tables = new WeakMap<Kernel, KhoBlockTable>();

function tableOf(kernel: Kernel): KhoBlockTable {
  const table = tables.get(kernel) ?? new KhoBlockTable(kernel);
  tables.set(kernel, table);
  return table;
}

const DESIGNS: readonly (readonly [name: string, design: Design, perRegion: number, limit: number])[] = [
  ['the array', ({ machine }, rowOf) => new FileArray(machine.ram, rowOf), 128, 128],
  ['the chain', ({ machine }, rowOf) => new FileChain(machine.ram, rowOf), 127, 1_270_000],
  [
    'the block set',
    (kernel, rowOf) =>
      new FileBlockSet(tableOf(kernel), rowOf, (address) => expect.fail(`${address} was freed`)),
    63,
    630_000,
  ],
];

/** Regions lie where an address begins to need more than 32 bits, one behind the other. */
function under(design: Design): FileStoreUnderTest {
  const kernel = bareKernel({ ramBytes: 8192 * MIB });
  const store = design(kernel, rowsOf(kernel, 'file sets'));
  let end = 4096 * MIB - store.blockBytes;
  const allocBlock = (): Phys => {
    const region = end;
    end += store.blockBytes;
    return region as Phys;
  };
  const next = design(kernel, rowsOf(kernel, 'file sets of the next kernel'));
  return { machine: kernel.machine, store, next, allocBlock };
}

describe.each(DESIGNS)('%s of files', (_name, design, perRegion, limit) => {
  const most = Math.min(limit, 3 * perRegion + 2);
  const edges = [0, 1, perRegion - 1, perRegion, perRegion + 1, 2 * perRegion, 2 * perRegion + 1, most];
  const counts = fc.oneof(
    fc.constantFrom(...edges.filter((count) => count <= most)),
    fc.integer({ min: 0, max: most }),
  );

  it('hands over what was written, at every count', () => roundTripLaw(() => under(design), counts));
  it('keeps sets apart', () => apartLaw(() => under(design), most));
  it('forgets an attempt that failed', () => retryLaw(() => under(design), counts));
  it('gives regions back as files go', () => shrinkLaw(() => under(design), counts, perRegion));
  it('rolls back', () => markLaw(() => under(design), counts));
  it(`takes ${limit} files and not one more`, () =>
    limitLaw(() => under(design), limit, perRegion, -ERRNO.ENOSPC));
});
