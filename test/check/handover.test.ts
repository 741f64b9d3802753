import { describe, expect, it } from 'vitest';
import { ERRNO } from '../../sim/base/errno.ts';
import { order, type Phys, pfn, pfnOf, physOf } from '../../sim/base/units.ts';
import type { System } from '../../sim/boot/boot.ts';
import { takeCensus } from '../../sim/check/census.ts';
import { type Crossing, checkHandover, checkStamps } from '../../sim/check/handover.ts';
import { checkLeft } from '../../sim/check/leak.ts';
import type { Violations } from '../../sim/check/violation.ts';
import { KHO_VMALLOC_CHUNK } from '../../sim/kho/abi.ts';
import { LUO_SESSION_BLOCK_SER, LUO_SESSION_SER } from '../../sim/luo/abi.ts';
import type { SessionHandle } from '../../sim/luo/session_table.ts';
import { KhoTest } from '../../sim/user/kho_test.ts';
import { bootOn, inTask, jump, machineFor } from '../support/system.ts';
import {
  atJump,
  BLOCK_ORDER,
  bed,
  blockPhys,
  close,
  coldBoot,
  create,
  expectOnly,
  nextKernel,
  PER_BLOCK,
  patch,
  reported,
  subtreePhys,
  takeOver,
} from './life.ts';

const handover =
  (system: System) =>
  (violations: Violations): void => {
    checkHandover(system, violations);
  };

function crossingOf(system: System): Crossing {
  let crossing: Crossing | undefined;
  expect(
    reported((violations) => {
      crossing = checkHandover(system, violations);
    }),
  ).toEqual([]);
  if (crossing === undefined) throw new Error('nothing crosses');
  return crossing;
}

const store = (s: System, at: number, value: number): void => s.kernel.machine.ram.store64(at, value);

const COUNT = LUO_SESSION_BLOCK_SER.at.count;
const slotPhys = (system: System, n: number): number =>
  blockPhys(system, Math.floor(n / PER_BLOCK)) +
  LUO_SESSION_BLOCK_SER.size +
  (n % PER_BLOCK) * LUO_SESSION_SER.size;

describe('the handover holds', () => {
  it('for every number of sessions at the edges of blocks, with blocks left over, over generations', () => {
    let system = coldBoot();
    for (const [count, kept] of [
      [0, 0],
      [1, 1],
      [PER_BLOCK, PER_BLOCK],
      [PER_BLOCK + 1, PER_BLOCK + 1],
      [2 * PER_BLOCK + 1, 2],
      [2 * PER_BLOCK + 1, PER_BLOCK],
    ] as const) {
      close(system, create(system, count).slice(kept));
      const crossing = crossingOf(atJump(system));
      expect(crossing.owners.get('luo session block')?.blocks).toBe(
        Math.max(1, Math.ceil(count / PER_BLOCK)),
      );
      system = nextKernel(system);
      expect(reported((v) => checkStamps(system, takeCensus(system.kernel), crossing, v))).toEqual([]);
      takeOver(system, kept);
    }
  });

  it('where an earlier attempt to leave failed behind the blocks that are used now', () => {
    const system = coldBoot({ faults: [{ point: 'luo_session_freeze_one:freeze', nth: 2 * PER_BLOCK + 1 }] });
    const files = create(system, 2 * PER_BLOCK + 3);
    expect(jump(system)).toBe(-ERRNO.EIO);
    close(system, files.slice(2));
    expect(reported(handover(atJump(system)))).toEqual([]);
  });

  it('whatever stands behind the word with the NUL of a name', () => {
    const system = coldBoot();
    create(system, 3);
    const { ram } = atJump(system).kernel.machine;
    for (const at of [4, 15, 16, 63]) ram.store8(slotPhys(system, 1) + at, 0x78);
    expect(reported(handover(system))).toEqual([]);
  });

  it('where KHO is off, there is none', () => {
    const system = bootOn(machineFor(), { options: { kho: false } });
    expect(reported(handover(system))).toEqual([]);
    expect(checkHandover(system, undefined as never)).toBeUndefined();
  });
});

describe('the handover is broken by', () => {
  const inBed = bed(() => {
    const system = coldBoot();
    create(system, PER_BLOCK + 2);
    return atJump(system);
  });
  const defects: [string, (system: System) => void, RegExp][] = [
    [
      'a count one too low',
      (s) => store(s, blockPhys(s, 1) + COUNT, 1),
      /the blocks count 820 sessions, the list has 821/,
    ],
    [
      'a count one too high',
      (s) => store(s, blockPhys(s, 1) + COUNT, 3),
      /slot 821 of 821: .*no session is left/,
    ],
    [
      'a count above the capacity',
      (s) => store(s, blockPhys(s, 0) + COUNT, 820),
      /block 0 counts 820 of 819/,
    ],
    [
      'a full block that says it is not',
      (s) => store(s, blockPhys(s, 0) + COUNT, 818),
      /behind block 0, which is not full/,
    ],
    [
      'a name',
      (s) => s.kernel.machine.ram.store8(slotPhys(s, 820), 0x78),
      /slot 820 of 821: "x820" .* the list has "s820"/,
    ],
    [
      'the NUL of a name',
      (s) => s.kernel.machine.ram.store8(slotPhys(s, 3) + 2, 0x78),
      /slot 3 of 821: "s3x"/,
    ],
    [
      'a name that is gone',
      (s) => store(s, slotPhys(s, 0), 0),
      /slot 0 of 821: "" is there, the list has "s0"/,
    ],
    [
      'two slots that changed places',
      (s) => {
        const { ram } = s.kernel.machine;
        const [one, other] = [ram.loadBytes(slotPhys(s, 5), 80), ram.loadBytes(slotPhys(s, 6), 80)];
        ram.storeBytes(slotPhys(s, 5), other);
        ram.storeBytes(slotPhys(s, 6), one);
      },
      /slot 5 of 821: "s6" is there, the list has "s5"/,
    ],
    [
      'files that a session does not have',
      (s) => store(s, slotPhys(s, 820) + 64, 0x4000),
      /"s820" has files there/,
    ],
    [
      'a file that no slot knows of',
      ({ luo: { files, sessions } }) =>
        files.sets.append(sessions.table.next(sessions.outgoing.head), files.table.alloc(1, 0, 0, 0)),
      /"s1" has files there: 0; and holds 1/,
    ],
    ['a number of files', (s) => store(s, slotPhys(s, 0) + 72, 1), /"s0" has files there/],
    [
      'a session that closed after it was serialized',
      (s) => s.luo.sessions.outgoing.unlink(s.luo.sessions.outgoing.tail),
      /slot 820 of 820: "s820" is there, no session is left/,
    ],
    [
      'a session that came after serialization',
      (s) => {
        const { table, outgoing } = s.luo.sessions;
        outgoing.append(table.alloc(new Int32Array(16).fill(0x6c61746c), 0) as SessionHandle);
      },
      /the blocks count 821 sessions, the list has 822/,
    ],
    [
      'a block whose key is gone',
      (s) => s.kho.out.tracker?.del(pfnOf(blockPhys(s, 1)), order(BLOCK_ORDER)),
      /session block 1 is 0x.*: no preserved block of order 4/,
    ],
    [
      'a FLB page whose key is gone',
      (s) => s.kho.out.tracker?.del(pfnOf(s.luo.flbPhys as Phys), order(0)),
      /luo-flb-header is 0x.*: no preserved block of order 0/,
    ],
    [
      'a FLB header that leads elsewhere',
      (s) => patch(s, subtreePhys(s, 'LUO'), s.luo.flbPhys, s.luo.flbPhys + 4096),
      /luo-flb-header is/,
    ],
    ['a FLB count', (s) => store(s, s.luo.flbPhys + 8, 3), /the FLB page says 1 pages, 3 in use/],
    [
      'a root whose key is gone',
      (s) => s.kho.out.tracker?.del(pfnOf(s.kho.outgoingFdtPhys), order(0)),
      /the KHO root is 0x.*: no preserved block/,
    ],
    [
      'a subtree that is not preserved',
      (s) => s.kho.out.tracker?.del(pfnOf(subtreePhys(s, 'LUO')), order(0)),
      /subtree "LUO" is 0x.*: no preserved block/,
    ],
    [
      'an update number that stands still',
      (s) => {
        s.luo.liveupdateNum = 1;
      },
      /liveupdate-number is 1, this is update 2/,
    ],
    [
      'a map that is not the live one',
      (s) => {
        const { mapPhys } = s.kho.out.tracker ?? { mapPhys: 0 };
        const copy = s.kernel.machine.ram.loadBytes(mapPhys, 4096);
        s.kernel.machine.ram.storeBytes(0x4000, copy);
        patch(s, s.kho.outgoingFdtPhys, mapPhys, 0x4000);
      },
      /preserved-memory-map is not the live tracker/,
    ],
    [
      'a map that leads nowhere',
      (s) => store(s, (s.kho.out.tracker?.mapPhys ?? 0) + 8, 2 ** 44),
      /leads nowhere/,
    ],
    [
      'a jump count that stands still',
      (s) => s.kernel.machine.ram.store32(subtreePhys(s, 'kexec-metadata') + 69, 5),
      /kexec-metadata counts 5 jumps, this is number 1/,
    ],
    [
      'another release',
      (s) => s.kernel.machine.ram.store8(subtreePhys(s, 'kexec-metadata') + 4, 0x38),
      /kexec-metadata names another release/,
    ],
    [
      'metadata of another version',
      (s) => s.kernel.machine.ram.store32(subtreePhys(s, 'kexec-metadata'), 2),
      /kexec-metadata version 2 not supported/,
    ],
    [
      'a scratch area that is not the real one',
      (s) => store(s, s.kho.scratchArrayPhys + 8, 4096),
      /scratch area 0 is passed/,
    ],
  ];

  it.each(defects)('%s', (_what, plant, text) => {
    inBed((system) => {
      expect(reported(handover(system))).toEqual([]);
      plant(system);
      expectOnly(handover(system), 'handover', text);
    });
  });
});

describe('what the test module hands over', () => {
  let saved: System | undefined;
  const withTestData = bed(() => {
    saved = coldBoot();
    expect(inTask(saved, (task) => new KhoTest(saved as System, 'test').save(task))).toBe(0);
    return atJump(saved);
  });

  const ofTheModule: [string, (system: System, chunk: number, info: number) => void, RegExp][] = [
    [
      'a folio of the test module that is not preserved',
      (s, _chunk, info) => {
        const entry = s.kernel.machine.ram.load64(info + 8);
        s.kho.out.tracker?.del(pfn(Math.floor(entry / 4096)), order(entry % 4096));
      },
      /kho_test.folio\[1\] at 0x[0-9a-f]+ is not preserved/,
    ],
    [
      'a folio of another order',
      (s, _chunk, info) => {
        const { ram } = s.kernel.machine;
        ram.store64(info, ram.load64(info) + 1);
      },
      /kho_test.folio\[0\] at 0x[0-9a-f]+ is preserved with order/,
    ],
    [
      'a page of the list',
      (s, chunk) => store(s, chunk + KHO_VMALLOC_CHUNK.size, 0x100000),
      /kho_test.page\[0\] at 0x100000 is not preserved/,
    ],
    [
      'a page too few',
      (s, chunk) => store(s, chunk + KHO_VMALLOC_CHUNK.size, 0),
      /kho_test.chunk\[0\] at 0x[0-9a-f]+ brings the list to 0 pages, of an area of 1/,
    ],
    [
      'a chunk too many',
      (s, chunk) => store(s, chunk, 0x200000),
      /kho_test.chunk\[1\] at 0x200000 is not preserved/,
    ],
  ];

  it.each(ofTheModule)('breaks the law by %s', (_what, plant, text) => {
    withTestData((system) => {
      const { frames, machine } = system.kernel;
      const isChunk = (frame: number): boolean =>
        frames.isAllocatedHead(pfn(frame)) &&
        frames.ownerName(frames.ownerOf(pfn(frame))) === 'kho vmalloc chunk';
      let chunk = 0;
      while (!isChunk(chunk)) chunk++;
      const info = machine.ram.load64(physOf(pfn(chunk)) + KHO_VMALLOC_CHUNK.size);
      expect(reported(handover(system))).toEqual([]);
      plant(system, physOf(pfn(chunk)), info);
      expectOnly(handover(system), 'handover', text);
    });
  });

  it('is stamped whole otherwise, and may stay where nobody asks for it', () => {
    const system = saved as System;
    const crossing = crossingOf(system);
    expect(crossing.owners.get('kho_test')?.pages).toBeGreaterThan(2048);
    const next = nextKernel(system);
    expect(reported((v) => checkStamps(next, takeCensus(next.kernel), crossing, v))).toEqual([]);
    takeOver(next, 0);
    expect(reported((v) => checkLeft(next, takeCensus(next.kernel), crossing, v))).toEqual([]);
  });
});

describe('stamps', () => {
  function handedOver(between: (system: System) => void = () => {}): [System, Crossing] {
    const system = coldBoot();
    create(system, 5);
    const crossing = crossingOf(atJump(system));
    return [nextKernel(system, () => between(system)), crossing];
  }

  const stamps =
    (system: System, crossing: Crossing) =>
    (violations: Violations): void =>
      checkStamps(system, takeCensus(system.kernel), crossing, violations);

  it.each([
    ['one is missing', (s: System) => s.kernel.frames.clearStamp(pfnOf(s.luo.sessions.incomingHead as Phys))],
    [
      'one has another order',
      (s: System) => s.kernel.frames.setStamp(pfnOf(s.luo.sessions.incomingHead as Phys), 3),
    ],
    [
      'one is on another frame of the block',
      (s: System) => {
        const head = pfnOf(s.luo.sessions.incomingHead as Phys);
        s.kernel.frames.clearStamp(head);
        s.kernel.frames.setStamp(pfn(head + 8), 3);
      },
    ],
    ['there is one more', (s: System) => s.kernel.frames.setStamp(pfn(2), 0)],
  ])('are wrong where %s', (_what, plant) => {
    const [system, crossing] = handedOver();
    expect(reported(stamps(system, crossing))).toEqual([]);
    plant(system);
    expectOnly(stamps(system, crossing), 'stamp', /are stamped, 5 blocks of 20 pages were preserved/);
  });

  it('are wrong where the tree was changed on the way', () => {
    const [system, crossing] = handedOver((old) => {
      // The key of the FLB page: the tree lies in RAM, and works without its kernel.
      old.kho.out.tracker?.del(pfnOf(old.luo.flbPhys as Phys), order(0));
    });
    expectOnly(stamps(system, crossing), 'stamp', /4 blocks of 19 pages are stamped, 5 blocks/);
  });

  it('are there after a handover only', () => {
    const system = coldBoot();
    const crossing = crossingOf(atJump(coldBoot()));
    expect(reported(stamps(system, crossing))).toEqual([]);
    system.kernel.frames.setStamp(pfn(2), 0);
    expectOnly(stamps(system, crossing), 'stamp', /a cold boot has stamped 0x2000 of order 0/);
  });
});

it('a block may be written once it is restored, and not before', () => {
  const old = coldBoot();
  create(old, 1);
  const system = nextKernel(old);
  const { machine } = system.kernel;
  const head = system.luo.sessions.incomingHead;
  const wild: number[] = [];
  machine.ram.onWildWrite = ({ pfn: frame }) => wild.push(frame);
  machine.ram.store32(head + 4096, 1);
  expect(wild).toEqual([pfnOf(head as Phys) + 1]);
  takeOver(system, 1);
  expect(system.luo.sessions.incomingHead).toBe(0);
  for (let page = 0; page < 16; page++) machine.ram.store32(head + page * 4096, 1);
  expect(wild).toHaveLength(1);
});
