/*
 * Byte for byte like the real kernels: what the simulated v7.3 and v7.1 leave at the jump against images of 7.3.4 and
 * 7.1.13, and what they make of those images when they boot on them.
 */
import { describe, expect, it } from 'vitest';
import { PAGE_SIZE } from '../../sim/base/limits.ts';
import { handoverDifference } from '../../sim/check/bijection.ts';
import { takeCensus } from '../../sim/check/census.ts';
import { checkOwnership, talliesByOwner } from '../../sim/check/frames.ts';
import { checkStamps } from '../../sim/check/handover.ts';
import { checkLeft, checkTransient, isFinished } from '../../sim/check/leak.ts';
import { Violations } from '../../sim/check/violation.ts';
import { V7_1, V7_3 } from '../../sim/kernel/revisions.ts';
import { Caller } from '../support/caller.ts';
import { goldenImage } from '../support/golden.ts';
import { bootHanded, crossingOf } from '../support/golden_boot.ts';
import {
  fieldOf,
  goldenHandover,
  handoverOf,
  leave,
  left,
  piecesOf,
  sessionName,
} from '../support/handovers.ts';
import { MIB } from '../support/system.ts';

const KERNELS = { 'v7.3': V7_3, 'v7.1': V7_1 } as const;

const IMAGES = [
  ['k734-0sessions', 'v7.3', 0],
  ['k734-51sessions', 'v7.3', 51],
  ['k7113-0sessions', 'v7.1', 0],
  ['k7113-819sessions', 'v7.1', 819],
] as const;

describe('what is written at the jump', () => {
  it.each(IMAGES)('%s is what %s writes', (stem, name, sessions) => {
    const system = left({ revision: KERNELS[name], sessions, ramBytes: 256 * MIB });
    expect(handoverDifference(goldenHandover(stem), handoverOf(system))).toBeUndefined();
    expect(handoverDifference(handoverOf(system), goldenHandover(stem))).toBeUndefined();
  });

  it.each(IMAGES)('%s is known but for what lies behind the device trees', (stem, name) => {
    const { fdtPhys, missing, unknown } = goldenImage(stem);
    expect(missing).toEqual([]);
    const trees = name === 'v7.1' ? 2 : 1;
    expect(unknown).toHaveLength(trees);
    expect(unknown[0]).toEqual({ phys: fdtPhys + 285, bytes: PAGE_SIZE - 285 });
    if (trees === 2) expect(unknown[1]?.bytes).toBe(PAGE_SIZE - 311);
  });

  it.each([
    ['a session less', 'k734-51sessions', 'v7.3', 50, 'session-block[0]', 'count'],
    ['a session more', 'k734-51sessions', 'v7.3', 52, 'session-block[0]', 'next'],
    ['no session', 'k734-51sessions', 'v7.3', 0, 'luo', 'sessions_pa'],
    ['another array', 'k7113-819sessions', 'v7.1', 818, 'session-block[0]', 'count'],
    ['another kernel', 'k7113-0sessions', 'v7.3', 0, 'kho-root', 'compatible'],
  ] as const)('%s is told apart', (_what, stem, name, sessions, path, field) => {
    const other = handoverOf(left({ revision: KERNELS[name], sessions, ramBytes: 256 * MIB }));
    expect(handoverDifference(goldenHandover(stem), other)).toMatchObject({ path, field });
  });
});

describe('a simulated kernel that boots on what a real one left', () => {
  it.each(IMAGES)('%s: finds, retrieves, finishes and closes all of it', (stem, name, sessions) => {
    const revision = KERNELS[name];
    const crossing = crossingOf(stem);
    const system = bootHanded(goldenImage(stem), revision);
    const { kernel, luo } = system;
    expect(kernel.bootKind).toBe('handover');
    const text = kernel.log.lines.map((line) => line.text);
    expect(text).toContain('KHO: found kexec handover data.');
    expect(text).toContain(`KHO: exec from: ${revision.release} (count 1)`);
    expect(text).toContain('luo_core: Retrieved live update data, liveupdate number: 1');

    const violations = new Violations();
    checkStamps(system, takeCensus(kernel), crossing, violations);
    checkOwnership(system, violations, true);
    expect(violations.all).toEqual([]);

    const caller = new Caller(system);
    expect(caller.open()).toBeGreaterThanOrEqual(0);
    const { table, incoming } = luo.sessions;
    const names: string[] = [];
    for (let s = incoming.head; s !== 0; s = table.next(s)) names.push(table.name(s));
    expect(names).toEqual(Array.from({ length: sessions }, (_, n) => sessionName(n)));
    const fds = names.map((name) => caller.retrieve(name));
    expect(fds.every((fd) => fd >= 0)).toBe(true);
    expect(fds.map((fd) => caller.finish(fd)).every((result) => result === 0)).toBe(true);
    expect(fds.map((fd) => caller.close(fd)).every((result) => result === 0)).toBe(true);
    expect(caller.close(caller.fd)).toBe(0);

    expect(isFinished(system)).toBe(true);
    const census = checkOwnership(system, violations, true);
    checkTransient(talliesByOwner(kernel, census), violations);
    checkLeft(system, census, crossing, violations);
    expect(violations.all).toEqual([]);
    expect([kernel.log.warnings, kernel.log.oopses]).toEqual([0, 0]);

    leave(system);
    const pieces = new Map(piecesOf(handoverOf(system)).map((piece) => [piece.path, piece]));
    const metadata = pieces.get('kexec-metadata');
    expect([fieldOf(metadata, 'previous_release'), fieldOf(metadata, 'kexec_count')]).toEqual([
      revision.release,
      2,
    ]);
    const number =
      fieldOf(pieces.get('luo'), 'liveupdate_num') ?? fieldOf(pieces.get('luo'), 'liveupdate-number');
    expect(number).toBe(2);
  });

  // Seen on the real ones, at the addresses of these images.
  it.each([
    ['k7113-819sessions', 'v7.3', '0x868000', 'kho-v4'],
    ['k734-51sessions', 'v7.1', '0x864000', 'kho-v3'],
  ] as const)('%s is refused by %s, which boots cold', (stem, name, at, wanted) => {
    const { kernel } = bootHanded(goldenImage(stem), KERNELS[name]);
    const text = kernel.log.lines.map((line) => line.text);
    expect(text).toContain(`KHO: setup: handover FDT (${at}) is incompatible with '${wanted}': 1`);
    expect(text).toContain('KHO: disabling KHO revival');
    expect(kernel.bootKind).toBe('rejected');
  });
});
