import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Kernel } from '../../sim/kernel/kernel.ts';
import { NAME_WORDS } from '../../sim/luo/name.ts';
import { SessionList } from '../../sim/luo/session_list.ts';
import {
  NO_SESSION,
  ON_INCOMING,
  ON_OUTGOING,
  OTHER_NAME,
  type SessionHandle,
  SessionTable,
} from '../../sim/luo/session_table.ts';
import { STEP } from '../../sim/machine/cpu.ts';
import { putName } from '../support/names.ts';
import { bareKernel } from '../support/system.ts';

/** Every third is longer than the half of the field, and differs from the others behind it only. */
const nameOf = (i: number): Int32Array => {
  const words = new Int32Array(NAME_WORDS);
  putName(words, 0, new TextEncoder().encode(i % 3 === 0 ? `${'long-'.repeat(8)}${i}` : `s${i}`));
  return words;
};

/** A list on a kernel of its own, next to a plain array that is really walked. */
function pair(): {
  list: SessionList;
  table: SessionTable;
  kernel: Kernel;
  walked: { name: number; session: SessionHandle }[];
} {
  const kernel = bareKernel();
  const table = new SessionTable(kernel);
  return { list: new SessionList(kernel, table, 'outgoing'), table, kernel, walked: [] };
}

const change = fc.record({ what: fc.constantFrom('append', 'append', 'remove', 'scan'), n: fc.nat() });

describe('a list of sessions', () => {
  it('charges for a scan exactly the hops that a walk takes, removals included', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 300 }), (changes) => {
        const { list, table, kernel, walked } = pair();
        let next = 0;
        for (const { what, n } of changes) {
          if (what === 'append') {
            const session = table.alloc(nameOf(next), 0);
            list.append(session);
            walked.push({ name: next++, session });
          } else if (what === 'remove' && walked.length > 0) {
            const [gone] = walked.splice(n % walked.length, 1);
            const session = gone?.session as SessionHandle;
            list.unlink(session);
            expect([table.next(session), table.prev(session)]).toEqual([NO_SESSION, NO_SESSION]);
            expect(list.scan(nameOf(gone?.name as number), 0)).toBe(NO_SESSION);
            table.free(session);
          } else if (what === 'scan') {
            const wanted = n % (next + 1);
            const place = walked.findIndex(({ name }) => name === wanted);
            const before = kernel.machine.cpus.steps[STEP.hop] as number;
            const found = list.scan(nameOf(wanted), 0);
            const hops = (kernel.machine.cpus.steps[STEP.hop] as number) - before;
            expect(hops).toBe(place === -1 ? walked.length : place + 1);
            expect(found).toBe(place === -1 ? NO_SESSION : walked[place]?.session);
          }
        }
        const listed: SessionHandle[] = [];
        for (let s = list.head; s !== NO_SESSION; s = table.next(s)) listed.push(s);
        expect(listed).toEqual(walked.map(({ session }) => session));
        const names = listed.map((session) => {
          const words = new Int32Array(NAME_WORDS);
          table.loadName(session, words, 0);
          return [...words];
        });
        expect(names).toEqual(walked.map(({ name }) => [...nameOf(name)]));
        const backwards: SessionHandle[] = [];
        for (let s = list.tail; s !== NO_SESSION; s = table.prev(s)) backwards.unshift(s);
        expect(backwards).toEqual(listed);
        expect(list.count).toBe(walked.length);
      }),
      { numRuns: 60 },
    );
  });

  it('that is consumed from either end or the middle keeps its ranks across many groups', () => {
    const { list, table, kernel } = pair();
    const sessions = Array.from({ length: 40_000 }, (_, i) => {
      const session = table.alloc(nameOf(i), 0);
      list.append(session);
      return session;
    });
    const listed = new Set(sessions.keys());
    const remove = (from: number, to: number, step = 1): void => {
      for (let i = from; i < to; i += step) {
        list.unlink(sessions[i] as SessionHandle);
        listed.delete(i);
      }
    };
    const compare = (): void => {
      let hops = 0;
      for (let i = 0; i < 40_000; i++) {
        if (listed.has(i)) hops++;
        if (i % 97 !== 0) continue;
        const before = kernel.machine.cpus.steps[STEP.hop] as number;
        expect(list.scan(nameOf(i), 0)).toBe(listed.has(i) ? sessions[i] : NO_SESSION);
        expect((kernel.machine.cpus.steps[STEP.hop] as number) - before).toBe(
          listed.has(i) ? hops : listed.size,
        );
      }
    };
    // Holes in the first groups, and elements far behind them.
    remove(1_000, 3_000);
    compare();
    remove(18_000, 37_000);
    compare();
    remove(0, 1_000);
    remove(3_000, 9_000);
    compare();
    remove(37_000, 40_000, 7);
    compare();
    expect(list.count).toBe(listed.size);
  });

  it('keeps ranks right when emptied places are reclaimed, and names when the map grows', () => {
    const { list, table, kernel } = pair();
    const sessions: SessionHandle[] = [];
    for (let i = 0; i < 40_000; i++) {
      const session = table.alloc(nameOf(i), 0);
      list.append(session);
      sessions.push(session);
      if (i % 4 !== 0) {
        list.unlink(session);
        table.free(session);
      }
      // One of four stays, of these all but the last hundred go: enough to renumber several times.
      if (i % 4 === 0 && i >= 400) {
        const old = sessions[i - 400] as SessionHandle;
        list.unlink(old);
        table.free(old);
      }
    }
    expect(list.count).toBe(100);
    // A rank looks at all positions up to its own: they do not grow with all that has been.
    expect(table.position(list.tail)).toBeLessThanOrEqual(8192);
    for (const i of [39_600, 39_604, 39_996]) {
      const before = kernel.machine.cpus.steps[STEP.hop] as number;
      expect(list.scan(nameOf(i), 0)).toBe(sessions[i]);
      expect((kernel.machine.cpus.steps[STEP.hop] as number) - before).toBe((i - 39_600) / 4 + 1);
    }
  });

  it('tells names apart that differ behind their first half, and names whose session is on no list', () => {
    const { list, table } = pair();
    const [short, long, other] = ['x'.repeat(32), `${'x'.repeat(32)}a`, `${'x'.repeat(32)}b`].map((text) => {
      const words = new Int32Array(NAME_WORDS);
      putName(words, 0, new TextEncoder().encode(text));
      return words;
    }) as [Int32Array, Int32Array, Int32Array];
    const session = table.alloc(long, 0);
    list.append(session);
    const found = [short, long, other].map((name) => table.nextIfNamed(session, name, 0));
    expect(found).toEqual([OTHER_NAME, NO_SESSION, OTHER_NAME]);
    expect(list.scan(long, 0)).toBe(session);
    list.unlink(session);
    expect(list.scan(long, 0)).toBe(NO_SESSION);
  });

  it('has those again that left under a mark, and those no more that came', () => {
    const { list, table, kernel } = pair();
    const [a, b, c] = [1, 2, 4].map((i) => table.alloc(nameOf(i), 0)) as [
      SessionHandle,
      SessionHandle,
      SessionHandle,
    ];
    list.append(a);
    list.append(b);
    const mark = kernel.machine.journal.mark();
    for (const _ of ['once', 'again']) {
      list.unlink(a);
      list.append(c);
      table.setRetrieved(b);
      kernel.machine.journal.rollback(mark);
      expect([1, 2, 4].map((i) => list.scan(nameOf(i), 0))).toEqual([a, b, NO_SESSION]);
      expect([list.head, list.tail, list.count, list.rankOf(b)]).toEqual([a, b, 2, 1]);
      expect([table.listed(table.slab.index(c), ON_OUTGOING, nameOf(4)), table.position(c)]).toEqual([0, 0]);
      expect([table.next(a), table.prev(b), table.next(b), table.retrieved(b)]).toEqual([b, a, 0, false]);
    }
  });

  it('keeps positions of 28 bits beside what else is known of a session', () => {
    const { table } = pair();
    for (const position of [0, 1, 2 ** 20, 2 ** 27, 2 ** 28 - 1]) {
      const session = table.alloc(nameOf(1), 0);
      table.setRetrieved(session);
      for (const list of [ON_OUTGOING, ON_INCOMING]) {
        table.link(session, NO_SESSION, list, position);
        const index = table.slab.index(session);
        const on = [ON_OUTGOING, ON_INCOMING].map((which) => table.listed(index, which, nameOf(1)));
        expect(on).toEqual(
          [ON_OUTGOING, ON_INCOMING].map((which) => (which === list ? session : NO_SESSION)),
        );
        expect([table.position(session), table.retrieved(session)]).toEqual([position, true]);
        table.setPosition(session, 2 ** 28 - 1 - position);
        expect(table.position(session)).toBe(2 ** 28 - 1 - position);
        table.unlink(session);
        expect([table.position(session), table.retrieved(session)]).toEqual([0, true]);
      }
    }
  });

  it('compares a name up to the word of its NUL, whatever stands behind', () => {
    const { table } = pair();
    for (let length = 1; length <= 63; length++) {
      const words = new Int32Array(NAME_WORDS);
      putName(words, 0, new TextEncoder().encode('x'.repeat(length)));
      const session = table.alloc(words, 0);
      const end = (length >> 2) + 1;
      words.fill(-1, end);
      expect([length, table.nextIfNamed(session, words, 0)]).toEqual([length, NO_SESSION]);
      words[end - 1] = (words[end - 1] as number) ^ 1;
      expect([length, table.nextIfNamed(session, words, 0)]).toEqual([length, OTHER_NAME]);
    }
  });

  it('takes memory for the second half of names only where one is long', () => {
    const pieces = [(i: number) => `s${i}`, (i: number) => `${'y'.repeat(40)}${i}`].map((text) => {
      const { table, kernel } = pair();
      const before = kernel.machine.pool.taken;
      const words = new Int32Array(NAME_WORDS);
      const sessions: SessionHandle[] = [];
      for (let i = 0; i < 16_384; i++) {
        putName(words, 0, new TextEncoder().encode(text(i)));
        sessions.push(table.alloc(words, 0));
      }
      for (const session of sessions) table.free(session);
      return kernel.machine.pool.taken - before;
    }) as [number, number];
    // 16,384 halves of 32 bytes.
    expect(pieces[1] - pieces[0]).toBe(8);
  });
});
