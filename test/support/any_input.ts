/*
 * Inputs of runs, as odd as they may be: every verb, names and seeds of any characters, kernels that repeat, decisions
 * and corruptions of all kinds. They can be run, but mostly nothing sensible would come of it.
 */
import fc from 'fast-check';
import type { Departure, Fault } from '../../sim/base/decisions.ts';
import { pointsOf } from '../../sim/base/point.ts';
import type { Corruption, RunInput } from '../../sim/input/run_input.ts';
import { runInputError } from '../../sim/input/run_input_json.ts';
import type { CommandLine } from '../../sim/kernel/command_line.ts';
import { PATCHES } from '../../sim/kernel/patches.ts';
import { REVISIONS, withPatches } from '../../sim/kernel/revisions.ts';
import type { MachineParams } from '../../sim/machine/machine.ts';
import { type Names, NUMBERS_MAX, plainName } from '../../sim/user/names.ts';
import { OPEN_KINDS } from '../../sim/user/other_files.ts';
import {
  type Action,
  type GenerationProgram,
  type U64,
  U64_MAX,
  u64Of,
  type Verb,
} from '../../sim/user/program.ts';

const MIB = 2 ** 20;

/** UTF-16 as it comes: halves of pairs, too. */
const units = fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit));
/** What a text has a meaning for, and what looks like something else. */
const tricky = fc.constantFrom(
  ...' \t\n\r"\\#=%{}u',
  '\ufeff',
  '\u200b',
  '\u{e0001}',
  'é',
  '\ud800',
  '..',
  '0x',
  'times',
);

export const texts: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    '',
    'agent-0',
    'a second process',
    'kernel',
    'defaults',
    '0..9',
    '-',
    'times',
    '# no comment',
  ),
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.string({ unit: fc.oneof(units, tricky), maxLength: 8 }),
);

const numbers = fc.oneof(fc.nat(20), fc.constantFrom(0, 1, NUMBERS_MAX - 1), fc.nat(NUMBERS_MAX - 1));

const names: fc.Arbitrary<Names> = fc.oneof(
  texts.filter((text) => !text.includes('%d')).map(plainName),
  fc
    .tuple(texts, texts, numbers, numbers)
    .map(([before, after, a, b]) => ({
      pattern: `${before}%d${after}`,
      first: Math.min(a, b),
      count: Math.abs(a - b) + 1,
    }))
    .filter(({ pattern }) => pattern.split('%d').length === 2),
);

type Named = Extract<Action, { names: unknown }>['do'];

/** A verb with names, and what else it has. */
const named = (verb: Named, more: Record<string, fc.Arbitrary<unknown>> = {}): fc.Arbitrary<Action> =>
  fc.record({ do: fc.constant(verb), names, ...more }) as fc.Arbitrary<Action>;

const wholes = fc.oneof(fc.nat(20), fc.constantFrom(4096, 2 ** 40, Number.MAX_SAFE_INTEGER), fc.maxSafeNat());
const u64s: fc.Arbitrary<U64> = fc.oneof(wholes, fc.bigInt({ min: 0n, max: U64_MAX }).map(u64Of));
const session = names.map(({ pattern, first }): Names => ({ pattern, first, count: 1 }));

/** By verb, so that none is forgotten. */
export const ACTIONS: Readonly<Record<Verb, fc.Arbitrary<Action>>> = {
  open: fc.constant({ do: 'open' }),
  'close-device': fc.constant({ do: 'close-device' }),
  create: named('create'),
  retrieve: named('retrieve'),
  finish: named('finish'),
  dup: named('dup'),
  close: named('close'),
  memfd: fc.oneof(
    named('memfd', { bytes: wholes }),
    named('memfd', {
      bytes: wholes,
      folios: fc.integer({ min: 1, max: 9 }).map((order) => 4096 * 2 ** order),
    }),
  ),
  write: named('write', { at: wholes, bytes: wholes, seed: wholes }),
  fill: named('fill', { every: wholes.filter((every) => every >= 8), seed: wholes }),
  truncate: named('truncate', { bytes: wholes }),
  allocate: named('allocate', { bytes: wholes }),
  seek: named('seek', { at: wholes }),
  seal: named('seal', { seals: wholes }),
  read: named('read'),
  preserve: named('preserve', { session, token: u64s }),
  'retrieve-fd': named('retrieve-fd', { session, token: u64s }),
  'close-file': named('close-file'),
  reclaim: fc.constant({ do: 'reclaim' }),
  load: fc.constant({ do: 'load' }),
  'kexec-load': fc.constant({ do: 'kexec-load' }),
  reboot: fc.constant({ do: 'reboot' }),
  restart: fc.constant({ do: 'restart' }),
  exit: fc.constant({ do: 'exit' }),
  'open-file': named('open-file', { kind: fc.constantFrom(...OPEN_KINDS) }),
  'limit-files': fc.record({ do: fc.constant('limit-files'), files: wholes }) as fc.Arbitrary<Action>,
  'file-max': fc.record({ do: fc.constant('file-max'), files: wholes }) as fc.Arbitrary<Action>,
  'overcommit-memory': fc.record({
    do: fc.constant('overcommit-memory'),
    policy: wholes,
  }) as fc.Arbitrary<Action>,
  'overcommit-ratio': fc.record({
    do: fc.constant('overcommit-ratio'),
    percent: wholes,
  }) as fc.Arbitrary<Action>,
  'overcommit-kbytes': fc.record({
    do: fc.constant('overcommit-kbytes'),
    kbytes: wholes,
  }) as fc.Arbitrary<Action>,
  'memory-max': fc.record({ do: fc.constant('memory-max'), bytes: wholes }) as fc.Arbitrary<Action>,
  'drop-privileges': fc.constant({ do: 'drop-privileges' }),
  'slow-pages': fc.constantFrom<Action>({ do: 'slow-pages', slow: 'on' }, { do: 'slow-pages', slow: 'off' }),
  kill: fc.record({ do: fc.constant('kill'), process: texts }) as fc.Arbitrary<Action>,
  'kho-test': fc.constantFrom<Action>(
    { do: 'kho-test', phase: 'save' },
    { do: 'kho-test', phase: 'restore' },
  ),
};

const patchNames = fc.subarray(
  PATCHES.map(({ name }) => name),
  { maxLength: 2 },
);

/** By their own names, or as a person may say it; changes that contradict each other are none. */
const revisions = fc
  .tuple(fc.constantFrom(...REVISIONS), patchNames, patchNames, fc.boolean())
  .map(([base, add, remove, own]) => {
    const changed = withPatches(base, add, remove);
    if (typeof changed === 'string') return base.name;
    return own
      ? changed.name
      : [base.name, ...remove.map((name) => `-${name}`), ...add.map((name) => `+${name}`)].join(' ');
  });

/** What may stand behind a parameter of the kernel: what it takes, and what it does not. */
const parameter = fc.oneof(
  fc.constantFrom(
    '',
    'on',
    'off',
    'Y',
    '0',
    'maybe',
    '512M',
    '0x1000000',
    '8M,0,4k',
    '150%',
    '%',
    '1T1',
    'a=b',
  ),
  texts,
);

/** Command lines; at least one parameter is given. */
export const commandLines: fc.Arbitrary<CommandLine> = fc
  .record(
    { kho: parameter, liveupdate: parameter, mem: parameter, kho_scratch: parameter },
    { requiredKeys: [] },
  )
  .filter((line) => Object.keys(line).length > 0);

const generations: fc.Arbitrary<GenerationProgram> = fc.record(
  {
    revision: revisions,
    boot: commandLines,
    stages: fc.array(
      fc.array(
        fc.record({
          process: fc.oneof(fc.constantFrom('p', 'q'), texts),
          actions: fc.array(fc.oneof(...Object.values(ACTIONS)), { maxLength: 4 }),
        }),
        { maxLength: 2 },
      ),
      { maxLength: 3 },
    ),
  },
  { requiredKeys: ['revision', 'stages'] },
);

/** Some of them several times, as the same object or as a copy. */
const repeated = fc
  .array(fc.tuple(generations, fc.constantFrom(1, 1, 2, 5), fc.boolean()), { minLength: 1, maxLength: 3 })
  .map((blocks) =>
    blocks.flatMap(([generation, times, copied]) =>
      Array.from({ length: times }, () => (copied ? structuredClone(generation) : generation)),
    ),
  );

const counts = fc.oneof(fc.nat(5), fc.nat(2 ** 31 - 1));

const faults: fc.Arbitrary<Fault> = fc
  .record(
    {
      point: fc.constantFrom(...pointsOf('fault')),
      nth: counts,
      probability: fc.oneof(
        fc.constantFrom(1, 0.05, 1e-7, Number.MIN_VALUE),
        fc.double({ min: Number.MIN_VALUE, max: 1, noNaN: true }),
      ),
    },
    { requiredKeys: ['point'] },
  )
  .filter(({ nth, probability }) => nth !== undefined || probability !== undefined) as fc.Arbitrary<Fault>;

const departures: fc.Arbitrary<Departure[]> = fc.uniqueArray(
  fc.record({ point: fc.constantFrom(...pointsOf()), occurrence: counts, choice: counts.map((n) => n || 1) }),
  { maxLength: 4, selector: ({ point, occurrence }) => `${point} ${occurrence}` },
);

const machines: fc.Arbitrary<MachineParams> = fc.record(
  {
    ramBytes: fc.constantFrom(16, 32, 36, 1020, 1024, 2 ** 20).map((mib) => mib * MIB),
    nodes: fc.constantFrom(1, 2, 8),
    cpus: fc.constantFrom(1, 2, 64),
    fragmentedPercent: fc.constantFrom(0, 1, 100),
  },
  { requiredKeys: ['ramBytes', 'nodes', 'cpus'] },
);

const corruptions: fc.Arbitrary<Corruption> = fc.record({
  generation: fc.nat(3),
  phys: fc.oneof(fc.nat(16 * MIB), fc.nat(2 ** 40)),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 9 }).map((bytes) => Buffer.from(bytes).toString('hex')),
});

type Decided = Pick<RunInput, 'faults' | 'departures'>;

const decided: fc.Arbitrary<Decided> = fc.oneof(
  fc.constant({}),
  fc.array(faults, { maxLength: 3 }).map((list): Decided => (list.length === 0 ? {} : { faults: list })),
  departures.map((list): Decided => ({ departures: list })),
);

/** Lists of faults and corruptions are there only where something is in them. */
export const anyInputs: fc.Arbitrary<RunInput> = fc
  .record({
    machine: machines,
    seed: fc.oneof(fc.constant('1'), texts),
    generations: repeated,
    decisions: decided,
    corrupt: fc.array(corruptions, { maxLength: 2 }),
  })
  .map(({ machine, seed, generations: list, decisions, corrupt }): RunInput => {
    const possible = corrupt.filter(({ generation, phys, bytes }) => {
      return generation < list.length - 1 && phys + bytes.length / 2 <= machine.ramBytes;
    });
    return {
      machine,
      profile: 'icount',
      seed,
      program: { generations: list },
      ...decisions,
      ...(possible.length === 0 ? {} : { corruptions: possible }),
    };
  })
  .filter((input) => runInputError(input) === undefined);
