import { describe, expect, it } from 'vitest';
import { settle } from '../../sim/base/answer.ts';
import { definePoint } from '../../sim/base/point.ts';
import { order, type Phys, pfn, pfnOf } from '../../sim/base/units.ts';
import type { System } from '../../sim/boot/boot.ts';
import { takeCensus } from '../../sim/check/census.ts';
import { talliesByOwner } from '../../sim/check/frames.ts';
import { type Crossing, checkHandover } from '../../sim/check/handover.ts';
import { checkLeft, checkObjects, checkTransient, Growth, isFinished } from '../../sim/check/leak.ts';
import { SessionModel } from '../../sim/check/model.ts';
import { KEPT_FOR_EVER, OWNER_RULES, ruleOf } from '../../sim/check/owners.ts';
import { Violations } from '../../sim/check/violation.ts';
import type { FileHandle } from '../../sim/kernel/vfs.ts';
import type { SessionHandle } from '../../sim/luo/session_table.ts';
import { LiveUpdateDevice } from '../../sim/user/liveupdate.ts';
import { Process, Thread } from '../../sim/user/process.ts';
import { inTask } from '../support/system.ts';
import {
  atJump,
  bed,
  close,
  coldBoot,
  create,
  expectOnly,
  nextKernel,
  ownership,
  PER_BLOCK,
  reported,
  retrieve,
  takeOver,
} from './life.ts';

const PAGE = definePoint('test_leak', 'page', 'fault');

function alloc({ kernel }: System, owner: string, o = 0): void {
  expect(kernel.pages.alloc(order(o), kernel.frames.owner(owner), PAGE)).toBeGreaterThan(0);
}

/** Through the jump, with what crosses. */
function handOver(system: System): [System, Crossing] {
  const crossing = checkHandover(atJump(system), new Violations());
  if (crossing === undefined) throw new Error('nothing crosses');
  return [nextKernel(system), crossing];
}

const left =
  (system: System, crossing?: Crossing) =>
  (violations: Violations): void => {
    expect(isFinished(system)).toBe(true);
    checkLeft(system, takeCensus(system.kernel), crossing, violations);
  };

describe('what is left', () => {
  it('is what the real system keeps, over generations that use blocks and give them back', () => {
    let system = coldBoot();
    expect(reported(left(system))).toEqual([]);
    for (let generation = 1; generation < 4; generation++) {
      close(system, create(system, 2 * PER_BLOCK + 1).slice(2));
      expect(isFinished(system)).toBe(false);
      const [next, crossing] = handOver(system);
      system = next;
      // Not opened yet: the blocks of the chain are still reserved, and may be.
      expect(reported(left(system, crossing))).toEqual([]);
      takeOver(system, 2);
      expect(reported(left(system, crossing))).toEqual([]);
      const { stamped } = takeCensus(system.kernel);
      expect([stamped.blocks, stamped.pages]).toEqual([4, 4]);
    }
  });

  it('is one page each of KHO root, metadata, LUO root and FLB page from the kernel before', () => {
    expect(KEPT_FOR_EVER.map(({ owner, outlivesPages }) => [owner, outlivesPages])).toEqual([
      ['kho root fdt', 1],
      ['kexec-metadata', 1],
      ['luo fdt', 1],
      ['luo flb page', 1],
    ]);
    for (const { owner, why } of OWNER_RULES) expect(ruleOf(owner)?.why).toBe(why);
    expect(ruleOf('slab:anything')?.kept).toBe('none');
    expect(ruleOf('anything')).toBeUndefined();
  });

  it('whichever allocation of a boot failed, may be what the real setup leaves behind', () => {
    const points = [
      'kho_init:radix root',
      'kho_init:fdt',
      'kho_kexec_metadata_init:page',
      'luo_fdt_setup:fdt',
      'luo_session_setup_outgoing:block',
      'luo_flb_setup_outgoing:page',
    ];
    const faults = points.map((point) => ({ point, nth: 0 }));
    // The paths to the first keys of order 0 and order 4 take five nodes each.
    for (let nth = 0; nth < 10; nth++) faults.push({ point: 'kho_radix_add_page:node', nth });
    for (const fault of faults) {
      const system = coldBoot({ faults: [fault] });
      expect(system.luo.enabled).toBe(false);
      expect(reported(ownership(system))).toEqual([]);
      expect(reported(left(system))).toEqual([]);
    }
  });

  const inBed = bed(() => {
    const system = coldBoot();
    close(system, create(system, 3));
    return system;
  });
  it.each<[string, (system: System) => void, RegExp]>([
    [
      'a second LUO root',
      (s) => alloc(s, 'luo fdt'),
      /2 blocks of "luo fdt" are left, 1 may be: mapped for good/,
    ],
    ['a second FLB page', (s) => alloc(s, 'luo flb page'), /2 blocks of "luo flb page" are left, 1 may be/],
    [
      'a session block out of the store',
      (s) => alloc(s, 'luo session block', 4),
      /2 blocks .* are left, 1 may be/,
    ],
    [
      'a tracker node out of the tracker',
      (s) => alloc(s, 'kho radix node'),
      /12 blocks .* are left, 11 may be/,
    ],
    [
      'a page that was restored to be freed',
      (s) => alloc(s, 'kho restored'),
      /1 blocks of "kho restored" are left/,
    ],
    [
      'test data that nobody published',
      (s) => alloc(s, 'kho_test', 3),
      /1 blocks of "kho_test" are left, 0 may be/,
    ],
    ['a slab', (s) => alloc(s, 'slab:filp'), /1 blocks of "slab:filp" are left, 0 may be/],
    [
      'no LUO root at all',
      (s) => {
        const { frames } = s.kernel;
        let head = 0;
        while (
          !frames.isAllocatedHead(pfn(head)) ||
          frames.ownerName(frames.ownerOf(pfn(head))) !== 'luo fdt'
        )
          head++;
        s.kernel.pages.free(pfn(head), order(0));
      },
      /0 blocks of "luo fdt" are left, 1 should be/,
    ],
  ])('is too much: %s', (_what, plant, text) => {
    inBed((system) => {
      plant(system);
      expectOnly(left(system), 'leak', text);
    });
  });

  it('is too much: a block of the previous kernel that was never restored', () => {
    const old = coldBoot();
    create(old, 1);
    // In no chain: nobody will ask for it.
    const owner = old.kernel.frames.owner('luo session block');
    inTask(old, (task) => old.kho.out.allocPreserve(task, old.luo.sessions.store.blockBytes, owner, PAGE));
    const [system, crossing] = handOver(old);
    expect(reported(left(system, crossing))).toEqual([]);
    takeOver(system, 1);
    expectOnly(
      left(system, crossing),
      'leak',
      /5 blocks of 20 pages .* still reserved, 4 blocks of 4 pages should be/,
    );
  });

  it('is too little: a page that is to stay for good was given back', () => {
    const [system, crossing] = handOver(coldBoot());
    takeOver(system, 0);
    system.kho.in.restoreFree(system.kho.incomingFdtPhys as Phys);
    expectOnly(left(system, crossing), 'leak', /3 blocks of 3 pages .* still reserved, 4 blocks/);
  });
});

it('what is given back at once is not there between calls', () => {
  const system = coldBoot();
  create(system, 3);
  const transient = (violations: Violations): void =>
    checkTransient(talliesByOwner(system.kernel, takeCensus(system.kernel)), violations);
  expect(reported(transient)).toEqual([]);
  alloc(system, 'kho restored', 4);
  expectOnly(transient, 'leak', /1 blocks of "kho restored" are there/);
});

describe('objects', () => {
  /** A kernel with a session each created, retrieved and waiting, in a process; and the user's view of that. */
  function world(): [System, Process, SessionModel] {
    const old = coldBoot();
    create(old, 3);
    const system = nextKernel(old);
    const { storage } = system.kernel;
    const model = new SessionModel(storage, new Violations(), String);
    const process = new Process(system, 'p');
    const install = (file: FileHandle): void => process.install(process.reserveFd(), file);
    const device = new LiveUpdateDevice(system);
    inTask(system, (task) => {
      const thread = new Thread(task, process);
      for (let name = 0; name < 3; name++) model.answered(thread, 'create', name, 0);
      model.jumped();
      model.answered(thread, 'retrieve', 0, 0);
      model.answered(thread, 'create', 5, 0);
      return device.open(thread);
    });
    for (const file of [...retrieve(system, 1), ...create(system, 1, 5)]) install(file);
    return [system, process, model];
  }

  const objects =
    ([system, process, model]: [System, Process, SessionModel]) =>
    (violations: Violations): void =>
      checkObjects(system, [process], model, violations);

  it('are those that somebody holds', () => {
    const all = world();
    expect(reported(objects(all))).toEqual([]);
    expect(all[0].vfs.open).toBe(3);
  });

  it.each<[string, (system: System, process: Process) => void, RegExp]>([
    [
      'a session on no list',
      ({ luo }) => luo.sessions.table.alloc(new Int32Array(16), 0),
      /5 luo_session objects live, 4 sessions are listed/,
    ],
    [
      'a listed session that was freed',
      ({ luo }) => luo.sessions.table.free(luo.sessions.outgoing.head),
      /3 luo_session objects live, 4/,
    ],
    [
      'a file on no descriptor',
      (system) => {
        inTask(system, function* (task) {
          yield* settle(
            system.luo.sessions.retrieve(task, Int32Array.from([0x3173, ...Array(15).fill(0)]), 0),
          );
        });
      },
      /4 filp objects live, 3 are open or in a session/,
    ],
    [
      'a descriptor whose file was dropped',
      ({ vfs }, process) => {
        const file = process.file(4) as FileHandle;
        vfs.put(file);
        vfs.free(file);
      },
      /2 filp objects live, 3 are open/,
    ],
    [
      'a dentry without a file',
      ({ kernel }) => kernel.slabs.find(({ name }) => name === 'dentry')?.alloc(),
      /4 dentry/,
    ],
    [
      'an incoming session that should have gone',
      ({ luo }, process) => {
        const { table, incoming } = luo.sessions;
        incoming.append(table.alloc(new Int32Array(16).fill(0x41414141), 0) as SessionHandle);
        expect(process.open).toBe(6);
      },
      /4 sessions are on the incoming list, 3 were not finished/,
    ],
    [
      'an incoming session that has gone',
      ({ luo }) => {
        const { table, incoming } = luo.sessions;
        const { tail } = incoming;
        incoming.unlink(tail);
        table.free(tail);
      },
      /2 sessions are on the incoming list, 3 were not finished/,
    ],
  ])('give away %s', (_what, plant, text) => {
    const all = world();
    plant(all[0], all[1]);
    expectOnly(objects(all), 'leak', text);
  });
});

describe('growth', () => {
  function generations(count: number, each: (system: System, generation: number) => void): readonly string[] {
    return reported((violations) => {
      const growth = new Growth(violations);
      let system = coldBoot();
      let crossing: Crossing | undefined;
      for (let generation = 0; generation < count; generation++) {
        growth.booted(system, takeCensus(system.kernel), crossing);
        if (generation > 0) takeOver(system, 3);
        close(system, create(system, 5).slice(3));
        each(system, generation);
        growth.ended(system, takeCensus(system.kernel), 'the same');
        [system, crossing] = handOver(system);
      }
    }).map(({ text }) => text);
  }

  it('is none where every generation does the same', () => {
    expect(generations(5, () => {})).toEqual([]);
  });

  it('is told where a generation keeps a page more than the one before', () => {
    const texts = generations(3, (system, generation) => {
      for (let pages = 0; pages < generation; pages++) alloc(system, 'luo fdt');
    });
    expect(texts).toEqual([
      expect.stringMatching(/^\d+ pages are free at the end, having done the same, \d+ were/),
    ]);
  });

  it('is told where a kernel starts with less', () => {
    const texts = reported((violations) => {
      const growth = new Growth(violations);
      const [first, crossing] = handOver(coldBoot());
      growth.booted(first, takeCensus(first.kernel), crossing);
      const [second, again] = handOver(first);
      alloc(second, 'luo fdt');
      growth.booted(second, takeCensus(second.kernel), again);
    }).map(({ text }) => text);
    expect(texts).toEqual([expect.stringMatching(/^\d+ pages are free after boot/)]);
  });

  it('is not judged where something else was done, or live update did not come up', () => {
    const system = coldBoot();
    const texts = reported((violations) => {
      const growth = new Growth(violations);
      const census = takeCensus(system.kernel);
      growth.ended(system, census, 'one');
      growth.ended(system, census, 'another');
      growth.ended(system, census, undefined);
    });
    expect(texts).toEqual([]);
  });
});

it('a stamp of the previous kernel counts as its owner', () => {
  const old = coldBoot();
  create(old, 1);
  const block = pfnOf(old.luo.sessions.store.regions()[0]?.address as Phys);
  const [system, crossing] = handOver(old);
  expect(system.kernel.frames.stampOrder(block)).toBe(4);
  expect([...crossing.owners].map(([owner, { pages }]) => [owner, pages]).sort()).toEqual([
    ['kexec-metadata', 1],
    ['kho root fdt', 1],
    ['luo fdt', 1],
    ['luo flb page', 1],
    ['luo session block', 16],
  ]);
});
