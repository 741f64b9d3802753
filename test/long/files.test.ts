/*
 * Half a million files in a thousand sessions through a whole update, and what one of them costs: in steps and pages the
 * same among half a million as among five thousand. Sessions pay for the length of their list, so hops are theirs.
 * Minutes, and 7 GiB. `npm run test:long`.
 */
import { describe, expect, it } from 'vitest';
import manyFiles from '../../scenarios/many_files.ts';
import { priced } from '../../sim/explore/blackout.ts';
import type { ActionReport, GenerationReport } from '../../sim/explore/result.ts';
import { STEP_KINDS } from '../../sim/machine/cpu.ts';
import type { Action, Program, Verb } from '../../sim/user/program.ts';
import { ran } from '../support/play.ts';
import { MIB } from '../support/system.ts';

const FILES_PER_SESSION = 500;
const SIZES = [5_000, 50_000, 500_000] as const;
const PATTERN = 's%d';
/** What belongs to an update and to no file: a shutdown, the first slab of each kind. */
const SLACK_PER_FILE = 0.002;

interface Update {
  readonly files: number;
  readonly before: GenerationReport;
  readonly after: GenerationReport;
}

/** The scenario, and behind it whatever ends files: read, finished, closed. */
function programOf(files: number): Program {
  const sessions = files / FILES_PER_SESSION;
  const params = { revision: 'v7.3', sessions, files, fileBytes: 4096, pattern: PATTERN };
  const [first, second] = manyFiles(params).generations;
  const task = second?.stages[0]?.[0];
  if (first === undefined || second === undefined || task === undefined) throw new Error('no update');
  const all = { pattern: PATTERN, first: 0, count: sessions };
  const memfds = { pattern: 'memfd-%d', first: 0, count: files };
  const ends: Action[] = [
    { do: 'read', names: memfds },
    { do: 'finish', names: all },
    { do: 'close', names: all },
    { do: 'close-file', names: memfds },
  ];
  return {
    generations: [first, { ...second, stages: [[{ ...task, actions: [...task.actions, ...ends] }]] }],
  };
}

function updateOf(files: number): Update {
  const machine = { ramBytes: 16_384 * MIB, nodes: 1, cpus: 1 };
  const result = ran({ machine, profile: 'icount', seed: '1', program: programOf(files) });
  expect(result.violations).toEqual([]);
  expect(result.openLosses).toEqual([]);
  const [before, after] = result.generations;
  if (before === undefined || after === undefined) throw new Error('no update');
  return { files, before, after };
}

const actionsOf = ({ before, after }: Update, verb: Verb): ActionReport[] =>
  [...before.actions, ...after.actions].filter((action) => action.verb === verb);

const OF_FILES: readonly Verb[] = ['memfd', 'fill', 'preserve', 'retrieve-fd', 'read', 'close-file'];
/** Of sessions: those with files are among what they do. */
const OF_SESSIONS: readonly Verb[] = ['create', 'reboot', 'open', 'retrieve', 'finish', 'close'];

describe('500,000 files in 1,000 sessions', { timeout: 3_600_000 }, () => {
  const updates: Update[] = [];
  const pair = (i: number): [Update, Update] => [updates[i] as Update, updates[i + 1] as Update];

  it.each(SIZES)('or %i, are handed over, come back and go, and every law is held', (files) => {
    const update = updateOf(files);
    updates.push(update);
    const calls = (verb: Verb): number =>
      actionsOf(update, verb).reduce((sum, action) => sum + action.calls, 0);
    for (const verb of OF_FILES) expect(calls(verb), verb).toBe(files);
    const sessions = files / FILES_PER_SESSION;
    for (const verb of ['create', 'retrieve', 'finish', 'close'] as const) {
      expect(calls(verb), verb).toBe(sessions);
    }
    const { before, after } = update;
    const results = new Set([...before.actions, ...after.actions].map(({ result }) => result));
    expect(results).toEqual(new Set(['OK', 'no return']));
    expect([after.bootKind, after.incomingSessions, after.outgoingSessions]).toEqual(['handover', 0, 0]);
    // Its contents, its record, the page of its list and the chunk that says where that page is.
    expect(before.handover?.preservedPages).toBeGreaterThanOrEqual(4 * files);
    expect(after.bootSteps.pageReserved).toBe(before.handover?.preservedPages);
  });

  it('cost steps that depend on how many files there are, and on nothing else', () => {
    for (const verb of [...OF_FILES, ...OF_SESSIONS]) {
      const [small, ...larger] = updates.map((update) => ({
        files: update.files,
        steps: priced(actionsOf(update, verb).map(({ steps }) => steps)).steps,
      }));
      for (const { files, steps } of larger) {
        for (const kind of STEP_KINDS.filter((of) => of !== 'hop')) {
          const perFile = (steps[kind] ?? 0) / files;
          const was = (small?.steps[kind] ?? 0) / (small?.files ?? 0);
          const what = `${verb}, ${kind} a file: ${perFile} of ${files}, ${was} of ${small?.files}`;
          expect(Math.abs(perFile - was), what).toBeLessThanOrEqual(was / 100 + SLACK_PER_FILE);
        }
      }
    }
  });

  it('take time that depends on how many files there are', () => {
    const nsPerFile = (update: Update, verb: Verb): number =>
      actionsOf(update, verb).reduce(
        (ns, { from, to }) => ns + (to.seconds - from.seconds) * 1e9 + (to.ns - from.ns),
        0,
      ) / update.files;
    const [, some, many] = updates;
    if (some === undefined || many === undefined) throw new Error('no updates');
    for (const verb of [...OF_FILES, 'reboot', 'finish'] as const) {
      const ratio = nsPerFile(many, verb) / nsPerFile(some, verb);
      expect(Math.abs(ratio - 1), `${verb}: ${ratio} times the time`).toBeLessThan(0.03);
    }
  });

  it('take the same pages each, among any number', () => {
    const measures: [string, (update: Update) => number][] = [
      ['created', ({ before }) => -before.freePages],
      ['preserved', ({ before }) => before.handover?.preservedPages ?? 0],
    ];
    for (const [what, pages] of measures) {
      const [first, second] = [pair(0), pair(1)].map(
        ([a, b]) => (pages(b) - pages(a)) / (b.files - a.files),
      ) as [number, number];
      expect(first, what).toBeGreaterThan(4);
      expect(Math.abs(second / first - 1), `${what}: ${first}, then ${second}`).toBeLessThan(0.01);
    }
  });

  it('leave nothing behind', () => {
    for (const { after } of updates) expect(after.freePages).toBe(updates[0]?.after.freePages);
  });
});
