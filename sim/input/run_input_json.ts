/*
 * The input of a run that came from outside, as parsed JSON: is it one that can be run?
 *
 *   { machine: { ramBytes, nodes, cpus, fragmentedPercent? }, profile, seed, program,
 *     faults?: [ { point, nth?, probability? } ],  departures?: [ { point, occurrence, choice } ],
 *     corruptions?: [ { generation, phys, bytes } ] }
 *
 * What stands beside these is for others to judge.
 */
import type { Concern } from '../base/point.ts';
import { pointByName, pointConcern } from '../base/point.ts';
import { profileByName } from '../kernel/cost.ts';
import { machineParamsError } from '../machine/machine.ts';
import { extraField, isObject, isWhole, programError } from './program_json.ts';
import type { RunInput } from './run_input.ts';
// Where all points are declared that a recording can name, with what these import: test/input/points.test.ts.
import '../boot/boot.ts';
import '../boot/shatter.ts';
import '../user/agent.ts';
import '../user/kho_test.ts';
import '../user/liveupdate.ts';

/** Occurrences of a point are counted in 32 bits. */
export const OCCURRENCE_MAX = 2 ** 31 - 1;
/** No decision has as many possibilities. */
export const CHOICE_MAX = 2 ** 31 - 1;

type Json = Readonly<Record<string, unknown>>;

/** Why this cannot be run, said with the place in it; undefined where it is a `RunInput`. */
export function runInputError(value: unknown): string | undefined {
  if (!isObject(value)) return 'it is no object';
  const { profile, seed, program } = value;
  const error = machineError(value.machine);
  if (error !== undefined) return error;
  if (typeof profile !== 'string' || profileByName(profile) === undefined) return 'profile is not known';
  if (typeof seed !== 'string') return 'seed is no text';
  return programError(program) ?? decisionsError(value) ?? corruptionsError(value);
}

function machineError(machine: unknown): string | undefined {
  if (!isObject(machine)) return 'machine is no object';
  const { ramBytes, nodes, cpus, fragmentedPercent = 0 } = machine;
  if (typeof ramBytes !== 'number' || typeof nodes !== 'number' || typeof cpus !== 'number') {
    return 'machine has no ramBytes, nodes, cpus';
  }
  if (typeof fragmentedPercent !== 'number') return 'machine.fragmentedPercent is no number';
  const error = machineParamsError({ ramBytes, nodes, cpus, fragmentedPercent });
  return error === undefined
    ? extraField(machine, ['ramBytes', 'nodes', 'cpus', 'fragmentedPercent'], 'machine')
    : `machine: ${error}`;
}

function decisionsError({ faults, departures }: Json): string | undefined {
  const error = listError(faults, 'faults', faultError);
  if (error !== undefined || departures === undefined) return error;
  if (Array.isArray(faults) && faults.length > 0) {
    return 'faults and departures exclude each other: where departures are given, faults are among them';
  }
  const seen = new Set<string>();
  return listError(departures, 'departures', (departure, at) => {
    const wrong = departureError(departure, at);
    if (wrong !== undefined) return wrong;
    const place = `${departure.point} ${departure.occurrence}`;
    if (seen.has(place))
      return `${at}: occurrence ${departure.occurrence} of ${departure.point} departs twice`;
    seen.add(place);
    return undefined;
  });
}

function faultError(fault: Json, at: string): string | undefined {
  const { point, nth, probability } = fault;
  if (!isPoint(point, 'fault')) return `${at}.point is no known point that can fail`;
  if (nth === undefined && probability === undefined) return `${at} has neither nth nor probability`;
  if (nth !== undefined && !isWhole(nth, OCCURRENCE_MAX)) return `${at}.nth is no whole number from 0`;
  if (probability !== undefined && !isProbability(probability)) {
    return `${at}.probability is no number above 0 and up to 1`;
  }
  return extraField(fault, ['point', 'nth', 'probability'], at);
}

function departureError(departure: Json, at: string): string | undefined {
  const { point, occurrence, choice } = departure;
  if (!isPoint(point)) return `${at}.point is no known point`;
  if (!isWhole(occurrence, OCCURRENCE_MAX)) return `${at}.occurrence is no whole number from 0`;
  if (!isWhole(choice, CHOICE_MAX) || choice === 0) return `${at}.choice is no whole number from 1`;
  return extraField(departure, ['point', 'occurrence', 'choice'], at);
}

const isPoint = (name: unknown, concern?: Concern): name is string => {
  const point = typeof name === 'string' ? pointByName(name) : undefined;
  return point !== undefined && (concern === undefined || pointConcern(point) === concern);
};

export const isProbability = (value: unknown): value is number =>
  typeof value === 'number' && value > 0 && value <= 1;

function corruptionsError({ corruptions, machine, program }: Json): string | undefined {
  const { ramBytes } = machine as RunInput['machine'];
  const jumps = (program as RunInput['program']).generations.length - 1;
  return listError(corruptions, 'corruptions', (corruption, at) => {
    const { generation, phys, bytes } = corruption;
    if (!isWhole(generation, jumps - 1)) return `${at}.generation is none of the ${jumps} that jump`;
    if (typeof bytes !== 'string' || !/^([0-9a-f]{2})+$/.test(bytes)) {
      return `${at}.bytes is no text of two hexadecimal digits a byte`;
    }
    if (!isWhole(phys, ramBytes - bytes.length / 2)) return `${at} lies outside of RAM`;
    return extraField(corruption, ['generation', 'phys', 'bytes'], at);
  });
}

/** The list may be missing; what is in it must be objects without an error. */
function listError(
  list: unknown,
  at: string,
  error: (entry: Json, at: string) => string | undefined,
): string | undefined {
  if (list === undefined) return undefined;
  if (!Array.isArray(list)) return `${at} is no list`;
  for (const [i, entry] of (list as unknown[]).entries()) {
    const wrong = isObject(entry) ? error(entry, `${at}[${i}]`) : `${at}[${i}] is no object`;
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}
