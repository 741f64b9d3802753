/*
 * Files of a session as the next kernel reads them, and what their handlers wrote: memfd is known. Layouts: luo/abi.ts,
 * files/memfd_abi.ts. Nothing is shared with the readers of files/memfd.ts but layouts: an oracle reads for itself.
 *
 *   session[n].file_set_ser.files --> session[n].file-block[0]                 a region of entries, or blocks of them
 *                                     session[n].file[0] --data--> session[n].file[0].memfd
 *     .memfd --folios.first--> .memfd.chunk[0] --phys--> .memfd.page[0]        the array of folios
 *                                                        .memfd.folio[0]       an entry of it
 *                                     --pfn--> .memfd.contents[0]              the folio, not decoded
 */
import { entriesIn, type Layout } from '../base/layout.ts';
import { PAGE_SIZE } from '../base/limits.ts';
import { bytesOf, hex, type Order, orderOf, type Phys } from '../base/units.ts';
import {
  MEMFD_FOLIO_DIRTY,
  MEMFD_FOLIO_UPTODATE,
  MEMFD_LUO_ALL_SEALS,
  MEMFD_LUO_FOLIO_SER,
  MEMFD_LUO_SER,
  MEMFD_LUO_SER_V1,
  MEMFD_V1_COMPATIBLE,
  MEMFD_V2_COMPATIBLE,
} from '../files/memfd_abi.ts';
import { KHO_BLOCK_HEADER_SER, KHO_BLOCK_SIZE, KHO_MAX_BLOCKS } from '../kho/abi.ts';
import { LUO_FILE_BLOCK_SER, LUO_FILE_BYTES, LUO_FILE_MAX, LUO_FILE_SER } from '../luo/abi.ts';
import type { DecodedField, Piece } from './anatomy.ts';
import { numberOf, structFields } from './decode.ts';
import type { FileFormat } from './published.ts';
import type { StoreShape } from './store_shape.ts';
import { ANY_ORDER, headOf, insideOf, type Walk } from './walk.ts';
import { chainPieces } from './walk_chain.ts';
import { descriptorOf, descriptorProblems, vmallocPieces } from './walk_vmalloc.ts';

export interface FileSet {
  readonly files: number;
  readonly count: number;
}

type Pieces = Generator<Piece, void, void>;

const chainOf = (header: Layout<'next' | 'count'>, bytes: number, emptyBlocks: boolean): StoreShape => ({
  header,
  headerBytes: header.size,
  countAt: header.at.count,
  nextAt: header.at.next,
  perBlock: entriesIn(bytes, header, LUO_FILE_SER),
  order: orderOf(bytes),
  blocksMax: KHO_MAX_BLOCKS,
  emptyBlocks,
  publishedAtBoot: false,
});

const CHAINS = {
  chain: chainOf(LUO_FILE_BLOCK_SER, LUO_FILE_BYTES, true),
  'block set': chainOf(KHO_BLOCK_HEADER_SER, KHO_BLOCK_SIZE, false),
} as const;

/** Whether a session's files can be followed; says why not among its problems. */
export function fileSetProblems(
  walk: Walk,
  { files, count }: FileSet,
  format: FileFormat,
  problems: string[],
): boolean {
  if (files === 0) {
    if (count !== 0) problems.push(`counts ${count} files, and says of none where it is`);
    return false;
  }
  if (format === 'region' && count > LUO_FILE_MAX) problems.push(`counts ${count} files of ${LUO_FILE_MAX}`);
  return walk.leads(files, 'file_set_ser.files', problems);
}

/** The files of one session. */
export function* filePieces(
  walk: Walk,
  { files, count }: FileSet,
  format: FileFormat,
  session: string,
): Pieces {
  const visit = (phys: Phys, number: number): Pieces => fileEntry(walk, phys, `${session}.file[${number}]`);
  const block = `${session}.file-block`;
  const bytes = LUO_FILE_SER.size;
  if (format !== 'region') {
    yield* chainPieces(walk, files as Phys, CHAINS[format], { bytes, block, expected: count, visit });
    return;
  }
  const region = walk.begin(files as Phys, orderOf(LUO_FILE_BYTES));
  yield headOf(`${block}[0]`, 'luo_file_ser[]', region, region.fresh ? LUO_FILE_BYTES : 0, []);
  if (!region.fresh) return;
  for (let i = 0; i < Math.min(count, LUO_FILE_MAX); i++) yield* visit((files + i * bytes) as Phys, i);
}

function* fileEntry(walk: Walk, phys: Phys, path: string): Pieces {
  const problems: string[] = [];
  const compatible = structFields(walk.memory, phys, LUO_FILE_SER)[0]?.value;
  const isMemfd = compatible === MEMFD_V1_COMPATIBLE || compatible === MEMFD_V2_COMPATIBLE;
  // Only its handler knows what a file's data means.
  const fields = structFields(walk.memory, phys, LUO_FILE_SER, isMemfd ? ['data'] : []);
  if (!isMemfd) problems.push(`no handler is known for '${compatible}'`);
  const data = numberOf(fields, 'data');
  const follows = isMemfd && walk.leads(data, 'data', problems);
  yield insideOf(path, LUO_FILE_SER.name, phys, LUO_FILE_SER.size, fields, problems);
  if (follows) yield* memfdPieces(walk, data, `${path}.memfd`, compatible === MEMFD_V1_COMPATIBLE);
}

/** The record of a memfd, as memfd_luo_retrieve reads it. */
function* memfdPieces(walk: Walk, phys: Phys, path: string, isV1: boolean): Pieces {
  const layout: Layout<string> = isV1 ? MEMFD_LUO_SER_V1 : MEMFD_LUO_SER;
  const record = walk.begin(phys, 0 as Order);
  const { problems } = record;
  const fields = structFields(walk.memory, phys, layout, ['folios.first']);
  const seals = numberOf(fields, 'seals') & ~MEMFD_LUO_ALL_SEALS;
  if (seals !== 0) problems.push(`has seals ${hex(seals >>> 0)}, which no reader knows`);
  if (numberOf(fields, 'flags') !== 0)
    problems.push(`has flags ${hex(numberOf(fields, 'flags'))}, which no reader knows`);
  const nrFolios = numberOf(fields, 'nr_folios');
  const folios = descriptorOf(fields, 'folios');
  if (nrFolios > 0) descriptorProblems(walk, folios, 'folios', problems);
  const room = (folios.totalPages * PAGE_SIZE) / MEMFD_LUO_FOLIO_SER.size;
  if (nrFolios > room) problems.push(`counts ${nrFolios} folios, its array has room for ${room}`);
  yield headOf(path, layout.name, record, layout.size, fields);
  if (!record.fresh || nrFolios === 0) return;
  const visit = function* (page: Phys, first: number, bytes: number): Pieces {
    const number = (first * PAGE_SIZE) / MEMFD_LUO_FOLIO_SER.size;
    for (let i = 0; i < bytes / MEMFD_LUO_FOLIO_SER.size && number + i < nrFolios; i++) {
      yield* folioPieces(walk, (page + i * MEMFD_LUO_FOLIO_SER.size) as Phys, path, number + i);
    }
  };
  yield* vmallocPieces(walk, folios, { chunk: `${path}.chunk`, page: `${path}.page` }, visit);
}

function* folioPieces(walk: Walk, phys: Phys, path: string, number: number): Pieces {
  const { memory } = walk;
  const problems: string[] = [];
  // The frame number ends in bit 51, the flags begin there: no memory has frames of more than 48 bits.
  const high = memory.load32(phys + 4);
  const frame = (memory.load32(phys) >>> 0) + (high & 0xfffff) * 2 ** 32;
  const address = frame * PAGE_SIZE;
  const unknown = (high & 0xfff00000 & ~(MEMFD_FOLIO_DIRTY | MEMFD_FOLIO_UPTODATE)) >>> 0;
  if (unknown !== 0) problems.push(`has flags ${hex(unknown / 2 ** 20)}, which no reader knows`);
  const leads = frame !== 0 && walk.leads(address, 'the page of pfn', problems);
  yield insideOf(
    `${path}.folio[${number}]`,
    MEMFD_LUO_FOLIO_SER.name,
    phys,
    MEMFD_LUO_FOLIO_SER.size,
    [
      { name: 'pfn', offset: 0, bytes: 6, kind: 'address', value: address },
      { name: 'flags', offset: 6, bytes: 2, kind: 'number', value: high >>> 20 },
      ...structFields(memory, phys, MEMFD_LUO_FOLIO_SER).filter(({ name }) => name === 'index'),
    ] satisfies DecodedField[],
    problems,
  );
  if (!leads) return;
  const folio = walk.begin(address, ANY_ORDER);
  const bytes = folio.fresh ? bytesOf((folio.order ?? 0) as Order) : 0;
  yield headOf(`${path}.contents[${number}]`, 'folio', folio, bytes, []);
}
