/*
 * A descriptor table against an array that is searched through, and what an exit closes.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { settle } from '../../sim/base/answer.ts';
import { ERRNO } from '../../sim/base/errno.ts';
import { NR_OPEN } from '../../sim/base/limits.ts';
import type { FileHandle } from '../../sim/kernel/vfs.ts';
import { dropFile, exitProcess, Process } from '../../sim/user/process.ts';
import { bootOn, inTask, machineFor } from '../support/system.ts';

const RESERVED = -1;
const STREAMS = [RESERVED, RESERVED, RESERVED];

const step = fc.record({
  what: fc.constantFrom(
    'reserve',
    'reserve',
    'reserve',
    'install',
    'return',
    'detach',
    'limit',
    'mark',
    'rollback',
  ),
  at: fc.nat(40),
});

const system = bootOn(machineFor());

/** Everything that can be asked of a table, of one descriptor more than there are on either side. */
function expectSame(process: Process, model: readonly number[], limit: number): void {
  expect(process.limit).toBe(limit);
  const fileOf = (fd: number): number => ((model[fd] ?? 0) > 0 ? (model[fd] as number) : -ERRNO.EBADF);
  const end = Math.max(limit, model.length);
  for (let fd = -1; fd <= end + 1; fd++) expect([fd, process.file(fd)]).toEqual([fd, fileOf(fd)]);
  for (let fd = 0; fd <= end; fd++) {
    const next = model.findIndex((file, at) => at >= fd && file > 0);
    expect([fd, process.nextOpen(fd)]).toEqual([fd, next]);
  }
  expect(process.open).toBe(model.filter((file) => file !== 0).length);
  expect(filesOf(process)).toEqual(model.filter((file) => file > 0));
}

function filesOf(process: Process): number[] {
  const files: number[] = [];
  process.eachFile((file) => files.push(file));
  return files;
}

it('tells of every open file, however many there are', () => {
  const process = new Process(system, 'many');
  const files = Array.from({ length: 40_000 }, (_, i) => (i % 3 === 0 ? 0 : i));
  for (const file of files) {
    const fd = process.reserveFd();
    if (file !== 0) process.install(fd, file as FileHandle, file % 2 === 0);
  }
  expect(filesOf(process)).toEqual(files.filter((file) => file !== 0));
});

describe('descriptors', () => {
  it('are what an array of them is: the lowest free one, up to the limit', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 0, max: 12 }), (steps, first) => {
        const { journal } = system.kernel.machine;
        const process = new Process(system, 'test', first);
        let limit = first;
        let model = STREAMS.slice(0, limit);
        let files = 100;
        const marks: [ReturnType<typeof journal.mark>, number[], number][] = [];
        for (const { what, at } of steps) {
          const reserved = model.flatMap((file, fd) => (file === RESERVED ? [fd] : []));
          const fd = reserved[at % reserved.length];
          if (what === 'reserve') {
            const free = [...model, 0].indexOf(0);
            const isFull = free >= limit;
            expect(process.reserveFd()).toBe(isFull ? -ERRNO.EMFILE : free);
            if (!isFull) model[free] = RESERVED;
          } else if (what === 'install' && fd !== undefined) {
            process.install(fd, ++files as FileHandle);
            model[fd] = files;
          } else if (what === 'return' && fd !== undefined) {
            process.returnFd(fd);
            model[fd] = 0;
          } else if (what === 'detach') {
            const file = model[at % 14] ?? 0;
            expect(process.detach(at % 14)).toBe(file > 0 ? file : -ERRNO.EBADF);
            if (file > 0) model[at % 14] = 0;
          } else if (what === 'limit') {
            limit = at % 13;
            process.limit = limit;
          } else if (what === 'mark' && marks.length < 2) {
            marks.push([journal.mark(), model.slice(), limit]);
          } else if (what === 'rollback' && marks.length > 0) {
            const [mark, then, allowed] = marks.at(-1) as (typeof marks)[number];
            journal.rollback(mark);
            model = then.slice();
            limit = allowed;
          }
          expectSame(process, model, limit);
        }
        journal.forget();
      }),
      { numRuns: 150 },
    );
  });

  it('end at the limit of the system', () => {
    const process = new Process(system, 'test');
    expect(process.limit).toBe(NR_OPEN);
    for (let fd = 3; fd < NR_OPEN; fd++) if (process.reserveFd() !== fd) expect.fail(`not ${fd}`);
    expect(process.reserveFd()).toBe(-ERRNO.EMFILE);
    process.returnFd(NR_OPEN - 1);
    expect(process.reserveFd()).toBe(NR_OPEN - 1);
  });
});

describe('an exit', () => {
  it('closes every descriptor once, ascending, and releases what nobody else has', () => {
    const released: number[] = [];
    const { vfs } = system;
    const kind = vfs.registerKind({
      name: 'test',
      release: (_task, _file, number) => {
        released.push(number);
        return 0;
      },
    });
    // Of each file: at how many descriptors it is, and whether somebody else has it.
    const file = fc.record({ fds: fc.integer({ min: 1, max: 3 }), isShared: fc.boolean() });
    fc.assert(
      fc.property(fc.array(file, { maxLength: 6 }), fc.array(fc.nat(20), { maxLength: 4 }), (files, gone) => {
        released.length = 0;
        const open = vfs.open;
        const process = new Process(system, 'test');
        const last = new Map<number, number>();
        const shared: FileHandle[] = [];
        inTask(system, function* (task) {
          for (const [number, { fds, isShared }] of files.entries()) {
            const handle = vfs.allocFile(task, kind, number) as FileHandle;
            for (let i = 0; i < fds; i++) {
              if (i > 0) vfs.get(handle);
              const fd = process.reserveFd();
              process.install(fd, handle);
              last.set(number, fd);
            }
            if (!isShared) continue;
            vfs.get(handle);
            shared.push(handle);
          }
          // A number that leads nowhere is passed over.
          process.reserveFd();
          const alone = new Set<number>();
          for (const fd of gone) {
            const handle = process.detach(fd);
            if (handle < 0) continue;
            const number = vfs.privateData(handle as FileHandle);
            yield* settle(dropFile(system, task, handle as FileHandle));
            if (released.includes(number)) alone.add(number);
            const left = lastOf(process, number);
            if (left === -1) last.delete(number);
            else last.set(number, left);
          }
          expect([...alone]).toEqual(released);
          released.length = 0;
          return 0;
        });
        const mark = system.kernel.machine.mark();
        const exit = (): void => {
          released.length = 0;
          expect(process.alive).toBe(true);
          inTask(system, (task) => exitProcess(system, task, process));
          expect(process.alive).toBe(false);
        };
        exit();
        system.kernel.machine.rollback(mark);
        exit();
        expect(process.nextOpen(0)).toBe(-1);
        expect(process.open).toBe(4);
        const own = [...last].filter(([number]) => files[number]?.isShared === false);
        expect(released).toEqual(own.sort(([, x], [, y]) => x - y).map(([number]) => number));
        expect(vfs.open).toBe(open + shared.length);
        inTask(system, function* (task) {
          for (const handle of shared) yield* settle(dropFile(system, task, handle));
          return 0;
        });
        expect(vfs.open).toBe(open);
        system.kernel.machine.journal.forget();
      }),
      { numRuns: 60 },
    );
  });
});

/** The highest descriptor that leads to a file of this number, or -1. */
function lastOf(process: Process, number: number): number {
  let highest = -1;
  for (let fd = process.nextOpen(0); fd !== -1; fd = process.nextOpen(fd + 1)) {
    const file = process.file(fd);
    if (file >= 0 && system.vfs.privateData(file as FileHandle) === number) highest = fd;
  }
  return highest;
}
