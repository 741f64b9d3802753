/*
 * Programs from outside: what is accepted can be run, what cannot be run is refused with its place.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import khoTest from '../../scenarios/kho_test.ts';
import manySessions from '../../scenarios/many_sessions.ts';
import { simulate } from '../../sim/explore/simulate.ts';
import { programError } from '../../sim/input/program_json.ts';
import type { Action, Program } from '../../sim/user/program.ts';
import { MIB } from '../support/system.ts';

const REVISIONS = ['april-v1-p1'];
const good: Program = {
  generations: [
    {
      revision: 'april-v1-p1',
      stages: [
        [
          {
            process: 'a',
            actions: [{ do: 'open' }, { do: 'create', names: { pattern: 'n%d', first: 1, count: 2 } }],
          },
          { process: 'b', actions: [{ do: 'load' }, { do: 'exit' }] },
        ],
        [{ process: 'a', actions: [{ do: 'close-device' }, { do: 'kho-test', phase: 'restore' }] }],
        [{ process: 'c', actions: [{ do: 'reboot' }] }],
      ],
    },
    { revision: 'april-v1-p1', stages: [] },
  ],
};

const inOneTask = (...actions: unknown[]): unknown => ({
  generations: [{ revision: 'april-v1-p1', stages: [[{ process: 'p', actions }]] }],
});
const names = (value: unknown): unknown => inOneTask({ do: 'create', names: value });
const booting = (boot: unknown): unknown => ({
  generations: [{ revision: 'april-v1-p1', boot, stages: [] }],
});
const exit: Action = { do: 'exit' };
const open: Action = { do: 'open' };
const stages = (...list: unknown[]): unknown => ({
  generations: [{ revision: 'april-v1-p1', stages: list }],
});

/** All places of a JSON value, as paths. */
function paths(value: unknown): (string | number)[][] {
  if (typeof value !== 'object' || value === null) return [[]];
  return [[], ...Object.entries(value).flatMap(([key, part]) => paths(part).map((rest) => [key, ...rest]))];
}

function replaced(value: unknown, [key, ...rest]: readonly (string | number)[], by: unknown): unknown {
  if (key === undefined) return by;
  const copy = structuredClone(value) as Record<string, unknown>;
  copy[key] = replaced(copy[key], rest, by);
  return copy;
}

describe('a program from outside', () => {
  it.each<[string, Program]>([
    ['with every kind of action', good],
    ['of many sessions', manySessions({ revisions: REVISIONS, generations: 3, sessions: 5, pattern: 's%d' })],
    [
      'of many agents',
      manySessions({ revisions: REVISIONS, generations: 2, sessions: 2_500_000, pattern: '%d' }),
    ],
    ['of the handover test', khoTest({ revisions: REVISIONS, generations: 3 })],
  ])('%s is accepted', (_what, program) => {
    expect(programError(JSON.parse(JSON.stringify(program)))).toBeUndefined();
  });

  it.each<[string, unknown, RegExp]>([
    ['nothing', null, /^program.generations is no list$/],
    ['a list', [], /^program.generations is no list$/],
    ['no kernel', { generations: [] }, /has 0 entries/],
    ['a null kernel', { generations: [null] }, /^program.generations\[0\] is no object$/],
    [
      'a revision of the future',
      { generations: [{ revision: 'v99', stages: [] }] },
      /revision is no known revision/,
    ],
    [
      'a task of a process that was killed',
      stages([{ process: 'q', actions: [{ do: 'kill', process: 'p' }] }], [{ process: 'p', actions: [] }]),
      /stages\[1\]\[0\]: process "p" is killed before/,
    ],
    ['a signal to nobody', inOneTask({ do: 'kill', process: 7 }), /actions\[0\].process is no text/],
    ['a command line that is none', booting('kho=off'), /generations\[0\].boot is no object/],
    ['a command line of nothing', booting({}), /boot has nothing in it: leave it out/],
    ['a parameter that is not known', booting({ men: '1G' }), /boot.men is none of kho, liveupdate, mem, /],
    ['a parameter that is no text', booting({ mem: 2 ** 30 }), /boot.mem is no text/],
    ['no stages', { generations: [{ revision: 'april-v1-p1' }] }, /stages is no list/],
    ['a stage that is a task', stages({ process: 'p', actions: [] }), /stages\[0\] is no list/],
    ['a nameless process', stages([{ actions: [] }]), /stages\[0\]\[0\]\.process is no text/],
    ['no actions', stages([{ process: 'p' }]), /actions is no list/],
    ['an action of text', inOneTask('open'), /actions\[0\]\.do is no known verb/],
    ['an unknown verb', inOneTask(open, { do: 'toString' }), /actions\[1\]\.do is no known verb/],
    ['no names', inOneTask({ do: 'create' }), /names.pattern is no text/],
    [
      'a test phase of its own',
      inOneTask({ do: 'kho-test', phase: 'both' }),
      /phase is neither save nor restore/,
    ],
    ['a fraction of a name', names({ pattern: 'n%d', first: 0, count: 1.5 }), /count/],
    ['a negative number', names({ pattern: 'n%d', first: -1, count: 1 }), /first/],
    ['no name at all', names({ pattern: 'n%d', first: 0, count: 0 }), /count is 0: leave the action out/],
    ['numbers past the last', names({ pattern: 'n%d', first: 2 ** 24 - 1, count: 2 }), /not below 16777216/],
    ['two numbers in a name', names({ pattern: '%d%d', first: 0, count: 1 }), /more than one %d/],
    ['several plain names', names({ pattern: 'n', first: 0, count: 2 }), /no %d in the pattern/],
    ['a numbered plain name', names({ pattern: 'n', first: 1, count: 1 }), /no %d in the pattern/],
    ['an act after the exit', inOneTask(exit, open), /process "p" acts after its exit/],
    [
      'an exit beside acts',
      stages([
        { process: 'p', actions: [exit] },
        { process: 'p', actions: [open] },
      ]),
      /"p" has exited before/,
    ],
    [
      'a stage after the exit',
      stages([{ process: 'p', actions: [exit] }], [{ process: 'p', actions: [open] }]),
      /before/,
    ],
    [
      'too many patterns',
      inOneTask(
        ...Array.from({ length: 127 }, (_, i) => ({
          do: 'create',
          names: { pattern: `${i}-%d`, first: 0, count: 1 },
        })),
      ),
      /127 name patterns with a %d are more than 126/,
    ],
  ])('with %s is refused, with the place', (_what, program, complaint) => {
    expect(programError(program)).toMatch(complaint);
  });

  it('can be run where it is accepted, whatever stands in one place of it', () => {
    const anything = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom<unknown>(
        'exit',
        'reboot',
        'a',
        'b',
        '',
        1e9,
        2 ** 24,
        open,
        exit,
        [exit],
        'x'.repeat(99),
      ),
    );
    fc.assert(
      fc.property(fc.constantFrom(...paths(good)), anything, (path, by) => {
        const program = replaced(good, path, by);
        const error = programError(program);
        if (error !== undefined) {
          expect(error).toMatch(/^program[^\n]+$/);
          return;
        }
        const machine = { ramBytes: 16 * MIB, nodes: 1, cpus: 2 };
        const result = simulate({ machine, profile: 'icount', seed: 'x', program: program as Program });
        expect(result).toMatchObject({ schemaVersion: 1 });
      }),
      { numRuns: 60 },
    );
  });
});
