/*
 * Options that say on which machine, with which kernels: the same words in every command.
 */
import {
  CPUS_MAX,
  ICOUNT,
  type MachineParams,
  machineParamsError,
  NODES_MAX,
  PROFILE_NAMES,
  parseRevision,
  REVISIONS,
  type Revision,
  withPatches,
} from '../sim/index.ts';
import { BadInput, type Described, type Given, quoted, ramSize, text, whole } from './command.ts';

const DEFAULTS = { nodes: 1, cpus: 2 } as const;

export const REVISION_NAMES = REVISIONS.map(({ name }) => name).join(', ');

export const FRAGMENTED_OPTION: Described = [
  '--fragmented <p>',
  'memory shattered before anything runs: p of 100 pieces of 16 pages lack one (default: 0)',
];

export const MACHINE_OPTIONS: readonly Described[] = [
  ['--nodes <n>', `memory nodes (default: ${DEFAULTS.nodes})`],
  ['--cpus <n>', `processors (default: ${DEFAULTS.cpus})`],
  FRAGMENTED_OPTION,
];

export const PATCH_OPTIONS: readonly Described[] = [
  ['--with <patches>', 'apply these to every kernel, with what they build on; commas between'],
  ['--without <patches>', 'take these out of every kernel, with what builds on them'],
];

export const fragmentedPercent = (given: Given): number | undefined => whole(given, 'fragmented', 0, 100);

export function machine(given: Given, defaultRamBytes: number): MachineParams {
  const ramBytes = ramSize(given) ?? defaultRamBytes;
  const percent = fragmentedPercent(given);
  const params = {
    ramBytes,
    nodes: whole(given, 'nodes', 1, NODES_MAX) ?? DEFAULTS.nodes,
    cpus: whole(given, 'cpus', 1, CPUS_MAX) ?? DEFAULTS.cpus,
    ...(percent === undefined ? {} : { fragmentedPercent: percent }),
  };
  const error = machineParamsError(params);
  if (error === undefined) return params;
  throw new BadInput(
    `--ram ${quoted(text(given, 'ram') ?? 'by default')}, --nodes ${params.nodes}: ${error}`,
  );
}

export const PROFILE_OPTION: Described = [
  '--profile <name>',
  `prices of virtual time: ${PROFILE_NAMES.join(', ')} (default: ${ICOUNT.name})`,
];

/** Name of the price list. */
export function profile(given: Given): string {
  const name = text(given, 'profile') ?? ICOUNT.name;
  if (PROFILE_NAMES.includes(name)) return name;
  throw new BadInput(`--profile ${quoted(name)} is not known; known: ${PROFILE_NAMES.join(', ')}`);
}

/** Names of revisions, the patches of --with and --without applied and taken out. */
export const revisionNames = (given: Given, names: readonly string[]): string[] =>
  names.map((name) => revision(given, name).name);

/** A revision by its name, the patches of --with and --without applied and taken out. */
export function revision(given: Given, name: string): Revision {
  const base = REVISIONS.some((known) => known.name === name.split(' ')[0]) ? parseRevision(name) : undefined;
  if (base === undefined)
    throw new BadInput(`--revision ${quoted(name)} is not known; known: ${REVISION_NAMES}`);
  if (typeof base === 'string') throw new BadInput(`--revision ${quoted(name)}: ${base}`);
  const [add, remove] = ['with', 'without'].map((option) => text(given, option)?.split(',') ?? []);
  const changed = withPatches(base, add ?? [], remove ?? []);
  if (typeof changed !== 'string') return changed;
  const options = ['with', 'without'].filter((option) => given[option] !== undefined);
  throw new BadInput(`${options.map((option) => `--${option}`).join(', ')} on ${base.name}: ${changed}`);
}
