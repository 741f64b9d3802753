import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../sim/base/errno.ts';
import type { Phys } from '../../sim/base/units.ts';
import type { System } from '../../sim/boot/boot.ts';
import { type BlockGeometry, KhoBlockSet } from '../../sim/kho/block_set.ts';
import { KhoBlockSetIt } from '../../sim/kho/block_set_it.ts';
import { KhoBlockTable } from '../../sim/kho/block_table.ts';
import type { BootParams } from '../../sim/machine/machine.ts';
import { PageFault } from '../../sim/machine/page_fault.ts';
import type { Ram } from '../../sim/machine/ram.ts';
import { bootOn, inTask, jump, machineFor } from '../support/system.ts';
import { COUNT, chainIn, frameOf, listOf, NEXT, PAGE, PAYLOAD } from './block_world.ts';

/** Three entries a block, five blocks. */
const SMALL: BlockGeometry = { entryBytes: 1360, maxBlocks: 5 };
const MARK = 0x51000000;

interface Incoming {
  readonly system: System;
  readonly set: KhoBlockSet;
  readonly head: Phys | 0;
  /** The chain as it was written. */
  readonly list: Phys[];
  readonly freed: Phys[];
  readonly wild: number[];
  readonly restoreFree: (address: Phys) => void;
}

/** Writes `count` entries, damages what was written, and takes it through a jump. */
function handOver(
  count: number,
  geometry: BlockGeometry,
  damage: (ram: Ram, list: Phys[]) => void = () => {},
): Incoming {
  const before = bootOn(machineFor());
  const outgoing = KhoBlockSet.alone(new KhoBlockTable(before.kernel), geometry, 'outgoing');
  const { ram } = before.kernel.machine;
  const owner = before.kernel.frames.owner('test block');
  expect(inTask(before, (task) => outgoing.grow(task, before.kho.out, count, owner, PAGE))).toBe(0);
  const it = new KhoBlockSetIt(outgoing);
  for (let i = 0; i < count; i++) ram.store32(it.reserveEntry(), MARK + i);
  const list = listOf(outgoing);
  const head = outgoing.headPhys as Phys | 0;
  damage(ram, list);
  const params = jump(before);
  expect(typeof params).toBe('object');
  const system = bootOn(before.kernel.machine, { generation: 1, params: params as BootParams });
  const freed: Phys[] = [];
  const wild: number[] = [];
  ram.onWildWrite = ({ pfn }) => wild.push(pfn);
  const set = KhoBlockSet.alone(new KhoBlockTable(system.kernel), geometry, 'incoming');
  return {
    system,
    set,
    head,
    list,
    freed,
    wild,
    restoreFree: (address) => {
      if (freed.push(address) > 100) expect.fail('freeing does not end');
      system.kho.in.restoreFree(address);
    },
  };
}

const usesOf = ({ system }: Incoming, list: readonly Phys[]): string[] =>
  list.map((address) => system.kernel.buddy.useOf(frameOf(address)));

const readAll = ({ system, set }: Incoming): number[] => {
  const read: number[] = [];
  const it = new KhoBlockSetIt(set);
  for (let at = it.readEntry(); at !== 0; at = it.readEntry())
    read.push(system.kernel.machine.ram.load32(at));
  return read;
};

describe('a chain that was handed over', () => {
  it('is what the writer wrote, and is freed whole', () => {
    fc.assert(
      fc.property(fc.nat({ max: 15 }), fc.constantFrom(80, 64, 1360), (count, entryBytes) => {
        const incoming = handOver(count, { entryBytes, maxBlocks: 15 });
        const { set, head, list, system, restoreFree } = incoming;
        const marked = system.kernel.machine.mark();
        // Twice from one mark, as a search does.
        for (let run = 0; run < 2; run++) {
          expect(set.restore(head, restoreFree)).toBe(0);
          expect(listOf(set)).toEqual(list);
          expect(usesOf(incoming, list)).toEqual(list.map(() => 'reserved'));
          expect(readAll(incoming)).toEqual(Array.from({ length: count }, (_, i) => MARK + i));
          set.destroy(restoreFree);
          expect(listOf(set)).toEqual([]);
          expect(usesOf(incoming, list)).toEqual(list.map(() => 'free'));
          system.kernel.machine.rollback(marked);
        }
        expect(incoming.freed).toEqual([...list, ...list]);
        expect(incoming.wild).toEqual([]);
        expect(system.kernel.log.warnings).toBe(0);
        expect(set.table.slab.live).toBe(0);
      }),
      { numRuns: 12 },
    );
  });

  it('shrinks from its end, and its pages are its own to write', () => {
    const incoming = handOver(9, SMALL);
    const { set, head, list, freed, system, restoreFree } = incoming;
    set.restore(head, restoreFree);
    set.shrink(4, restoreFree);
    expect(freed).toEqual([list[2]]);
    expect(chainIn(system.kernel.machine.ram, set.headPhys)).toEqual(list.slice(0, 2));
    expect(usesOf(incoming, list)).toEqual(['reserved', 'reserved', 'free']);
    set.shrink(0, restoreFree);
    expect(freed).toEqual([list[2], list[1], list[0]]);
    expect(usesOf(incoming, list)).toEqual(['free', 'free', 'free']);
    expect(incoming.wild).toEqual([]);
  });

  it('stays guarded against everybody else', () => {
    const incoming = handOver(9, SMALL);
    const { set, head, list, system, restoreFree } = incoming;
    set.restore(head, restoreFree);
    set.shrink(4, restoreFree);
    system.kernel.machine.ram.store32(list[1] as number, 7);
    expect(incoming.wild).toEqual([frameOf(list[1] as number)]);
  });
});

interface Damage {
  readonly name: string;
  readonly damage: (ram: Ram, list: Phys[]) => void;
  /** What the page `elsewhere` holds in the new kernel; zero if not said. */
  readonly elsewhere?: (ram: Ram) => void;
  /** What restore answers; 'fault' where memory ends. */
  readonly answer: number | 'fault';
  readonly line?: string;
  /** Addresses given to kho_restore_free, by what the chain was. */
  readonly freed: (list: Phys[], ram: Ram) => number[];
  readonly warnings?: number;
}

const all = (list: Phys[]): Phys[] => list;
const none = (): Phys[] => [];
const put =
  (block: number, field: number, value: number) =>
  (ram: Ram, list: Phys[]): void =>
    ram.store64((list[block] as number) + field, value);
const linkTo =
  (block: number, target: (list: Phys[], ram: Ram) => number) =>
  (ram: Ram, list: Phys[]): void =>
    put(block, NEXT, target(list, ram))(ram, list);
/** A page that nobody preserved: free before the jump and after. */
const elsewhere = (ram: Ram): number => ram.bytes - 4 * 4096;
const last = (list: Phys[]): Phys => list[2] as Phys;

const CORRUPTED = 'kho_block: Block set is corrupted';
const count = (n: string): string => `kho_block: Block contains invalid entry count: ${n}`;

/** Nine entries in three blocks, one thing wrong. */
const REFUSED: readonly Damage[] = [
  ...[0, 1, 2].map((block) => ({
    name: `count 0 in block ${block}`,
    damage: put(block, COUNT, 0),
    answer: -ERRNO.EINVAL,
    line: count('0'),
    freed: all,
  })),
  ...[0, 2].map((block) => ({
    name: `one more than fit in block ${block}`,
    damage: put(block, COUNT, 4),
    answer: -ERRNO.EINVAL,
    line: count('4'),
    freed: all,
  })),
  {
    name: 'a count whose low half is valid',
    damage: put(1, COUNT, 2 ** 32 + 3),
    answer: -ERRNO.EINVAL,
    line: count('4294967299'),
    freed: all,
  },
  {
    name: 'the largest count',
    damage: (ram, list) => {
      ram.store32((list[1] as number) + COUNT, -1);
      ram.store32((list[1] as number) + COUNT + 4, -1);
    },
    answer: -ERRNO.EINVAL,
    line: count('18446744073709551615'),
    freed: all,
  },
  {
    name: 'a block that follows itself',
    damage: linkTo(0, (list) => list[0] as Phys),
    answer: -ERRNO.EINVAL,
    line: CORRUPTED,
    freed: none,
  },
  {
    name: 'a last block that follows itself',
    damage: linkTo(2, last),
    answer: -ERRNO.EINVAL,
    line: CORRUPTED,
    freed: none,
  },
  {
    name: 'a cycle of two',
    damage: linkTo(2, (list) => list[1] as Phys),
    answer: -ERRNO.EINVAL,
    line: CORRUPTED,
    freed: none,
  },
  {
    name: 'a cycle of three',
    damage: linkTo(2, (list) => list[0] as Phys),
    answer: -ERRNO.EINVAL,
    line: CORRUPTED,
    freed: none,
  },
  {
    name: 'a link to a zeroed page nobody preserved',
    damage: linkTo(2, (_, ram) => elsewhere(ram)),
    answer: -ERRNO.EINVAL,
    line: count('0'),
    freed: (list, ram) => [...list, elsewhere(ram)],
    warnings: 1,
  },
  {
    name: 'a link into the middle of a block',
    // Entry 1 of block 0 but for its first word: zero link, zero count.
    damage: linkTo(2, (list) => (list[0] as number) + PAYLOAD + 1360 + 8),
    answer: -ERRNO.EINVAL,
    line: count('0'),
    freed: (list) => [...list, (list[0] as number) + PAYLOAD + 1360 + 8],
    warnings: 1,
  },
  { name: 'a link behind memory', damage: linkTo(2, (_, ram) => ram.bytes), answer: 'fault', freed: none },
  { name: 'a link far behind memory', damage: linkTo(0, () => 2 ** 52), answer: 'fault', freed: none },
  {
    name: 'the largest link',
    damage: (ram, list) => {
      ram.store32(last(list) + NEXT, -1);
      ram.store32(last(list) + NEXT + 4, -1);
    },
    answer: 'fault',
    freed: none,
  },
  {
    name: 'a header that memory ends in',
    damage: linkTo(2, (_, ram) => ram.bytes - 8),
    answer: 'fault',
    freed: none,
  },
];

/** What looks like a chain is one. */
const ACCEPTED: readonly (Damage & { readonly entries: number })[] = [
  {
    name: 'a block that is not full before others',
    damage: put(0, COUNT, 1),
    answer: 0,
    freed: all,
    entries: 7,
  },
  {
    name: 'a chain cut short',
    damage: put(1, NEXT, 0),
    answer: 0,
    freed: (list) => list.slice(0, 2),
    entries: 6,
  },
  {
    name: 'a page nobody preserved that reads as a block',
    damage: linkTo(2, (_, ram) => elsewhere(ram)),
    elsewhere: (ram) => ram.store64(elsewhere(ram) + COUNT, 1),
    answer: 0,
    freed: (list, ram) => [...list, elsewhere(ram)],
    warnings: 1,
    entries: 10,
  },
];

describe('a damaged chain', () => {
  it('of no kind below is damaged when it is not', () => {
    const incoming = handOver(9, SMALL);
    expect(incoming.set.restore(incoming.head, incoming.restoreFree)).toBe(0);
  });

  it.each(REFUSED)('is refused: $name', ({ damage, answer, line, freed, warnings }) => {
    const incoming = handOver(9, SMALL, damage);
    const { set, head, list, system, restoreFree } = incoming;
    const { kernel } = system;
    const before = kernel.log.lines.length;
    if (answer === 'fault') {
      expect(() => set.restore(head, restoreFree)).toThrow(PageFault);
      expect(incoming.freed).toEqual([]);
      return;
    }
    expect(set.restore(head, restoreFree)).toBe(answer);
    expect(kernel.log.lines[before]?.text).toBe(line);
    expect(incoming.freed).toEqual(freed(list, kernel.machine.ram));
    expect(usesOf(incoming, list)).toEqual(
      list.map(() => (incoming.freed.length === 0 ? 'reserved' : 'free')),
    );
    expect(listOf(set)).toEqual([]);
    expect(set.incoming).toBe(true);
    expect(set.table.slab.live).toBe(0);
    // kho_restore_free warns of what was not handed over, or not any more.
    expect(kernel.log.warnings > 0).toBe((warnings ?? 0) > 0);
    expect(incoming.wild).toEqual([]);
  });

  it.each(ACCEPTED)('is accepted: $name', ({ damage, elsewhere: place, freed, warnings, entries }) => {
    const incoming = handOver(9, SMALL, damage);
    const { set, head, list, system, restoreFree } = incoming;
    place?.(system.kernel.machine.ram);
    expect(set.restore(head, restoreFree)).toBe(0);
    expect(readAll(incoming)).toHaveLength(entries);
    expect(incoming.freed).toEqual([]);
    set.destroy(restoreFree);
    expect(incoming.freed).toEqual(freed(list, system.kernel.machine.ram));
    expect(system.kernel.log.warnings > 0).toBe((warnings ?? 0) > 0);
  });
});
