/*
 * ioctls byte by byte, on every revision: what each answers to arguments of every size, readable and writable up to
 * any place, and what is undone. The expectation (ioctl_model.ts) is held to literal answers first.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../sim/base/errno.ts';
import { REVISIONS, type Revision } from '../../sim/kernel/revisions.ts';
import type { BootParams } from '../../sim/machine/machine.ts';
import { UserMemory } from '../../sim/user/uaccess.ts';
import { Caller } from '../support/caller.ts';
import { runs } from '../support/seed.ts';
import { bootOn, jump, machineFor } from '../support/system.ts';
import {
  type Answer,
  type Call,
  CREATE,
  type Effect,
  expected,
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

const { E2BIG, EBADF, EEXIST, EFAULT, EINVAL, ENOENT, ENOTTY } = ERRNO;
const COMMANDS = { CREATE, RETRIEVE, PRESERVE_FD, RETRIEVE_FD, FINISH, GET_NAME };
const LONG = 'y'.repeat(63);
const KNOWN: Known = {
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
}

/** The second kernel of a revision: sessions come in, wait, and go out. */
function worldOf(revision: Revision): World {
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
    const argument = new UserMemory(call.bytes.length);
    const bytes = new Uint8Array(argument.words.buffer);
    bytes.set(call.bytes);
    argument.readable = call.readable;
    argument.writable = call.writable;
    const result = user.ioctl(fds[call.target], call.number, argument);
    const effect = effectOn(user);
    expect(user.system.kernel.log.warnings).toBe(0);
    machine.rollback(mark);
    return { result, bytes: bytes.slice(0, call.bytes.length), effect };
  };
  return { user, fds, make };
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

const interfaceOf = ({ name }: Revision): Interface => {
  const found = INTERFACES[name];
  return found ?? expect.fail(`nothing is known of ${name}`);
};

/** A call that succeeds where it may: all of its struct, and nothing behind. */
function goodCall(target: Target, command: { readonly number: number; readonly size: number }): Call {
  const bytes = new Uint8Array(command.size);
  new DataView(bytes.buffer).setUint32(0, command.size, true);
  const whole = { readable: command.size, writable: command.size };
  const call: Call = { target, number: command.number, bytes, ...whole };
  if (command === CREATE) return named('new')(call);
  return command === RETRIEVE ? named('waiting')(call) : call;
}

// --- ways in which a call departs from a good one -------------------------------------------------------------------

type Change = (call: Call) => Call;

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

const CHANGES: Readonly<Record<string, Change>> = {
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

describe('the expectation', () => {
  type Row = [Target, keyof typeof COMMANDS, string[], number, Partial<Record<string, number>>?];
  // Where revisions differ: the answer of v7.3, then those that are others.
  const early = (result: number) => ({ 'v6.19': result, 'v7.0': result });
  const ROWS: Row[] = [
    ['device', 'CREATE', [], 0],
    ['device', 'CREATE', ['size 0'], -EINVAL],
    ['device', 'CREATE', ['one short'], -EINVAL],
    ['device', 'CREATE', ['one more, zero'], 0],
    ['device', 'CREATE', ['one more, not zero'], -E2BIG],
    ['device', 'CREATE', ['eight more, the last not zero'], -E2BIG],
    [
      'device',
      'CREATE',
      ['eight more, the last not zero', 'the last byte of the tail not readable'],
      -EFAULT,
    ],
    ['device', 'CREATE', ['one more, not zero', 'the tail not readable'], -EFAULT],
    ['device', 'CREATE', ['a page, zero'], 0],
    ['device', 'CREATE', ['more than there is'], -EFAULT],
    ['device', 'CREATE', ['nothing readable'], -EFAULT],
    ['device', 'CREATE', ['nothing readable', 'another type'], -EFAULT],
    ['device', 'CREATE', ['nothing readable', 'number behind the device table'], -EINVAL],
    ['device', 'CREATE', ['another type', 'size 0'], -ENOTTY],
    ['device', 'CREATE', ['a size in the number'], -ENOTTY],
    ['device', 'CREATE', ['only the size readable'], -EFAULT],
    ['device', 'CREATE', ['only the size readable', 'size 4'], -EINVAL],
    ['device', 'CREATE', ['no name'], -EINVAL, { ...early(0), 'april-v1-p1': 0, 'april-v1': 0 }],
    ['device', 'CREATE', ['a name without end'], -EINVAL, { ...early(0), 'april-v1-p1': 0, 'april-v1': 0 }],
    ['device', 'CREATE', ['a name that is taken'], -EEXIST],
    ['device', 'CREATE', ['a name with something behind its end'], -EEXIST],
    ['device', 'CREATE', ['a name that is taken', 'nothing writable'], -EEXIST],
    ['device', 'CREATE', ['nothing writable'], -EFAULT],
    ['device', 'RETRIEVE', [], 0],
    ['device', 'RETRIEVE', ['no name'], -ENOENT],
    ['device', 'RETRIEVE', ['a long name'], 0],
    ['device', 'RETRIEVE', ['a long name without end'], -ENOENT],
    ['device', 'RETRIEVE', ['a name with something behind its end'], 0],
    ['device', 'RETRIEVE', ['a name in other letters'], -ENOENT],
    ['device', 'RETRIEVE', ['nothing writable'], -EFAULT],
    ['device', 'FINISH', [], -EINVAL],
    ['outgoing', 'CREATE', [], -EINVAL],
    ['outgoing', 'PRESERVE_FD', ['fd -1, reserved'], -EBADF],
    ['outgoing', 'PRESERVE_FD', ['fd of the device, reserved'], -ENOENT],
    [
      'incoming',
      'PRESERVE_FD',
      ['fd -1, reserved'],
      -EINVAL,
      { ...early(-EBADF), 'april-v1': -EBADF, 'april-v1-p1': -EBADF },
    ],
    ['incoming', 'RETRIEVE_FD', [], -ENOENT],
    [
      'outgoing',
      'RETRIEVE_FD',
      [],
      -EINVAL,
      { ...early(-ENOENT), 'april-v1': -ENOENT, 'april-v1-p1': -ENOENT },
    ],
    [
      'outgoing',
      'RETRIEVE_FD',
      ['only the size readable'],
      -EINVAL,
      { ...early(-EFAULT), 'april-v1': -EFAULT, 'april-v1-p1': -EFAULT },
    ],
    ['incoming', 'FINISH', [], 0],
    ['incoming', 'FINISH', ['size 4'], -EINVAL],
    [
      'incoming',
      'FINISH',
      ['fd -1, reserved'],
      -EINVAL,
      { ...early(0), 'v7.1': 0, 'april-v1': 0, 'april-v1-p1': 0 },
    ],
    ['incoming', 'FINISH', ['six bytes writable'], -EFAULT],
    ['outgoing', 'FINISH', [], -EINVAL, { ...early(0), 'april-v1': 0, 'april-v1-p1': 0 }],
    [
      'incoming',
      'GET_NAME',
      [],
      0,
      { ...early(-EINVAL), 'v7.1': -EINVAL, 'april-v1': -EINVAL, 'april-v1-p1': -EINVAL },
    ],
    ['outgoing', 'GET_NAME', ['fd of the device, reserved'], -EINVAL],
    [
      'outgoing',
      'GET_NAME',
      ['another type'],
      -ENOTTY,
      { ...early(-EINVAL), 'v7.1': -EINVAL, 'april-v1': -EINVAL, 'april-v1-p1': -EINVAL },
    ],
  ];

  it.each(ROWS)(
    'answers on %s to %s with %j as it is written',
    (target, name, changes, otherwise, by = {}) => {
      for (const [revision, rules] of Object.entries(INTERFACES)) {
        const call = changes.reduce(
          (made, change) => (CHANGES[change] as Change)(made),
          goodCall(target, COMMANDS[name]),
        );
        expect([revision, expected(rules, KNOWN, call).result]).toEqual([
          revision,
          by[revision] ?? otherwise,
        ]);
      }
    },
  );

  it('knows every revision', () => {
    expect(REVISIONS.map(({ name }) => name).sort()).toEqual(Object.keys(INTERFACES).sort());
  });
});

describe.each(REVISIONS.map((revision) => [revision.name, revision] as const))('%s', (_name, revision) => {
  const rules = interfaceOf(revision);
  const world = worldOf(revision);
  const changes = Object.entries(CHANGES);

  it.each(Object.entries(COMMANDS))(
    '%s answers as expected to whatever is wrong with it, twice over',
    (_what, command) => {
      for (const target of ['device', 'incoming', 'outgoing'] as const) {
        const good = goodCall(target, command);
        for (const [i, [first, change]] of changes.entries()) {
          for (const [second, another] of changes.slice(i)) {
            const call = another(change(good));
            const [found, wanted] = [world.make(call), expected(rules, KNOWN, call)];
            if (!same(found, wanted))
              expect([target, first, second, found]).toEqual([target, first, second, wanted]);
          }
        }
      }
    },
  );

  it('answers as expected to anything', () => {
    fc.assert(
      fc.property(arbitraryCall, (call) => {
        expect(world.make(call)).toEqual(expected(rules, KNOWN, call));
      }),
      { numRuns: runs(100) },
    );
  });
});

/** Compared without the matcher, which takes longer than the call. */
const same = (x: Answer, y: Answer): boolean =>
  x.result === y.result && x.effect === y.effect && Buffer.from(x.bytes).equals(y.bytes);

const arbitraryCommand = fc.constantFrom(...Object.values(COMMANDS));

/** A number that is known, or one like it. */
const arbitraryNumber = fc.oneof(
  { weight: 8, arbitrary: arbitraryCommand.map(({ number }) => number) },
  { weight: 1, arbitrary: fc.nat(0xff).map((nr) => 0xba00 | nr) },
  {
    weight: 1,
    arbitrary: fc.tuple(arbitraryCommand, fc.nat(31)).map(([{ number }, bit]) => (number ^ (1 << bit)) >>> 0),
  },
);

/** Mostly all, else any number of bytes of `length`. */
const mostly = (length: number): fc.Arbitrary<number> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(length) }, { weight: 1, arbitrary: fc.nat(length) });

/** Noise, or zeroes, of about the length of an argument; a name and a size in it that may mean something. */
const arbitraryBytes = fc
  .oneof(fc.constantFrom(8, 16, 72, 72, 72, 80), fc.integer({ min: 4, max: 100 }))
  .chain((length) =>
    fc.record({
      noise: fc.option(fc.uint8Array({ minLength: length, maxLength: length }), {
        nil: new Uint8Array(length),
      }),
      name: fc.constantFrom('', 'new\0', 'waiting\0', 'taken\0', `${LONG}\0`, `${LONG}y`, 'out'),
      size: fc.oneof({ weight: 4, arbitrary: fc.constant(length) }, { weight: 1, arbitrary: fc.nat(100) }),
      fd: fc.option(fc.constantFrom(0, 3, 4, -1, 8)),
    }),
  )
  .map(({ noise, name, size, fd }) => {
    const bytes = noise.slice();
    const view = new DataView(bytes.buffer);
    view.setUint32(0, size, true);
    if (fd !== null && bytes.length >= 8) view.setInt32(4, fd, true);
    for (let i = 0; i < name.length && 8 + i < bytes.length; i++) bytes[8 + i] = name.charCodeAt(i);
    return bytes;
  });

const arbitraryCall: fc.Arbitrary<Call> = fc.tuple(arbitraryNumber, arbitraryBytes).chain(([number, bytes]) =>
  fc.record({
    target: fc.constantFrom(
      ...(['device', 'incoming', 'outgoing'] as const),
      ...((number & 0x40) === 0 ? (['device', 'device'] as const) : []),
    ),
    number: fc.constant(number),
    bytes: fc.constant(bytes),
    readable: mostly(bytes.length),
    writable: mostly(bytes.length),
  }),
);
