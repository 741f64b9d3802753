/*
 * What a run's input says beside its program: faults, decisions, corruptions. Each must make the difference it is for,
 * and none where it says nothing.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import manySessions from '../../scenarios/many_sessions.ts';
import type { Departure } from '../../sim/base/decisions.ts';
import { PAGE_SIZE } from '../../sim/base/limits.ts';
import { decodeRamFile, type RamFile } from '../../sim/explore/ram_file.ts';
import type { RunResult } from '../../sim/explore/result.ts';
import { run } from '../../sim/explore/run.ts';
import { simulate } from '../../sim/explore/simulate.ts';
import type { RunInput } from '../../sim/input/run_input.ts';
import { runInputError } from '../../sim/input/run_input_json.ts';
import { MIB, machineFor } from '../support/system.ts';

const MACHINE = { ramBytes: 16 * MIB, nodes: 1, cpus: 1 };

const input = (sessions: number, generations: number, more: Partial<RunInput> = {}): RunInput => ({
  machine: MACHINE,
  profile: 'icount',
  seed: 'simulate',
  program: manySessions({ revisions: ['april-v1-p1'], generations, sessions, pattern: 's-%d' }),
  ...more,
});

function resultOf(given: RunInput, boot?: RamFile): RunResult {
  const answer = simulate(given, boot === undefined ? {} : { boot });
  if (typeof answer === 'string') throw new Error(answer);
  return answer;
}

/** The RAM file of the last jump of a run. */
function saved(given: RunInput): RamFile {
  let bytes = new Uint8Array();
  simulate(given, { save: (pieces) => (bytes = Uint8Array.from(Buffer.concat([...pieces]))) });
  const file = decodeRamFile([bytes]);
  if (typeof file === 'string') throw new Error(file);
  return file;
}

/** Where these bytes stand in memory. */
function find({ pages }: RamFile, bytes: string): number {
  for (const { frame, words } of pages) {
    const at = Buffer.from(words.buffer, words.byteOffset, PAGE_SIZE).indexOf(bytes);
    if (at !== -1) return frame * PAGE_SIZE + at;
  }
  throw new Error(`${bytes} is nowhere in memory`);
}

const hexOf = (text: string): string => Buffer.from(text).toString('hex');
const digestOf = (given: RunInput): string => resultOf(given).digest;

describe('a fault', () => {
  it('fails the nth occurrence of its point, counted from 0, and no other', () => {
    const creates = (nth: number) => {
      const faults = [{ point: 'luo_session_insert:block', nth }];
      const { generations } = resultOf(input(820, 2, { faults }));
      return generations[0]?.actions
        .filter(({ verb }) => verb === 'create')
        .map(({ calls, result }) => [calls, result]);
    };
    // The first block holds 819 sessions and was made at boot.
    expect(creates(0)).toEqual([[819, 'ENOMEM']]);
    expect(creates(1)).toEqual([[820, 'OK']]);
  });

  it('with a probability hits as the seed decides', () => {
    const calls = new Set(
      ['a', 'b', 'c', 'd', 'e', 'f'].map((seed) => {
        const faults = [{ point: 'alloc_file:filp', probability: 0.05 }];
        const { generations } = resultOf(input(200, 2, { seed, faults }));
        return generations[0]?.actions.find(({ verb }) => verb === 'create')?.calls;
      }),
    );
    expect(calls.size).toBeGreaterThan(3);
  });
});

describe('departures', () => {
  it('of a run replay it, whatever the seed of decisions', () => {
    const { seed, program } = input(5, 3);
    for (const decided of ['x', 'y', 'z']) {
      const machine = machineFor({
        ...MACHINE,
        seed: decided,
        faults: [{ point: 'alloc_file:filp', nth: 4 }],
      });
      const first = run({ machine, seed, decisions: machine.decisions, program });
      const departures: Departure[] = machine.decisions.departures;
      machine.dispose();
      expect(departures.length).toBeGreaterThan(0);
      expect(digestOf(input(5, 3, { departures }))).toBe(first.digest);
    }
  });

  it('that are none leave every decision at its default', () => {
    // Memory that is left as it was reads otherwise than memory that was zeroed.
    const leftovers = (choice: number): Departure[] =>
      choice === 0 ? [] : [{ point: 'machine_kexec:leftovers', occurrence: 0, choice }];
    const at = find(saved(input(3, 2, { departures: [] })), 's-1');
    const [intact, zeroed] = [0, 1].map((choice) => {
      const file = saved(input(3, 2, { departures: leftovers(choice) }));
      return file.pages.filter(({ words }) => words.some((word) => word !== 0)).length;
    });
    expect(at).toBeGreaterThan(0);
    expect(zeroed).toBeLessThan(intact as number);
  });
});

describe('a corruption', () => {
  const clean = input(3, 3);
  const name = find(saved(input(3, 2)), `s-1${'\0'.repeat(50)}`);
  const corruptions = [{ generation: 0, phys: name, bytes: hexOf('S') }];

  it('is what the next kernel finds', () => {
    const { violations, digest } = resultOf({ ...clean, corruptions });
    expect(violations.map(({ law }) => law)).toContain('preservation');
    expect(violations.map(({ text }) => text).join()).toContain('"S-1"');
    expect(digest).not.toBe(digestOf(clean));
  });

  it('comes at the jump of its kernel, and only there', () => {
    const later = corruptions.map((corruption) => ({ ...corruption, generation: 1 }));
    const { generations, violations } = resultOf({ ...clean, corruptions: later });
    const [first, second] = resultOf(clean).generations;
    expect(generations.slice(0, 2).map(({ digest }) => digest)).toEqual([first?.digest, second?.digest]);
    // The next kernel's list lies elsewhere, or there: at least nothing is corrupt before.
    expect(violations.every(({ generation }) => generation === 2)).toBe(true);
  });

  it('that writes what is there changes nothing, of several the last stands', () => {
    const same = { generation: 0, phys: name, bytes: hexOf('s-1') };
    expect(digestOf({ ...clean, corruptions: [same] })).toBe(digestOf(clean));
    expect(digestOf({ ...clean, corruptions: [...corruptions, same] })).toBe(digestOf(clean));
    expect(digestOf({ ...clean, corruptions: [same, ...corruptions] })).not.toBe(digestOf(clean));
  });

  it('is in the RAM file of its jump, which resumes to the same end', () => {
    const given = { ...input(3, 2), corruptions };
    const file = saved(given);
    expect(find(file, `S-1${'\0'.repeat(50)}`)).toBe(name);
    expect(file.header).toMatchObject(given);
    expect(resultOf(file.header, file)).toEqual(resultOf(given));
  });

  it('is not repeated on what a file holds', () => {
    const file = saved({ ...input(3, 2), corruptions });
    for (const { frame, words } of file.pages) {
      if (frame !== Math.floor(name / PAGE_SIZE)) continue;
      Buffer.from(words.buffer, words.byteOffset, PAGE_SIZE).write('s', name % PAGE_SIZE);
    }
    expect(resultOf(file.header, file).violations).toEqual([]);
  });

  it('that moves a scratch area off its page boundary leaves the next jump possible', () => {
    const { header } = saved(input(3, 2));
    const moved = [{ generation: 0, phys: header.scratchPhys, bytes: '01' }];
    const { generations } = resultOf({ ...clean, corruptions: moved });
    expect(generations.map(({ bootKind }) => bootKind)).toEqual(['cold', 'handover', 'handover']);
  });

  it('of anything, anywhere but in the scratch array, ends in a result', () => {
    const { pages, header } = saved(input(60, 2));
    const addresses = fc.oneof(
      fc.nat(MACHINE.ramBytes - 64),
      fc
        .tuple(fc.constantFrom(...pages.map(({ frame }) => frame * PAGE_SIZE)), fc.nat(PAGE_SIZE - 64))
        .map(([page, at]) => page + at),
      fc.nat(200).map((at) => header.fdtPhys + at),
    );
    const one = fc.record({
      generation: fc.constantFrom(0, 1),
      phys: addresses.filter((at) => Math.abs(at - header.scratchPhys) > 128),
      bytes: fc
        .uint8Array({ minLength: 1, maxLength: 64 })
        .map((bytes) => Buffer.from(bytes).toString('hex')),
    });
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 3 }), (list) => {
        expect(resultOf(input(60, 3, { corruptions: list })).schemaVersion).toBe(1);
      }),
      { numRuns: 10 },
    );
  });
});

describe('an input from outside', () => {
  const good = input(1, 2);
  const departure = { point: 'schedule:start', occurrence: 0, choice: 1 };
  const fault = { point: 'luo_session_insert:block', nth: 0 };
  const corruption = { generation: 0, phys: 0, bytes: '00' };

  it.each<[string, unknown]>([
    ['faults', { ...good, faults: [fault, { ...fault, probability: 1 }] }],
    ['departures', { ...good, faults: [], departures: [departure, { ...departure, occurrence: 1 }] }],
    ['the last byte of RAM', { ...good, corruptions: [{ ...corruption, phys: 16 * MIB - 1 }] }],
  ])('with %s can be run', (_what, value) => {
    expect(runInputError(JSON.parse(JSON.stringify(value)))).toBeUndefined();
    expect(resultOf(value as RunInput).schemaVersion).toBe(1);
  });

  it.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /^it is no object$/],
    ['a machine of four parts', { ...good, machine: { ...MACHINE, disks: 1 } }, /^machine.disks is none of/],
    ['faults of text', { ...good, faults: 'all' }, /^faults is no list$/],
    ['no fault', { ...good, faults: [null] }, /^faults\[0\] is no object$/],
    [
      'a fault nowhere',
      { ...good, faults: [{ ...fault, point: 'nowhere' }] },
      /^faults\[0\]\.point is no known/,
    ],
    [
      'a fault of the scheduler',
      { ...good, faults: [{ ...fault, point: 'schedule:start' }] },
      /that can fail$/,
    ],
    ['a fault at no time', { ...good, faults: [{ point: fault.point }] }, /has neither nth nor probability/],
    ['a fault before the first', { ...good, faults: [{ ...fault, nth: -1 }] }, /nth is no whole number/],
    ['more than certainty', { ...good, faults: [{ ...fault, probability: 1.1 }] }, /no number above 0/],
    ['an impossible fault', { ...good, faults: [{ ...fault, probability: 0 }] }, /no number above 0/],
    [
      'a misspelt fault',
      { ...good, faults: [{ ...fault, probabilty: 1 }] },
      /probabilty is none of point, nth/,
    ],
    ['a fault beside choices', { ...good, faults: [fault], departures: [] }, /exclude each other/],
    ['departures of one', { ...good, departures: departure }, /^departures is no list$/],
    [
      'a departure nowhere',
      { ...good, departures: [{ ...departure, point: 'a:b' }] },
      /point is no known point$/,
    ],
    [
      'the default',
      { ...good, departures: [{ ...departure, choice: 0 }] },
      /choice is no whole number from 1/,
    ],
    ['half a choice', { ...good, departures: [{ ...departure, choice: 0.5 }] }, /choice/],
    ['no occurrence', { ...good, departures: [{ ...departure, occurrence: null }] }, /occurrence/],
    ['a departure twice', { ...good, departures: [departure, { ...departure, choice: 2 }] }, /departs twice/],
    ['a corruption of all', { ...good, corruptions: {} }, /^corruptions is no list$/],
    [
      'a jump of the last kernel',
      { ...good, corruptions: [{ ...corruption, generation: 1 }] },
      /of the 1 that/,
    ],
    ['corrupt nothing', { ...good, corruptions: [{ ...corruption, bytes: '' }] }, /two hexadecimal digits/],
    ['half a byte', { ...good, corruptions: [{ ...corruption, bytes: '123' }] }, /two hexadecimal digits/],
    ['bytes in capitals', { ...good, corruptions: [{ ...corruption, bytes: 'AB' }] }, /two hexadecimal/],
    [
      'bytes past RAM',
      { ...good, corruptions: [{ ...corruption, phys: 16 * MIB - 1, bytes: '0000' }] },
      /outside of RAM/,
    ],
    ['a negative address', { ...good, corruptions: [{ ...corruption, phys: -1 }] }, /outside of RAM/],
  ])('with %s is refused, with the place', (_what, value, complaint) => {
    expect(runInputError(value)).toMatch(complaint);
  });
});
