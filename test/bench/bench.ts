/*
 * npm run bench: luosim beside the naive program and beside the floor, in one run, for ratios. It judges nothing: targets
 * are marked met or not met, and the exit code says only whether the programs ran.
 *
 *   npm run bench -- [--naive 1000000] [--floor 8190000] [--repeat 5]        0 leaves a part out
 *
 * Every sample is a process of its own with a few cycles: the first is cold (compiler and page faults included), the last
 * warm. Beside the floor that is the second. Beside naive it is the fourth: a million sessions are over before the
 * compiler is, which works on through most of a second cycle, of either program. All have the engine's settings for many
 * calls (commands/engine.ts), whatever the size, as a large `luosim stress` has them. The programs take turns. With the
 * defaults it takes four to eight minutes.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { expectCalls } from '../../commands/engine.ts';
import { PiecePool } from '../../sim/index.ts';
import { type Cycle, type Mark, timed } from './clock.ts';
import { curve, type Figure, figure } from './figures.ts';
import { floorCycle } from './floor.ts';
import { FIVE, luosimCycle, OTHERS, REVISION } from './luosim.ts';
import { naiveCycle } from './naive.ts';

const PROGRAMS: Record<string, () => (sessions: number, mark: Mark) => void> = {
  naive: () => naiveCycle,
  floor: () => floorCycle,
  luosim: () => {
    const pool = new PiecePool();
    return (sessions, mark) => luosimCycle(sessions, pool, mark);
  },
};
type Program = 'naive' | 'floor' | 'luosim';

const WHOLE = [...FIVE, ...OTHERS];
/** As many cycles that the compiler is done before the latter half, which counts. */
const FIT_CYCLES: readonly (readonly [sessions: number, cycles: number])[] = [
  [10_000, 160],
  [100_000, 60],
  [1_000_000, 9],
];
const FIT_LAST_CYCLES = 3;
/** Cycles of one session: what they take does not depend on the size. */
const FIXED_CYCLES = 200;

// --- the child: one program, a few cycles, a line of JSON -----------------------------------------------------------

function child(program: string, sessions: number, cycles: number): void {
  const cycle = PROGRAMS[program]?.();
  if (cycle === undefined) throw new Error(`no program ${program}`);
  expectCalls(Infinity);
  const results = Array.from({ length: cycles }, () => timed((mark) => cycle(sessions, mark)));
  process.stdout.write(JSON.stringify(results));
}

function cyclesOf(program: Program, sessions: number, cycles: number): Cycle[] {
  const args = [fileURLToPath(import.meta.url), 'child', program, String(sessions), String(cycles)];
  const { status, stdout } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 26,
  });
  if (status !== 0) throw new Error(`${program} with ${sessions} sessions ended with ${status}`);
  return JSON.parse(stdout);
}

// --- printing -------------------------------------------------------------------------------------------------------

const print = (line = ''): void => {
  process.stdout.write(`${line}\n`);
};

const grouped = (n: number): string => String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ',');
const spread = ({ median, least, most }: Figure): string =>
  `${grouped(median)} (${grouped(least)}-${grouped(most)})`;
const times = (ratio: number): string => `${ratio.toFixed(ratio < 10 ? 2 : 1)} x`;

function target(what: string, value: number, met: boolean, wanted: string, moonshot: boolean): void {
  const verdict = met ? 'met' : 'not met';
  print(
    `  ${what.padEnd(50)} ${times(value).padStart(8)}   ${wanted}: ${verdict}${moonshot ? '; moonshot met' : ''}`,
  );
}

const sumOf = ({ phases }: Cycle, names: readonly string[]): number =>
  names.reduce((sum, name) => sum + (phases[name] ?? 0), 0);

/** Cycles of a process beside naive, and beside the floor. */
const NAIVE_CYCLES = 4;
const FLOOR_CYCLES = 2;

/** Samples by program: cold and warm cycle of every process. */
type Samples = Readonly<Record<string, readonly (readonly [cold: Cycle, warm: Cycle])[]>>;

/** Processes of the programs in turn. */
function sample(programs: readonly Program[], sessions: number, cycles: number, repeat: number): Samples {
  const samples: Record<string, [Cycle, Cycle][]> = Object.fromEntries(programs.map((name) => [name, []]));
  for (let i = 0; i < repeat; i++) {
    for (const program of programs) {
      const all = cyclesOf(program, sessions, cycles);
      samples[program]?.push([all[0] as Cycle, all.at(-1) as Cycle]);
    }
  }
  return samples;
}

function table(samples: Samples, sessions: number, rows: readonly (readonly string[])[]): void {
  const columns = Object.keys(samples).flatMap((program) => [`${program} cold`, `${program} warm`]);
  print(`  ${''.padEnd(14)}${columns.map((column) => column.padStart(24)).join('')}`);
  for (const names of rows) {
    const cells = Object.values(samples).flatMap((pairs) =>
      [0, 1].map((which) => {
        const sums = pairs.map((pair) => sumOf(pair[which] as Cycle, names));
        return sums.every((sum) => sum === 0) ? '-' : spread(figure(sums));
      }),
    );
    const label = names.length === 1 ? names[0] : names.length === FIVE.length ? 'these five' : 'whole cycle';
    print(`  ${(label ?? '').padEnd(14)}${cells.map((cell) => cell.padStart(24)).join('')}`);
  }
  for (const which of [0, 1]) {
    const cells = Object.values(samples).flatMap((pairs) => {
      const peak = spread(figure(pairs.map((pair) => (pair[which] as Cycle).peakMiB)));
      return which === 0 ? [peak, ''] : ['', peak];
    });
    print(
      `  ${(which === 0 ? 'peak MiB' : '').padEnd(14)}${cells.map((cell) => cell.padStart(24)).join('')}`,
    );
  }
  const each = Object.entries(samples).map(([program, pairs]) => {
    const five = figure(pairs.map(([, warm]) => sumOf(warm, program === 'floor' ? ['write', 'read'] : FIVE)));
    return `${program} ${grouped((five.median * 1e6) / sessions)}`;
  });
  print(`  ns a session, warm: ${each.join(', ')}`);
}

// --- the parts ------------------------------------------------------------------------------------------------------

const ratio = (
  samples: Samples,
  which: 0 | 1,
  over: Program,
  under: Program,
  names: readonly string[],
): number => {
  const of = (program: Program, phases: readonly string[]): number =>
    figure((samples[program] ?? []).map((pair) => sumOf(pair[which], phases))).median;
  return (
    of(over, over === 'luosim' ? names : FIVE) / of(under, under === 'floor' ? ['write', 'read'] : names)
  );
};

function besideNaive(sessions: number, repeat: number): void {
  print(`${grouped(sessions)} sessions, ms of processor time: median of ${repeat} (least-most)`);
  const samples = sample(['luosim', 'naive'], sessions, NAIVE_CYCLES, repeat);
  table(samples, sessions, [...FIVE.map((name) => [name]), FIVE, ...OTHERS.map((name) => [name]), WHOLE]);
  for (const which of [0, 1] as const) {
    const faster = ratio(samples, which, 'naive', 'luosim', FIVE);
    const how = which === 0 ? 'cold' : 'warm';
    target(`the five phases faster than naive, ${how}`, faster, faster >= 4, 'at least 4', faster >= 8);
  }
  for (const which of [0, 1] as const) {
    const peak = (program: Program): number =>
      figure((samples[program] ?? []).map((pair) => pair[which].peakMiB)).median;
    const share = peak('luosim') / peak('naive');
    const cycles = which === 0 ? 1 : NAIVE_CYCLES;
    target(`of its memory, cycles: ${cycles}`, share, share <= 1 / 3, 'at most 0.33', false);
  }
  print();
}

function besideFloor(sessions: number, repeat: number): void {
  print(`${grouped(sessions)} sessions, ms of processor time: median of ${repeat} (least-most)`);
  const samples = sample(['luosim', 'floor'], sessions, FLOOR_CYCLES, repeat);
  const rows = [...FIVE.map((name) => [name]), FIVE, ...OTHERS.map((name) => [name]), WHOLE];
  table(samples, sessions, [...rows, ['write'], ['read']]);
  const cold = figure((samples.floor ?? []).map((pair) => sumOf(pair[0], ['write', 'read']))).median;
  const warm = (names: readonly string[]): number =>
    figure((samples.luosim ?? []).map((pair) => sumOf(pair[1], names))).median / cold;
  const [five, whole] = [warm(FIVE), warm(WHOLE)];
  target('the five phases, warm, over the cold floor', five, five <= 10, 'at most 10', five <= 6);
  target('the whole cycle, warm, over the cold floor', whole, whole <= 20, 'at most 20', whole <= 12);
  const gib = figure((samples.luosim ?? []).map((pair) => pair[0].peakMiB)).median / 1024;
  const said = gib <= 2 ? 'met' : 'not met';
  print(
    `  ${'peak memory'.padEnd(50)} ${gib.toFixed(2)} GiB   at most 2.0: ${said}${gib <= 1.5 ? '; moonshot met' : ''}`,
  );
  print();
}

/** Median of a phase, or of several together, in nanoseconds. */
const medianNs = (cycles: readonly Cycle[], names: readonly string[]): number =>
  figure(cycles.map((cycle) => sumOf(cycle, names))).median * 1e6;

function growth(largest: number): void {
  print(
    'luosim over sizes, warm, ns a session of processor time, and the fit time = fixed + a * sessions^b,',
  );
  print('where fixed is what one session takes; sizes that take less than twice as much are left out');
  const one = cyclesOf('luosim', 1, FIXED_CYCLES).slice(FIXED_CYCLES / 2);
  const sizes = [
    ...FIT_CYCLES.filter(([sessions]) => sessions < largest),
    [largest, FIT_LAST_CYCLES] as const,
  ];
  const points = sizes.map(([sessions, cycles]) => {
    const late = cyclesOf('luosim', sessions, cycles).slice(Math.floor(cycles / 2));
    return { sessions, late };
  });
  const heads = ['fixed, us', ...sizes.map(([sessions]) => grouped(sessions)), 'exponent', 'residual'];
  print(`  ${''.padEnd(14)}${heads.map((head) => head.padStart(12)).join('')}`);
  for (const names of [...WHOLE.map((name) => [name]), FIVE, WHOLE]) {
    const fixed = medianNs(one, names);
    const line = points.map(({ sessions, late }): [number, number] => [sessions, medianNs(late, names)]);
    const growing = line.filter(([, y]) => y >= 2 * fixed).map(([x, y]) => [x, y - fixed] as const);
    const label = names.length === 1 ? names[0] : names.length === FIVE.length ? 'the five' : 'whole cycle';
    const each = line.map(([x, y]) => grouped(y / x));
    // A line needs two points.
    const fit = growing.length < 2 ? undefined : curve(growing);
    const told = fit === undefined ? ['-', '-'] : [fit.exponent.toFixed(3), times(fit.residual)];
    const cells = [grouped(fixed / 1000), ...each, ...told];
    const inside = fit === undefined || (fit.exponent >= 0.95 && fit.exponent <= 1.12);
    print(
      `  ${(label ?? '').padEnd(14)}${cells.map((cell) => cell.padStart(12)).join('')}${inside ? '' : '   not in 0.95 to 1.12'}`,
    );
  }
}

// --- the door -------------------------------------------------------------------------------------------------------

const [mode, program = '', sessions = '', cycles = ''] = process.argv.slice(2);
if (mode === 'child') {
  child(program, Number(sessions), Number(cycles));
} else {
  const { values } = parseArgs({
    options: {
      naive: { type: 'string', default: '1000000' },
      floor: { type: 'string', default: '8190000' },
      repeat: { type: 'string', default: '5' },
    },
  });
  const [naive, floor, repeat] = [Number(values.naive), Number(values.floor), Number(values.repeat)];
  print(`luosim run --sessions N --revision ${REVISION}, two kernels; Node ${process.version}`);
  print();
  if (naive > 0) besideNaive(naive, repeat);
  if (floor > 0) besideFloor(floor, repeat);
  if (floor > 0) growth(floor);
}
