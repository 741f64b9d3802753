/*
 * The second kernel of a revision, in which ioctls are made and taken back; good calls, and ways to depart from one.
 */
import { expect } from 'vitest';
import { settle } from '../../sim/base/answer.ts';
import { definePoint, type Op, type Point } from '../../sim/base/point.ts';
import type { Revision } from '../../sim/kernel/revisions.ts';
import type { BootParams } from '../../sim/machine/machine.ts';
import { UserMemory } from '../../sim/user/uaccess.ts';
import { Caller } from '../support/caller.ts';
import { bootOn, jump, machineFor } from '../support/system.ts';
import {
  type Answer,
  type Call,
  CREATE,
  type Effect,
  FINISH,
  GET_NAME,
  INTERFACES,
  type Interface,
  type Known,
  PRESERVE_FD,
  RETRIEVE,
  RETRIEVE_FD,
  type Target,
} from './ioctl_model.ts';

export const COMMANDS = { CREATE, RETRIEVE, PRESERVE_FD, RETRIEVE_FD, FINISH, GET_NAME };
const ELSEWHERE = definePoint('ioctl_test', 'elsewhere');
export const LONG = 'y'.repeat(63);
export const KNOWN: Known = {
  outgoing: ['out', 'taken', 'waiting'],
  incoming: new Map([
    ['in-eight', true],
    ['waiting', false],
    [LONG, false],
  ]),
  nameOf: { incoming: 'in-eight', outgoing: 'out' },
  files: [3, 4, 5, 6, 7],
  nextFd: 8,
};

interface World {
  readonly user: Caller;
  readonly fds: Readonly<Record<Target, number>>;
  /** Makes a call and takes it back. */
  readonly make: (call: Call) => Answer;
  /** Where the call waits for pages while another task runs; a signal kills the caller in wait number `killed`. */
  readonly waits: (call: Call, killed?: number) => { readonly points: Point[]; readonly result: number };
}

/** The second kernel of a revision: sessions come in, wait, and go out. */
export function worldOf(revision: Revision): World {
  const before = new Caller(bootOn(machineFor(), { revision }));
  before.open();
  for (const name of KNOWN.incoming.keys()) before.create(name);
  const params = jump(before.system) as BootParams;
  const { machine } = before.system.kernel;
  const user = new Caller(bootOn(machine, { revision, generation: 1, params }));
  const device = user.open();
  const incoming = user.retrieve('in-eight');
  const [outgoing = -1] = KNOWN.outgoing.map((name) => user.create(name));
  const fds = { device, incoming, outgoing };
  expect(fds).toEqual({ device: 3, incoming: 4, outgoing: 5 });
  const mark = machine.mark();
  const make = (call: Call): Answer => {
    const argument = argumentOf(call);
    const bytes = new Uint8Array(argument.words.buffer);
    const result = user.ioctl(fds[call.target], call.number, argument);
    const effect = effectOn(user);
    expect(user.system.kernel.log.warnings).toBe(0);
    machine.rollback(mark);
    return { result, bytes: bytes.slice(0, call.bytes.length), effect };
  };
  const waits: World['waits'] = (call, killed) => {
    const points: Point[] = [];
    let returned = false;
    user.system.kernel.sched.spawn('other', function* () {
      while (!returned) yield ELSEWHERE;
    });
    user.process.slowPages = true;
    const result = user.call(function* (thread): Op<number> {
      const op = settle(user.device.ioctl(thread, fds[call.target], call.number, argumentOf(call)));
      for (let step = op.next(); ; step = op.next()) {
        returned = step.done === true;
        if (step.done === true) return step.value;
        points.push(step.value);
        yield step.value;
        if (points.length === killed) user.process.killed = true;
      }
    });
    machine.rollback(mark);
    return { points, result };
  };
  return { user, fds, make, waits };
}

export function argumentOf({ bytes, readable, writable }: Call): UserMemory {
  const argument = new UserMemory(bytes.length);
  new Uint8Array(argument.words.buffer).set(bytes);
  argument.readable = readable;
  argument.writable = writable;
  return argument;
}

/** What changed in the kernel: lists, descriptors, files. */
function effectOn({ system, process }: Caller): Effect {
  const { outgoing, incoming } = system.luo.sessions;
  const counts = [outgoing.count - KNOWN.outgoing.length, incoming.count - KNOWN.incoming.size];
  const files = [process.open - KNOWN.nextFd, system.vfs.open - KNOWN.files.length];
  const isSession = system.luo.sessions.isSessionFile;
  const file = process.file(KNOWN.nextFd);
  const found = [...counts, ...files, file >= 0 && isSession.call(system.luo.sessions, file as never)].join();
  const effects: Readonly<Record<string, Effect>> = {
    '0,0,0,0,false': 'none',
    '1,0,1,1,true': 'created',
    '0,0,1,1,true': 'retrieved',
    '0,-1,0,0,false': 'dropped',
  };
  return effects[found] ?? expect.fail(`an effect that no call has: ${found}`);
}

export const interfaceOf = ({ name }: Revision): Interface => {
  const found = INTERFACES[name];
  return found ?? expect.fail(`nothing is known of ${name}`);
};

/** A call that succeeds where it may: all of its struct, and nothing behind. */
export function goodCall(target: Target, command: { readonly number: number; readonly size: number }): Call {
  const bytes = new Uint8Array(command.size);
  new DataView(bytes.buffer).setUint32(0, command.size, true);
  const whole = { readable: command.size, writable: command.size };
  const call: Call = { target, number: command.number, bytes, ...whole };
  if (command === CREATE) return named('new')(call);
  return command === RETRIEVE ? named('waiting')(call) : call;
}

// --- ways in which a call departs from a good one -------------------------------------------------------------------

export type Change = (call: Call) => Call;

/** Says a size, and has that many bytes, zero behind what was there; 4096 at most. */
const size =
  (n: number): Change =>
  (call) => {
    const room = Math.min(Math.max(n, call.bytes.length), 4096);
    const bytes = new Uint8Array(room);
    bytes.set(call.bytes);
    new DataView(bytes.buffer).setUint32(0, n, true);
    return {
      ...call,
      bytes,
      readable: Math.max(call.readable, room),
      writable: Math.max(call.writable, room),
    };
  };

const put =
  (at: number, ...values: number[]): Change =>
  (call) => {
    const bytes = call.bytes.slice();
    for (const [i, value] of values.entries()) if (at + i < bytes.length) bytes[at + i] = value;
    return { ...call, bytes };
  };

const named = (text: string): Change =>
  put(8, ...Array.from({ length: 64 }, (_, i) => (i < text.length ? text.charCodeAt(i) : 0)));

const over =
  (n: (size: number) => number): Change =>
  (call) =>
    size(n(sizeOf(call)))(call);

const sizeOf = ({ number }: Call): number =>
  Object.values(COMMANDS).find((command) => (command.number & 0xff) === (number & 0xff))?.size ?? 72;

const last =
  (value: number): Change =>
  (call) =>
    put(call.bytes.length - 1, value)(call);

export const CHANGES: Readonly<Record<string, Change>> = {
  'size 0': size(0),
  'size 4': size(4),
  'one short': over((n) => n - 1),
  'one more, zero': over((n) => n + 1),
  'one more, not zero': (call) => last(1)(over((n) => n + 1)(call)),
  'eight more, zero': over((n) => n + 8),
  'eight more, the last not zero': (call) => last(0x80)(over((n) => n + 8)(call)),
  'a page, zero': size(4096),
  'more than there is': size(2 ** 32 - 1),
  'nothing readable': (call) => ({ ...call, readable: 0 }),
  'three bytes readable': (call) => ({ ...call, readable: 3 }),
  'only the size readable': (call) => ({ ...call, readable: 4 }),
  'the last byte not readable': (call) => ({ ...call, readable: sizeOf(call) - 1 }),
  'the tail not readable': (call) => ({ ...call, readable: sizeOf(call) }),
  'the last byte of the tail not readable': (call) => ({ ...call, readable: call.bytes.length - 1 }),
  'nothing writable': (call) => ({ ...call, writable: 0 }),
  'six bytes writable': (call) => ({ ...call, writable: 6 }),
  'the last byte not writable': (call) => ({ ...call, writable: sizeOf(call) - 1 }),
  'another type': (call) => ({ ...call, number: call.number ^ 0x0100 }),
  'a size in the number': (call) => ({ ...call, number: (call.number | 0xc0480000) >>> 0 }),
  'number behind the device table': (call) => ({ ...call, number: 0xba02 }),
  'number behind the session table': (call) => ({ ...call, number: 0xba44 }),
  'number between the tables': (call) => ({ ...call, number: 0xba3f }),
  'fd -1, reserved': put(4, 0xff, 0xff, 0xff, 0xff),
  'fd of the device, reserved': put(4, 3, 0, 0, 0),
  'no name': named(''),
  'a name without end': named('z'.repeat(64)),
  'a long name': named(LONG),
  'a long name without end': named(`${LONG}y`),
  'a name that is taken': named('taken'),
  'a name with something behind its end': named('waiting\0garbage'),
  'a name in other letters': named('Waiting'),
};
