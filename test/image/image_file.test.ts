/*
 * Files of memory: whatever the file, a reader sees the memory that was written to it, and is told where there is none.
 */
import { mkdtempSync, readFileSync as read, rmSync, truncateSync as truncate, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { PAGE_SIZE } from '../../sim/base/limits.ts';
import { pfn, phys } from '../../sim/base/units.ts';
import { FileProblem } from '../../sim/explore/host_file.ts';
import { type Image, openImage } from '../../sim/image/image_file.ts';
import { Journal } from '../../sim/machine/journal.ts';
import { PageFault } from '../../sim/machine/page_fault.ts';
import { PiecePool } from '../../sim/machine/pool.ts';
import { Ram } from '../../sim/machine/ram.ts';
import { type CoreOptions, type Segment, writeElfCore, writeFlatDump } from '../support/image_files.ts';
import { MIB } from '../support/system.ts';

const directory = mkdtempSync(join(tmpdir(), 'luosim-image-'));
const at = (name: string): string => join(directory, name);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const RAM_BYTES = 16 * MIB;
const FRAMES = RAM_BYTES / PAGE_SIZE;
const freshRam = (bytes = RAM_BYTES): Ram =>
  new Ram({ pool: new PiecePool(), journal: new Journal() }, bytes);

/** Memory with some pages written. */
function ramWith(pages: readonly (readonly [frame: number, seed: number])[]): Ram {
  const ram = freshRam();
  for (const [frame, seed] of pages) ram.scribble(pfn(frame), seed);
  return ram;
}

const somePages = fc.array(fc.tuple(fc.oneof(fc.nat(FRAMES - 1), fc.nat(40)), fc.integer()), {
  maxLength: 12,
});
/** Places to read at: any alignment, at the ends of pages and lines. */
const places = fc.array(
  fc.oneof(
    fc.nat(RAM_BYTES - 9),
    fc
      .tuple(fc.nat(41), fc.integer({ min: -9, max: 9 }))
      .map(([page, k]) => Math.max(page * PAGE_SIZE + k, 0)),
  ),
  { minLength: 1, maxLength: 40 },
);

function withImage<T>(name: string, look: (image: Image) => T, ramBytes?: number): T {
  const image = openImage({ path: at(name), ...(ramBytes === undefined ? {} : { ramBytes }) });
  if (typeof image === 'string') throw new Error(image);
  try {
    return look(image);
  } finally {
    image.close();
  }
}

/** The same bytes by every way of reading, for as much of memory as the image has. */
function expectSame({ memory }: Image, ram: Ram, addresses: readonly number[]): void {
  const [words, expected] = [new Int32Array(3), new Int32Array(3)];
  for (const address of addresses) {
    if (!memory.has(address, 12)) continue;
    expect(memory.load32(address)).toBe(ram.load32(address));
    expect(memory.load64(address)).toBe(ram.load64(address));
    expect(memory.loadBytes(address, 5)).toEqual(ram.loadBytes(address, 5));
    memory.loadWords(address, words, 0, 3);
    ram.loadWords(address, expected, 0, 3);
    expect(words).toEqual(expected);
  }
}

describe('a flat dump', () => {
  it('is the memory it was written from', () => {
    fc.assert(
      fc.property(somePages, places, (pages, addresses) => {
        const ram = ramWith(pages);
        writeFlatDump(at('flat'), ram);
        withImage('flat', (image) => {
          expect([image.kind, image.ramBytes, image.memory.bytes]).toEqual([
            'flat-dump',
            RAM_BYTES,
            RAM_BYTES,
          ]);
          expectSame(image, ram, addresses);
          expect(image.memory.absent.size).toBe(0);
        });
      }),
      { numRuns: 25 },
    );
  });

  it('that is shorter than the machine lacks the rest, and says which pages were looked at', () => {
    const ram = ramWith([[3, 7]]);
    writeFlatDump(at('short'), ram, 5 * PAGE_SIZE + 100);
    withImage(
      'short',
      ({ memory, ramBytes }) => {
        expect(ramBytes).toBe(64 * MIB);
        expect(memory.load32(3 * PAGE_SIZE)).toBe(ram.load32(3 * PAGE_SIZE));
        expect(memory.load32(5 * PAGE_SIZE)).toBe(0);
        expect([...memory.absent]).toEqual([]);
        expect(memory.load32(6 * PAGE_SIZE)).toBe(0);
        expect(memory.load64(32 * MIB)).toBe(0);
        expect([...memory.absent]).toEqual([6, (32 * MIB) / PAGE_SIZE]);
        expect(() => memory.load32(64 * MIB)).toThrow(PageFault);
      },
      64 * MIB,
    );
  });

  it('of a machine with 4 TiB is refused, whatever the disk makes of it', () => {
    writeFlatDump(at('sparse'), freshRam(), 2 ** 42);
    expectRefused('sparse', /^has memory up to 0x40000000000, and luosim knows/);
    rmSync(at('sparse'));
  });
});

describe('an ELF core', () => {
  const cuts = fc
    .uniqueArray(fc.nat(RAM_BYTES / 64), { maxLength: 6 })
    .map((steps) => [0, ...steps.map((step) => step * 64), RAM_BYTES].sort((x, y) => x - y));

  it('is the memory of its segments, wherever they are cut and in whatever order they come', () => {
    fc.assert(
      fc.property(somePages, places, cuts, fc.boolean(), (pages, addresses, borders, backwards) => {
        const ram = ramWith(pages);
        const segments = borders.slice(1).map((end, i) => {
          const start = borders[i] as number;
          return { phys: start, bytes: end - start };
        });
        writeElfCore(at('core'), ram, backwards ? segments.reverse() : segments);
        withImage('core', (image) => {
          expect(image.kind).toBe('elf-core');
          expect(image.memory.ranges).toEqual([{ start: 0, end: RAM_BYTES }]);
          expectSame(image, ram, addresses);
          expect(image.memory.absent.size).toBe(0);
        });
      }),
      { numRuns: 25 },
    );
  });

  const GAP: Segment[] = [
    { phys: 0x1000, bytes: 0x9ec00 },
    { phys: MIB, bytes: 2 * MIB, kept: MIB },
    { phys: 8 * MIB, bytes: 8 * MIB },
  ];

  it('with gaps has memory in its segments only, and tells what it lacks from what is zero', () => {
    const ram = ramWith([0, 1, 0x9f, 0x100, 0x250, 0x7ff, 0x800].map((frame) => [frame, frame + 5]));
    writeElfCore(at('gaps'), ram, GAP);
    withImage('gaps', (image) => {
      const { memory } = image;
      expect([image.ramBytes, memory.ranges.length]).toEqual([16 * MIB, 3]);
      for (const outside of [0, 0xffc, 0x9fc00, 0x9fbfd, 0xfffff, 3 * MIB, 8 * MIB - 4, 16 * MIB]) {
        expect(() => memory.load32(outside), String(outside)).toThrow(PageFault);
      }
      expectSame(image, ram, [0x1000, 0x9f000, 0x9fb00, MIB, 0x100ff1, 8 * MIB, 16 * MIB - 16]);
      expect([...memory.absent]).toEqual([]);
      expect(memory.load32(0x250000)).toBe(0);
      expect([...memory.absent]).toEqual([0x250]);
      // Behind a machine's memory a gap is nothing that could fault.
      expect(memory.wordAt(0x7ff000)).toBe(0);
    });
  });

  it('may have memory twice', () => {
    const ram = ramWith([0x100, 0x180, 0x1ff, 0x200, 0x37f].map((frame) => [frame, frame]));
    writeElfCore(at('twice'), ram, [
      { phys: MIB + 0x80000, bytes: 2 * MIB },
      { phys: MIB + 0x90000, bytes: 0x1000 },
      { phys: MIB, bytes: MIB },
    ]);
    withImage('twice', (image) => {
      expect(image.memory.ranges).toEqual([{ start: MIB, end: 3 * MIB + 0x80000 }]);
      expectSame(image, ram, [MIB, 0x180000, 0x190000, 0x1ffff0, 0x200000, 0x37ff00]);
    });
  });

  it('with more segments than fit its header is read to the last', () => {
    const ram = ramWith([[0xf03, 3]]);
    const segments = Array.from({ length: 16 }, (_, i) => ({ phys: i * MIB, bytes: 0x4000 }));
    writeElfCore(at('many'), ram, segments, { extended: true });
    withImage('many', (image) => {
      expect(image.memory.ranges).toHaveLength(16);
      expectSame(image, ram, [0xf03000, 0xf03ff0]);
    });
  });

  it('that is cut off says so, and what is gone is absent', () => {
    const ram = ramWith([[5, 1]]);
    writeElfCore(at('cut'), ram, [{ phys: 0, bytes: 16 * MIB }]);
    truncate(at('cut'), 5 * MIB);
    withImage('cut', ({ memory, notes }) => {
      expect(notes).toEqual([
        expect.stringMatching(/^the file is cut off: \d+ bytes of its segments are missing$/),
      ]);
      expect(memory.load32(5 * PAGE_SIZE)).toBe(ram.load32(5 * PAGE_SIZE));
      expect(memory.load32(12 * MIB)).toBe(0);
      expect([...memory.absent]).toEqual([(12 * MIB) / PAGE_SIZE]);
    });
  });

  it.each<[string, CoreOptions, RegExp]>([
    ['32 bits', { elfClass: 1 }, /32 bits/],
    ['a big-endian machine', { data: 2 }, /big-endian/],
    ['a program', { type: 2 }, /no core/],
  ])('of %s is refused in one line', (_what, options, complaint) => {
    writeElfCore(at('refused'), freshRam(), [{ phys: 0, bytes: MIB }], options);
    expectRefused('refused', complaint);
  });

  it('with any damage to its headers is refused in a line or read, and never runs away', () => {
    writeElfCore(at('sound'), ramWith([[5, 1]]), [{ phys: 0, bytes: MIB }], { extended: true });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 4, max: 240 }), fc.nat(255)), { minLength: 1 }),
        (changes) => {
          const bytes = read(at('sound'));
          for (const [place, value] of changes) bytes[place] = value;
          writeFileSync(at('damaged'), bytes);
          const image = openImage({ path: at('damaged') });
          if (typeof image === 'string') {
            expect(image).toMatch(/^(is|has|begins) [^\n]+; [^\n]+$/);
            return;
          }
          if (image.memory.has(5 * PAGE_SIZE, 4)) image.memory.load32(5 * PAGE_SIZE);
          image.close();
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('whatever cannot be read by seeking', () => {
  it.each([
    ['KDUMP   rest', /compressed kdump/],
    ['makedumpfile\0\0', /makedumpfile -R/],
    ['QEVM', /pmemsave/],
    ['EMiL', /LiME/],
    ['\x1f\x8b\x08', /gzip/],
    ['', /has 0 bytes/],
    ['{"kho_fdt": ', /begins as JSON and is none/],
    ['{"kho_fdt": {}}', /is wrong at its top: no luo; extract it again/],
  ])('%j is refused by its name', (begin, complaint) => {
    writeFileSync(at('other'), Buffer.from(begin, 'latin1'));
    expectRefused('other', complaint);
  });

  it('and what is no file at all', () => {
    expect(() => openImage({ path: at('not there') })).toThrow(FileProblem);
    expect(() => openImage({ path: at('not there') })).toThrow(/^cannot be read: ENOENT/);
    expect(() => openImage({ path: at('.') })).toThrow(/no regular file/);
  });
});

describe('a page that begins with given bytes', () => {
  it('is found wherever it lies, and nothing else is', () => {
    const magic = Uint8Array.of(0xd0, 0x0d, 0xfe, 0xed);
    const word = 0xedfe0dd0 | 0;
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(FRAMES - 1), { maxLength: 8 }), fc.boolean(), (frames, core) => {
        const ram = freshRam();
        for (const frame of frames) {
          ram.store32(frame * PAGE_SIZE, word);
          ram.store32(frame * PAGE_SIZE + 8, word);
        }
        if (core)
          writeElfCore(at('scan'), ram, [
            { phys: 0, bytes: 0x12345 },
            { phys: 0x12345, bytes: RAM_BYTES - 0x12345 },
          ]);
        else writeFlatDump(at('scan'), ram);
        withImage('scan', ({ memory }) => {
          const found = [...memory.source.pagesBeginningWith(magic)];
          expect(found).toEqual(frames.sort((x, y) => x - y).map((frame) => phys(frame * PAGE_SIZE)));
        });
      }),
      { numRuns: 25 },
    );
  });
});

function expectRefused(name: string, complaint: RegExp): void {
  const image = openImage({ path: at(name) });
  expect(image).toMatch(complaint);
  expect(image).toMatch(/^(is|has|begins) [^\n]+; [^\n]+$/);
}
