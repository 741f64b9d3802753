/*
 * The kernel map: every function of the modelled kernels that is known by name, whether luosim has it, where, and how
 * faithfully. kernel_map.json is written by build/kernel_map.ts at every `npm run build`: from the tags in the sources
 * (@kernel, @simplified) and from function_list.ts. A test compares it with what it would be written anew.
 *
 *   faithful     whoever calls it, and whatever reads what it left, gets what the kernel would give: results, errnos,
 *                memory, locks, lines in the log
 *   simplified   so but for what the clause names; a function that stands in several places is simplified if one is
 *   absent       not there, for the reason given
 */
import json from './kernel_map.json' with { type: 'json' };

export const FUNCTION_STATUSES = ['faithful', 'simplified', 'absent'] as const;
export type FunctionStatus = (typeof FUNCTION_STATUSES)[number];

/** Where luosim has a function, or a part of it. */
export interface Place {
  /** Path from the top. */
  readonly file: string;
  readonly declaration: string;
  /** What is not as in the kernel. */
  readonly how?: string;
}

export interface MappedFunction {
  readonly name: string;
  /** Source file in the kernel's tree. */
  readonly source: string;
  /** Kernels that have it; '' for all. */
  readonly revisions: string;
  readonly status: FunctionStatus;
  /** None for an absent one. */
  readonly places: readonly Place[];
  /** Why it is absent. */
  readonly why?: string;
}

export interface KernelMap {
  readonly schemaVersion: 1;
  /** By source file. */
  readonly functions: readonly MappedFunction[];
}

const KERNEL_MAP = json as KernelMap;

/** What to show of the map; all of it where nothing is said. */
export interface MapQuery {
  /** Part of a function's name. */
  readonly name: string | undefined;
  readonly status: FunctionStatus | undefined;
}

export interface MapAnswer extends KernelMap {
  /** Functions in the whole map. */
  readonly known: number;
  /** Of those that were asked for. */
  readonly counts: Readonly<Record<FunctionStatus, number>>;
}

/** The functions that a query asks for, in the order of the map. */
export function queryMap({ name = '', status }: MapQuery): MapAnswer {
  const { schemaVersion, functions: all } = KERNEL_MAP;
  const functions = all.filter(
    (known) => known.name.includes(name) && (status === undefined || known.status === status),
  );
  const counts = { faithful: 0, simplified: 0, absent: 0 };
  for (const entry of functions) counts[entry.status]++;
  return { schemaVersion, known: all.length, counts, functions };
}
