/*
 * What a run tells of its progress: every phase in its order, every call, and nothing that changes the run.
 */
import { expect, it } from 'vitest';
import manySessions from '../../scenarios/many_sessions.ts';
import type { Phase, Progress } from '../../sim/explore/progress.ts';
import { simulate } from '../../sim/explore/simulate.ts';
import type { RunInput } from '../../sim/input/run_input.ts';
import { PiecePool } from '../../sim/machine/pool.ts';
import { inputOf, LEAVE } from '../support/play.ts';
import { MIB } from '../support/system.ts';

/** A telling of creates, and what is left over. */
const SESSIONS = 8500;
const REVISION = 'v7.3';

const input: RunInput = {
  machine: { ramBytes: 64 * MIB, nodes: 1, cpus: 1 },
  profile: 'icount',
  seed: '1',
  program: manySessions({ revisions: [REVISION], generations: 2, sessions: SESSIONS, pattern: 's%d' }),
};

/** Everything that is told, and the digest. */
function told(): { readonly all: readonly Progress[]; readonly digest: string } {
  const all: Progress[] = [];
  const result = simulate(input, { onProgress: (progress) => all.push(progress) });
  if (typeof result === 'string') throw new Error(result);
  return { all, digest: result.digest };
}

const { all, digest } = told();

it('tells phases in their order, each when it begins', () => {
  const begun = all.filter(({ phase, generation }, i) => {
    return phase !== all[i - 1]?.phase || generation !== all[i - 1]?.generation;
  });
  const of = (wanted: number): Phase[] =>
    begun.filter(({ generation }) => generation === wanted).map(({ phase }) => phase);
  expect(of(0)).toEqual([
    ...['boot', 'laws', 'open', 'verify', 'create', 'close-device', 'laws'],
    ...['load', 'serialize', 'laws', 'jump'],
  ]);
  expect(of(1)).toEqual([
    ...[
      'boot',
      'laws',
      'deserialize',
      'verify',
      'retrieve',
      'finish',
      'close',
      'close-device',
      'laws',
      'end',
    ],
  ]);
  expect(begun.every(({ calls }) => calls === 0)).toBe(true);
});

it('tells every few thousand calls, and how many there were', () => {
  const creates = all.filter(({ phase }) => phase === 'create');
  expect(creates.map(({ calls }) => calls)).toEqual([0, 8192, SESSIONS]);
});

it('lets what is thrown pass, and is told nothing more', () => {
  for (const at of [0, 5, all.length - 4]) {
    const thrown = new Error(`at telling ${at}`);
    let tellings = 0;
    const run = (): unknown =>
      simulate(input, {
        onProgress: (progress) => {
          expect(progress).toEqual(all[tellings]);
          if (tellings++ === at) throw thrown;
        },
      });
    expect(run).toThrow(thrown);
    expect(tellings).toBe(at + 1);
  }
});

it('takes no part, and runs on the memory of the run before as on memory of its own', () => {
  const pool = new PiecePool();
  for (let i = 0; i < 2; i++) expect(simulate(input, { pool })).toMatchObject({ digest });
  expect(pool.taken).toBe(0);
});

it('checks laws after each stage, but where there is much and little was done: then before the end only', () => {
  const checks = (sessions: number, idle: number): number => {
    const idlers = Array.from({ length: idle }, (_, i) => `stage\ntask idle-${i}\nopen\nclose-device`);
    const all = `s%d 0..${sessions - 1}`;
    const text = [
      `kernel april-v1-p1\nstage\ntask agent\nopen\ncreate ${all}\nclose-device`,
      ...idlers,
      LEAVE,
      `kernel april-v1-p1\nstage\ntask agent\nopen\nretrieve ${all}\nclose-device`,
      ...idlers,
    ].join('\n');
    let laws = 0;
    simulate(inputOf(text, '1', 'ram 256M'), {
      onProgress: ({ phase }) => {
        if (phase === 'laws') laws++;
      },
    });
    return laws;
  };
  // Booted, stages, at the jump; booted, stages. Of many sessions, only the last before the end.
  expect(checks(100, 3)).toBe(1 + 4 + 1 + 1 + 4);
  expect(checks(88_000, 3)).toBe(1 + 1 + 1 + 1 + 1);
});
