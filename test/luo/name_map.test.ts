/*
 * Names against maps: two lists of one table, on which the same name may stand once each; sessions come, go from the
 * list with and without being freed, and are rolled back.
 */
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { Kernel } from '../../sim/kernel/kernel.ts';
import { NAME_WORDS, NameHasher } from '../../sim/luo/name.ts';
import { SessionList } from '../../sim/luo/session_list.ts';
import { NO_SESSION, type SessionHandle, SessionTable } from '../../sim/luo/session_table.ts';
import { Column } from '../../sim/machine/column.ts';
import { putName } from '../support/names.ts';
import { bareKernel } from '../support/system.ts';

/** Names of 63 bytes that differ in their last word only, or anywhere. */
const nameOf = (i: number): Int32Array => nameFrom(i % 2 === 0 ? String(i).padStart(63, '-') : `s${i}`);

function nameFrom(text: string): Int32Array {
  const words = new Int32Array(NAME_WORDS);
  putName(words, 0, new TextEncoder().encode(text));
  return words;
}

interface Lists {
  readonly kernel: Kernel;
  readonly table: SessionTable;
  readonly lists: readonly [SessionList, SessionList];
}

function makeLists(): Lists {
  const kernel = bareKernel();
  const table = new SessionTable(kernel);
  return {
    kernel,
    table,
    lists: [new SessionList(kernel, table, 'outgoing'), new SessionList(kernel, table, 'incoming')],
  };
}

const NAMES = 900;

/** Many at a time: a map has 1024 slots at first, and must grow and drop what was left behind. */
const step = fc.record({
  what: fc.constantFrom('add', 'add', 'add', 'look', 'expect', 'remove', 'mark', 'rollback'),
  list: fc.constantFrom(0 as const, 1 as const),
  from: fc.nat(NAMES - 1),
  n: fc.integer({ min: 1, max: 400 }),
  isFreed: fc.boolean(),
});

type Model = readonly [Map<number, SessionHandle>, Map<number, SessionHandle>];

/** Names lead where they should, and the list goes through its sessions in the order in which they came. */
function expectFound({ lists, table }: Lists, model: Model, from: number, n: number): void {
  for (const [i, list] of lists.entries()) {
    const sessions = [...(model[i]?.values() ?? [])];
    expect(list.count).toBe(sessions.length);
    let at = list.head;
    for (const [k, session] of sessions.entries()) {
      if (at !== session || table.prev(at) !== (sessions[k - 1] ?? NO_SESSION)) {
        expect.fail(`${list.name}: ${at} stands where ${session} should`);
      }
      at = table.next(at);
    }
    expect([at, list.tail]).toEqual([NO_SESSION, sessions.at(-1) ?? NO_SESSION]);
    for (let k = 0; k < Math.min(n, 60); k++) {
      const name = (from + k * 7) % NAMES;
      const found = list.scan(nameOf(name), 0);
      const wanted = model[i]?.get(name) ?? NO_SESSION;
      if (found !== wanted) expect.fail(`${list.name}: name ${name} leads to ${found}, not ${wanted}`);
    }
  }
}

describe('the sessions of two lists', () => {
  it('are found by name on their own list, whatever was there before', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const world = makeLists();
        const { kernel, table, lists } = world;
        const { journal } = kernel.machine;
        let model: Model = [new Map(), new Map()];
        const marks: [ReturnType<typeof journal.mark>, Model][] = [];
        for (const { what, list, from, n, isFreed } of steps) {
          const known = model[list];
          if (what === 'expect') lists[list].expect(n);
          for (let k = 0; k < n && what !== 'mark' && what !== 'rollback'; k++) {
            const name = (from + k) % NAMES;
            const session = known.get(name);
            if (what === 'add' && session === undefined) {
              const made = table.alloc(nameOf(name), 0);
              // The last is looked for now, or was some time ago.
              if (k < n - 1 && lists[list].taken(made)) expect.fail(`name ${name} is taken`);
              lists[list].append(made);
              known.set(name, made);
            } else if (what === 'look') {
              const asked = table.alloc(nameOf(name), 0);
              if (lists[list].taken(asked) !== (session !== undefined)) expect.fail(`name ${name} is taken`);
              table.free(asked);
            } else if (what === 'remove' && session !== undefined) {
              lists[list].unlink(session);
              known.delete(name);
              if (isFreed) table.free(session);
            }
          }
          if (what === 'mark' && marks.length < 2) {
            marks.push([journal.mark(), [new Map(model[0]), new Map(model[1])]]);
          } else if (what === 'rollback' && marks.length > 0) {
            const [mark, then] = marks.at(-1) as (typeof marks)[number];
            journal.rollback(mark);
            model = [new Map(then[0]), new Map(then[1])];
          }
          expectFound(world, model, from, n);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('are found where they were looked for before the map was rolled back, or took another size', () => {
    for (const how of ['rolled back', 'grown', 'expecting'] as const) {
      for (let late = 5000; late < 5300; late += 7) {
        const { table, lists, kernel } = makeLists();
        const [list] = lists;
        let made = 0;
        const more = (n: number): void => {
          for (; n > 0; n--) list.append(table.alloc(nameOf(made++), 0));
        };
        const asked = table.alloc(nameOf(late), 0);
        const { journal } = kernel.machine;
        const mark = how === 'rolled back' ? journal.mark() : undefined;
        if (how !== 'expecting') more(400);
        expect(list.taken(asked)).toBe(false);
        if (mark !== undefined) journal.rollback(mark);
        else if (how === 'grown') more(300);
        else list.expect(5000);
        list.append(asked);
        expect(list.scan(nameOf(late), 0)).toBe(asked);
      }
    }
  });

  it('are found after the map has grown under a mark, however often that is taken back', () => {
    const { table, lists, kernel } = makeLists();
    const [list] = lists;
    const { journal } = kernel.machine;
    const sessions: SessionHandle[] = [];
    const more = (n: number): void => {
      for (; n > 0; n--) {
        const session = table.alloc(nameOf(sessions.length), 0);
        list.append(session);
        sessions.push(session);
      }
    };
    const found = (): SessionHandle[] => sessions.map((_, i) => list.scan(nameOf(i), 0));
    for (const kept of [400, 60, 80, 450]) {
      more(kept);
      const mark = journal.mark();
      for (const _ of [1, 2]) {
        const { length } = sessions;
        more(600);
        expect(found()).toEqual(sessions);
        journal.rollback(mark);
        expect(list.scan(nameOf(length), 0)).toBe(NO_SESSION);
        sessions.length = length;
        expect(found()).toEqual(sessions);
      }
      journal.forget();
    }
  });

  it('take the memory of one map, and of those before it only where a mark may bring them back', () => {
    for (const marked of [false, true]) {
      const { table, lists, kernel } = makeLists();
      const [list] = lists;
      list.append(table.alloc(nameOf(1), 0));
      const { taken } = kernel.machine.pool;
      if (marked) kernel.machine.journal.mark();
      for (const more of [600, 1200, 2400]) list.expect(more);
      expect(kernel.machine.pool.taken - taken).toBe(marked ? 3 : 0);
    }
  });

  it('are found behind what has left under their name', () => {
    const { table, lists } = makeLists();
    const [list] = lists;
    const [gone, freed, last, asked] = Array.from({ length: 4 }, () => table.alloc(nameOf(1), 0)) as [
      SessionHandle,
      SessionHandle,
      SessionHandle,
      SessionHandle,
    ];
    for (const session of [gone, freed, last]) {
      expect(list.taken(asked)).toBe(false);
      list.append(session);
      expect([list.scan(nameOf(1), 0), list.taken(asked)]).toEqual([session, true]);
      if (session !== last) list.unlink(session);
      if (session === freed) table.free(session);
    }
  });

  it('are found where their place is the last, of the map or of a piece, and the same, at every size', () => {
    const { table, lists } = makeLists();
    const [list] = lists;
    const hasher = new NameHasher();
    const names: Int32Array[] = [];
    for (let i = 1; names.length < 6; i += 2) {
      hasher.set(nameOf(i), 0);
      if ((hasher.place & 16_383) === 16_383) names.push(nameOf(i));
    }
    const sessions = names.map((name) => table.alloc(name, 0));
    for (const session of sessions) list.append(session);
    for (const more of [0, 600, 1200, 20_000]) {
      list.expect(more);
      expect(names.map((name) => list.scan(name, 0))).toEqual(sessions);
      expect(names.map((name) => list.taken(table.alloc(name, 0)))).toEqual(names.map(() => true));
    }
  });

  it('are found within a few slots, numbered by one stem or by many, in large steps, or not', () => {
    const get = vi.spyOn(Column.prototype, 'get');
    const read = (): number =>
      (get.mock.contexts as Column[]).filter(({ name }) => name === 'outgoing names').length;
    for (const [shape, most] of [
      [(i: number) => `many-test-${i}`, 1],
      [(i: number) => `vm-${i % 40}-${i}`, 3],
      [(i: number) => `${i % 7000}-${i % 3}`, 3],
      [(i: number) => `${i}-session`, 3],
      // All begin in one group of four slots.
      [(i: number) => `page ${i * 65_536}`, 6],
    ] as const) {
      const { table, lists } = makeLists();
      const [list] = lists;
      const names = Array.from({ length: 12_000 }, (_, i) => nameFrom(shape(i)));
      const sessions = names.map((name) => table.alloc(name, 0));
      for (const session of sessions) list.append(session);
      get.mockClear();
      expect(names.map((name) => list.scan(name, 0))).toEqual(sessions);
      expect(read() / names.length).toBeLessThanOrEqual(most);
    }
    get.mockRestore();
  });

  it('are found behind index 65,535, too', () => {
    const { table, lists } = makeLists();
    // Sessions on no list: only their records count.
    for (let i = 0; i < 70_000; i++) table.alloc(nameOf(1), 0);
    const late = [0, 1, 2, 3].map((i) => table.alloc(nameOf(i), 0));
    for (const session of late) lists[0].append(session);
    expect(table.slab.index(late[3] as SessionHandle)).toBeGreaterThan(65_535);
    expect([0, 1, 2, 3, 4].map((i) => lists[0].scan(nameOf(i), 0))).toEqual([...late, NO_SESSION]);
  });
});
