/*
 * Laws that every lock keeps on every schedule, over random programs on semaphores, a mutex and a column of mutexes.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Decisions } from '../../sim/base/decisions.ts';
import { STEP } from '../../sim/machine/cpu.ts';
import {
  disorderedProgram,
  LOCK_NAMES,
  type LogEntry,
  makeLocks,
  makeWorld,
  orderedProgram,
  runProgram,
  runSeeded,
  runWith,
  seed,
  wildProgram,
} from './world.ts';

/** A task's claim to a lock, from `want` to `leave`. */
interface Claim {
  readonly want: number;
  enter: number;
  leave: number;
  readonly task: number;
  readonly lock: number;
  readonly exclusive: boolean;
  waited: boolean;
}

const NEVER = Number.POSITIVE_INFINITY;

/** The claims of a log, with their positions in it. */
function claimsOf(log: readonly LogEntry[]): Claim[] {
  const claims: Claim[] = [];
  for (const [i, entry] of log.entries()) {
    const { task, lock, exclusive } = entry;
    if (entry.kind === 'want') {
      claims.push({ want: i, enter: NEVER, leave: NEVER, task, lock, exclusive, waited: false });
    }
    const open = claims.findLast((claim) => claim.task === task && claim.lock === lock) as Claim;
    if (entry.kind === 'enter') {
      open.enter = i;
      open.waited = entry.waited;
    }
    if (entry.kind === 'leave') open.leave = i;
  }
  return claims;
}

const conflict = (a: Claim, b: Claim): boolean =>
  a !== b && a.lock === b.lock && (a.exclusive || b.exclusive);

/** Every pair of claims that exclude each other, the earlier want first. */
function conflictsOf(log: readonly LogEntry[]): [Claim, Claim][] {
  const claims = claimsOf(log);
  return claims.flatMap((a) =>
    claims.filter((b) => conflict(a, b) && a.want < b.want).map((b): [Claim, Claim] => [a, b]),
  );
}

test('mutual exclusion: one writer or any number of readers, whoever dies with the lock', () => {
  fc.assert(
    fc.property(wildProgram, seed, (program, s) => {
      for (const pair of conflictsOf(runSeeded(program, s).log)) {
        const [a, b] = pair.toSorted((x, y) => x.enter - y.enter) as [Claim, Claim];
        if (b.enter !== NEVER) expect(a.leave).toBeLessThan(b.enter);
      }
    }),
  );
});

/**
 * Who waits after the first `end` entries, by the queue discipline of the kernel: the last holder to leave hands over
 * to the writer in front, or to every reader that waits if one is in front.
 */
function waitingAfter(log: readonly LogEntry[], end: number): number[] {
  const holders = new Map<number, Claim[]>();
  const queues = new Map<number, Claim[]>();
  const claims = claimsOf(log);
  const of = (map: Map<number, Claim[]>, lock: number): Claim[] => {
    const known = map.get(lock) ?? [];
    map.set(lock, known);
    return known;
  };
  for (let i = 0; i < end; i++) {
    for (const claim of claims) {
      const inside = of(holders, claim.lock);
      const queue = of(queues, claim.lock);
      if (claim.want === i) {
        const shared = !claim.exclusive && inside.every((holder) => !holder.exclusive);
        if (queue.length === 0 && (inside.length === 0 || shared)) inside.push(claim);
        else queue.push(claim);
      }
      if (claim.leave !== i) continue;
      inside.splice(inside.indexOf(claim), 1);
      if (inside.length > 0 || queue.length === 0) continue;
      const next = (queue[0] as Claim).exclusive
        ? queue.slice(0, 1)
        : queue.filter((waiter) => !waiter.exclusive);
      inside.push(...next);
      for (const claimant of next) queue.splice(queue.indexOf(claimant), 1);
    }
  }
  return [...new Set([...queues.values()].flat().map((claim) => claim.task))].toSorted((a, b) => a - b);
}

test('first come first served: only readers that waited together pass a writer that came earlier', () => {
  fc.assert(
    fc.property(disorderedProgram, seed, (program, s) => {
      const { log } = runSeeded(program, s);
      const claims = claimsOf(log);
      for (const [a, b] of conflictsOf(log)) {
        if (b.enter === NEVER || a.enter < b.enter) continue;
        const batch = claims.some(
          (c) => c.lock === a.lock && !c.exclusive && c.waited && c.want < a.want && b.want < c.enter,
        );
        expect(a.exclusive && !b.exclusive && b.waited && batch).toBe(true);
      }
    }),
  );
});

test('a task is blocked if and only if the queue discipline leaves it waiting', () => {
  fc.assert(
    fc.property(wildProgram, seed, (program, s) => {
      const { log } = runSeeded(program, s);
      for (const [i, entry] of log.entries()) {
        if (entry.kind !== 'want') expect(entry.blocked).toEqual(waitingAfter(log, i + 1));
      }
    }),
  );
});

test('no wakeup is lost: programs that take locks in one order end idle', () => {
  fc.assert(
    fc.property(orderedProgram, seed, (program, s) => {
      const { end, world } = runSeeded(program, s);
      expect(end).toEqual({ reason: 'idle' });
      const agents = world.sched.tasks.slice(1);
      expect(agents.map((task) => task.state)).toEqual(program.map(() => 'finished'));
      expect(agents.map((task) => task.result)).toEqual(program.map((sections) => sections.length));
      expect(agents.flatMap((task) => task.held)).toEqual([]);
      expect(world.bugs).toEqual([]);
    }),
  );
});

test('a hang names who waits for what, and each of them waits for a task that cannot go on', () => {
  let hangs = 0;
  fc.assert(
    fc.property(wildProgram, seed, (program, s) => {
      const { end, log, world } = runSeeded(program, s);
      const waiting = claimsOf(log).filter((claim) => claim.enter === NEVER);
      expect(end.reason).toBe(waiting.length === 0 ? 'idle' : 'blocked');
      if (end.reason !== 'blocked') return;
      hangs++;
      expect(end.waits.map((wait) => [wait.task.id, wait.lock]).toSorted()).toEqual(
        waiting.map((claim) => [claim.task, LOCK_NAMES[claim.lock]]).toSorted(),
      );
      for (const wait of end.waits) {
        expect(wait.holders.length).toBeGreaterThan(0);
        for (const holder of wait.holders) expect(['blocked', 'dead']).toContain(holder.state);
      }
      expect(world.sched.current).toBe(world.sched.boot);
    }),
  );
  expect(hangs).toBeGreaterThan(0);
});

test('a wait ends at the later of both clocks', () => {
  fc.assert(
    fc.property(disorderedProgram, seed, (program, s) => {
      const { log } = runSeeded(program, s);
      const time = (position: number): number => (log[position] as LogEntry).time;
      for (const [a, b] of conflictsOf(log)) {
        const waitedForA = b.enter !== NEVER && b.want < a.leave && a.leave < b.enter;
        if (waitedForA) expect(time(b.enter)).toBeGreaterThanOrEqual(time(a.leave));
      }
    }),
  );
});

test('a lock operation costs one step, and an event if it waits', () => {
  fc.assert(
    fc.property(orderedProgram, seed, (program, s) => {
      const { log, world } = runSeeded(program, s);
      const operations = log.filter(({ kind }) => kind === 'want' || kind === 'leave').length;
      expect(world.cpus.steps[STEP.lock]).toBe(operations);
      expect(world.trace.events).toBe(log.filter((entry) => entry.waited).length);
    }),
  );
});

test('the same seed gives the same run, and so do the departures it took', () => {
  fc.assert(
    fc.property(wildProgram, seed, (program, s) => {
      const first = runSeeded(program, s);
      for (const again of [
        runSeeded(program, s),
        runWith(program, Decisions.replay(first.decisions.departures)),
      ]) {
        expect(again.log).toEqual(first.log);
        expect(again.end.reason).toBe(first.end.reason);
        expect(again.world.trace.digest.toString()).toBe(first.world.trace.digest.toString());
        expect(again.decisions.departures).toEqual(first.decisions.departures);
      }
    }),
  );
});

test('without departures a task runs until it blocks or ends', () => {
  fc.assert(
    fc.property(disorderedProgram, (program) => {
      const { log, decisions } = runWith(program, Decisions.none());
      expect(decisions.departures).toEqual([]);
      for (const [i, entry] of log.entries()) {
        const next = log[i + 1];
        if (next !== undefined && next.task !== entry.task) expect(['want', 'end']).toContain(entry.kind);
      }
    }),
  );
});

test('after a rollback a run is what it would have been in a fresh world', () => {
  fc.assert(
    fc.property(wildProgram, wildProgram, seed, (spoiler, program, s) => {
      const fresh = runSeeded(program, s);
      const world = makeWorld(Decisions.seeded(`${s} spoiler`));
      const locks = makeLocks(world);
      const mark = world.journal.mark();
      runProgram(world, locks, spoiler);
      world.journal.rollback(mark);
      const decisions = Decisions.seeded(s);
      world.decisions = decisions;
      const again = runProgram(world, locks, program);
      expect(again.log).toEqual(fresh.log);
      expect(again.end.reason).toBe(fresh.end.reason);
      expect(world.trace.digest.toString()).toBe(fresh.world.trace.digest.toString());
      expect(decisions.departures).toEqual(fresh.decisions.departures);
    }),
  );
});
