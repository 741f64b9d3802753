/*
 * What LUO handed over, as the next kernel reads it. Layouts: luo/abi.ts; formats: published.ts.
 *
 *   luo --> session-block[0] session[0] ... session-block[1] ...     session[n].file...    walk_files.ts
 *       --> flb-page flb[0] ...
 */
import { SESSION_NAME_LENGTH } from '../base/limits.ts';
import type { Order, Phys } from '../base/units.ts';
import type { Subtree } from '../kho/root_fdt.ts';
import {
  LUO_FDT_FLB_HEADER,
  LUO_FDT_SESSION_HEADER,
  LUO_FLB_HEADER_SER,
  LUO_FLB_MAX,
  LUO_FLB_PAGES,
  LUO_FLB_SER,
  LUO_SER,
  LUO_SESSION_SER,
} from '../luo/abi.ts';
import type { Piece } from './anatomy.ts';
import { fdtBytes, fdtFields, numberOf, structFields } from './decode.ts';
import { NameIndex } from './name_index.ts';
import { type LuoFormat, readLuoRoot } from './published.ts';
import { shapeOf } from './store_shape.ts';
import { headOf, insideOf, type Walk } from './walk.ts';
import { chainPieces } from './walk_chain.ts';
import { filePieces, fileSetProblems } from './walk_files.ts';

/** The root, then sessions with their files, then FLBs. */
export function* luoPieces(walk: Walk, subtree: Subtree): Generator<Piece, void, void> {
  const { memory } = walk;
  const { fdt, format, sessions, flbs, problems } = readLuoRoot(memory, subtree);
  const block = walk.begin(subtree.phys, 0 as Order);
  const names = fdt === undefined ? SER_ADDRESSES : FDT_ADDRESSES;
  const fields =
    fdt === undefined ? structFields(memory, subtree.phys, LUO_SER, names) : fdtFields(fdt, names);
  // struct luo_ser may have 0 for either, a device tree has neither property then.
  const follows = (address: number, name: string): address is Phys =>
    (address !== 0 || fdt !== undefined) && walk.leads(address, name, problems);
  const hasSessions = format !== undefined && follows(sessions, names[0]);
  const hasFlbs = format !== undefined && follows(flbs, names[1]);
  block.problems.push(...problems);
  const struct = fdt === undefined ? LUO_SER.name : 'fdt';
  yield headOf('luo', struct, block, fdt === undefined ? LUO_SER.size : fdtBytes(fdt), fields);
  if (!block.fresh) return;
  if (hasSessions) yield* sessionPieces(walk, sessions, format);
  if (hasFlbs) yield* flbPieces(walk, flbs);
}

/** Sessions first, then FLBs. */
const SER_ADDRESSES = ['sessions_pa', 'flbs_pa'] as const;
const FDT_ADDRESSES = [LUO_FDT_SESSION_HEADER, LUO_FDT_FLB_HEADER] as const;

function* sessionPieces(
  walk: Walk,
  head: Phys,
  { sessions, files }: LuoFormat,
): Generator<Piece, void, void> {
  const names = new NameIndex(walk.memory);
  yield* chainPieces(walk, head, shapeOf(sessions), {
    bytes: LUO_SESSION_SER.size,
    block: 'session-block',
    expected: undefined,
    *visit(phys, number) {
      const fields = structFields(walk.memory, phys, LUO_SESSION_SER, ['file_set_ser.files']);
      const problems: string[] = [];
      if (fields[0]?.value.toString().length === SESSION_NAME_LENGTH) problems.push('its name has no end');
      const known = names.add(phys, number);
      if (known !== undefined) problems.push(`has the name of session[${known}]`);
      const set = {
        files: numberOf(fields, 'file_set_ser.files'),
        count: numberOf(fields, 'file_set_ser.count'),
      };
      const follows = fileSetProblems(walk, set, files, problems);
      const path = `session[${number}]`;
      yield insideOf(path, LUO_SESSION_SER.name, phys, LUO_SESSION_SER.size, fields, problems);
      if (follows) yield* filePieces(walk, set, files, path);
    },
  });
}

function* flbPieces(walk: Walk, phys: Phys): Generator<Piece, void, void> {
  const page = walk.begin(phys, 0 as Order);
  const { problems } = page;
  const fields = structFields(walk.memory, phys, LUO_FLB_HEADER_SER);
  const count = numberOf(fields, 'count');
  const pages = numberOf(fields, 'pgcnt');
  if (pages !== LUO_FLB_PAGES) problems.push(`says that it has ${pages} pages`);
  if (count > LUO_FLB_MAX) problems.push(`counts ${count} FLBs of ${LUO_FLB_MAX}`);
  yield headOf('flb-page', LUO_FLB_HEADER_SER.name, page, LUO_FLB_HEADER_SER.size, fields);
  if (!page.fresh) return;
  for (let i = 0; i < Math.min(count, LUO_FLB_MAX); i++) {
    const at = (phys + LUO_FLB_HEADER_SER.size + i * LUO_FLB_SER.size) as Phys;
    const entry = structFields(walk.memory, at, LUO_FLB_SER);
    const isOpen = entry[0]?.value.toString().length === entry[0]?.bytes;
    yield insideOf(
      `flb[${i}]`,
      LUO_FLB_SER.name,
      at,
      LUO_FLB_SER.size,
      entry,
      isOpen ? ['its name has no end'] : [],
    );
  }
}
