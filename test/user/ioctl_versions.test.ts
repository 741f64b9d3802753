/*
 * ioctls byte by byte, on every revision: what each answers to arguments of every size, readable and writable up to
 * any place, and what is undone. The expectation (ioctl_model.ts) is held to literal answers first.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { settle } from '../../sim/base/answer.ts';
import { ERRNO } from '../../sim/base/errno.ts';
import { REVISIONS } from '../../sim/kernel/revisions.ts';
import { nameText } from '../../sim/luo/name.ts';
import { Thread } from '../../sim/user/process.ts';
import { COPY_OUT } from '../../sim/user/uaccess.ts';
import { runs } from '../support/seed.ts';
import {
  type Answer,
  type Call,
  expected,
  GET_NAME,
  INTERFACES,
  PRESERVE_FD,
  RETRIEVE,
} from './ioctl_model.ts';
import {
  argumentOf,
  CHANGES,
  type Change,
  COMMANDS,
  goodCall,
  interfaceOf,
  KNOWN,
  LONG,
  worldOf,
} from './ioctl_world.ts';

const { E2BIG, EBADF, EEXIST, EFAULT, EINVAL, ENOENT, ENOTTY } = ERRNO;

/** Refused once the size is read, or before. */
const EARLY = ['size 0', 'size 4', 'one short', 'nothing readable', 'another type', 'a size in the number'];

describe('the expectation', () => {
  type Row = [Call['target'], keyof typeof COMMANDS, string[], number, Partial<Record<string, number>>?];
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

  it('waits for the page of an answer where there is one, and not where a call is refused', () => {
    for (const target of ['device', 'incoming', 'outgoing'] as const) {
      for (const command of Object.values(COMMANDS)) {
        for (const [what, change] of [['nothing', (call: Call) => call] as const, ...changes]) {
          const call = change(goodCall(target, command));
          const { result } = expected(rules, KNOWN, call);
          const { points } = world.waits(call);
          const waits = points.includes(COPY_OUT);
          if (EARLY.includes(what)) expect(points.length).toBeLessThanOrEqual(1);
          if (result !== -EFAULT) {
            expect([target, command.number, what, waits]).toEqual([
              target,
              command.number,
              what,
              result === 0,
            ]);
          }
        }
      }
    }
  });

  it('waits no more once its caller is killed, and says EFAULT whatever else is wrong', () => {
    for (const target of ['device', 'incoming', 'outgoing'] as const) {
      for (const change of [(call: Call) => call, CHANGES['one short'] as Change]) {
        const call = change(goodCall(target, target === 'device' ? RETRIEVE : PRESERVE_FD));
        for (let killed = world.waits(call).points.length; killed > 0; killed--) {
          const { points, result } = world.waits(call, killed);
          expect([target, points.length, result]).toEqual([target, killed, -EFAULT]);
        }
      }
    }
  });

  if (!rules.getName) return;
  it('tells each of two that ask at once the name of its session', () => {
    const { user, fds } = world;
    const { sched, machine } = user.system.kernel;
    const mark = machine.mark();
    user.process.slowPages = true;
    for (let time = 0; time < 8; time++) {
      const names = (['incoming', 'outgoing'] as const).map((target) => {
        const argument = argumentOf(goodCall(target, GET_NAME));
        sched.spawn(target, (task) =>
          settle(user.device.ioctl(new Thread(task, user.process), fds[target], GET_NAME.number, argument)),
        );
        return argument.words;
      });
      sched.run();
      expect(names.map((words) => nameText(words, 2))).toEqual(['in-eight', 'out']);
    }
    machine.rollback(mark);
  });

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
