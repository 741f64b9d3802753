/*
 * What preserving and retrieving memfds cost on 7.3.4, in guest instructions of an emulator, against what is charged
 * here: within a tenth.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { V7_3 } from '../../sim/kernel/revisions.ts';
import type { BootParams } from '../../sim/machine/machine.ts';
import { Thread } from '../../sim/user/process.ts';
import { Caller } from '../support/caller.ts';
import { bootOn, jump, MIB, machineFor } from '../support/system.ts';

interface Row {
  readonly stage: number;
  readonly t: string;
  readonly bytes?: number;
  readonly n?: number;
  readonly tsc: number;
}
const path = fileURLToPath(new URL('../golden/k734-memfd-timing.json', import.meta.url));
const golden = JSON.parse(readFileSync(path, 'utf8')) as { memi: Row[]; filesi: Row[] };

/** Virtual nanoseconds that a call took. */
function spent({ system }: Caller, call: () => number): number {
  const { cpus } = system.kernel.machine;
  const before = cpus.current.now();
  expect(call()).toBeGreaterThanOrEqual(0);
  const after = cpus.current.now();
  return (after.seconds - before.seconds) * 1e9 + after.ns - before.ns;
}

const near = (charged: number, real: number): number => Math.abs(charged / real - 1);

/** The next kernel's user, with the device open. */
function afterJump(user: Caller): Caller {
  const { machine } = user.system.kernel;
  const params = jump(user.system) as BootParams;
  return new Caller(bootOn(machine, { revision: V7_3, generation: 1, params }));
}

const report = (rows: readonly [string, number, number][]): string[] =>
  rows.filter(([, charged, real]) => near(charged, real) > 0.1).map((row) => row.join(' '));

describe('costs of memfds', () => {
  it('of 4 KiB to 32 MiB', () => {
    const user = new Caller(bootOn(machineFor({ ramBytes: 384 * MIB }), { revision: V7_3 }));
    user.open();
    const session = user.create('mem');
    const rows: [string, number, number][] = [];
    const sizes = golden.memi.filter(({ t }) => t === 'preserve memfd');
    for (const [token, { bytes = 0, tsc }] of sizes.entries()) {
      const fd = user.memfd();
      user.truncate(fd, bytes);
      const thread = new Thread(user.system.kernel.sched.boot, user.process);
      for (let at = 0; at < bytes; at += 4096) user.sys.mmapStore(thread, fd, at, Uint8Array.of(1));
      rows.push([`preserve ${bytes}`, spent(user, () => user.preserve(session, fd, token)), tsc]);
    }
    const next = afterJump(user);
    next.open();
    const back = next.retrieve('mem');
    const retrieves = golden.memi.filter(({ t }) => t === 'retrieve memfd');
    for (const [token, { bytes = 0, tsc }] of retrieves.entries()) {
      rows.push([`retrieve ${bytes}`, spent(next, () => next.retrieveFd(back, token)), tsc]);
    }
    const finish = golden.memi.find(({ t }) => t === 'finish') as Row;
    rows.push(['finish', spent(next, () => next.finish(back)), finish.tsc]);
    expect(report(rows)).toEqual([]);
  });

  it('of 500 small ones in a session', () => {
    const user = new Caller(bootOn(machineFor({ ramBytes: 256 * MIB }), { revision: V7_3 }));
    user.open();
    const session = user.create('files');
    const rows: [string, number, number][] = [];
    const marks = golden.filesi.filter(({ t }) => t === 'preserved');
    let total = 0;
    let token = 0;
    for (const { n = 0, tsc } of marks) {
      for (; token < n; token++) {
        const fd = user.memfd('x');
        total += spent(user, () => user.preserve(session, fd, token));
      }
      rows.push([`preserve ${n}`, total, tsc]);
    }
    const next = afterJump(user);
    const real = (t: string): number => (golden.filesi.find((row) => row.t === t) as Row).tsc;
    rows.push(['open', spent(next, () => next.open()), real('open (deserialize)')]);
    const back = next.retrieve('files');
    // Each was compared and closed: finishing lets the last reference go.
    for (let i = 0; i < 500; i++) next.close(next.retrieveFd(back, i));
    rows.push(['finish', spent(next, () => next.finish(back)), real('finish')]);
    expect(report(rows)).toEqual([]);
  });
});
