/*
 * Scenarios are inputs: plain data with room to run in.
 */
import { describe, expect, it } from 'vitest';
import khoTest from '../../scenarios/kho_test.ts';
import manySessions, { ramBytesFor } from '../../scenarios/many_sessions.ts';
import { NUMBERS_MAX } from '../../sim/user/names.ts';
import type { Program } from '../../sim/user/program.ts';
import { ran } from '../support/play.ts';
import { MIB } from '../support/system.ts';

const REVISIONS = ['april-v1-p1'];
const GIB = 1024 * MIB;

const verbs = ({ generations }: Program): string[][] =>
  generations.map(({ stages }) => stages.flat().flatMap(({ actions }) => actions.map((action) => action.do)));

describe('many sessions', () => {
  it('creates in every kernel but the last, and takes over in every one but the first', () => {
    expect(verbs(manySessions({ revisions: REVISIONS, generations: 3, sessions: 2, pattern: '%d' }))).toEqual(
      [
        ['open', 'create', 'close-device', 'load', 'reboot'],
        ['open', 'retrieve', 'finish', 'close', 'create', 'close-device', 'load', 'reboot'],
        ['open', 'retrieve', 'finish', 'close', 'close-device'],
      ],
    );
  });

  it('only opens the device where there is no session', () => {
    expect(verbs(manySessions({ revisions: REVISIONS, generations: 2, sessions: 0, pattern: '%d' }))).toEqual(
      [
        ['open', 'close-device', 'load', 'reboot'],
        ['open', 'close-device'],
      ],
    );
  });

  it('spreads over as many agents as descriptors demand, every name once', () => {
    const { generations } = manySessions({
      revisions: REVISIONS,
      generations: 2,
      sessions: 2_500_000,
      pattern: '%d',
    });
    const created = generations[0]?.stages
      .flat()
      .flatMap(({ actions }) => actions.filter(({ do: verb }) => verb === 'create'));
    const ranges = created?.map((action) =>
      'names' in action ? [action.names.first, action.names.count] : [],
    );
    expect(ranges).toEqual([
      [0, 1_048_560],
      [1_048_560, 1_048_560],
      [2_097_120, 402_880],
    ]);
  });

  it('has room: 1 GiB up to a million sessions, then the next power of two', () => {
    expect([0, 2000, 2 ** 20].map(ramBytesFor)).toEqual([GIB, GIB, GIB]);
    expect([2 ** 20 + 1, 8_190_000, NUMBERS_MAX].map(ramBytesFor)).toEqual([2 * GIB, 8 * GIB, 16 * GIB]);
  });

  it('needs no more than that for a session', () => {
    const sessions = 4000;
    const free = [sessions, 0].map((count) => {
      const program = manySessions({
        revisions: REVISIONS,
        generations: 2,
        sessions: count,
        pattern: 'many-%d',
      });
      const machine = { ramBytes: 64 * MIB, nodes: 1, cpus: 1 };
      const result = ran({ machine, profile: 'icount', seed: 'room', program });
      return result.generations[0]?.freePages ?? 0;
    });
    // 7/8 of memory is what scratch, struct pages and hash tables leave.
    expect((((free[1] ?? 0) - (free[0] ?? 0)) * 4096) / sessions).toBeLessThan((1024 * 7) / 8);
  });
});

describe('the handover test', () => {
  it('restores what the kernel before saved, and saves for the next', () => {
    const phases = khoTest({ revisions: REVISIONS, generations: 3 }).generations.map(({ stages }) =>
      stages
        .flat()
        .flatMap(({ actions }) => actions.flatMap((action) => ('phase' in action ? [action.phase] : []))),
    );
    expect(phases).toEqual([['save'], ['restore', 'save'], ['restore']]);
  });

  it('gives every kernel its revision, the last one to all that follow', () => {
    const { generations } = khoTest({ revisions: ['a', 'b'], generations: 4 });
    expect(generations.map(({ revision }) => revision)).toEqual(['a', 'b', 'b', 'b']);
  });
});
