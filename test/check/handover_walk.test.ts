/*
 * The walk over a handover: what real kernels and every simulated revision leave is whole, and decoded as the extracts
 * of the real images say.
 */
import { describe, expect, it } from 'vitest';
import type { Piece } from '../../sim/check/anatomy.ts';
import { HandoverWalk } from '../../sim/check/handover_walk.ts';
import { REVISIONS, type Revision, revisionByName, V7_3 } from '../../sim/kernel/revisions.ts';
import { GOLDEN_IMAGES, goldenExtract, goldenImage } from '../support/golden.ts';
import {
  fieldOf,
  goldenHandover,
  handoverOf,
  left,
  piecesOf,
  problemsOf,
  sessionName,
} from '../support/handovers.ts';

// biome-ignore lint/suspicious/noExplicitAny: the documents of the extracts
type Json = any;

/** Images whose lists were cut: some blocks and contents are not known. */
const CUT = ['k734-130files', 'k734-6memfds-4K-to-32M'];
const WHOLE = GOLDEN_IMAGES.filter((stem) => !CUT.includes(stem));

const hexed = (value: unknown): string => `0x${(value as number).toString(16)}`;

describe('a handover of a real kernel', () => {
  it.each(WHOLE)('%s has no problem, and nothing that nobody reaches', (stem) => {
    const { memory, fdtPhys } = goldenHandover(stem);
    const walk = new HandoverWalk(memory, fdtPhys);
    expect(problemsOf(walk.pieces())).toEqual([]);
    expect([...walk.unreached()]).toEqual([]);
    expect([...walk.preserved()]).toHaveLength((goldenExtract(stem).json as Json).kho_map.preserved_total);
  });

  it.each(CUT)('%s lacks only what its extract lacks', (stem) => {
    const lacks = [
      /^kexec-metadata has version 0, which no reader knows$/,
      / is not preserved$/,
      /chunk\[0\] brings the list to 8 pages, of an area of (16|32)$/,
    ];
    const problems = problemsOf(piecesOf(goldenHandover(stem)));
    expect(problems.filter((text) => !lacks.some((known) => known.test(text)))).toEqual([]);
    expect(problems).not.toEqual([]);
  });

  it.each(GOLDEN_IMAGES)('%s is decoded as its extract says', (stem) => {
    const pieces = new Map(piecesOf(goldenHandover(stem)).map((piece) => [piece.path, piece]));
    const at = new Map([...pieces.values()].map((piece) => [`${piece.struct} ${hexed(piece.phys)}`, piece]));
    const { luo, memfd, kernel } = goldenExtract(stem).json as Json;
    const value = (path: string, name: string): unknown => fieldOf(pieces.get(path), name);

    expect(hexed(pieces.get('kho-root')?.phys)).toBe(hexed(goldenImage(stem).fdtPhys));
    expect(hexed(value('kho-root', 'LUO/preserved-data'))).toBe(luo.pa);
    expect(value('kho-root', 'LUO/blob-size')).toBe(luo.blob_size);
    if (stem !== 'k734-130files') {
      expect(`Linux ${value('kexec-metadata', 'previous_release')}`).toBe(kernel.split(' + ')[0]);
    }
    for (const name of ['sessions_pa', 'flbs_pa']) {
      if (luo[name] !== undefined) expect(hexed(value('luo', name))).toBe(luo[name]);
    }
    const blocks = luo.session_blocks ?? [luo.session_array];
    for (const [i, block] of blocks.entries()) {
      const piece = pieces.get(`session-block[${i}]`);
      expect([hexed(piece?.phys), fieldOf(piece, 'count')]).toEqual([block.pa, block.count]);
      if (block.next !== undefined) expect(hexed(fieldOf(piece, 'next'))).toBe(block.next);
      for (const [n, entry] of block.first3.entries()) sameSession(pieces.get(`session[${n}]`), entry);
      if (block.last) sameSession(pieces.get(`session[${block.count - 1}]`), block.last);
    }
    const sessions = [...pieces.values()].filter(({ struct }) => struct === 'luo_session_ser');
    expect(sessions).toHaveLength((goldenExtract(stem).json as Json).total_sessions);
    for (const set of luo.file_blocks ?? luo.file_arrays) {
      const session = sessions.find((piece) => fieldOf(piece, 'name') === set.session);
      let files = 0;
      for (const [i, block] of (set.blocks ?? [{ ...set, first3: set.entries }]).entries()) {
        expect(hexed(pieces.get(`${session?.path}.file-block[${i}]`)?.phys)).toBe(block.pa);
        for (const [n, entry] of block.first3.entries()) {
          const piece = pieces.get(`${session?.path}.file[${files + n}]`);
          const found = ['compatible', 'data', 'token'].map((name) => fieldOf(piece, name));
          expect([found[0], hexed(found[1]), hexed(found[2])]).toEqual([
            entry.compatible,
            entry.data,
            entry.token,
          ]);
        }
        files += block.count;
      }
      expect(files).toBe(set.count);
    }
    for (const record of memfd) sameMemfd(at.get(`memfd_luo_ser ${record.pa}`), record, at);
  });

  it('k734-flb-test-4sessions has three FLBs of four files each', () => {
    const flbs = piecesOf(goldenHandover('k734-flb-test-4sessions')).filter(
      ({ struct }) => struct === 'luo_flb_ser',
    );
    expect(flbs.map(({ fields }) => fields.map(({ value }) => value))).toEqual(
      [0n, 1n, 2n].map((n) => [`liveupdate-test-flb-v${n}`, 0xfeedf00dcafebee0n + n, 4]),
    );
  });
});

function sameSession(piece: Piece | undefined, { name, files, count }: Json): void {
  expect(piece?.bytes).toBe(80);
  const [known, address, number] = ['name', 'file_set_ser.files', 'file_set_ser.count'].map((n) =>
    fieldOf(piece, n),
  );
  expect([known, hexed(address), number]).toEqual([name, files, count]);
}

function sameMemfd(piece: Piece | undefined, record: Json, at: ReadonlyMap<string, Piece>): void {
  for (const name of ['pos', 'size', 'seals', 'flags', 'nr_folios'])
    expect(fieldOf(piece, name)).toBe(record[name]);
  const { first_pa, total_pages, flags, order, pages_pa, chunk_next } = record.folios;
  expect(hexed(fieldOf(piece, 'folios.first'))).toBe(first_pa);
  for (const [name, value] of Object.entries({ total_pages, flags, order })) {
    expect(fieldOf(piece, `folios.${name}`)).toBe(value);
  }
  const chunk = at.get(`kho_vmalloc_chunk ${first_pa}`);
  expect(hexed(fieldOf(chunk, 'next'))).toBe(chunk_next);
  for (const [i, page] of pages_pa.entries()) expect(hexed(fieldOf(chunk, `phys[${i}]`))).toBe(page);
  for (const [i, entry] of record.folio_entries.entries()) {
    const folio = at.get(`memfd_luo_folio_ser ${hexed(Number(pages_pa[0]) + i * 16)}`);
    expect(hexed((fieldOf(folio, 'pfn') as number) / 4096)).toBe(entry.pfn);
    expect([fieldOf(folio, 'flags'), fieldOf(folio, 'index')]).toEqual([entry.flags, entry.index]);
  }
}

/** Formats that no release has: kho-v2, luo-v3, luo-v4. */
const BETWEEN = ['v6.19 +kho-radix-tree', 'v7.3 -session-block-set', 'v7.3 -file-block-set'];

describe.each([...REVISIONS.map(({ name }) => name), ...BETWEEN])('a handover of %s', (name) => {
  const revision = revisionByName(name) as Revision;

  it.each([0, 1, 52, 800])('with %i sessions is whole, and all of it is reached', (sessions) => {
    const system = left({ revision, sessions });
    const { memory, fdtPhys } = handoverOf(system);
    const walk = new HandoverWalk(memory, fdtPhys);
    const pieces = [...walk.pieces()];
    expect(problemsOf(pieces)).toEqual([]);
    const names = pieces
      .filter(({ struct }) => struct === 'luo_session_ser')
      .map((piece) => fieldOf(piece, 'name'));
    expect(names).toEqual(Array.from({ length: sessions }, (_, n) => sessionName(n)));
    const blocks: string[] = [];
    system.kho.out.tracker?.walk((phys, order) => blocks.push(`${phys} ${order}`) * 0);
    expect([...walk.preserved()].map(({ phys, order }) => `${phys} ${order}`)).toEqual(blocks);
    expect([...walk.unreached()]).toEqual([]);
    const nodes = system.kho.out.tracker?.nodes().map((node) => node * 4096);
    const map = pieces
      .filter(({ struct }) => /radix|mem_chunk|mem_phys/.test(struct))
      .map(({ phys }) => phys);
    expect(map.sort()).toEqual(nodes?.sort());
    system.kernel.machine.dispose();
  });
});

it('what lib/test_kho.c saved is reached to the last folio', () => {
  const system = left({ revision: V7_3, sessions: 1, khoTest: true });
  const { memory, fdtPhys } = handoverOf(system);
  const walk = new HandoverWalk(memory, fdtPhys);
  const pieces = [...walk.pieces()];
  expect(problemsOf(pieces)).toEqual([]);
  expect([...walk.unreached()]).toEqual([]);
  const folios = pieces.filter(({ path }) => path.startsWith('kho_test.folio'));
  expect(folios).toHaveLength(
    fieldOf(
      pieces.find(({ path }) => path === 'kho_test'),
      'data/nr_folios',
    ) as number,
  );
  expect(folios.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(2 ** 23);
});
