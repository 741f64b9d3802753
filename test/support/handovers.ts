/*
 * Handovers to walk and to compare: what simulated kernels of every revision leave at the jump, and what real ones left.
 */

import type { System } from '../../sim/boot/boot.ts';
import type { Memory, Piece } from '../../sim/check/anatomy.ts';
import type { Handover } from '../../sim/check/difference.ts';
import { HandoverWalk } from '../../sim/check/handover_walk.ts';
import { UnknownBytes } from '../../sim/check/unknown_bytes.ts';
import type { Revision } from '../../sim/kernel/revisions.ts';
import type { Ram } from '../../sim/machine/ram.ts';
import { KhoTest } from '../../sim/user/kho_test.ts';
import { Caller } from './caller.ts';
import { goldenImage, goldenRam } from './golden.ts';
import { bootOn, inTask, machineFor, type TestMachine } from './system.ts';

/** A handover that can be broken. */
export interface Image extends Handover {
  readonly memory: Ram;
}

export const sessionName = (n: number): string => `session-${String(n).padStart(4, '0')}`;

export interface Left extends TestMachine {
  readonly revision: Revision;
  /** Sessions: session-0000 and so on. */
  readonly sessions: number;
  /** Whether lib/test_kho.c saved something, too. */
  readonly khoTest?: boolean;
}

/** A kernel that has left: sessions created, the reboot hook done, nothing overwritten yet. */
export function left({ revision, sessions, khoTest = false, ...test }: Left): System {
  const system = bootOn(machineFor(test), { revision });
  const caller = new Caller(system);
  if (caller.open() < 0) throw new Error('no device');
  for (let n = 0; n < sessions; n++) {
    if (caller.create(sessionName(n)) < 0) throw new Error(`no session ${n}`);
  }
  if (khoTest) inTask(system, (task) => new KhoTest(system, 'test').save(task));
  leave(system);
  return system;
}

/** Up to the jump. */
export function leave({ kernel, kexec }: System): void {
  if (kexec.fileLoad() !== 0) throw new Error('no room for an image');
  const result = inTask({ kernel } as System, (task) => kexec.reboot(task));
  if (kernel.state !== 'rebooting') throw new Error(`reboot answered ${result}`);
}

/** What the next kernel will find. */
export const handoverOf = ({ kernel, kexec }: System): Image => ({
  memory: kernel.machine.ram,
  fdtPhys: kexec.plan().fdtPhys,
});

/** What a real kernel left. */
export function goldenHandover(stem: string): Image {
  const image = goldenImage(stem);
  const { fdtPhys, preservedTotal } = image;
  return { memory: goldenRam(image), fdtPhys, unknown: new UnknownBytes(image.unknown), preservedTotal };
}

export const piecesOf = ({ memory, fdtPhys }: Handover): Piece[] => [
  ...new HandoverWalk(memory, fdtPhys).pieces(),
];

/** Path and text of every problem, a line each. */
export const problemsOf = (pieces: Iterable<Piece>): string[] =>
  [...pieces].flatMap(({ path, problems }) => problems.map((problem) => `${path} ${problem}`));

/** A decoded value. */
export function fieldOf(piece: Piece | undefined, name: string): unknown {
  return piece?.fields.find((field) => field.name === name)?.value;
}

export const load = (memory: Memory, phys: number, bytes: number): string =>
  Buffer.from(memory.loadBytes(phys, bytes)).toString('hex');
