/*
 * The root of a handover and what KHO itself put there, as the next kernel reads it. Layouts: kho/abi.ts.
 *
 *   kho-root --preserved-memory-map--> radix-node[] radix-leaf[]     or bitmap-chunk[] bitmap[]
 *            --LUO-->            luo ...                 walk_luo.ts
 *            --kexec-metadata--> kexec-metadata
 *            --kho_test-->       kho_test --folios_info--> chunks, pages, folios
 *            --NAME-->           subtree[NAME]           not gone into
 */
import { PAGE_SIZE } from '../base/limits.ts';
import { type Order, orderOf, type Phys } from '../base/units.ts';
import {
  KEXEC_METADATA,
  KEXEC_METADATA_NODE,
  KHO_DATA_PROPERTY,
  KHO_MAP_PROPERTY,
  KHO_V1_DATA_PROPERTY,
} from '../kho/abi.ts';
import { checkHeader } from '../kho/fdt.ts';
import type { Subtree } from '../kho/root_fdt.ts';
import { LUO_SUBTREE } from '../luo/abi.ts';
import type { Piece } from './anatomy.ts';
import { fdtBytes, fdtFields, numberOf, structFields, u64At } from './decode.ts';
import { readKhoRoot } from './published.ts';
import { mapView } from './tracker_view.ts';
import { headOf, insideOf, type Walk } from './walk.ts';
import { luoPieces } from './walk_luo.ts';
import { descriptorOf, descriptorProblems, vmallocPieces } from './walk_vmalloc.ts';

/** Where the tree of lib/test_kho.c names what it preserved. */
export const KHO_TEST = {
  subtree: 'kho_test',
  node: 'data',
  folios: 'folios_info',
  nr: 'nr_folios',
} as const;

const ROOT_ADDRESSES = [KHO_MAP_PROPERTY, KHO_DATA_PROPERTY, KHO_V1_DATA_PROPERTY];

/** The root, the map, and every subtree. */
export function* khoPieces(walk: Walk, fdtPhys: number): Generator<Piece, void, void> {
  const problems: string[] = [];
  if (!walk.leads(fdtPhys, 'the address of the root', problems)) {
    yield insideOf('kho-root', 'fdt', fdtPhys as Phys, 0, [], problems);
    return;
  }
  const { fdt, format, mapPhys, subtrees, problems: found } = readKhoRoot(walk.memory, fdtPhys);
  problems.push(...found);
  if (mapPhys === fdtPhys) problems.push(`${KHO_MAP_PROPERTY} is the root itself`);
  else if (format !== undefined && walk.leads(mapPhys, KHO_MAP_PROPERTY, problems)) {
    walk.tracker = mapView(walk.memory, mapPhys, format.bitmaps);
  }
  const followed = [...subtrees].filter(([name, { phys }]) =>
    walk.leads(phys, `subtree "${name}"`, problems),
  );
  const root = walk.begin(fdtPhys, 0 as Order);
  root.problems.push(...problems);
  yield headOf('kho-root', 'fdt', root, fdtBytes(fdt), fdtFields(fdt, ROOT_ADDRESSES));
  if (walk.tracker !== undefined) yield* walk.tracker.pieces(walk.met);
  for (const [name, subtree] of followed) yield* subtreePieces(walk, name, subtree);
}

function* subtreePieces(walk: Walk, name: string, subtree: Subtree): Generator<Piece, void, void> {
  if (name === LUO_SUBTREE) yield* luoPieces(walk, subtree);
  else if (name === KEXEC_METADATA_NODE) yield metadataPiece(walk, subtree);
  else if (name === KHO_TEST.subtree) yield* khoTestPieces(walk, subtree);
  else {
    const block = walk.begin(subtree.phys, orderOf(Math.min(subtree.bytes, walk.memory.bytes)));
    yield headOf(
      `subtree[${name}]`,
      'blob',
      block,
      walk.memory.has(subtree.phys, subtree.bytes) ? subtree.bytes : 0,
      [],
    );
  }
}

/** As kho_in_kexec_metadata reads it. */
function metadataPiece(walk: Walk, { phys, bytes }: Subtree): Piece {
  const block = walk.begin(phys, 0 as Order);
  const fields = structFields(walk.memory, phys, KEXEC_METADATA);
  const version = numberOf(fields, 'version');
  if (bytes < KEXEC_METADATA.size) block.problems.push(`has ${bytes} bytes of ${KEXEC_METADATA.size}`);
  if (version !== 1) block.problems.push(`has version ${version}, which no reader knows`);
  const release = fields.find(({ name }) => name === 'previous_release');
  if (release !== undefined && `${release.value}`.length === release.bytes) {
    block.problems.push('previous_release has no end');
  }
  return headOf(KEXEC_METADATA_NODE, KEXEC_METADATA.name, block, KEXEC_METADATA.size, fields);
}

/** lib/test_kho.c: its tree, the list of its folios, and the folios. As kho_test_restore reads it. */
export function* khoTestPieces(walk: Walk, { phys }: Subtree): Generator<Piece, void, void> {
  const block = walk.begin(phys, 0 as Order);
  const fdt = walk.memory.loadBytes(phys, PAGE_SIZE);
  const fields = fdtFields(fdt, []);
  const list = `${KHO_TEST.node}/${KHO_TEST.folios}`;
  const descriptor = descriptorOf(fields, list);
  const nr = numberOf(fields, `${KHO_TEST.node}/${KHO_TEST.nr}`);
  if (checkHeader(fdt) < 0) block.problems.push('is no device tree');
  else descriptorProblems(walk, descriptor, list, block.problems);
  yield headOf(KHO_TEST.subtree, 'fdt', block, fdtBytes(fdt), fields);
  if (!block.fresh) return;
  const folios = function* (page: Phys, first: number, bytes: number): Generator<Piece, void, void> {
    for (let i = 0; i < bytes / 8; i++) {
      const number = (first * PAGE_SIZE) / 8 + i;
      if (number < nr) yield* khoTestFolio(walk, (page + i * 8) as Phys, number);
    }
  };
  yield* vmallocPieces(walk, descriptor, { chunk: 'kho_test.chunk', page: 'kho_test.page' }, folios);
}

/** An entry is address | order. */
function* khoTestFolio(walk: Walk, at: Phys, number: number): Generator<Piece, void, void> {
  const value = walk.memory.load64(at);
  const order = value % PAGE_SIZE;
  const folio = value - order;
  const problems: string[] = [];
  const leads = walk.leads(folio, 'address', problems);
  const isOrder = 2 ** order * PAGE_SIZE <= walk.memory.bytes;
  if (!isOrder) problems.push(`has order ${order}`);
  const field = {
    name: 'address',
    offset: 0,
    bytes: 8,
    kind: 'address',
    value: u64At(walk.memory, at),
  } as const;
  yield insideOf(`kho_test.entry[${number}]`, 'kho_test entry', at, 8, [field], problems);
  if (!leads || !isOrder) return;
  const block = walk.begin(folio, order as Order);
  yield headOf(`kho_test.folio[${number}]`, 'folio', block, block.fresh ? PAGE_SIZE * 2 ** order : 0, []);
}
