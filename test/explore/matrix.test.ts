/*
 * Every revision into every revision: the table, what real kernels were seen to do, and ways to go that the releases
 * do not take.
 */
import { describe, expect, it } from 'vitest';
import manySessions from '../../scenarios/many_sessions.ts';
import takenName from '../../scenarios/taken_name.ts';
import { type MatrixCell, type MatrixParams, type MatrixResult, matrix } from '../../sim/explore/matrix.ts';
import { simulate } from '../../sim/explore/simulate.ts';
import { REVISIONS } from '../../sim/kernel/revisions.ts';
import { plainName } from '../../sim/user/names.ts';
import type { Action, Program } from '../../sim/user/program.ts';
import { MIB } from '../support/system.ts';

const NAMES = REVISIONS.map(({ name }) => name);
const SESSIONS = 5;
const MACHINE = { ramBytes: 64 * MIB, nodes: 1, cpus: 2 };
const INPUT = { machine: MACHINE, profile: 'icount', seed: '1' };

type Kernels = MatrixParams['kernels'];

const stagesOf = ({ generations }: Program): Kernels => generations.map(({ stages }) => stages);

const cycle = (sessions = SESSIONS): Kernels =>
  stagesOf(manySessions({ revisions: ['v7.1'], generations: 4, sessions, pattern: 's%d' }));

const matrixOf = (revisions: readonly string[], kernels: Kernels = cycle()): MatrixResult =>
  matrix({ ...INPUT, revisions, kernels });

const cellOf = ({ cells }: MatrixResult, from: string, to: string): MatrixCell => {
  const cell = cells.find((each) => each.from === from && each.to === to);
  if (cell === undefined) expect.fail(`no cell ${from} -> ${to}`);
  return cell;
};

describe('every revision into every revision', () => {
  const result = matrixOf(NAMES);

  /** Rows: the kernel before; columns: the kernel after, in the order of REVISIONS. */
  const FIRST: Readonly<Record<string, string>> = {
    'v6.19': 'keeps cold cold cold cold cold',
    'v7.0': 'cold keeps keeps panic panic cold',
    'v7.1': 'cold keeps keeps panic panic cold',
    'april-v1-p1': 'cold panic panic keeps panic cold',
    'april-v1': 'cold panic panic panic keeps cold',
    'v7.3': 'cold cold cold cold cold keeps',
  };

  it.each(NAMES)('keeps the sessions, boots cold or panics, always openly, from %s', (from) => {
    const row = NAMES.map((to) => cellOf(result, from, to).jumps[0]?.outcome);
    expect(row.join(' ')).toBe(FIRST[from]);
    for (const to of NAMES) expect(cellOf(result, from, to).violations).toEqual([]);
  });

  it('goes down and up again as it went up, until a kernel panics', () => {
    for (const { from, to, jumps } of result.cells) {
      const first = jumps[0]?.outcome;
      const path = jumps.map((jump) => [jump.from, jump.to, jump.outcome]);
      const whole = [
        [from, to, first],
        [to, from, first],
        [from, to, first],
      ];
      expect(path).toEqual(first === 'panic' ? whole.slice(0, 1) : whole);
    }
  });

  it('keeps all sessions or none, and counts updates as long as they are kept', () => {
    for (const jump of result.cells.flatMap(({ jumps }) => jumps)) {
      expect(jump.sessions).toBe(SESSIONS);
      expect(jump.kept).toBe(jump.outcome === 'keeps' ? SESSIONS : 0);
      expect(jump.refusals.length > 0).toBe(jump.outcome === 'cold');
    }
    const numbers = (from: string, to: string): number[] =>
      cellOf(result, from, to).jumps.map(({ liveupdateNum }) => liveupdateNum);
    expect(numbers('v7.0', 'v7.1')).toEqual([1, 2, 3]);
    expect(numbers('v6.19', 'v7.1')).toEqual([0, 0, 0]);
  });

  it('says why, in the words of the kernel', () => {
    for (const { from, to, outcome, dmesg } of result.cells.flatMap(({ jumps }) => jumps)) {
      const revision = REVISIONS.find(({ name }) => name === to);
      const lines = dmesg.map((line) => line.replace(/0x[0-9a-f]+/, '0x...'));
      const expected = {
        keeps: [],
        cold: [
          `KHO: setup: handover FDT (0x...) is incompatible with '${revision?.khoCompatible}': 1`,
          `KHO: disabling KHO revival${to === 'v6.19' ? ': -22' : ''}`,
        ],
        panic: [
          `luo_core: Session node incompatible [${revision?.sessionCompatible}]`,
          'Kernel panic - not syncing: The incoming tree failed to initialize properly [-EINVAL], disabling live update',
        ],
      };
      expect([from, to, lines]).toEqual([from, to, expected[outcome as keyof typeof expected]]);
    }
  });

  it('has the digest of its cells, each that of its run', () => {
    const pair = ['v7.0', 'v7.1'];
    const [again, more] = [matrixOf(pair), matrixOf(pair, cycle(6))];
    expect(again).toEqual(matrixOf(pair));
    expect(again.cells[1]).toEqual(cellOf(result, 'v7.0', 'v7.1'));
    expect(more.digest).not.toBe(again.digest);
    const program = manySessions({
      revisions: ['v7.0', 'v7.1', 'v7.0', 'v7.1'],
      generations: 4,
      sessions: SESSIONS,
      pattern: 's%d',
    });
    const run = simulate({ ...INPUT, program });
    expect(typeof run !== 'string' && run.digest).toBe(again.cells[1]?.digest);
  });
});

describe('as real kernels were seen to do, 7.1.13 to 7.3.4 and back', () => {
  const names = ['a', 'b', 'c', 'd', 'e'].map(plainName);
  const each = (verb: 'create' | 'retrieve'): Action[] => names.map((name) => ({ do: verb, names: name }));
  const kernels: Kernels = [0, 1, 2, 3].map((generation) => [
    [
      {
        process: 'p',
        actions: [{ do: 'open' }, ...(generation > 0 ? each('retrieve') : []), ...each('create')],
      },
    ],
    [{ process: 'init', actions: [{ do: 'load' }, { do: 'reboot' }] }],
  ]);
  const result = matrixOf(['v7.1', 'v7.3'], kernels);

  it.each([
    ['v7.1', 'v7.3', ['kho-v4', 'kho-v3', 'kho-v4']],
    ['v7.3', 'v7.1', ['kho-v3', 'kho-v4', 'kho-v3']],
  ])('%s into %s boots cold, opens the device, and knows no session', (from, to, wanted) => {
    const { jumps } = cellOf(result, from, to);
    expect(jumps.map(({ outcome }) => outcome)).toEqual(['cold', 'cold', 'cold']);
    for (const [i, { dmesg, refusals, kept, liveupdateNum }] of jumps.entries()) {
      expect(dmesg[0]).toMatch(
        new RegExp(`^KHO: setup: handover FDT \\(0x[0-9a-f]+\\) is incompatible with '${wanted[i]}': 1$`),
      );
      expect(dmesg[1]).toBe('KHO: disabling KHO revival');
      // The device opened, each of the five was asked for, and every other call was answered.
      expect(refusals).toEqual(
        names.map(({ pattern }) => ({ verb: 'retrieve', names: [pattern], result: 'ENOENT' })),
      );
      expect([kept, liveupdateNum]).toEqual([0, 0]);
    }
  });

  it('the number of the update starts again at 1', () => {
    for (const [from, to] of [
      ['v7.1', 'v7.3'],
      ['v7.3', 'v7.1'],
    ] as const) {
      const program = manySessions({
        revisions: [from, from, to, to, to],
        generations: 5,
        sessions: SESSIONS,
        pattern: 's%d',
      });
      const run = simulate({ ...INPUT, program });
      const numbers =
        typeof run === 'string' ? [] : run.generations.map(({ liveupdateNum }) => liveupdateNum);
      expect(numbers).toEqual([0, 1, 0, 1, 2]);
    }
  });
});

describe('other ways to go', () => {
  it('a variant without the reboot lock still keeps, one with another LUO root does not', () => {
    const variants = ['v7.1', 'v7.1 -serialize-rwsem', 'v7.3', 'v7.3 -file-block-set'];
    const { cells } = matrixOf(variants);
    expect(cells.map(({ jumps }) => jumps[0]?.outcome)).toEqual(
      'keeps keeps cold cold keeps keeps cold cold cold cold keeps panic cold cold panic keeps'.split(' '),
    );
    expect(cells.at(-2)?.jumps[0]?.dmesg[0]).toBe("luo_core: LUO state is incompatible with 'luo-v5'");
    expect(cells.flatMap(({ violations }) => violations)).toEqual([]);
  });

  it('under luo_ser an array is handed over from the start, whatever else the kernel is', () => {
    for (const base of NAMES.filter((name) => !name.startsWith('april'))) {
      const variant = base === 'v7.3' ? 'v7.3 -session-block-set' : `${base} +luo-ser`;
      for (const sessions of [0, SESSIONS]) {
        const [cell] = matrixOf([variant], cycle(sessions)).cells;
        expect(cell?.violations).toEqual([]);
        expect(cell?.jumps.map(({ outcome }) => outcome)).toEqual(['keeps', 'keeps', 'keeps']);
      }
    }
  });

  it('reports a broken law in the pair it belongs to', () => {
    const params = { revisions: ['v7.3'], generations: 4, sessions: 51, pattern: 's%d' };
    const result = matrixOf(['v7.1', 'v7.3'], stagesOf(takenName(params)));
    const { jumps, violations } = cellOf(result, 'v7.3', 'v7.3');
    expect(jumps.map(({ outcome }) => outcome)).toEqual(['panic']);
    expect(jumps[0]?.dmesg[0]).toBe('kho_block: Block contains invalid entry count: 0');
    expect(violations.map(({ law, generation }) => [law, generation])).toEqual([['handover', 0]]);
    // v7.1 does not follow a chain of v7.3, but to hand one over that is broken is wrong all the same.
    const broken = result.cells.filter((cell) => cell.violations.length > 0);
    expect(broken.map(({ from, to }) => [from, to])).toEqual([
      ['v7.1', 'v7.3'],
      ['v7.3', 'v7.1'],
      ['v7.3', 'v7.3'],
    ]);
  });

  it('says what is not given back, and who did not leave', () => {
    const open: Action = { do: 'open' };
    const create: Action = { do: 'create', names: { pattern: 's%d', first: 0, count: 3 } };
    const retrieve: Action = { do: 'retrieve', names: { pattern: 's%d', first: 0, count: 2 } };
    const leave: Action[] = [{ do: 'load' }, { do: 'reboot' }];
    const kernels: Kernels = [
      [[{ process: 'p', actions: [open, create, ...leave] }]],
      [[{ process: 'p', actions: [open, retrieve, { do: 'reboot' }] }]],
      [[]],
    ];
    const [cell] = matrixOf(['v7.1'], kernels).cells;
    expect(cell?.jumps).toMatchObject([
      { outcome: 'loses', sessions: 3, kept: 2, refusals: [], dmesg: [] },
      { outcome: 'stays', refusals: [{ verb: 'reboot', result: 'EINVAL' }], dmesg: [] },
    ]);
  });

  it('says who could hand nothing over', () => {
    // In 16 MiB, v7.3 finds no place for scratch any more where v6.19 has left its own.
    const machine = { ...MACHINE, ramBytes: 16 * MIB };
    const [, , cell] = matrix({ ...INPUT, machine, revisions: ['v6.19', 'v7.3'], kernels: cycle() }).cells;
    expect(cell?.jumps.map(({ outcome }) => outcome)).toEqual(['cold', 'cold', 'cold']);
    expect(cell?.jumps[2]?.dmesg).toEqual([
      'KHO: Failed to reserve nid 0 scratch buffer',
      'KHO: Failed to reserve scratch area, disabling kexec handover',
    ]);
  });
});
