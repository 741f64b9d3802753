import { describe, expect, it } from 'vitest';
import { definePoint } from '../../sim/base/point.ts';
import type { Phys } from '../../sim/base/units.ts';
import type { System } from '../../sim/boot/boot.ts';
import { checkChain, readChain } from '../../sim/check/chain.ts';
import { checkOwnership, talliesByOwner } from '../../sim/check/frames.ts';
import { shapeOf } from '../../sim/check/store_shape.ts';
import { Violations } from '../../sim/check/violation.ts';
import { LUO_MAX_BLOCKS, LUO_SESSION_BLOCK_SER, LUO_SUBTREE } from '../../sim/luo/abi.ts';
import { bareKernel, bootOn, inTask, machineFor } from '../support/system.ts';
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

const BLOCK = definePoint('test_chain', 'block', 'fault');
const NEXT = LUO_SESSION_BLOCK_SER.at.next;

const chain =
  (system: System, settled = true) =>
  (violations: Violations): void => {
    const census = checkOwnership(system, new Violations(), settled);
    checkChain(system, talliesByOwner(system.kernel, census), settled, violations);
  };

const luoFdt = (system: System): Phys => subtreePhys(system, LUO_SUBTREE);

describe('the chain holds', () => {
  it('while it grows and is used again, over generations', () => {
    let system = coldBoot();
    for (const count of [0, 1, PER_BLOCK, PER_BLOCK + 1]) {
      const files = create(system, count);
      expect(reported(chain(system))).toEqual([]);
      close(system, files.slice(2));
      expect(reported(chain(system))).toEqual([]);
      expect(reported(chain(atJump(system)))).toEqual([]);
      system = nextKernel(system);
      takeOver(system, Math.min(count, 2));
      expect(reported(chain(system))).toEqual([]);
    }
  });

  it('where live update did not come up, there is none to hold', () => {
    for (const options of [{ kho: false }, { liveupdate: false }]) {
      expect(reported(chain(bootOn(machineFor(), { options })))).toEqual([]);
    }
    const faults = [{ point: 'luo_flb_setup_outgoing:page', nth: 0 }];
    expect(reported(chain(bootOn(machineFor({ faults }))))).toEqual([]);
  });

  it('while a call has a block that is not in it yet', () => {
    const system = coldBoot();
    const { kernel } = system;
    kernel.pages.alloc(BLOCK_ORDER as never, kernel.frames.owner('luo session block'), BLOCK);
    expect(reported(chain(system, false))).toEqual([]);
    expectOnly(
      chain(system),
      'chain',
      /the chain has 2 of 3 session blocks|the chain has 1 of 2 session blocks/,
    );
  });
});

describe('the chain is broken by', () => {
  const inBed = bed(() => {
    const system = coldBoot();
    create(system, 2 * PER_BLOCK + 1);
    return system;
  });
  const defects: [string, (system: System) => void, RegExp][] = [
    [
      'a cut',
      (s) => s.kernel.machine.ram.store64(blockPhys(s, 0) + NEXT, 0),
      /the chain has 1 blocks, the store 3/,
    ],
    [
      'a cycle',
      (s) => s.kernel.machine.ram.store64(blockPhys(s, 2) + NEXT, blockPhys(s, 0)),
      /block 10000 of the chain.*does not end/,
    ],
    [
      'an end that does not end',
      (s) => s.kernel.machine.ram.store64(blockPhys(s, 2) + NEXT, 0x5000),
      /has 4 blocks/,
    ],
    [
      'a skipped block',
      (s) => s.kernel.machine.ram.store64(blockPhys(s, 0) + NEXT, blockPhys(s, 2)),
      /has 2 blocks/,
    ],
    [
      'blocks in another order',
      (s) => {
        const { ram } = s.kernel.machine;
        const [first, second, third] = [blockPhys(s, 0), blockPhys(s, 1), blockPhys(s, 2)];
        ram.store64(first + NEXT, third);
        ram.store64(third + NEXT, second);
        ram.store64(second + NEXT, 0);
      },
      /block 1 of the chain is 0x/,
    ],
    [
      'an address inside a page',
      (s) => s.kernel.machine.ram.store64(blockPhys(s, 0) + NEXT, blockPhys(s, 1) + 8),
      /is no page of memory/,
    ],
    [
      'an address outside of memory',
      (s) => s.kernel.machine.ram.store64(blockPhys(s, 0) + NEXT, 2 ** 45),
      /no page/,
    ],
    [
      'a header that names another block',
      (s) => patch(s, luoFdt(s), blockPhys(s, 0), blockPhys(s, 1)),
      /the chain has 2 blocks, the store 3/,
    ],
    ['a header that names none', (s) => patch(s, luoFdt(s), blockPhys(s, 0), 0), /there is no block/],
    [
      'a LUO root that is none',
      (s) => s.kernel.machine.ram.store32(luoFdt(s), 0),
      /the LUO root is compatible with no LUO that is known/,
    ],
    [
      'a session node of another version',
      (s) => patch(s, luoFdt(s), 'luo-session-v3\0', 'luo-session-v9\0'),
      /the LUO root has a node luo-session that no LUO knows/,
    ],
    [
      'a KHO root without LUO',
      (s) => patch(s, s.kho.outgoingFdtPhys, 'LUO\0', 'LUQ\0'),
      /the KHO root has no LUO subtree/,
    ],
    [
      'a KHO root that is none',
      (s) => s.kernel.machine.ram.store32(s.kho.outgoingFdtPhys, 0),
      /the KHO root is no device tree/,
    ],
    [
      'a subtree without a size',
      (s) => patch(s, s.kho.outgoingFdtPhys, 'blob-size', 'blob-sixe'),
      /the KHO root has a subtree "(LUO|kexec-metadata)" that lacks an address or a size/,
    ],
    [
      'a KHO root without a map',
      (s) => patch(s, s.kho.outgoingFdtPhys, s.kho.out.tracker?.mapPhys ?? 0, 0),
      /the KHO root has no preserved-memory-map/,
    ],
    [
      'a KHO root of another version',
      (s) => patch(s, s.kho.outgoingFdtPhys, 'kho-v3\0', 'kho-v1\0'),
      /the KHO root is not compatible with 'kho-v3'/,
    ],
    [
      'more sessions than it holds',
      (s) => {
        s.luo.sessions.outgoing.count = 3 * PER_BLOCK + 1;
      },
      /2458 sessions do not fit 3 blocks of 819/,
    ],
    [
      'a block that is in no chain',
      (s) => {
        const owner = s.kernel.frames.owner('luo session block');
        inTask(s, (task) => s.kho.out.allocPreserve(task, s.luo.sessions.store.blockBytes, owner, BLOCK));
      },
      /the chain has 3 of 4 session blocks/,
    ],
  ];

  it.each(defects)('%s', (_what, plant, text) => {
    inBed((system) => {
      expect(reported(chain(system))).toEqual([]);
      plant(system);
      expectOnly(chain(system), 'chain', text);
    });
  });
});

it('a chain of LUO_MAX_BLOCKS is one, a longer one is none', () => {
  const { ram } = bareKernel({ ramBytes: 64 * 2 ** 20 }).machine;
  const at = (n: number): Phys => (0x100000 + n * 4096) as Phys;
  for (let n = 0; n < LUO_MAX_BLOCKS - 1; n++) ram.store64(at(n) + NEXT, at(n + 1));
  expect(readChain(ram, at(0), shapeOf('block-chain-16'))).toHaveLength(LUO_MAX_BLOCKS);
  ram.store64(at(LUO_MAX_BLOCKS - 1) + NEXT, at(LUO_MAX_BLOCKS));
  expect(readChain(ram, at(0), shapeOf('block-chain-16'))).toMatch(
    /block 10000 of the chain, .* is one too many/,
  );
});
