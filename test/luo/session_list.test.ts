import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Kernel } from '../../sim/kernel/kernel.ts';
import { NAME_WORDS, putName } from '../../sim/luo/name.ts';
import { SessionList } from '../../sim/luo/session_list.ts';
import { NO_SESSION, type SessionHandle, SessionTable } from '../../sim/luo/session_table.ts';
import { STEP } from '../../sim/machine/cpu.ts';
import { bareKernel } from '../support/system.ts';

const nameOf = (i: number): Int32Array => {
  const words = new Int32Array(NAME_WORDS);
  putName(words, 0, new TextEncoder().encode(`s${i}`));
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
            expect([table.next(session), table.prev(session), table.list(session)]).toEqual([0, 0, 0]);
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
        expect(list.count).toBe(walked.length);
      }),
      { numRuns: 60 },
    );
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
});
