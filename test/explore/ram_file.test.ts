/*
 * RAM files: what is written is what is read, whatever is damaged is refused in one line, and a run goes on from a file
 * exactly as it would have gone on without.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import manySessions from '../../scenarios/many_sessions.ts';
import { Decisions } from '../../sim/base/decisions.ts';
import { Digest } from '../../sim/base/digest.ts';
import { PAGE_SIZE } from '../../sim/base/limits.ts';
import { pfn, phys } from '../../sim/base/units.ts';
import { decodeRamFile, encodeRamFile, placeRamFile, type RamFile } from '../../sim/explore/ram_file.ts';
import type { RunResult } from '../../sim/explore/result.ts';
import { type AtJump, run as runProgram } from '../../sim/explore/run.ts';
import { simulate } from '../../sim/explore/simulate.ts';
import type { RunInput } from '../../sim/input/run_input.ts';
import { Journal } from '../../sim/machine/journal.ts';
import { PiecePool } from '../../sim/machine/pool.ts';
import { Ram } from '../../sim/machine/ram.ts';
import { MIB, machineFor } from '../support/system.ts';

const RAM_BYTES = 16 * MIB;
const FRAMES = RAM_BYTES / PAGE_SIZE;
const REVISIONS = ['april-v1-p1'];

const input = (sessions: number, generations: number, seed = 'ram file'): RunInput => ({
  machine: { ramBytes: RAM_BYTES, nodes: 1, cpus: 1 },
  profile: 'icount',
  seed,
  program: manySessions({ revisions: REVISIONS, generations, sessions, pattern: 'session-%d' }),
});

const freshRam = (): Ram => new Ram({ pool: new PiecePool(), journal: new Journal() }, RAM_BYTES);

// --- bytes --------------------------------------------------------------------------------------------------------

function joined(pieces: Iterable<Uint8Array>): Uint8Array {
  return Uint8Array.from(Buffer.concat([...pieces]));
}

/** The same bytes cut at other places; a cut may be repeated, which makes an empty piece. */
function* cut(bytes: Uint8Array, places: readonly number[]): Generator<Uint8Array> {
  let from = 0;
  for (const place of [...places].sort((x, y) => x - y)) {
    yield bytes.subarray(from, Math.min(place, bytes.length));
    from = Math.min(place, bytes.length);
  }
  yield bytes.subarray(from);
}

/** Writes the right digest behind damaged contents, as somebody with an editor would. */
function signed(contents: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(contents.length + 8);
  bytes.set(contents);
  const view = new DataView(bytes.buffer);
  const digest = new Digest();
  for (let at = 0; at + 4 <= contents.length; at += 4) digest.mix(view.getInt32(at, true));
  view.setUint32(contents.length, Number.parseInt(digest.toString().slice(0, 8), 16), true);
  view.setUint32(contents.length + 4, Number.parseInt(digest.toString().slice(8), 16), true);
  return bytes;
}

const unsigned = (bytes: Uint8Array): Uint8Array => bytes.slice(0, -8);

/** The file with its header changed, digest and all. */
function withHeader(bytes: Uint8Array, change: (header: Record<string, unknown>) => unknown): Uint8Array {
  const end = bytes.indexOf(0x0a, 16) + 1;
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(16, end)));
  const line = new TextEncoder().encode(JSON.stringify(change(header) ?? header));
  const padded = new Uint8Array((line.length + 4) & ~3).fill(0x20);
  padded.set(line);
  padded[padded.length - 1] = 0x0a;
  return signed(joined([bytes.subarray(0, 16), padded, bytes.subarray(end, -8)]));
}

/** A decoder's complaint: one line for a person. */
function expectRefused(answer: RamFile | string): void {
  expect(answer).toBeTypeOf('string');
  expect(answer).toMatch(/^(is|has|goes|was) [^\n]+; [^\n]+$/);
}

// --- memory -------------------------------------------------------------------------------------------------------

interface Contents {
  readonly pages: readonly { readonly frame: number; readonly seed: number | 'zero' }[];
  readonly stamps: readonly { first: number; pages: number; seed: number; every: number }[];
  readonly regions: readonly { readonly first: number; readonly pages: number; readonly seed: number }[];
}

const contents: fc.Arbitrary<Contents> = fc.record({
  pages: fc.array(
    fc.record({
      frame: fc.oneof(fc.nat(FRAMES - 1), fc.nat(40)),
      seed: fc.oneof(fc.integer(), fc.constant('zero' as const)),
    }),
    { maxLength: 12 },
  ),
  stamps: fc.array(
    fc.record({
      first: fc.nat(60),
      pages: fc.integer({ min: 1, max: 60 }),
      seed: fc.integer(),
      every: fc.constantFrom(0, 64, 8192),
    }),
    { maxLength: 3 },
  ),
  regions: fc.array(
    fc.record({ first: fc.nat(60), pages: fc.integer({ min: 1, max: 40 }), seed: fc.integer() }),
    { maxLength: 3 },
  ),
});

/** Some of it is written before memory was overwritten, the rest after. */
function ramWith({ pages, stamps, regions }: Contents): Ram {
  const ram = freshRam();
  const write = ({ frame, seed }: Contents['pages'][number]): void => {
    if (seed === 'zero') ram.storeWords(frame * PAGE_SIZE, new Int32Array(PAGE_SIZE / 4), 0, PAGE_SIZE / 4);
    else ram.scribble(pfn(frame), seed);
  };
  pages.slice(0, 4).forEach(write);
  for (const { first, pages: length, seed, every } of stamps) {
    ram.stampPages(pfn(first), length, { seed, every, index: first * 3 });
  }
  for (const { first, pages: length, seed } of regions) {
    ram.overwrite(phys(first * PAGE_SIZE), length * PAGE_SIZE, seed);
  }
  pages.slice(4).forEach(write);
  return ram;
}

/** Every word of the frames that the contents can touch, and the set of pages that the next jump decides over. */
function visible(ram: Ram, { pages }: Contents): unknown {
  const words = new Int32Array(PAGE_SIZE / 4);
  const digest = new Digest();
  for (const frame of [...Array(128).keys(), ...pages.map((page) => page.frame)]) {
    ram.loadWords(frame * PAGE_SIZE, words, 0, words.length);
    for (const word of words) digest.mix(word);
  }
  return [digest.toString(), [...ram.dirtyPages()], ram.garbageRegions(), ram.stampedBlocks()];
}

const jumpOf = (ram: Ram) => ({
  generation: 0,
  digest: '0123456789abcdef',
  params: { ram, fdtPhys: phys(0x3000), scratchPhys: phys(0x5000) },
});

describe('a RAM file', () => {
  it('is read as it was written, wherever the pieces are cut', () => {
    fc.assert(
      fc.property(contents, fc.array(fc.nat(60_000), { maxLength: 6 }), (memory, places) => {
        const ram = ramWith(memory);
        const bytes = joined(encodeRamFile(input(3, 2), jumpOf(ram)));
        const file = decodeRamFile(cut(bytes, places));
        if (typeof file === 'string') throw new Error(file);
        expect(file.header).toMatchObject({ ...input(3, 2), fdtPhys: 0x3000, scratchPhys: 0x5000 });
        const other = ramWith({
          pages: [{ frame: 7, seed: 7 }],
          stamps: [],
          regions: [{ first: 3, pages: 9, seed: 9 }],
        });
        placeRamFile(file, other);
        expect(visible(other, memory)).toEqual(visible(ram, memory));
        expect(Buffer.compare(joined(encodeRamFile(input(3, 2), jumpOf(other))), bytes)).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  const memory: Contents = {
    pages: [0, 1, 9, 17, 4095].map((frame) => ({ frame, seed: frame === 9 ? 'zero' : frame })),
    stamps: [{ first: 32, pages: 9, seed: 5, every: 0 }],
    regions: [{ first: 16, pages: 3, seed: 5 }],
  };
  const intact = joined(encodeRamFile(input(3, 2), jumpOf(ramWith(memory))));

  it('is refused where any byte differs', () => {
    const changes = fc.array(fc.tuple(fc.nat(intact.length - 1), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(changes, (differences) => {
        const bytes = intact.slice();
        for (const [at, difference] of differences) bytes[at] = (bytes[at] as number) ^ difference;
        if (Buffer.compare(bytes, intact) === 0) return;
        expectRefused(decodeRamFile([bytes]));
      }),
      { numRuns: 300 },
    );
  });

  it('is refused at every length but its own', () => {
    const lengths = fc.oneof(fc.nat(intact.length - 1), fc.nat(900));
    fc.assert(
      fc.property(lengths, (length) => {
        const answer = decodeRamFile([intact.subarray(0, length)]);
        expectRefused(answer);
        expect(answer).toContain(length === 0 ? 'is no RAM file' : `is cut off after ${length} bytes`);
      }),
      { numRuns: 300 },
    );
    for (const extra of [1, 4, 8, PAGE_SIZE]) {
      expect(decodeRamFile([intact, new Uint8Array(extra)])).toMatch(/^goes on after its end/);
    }
  });

  it('is refused, or as good as the run it tells of, whatever bytes follow the magic under a right digest', () => {
    const edits = fc.array(fc.tuple(fc.integer({ min: 16, max: intact.length - 9 }), fc.nat(255)), {
      minLength: 1,
      maxLength: 3,
    });
    fc.assert(
      fc.property(edits, (changes) => {
        const bytes = unsigned(intact);
        for (const [at, value] of changes) bytes[at] = value;
        const answer = decodeRamFile([signed(bytes)]);
        if (typeof answer === 'string') expectRefused(answer);
        else expect(joined(encodeRamFile(answer.header, jumpFrom(answer))).length).toBeGreaterThan(0);
      }),
      { numRuns: 300 },
    );
  });

  function jumpFrom(file: RamFile) {
    const ram = new Ram({ pool: new PiecePool(), journal: new Journal() }, file.header.machine.ramBytes);
    placeRamFile(file, ram);
    return jumpOf(ram);
  }

  const withStamp =
    (part: object) =>
    (header: Record<string, unknown>): unknown => {
      return { ...header, stamps: [{ first: 8, order: 2, seed: 1, every: 0, index: 0, ...part }] };
    };

  it.each<[string, (header: Record<string, unknown>) => unknown, RegExp]>([
    ['a later layout', (h) => ({ ...h, schemaVersion: 4 }), /^has layout 4, this luosim reads layout 3/],
    ['no layout', (h) => ({ ...h, schemaVersion: '1' }), /schemaVersion/],
    ['a list for a header', () => [], /it is no object/],
    [
      'a machine of no size',
      (h) => ({ ...h, machine: { ramBytes: 1, nodes: 1, cpus: 1 } }),
      /machine: .* MiB/,
    ],
    ['a machine of text', (h) => ({ ...h, machine: { ramBytes: '16M', nodes: 1, cpus: 1 } }), /ramBytes/],
    ['no machine', (h) => ({ ...h, machine: null }), /machine is no object/],
    ['an unknown profile', (h) => ({ ...h, profile: 'free' }), /profile/],
    ['a number for a seed', (h) => ({ ...h, seed: 1 }), /seed is no text/],
    ['a jump of the last kernel', (h) => ({ ...h, generation: 1 }), /generation is none of the 1/],
    ['half a generation', (h) => ({ ...h, generation: 0.5 }), /generation/],
    ['a negative address', (h) => ({ ...h, fdtPhys: -4096 }), /fdtPhys/],
    ['half an address', (h) => ({ ...h, fdtPhys: 0x1010 }), /fdtPhys is no page of RAM/],
    ['an address past all', (h) => ({ ...h, scratchPhys: 2 ** 60 }), /scratchPhys/],
    ['more pages than RAM', (h) => ({ ...h, pages: FRAMES + 1 }), /pages is not/],
    ['more pages than follow', (h) => ({ ...h, pages: 100 }), /cut off|damaged/],
    ['fewer pages than follow', (h) => ({ ...h, pages: 2 }), /digest/],
    ['no digest of the run', (h) => ({ ...h, digest: 7 }), /digest is no text/],
    ['a stamp outside', withStamp({ first: 2 ** 28 }), /stamps\[0\] is no block/],
    ['a stamp that is not aligned', withStamp({ first: 3 }), /stamps\[0\] is no block/],
    ['a stamp of no order', withStamp({ order: 11 }), /stamps\[0\] is no block/],
    ['a stamp of no distance', withStamp({ every: 4 }), /stamps\[0\]\.every/],
    ['a stamp of no page', withStamp({ index: -1 }), /stamps\[0\]\.index/],
    ['garbage outside', (h) => ({ ...h, garbage: [{ start: 0, bytes: 2 ** 40, seed: 1 }] }), /garbage\[0\]/],
    [
      'garbage of half a page',
      (h) => ({ ...h, garbage: [{ start: 0, bytes: 2048, seed: 1 }] }),
      /garbage\[0\]/,
    ],
    ['garbage of no seed', (h) => ({ ...h, garbage: [{ start: 0, bytes: 4096, seed: 2 ** 40 }] }), /seed/],
    ['garbage without end', (h) => ({ ...h, garbage: Array(1025).fill({}) }), /garbage is no list/],
    ['a program of no kernels', (h) => ({ ...h, program: { generations: [] } }), /generations has 0 entries/],
  ])('with %s is refused, and says so', (_what, change, complaint) => {
    const answer = decodeRamFile([withHeader(intact, change)]);
    expectRefused(answer);
    expect(answer).toMatch(complaint);
  });

  it('names the page that is outside, twice, or out of order', () => {
    const firstPage = intact.indexOf(0x0a, 16) + 1;
    const second = firstPage + 4 + PAGE_SIZE;
    const frameAt = (at: number, frame: number): Uint8Array => {
      const bytes = unsigned(intact);
      new DataView(bytes.buffer).setUint32(at, frame, true);
      return signed(bytes);
    };
    expect(decodeRamFile([frameAt(firstPage, FRAMES)])).toMatch(/page 0 of \d+ lies outside of RAM/);
    expect(decodeRamFile([frameAt(second, 0)])).toMatch(/page 1 of \d+ is there twice/);
    expect(decodeRamFile([frameAt(firstPage, 3)])).toMatch(/page 1 of \d+ is out of order/);
  });

  it('that never ends its header is given up', () => {
    function* endless(): Generator<Uint8Array> {
      yield intact.subarray(0, 16);
      for (let mib = 0; mib < 200; mib++) yield new Uint8Array(MIB).fill(0x20);
      throw new Error('200 MiB were read');
    }
    expectRefused(decodeRamFile(endless()));
  });
});

// --- resuming -----------------------------------------------------------------------------------------------------

function resultOf(answer: RunResult | string): RunResult {
  if (typeof answer === 'string') throw new Error(answer);
  return answer;
}

/** A run, and the RAM file of each of its jumps. */
function runWithFiles(run: RunInput): { result: RunResult; files: Uint8Array[] } {
  const { seed, program, machine: params } = run;
  const machine = machineFor({ ...params, seed });
  const files: Uint8Array[] = [];
  const atJump: AtJump = (jump) => {
    files.push(joined(encodeRamFile(run, jump)));
    return jump.params;
  };
  const result = runProgram({ machine, seed, program, atJump, decisions: Decisions.seeded(seed) });
  machine.dispose();
  return { result, files };
}

function decoded(bytes: Uint8Array): RamFile {
  const file = decodeRamFile([bytes]);
  if (typeof file === 'string') throw new Error(file);
  return file;
}

const resume = (file: RamFile): RunResult | string => simulate(file.header, { boot: file });

describe('a run that boots from a RAM file', () => {
  it('ends as the run that saved it, at every jump, whatever was left over', () => {
    fc.assert(
      fc.property(fc.nat(40), fc.integer({ min: 2, max: 4 }), fc.string(), (sessions, generations, seed) => {
        const { result, files } = runWithFiles(input(sessions, generations, seed));
        expect(files).toHaveLength(generations - 1);
        for (const bytes of files) expect(resultOf(resume(decoded(bytes)))).toEqual(result);
      }),
      { numRuns: 6, examples: [[820, 3, 'a second block']] },
    );
  });

  it('saves the file that it booted from', () => {
    const { files } = runWithFiles(input(5, 3));
    const file = decoded(files[1] as Uint8Array);
    let saved = new Uint8Array();
    simulate(file.header, { boot: file, save: (pieces) => (saved = joined(pieces) as typeof saved) });
    expect(Buffer.compare(saved, files[1] as Uint8Array)).toBe(0);
  });

  it('sees what the file holds, not what it could have remembered', () => {
    const { result, files } = runWithFiles(input(3, 2));
    const bytes = unsigned(files[0] as Uint8Array);
    const name = Buffer.from(bytes).indexOf(`session-1${'\0'.repeat(55)}`);
    expect(name).toBeGreaterThan(0);
    bytes[name] = 'S'.charCodeAt(0);
    const answer = resultOf(resume(decoded(signed(bytes))));
    expect(answer.digest).not.toBe(result.digest);
    expect(answer.violations.map(({ law }) => law)).toContain('preservation');
    expect(answer.violations.map(({ text }) => text).join()).toContain('Session-1');
  });

  it('hands the two addresses of the file to the kernel', () => {
    const { files } = runWithFiles(input(3, 2));
    const lost = withHeader(files[0] as Uint8Array, (header) => ({ ...header, fdtPhys: 0 }));
    const answer = resultOf(resume(decoded(lost)));
    expect(answer.generations[1]?.bootKind).not.toBe('handover');
    expect(answer.openLosses).not.toEqual([]);
  });

  it('refuses a file of a run that goes otherwise here', () => {
    const { files } = runWithFiles(input(3, 2));
    const other = withHeader(files[0] as Uint8Array, (header) => ({ ...header, seed: 'another' }));
    expectRefused(resume(decoded(withHeader(other, (header) => ({ ...header, digest: '00' })))) as string);
    const stays = withHeader(files[0] as Uint8Array, (header) => {
      const { generations } = header.program as RunInput['program'];
      return { ...header, program: { generations: [{ ...generations[0], stages: [] }, generations[1]] } };
    });
    expectRefused(resume(decoded(stays)) as string);
  });
});

describe('saving', () => {
  it('takes the last jump there was', () => {
    const { program, ...rest } = input(3, 4);
    const generations = program.generations.map((kernel, i) =>
      i === 2 ? { ...kernel, stages: [] } : kernel,
    );
    const early = { ...rest, program: { generations } };
    const saved: Uint8Array[] = [];
    const result = resultOf(simulate(early, { save: (pieces) => saved.push(joined(pieces)) }));
    expect(result.generations).toHaveLength(3);
    expect(saved).toHaveLength(1);
    expect(decoded(saved[0] as Uint8Array).header.generation).toBe(1);
  });

  it('takes nothing where no kernel jumps', () => {
    const saved: unknown[] = [];
    simulate(input(3, 1), { save: (pieces) => saved.push(pieces) });
    expect(saved).toEqual([]);
  });
});
