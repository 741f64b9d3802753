/*
 * A recording outlives changes of the code: what is not about it changes nothing, and what is about it is said.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Decisions, Program, RunResult } from '../../sim/index.ts';
import { changedLuosim, type Luosim, type Replacement } from '../support/changed.ts';
import { MIB } from '../support/system.ts';

const PROGRAM: Program = {
  generations: [
    {
      revision: 'v7.0',
      stages: [
        [
          {
            process: 'p',
            actions: [{ do: 'open' }, { do: 'create', names: { pattern: 's%d', first: 0, count: 3 } }],
          },
        ],
        [
          { process: 'p', actions: [{ do: 'create', names: { pattern: 't%d', first: 0, count: 3 } }] },
          { process: 'init', actions: [{ do: 'load' }, { do: 'reboot' }] },
        ],
      ],
    },
    {
      revision: 'v7.0',
      stages: [
        [{ process: 'p', actions: [{ do: 'open' }] }],
        [
          { process: 'p', actions: [{ do: 'retrieve', names: { pattern: 's%d', first: 0, count: 3 } }] },
          { process: 'p', actions: [{ do: 'retrieve', names: { pattern: 's%d', first: 0, count: 3 } }] },
        ],
      ],
    },
  ],
};

/** Two more places where a task may be preempted, on the way of every retrieve and every reboot. */
const MORE_POINTS: readonly Replacement[] = [
  [/^(const LOOKED_UP) = /m, "const FOUND = definePoint('luo_test', 'found');\n$&"],
  [/^(const SERIALIZED) = /m, "const WRITTEN = definePoint('luo_test', 'written');\n$&"],
  [
    /after\(giveWay\(LOOKED_UP\), (this, (.*?), (.*))\);/,
    'after(giveWay(FOUND), this, () => this.#kernel.sched.contended ? after(giveWay(LOOKED_UP), $1) : $2($3));',
  ],
  [/if \((this.*sched\.contended)\) yield SERIALIZED;/, 'if ($1) yield WRITTEN;\n$&'],
];
/** The place between lookup and lock of a retrieve under another name. */
const OTHER_NAME: readonly Replacement[] = [
  [/definePoint\('luo_session_retrieve', 'unlocked'\)/, "definePoint('luo_session_retrieve', 'found')"],
];
/** Memory always arrives as it was left, or zeroed. */
const FEWER_CHOICES: readonly Replacement[] = [
  [/\['intact', 'zeroed', 'overwritten', 'mixed'\]/, "['intact', 'zeroed']"],
];
/** No task is preempted between lookup and lock. */
const FEWER_POINTS: readonly Replacement[] = [
  [/if \(this.*sched\.contended\)\s*return after\(giveWay\(LOOKED_UP\), .*\n/, ''],
];

const SEEDS = Array.from({ length: 16 }, (_, seed) => String(seed));

function runWith(luosim: Luosim, seed: string, decisions: Decisions): RunResult {
  const machine = new luosim.Machine(
    { ramBytes: 16 * MIB, nodes: 1, cpus: 2 },
    luosim.ICOUNT,
    new luosim.PiecePool(),
    decisions,
  );
  const result = luosim.run({ machine, seed, decisions, program: PROGRAM });
  machine.dispose();
  return result;
}

const replayed = (luosim: Luosim, recorded: RunResult): RunResult =>
  runWith(luosim, recorded.seed, luosim.Decisions.replay(recorded.departures));

describe('a recording', () => {
  let luosim: Luosim;
  let recordings: RunResult[];

  beforeAll(async () => {
    luosim = await changedLuosim([]);
    recordings = SEEDS.map((seed) => runWith(luosim, seed, luosim.Decisions.seeded(seed)));
  });

  const at = (point: string): RunResult[] =>
    recordings.filter(({ departures }) => departures.some((departure) => departure.point === point));

  it('replays with points added that it knows nothing of', async () => {
    const changed = await changedLuosim(MORE_POINTS);
    expect(new Set(recordings.map(({ digest }) => digest)).size).toBeGreaterThan(6);
    for (const recorded of recordings) {
      const result = replayed(changed, recorded);
      expect(result.misfits).toEqual([]);
      expect(result).toEqual(recorded);
    }
    // The change is on the way: seeds draw there, and their runs are others now.
    const seeded = SEEDS.map((seed) => runWith(changed, seed, changed.Decisions.seeded(seed)));
    const drawn = new Set(seeded.flatMap(({ departures }) => departures.map(({ point }) => point)));
    expect([...drawn]).toEqual(expect.arrayContaining(['luo_test:found', 'luo_test:written']));
    expect(seeded.filter(({ digest }, i) => digest !== recordings[i]?.digest).length).toBeGreaterThan(6);
  });

  it('says that a point it needs has another name', async () => {
    const changed = await changedLuosim(OTHER_NAME);
    const needing = at('luo_session_retrieve:unlocked');
    expect(needing.length).toBeGreaterThan(3);
    for (const recorded of needing) {
      const [first] = replayed(changed, recorded).misfits;
      const index = recorded.departures.findIndex(({ point }) => point === 'luo_session_retrieve:unlocked');
      expect(first).toEqual({ index, departure: recorded.departures[index], why: 'no such point', count: 0 });
    }
  });

  it('says that a point it needs is not reached any more', async () => {
    const changed = await changedLuosim(FEWER_POINTS);
    for (const recorded of at('luo_session_retrieve:unlocked')) {
      const { misfits } = replayed(changed, recorded);
      const index = recorded.departures.findIndex(({ point }) => point === 'luo_session_retrieve:unlocked');
      expect(misfits[0]).toMatchObject({ index, why: 'not reached', count: 0 });
    }
  });

  it('says that a choice it makes is none any more', async () => {
    const changed = await changedLuosim(FEWER_CHOICES);
    const choosing = recordings.filter(({ departures }) =>
      departures.some(({ point, choice }) => point === 'machine_kexec:leftovers' && choice > 1),
    );
    expect(choosing.length).toBeGreaterThan(3);
    for (const recorded of choosing) {
      const { misfits } = replayed(changed, recorded);
      expect(misfits).toMatchObject([
        { departure: { point: 'machine_kexec:leftovers' }, why: 'no such choice', count: 2 },
      ]);
    }
  });
});
