/*
 * The kernel map from its two halves: the tags in sim/ and the lists of sim/kernel/function_list.ts.
 *
 * What does not fit is refused: a tag that cannot be read, a function that is both modelled and left out, or neither, a
 * name that stands on no list of the kernel's.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FunctionList, KERNEL_FUNCTIONS, LEFT_OUT, type LeftOut } from '../sim/kernel/function_list.ts';
import type { KernelMap, MappedFunction, Place } from '../sim/kernel/kernel_map.ts';
import { type Tag, tagsOf } from './kernel_tags.ts';

export const MAP_FILE = 'sim/kernel/kernel_map.json';
const LIST_FILE = 'sim/kernel/function_list.ts';
/** They speak of tags and have none. */
const ABOUT_TAGS = [LIST_FILE, 'sim/kernel/kernel_map.ts'];

/** Source files by path from the top. */
export type Sources = ReadonlyMap<string, string>;

export function readSources(top: string): Sources {
  const files = readdirSync(join(top, 'sim'), { recursive: true, encoding: 'utf8' })
    .map((path) => `sim/${path.replaceAll('\\', '/')}`)
    .filter((path) => path.endsWith('.ts') && !ABOUT_TAGS.includes(path))
    .sort();
  return new Map(files.map((path) => [path, readFileSync(join(top, path), 'utf8')]));
}

/** What is known of the kernels. */
export interface Lists {
  readonly functions: readonly FunctionList[];
  readonly leftOut: readonly LeftOut[];
}

export const LISTS: Lists = { functions: KERNEL_FUNCTIONS, leftOut: LEFT_OUT };

/** The map, or all that is wrong, a line each. */
export function buildMap(sources: Sources, lists: Lists = LISTS): KernelMap | readonly string[] {
  const scans = [...sources].map(([file, text]) => tagsOf(file, text));
  const tags = scans.flatMap((scan) => scan.tags);
  const complaints = [...scans.flatMap((scan) => scan.complaints), ...contradictions(tags, lists)];
  if (complaints.length > 0) return complaints;
  const why = new Map(
    lists.leftOut.flatMap((group) => group.names.map((name) => [name, group.why] as const)),
  );
  const functions = lists.functions.flatMap(({ file, revisions, names }) =>
    names.map((name): MappedFunction => {
      const places = placesOf(tags, name);
      const entry = { name, source: file, revisions };
      if (places.length === 0) return { ...entry, status: 'absent', places, why: why.get(name) ?? '' };
      const simplified = places.some(({ how }) => how !== undefined);
      return { ...entry, status: simplified ? 'simplified' : 'faithful', places };
    }),
  );
  return { schemaVersion: 1, functions };
}

/** The text of the file: an entry a line, so that branches merge. */
export const mapText = ({ schemaVersion, functions }: KernelMap): string =>
  `{"schemaVersion":${schemaVersion},"functions":[\n${functions.map((entry) => JSON.stringify(entry)).join(',\n')}\n]}\n`;

const placesOf = (tags: readonly Tag[], name: string): Place[] =>
  tags
    .filter(({ kernel }) => kernel === name)
    .map(({ file, declaration, how }) => ({ file, declaration, ...(how === undefined ? {} : { how }) }));

function contradictions(tags: readonly Tag[], lists: Lists): string[] {
  const listed = lists.functions.flatMap(({ names }) => names);
  const leftOut = lists.leftOut.flatMap(({ names }) => names);
  const known = new Set(listed);
  const absent = new Set(leftOut);
  const tagged = new Map(tags.map(({ kernel, file }) => [kernel, file]));
  const twice = (names: readonly string[], which: string): string[] =>
    [...new Set(names.filter((name, i) => names.indexOf(name) !== i))].map(
      (name) => `${name} stands twice on ${which}; keep one`,
    );
  return [
    ...twice(listed, 'KERNEL_FUNCTIONS'),
    ...twice(leftOut, 'LEFT_OUT'),
    ...[...tagged]
      .filter(([name]) => !known.has(name))
      .map(
        ([name, file]) => `${name}, tagged in ${file}, is no function known: list it under its source file`,
      ),
    ...[...tagged]
      .filter(([name]) => absent.has(name))
      .map(([name, file]) => `${name} is modelled in ${file} and left out: take it off LEFT_OUT`),
    ...leftOut
      .filter((name) => !known.has(name))
      .map((name) => `${name} is left out and no function known: list it under its source file`),
    ...listed
      .filter((name) => !tagged.has(name) && !absent.has(name))
      .map((name) => `${name} is neither modelled nor left out: tag what models it, or add it to LEFT_OUT`),
  ].map((line) => `${LIST_FILE}: ${line}`);
}
