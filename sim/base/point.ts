/*
 * Kernel functions and points: the names by which everything undetermined is addressed.
 *
 *   kernel function   luo_session_insert          interned once, used by trace events
 *   point             luo_session_insert:rwsem    a place in a kernel function where something may happen
 *
 * A point is where a task may be preempted, an allocation may fail or a choice is made. Numbers are handed out in
 * order of declaration and mean nothing outside the process: recordings and digests use the names' hashes, so a
 * refactor that declares another point changes neither.
 *
 * The yield protocol: code that can wait is a generator of points. The scheduler, which this floor does not know,
 * resumes it when the task is chosen again.
 */
import { assert } from './assert.ts';

declare const brand: unique symbol;

export type KernelFunction = number & { readonly [brand]: 'function' };
export type Point = number & { readonly [brand]: 'point' };

/** An operation that can wait: yields the point where it stands, returns its result. */
export type Op<T> = Generator<Point, T, void>;

/** The stream of random numbers that a point's decisions draw from. */
export type Concern = 'schedule' | 'fault' | 'leftovers' | 'fragments';

interface PointRecord {
  readonly name: string;
  readonly concern: Concern;
}

const functions: string[] = [];
/** By function. A constant array, with room for more functions than there are: it is read at every trace event. */
const functionHashes = new Int32Array(1024);
const functionIds = new Map<string, KernelFunction>();
const points: PointRecord[] = [];
const pointIds = new Map<string, Point>();

/** FNV-1a over the UTF-16 units of a name: 32 bits, the same in every process. */
export function nameHash(name: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
  return h | 0;
}

/** Interns a kernel function by its kernel name. */
export function kernelFunction(name: string): KernelFunction {
  const known = functionIds.get(name);
  if (known !== undefined) return known;
  const id = functions.length as KernelFunction;
  assert(id < functionHashes.length, 'there is room for the hash of every function');
  functions.push(name);
  functionHashes[id] = nameHash(name);
  functionIds.set(name, id);
  return id;
}

export const functionName = (fn: KernelFunction): string => functions[fn] as string;
export const functionHash = (fn: KernelFunction): number => functionHashes[fn] as number;

/** Declares a point. Each is declared once, at module level, beside the code it names. */
export function definePoint(fn: string, what: string, concern: Concern = 'schedule'): Point {
  const name = `${fn}:${what}`;
  assert(!pointIds.has(name), `point ${name} is declared twice`);
  const id = points.length as Point;
  points.push({ name, concern });
  pointIds.set(name, id);
  return id;
}

export const pointName = (p: Point): string => (points[p] as PointRecord).name;
export const pointConcern = (p: Point): Concern => (points[p] as PointRecord).concern;
export const pointByName = (name: string): Point | undefined => pointIds.get(name);
/** Names of the points of one concern, or of all. */
export const pointsOf = (concern?: Concern): string[] =>
  points.filter((point) => concern === undefined || point.concern === concern).map(({ name }) => name);
export const pointCount = (): number => points.length;
