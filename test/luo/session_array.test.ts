import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SimulatorFault } from '../../sim/base/assert.ts';
import { ERRNO } from '../../sim/base/errno.ts';
import { definePoint } from '../../sim/base/point.ts';
import { type Order, type Phys, pfnOf, physOf } from '../../sim/base/units.ts';
import { ZEROED } from '../../sim/kernel/mm.ts';
import { LUO_SESSION_ARRAY_SER, LUO_SESSION_MAX } from '../../sim/luo/abi.ts';
import {
  type ArrayGeometry,
  SESSION_ARRAY,
  SessionArray,
  sessionArrayOpener,
} from '../../sim/luo/session_array.ts';
import type { IncomingStore } from '../../sim/luo/session_store.ts';
import type { BootParams } from '../../sim/machine/machine.ts';
import { PageFault } from '../../sim/machine/page_fault.ts';
import { golden } from '../kho/fdt_model.ts';
import { bareKernel, bootOn, inTask, jump, machineFor } from '../support/system.ts';
import {
  limitLaw,
  markLaw,
  retryLaw,
  roundTripLaw,
  type StoreUnderTest,
  shrunkListLaw,
} from './session_store.laws.ts';

const REGION = definePoint('test', 'session array', 'fault');
/** A region scaled down, so that its end comes up often. */
const SMALL: ArrayGeometry = { regionBytes: 65536, sessionsMax: 7 };
const { count: COUNT } = LUO_SESSION_ARRAY_SER.at;

interface ArrayUnderTest extends StoreUnderTest {
  readonly outgoing: SessionArray;
  readonly region: Phys;
}

function array(geometry: ArrayGeometry): ArrayUnderTest {
  const kernel = bareKernel();
  const { ram, journal } = kernel.machine;
  const outgoing = new SessionArray(journal, ram, geometry);
  const owner = kernel.frames.owner('test region');
  const freed: Phys[] = [];
  const allocBlock = (): Phys => physOf(kernel.pages.alloc(4 as Order, owner, REGION, ZEROED) as never);
  const region = allocBlock();
  expect(outgoing.addBlock(region)).toBe(0);
  const open = sessionArrayOpener(journal, ram, (address) => freed.push(address));
  return {
    machine: kernel.machine,
    ram,
    outgoing,
    region,
    allocBlock,
    incoming: () => open(outgoing.headPhys as Phys) as IncomingStore,
    freed: () => freed,
  };
}

/** Gives out `count` slots of a fresh attempt. */
function write({ outgoing, ram }: ArrayUnderTest, count: number): void {
  outgoing.begin();
  for (let i = 0; i < count; i++) ram.store32(outgoing.nextSlot(), 0x51000000 + i);
}

describe('the array, seven sessions', () => {
  const counts = fc.integer({ min: 0, max: 7 });
  it('hands over what was written, at every count', () => roundTripLaw(() => array(SMALL), counts));
  it('forgets an abandoned attempt', () => retryLaw(() => array(SMALL), counts));
  it('does not hand over what was removed', () => shrunkListLaw(() => array(SMALL), counts));
  it('refuses the eighth', () => limitLaw(() => array(SMALL), 7, -ERRNO.ENOMEM));
  it('rolls back', () => markLaw(() => array(SMALL), counts, 7));
});

describe('the array at full size', () => {
  const edges = [0, 1, 50, 51, 52, 102, 103, 818, 819];

  it.each(edges)('hands over %i sessions', (count) => {
    roundTripLaw(() => array(SESSION_ARRAY), fc.constant(count), 1);
  });

  const few = fc.constantFrom(...edges.filter((count) => count <= 103));
  it('forgets an abandoned attempt', () => retryLaw(() => array(SESSION_ARRAY), few));
  it('does not hand over what was removed', () => shrunkListLaw(() => array(SESSION_ARRAY), few));
  it('refuses the 820th', () => limitLaw(() => array(SESSION_ARRAY), 819, -ERRNO.ENOMEM));

  it('is 16 pages with room for 819 sessions, 8 bytes left over', () => {
    expect(SESSION_ARRAY).toEqual({ regionBytes: 65536, sessionsMax: 819 });
    expect(LUO_SESSION_MAX).toBe(819);
    const store = array(SESSION_ARRAY);
    expect(store.outgoing.blocksAtBoot).toBe(1);
    expect(store.outgoing.blockBytes).toBe(65536);
    expect(store.outgoing.regions()).toEqual([{ address: store.region, order: 4 }]);
    write(store, 819);
    expect(store.outgoing.previousSlot()).toBe(store.region + 65536 - 8 - 80);
    expect(65536 - 8 - 819 * 80).toBe(8);
  });

  it('says -ENOMEM for the 820th session, and has no slot for it', () => {
    const store = array(SESSION_ARRAY);
    expect(store.outgoing.room(818)).toBe(0);
    expect(store.outgoing.room(819)).toBe(-ERRNO.ENOMEM);
    expect(store.outgoing.room(820)).toBe(-ERRNO.ENOMEM);
    write(store, 819);
    expect(store.outgoing.nextSlot()).toBe(0);
    expect(store.outgoing.dropBlock(0)).toBe(0);
  });
});

describe('the header', () => {
  it('is written when all sessions are, and by nothing else', () => {
    fc.assert(
      fc.property(fc.nat({ max: 7 }), fc.nat({ max: 7 }), (first, second) => {
        const store = array(SMALL);
        const { ram, region, outgoing } = store;
        write(store, first);
        expect(ram.load64(region + COUNT)).toBe(0);
        outgoing.commit(first);
        expect(ram.load64(region + COUNT)).toBe(first);
        // An attempt that fails later leaves the count of the one before.
        write(store, second);
        while (outgoing.previousSlot() !== 0);
        expect(ram.load64(region + COUNT)).toBe(first);
      }),
    );
  });

  it('is all of 64 bits, and only of sessions that have their slots', () => {
    const store = array(SMALL);
    write(store, 3);
    store.ram.store64(store.region + COUNT, 2 ** 52 + 1);
    for (const count of [2, 4]) expect(() => store.outgoing.commit(count)).toThrow(SimulatorFault);
    store.outgoing.commit(3);
    expect(store.ram.load64(store.region + COUNT)).toBe(3);
  });

  it('of 819 sessions is that of a real kernel, and so is every byte behind it', () => {
    const bytes = golden('k7113-819sessions.session-array.bin');
    const store = array(SESSION_ARRAY);
    store.outgoing.begin();
    for (let i = 0; i < 819; i++) {
      const slot = store.outgoing.nextSlot();
      store.ram.storeBytes(slot, Buffer.from(`session-${String(i).padStart(4, '0')}`, 'latin1'));
    }
    store.outgoing.commit(819);
    expect(Buffer.from(store.ram.loadBytes(store.region, bytes.length)).equals(Buffer.from(bytes))).toBe(
      true,
    );
    // And the real one is read as it was meant.
    const other = array(SESSION_ARRAY);
    other.ram.storeBytes(other.region, bytes);
    const incoming = other.incoming();
    for (let i = 0; i < 819; i++) {
      const name = Buffer.from(other.ram.loadBytes(incoming.nextSlot(), 12)).toString('latin1');
      if (name !== `session-${String(i).padStart(4, '0')}`) expect.fail(`session ${i} reads as ${name}`);
    }
    expect(incoming.nextSlot()).toBe(0);
  });
});

describe('an incoming array', () => {
  it('is trusted: a count of 820 is read on behind the region', () => {
    const store = array(SESSION_ARRAY);
    store.ram.store64(store.region + COUNT, 820);
    const incoming = store.incoming();
    let slot = 0;
    for (let i = 0; i < 820; i++) slot = incoming.nextSlot();
    expect(slot).toBe(store.region + 8 + 819 * 80);
    expect(slot + 80).toBeGreaterThan(store.region + 65536);
    expect(incoming.nextSlot()).toBe(0);
  });

  it.each([2 ** 32, 2 ** 53, 2 ** 63])('with a count of %d is read until memory ends', (count) => {
    const store = array(SESSION_ARRAY);
    store.ram.store64(store.region + COUNT, count);
    const incoming = store.incoming();
    const read = (): void => {
      for (let i = 0; i < count; i++) store.ram.load32(incoming.nextSlot());
    };
    expect(read).toThrow(PageFault);
    expect(incoming.nextSlot()).toBeGreaterThan(store.ram.bytes);
  });

  it('outside memory is not looked at before it is read', () => {
    const { ram, machine } = array(SESSION_ARRAY);
    for (const region of [ram.bytes, ram.bytes - 4, 2 ** 52]) {
      const incoming = sessionArrayOpener(machine.journal, ram, () => {})(region as Phys);
      if (typeof incoming === 'number') expect.fail(`opening answered ${incoming}`);
      expect(() => incoming.nextSlot()).toThrow(PageFault);
    }
  });

  it('stays reserved after a failed deserialization', () => {
    expect(array(SESSION_ARRAY).incoming().freedOnFailure).toBe(false);
  });

  it('crosses a jump as one block of order 4 and is freed whole', () => {
    const before = bootOn(machineFor());
    const { ram, journal } = before.kernel.machine;
    const outgoing = new SessionArray(journal, ram, SESSION_ARRAY);
    const owner = before.kernel.frames.owner('test region');
    const region = inTask(before, (task) =>
      before.kho.out.allocPreserve(task, outgoing.blockBytes, owner, REGION),
    );
    outgoing.addBlock(region as Phys);
    outgoing.begin();
    for (let i = 0; i < 819; i++) ram.store32(outgoing.nextSlot(), 1000 + i);
    outgoing.commit(819);
    const { kernel, kho } = bootOn(before.kernel.machine, {
      generation: 1,
      params: jump(before) as BootParams,
    });
    const openArray = sessionArrayOpener(journal, ram, (address) => kho.in.restoreFree(address));
    const incoming = openArray(region as Phys) as IncomingStore;
    for (let i = 0; i < 819; i++) expect(ram.load32(incoming.nextSlot())).toBe(1000 + i);
    expect(incoming.nextSlot()).toBe(0);
    const frame = pfnOf(region as Phys);
    expect(kernel.buddy.useOf(frame)).toBe('reserved');
    const free = kernel.buddy.nrFree;
    incoming.free();
    expect(kernel.buddy.nrFree).toBe(free + 16);
    expect(kernel.buddy.useOf(frame)).toBe('free');
    expect(kernel.log.warnings).toBe(0);
  });
});

it('a mark before late init brings back that there is no region', () => {
  const kernel = bareKernel();
  const { ram, journal } = kernel.machine;
  const outgoing = new SessionArray(journal, ram, SMALL);
  const mark = kernel.machine.mark();
  outgoing.addBlock(0x10000 as Phys);
  kernel.machine.rollback(mark);
  expect([outgoing.blocks, outgoing.headPhys, outgoing.regions()]).toEqual([0, 0, []]);
});
