/*
 * Virtual machines over an update: each VMM keeps the RAM of its guest, a memfd for every memory slot, in a session of
 * its own, and takes it over in the next kernel.
 *
 *   session vm-0, ...    token: the number of the slot
 *
 *   The slots are sealed against shrinking and growing, as they are shared with device back ends that rely on it.
 *   Guests run on after their RAM was preserved, and while the machine reboots: pages are pinned, sizes are fixed, what is
 *   written until the jump crosses. (A real VMM stops its guest before; nothing makes it.)
 *
 * The device is exclusive, and sessions outlive it: every VMM opens it for as long as it makes or finds its session.
 */
import {
  type Action,
  type GenerationProgram,
  type Names,
  type Program,
  plainName,
  type TaskProgram,
} from '../sim/index.ts';
import { LEAVE, revisionOf } from './leave.ts';
import type { ManySessionsParams } from './many_sessions.ts';

const SLOTS = 4;
const SLOT_BYTES = 128 * 1024;
/** F_SEAL_SHRINK | F_SEAL_GROW */
const SEALS = 0x2 | 0x4;
const RAM: Names = { pattern: 'slot-%d', first: 0, count: SLOTS };
const WRITES = 3;

export default function vmm({ revisions, generations, sessions }: ManySessionsParams): Program {
  const last = generations - 1;
  return {
    generations: Array.from({ length: generations }, (_, generation): GenerationProgram => {
      const machines = Array.from({ length: sessions }, (__, vm) => vm);
      const goesOn = generation < last;
      // One VMM after the other at the device; then all guests at once, and once more beside the reboot.
      const stages: (readonly TaskProgram[])[] = machines.map((vm) => {
        const start = generation === 0 ? makeRam() : takeOver(vm);
        return task(vm, [...start, ...(goesOn ? preserve(vm) : [])]);
      });
      if (goesOn) {
        const guests = (seed: number): TaskProgram[] =>
          machines.flatMap((vm) => task(vm, runGuest(vm, seed)));
        if (sessions > 0) stages.push(guests(2 * generation + 2));
        stages.push([...guests(2 * generation + 3), ...LEAVE]);
      }
      return { revision: revisionOf(revisions, generation), stages };
    }),
  };
}

/** RAM for so many guests, twice: what describes it is small beside it. */
export const guestBytes = (sessions: number): number => 2 * sessions * SLOTS * SLOT_BYTES;

const task = (vm: number, actions: Action[]): TaskProgram[] => [{ process: `vmm-${vm}`, actions }];
const session = (vm: number): Names => plainName(`vm-${vm}`);

function makeRam(): Action[] {
  return [
    { do: 'memfd', names: RAM, bytes: SLOT_BYTES },
    { do: 'seal', names: RAM, seals: SEALS },
    { do: 'fill', names: RAM, every: 4096, seed: 1 },
  ];
}

function preserve(vm: number): Action[] {
  return [
    { do: 'open' },
    { do: 'create', names: session(vm) },
    { do: 'close-device' },
    { do: 'preserve', names: RAM, session: session(vm), token: 0 },
  ];
}

/** The guest writes, here and there in all its slots. */
const runGuest = (vm: number, seed: number): Action[] =>
  Array.from({ length: WRITES }, (_, i) => ({
    do: 'write',
    names: RAM,
    at: ((vm + seed + i * 7) % (SLOT_BYTES / 4096)) * 4096 + 100,
    bytes: 64,
    seed,
  }));

function takeOver(vm: number): Action[] {
  return [
    { do: 'open' },
    { do: 'retrieve', names: session(vm) },
    { do: 'close-device' },
    { do: 'retrieve-fd', names: RAM, session: session(vm), token: 0 },
    { do: 'read', names: RAM },
    { do: 'finish', names: session(vm) },
    { do: 'close', names: session(vm) },
  ];
}
