/*
 * Files of sets by their tokens, against plain lists: tokens that differ in one word only, or are there twice, in two
 * sets; files go from the end, and are rolled back. What a search costs is what a walk along the list takes.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Kernel } from '../../sim/kernel/kernel.ts';
import { hashWords } from '../../sim/luo/file_index.ts';
import { FileSets } from '../../sim/luo/file_sets.ts';
import { FileTable, type LuoFile, NO_FILE } from '../../sim/luo/file_table.ts';
import { NAME_WORDS } from '../../sim/luo/name.ts';
import { type SessionHandle, SessionTable } from '../../sim/luo/session_table.ts';
import { STEP } from '../../sim/machine/cpu.ts';
import { runs } from '../support/seed.ts';
import { bareKernel } from '../support/system.ts';

type Token = readonly [low: number, high: number];

const EDGES = [0, -1, 1, 2 ** 31 - 1, -(2 ** 31)] as const;

/** Half of them share their low word with many others, half their high word. */
function tokenOf(i: number): Token {
  const edge = EDGES[i % 5] as number;
  return i % 2 === 0 ? [edge, i >> 1] : [(i >> 1) ^ (1 << 31), edge];
}

interface Files {
  readonly kernel: Kernel;
  readonly table: FileTable;
  readonly sets: FileSets;
  readonly of: readonly [SessionHandle, SessionHandle];
}

function makeFiles(): Files {
  const kernel = bareKernel();
  const sessions = new SessionTable(kernel);
  const table = new FileTable(kernel);
  const none = (): never => expect.fail('nothing is stored');
  const sets = new FileSets(kernel, sessions, table, none, none);
  const name = new Int32Array(NAME_WORDS);
  return { kernel, table, sets, of: [sessions.alloc(name, 0), sessions.alloc(name, 0)] };
}

function append({ table, sets }: Files, set: SessionHandle, [low, high]: Token): LuoFile {
  const file = table.alloc(low, high, 0, 0);
  sets.append(set, file);
  return file;
}

/** The file of a token in a set, and the files that the search looked at. */
function look({ kernel, sets }: Files, set: SessionHandle, [low, high]: Token): [LuoFile, number] {
  const { steps } = kernel.machine.cpus;
  const before = steps[STEP.tokenHop] as number;
  const file = sets.find(set, low, high);
  return [file, (steps[STEP.tokenHop] as number) - before];
}

interface Listed {
  readonly token: number;
  readonly file: LuoFile;
}

const TOKENS = 1500;

const step = fc.record({
  what: fc.constantFrom('append', 'append', 'append', 'removeLast', 'mark', 'rollback'),
  set: fc.constantFrom(0 as const, 1 as const),
  from: fc.nat(TOKENS - 1),
  n: fc.integer({ min: 1, max: 400 }),
});

function expectFound(files: Files, lists: readonly [Listed[], Listed[]], from: number): void {
  for (const [i, list] of lists.entries()) {
    const set = files.of[i] as SessionHandle;
    expect([files.sets.listed(set), files.sets.first(set), files.sets.last(set)]).toEqual([
      list.length,
      list[0]?.file ?? NO_FILE,
      list.at(-1)?.file ?? NO_FILE,
    ]);
    for (let k = 0; k < 60; k++) {
      const token = (from + k * 7) % TOKENS;
      const place = list.findIndex((listed) => listed.token === token);
      const [file, hops] = look(files, set, tokenOf(token));
      const wanted = [list[place]?.file ?? NO_FILE, place === -1 ? list.length : place + 1];
      if (file !== wanted[0] || hops !== wanted[1]) expect([token, file, hops]).toEqual([token, ...wanted]);
    }
  }
}

describe('the files of two sets', () => {
  it('are found by token in their own set, and cost what a walk does', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const files = makeFiles();
        const { journal } = files.kernel.machine;
        let lists: readonly [Listed[], Listed[]] = [[], []];
        const marks: [ReturnType<typeof journal.mark>, typeof lists][] = [];
        for (const { what, set, from, n } of steps) {
          for (let k = 0; k < n && what === 'append'; k++) {
            const token = (from + k) % TOKENS;
            lists[set].push({ token, file: append(files, files.of[set], tokenOf(token)) });
          }
          for (let k = 0; k < n && what === 'removeLast' && lists[set].length > 0; k++) {
            files.sets.removeLast(files.of[set]);
            const { file } = lists[set].pop() as Listed;
            if (k % 2 === 0) files.table.free(file);
          }
          if (what === 'mark' && marks.length < 2) {
            marks.push([journal.mark(), [lists[0].slice(), lists[1].slice()]]);
          } else if (what === 'rollback' && marks.length > 0) {
            const [mark, then] = marks.at(-1) as (typeof marks)[number];
            journal.rollback(mark);
            lists = [then[0].slice(), then[1].slice()];
          }
          expectFound(files, lists, from);
        }
      }),
      { numRuns: runs(20) },
    );
  });

  it('are found first where they were first, whatever rows they have', () => {
    const files = makeFiles();
    const [set, other] = files.of;
    append(files, other, [1, 0]);
    const gone = append(files, other, [2, 0]);
    const first = append(files, set, [7, 7]);
    files.sets.removeLast(other);
    files.table.free(gone);
    const second = append(files, set, [7, 7]);
    const { slab } = files.table;
    expect(slab.index(second)).toBeLessThan(slab.index(first));
    for (let i = 0; i < 600; i++) append(files, other, [3, i]);
    expect(look(files, set, [7, 7])).toEqual([first, 1]);
  });

  it('are not found under tokens of which one word is another, nor in the other set', () => {
    const files = makeFiles();
    const [set, other] = files.of;
    for (let i = 0; i < 3000; i++) append(files, set, [7, i]);
    for (let i = 0; i < 3000; i++) append(files, set, [i, -7]);
    for (let i = 0; i < 3000; i++) {
      expect(look(files, set, [7, -10 - i])).toEqual([NO_FILE, 6000]);
      expect(look(files, set, [-1 - i, -7])).toEqual([NO_FILE, 6000]);
      expect(look(files, other, [7, i])).toEqual([NO_FILE, 0]);
    }
  });

  it('are not found in the other set under a token that leads both to the same slot', () => {
    const files = makeFiles();
    const [set, other] = files.of;
    // The slot of 1024, and the seven bits by which entries in it are told apart.
    const home = (of: SessionHandle, i: number): number => hashWords(of, i, 0) & 0x7f0003ff;
    let i = 0;
    while (home(set, i) !== home(other, i)) i++;
    append(files, set, [i, 0]);
    expect([look(files, other, [i, 0]), look(files, set, [i, 0])[1]]).toEqual([[NO_FILE, 0], 1]);
  });

  it('are found where adding the last of a slab makes the index grow', () => {
    for (let before = 0; before < 42; before++) {
      const files = makeFiles();
      for (let i = 0; i < before; i++) files.table.alloc(i, 0, 0, 0);
      for (let i = 0; i < 512; i++) append(files, files.of[0], tokenOf(i));
      const last = append(files, files.of[0], tokenOf(512));
      expect([before, ...look(files, files.of[0], tokenOf(512))]).toEqual([before, last, 513]);
    }
  });

  it('are found in the first slots where their place is the last, at every size', () => {
    const files = makeFiles();
    const [set, other] = files.of;
    const late: Token[] = [];
    for (let i = 0; late.length < 6; i++) if ((hashWords(set, i, 0) & 4095) === 4095) late.push([i, 0]);
    for (const token of late) append(files, set, token);
    for (let i = 0; i < 1200; i++) {
      if (i % 300 === 0) expect(late.map((token) => look(files, set, token)[1])).toEqual([1, 2, 3, 4, 5, 6]);
      append(files, other, [i, 1]);
    }
  });

  it('are found after the index has grown, under a mark or not, however often that is taken back', () => {
    const files = makeFiles();
    const [set] = files.of;
    const { journal } = files.kernel.machine;
    let count = 0;
    const more = (n: number): void => {
      for (; n > 0; n--) append(files, set, tokenOf(count++));
    };
    const hops = (): number[] => Array.from({ length: count }, (_, i) => look(files, set, tokenOf(i))[1]);
    const places = (): number[] => Array.from({ length: count }, (_, i) => i + 1);
    for (const kept of [400, 60, 80, 450]) {
      more(kept);
      const mark = journal.mark();
      for (const _ of [1, 2]) {
        const before = count;
        more(600);
        expect(hops()).toEqual(places());
        journal.rollback(mark);
        count = before;
        expect(hops()).toEqual(places());
      }
      journal.forget();
    }
    for (let n = 0; n < 1100; n++) {
      more(1);
      expect(look(files, set, tokenOf(count - 1))).toEqual([files.sets.last(set), count]);
    }
  });
});

it('a set counts files of 64 bits', () => {
  const { sets, of } = makeFiles();
  for (const count of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
    sets.setCount(of[0], count);
    expect([sets.count(of[0]), sets.count(of[1]), sets.isBlank(of[0])]).toEqual([count, 0, count === 0]);
  }
});

it('a file keeps what its handler handed over, and its id, to 2^53', () => {
  const { table } = makeFiles();
  const file = table.alloc(0, 0, 0, 0);
  for (const value of [1, 2 ** 31, 2 ** 32, 2 ** 53 - 1]) {
    table.setData(file, value);
    table.setId(file, value - 1);
    expect([table.data(file), table.id(file)]).toEqual([value, value - 1]);
  }
});
