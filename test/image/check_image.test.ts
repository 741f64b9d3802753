/*
 * Images checked: what real kernels and the simulator's own write is found whole and sound, whatever file it comes in;
 * whatever is damaged is called broken, and what the incoming kernel stumbles over has been named before.
 */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { PAGE_SIZE } from '../../sim/base/limits.ts';
import type { Piece } from '../../sim/check/anatomy.ts';
import { HandoverWalk } from '../../sim/check/handover_walk.ts';
import { type CheckImageOptions, checkImage } from '../../sim/image/check_image.ts';
import { type Image, openImage } from '../../sim/image/image_file.ts';
import type { ImageReport } from '../../sim/image/image_report.ts';
import { REVISIONS, V7_1 } from '../../sim/kernel/revisions.ts';
import { outcomeOf, saveRamFile, writeElfCore, writeFlatDump } from '../support/image_files.ts';
import { MIB } from '../support/system.ts';

const directory = mkdtempSync(join(tmpdir(), 'luosim-check-image-'));
const at = (name: string): string => join(directory, name);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const GOLDEN = fileURLToPath(new URL('../golden/', import.meta.url));

function open(path: string): Image {
  const image = openImage({ path });
  if (typeof image === 'string') throw new Error(`${path} ${image}`);
  return image;
}

function check(image: Image, options: CheckImageOptions = {}): { report: ImageReport; pieces: Piece[] } {
  const checked = checkImage(image, options);
  if (typeof checked === 'string') throw new Error(checked);
  return { report: checked.report, pieces: [...checked.pieces()] };
}

describe('what real kernels wrote', () => {
  // Sessions, files, preserved pages, pages of the map.
  const whole: [string, number, number, number, number][] = [
    ['k7113-0sessions', 0, 0, 20, 11],
    ['k7113-3sessions-2files', 3, 2, 33, 16],
    ['k7113-819sessions', 819, 0, 20, 11],
    ['k734-0sessions', 0, 0, 4, 6],
    ['k734-3sessions-2files', 3, 2, 17, 6],
    ['k734-51sessions', 51, 0, 5, 6],
    ['k734-flb-test-4sessions', 4, 4, 29, 6],
  ];

  it.each(whole)('%s is sound, and its sessions arrive', (stem, sessions, files, pages, trackerPages) => {
    const { report } = check(open(`${GOLDEN}${stem}.json`));
    expect([report.problems, report.doubtful, report.isBroken]).toEqual([[], [], false]);
    expect(report.recognised).toBe(stem.startsWith('k7113') ? 'v7.1' : 'v7.3');
    expect([report.sessions.count, report.sessions.files]).toEqual([sessions, files]);
    expect(report.preserved).toMatchObject({ pages, trackerPages, unreachedBlocks: 0 });
    expect(outcomeOf(report)).toBe('sound');
    expect(report.incoming).toMatchObject({ sessions, liveupdateNum: 1 });
    expect(report.scratch?.source).toMatch(/^debugfs of Linux 7/);
  });

  it.each([
    ['k734-130files', 130],
    ['k734-6memfds-4K-to-32M', 6],
  ])('%s lacks some of it: what may come of that does not count', (stem, files) => {
    const { report } = check(open(`${GOLDEN}${stem}.json`));
    expect([report.problems, report.isBroken]).toEqual([[], false]);
    expect(report.doubtfulCount).toBeGreaterThan(20);
    expect(report.missing.length).toBeGreaterThan(3);
    expect([report.sessions.count, report.sessions.files]).toEqual([1, files]);
    expect(outcomeOf(report)).toBe('sound');
  });

  it('with a map that is told in part has no problem that may come of that', () => {
    const stem = 'k734-51sessions';
    const json = JSON.parse(readFileSync(`${GOLDEN}${stem}.json`, 'utf8'));
    // The session block and the FLB page.
    json.kho_map.preserved = json.kho_map.preserved.slice(0, 3);
    writeFileSync(at(`${stem}.json`), JSON.stringify(json));
    copyFileSync(`${GOLDEN}${stem}.session-blocks.bin`, at(`${stem}.session-blocks.bin`));
    const { report } = check(open(at(`${stem}.json`)));
    expect(report.missing).toEqual(['2 of 5 preserved blocks']);
    expect(report.problems).toEqual([]);
    expect(report.doubtful.map(({ path, text }) => `${path} ${text}`)).toEqual([
      'session-block[0] is not preserved',
      'flb-page is not preserved',
    ]);
  });

  it('is refused by a kernel of another revision, in its words', () => {
    const { report } = check(open(`${GOLDEN}k734-3sessions-2files.json`), { revision: V7_1 });
    expect([report.recognised, report.revision, outcomeOf(report)]).toEqual(['v7.3', 'v7.1', 'rejected']);
    expect(report.problems.map(({ text }) => text)).toContain('is "kho-v4", and v7.1 reads "kho-v3"');
    expect(report.incoming?.dmesg.join()).toContain("is incompatible with 'kho-v3': 1");
    expect(report.isBroken).toBe(true);
  });
});

it.each([
  [
    { fdtPhys: 0x4000_0000 },
    'has no page of memory at 0x40000000, where its root should be; give another --fdt',
  ],
  [
    { scratchPhys: 0x4000_0000 },
    'has no array of scratch areas at 0x40000000: it lies outside of memory; give another --scratch',
  ],
  [
    { scratchPhys: 0x5000 },
    'has no array of scratch areas at 0x5000: it has 0 areas, and a machine 3 or more; give another --scratch',
  ],
  [
    { scratchPhys: 0x86_4000 },
    'has no array of scratch areas at 0x864000: its entry 0 names no pages of memory; give another --scratch',
  ],
])('%j cannot be used, and that is said', (options, complaint) => {
  expect(checkImage(open(`${GOLDEN}k734-0sessions.json`), options)).toBe(complaint);
});

describe('what the simulator wrote', () => {
  it.each(REVISIONS.map(({ name }) => name))('%s: a RAM file is sound', (revision) => {
    saveRamFile(at(revision), { revision, sessions: 60 });
    const { report } = check(open(at(revision)));
    expect([report.problems, report.isBroken, outcomeOf(report)]).toEqual([[], false, 'sound']);
    expect([report.kind, report.recognised, report.revision]).toEqual(['ram-file', revision, revision]);
    expect(report.sessions.count).toBe(60);
    expect(report.sessions.first[0]).toMatchObject({ name: 's-0', files: 0 });
    expect(report.sessions.last.at(-1)).toMatchObject({ name: 's-59' });
    expect(report.incoming).toMatchObject({ sessions: 60, liveupdateNum: 1, violations: [] });
    expect(report.preserved.unreached).toEqual([]);
  });

  it.each(REVISIONS.map(({ name }) => name))('%s: its memory is the same in every file', (revision) => {
    const { ram, fdtPhys, scratchPhys } = saveRamFile(at('saved'), { revision, sessions: 55 });
    writeFlatDump(at('flat'), ram);
    const half = ram.bytes / 2;
    writeElfCore(at('core'), ram, [
      { phys: half, bytes: half },
      { phys: 0, bytes: half },
    ]);
    const saved = check(open(at('saved')));
    for (const name of ['flat', 'core']) {
      for (const options of name === 'flat' ? [{}, { scratchPhys }] : [{ fdtPhys, scratchPhys }]) {
        const { report, pieces } = check(open(at(name)), options);
        expect(pieces).toEqual(saved.pieces);
        expect(report.roots.map((root) => root.phys)).toEqual([fdtPhys]);
        expect([report.problems, outcomeOf(report), report.isBroken]).toEqual([[], 'sound', false]);
        expect(report.incoming?.sessions).toBe(55);
        const known = 'scratchPhys' in options;
        expect(report.scratch?.source).toBe(known ? `the array at 0x${scratchPhys.toString(16)}` : 'assumed');
        expect(report.notes.join()).toMatch(known ? /^$/ : /^scratch areas not known: assumed/);
        if (known) expect(report.scratch?.areas).toEqual(saved.report.scratch?.areas);
      }
    }
  });

  it('keeps assumed scratch areas off whatever is preserved', () => {
    const { ram, fdtPhys } = saveRamFile(at('high'), { revision: 'v7.3', sessions: 3 });
    const leaf = [...new HandoverWalk(ram, fdtPhys).pieces()].find(
      ({ struct }) => struct === 'kho_radix_leaf',
    );
    for (const frame of [31, 27, 19].map((mib) => (mib * MIB) / PAGE_SIZE)) {
      const byte = (leaf?.phys as number) + (frame >>> 3);
      ram.store8(byte, ram.load8(byte) | (1 << (frame & 7)));
    }
    writeFlatDump(at('high.flat'), ram);
    const { report } = check(open(at('high.flat')));
    expect(report.preserved.unreachedBlocks).toBe(3);
    expect([report.problems, report.scratch?.source, outcomeOf(report)]).toEqual([[], 'assumed', 'sound']);
  });

  it('of a machine with three nodes boots with three', () => {
    const machine = { ramBytes: 192 * MIB, nodes: 3, cpus: 1 };
    const { ram, scratchPhys } = saveRamFile(at('nodes'), { revision: 'v7.1', sessions: 5, machine });
    writeFlatDump(at('nodes.flat'), ram);
    const { report } = check(open(at('nodes.flat')), { scratchPhys });
    expect([report.scratch?.areas.length, report.scratch?.nodes, outcomeOf(report)]).toEqual([5, 3, 'sound']);
  });

  it('has nodes that begin where the scratch area of the one before ends', () => {
    const machine = { ramBytes: 64 * MIB, nodes: 1, cpus: 1 };
    const { ram } = saveRamFile(at('uneven'), { revision: 'v7.1', sessions: 5, machine });
    // In equal halves the first node would have no scratch area.
    const areas = [8, 8, 16, 0, 40, 8, 56, 8].map((mib) => mib * MIB);
    for (const [i, value] of areas.entries()) ram.store64(0x3000 + i * 8, value);
    writeFlatDump(at('uneven.flat'), ram);
    const { report } = check(open(at('uneven.flat')), { scratchPhys: 0x3000 });
    expect([report.scratch?.nodes, report.notes, outcomeOf(report)]).toEqual([2, [], 'sound']);
  });

  it('in scratch areas that are too small is not judged', () => {
    const { ram } = saveRamFile(at('tight'), { revision: 'v7.1', sessions: 5 });
    const areas = [16 * MIB, MIB + 65536, 16 * MIB, 0, 18 * MIB, PAGE_SIZE];
    for (const [i, value] of areas.entries()) ram.store64(0x3000 + i * 8, value);
    writeFlatDump(at('tight.flat'), ram);
    const { report } = check(open(at('tight.flat')), { scratchPhys: 0x3000 });
    expect(report.notes.join()).toMatch(/^the scratch areas are too small/);
    expect([report.problems, outcomeOf(report), report.isBroken]).toEqual([[], 'not booted', false]);
  });

  it('by the thousands makes no longer a report', () => {
    saveRamFile(at('few'), { revision: 'april-v1', sessions: 100 });
    saveRamFile(at('many'), {
      revision: 'april-v1',
      sessions: 6000,
      machine: { ramBytes: 64 * MIB, nodes: 1, cpus: 1 },
    });
    const [few, many] = ['few', 'many'].map((name) => check(open(at(name))).report) as [
      ImageReport,
      ImageReport,
    ];
    expect(many.sessions.count).toBe(6000);
    expect(many.incoming?.sessions).toBe(6000);
    expect(many.sessions.last.at(-1)?.name).toBe('s-5999');
    expect(JSON.stringify(many).length).toBeLessThan(JSON.stringify(few).length * 1.1);
  });

  it('may have several roots: the one that preserves itself, and the latest jump, is taken', () => {
    const { ram, fdtPhys } = saveRamFile(at('roots'), { revision: 'v7.3', sessions: 3, generations: 3 });
    const copy = ram.loadBytes(fdtPhys, PAGE_SIZE);
    ram.storeBytes(0x2000, copy);
    ram.storeBytes(ram.bytes - PAGE_SIZE, copy);
    writeFlatDump(at('roots.flat'), ram);
    const { report } = check(open(at('roots.flat')));
    const [taken, before, ...copies] = report.roots;
    expect(taken).toMatchObject({ phys: fdtPhys, preservesItself: true, formats: { kexecCount: 2 } });
    // Of the kernel before: its root stays reserved, and nobody has used the pages of its map.
    expect(before).toMatchObject({ preservesItself: true, formats: { kexecCount: 1 } });
    expect(copies.map((root) => [root.phys, root.preservesItself])).toEqual([
      [0x2000, false],
      [ram.bytes - PAGE_SIZE, false],
    ]);
    expect(check(open(at('roots.flat')), { fdtPhys: 0x2000 }).report.problems[0]).toMatchObject({
      path: 'kho-root',
      text: 'is not preserved',
    });
  });
});
