/*
 * Files and FLBs, byte for byte like the real kernels: what simulated ones leave after the same calls, and what they make
 * of the images: sessions, tokens, sizes, positions, seals, contents.
 *
 * Two of the extracts were cut where they were made. What they hold is compared; what is not is listed, piece by piece:
 *
 *   k734-130files      records and all behind them of files 2 to 129, kexec-metadata
 *   k734-6memfds-...   contents; all but the first 4 folios of each, of the larger two lists all but the first 8 pages
 */
import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../sim/base/errno.ts';
import { handoverDifference } from '../../sim/check/bijection.ts';
import { takeCensus } from '../../sim/check/census.ts';
import { checkOwnership, talliesByOwner } from '../../sim/check/frames.ts';
import { checkStamps } from '../../sim/check/handover.ts';
import { checkLeft, checkTransient, isFinished } from '../../sim/check/leak.ts';
import { Violations } from '../../sim/check/violation.ts';
import { V7_3 } from '../../sim/kernel/revisions.ts';
import { O_LARGEFILE, O_RDWR } from '../../sim/kernel/vfs.ts';
import { NO_FILE } from '../../sim/luo/file_table.ts';
import type { SessionHandle } from '../../sim/luo/session_table.ts';
import { Caller } from '../support/caller.ts';
import { goldenImage } from '../support/golden.ts';
import { bootHanded, crossingOf, preserveReached } from '../support/golden_boot.ts';
import {
  GOLDEN_SCENARIOS,
  type GoldenFile,
  type GoldenScenario,
  leftLike,
} from '../support/golden_scenarios.ts';
import { goldenHandover, handoverOf } from '../support/handovers.ts';
import { MIB } from '../support/system.ts';

const { EINVAL } = ERRNO;

const MANY = 'k734-130files';
const LARGE = 'k734-6memfds-4K-to-32M';

const every = GOLDEN_SCENARIOS.map((scenario) => [scenario.stem, scenario] as const);
const whole = every.filter(([stem]) => stem !== MANY && stem !== LARGE);
const scenarioOf = (stem: string): GoldenScenario => {
  return GOLDEN_SCENARIOS.find((scenario) => scenario.stem === stem) as GoldenScenario;
};

/** Pieces that an extract has nothing of, how many of each kind. */
const UNTOLD: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  // Of the second memfd's 4 pages the first 64 bytes are there.
  'k734-3sessions-2files': { 'memfd.contents': 3 },
  'k7113-3sessions-2files': { 'memfd.contents': 3 },
  'k734-flb-test-4sessions': { 'memfd.contents': 6 },
  [MANY]: {
    'kexec-metadata': 1,
    memfd: 128,
    'memfd.chunk': 128,
    'memfd.page': 128,
    'memfd.folio': 128,
    'memfd.contents': 128,
  },
  // 55 pages with 13,585 entries in all: of the first page of each memfd, at most 4 entries are there.
  [LARGE]: { 'memfd.page': 49, 'memfd.folio': 13_564, 'memfd.contents': 13_585 },
};

function summary(paths: readonly string[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const path of paths) {
    const kind = path.replace(/^session\[\d+\]\.file\[\d+\]\./, '').replace(/\[\d+\]/g, '');
    found[kind] = (found[kind] ?? 0) + 1;
  }
  return found;
}

describe('what is written at the jump', () => {
  it.each(every)('%s is what the simulated kernel writes', (stem, scenario) => {
    const system = leftLike(scenario);
    const untold: string[] = [];
    expect(handoverDifference(goldenHandover(stem), handoverOf(system), untold)).toBeUndefined();
    expect(summary(untold)).toEqual(UNTOLD[stem]);
    if (stem === LARGE) return;
    const other: string[] = [];
    expect(handoverDifference(handoverOf(system), goldenHandover(stem), other)).toBeUndefined();
    expect(other.sort()).toEqual(untold.sort());
  });

  it('has as many blocks as a map had that was cut', () => {
    const cut = goldenHandover(MANY);
    const system = handoverOf(leftLike(scenarioOf(MANY)));
    const field = 'blocks';
    expect(handoverDifference({ ...cut, preservedTotal: 529 }, system)).toMatchObject({
      field,
      other: '528',
    });
    expect(handoverDifference(system, { ...cut, preservedTotal: 527 })).toMatchObject({ field, one: '528' });
  });

  const changed = (stem: string, change: (file: GoldenFile, n: number) => GoldenFile): GoldenScenario => {
    const scenario = scenarioOf(stem);
    const sessions = scenario.sessions.map(({ name, files }) => ({ name, files: files.map(change) }));
    return { ...scenario, sessions };
  };

  it.each<[string, GoldenScenario, string, string]>([
    [
      'a token',
      changed(MANY, (file, n) => (n === 129 ? { ...file, token: 130 } : file)),
      'session[0].file[129]',
      'token',
    ],
    [
      'a letter',
      changed(MANY, (file, n) => (n === 1 ? { ...file, contents: 'file 2' } : file)),
      'session[0].file[1].memfd.contents[0]',
      'byte 5',
    ],
    [
      'a position',
      changed(MANY, (file, n) => (n === 0 ? { ...file, contents: 'file 00' } : file)),
      'session[0].file[0].memfd',
      'pos',
    ],
    [
      'a seal',
      changed('k734-3sessions-2files', (file) => ({ ...file, seals: 1 })),
      'session[0].file[0].memfd',
      'seals',
    ],
    [
      'a page',
      changed(LARGE, (file) => ({ ...file, size: file.size + (file.size > 2 ** 24 ? 4096 : 0) })),
      'session[0].file[5].memfd',
      'size',
    ],
    ['an object', { ...scenarioOf('k734-flb-test-4sessions'), liveupdateTest: false }, 'flb-page', 'count'],
  ])('another of %s is told apart', (_what, scenario, path, field) => {
    const other = handoverOf(leftLike(scenario));
    expect(handoverDifference(goldenHandover(scenario.stem), other)).toMatchObject({ path, field });
    expect(handoverDifference(other, goldenHandover(scenario.stem))).toMatchObject({ path, field });
  });
});

/** What a file that came back differs in from the one that was preserved, as far as it is known. */
function differences(user: Caller, fd: number, file: GoldenFile, known: number): string[] {
  const { size, pos, seals, flags } = user.stat(fd);
  const wrong: string[] = [];
  const same = (what: string, found: unknown, wanted: unknown): void => {
    if (found !== wanted) wrong.push(`${what} of file ${file.token} is ${found}, not ${wanted}`);
  };
  same('size', size, file.size);
  same('position', pos, file.pos);
  same('seals', seals, file.seals);
  same('flags', flags, O_RDWR | O_LARGEFILE);
  if (file.contents !== undefined) same('text', user.read(fd, known), file.contents.slice(0, known));
  return wrong;
}

const dmesg = ({ system }: Caller): string[] => system.kernel.log.lines.map(({ text }) => text);

describe('a simulated kernel that boots on what a real one left', () => {
  it.each(whole)('%s: retrieves every file, finishes and closes all of it', (stem, scenario) => {
    const { revision, liveupdateTest, sessions } = scenario;
    const crossing = crossingOf(stem);
    const system = bootHanded(goldenImage(stem), revision, { liveupdateTest });
    const violations = new Violations();
    checkStamps(system, takeCensus(system.kernel), crossing, violations);
    checkOwnership(system, violations, true);
    expect(violations.all).toEqual([]);

    const user = new Caller(system);
    expect(user.open()).toBeGreaterThanOrEqual(0);
    for (const { name, files } of sessions) {
      const session = user.retrieve(name);
      const fds = files.map(({ token }) => user.retrieveFd(session, token));
      expect(files.flatMap((file, i) => differences(user, fds[i] as number, file, 64))).toEqual([]);
      expect(user.retrieveFd(session, 0x1002)).toBe(-2);
      expect([user.finish(session), user.close(session)]).toEqual([0, 0]);
      // Afterwards they are files like any other.
      for (const fd of fds) {
        expect([user.truncate(fd, 1 << 20), user.pwrite(fd, 5, 'x'), user.close(fd)]).toEqual([0, 1, 0]);
      }
    }
    user.close(user.fd);
    expect(isFinished(system)).toBe(true);
    const census = checkOwnership(system, violations, true);
    checkTransient(talliesByOwner(system.kernel, census), violations);
    checkLeft(system, census, crossing, violations);
    expect(violations.all).toEqual([]);
    expect([system.kernel.log.warnings, system.kernel.log.oopses]).toEqual([0, 0]);
    const flbs = dmesg(user).filter((text) => /triggered|found flb|ERROR/.test(text));
    expect(flbs).toEqual(
      liveupdateTest
        ? [
            ...[0, 1, 2].map(
              (i) => `luo_test: found flb data from the previous boot: liveupdate-test-flb-v${i}`,
            ),
            ...[2, 1, 0].map((i) => `luo_test: finish was triggered for liveupdate-test-flb-v${i}`),
          ]
        : [],
    );
  });

  // The extract has neither the areas nor all of the map: the areas are those of the same machine with 3 sessions.
  it(`${MANY}: deserializes 130 files, retrieves those whose records are there, and finishes`, () => {
    const { scratch } = goldenImage('k734-3sessions-2files');
    const image = { ...goldenImage(MANY), scratch, ramBytes: 256 * MIB };
    let added = 0;
    const system = bootHanded(image, V7_3, {}, (ram) => {
      added = preserveReached(MANY, ram);
    });
    // A block of files, and 31 records.
    expect(added).toBe(32);
    const user = new Caller(system);
    user.open();
    const session = user.retrieve('files');
    const { table, sets } = system.luo.files;
    const tokens: number[] = [];
    const set = system.luo.sessions.incoming.head as SessionHandle;
    for (let file = sets.first(set); file !== NO_FILE; file = table.next(file)) {
      tokens.push(table.tokenLow(file));
    }
    expect(tokens).toEqual(Array.from({ length: 130 }, (_, i) => i));
    const files = scenarioOf(MANY).sessions[0]?.files.slice(0, 2) ?? [];
    const fds = files.map(({ token }) => user.retrieveFd(session, token));
    expect(files.flatMap((file, i) => differences(user, fds[i] as number, file, 6))).toEqual([]);
    expect([user.finish(session), user.close(session)]).toEqual([0, 0]);
    expect([system.kernel.log.warnings, table.slab.live]).toEqual([0, 0]);
  });

  it(`${LARGE}: retrieves those whose lists are there, and finishes`, () => {
    const system = bootHanded(goldenImage(LARGE), V7_3, {}, (ram) => void preserveReached(LARGE, ram));
    const user = new Caller(system);
    user.open();
    const session = user.retrieve('mem');
    const files = scenarioOf(LARGE).sessions[0]?.files ?? [];
    const fds = files.map(({ token }) => user.retrieveFd(session, token));
    // Of the last two, 8 pages of 16 and of 32 are listed.
    expect(fds.slice(4)).toEqual([-EINVAL, -EINVAL]);
    expect(files.slice(0, 4).flatMap((file, i) => differences(user, fds[i] as number, file, 0))).toEqual([]);
    expect(fds.slice(0, 4).map((fd) => user.stat(fd).blocks / 8)).toEqual([1, 4, 4, 4]);
    expect([user.finish(session), user.close(session)]).toEqual([0, 0]);
    expect(system.luo.files.table.slab.live).toBe(0);
  });
});
