/*
 * luosim check-image: what a dump of a machine's memory hands over, what is broken in it, and what the next kernel
 * makes of it.
 */
import { commandLine } from '../reports/command_line.ts';
import { imageFields, imageJson, imageReport } from '../reports/image.ts';
import {
  type CheckedImage,
  checkImage,
  type Image,
  openImage,
  PAGE_SIZE,
  type Piece,
  type Revision,
} from '../sim/index.ts';
import {
  BadInput,
  EXIT,
  entry,
  flag,
  type Given,
  hostFile,
  optionsGiven,
  quoted,
  ramSize,
  text,
} from './command.ts';
import { PATCH_OPTIONS, REVISION_NAMES, revision } from './machine.ts';
import { colours, scanProgress } from './terminal.ts';

export const CHECK_IMAGE = entry({
  name: 'check-image',
  summary: 'show what a dump of memory hands over, and what the next kernel makes of it',
  arguments: [
    [
      '<file>',
      'RAM file, ELF core (dump-guest-memory, vmcore), flat dump (pmemsave), or JSON of extracted pages',
    ],
  ],
  options: [
    ['--fdt <address>', 'of the KHO root (default: as the file says, or the best one that is found)'],
    ['--scratch <address>', 'of the array of scratch areas (default: as the file says, or assumed)'],
    ['--ram <size>', 'memory of the machine, where the file has less of it'],
    ['--revision <name>', `the kernel that reads it (default: the one that wrote it): ${REVISION_NAMES}`],
    ...PATCH_OPTIONS,
    ['--fields', 'print every piece with every field'],
    ['--json', 'print the result as JSON'],
  ],
  order: imageOrder,
  work: imageWork,
  render: imageRender,
  exitCode: ({ checked: { report } }) => (report.isBroken ? EXIT.violation : EXIT.held),
});

interface ImageOrder {
  readonly path: string;
  readonly fdtPhys: number | undefined;
  readonly scratchPhys: number | undefined;
  readonly ramBytes: number | undefined;
  readonly revision: Revision | undefined;
  readonly fields: boolean;
  readonly json: boolean;
  /** The command line that checks this again. */
  readonly again: string;
}

interface ImageResult {
  readonly image: Image;
  readonly checked: CheckedImage;
}

function imageOrder(given: Given, [path = '']: readonly string[]): ImageOrder {
  const named = text(given, 'revision');
  if (named === undefined && (given.with ?? given.without) !== undefined)
    throw new BadInput('--with and --without change a revision: give --revision, too');
  return {
    path,
    fdtPhys: address(given, 'fdt', PAGE_SIZE),
    scratchPhys: address(given, 'scratch', 8),
    ramBytes: ramSize(given),
    revision: named === undefined ? undefined : revision(given, named),
    fields: given.fields === true,
    json: given.json === true,
    again: commandLine([
      'check-image',
      path,
      ...optionsGiven(given, []),
      ...(given.fields === true ? ['--fields'] : []),
    ]),
  };
}

/** A multiple of `align`: hexadecimal, or decimal without 0x. */
function address(given: Given, option: string, align: number): number | undefined {
  const value = text(given, option);
  if (value === undefined) return undefined;
  const n = /^(0x[0-9a-f]{1,13}|\d{1,15})$/i.test(value) ? Number(value) : Number.NaN;
  if (n > 0 && n % align === 0) return n;
  throw new BadInput(
    `${flag(option)} ${quoted(value)} is no multiple of ${align}; give an address like 0x9d8000`,
  );
}

function imageWork({ path, fdtPhys, scratchPhys, ramBytes, revision: reader }: ImageOrder): ImageResult {
  const result = reading(path, () => {
    const image = openImage({
      path,
      onScan: scanProgress(),
      ...(ramBytes === undefined ? {} : { ramBytes }),
    });
    if (typeof image === 'string') return image;
    const checked = checkImage(image, {
      ...(fdtPhys === undefined ? {} : { fdtPhys }),
      ...(scratchPhys === undefined ? {} : { scratchPhys }),
      ...(reader === undefined ? {} : { revision: reader }),
    });
    return typeof checked === 'string' ? checked : { image, checked };
  });
  if (typeof result === 'string') throw new BadInput(`${quoted(path)} ${result}`);
  return result;
}

const reading = <T>(path: string, operation: () => T): T =>
  hostFile(quoted(path), 'give a file that can be read', operation);

function* imageRender(
  { image, checked: { report, pieces } }: ImageResult,
  { path, fields, json, again }: ImageOrder,
): Generator<string, void, void> {
  try {
    const all = fields ? piecesOf(path, pieces()) : [];
    if (json) {
      yield* imageJson(report, again, fields ? all : undefined);
    } else {
      if (fields) yield* imageFields(all);
      yield imageReport(report, { again, colours: colours() });
    }
  } finally {
    image.close();
  }
}

/** Pieces as they are read; what the host refuses is said as before. */
function* piecesOf(path: string, pieces: Iterable<Piece>): Generator<Piece, void, void> {
  const reader = pieces[Symbol.iterator]();
  for (;;) {
    const next = reading(path, () => reader.next());
    if (next.done === true) return;
    yield next.value;
  }
}
