import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as patches from '../../sim/kernel/patches.ts';
import { PATCHES, type Patch, withDependents, withRequired } from '../../sim/kernel/patches.ts';
import {
  APRIL_V1,
  APRIL_V1_P1,
  INFERRED,
  LOCKING_SERIES,
  parseRevision,
  REVISIONS,
  type Revision,
  revisionByName,
  V7_0,
  V7_1,
  V7_3,
  withPatches,
} from '../../sim/kernel/revisions.ts';

const MIB = 2 ** 20;
const names = (list: readonly Patch[]): string[] => list.map(({ name }) => name);

function valid(result: Revision | string): Revision {
  if (typeof result === 'string') throw new Error(result);
  return result;
}

/** Any revision after changes one after the other, those left out that contradict it. */
const arbitraryVariant = fc
  .record({
    base: fc.constantFrom(...REVISIONS),
    changes: fc.array(fc.record({ add: fc.boolean(), patch: fc.constantFrom(...PATCHES) }), {
      maxLength: 12,
    }),
  })
  .map(({ base, changes }) =>
    changes.reduce((revision: Revision, { add, patch }) => {
      const changed = add ? withPatches(revision, [patch.name], []) : withPatches(revision, [], [patch.name]);
      return typeof changed === 'string' ? revision : changed;
    }, base),
  );
const arbitraryPatch = fc.constantFrom(...PATCHES);

const minus = (a: readonly Patch[], b: readonly Patch[]): string[] =>
  names(a.filter((patch) => !b.includes(patch)));

describe('with and without', () => {
  it('a patch that is taken away and put back, with what went along, leaves no trace', () => {
    fc.assert(
      fc.property(arbitraryVariant, arbitraryPatch, (revision, patch) => {
        const without = valid(withPatches(revision, [], [patch.name]));
        expect(without.patches).not.toContain(patch);
        const gone = minus(revision.patches, without.patches);
        expect(gone).toEqual(
          names(withDependents(patch).filter((other) => revision.patches.includes(other))),
        );
        expect(withPatches(without, gone, [])).toEqual(revision);
        if (gone.length === 1) expect(withPatches(without, [patch.name], [])).toEqual(revision);
      }),
    );
  });

  it('a patch that is added and taken away, with what came along, leaves no trace', () => {
    fc.assert(
      fc.property(arbitraryVariant, arbitraryPatch, (revision, patch) => {
        const added = withPatches(revision, [patch.name], []);
        if (typeof added === 'string') {
          expect(added).toContain('two designs for one thing');
          return;
        }
        const come = minus(added.patches, revision.patches);
        expect(come).toEqual(names(withRequired(patch).filter((other) => !revision.patches.includes(other))));
        expect(withPatches(added, [], come)).toEqual(revision);
      }),
    );
  });

  it('make sets that do not contradict themselves, in one order', () => {
    fc.assert(
      fc.property(arbitraryVariant, (revision) => {
        for (const patch of revision.patches) {
          for (const needed of patch.requires) expect(revision.patches).toContain(needed);
          for (const other of patch.excludes) expect(revision.patches).not.toContain(other);
        }
        expect(revision.patches).toEqual(PATCHES.filter((patch) => revision.patches.includes(patch)));
      }),
    );
  });

  it('are in the name, which names the same revision again', () => {
    fc.assert(
      fc.property(arbitraryVariant, (revision) => {
        expect(parseRevision(revision.name)).toEqual(revision);
        expect(revisionByName(revision.name)).toEqual(revision);
      }),
    );
    for (const revision of REVISIONS) expect(revision.name).toBe(revision.base);
    expect(valid(withPatches(V7_1, ['get-name'], ['serialize-rwsem', 'name-check'])).name).toBe(
      'v7.1 +get-name -serialize-rwsem -name-check',
    );
  });

  it('keep the release, and change nothing that is so already', () => {
    const same = valid(withPatches(V7_1, ['name-check'], ['get-name']));
    expect(same).toEqual(V7_1);
    expect(valid(withPatches(V7_1, [], ['name-check'])).release).toBe('7.1.13');
  });

  it('take along and bring what builds on what', () => {
    const array = valid(withPatches(APRIL_V1, [], ['session-blocks']));
    expect({ ...array, name: '', base: '', release: '' }).toEqual({
      ...V7_0,
      name: '',
      base: '',
      release: '',
    });
    expect(array.parts.sessionStore).toBe('array-16');
    expect(array.name).toBe('april-v1 -session-blocks -file-blocks');
    const chain = valid(withPatches(V7_1, ['file-blocks'], []));
    expect(chain.name).toBe('v7.1 +session-blocks +file-blocks');
    const strings = ({ khoCompatible, luoCompatible }: Revision): string =>
      `${khoCompatible} ${luoCompatible}`;
    expect(strings(valid(withPatches(V7_3, [], ['file-block-set'])))).toBe('kho-v4 luo-v4');
    expect(strings(valid(withPatches(V7_3, [], ['session-block-set'])))).toBe('kho-v3 luo-v3');
    expect(strings(valid(withPatches(V7_1, [], ['kho-blob-size'])))).toBe('kho-v2 luo-v1');
    // The April design with everything that was merged around it.
    const april = valid(withPatches(V7_3, ['session-blocks'], ['luo-ser']));
    expect(april.parts).toEqual({ ...V7_1.parts, sessionStore: 'block-chain-16' });
    expect([april.khoCompatible, april.luoCompatible, april.sessionCompatible]).toEqual([
      'kho-v3',
      'luo-v1',
      'luo-session-v3',
    ]);
  });

  it.each([
    [['nonsense'], [], `no patch is named 'nonsense'; there are ${names(PATCHES).join(', ')}`],
    [[], ['nonsense'], `no patch is named 'nonsense'; there are ${names(PATCHES).join(', ')}`],
    [['get-name'], ['get-name'], 'get-name cannot be both added and taken away'],
    [['luo-ser'], ['kho-radix-tree'], 'luo-ser builds on kho-radix-tree, which is to be taken away'],
    [['session-blocks'], [], 'session-blocks and luo-ser are two designs for one thing: take one away'],
  ])('of %j and %j say in one line what is wrong', (add, remove, message) => {
    expect(withPatches(V7_3, add, remove)).toBe(message);
  });
});

describe('a name of a revision', () => {
  it.each([
    ['v8.0', /^no revision is named 'v8.0'; there are v6.19, v7.0, v7.1, april-v1-p1, april-v1, v7.3$/],
    ['', /^no revision is named ''/],
    ['v7.1 get-name', /'v7.1 get-name': a change to v7.1 is \+PATCH or -PATCH, one space before each/],
    ['v7.1  +get-name', /one space before each/],
    ['v7.1 +nonsense', /no patch is named 'nonsense'/],
  ])("that is '%s' says what is wrong with it", (name, message) => {
    expect(parseRevision(name)).toMatch(message);
    expect(revisionByName(name)).toBeUndefined();
  });
});

describe('what a kernel writes', () => {
  it('is told apart by its strings, whatever patches are combined', () => {
    // Every patch that changes a layout: one layout for each combination of strings.
    const wire = [
      patches.KHO_RADIX_TREE,
      patches.KHO_BLOB_SIZE,
      patches.LUO_SER,
      patches.SESSION_BLOCK_SET,
      patches.FILE_BLOCK_SET,
      patches.SESSION_BLOCKS,
      patches.FILE_BLOCKS,
    ];
    const layouts = new Map<string, string>();
    for (let subset = 0; subset < 2 ** wire.length; subset++) {
      const chosen = wire.filter((_, i) => (subset & (1 << i)) !== 0);
      const revision = withPatches(REVISIONS[0] as Revision, names(chosen), []);
      if (typeof revision === 'string') continue;
      const { khoCompatible, luoCompatible, sessionCompatible } = revision;
      const strings = [khoCompatible, luoCompatible, sessionCompatible].join(' ');
      const layout = names(wire.filter((patch) => revision.patches.includes(patch))).join(' ');
      expect(layouts.get(strings) ?? layout).toBe(layout);
      layouts.set(strings, layout);
    }
    expect(layouts.size).toBe(12);
  });
});

describe('the revisions', () => {
  const FIXED = {
    luoRoot: 'fdt',
    rebootExclusion: 'list-rwsem',
    tracker: 'radix',
    fileStore: 'array-2',
    nameIndex: 'list-scan',
  };
  const KHO_V3 = { khoCompatible: 'kho-v3', luoCompatible: 'luo-v1', scratch: 2 * MIB, kexecMetadata: true };
  const UNCHECKED = { retrieveLock: false, nameCheck: false, directionCheck: false };
  const CHECKED = { retrieveLock: true, nameCheck: true, directionCheck: true };
  const OLD_UAPI = { getName: false, finishReserved: false };
  const NOT_LATCHED = { latch: false, fileErrors: true };
  const FILES_7_0 = [
    'double-preserve',
    'retrieve-status',
    'unfreeze-keeps-data',
    'module-per-file',
    'flb-incoming-ref',
    'memfd-seals',
    'memfd-dirty',
    'memfd-unwind',
  ];
  const FROM_7_0 = ['kho-numa-split', 'kho-restore-any-order', 'kho-populate-cleanup', ...FILES_7_0];
  const FROM_7_3 = [
    'kho-radix-destroy',
    'kho-extended-scratch',
    'flb-outgoing-ref',
    'flb-retrieve-status',
    'retrieve-fd-guard',
  ];

  // The table of revisions, row by row.
  const TABLE: Record<string, object> = {
    'v6.19': {
      release: '6.19.0',
      ...{ khoCompatible: 'kho-v1', luoCompatible: 'luo-v1', scratch: 2 * MIB, kexecMetadata: false },
      sessionCompatible: 'luo-session-v2',
      parts: { ...FIXED, tracker: 'bitmaps', sessionStore: 'array-16' },
      ...UNCHECKED,
      ...OLD_UAPI,
      ...{ latch: false, fileErrors: false },
      also: [],
    },
    'v7.0': {
      release: '7.0.0',
      ...KHO_V3,
      sessionCompatible: 'luo-session-v2',
      parts: { ...FIXED, sessionStore: 'array-16' },
      ...UNCHECKED,
      ...OLD_UAPI,
      ...NOT_LATCHED,
      also: FROM_7_0,
    },
    'v7.1': {
      release: '7.1.13',
      ...KHO_V3,
      sessionCompatible: 'luo-session-v2',
      parts: { ...FIXED, sessionStore: 'array-16', rebootExclusion: 'global-rwsem' },
      ...CHECKED,
      ...OLD_UAPI,
      ...{ latch: true, fileErrors: true },
      also: FROM_7_0,
    },
    'april-v1-p1': {
      release: '7.0.0-april-v1-p1',
      ...KHO_V3,
      sessionCompatible: 'luo-session-v3',
      parts: { ...FIXED, sessionStore: 'block-chain-16' },
      ...UNCHECKED,
      ...OLD_UAPI,
      ...NOT_LATCHED,
      also: FROM_7_0,
    },
    'april-v1': {
      release: '7.0.0-april-v1',
      ...KHO_V3,
      sessionCompatible: 'luo-session-v4',
      parts: { ...FIXED, sessionStore: 'block-chain-16', fileStore: 'block-chain-2' },
      ...UNCHECKED,
      ...OLD_UAPI,
      ...NOT_LATCHED,
      also: FROM_7_0,
    },
    'v7.3': {
      release: '7.3.4',
      ...{ khoCompatible: 'kho-v4', luoCompatible: 'luo-v5', scratch: 4 * MIB, kexecMetadata: true },
      sessionCompatible: '',
      parts: {
        tracker: 'radix',
        luoRoot: 'luo_ser',
        sessionStore: 'block-set-1',
        fileStore: 'block-set-1',
        rebootExclusion: 'global-rwsem',
        nameIndex: 'list-scan',
      },
      ...CHECKED,
      ...{ getName: true, finishReserved: true },
      ...{ latch: true, fileErrors: true },
      also: [...FROM_7_0, ...FROM_7_3],
    },
  };

  it.each(REVISIONS.map((revision) => [revision.name, revision] as const))(
    '%s is its column of the table',
    (name, revision) => {
      const has = (patch: Patch): boolean => revision.patches.includes(patch);
      expect({
        release: revision.release,
        khoCompatible: revision.khoCompatible,
        luoCompatible: revision.luoCompatible,
        sessionCompatible: revision.sessionCompatible,
        parts: revision.parts,
        scratch: revision.scratchAlignBytes,
        kexecMetadata: revision.kexecMetadata,
        retrieveLock: has(patches.RETRIEVE_LOCK),
        nameCheck: has(patches.NAME_CHECK),
        directionCheck: has(patches.DIRECTION_CHECK),
        getName: has(patches.GET_NAME),
        finishReserved: has(patches.FINISH_RESERVED),
        latch: has(patches.DESERIALIZE_LATCH),
        fileErrors: has(patches.DESERIALIZE_FILE_ERRORS),
        also: [...FROM_7_0, ...FROM_7_3].filter((other) => names(revision.patches).includes(other)),
      }).toEqual(TABLE[name]);
    },
  );

  it('are those of the table, and told apart by name and release', () => {
    expect(REVISIONS.map(({ name }) => name)).toEqual(Object.keys(TABLE));
    expect(new Set(REVISIONS.map(({ release }) => release)).size).toBe(REVISIONS.length);
  });

  it('stand to each other as said', () => {
    expect(valid(withPatches(V7_1, [], names(LOCKING_SERIES))).patches).toEqual(V7_0.patches);
    expect(valid(withPatches(V7_0, ['session-blocks'], [])).patches).toEqual(APRIL_V1_P1.patches);
    expect(valid(withPatches(V7_0, ['file-blocks'], [])).patches).toEqual(APRIL_V1.patches);
    expect(valid(withPatches(APRIL_V1, names(V7_3.patches), ['session-blocks'])).patches).toEqual(
      V7_3.patches,
    );
  });

  it('say in one place what is inferred, of revisions that there are', () => {
    for (const { revisions, what } of INFERRED) {
      expect(what.length).toBeGreaterThan(0);
      for (const name of revisions) expect(TABLE).toHaveProperty([name]);
    }
    expect(INFERRED.flatMap(({ revisions }) => revisions)).not.toContain('v7.3');
  });
});

describe('the patches', () => {
  it('each belong to a revision, but for the designs that nobody has posted', () => {
    const used = (patch: Patch): boolean => REVISIONS.some((revision) => revision.patches.includes(patch));
    const unused = names(PATCHES.filter((patch) => !used(patch)));
    expect(unused).toEqual(['name-hash', 'name-rbtree', 'name-xarray', 'name-sort']);
  });

  it('are all listed, under names of their own, after what they build on', () => {
    const constants = Object.values(patches).filter(
      (value) => typeof value === 'object' && 'subject' in value,
    );
    expect(new Set(constants)).toEqual(new Set(PATCHES));
    expect(new Set(names(PATCHES)).size).toBe(PATCHES.length);
    for (const [i, patch] of PATCHES.entries()) {
      expect(patch.name).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
      for (const needed of patch.requires) expect(PATCHES.indexOf(needed)).toBeLessThan(i);
    }
  });

  it('have commits, dates and links in one form, or none', () => {
    for (const { commit, date, link, subject } of PATCHES) {
      expect(commit).toMatch(/^([0-9a-f]{12})?$/);
      expect(date).toMatch(/^(2026-\d\d(-\d\d)?)?$/);
      expect(link).toMatch(/^(https:\/\/\S+)?$/);
      expect(subject).not.toBe('');
    }
  });

  it('are told by their own constant when two have one subject', () => {
    expect(patches.SESSION_BLOCKS.subject).toBe(patches.SESSION_BLOCK_SET.subject);
    expect(patches.patchByName('session-blocks')).toBe(patches.SESSION_BLOCKS);
    expect(patches.patchByName('session-block-set')).toBe(patches.SESSION_BLOCK_SET);
  });
});
