/*
 * Agents as users write them, on every revision, over three kernels: what they hand over they get back, and use again.
 */
import { describe, expect, it } from 'vitest';
import liveUpdateDaemon from '../../scenarios/live_update_daemon.ts';
import type { ManySessionsParams } from '../../scenarios/many_sessions.ts';
import systemdFdstore from '../../scenarios/systemd_fdstore.ts';
import vmm from '../../scenarios/vmm.ts';
import type { RunResult } from '../../sim/explore/result.ts';
import { REVISIONS } from '../../sim/kernel/revisions.ts';
import type { Program, Verb } from '../../sim/user/program.ts';
import { ran } from '../support/play.ts';
import { MIB } from '../support/system.ts';

const GENERATIONS = 3;

function play(
  scenario: (params: ManySessionsParams) => Program,
  revision: string,
  sessions: number,
  { seed = '1', ram = 64 }: { readonly seed?: string; readonly ram?: number } = {},
): RunResult {
  const program = scenario({ revisions: [revision], generations: GENERATIONS, sessions, pattern: '%d' });
  const machine = { ramBytes: ram * MIB, nodes: 1, cpus: 2 };
  const result = ran({ machine, profile: 'icount', seed, program });
  expect(result.violations).toEqual([]);
  expect(result.openLosses).toEqual([]);
  expect(result.generations.map(({ bootKind }) => bootKind)).toEqual(['cold', 'handover', 'handover']);
  return result;
}

const calls = ({ generations }: RunResult, verb: Verb): number[] =>
  generations.map(({ actions }) =>
    actions.reduce((sum, done) => sum + (done.verb === verb ? done.calls : 0), 0),
  );

/** Verbs whose last call was refused, and with what. */
const refusals = ({ generations }: RunResult): string[][] =>
  generations.map(({ actions }) =>
    actions
      .filter(({ result }) => !/^(OK|no return)$/.test(result))
      .map(({ verb, result }) => `${verb} ${result}`),
  );

/** Nothing of the update before is left in the last kernel. */
const left = ({ generations }: RunResult): number[] =>
  generations.map(({ incomingSessions, outgoingSessions }) => incomingSessions + outgoingSessions);

describe.each(REVISIONS.map(({ name }) => name))('on %s', (revision) => {
  it('a live-update daemon knows its sessions by the list in one of them', () => {
    for (const clients of revision === 'v7.3' ? [0, 3] : [3]) {
      const result = play(liveUpdateDaemon, revision, clients);
      expect(refusals(result)).toEqual([[], [], []]);
      expect(calls(result, 'create')).toEqual([clients + 1, clients + 1, 0]);
      expect(calls(result, 'retrieve-fd')).toEqual([0, clients + 1, clients + 1]);
      expect(calls(result, 'read')).toEqual([0, clients + 1, clients + 1]);
      expect(left(result)).toEqual([clients + 1, clients + 1, 0]);
    }
  });

  it('the descriptor store of systemd keeps what can be kept, unit by unit', () => {
    const result = play(systemdFdstore, revision, 5);
    expect(refusals(result)).toEqual([['preserve ENOENT'], ['preserve ENOENT'], []]);
    expect(calls(result, 'preserve')).toEqual([15, 15, 0]);
    expect(calls(result, 'read')).toEqual([0, 15, 15]);
    expect(left(result)).toEqual([5, 5, 0]);
  });

  it('guests run on while their RAM is kept, in any order', () => {
    for (const seed of revision === 'v7.3' ? ['1', '2'] : [revision]) {
      const result = play(vmm, revision, 2, { seed, ram: 32 });
      expect(refusals(result)).toEqual([[], [], []]);
      expect(calls(result, 'preserve')).toEqual([8, 8, 0]);
      expect(calls(result, 'write')[0]).toBeGreaterThanOrEqual(24);
      expect(calls(result, 'read')).toEqual([0, 8, 8]);
      expect(left(result)).toEqual([2, 2, 0]);
    }
  });
});

it('a store of more units than blocks have room for crosses as well', () => {
  const result = play(systemdFdstore, 'v7.3', 120);
  expect(calls(result, 'retrieve-fd')).toEqual([0, 360, 360]);
});
