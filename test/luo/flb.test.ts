/*
 * FLBs: preserved with the first file that needs them, retrieved once, finished with the last; the test module of the
 * kernel as its user sees it, and drivers of our own for what it does not do.
 */
import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../sim/base/errno.ts';
import type { System } from '../../sim/boot/boot.ts';
import { KernelModule } from '../../sim/kernel/module.ts';
import { REVISIONS, type Revision, V6_19, V7_1, V7_3 } from '../../sim/kernel/revisions.ts';
import { LUO_FLB_HEADER_SER, LUO_FLB_SER } from '../../sim/luo/abi.ts';
import type { Flb } from '../../sim/luo/flb.ts';
import type { BootParams, Machine } from '../../sim/machine/machine.ts';
import { Caller } from '../support/caller.ts';
import { bootOn, inTask, jump, MIB, machineFor } from '../support/system.ts';

const EVERY = REVISIONS.map((revision) => [revision.name, revision] as const);

const said = ({ kernel }: System, what: string): string[] =>
  kernel.log.lines.filter(({ text }) => text.includes(what)).map(({ text }) => text);
const warnings = ({ kernel }: System): string[] => said({ kernel } as System, 'WARNING');

function userOn(machine: Machine, revision: Revision, params?: BootParams, liveupdateTest = false): Caller {
  const system = bootOn(machine, {
    revision,
    options: { liveupdateTest },
    generation: params === undefined ? 0 : 1,
    ...(params === undefined ? {} : { params }),
  });
  const user = new Caller(system);
  user.open();
  return user;
}

/** An FLB that writes down what it is asked. */
function recorder(
  name: string,
  calls: string[],
  answers: { preserve?: number; retrieve?: number } = {},
): Flb {
  return {
    compatible: name,
    module: undefined,
    preserve: (args) => {
      calls.push(`preserve ${name}`);
      args.data = 42n;
      args.obj = name;
      return answers.preserve ?? 0;
    },
    unpreserve: ({ data, obj }) => calls.push(`unpreserve ${name} ${data} ${obj}`),
    retrieve: (args) => {
      calls.push(`retrieve ${name} ${args.data}`);
      args.obj = `${name} again`;
      return answers.retrieve ?? 0;
    },
    finish: ({ data, obj }) => calls.push(`finish ${name} ${data} ${obj}`),
  };
}

const tie = ({ luo, files, kernel }: System, flb: Flb): number =>
  inTask({ kernel } as System, (task) => luo.files.flbs.register(task, files.memfd, flb));

describe("the kernel's test module", () => {
  it.each(EVERY)(
    'sees its FLBs preserved once, counted by file, found and finished once on %s',
    (_n, revision) => {
      const machine = machineFor({ ramBytes: 64 * MIB });
      const user = userOn(machine, revision, undefined, true);
      expect(said(user.system, 'Registered 3 FLBs with file handler')).toHaveLength(1);
      for (const s of ['x', 'y']) {
        const session = user.create(s);
        for (const token of [1, 2]) expect(user.preserve(session, user.memfd(s), token)).toBe(0);
      }
      const order = [0, 1, 2].map((i) =>
        expect.stringContaining(`preserve was triggered for liveupdate-test-flb-v${i}`),
      );
      expect(said(user.system, 'preserve was triggered')).toEqual(order);
      const { flbPhys } = user.system.luo;
      const next = userOn(machine, revision, jump(user.system) as BootParams, true);
      const { ram } = machine;
      expect(ram.load64(flbPhys + LUO_FLB_HEADER_SER.at.count)).toBe(3);
      for (let i = 0; i < 3; i++) {
        const entry = flbPhys + LUO_FLB_HEADER_SER.size + i * LUO_FLB_SER.size;
        expect(ram.load64(entry + LUO_FLB_SER.at.count)).toBe(4);
        // The magic number and the index, as in the image of 7.3.4.
        expect([...ram.loadBytes(entry + LUO_FLB_SER.at.data, 8)]).toEqual([
          0xe0 + i,
          0xbe,
          0xfe,
          0xca,
          0x0d,
          0xf0,
          0xed,
          0xfe,
        ]);
      }
      expect(said(next.system, 'found flb data from the previous boot')).toHaveLength(3);
      const last = ['x', 'y'].map((s) => next.retrieve(s));
      expect(next.finish(last[0] as number)).toBe(0);
      expect(said(next.system, 'finish was triggered')).toEqual([]);
      expect(next.finish(last[1] as number)).toBe(0);
      const reverse = [2, 1, 0].map((i) =>
        expect.stringContaining(`finish was triggered for liveupdate-test-flb-v${i}`),
      );
      expect(said(next.system, 'finish was triggered')).toEqual(reverse);
      expect(warnings(next.system)).toEqual([]);
    },
  );

  it('is given its objects back when the session is closed', () => {
    const user = userOn(machineFor({ ramBytes: 64 * MIB }), V7_3, undefined, true);
    const session = user.create('x');
    for (const token of [1, 2]) user.preserve(session, user.memfd(), token);
    user.close(session);
    const reverse = [2, 1, 0].map((i) => expect.stringContaining(`liveupdate-test-flb-v${i}`));
    expect(said(user.system, 'unpreserve was triggered')).toEqual(reverse);
    expect(user.system.luo.files.flbs.inUse).toEqual([]);
  });
});

describe('an FLB', () => {
  it('that cannot be preserved undoes those before it, and the file is not preserved', () => {
    for (const [, revision] of EVERY) {
      const user = userOn(machineFor({ ramBytes: 64 * MIB }), revision);
      const calls: string[] = [];
      tie(user.system, recorder('a', calls));
      tie(user.system, recorder('b', calls));
      tie(user.system, recorder('c', calls, { preserve: -ERRNO.ENOSPC }));
      const session = user.create('x');
      const fd = user.memfd('data');
      expect(user.preserve(session, fd, 1)).toBe(-ERRNO.ENOSPC);
      expect(calls).toEqual([
        'preserve a',
        'preserve b',
        'preserve c',
        'unpreserve b 42 b',
        'unpreserve a 42 a',
      ]);
      expect(user.truncate(fd, 9000)).toBe(0);
      expect(user.system.luo.files.preserved.count).toBe(0);
    }
  });

  it('is one of at most 63, has a name of its own, and is tied to a handler once', () => {
    const { system } = userOn(machineFor({ ramBytes: 64 * MIB }), V7_3);
    const flbs = Array.from({ length: 64 }, (_, i) => recorder(`flb-${i}`, []));
    expect(flbs.slice(0, 63).map((flb) => tie(system, flb))).toEqual(new Array(63).fill(0));
    expect(tie(system, flbs[63] as Flb)).toBe(-ERRNO.ENOSPC);
    expect(tie(system, flbs[0] as Flb)).toBe(-ERRNO.EEXIST);
    inTask(system, (task) => system.luo.files.flbs.unregister(task, system.files.memfd, flbs[5] as Flb));
    expect(tie(system, recorder('flb-6', []))).toBe(-ERRNO.EEXIST);
    expect(tie(system, flbs[63] as Flb)).toBe(0);
  });

  it('of a handler that is not registered is refused with a warning; with live update off nothing is', () => {
    const { system } = userOn(machineFor({ ramBytes: 64 * MIB }), V7_3);
    inTask(system, (task) => system.luo.files.handlers.unregister(task, system.files.memfd));
    expect(tie(system, recorder('a', []))).toBe(-ERRNO.EINVAL);
    expect(warnings(system)).toHaveLength(1);
    const off = bootOn(machineFor(), { revision: V7_3, options: { liveupdate: false } });
    expect(tie(off, recorder('a', []))).toBe(-ERRNO.EOPNOTSUPP);
  });

  it('cannot be tied while there are sessions in v6.19, and always later', () => {
    for (const [, revision] of EVERY) {
      const user = userOn(machineFor({ ramBytes: 64 * MIB }), revision);
      user.create('x');
      expect(tie(user.system, recorder('a', []))).toBe(revision === V6_19 ? -ERRNO.EBUSY : 0);
    }
  });

  it('pins its module while it is in use, and cannot be preserved once that is gone', () => {
    const caller = userOn(machineFor({ ramBytes: 64 * MIB }), V7_3);
    const { system } = caller;
    const module = new KernelModule(system.kernel, 'driver');
    tie(system, { ...recorder('a', []), module });
    const session = caller.create('x');
    expect(caller.preserve(session, caller.memfd(), 1)).toBe(0);
    expect([module.references, module.unload()]).toEqual([1, -ERRNO.EBUSY]);
    caller.close(session);
    expect([module.references, module.unload()]).toEqual([0, 0]);
    expect(caller.preserve(caller.create('y'), caller.memfd(), 1)).toBe(-ERRNO.ENODEV);
  });

  /** A file with an FLB in the kernel after its update; `answers` of the new driver. */
  const crossed = (
    revision: Revision,
    calls: string[],
    answers: { retrieve?: number } = {},
  ): [Caller, Flb] => {
    const machine = machineFor({ ramBytes: 64 * MIB });
    const user = userOn(machine, revision);
    tie(user.system, recorder('a', []));
    user.preserve(user.create('x'), user.memfd('data'), 1);
    const system = bootOn(machine, { revision, generation: 1, params: jump(user.system) as BootParams });
    const flb = recorder('a', calls, answers);
    tie(system, flb);
    const next = new Caller(system);
    next.open();
    return [next, flb];
  };

  it('whose object nobody asked for before the last file is finished underflows, as the real one does', () => {
    for (const [, revision] of EVERY) {
      const calls: string[] = [];
      const [user] = crossed(revision, calls);
      expect(user.finish(user.retrieve('x'))).toBe(0);
      expect(calls).toEqual([]);
      expect(warnings(user.system)).toHaveLength(revision === V6_19 ? 0 : 1);
    }
  });

  it('is held by whoever got it, since there are references', () => {
    for (const [, revision] of EVERY) {
      const calls: string[] = [];
      const [user, flb] = crossed(revision, calls);
      const { flbs } = user.system.luo.files;
      const got = inTask(user.system, (task) => flbs.getIncoming(task, flb));
      expect(got).toEqual({ obj: 'a again' });
      const session = user.retrieve('x');
      user.finish(session);
      const counted = revision !== V6_19;
      expect(calls).toEqual(counted ? ['retrieve a 42'] : ['retrieve a 42', 'finish a 42 a again']);
      inTask(user.system, (task) => flbs.putIncoming(task, flb));
      expect(calls).toEqual(['retrieve a 42', 'finish a 42 a again']);
      expect(inTask(user.system, (task) => flbs.getIncoming(task, flb))).toBe(-ERRNO.ENODATA);
    }
  });

  it('that cannot be retrieved is tried again before v7.3, and never again since', () => {
    for (const [revision, tries] of [
      [V6_19, 2],
      [V7_1, 2],
      [V7_3, 1],
    ] as const) {
      const calls: string[] = [];
      const [user, flb] = crossed(revision, calls, { retrieve: -ERRNO.EIO });
      const { flbs } = user.system.luo.files;
      for (let i = 0; i < 2; i++)
        expect(inTask(user.system, (task) => flbs.getIncoming(task, flb))).toBe(-ERRNO.EIO);
      expect(calls).toHaveLength(tries);
    }
  });

  it('that is to cross is counted for its users in v7.3 only, and is NULL before there is a file', () => {
    for (const [, revision] of EVERY) {
      const user = userOn(machineFor({ ramBytes: 64 * MIB }), revision);
      const calls: string[] = [];
      const flb = recorder('a', calls);
      tie(user.system, flb);
      const { flbs } = user.system.luo.files;
      const get = (): unknown => inTask(user.system, (task) => flbs.getOutgoing(task, flb));
      expect(get()).toEqual(revision === V7_3 ? -ERRNO.ENOENT : { obj: undefined });
      const session = user.create('x');
      user.preserve(session, user.memfd(), 1);
      expect(get()).toEqual({ obj: 'a' });
      user.close(session);
      expect(calls.length).toBe(revision === V7_3 ? 1 : 2);
      inTask(user.system, (task) => flbs.putOutgoing(task, flb));
      expect(calls.at(-1)).toBe('unpreserve a 42 a');
    }
  });
});
