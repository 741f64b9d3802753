/*
 * Damaged images: whatever was done to the bytes of a handover, checking it ends in a report or in one line; and what the
 * incoming kernel stumbles over has been named as a problem of the image.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PAGE_SIZE } from '../../sim/base/limits.ts';
import type { Pfn } from '../../sim/base/units.ts';
import type { Piece } from '../../sim/check/anatomy.ts';
import { type CheckedImage, checkImage } from '../../sim/image/check_image.ts';
import { type Image, openImage } from '../../sim/image/image_file.ts';
import { ImageMemory } from '../../sim/image/image_memory.ts';
import { REVISIONS } from '../../sim/kernel/revisions.ts';
import { outcomeOf, saveRamFile } from '../support/image_files.ts';

const directory = mkdtempSync(join(tmpdir(), 'luosim-damaged-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const GOLDEN = ['k7113-3sessions-2files', 'k734-3sessions-2files', 'k734-flb-test-4sessions'];

/** An image, what it holds, and the frames in which that lies. */
interface Sound {
  readonly image: Image;
  readonly pieces: readonly Piece[];
  readonly frames: readonly number[];
}

const sound = new Map<string, Sound>();

beforeAll(() => {
  for (const { name } of REVISIONS) {
    saveRamFile(join(directory, name), { revision: name, sessions: name === 'v7.3' ? 110 : 60 });
    learn(name, join(directory, name));
  }
  for (const stem of GOLDEN) learn(stem, fileURLToPath(new URL(`../golden/${stem}.json`, import.meta.url)));
});

function learn(name: string, path: string): void {
  const image = openImage({ path });
  if (typeof image === 'string') throw new Error(`${name} ${image}`);
  const checked = checkImage(image);
  if (typeof checked === 'string') throw new Error(checked);
  expect([name, checked.report.problems, outcomeOf(checked.report)]).toEqual([name, [], 'sound']);
  const pieces = [...checked.pieces()];
  const frames = new Set<number>();
  for (const { phys, bytes } of pieces) {
    for (let at = phys - (phys % PAGE_SIZE); at < phys + Math.min(bytes, 65536); at += PAGE_SIZE)
      frames.add(at / PAGE_SIZE);
  }
  // Several times, so that it is hit as often as a chain of blocks.
  const array = arrayOf(image) / PAGE_SIZE;
  sound.set(name, { image, pieces, frames: [...frames, ...(array > 0 ? [array, array, array] : [])] });
}

/** Address of the array of scratch areas, 0 where the image has none. */
const arrayOf = ({ scratch }: Image): number =>
  scratch !== undefined && 'arrayPhys' in scratch ? scratch.arrayPhys : 0;

/** Bytes at an address. */
type Change = readonly [address: number, bytes: Uint8Array];

/** The image with other bytes. */
function damaged(image: Image, changes: readonly Change[]): Image {
  const { source, ranges } = image.memory;
  const pages = new Map<number, Uint8Array>();
  for (const [address, bytes] of changes) {
    for (const [i, byte] of bytes.entries()) {
      const frame = Math.floor((address + i) / PAGE_SIZE);
      const page =
        pages.get(frame) ??
        new Uint8Array(Int32Array.from(source.page(frame as Pfn) ?? new Int32Array(1024)).buffer);
      pages.set(frame, page);
      page[(address + i) % PAGE_SIZE] = byte;
    }
  }
  const words = new Map([...pages].map(([frame, page]) => [frame, new Int32Array(page.buffer)] as const));
  const memory = new ImageMemory(ranges, {
    page: (frame) => words.get(frame) ?? source.page(frame),
    pagesBeginningWith: (bytes) => source.pagesBeginningWith(bytes),
  });
  return { ...image, memory };
}

function checked(name: string, changes: readonly Change[]): CheckedImage {
  const result = checkImage(damaged((sound.get(name) as Sound).image, changes));
  if (typeof result === 'string') throw new Error(result);
  return result;
}

const u64 = (value: number): Uint8Array => new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);

describe('any damage', () => {
  const place = fc.oneof(fc.nat(PAGE_SIZE / 8 - 1), fc.nat(40)).map((word) => word * 8);
  const change = fc.oneof(
    // A byte, a bit, a number one off, an address: of memory, of a piece, of anything.
    fc.record({ kind: fc.constantFrom('byte', 'bit', 'step'), frame: fc.nat(), place, value: fc.nat(255) }),
    fc.record({ kind: fc.constantFrom('frame', 'inside'), frame: fc.nat(), place, value: fc.nat() }),
    fc.record({
      kind: fc.constant('number'),
      frame: fc.nat(),
      place,
      value: fc.constantFrom(0, 1, 4096, 2 ** 24, 2 ** 28, 2 ** 45, 2 ** 52, 2 ** 63),
    }),
    fc.record({ kind: fc.constantFrom('zeros', 'ones'), frame: fc.nat(), place, value: fc.nat(4096) }),
  );

  function changeOf(
    { image, frames }: Sound,
    c: { kind: string; frame: number; place: number; value: number },
  ): Change {
    const frame = frames[c.frame % frames.length] as number;
    const address = frame * PAGE_SIZE + c.place;
    const old = image.memory.loadBytes(address, 8);
    const other = (frames[c.value % frames.length] as number) * PAGE_SIZE;
    if (c.kind === 'byte') return [address + (c.frame & 7), Uint8Array.of(c.value)];
    if (c.kind === 'bit')
      return [address + (c.frame & 7), Uint8Array.of((old[c.frame & 7] as number) ^ (1 << (c.value & 7)))];
    if (c.kind === 'step') return [address, Uint8Array.of((old[0] as number) + 1 - (c.value & 2))];
    if (c.kind === 'frame') return [address, u64(other)];
    if (c.kind === 'inside') return [address, u64(other + (c.value % PAGE_SIZE))];
    if (c.kind === 'number') return [address, u64(c.value)];
    const bytes = Math.min(c.value, PAGE_SIZE - c.place);
    return [address, new Uint8Array(bytes).fill(c.kind === 'ones' ? 255 : 0)];
  }

  it('ends in a report, and what the incoming kernel stumbles over was named', () => {
    const names = [...REVISIONS.map(({ name }) => name), ...GOLDEN];
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.array(change, { minLength: 1, maxLength: 3 }),
        (name, changes) => {
          const of = sound.get(name) as Sound;
          const { report, pieces } = checked(
            name,
            changes.map((c) => changeOf(of, c)),
          );
          const outcome = outcomeOf(report);
          if (outcome !== 'sound') expect([outcome, report.problemCount > 0]).toEqual([outcome, true]);
          expect(report.isBroken).toBe(report.problemCount > 0);
          expect([...pieces()].length).toBe(report.pieces);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('one thing damaged', () => {
  const DEAD = 2 ** 45;
  const everywhere = REVISIONS.map(({ name }) => name);
  const chains = ['april-v1-p1', 'april-v1', 'v7.3'];
  const arrays = ['v6.19', 'v7.0', 'v7.1'];

  /** Where a field of a piece stands. */
  function fieldAt(name: string, path: string, field: string): number {
    const piece = sound.get(name)?.pieces.find((found) => found.path === path);
    const offset = piece?.fields.find((found) => found.name === field)?.offset;
    if (piece === undefined || offset === undefined) throw new Error(`${name} has no ${field} in ${path}`);
    return piece.phys + offset;
  }

  type Case = readonly [
    what: string,
    revisions: readonly string[],
    path: string,
    field: string,
    value: number | ((name: string) => number),
    problem: RegExp,
    outcome: string,
  ];
  const first = (name: string): number =>
    sound.get(name)?.pieces.find(({ path }) => path === 'session-block[0]')?.phys as number;
  const cases: Case[] = [
    [
      'a chain that comes back',
      chains,
      'session-block[0]',
      'next',
      first,
      /^session-block\[1\] lies where another piece does$/,
      'panic',
    ],
    [
      'a chain that leads nowhere',
      chains,
      'session-block[0]',
      'next',
      DEAD,
      /next is 0x200000000000/,
      'panic',
    ],
    ['a count of 0', ['v7.3'], 'session-block[1]', 'count', 0, /count/, 'panic'],
    ['a count too large', ['v7.3'], 'session-block[1]', 'count', 52, /count/, 'panic'],
    ['a count too large', arrays, 'session-block[0]', 'count', 1000, /count/, 'EIO'],
    ['no map', everywhere, 'kho-root', 'preserved-memory-map', 0, /preserved-memory-map is 0/, 'rejected'],
    [
      'a map outside of memory',
      everywhere,
      'kho-root',
      'preserved-memory-map',
      DEAD,
      /no page of memory/,
      'panic',
    ],
    [
      'a root of a later kernel',
      everywhere,
      'kho-root',
      'compatible',
      0x39_762d_6f68_6b,
      /compatible with no KHO/,
      'rejected',
    ],
    [
      'the same name twice',
      everywhere,
      'session[1]',
      'name',
      0x302d73,
      /has the name of session\[0\]/,
      'EIO',
    ],
    [
      'files that are nowhere',
      everywhere,
      'session[1]',
      'file_set_ser.count',
      3,
      /counts 3 files/,
      'unsound',
    ],
    [
      'sessions outside of memory',
      arrays,
      'luo',
      'luo-session/luo-session-header',
      DEAD,
      /no page of memory/,
      'crashed',
    ],
    ['sessions outside of memory', ['v7.3'], 'luo', 'sessions_pa', DEAD, /no page of memory/, 'panic'],
    [
      'LUO outside of memory',
      everywhere.slice(1),
      'kho-root',
      'LUO/preserved-data',
      DEAD,
      /subtree "LUO"/,
      'panic',
    ],
  ];

  it.each(cases)('%s, on %j', (_what, revisions, path, field, value, problem, outcome) => {
    for (const name of revisions) {
      const bytes = u64(typeof value === 'number' ? value : value(name));
      const { report } = checked(name, [[fieldAt(name, path, field), bytes]]);
      expect(report.problems.map(({ path: at, text }) => `${at} ${text}`).join('\n'), name).toMatch(problem);
      expect([name, outcomeOf(report)]).toEqual([name, outcome]);
      expect(report.isBroken).toBe(true);
    }
  });

  it.each([
    ['outside of memory', DEAD, /^scratch its entry 0 names no pages of memory$/m],
    ['of no size', 0, /^scratch it has 0 areas, and a machine 3 or more$/m],
  ])('scratch areas %s', (_what, value, problem) => {
    for (const { name } of REVISIONS) {
      const array = arrayOf((sound.get(name) as Sound).image);
      const changes: Change[] = [0, 8, 16, 24, 32, 40].map((at) => [array + at, u64(value)]);
      const { report } = checked(name, changes);
      expect(report.problems.map(({ path, text }) => `${path} ${text}`).join('\n'), name).toMatch(problem);
      expect([name, outcomeOf(report)]).toEqual([name, 'panic']);
    }
  });

  it('preserved blocks where the next kernel boots, and where the firmware is', () => {
    const { image, pieces } = sound.get('v7.3') as Sound;
    const leaf = pieces.find(({ struct }) => struct === 'kho_radix_leaf')?.phys as number;
    const scratch = image.memory.load64(arrayOf(image));
    for (const [address, where] of [
      [scratch, 'lies in a scratch area'],
      [0x5000, 'lies in the first MiB, which is the firmware'],
    ] as const) {
      const [byte, bit] = [leaf + ((address / PAGE_SIZE) >>> 3), (address / PAGE_SIZE) & 7];
      const old = image.memory.loadBytes(byte, 1)[0] as number;
      const { report } = checked('v7.3', [[byte, Uint8Array.of(old | (1 << bit))]]);
      expect(report.problems).toEqual([{ path: 'preserved memory', phys: address, text: where }]);
      expect(report.preserved.unreached).toEqual([{ phys: address, order: 0 }]);
    }
  });

  it('a preserved block with two orders: the kernel keeps one of them', () => {
    const { image, pieces } = sound.get('v7.1') as Sound;
    const block = pieces.find(({ path }) => path === 'session-block[0]')?.phys as number;
    const leaf = pieces.findLast(({ struct }) => struct === 'kho_radix_leaf')?.phys as number;
    const frame = block / PAGE_SIZE;
    const old = image.memory.loadBytes(leaf + (frame >>> 3), 1)[0] as number;
    const { report } = checked('v7.1', [[leaf + (frame >>> 3), Uint8Array.of(old | (1 << (frame & 7)))]]);
    expect(report.problems[0]?.text).toMatch(/part of which is named before$/);
    expect(report.incoming?.violations.map(({ law }) => law)).toContain('stamp');
  });

  it('a preserved block that the map does not have any more', () => {
    for (const name of ['v7.1', 'v7.3']) {
      const { image, pieces } = sound.get(name) as Sound;
      const block = pieces.find(({ path }) => path === 'session-block[0]') as Piece;
      const leaf = pieces.filter(({ struct }) => struct === 'kho_radix_leaf');
      const order = block.order as number;
      const bit = (block.phys / PAGE_SIZE / 2 ** order) % 32768;
      const at = leaf[name === 'v7.1' ? 0 : leaf.length - 1]?.phys as number;
      const old = image.memory.loadBytes(at + (bit >>> 3), 1)[0] as number;
      expect(old & (1 << (bit & 7))).not.toBe(0);
      const { report } = checked(name, [[at + (bit >>> 3), Uint8Array.of(old & ~(1 << (bit & 7)))]]);
      expect(report.problems[0]).toEqual({
        path: 'session-block[0]',
        phys: block.phys,
        text: 'is not preserved',
      });
      expect([name, outcomeOf(report)]).toEqual([name, 'unsound']);
    }
  });
});
