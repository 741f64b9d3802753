/*
 * The kernel command line, as far as live update asks: early parameters, parsed in setup_arch, behind
 * `kho=on liveupdate=on`, which every kernel of a run is given.
 *
 *   kho=          kstrtobool                                  off: no outgoing tree, no live update
 *   liveupdate=   kstrtobool                                  off: no /dev/liveupdate; what comes in is read all the same
 *   mem=          memparse; 0 is -EINVAL, what follows the size is not looked at     where memory ends
 *   kho_scratch=  N%, or three sizes l,g,p with nothing behind     sizes of the scratch areas; means nothing to a handover
 *
 * A parameter that cannot be parsed changes nothing, and the kernel says so: Malformed early option 'NAME'.
 */
import { PAGE_SIZE } from '../base/limits.ts';
import { roundDown } from '../base/units.ts';

/** Parameters by the kernel's own names, in the order in which they are parsed here. */
export const PARAMETERS = ['kho', 'liveupdate', 'mem', 'kho_scratch'] as const;
export type Parameter = (typeof PARAMETERS)[number];

/** What stands behind the = of each; whatever a person may type. */
export type CommandLine = Readonly<Partial<Record<Parameter, string>>>;

/** How large scratch areas are to be: so many percent of what early boot took, or bytes. */
export type ScratchSize =
  | { readonly percent: number }
  | { readonly lowmem: number; readonly global: number; readonly node: number };

/** What a command line says. */
export interface Parsed {
  readonly kho?: boolean;
  readonly liveupdate?: boolean;
  /** Memory ends here, by whole pages. */
  readonly memBytes?: number;
  readonly scratch?: ScratchSize;
  /** What the kernel prints meanwhile. */
  readonly dmesg: readonly string[];
}

/** @kernel parse_early_param, do_early_param @simplified of the parameters above, each at most once */
export function parseCommandLine(line: CommandLine): Parsed {
  const dmesg: string[] = [];
  const parsed: { -readonly [Field in keyof Parsed]: Parsed[Field] } = { dmesg };
  const take = <T>(name: Parameter, parse: (value: string) => T | undefined): T | undefined => {
    const value = line[name];
    if (value === undefined) return undefined;
    const found = parse(value);
    if (found === undefined) dmesg.push(`Malformed early option '${name}'`);
    return found;
  };
  const kho = take('kho', kstrtobool);
  const liveupdate = take('liveupdate', kstrtobool);
  const memBytes = take('mem', memoryEnd);
  const scratch = take('kho_scratch', scratchSize);
  if (kho !== undefined) parsed.kho = kho;
  if (liveupdate !== undefined) parsed.liveupdate = liveupdate;
  if (memBytes !== undefined) parsed.memBytes = memBytes;
  if (scratch === undefined) return parsed;
  parsed.scratch = scratch;
  if ('percent' in scratch) {
    dmesg.push(`KHO: scratch scale is ${scratch.percent | 0}%`);
  } else {
    const [lowmem, global, node] = [scratch.lowmem, scratch.global, scratch.node].map(mib);
    dmesg.push(`KHO: scratch areas: lowmem: ${lowmem}MiB global: ${global}MiB pernode: ${node}MiB`);
  }
  return parsed;
}

const mib = (bytes: number): number => Math.floor(bytes / 2 ** 20);

/**
 * undefined is -EINVAL.
 * @kernel kstrtobool, kho_parse_enable, early_liveupdate_param
 */
export function kstrtobool(text: string): boolean | undefined {
  const [first = '', second = ''] = text.toLowerCase();
  if ('eyt1'.includes(first) && first !== '') return true;
  if ('dnf0'.includes(first) && first !== '') return false;
  if (first !== 'o') return undefined;
  return second === 'n' ? true : second === 'f' ? false : undefined;
}

const U64 = 64;
/** Bits that a letter behind a number shifts it by. */
const SUFFIXES = 'kmgtpe';

/** A size at the head of a text, and how many characters it takes: 0 where there is none. @kernel memparse */
export function memparse(text: string): { readonly bytes: bigint; readonly length: number } {
  const [all, digits = ''] = /^(0x[0-9a-f]+|0[0-7]*|[1-9]\d*)/i.exec(text) ?? ['', ''];
  if (all === '') return { bytes: 0n, length: 0 };
  const octal = /^0[0-7]/.test(digits);
  const n = octal ? BigInt(`0o${digits.slice(1)}`) : BigInt(digits.toLowerCase());
  const unit = SUFFIXES.indexOf(text.charAt(all.length).toLowerCase() || ' ') + 1;
  return { bytes: BigInt.asUintN(U64, n << BigInt(10 * unit)), length: all.length + (unit > 0 ? 1 : 0) };
}

/** @kernel parse_memopt @simplified of x86-64; memory that lies above is gone for good, it cannot be added later */
function memoryEnd(text: string): number | undefined {
  if (text.startsWith('nopentium') && text.length === 'nopentium'.length) return undefined;
  const { bytes } = memparse(text);
  return bytes === 0n ? undefined : roundDown(Number(bytes), PAGE_SIZE);
}

/** @kernel kho_parse_scratch_size */
function scratchSize(text: string): ScratchSize | undefined {
  if (text.endsWith('%')) {
    const percent = text.length > PERCENT_LETTERS_MAX ? undefined : kstrtouint(text.slice(0, -1));
    return percent === undefined ? undefined : { percent };
  }
  let rest = text;
  const sizes: number[] = [];
  for (let i = 0; i < SCRATCH_SIZES; i++) {
    if (i > 0 && !rest.startsWith(',')) return undefined;
    if (i > 0) rest = rest.slice(1);
    const { bytes, length } = memparse(rest);
    if (length === 0) return undefined;
    sizes.push(Number(bytes));
    rest = rest.slice(length);
  }
  const [lowmem = 0, global = 0, node = 0] = sizes;
  return rest !== '' || lowmem + global + node === 0 ? undefined : { lowmem, global, node };
}

const SCRATCH_SIZES = 3;
/** The largest unsigned int has ten digits. */
const PERCENT_LETTERS_MAX = 11;

/** A decimal number below 2^32 and nothing else, but for a plus sign before and a newline behind. @kernel kstrtouint */
function kstrtouint(text: string): number | undefined {
  if (!/^\+?\d+\n?$/.test(text)) return undefined;
  const n = Number(text);
  return n < 2 ** 32 ? n : undefined;
}
