/*
 * An image checked: what it holds, piece by piece; what is broken in it; and what the kernel that reads it makes of it.
 *
 *   root     given, said by the file, or the best that is found (image_root.ts)
 *   walk     every piece that can be reached from it, decoded (check/handover_walk.ts)
 *   tracker  what is preserved, and which of it no address leads to
 *   boot     the incoming path over the same memory (image_boot.ts), in scratch areas that are given, known or assumed
 *
 * Where nothing is wrong with it, the sessions that the kernel lists must be those that the walk met, in their order.
 */
import { Decisions } from '../base/decisions.ts';
import { Digest } from '../base/digest.ts';
import { hex, type Phys } from '../base/units.ts';
import type { System } from '../boot/boot.ts';
import type { Crossing } from '../check/handover.ts';
import { walkHandover } from '../check/handover_walk.ts';
import { TAKEN_EARLY } from '../check/owners.ts';
import type { Violations } from '../check/violation.ts';
import { ICOUNT } from '../kernel/cost.ts';
import { type Revision, V7_3 } from '../kernel/revisions.ts';
import { NAME_WORDS } from '../luo/name.ts';
import { NO_SESSION } from '../luo/session_table.ts';
import { Machine } from '../machine/machine.ts';
import { PiecePool } from '../machine/pool.ts';
import { bootImage } from './image_boot.ts';
import { ImageContents } from './image_contents.ts';
import type { Image } from './image_file.ts';
import {
  IMAGE_SCHEMA_VERSION,
  type ImageProblem,
  type ImageReport,
  type IncomingReport,
  type Piece,
} from './image_report.ts';
import { findRoots, type Root, readRootAt, revisionOf } from './image_root.ts';
import { type BootPlace, bootPlace, SCRATCH, scratchArray } from './image_scratch.ts';

export interface CheckImageOptions {
  /** Address of the root. */
  readonly fdtPhys?: number;
  /** Address of an array of scratch areas. */
  readonly scratchPhys?: number;
  /** Who reads it; who wrote it unless given. */
  readonly revision?: Revision;
}

export interface CheckedImage {
  readonly report: ImageReport;
  /** All of it, decoded; reads the image anew. */
  readonly pieces: () => Iterable<Piece>;
}

/** What the kernel says that finds no room in scratch. */
const NO_ROOM = 'memblock: out of memory';
const TOO_SMALL =
  'the scratch areas are too small for what a simulated kernel takes early: its boot is not judged';

/** Checks an image; a string is why it cannot be used, to be said after its name. */
export function checkImage(image: Image, options: CheckImageOptions = {}): CheckedImage | string {
  const roots = rootsOf(image, options.fdtPhys);
  if (typeof roots === 'string') return roots;
  const [root] = roots;
  const writer = revisionOf(root.formats);
  const reader = options.revision ?? writer ?? V7_3;
  const contents = new ImageContents(image.memory, root.phys, image.doubt);
  if (writer !== undefined) for (const problem of formatProblems(root, reader)) contents.addProblem(problem);
  const place = bootPlace(image, options.scratchPhys, contents);
  if (typeof place === 'string') return place;
  contents.checkPlaces(place.scratch?.areas ?? []);
  const booted = place.boots ? bootFrom(image, root, reader, place, contents) : undefined;
  const isShort = booted?.dmesg.some((line) => line.includes(NO_ROOM)) === true;
  if (isShort && place.arrayPhys !== undefined)
    contents.addProblem({
      path: SCRATCH,
      phys: place.arrayPhys,
      text: 'has no room for the kernel that reads it',
    });
  const incoming = isShort && place.arrayPhys === undefined ? undefined : booted;
  const report: ImageReport = {
    schemaVersion: IMAGE_SCHEMA_VERSION,
    kind: image.kind,
    ramBytes: image.ramBytes,
    ranges: image.memory.ranges,
    roots,
    recognised: writer?.name,
    revision: reader.name,
    scratch: place.scratch,
    notes: [...image.notes, ...place.notes, ...(booted === incoming ? [] : [TOO_SMALL])],
    missing: image.missing,
    pieces: contents.pieces,
    kinds: contents.kinds,
    outline: contents.outline,
    outlineCount: contents.outlineCount,
    problems: contents.problems,
    problemCount: contents.problemCount,
    doubtful: contents.doubtful,
    doubtfulCount: contents.doubtfulCount,
    preserved: contents.preserved,
    sessions: contents.sessions,
    incoming,
    absentPages: [...image.memory.absent],
    isBroken: contents.problemCount > 0 || (incoming !== undefined && stumbled(incoming)),
  };
  return { report, pieces: () => walkHandover(image.memory, root.phys) };
}

const stumbled = (incoming: IncomingReport): boolean =>
  incoming.bootKind !== 'handover' ||
  incoming.open !== 'OK' ||
  incoming.warnings + incoming.oopses + incoming.violations.length > 0;

/** The root to follow, and behind it the others that were found. */
function rootsOf({ memory, fdtPhys }: Image, asked?: number): readonly [Root, ...Root[]] | string {
  const said = asked ?? fdtPhys;
  if (said === 0) return 'says that nothing was handed over: its root has address 0; give --fdt';
  if (said !== undefined) {
    const root = readRootAt(memory, said as Phys);
    return root === undefined
      ? `has no page of memory at ${hex(said)}, where its root should be; give another --fdt`
      : [root];
  }
  const [first, ...others] = findRoots(memory);
  if (first !== undefined) return [first, ...others];
  return 'has no page that begins a KHO root (a device tree compatible with "kho-v..."); give --fdt, or another file';
}

/** What a kernel of another revision reads otherwise, in its order. */
function formatProblems({ phys, formats }: Root, reader: Revision): ImageProblem[] {
  const expected: readonly (readonly [string, string, string])[] = [
    ['kho-root', formats.kho, reader.khoCompatible],
    ['luo', formats.luo, reader.luoCompatible],
    ['luo', formats.session, reader.sessionCompatible],
  ];
  return expected
    .filter(([, written, read]) => written !== '' && written !== read)
    .map(([path, written, read]) => ({
      path,
      phys,
      text: `is "${written}", and ${reader.name} reads "${read}"`,
    }));
}

function bootFrom(
  image: Image,
  root: Root,
  revision: Revision,
  place: BootPlace,
  contents: ImageContents,
): IncomingReport {
  const machine = new Machine(place.machine, ICOUNT, new PiecePool(), Decisions.none(), place.nodes);
  machine.ram.clear([], image.memory);
  const params = { ram: machine.ram, fdtPhys: root.phys, scratchPhys: scratchArray(machine, place) };
  const onOpen = (system: System, violations: Violations): void => {
    const fault = contents.problemCount > 0 ? undefined : listFault(system, contents);
    if (fault !== undefined) violations.add('preservation', fault);
  };
  return bootImage({ machine, revision, params, crossing: crossingOf(contents), onOpen });
}

/** What must be stamped. */
const crossingOf = ({ tally, luoSer }: ImageContents): Crossing => ({
  all: tally,
  owners: new Map([[TAKEN_EARLY, luoSer]]),
  published: true,
});

/** How the list that was deserialized differs from the sessions in the image; undefined where it does not. */
function listFault({ kernel, luo }: System, { sessions, names }: ImageContents): string | undefined {
  if (kernel.bootKind !== 'handover') return undefined;
  const { table, incoming } = luo.sessions;
  if (incoming.count !== sessions.count)
    return `${incoming.count} sessions are on the incoming list, the image has ${sessions.count}`;
  const words = new Int32Array(NAME_WORDS);
  const listed = new Digest();
  for (let session = incoming.head; session !== NO_SESSION; session = table.next(session)) {
    table.loadName(session, words, 0);
    for (const word of words) listed.mix(word);
  }
  return listed.toString() === names.toString()
    ? undefined
    : 'the incoming list has other names, or another order, than the image';
}
