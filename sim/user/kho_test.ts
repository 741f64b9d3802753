/*
 * lib/test_kho.c as a kernel-module agent: it calls the in-kernel API of KHO, no session involved.
 *
 *   save      folios of random orders up to 2 * (PAGE_SIZE << MAX_PAGE_ORDER) bytes, random contents, preserved; a
 *             vmalloc area of (address | order) entries, preserved; the tree below, preserved and added as "kho_test"
 *   restore   every folio taken over, its order and all contents compared
 *
 *   / { compatible = "kho-test-v1"; magic = <u32 0x4b484f21>;
 *       data { nr_folios = <u32>; folios_info = <struct kho_vmalloc>; csum = <u32>; }; }
 */
import { assert } from '../base/assert.ts';
import { ERRNO } from '../base/errno.ts';
import { MAX_PAGE_ORDER, PAGE_SIZE } from '../base/limits.ts';
import { definePoint, kernelFunction, type Op } from '../base/point.ts';
import { RandomStream } from '../base/random.ts';
import { bytesOf, type Order, type Pfn, type Phys, physOf } from '../base/units.ts';
import type { System } from '../boot/boot.ts';
import { type VmArea, vfree, vmAddress, vzalloc } from '../kernel/vmalloc.ts';
import { getProperty, nodeCheckCompatible, subnodeOffset } from '../kho/fdt.ts';
import { FdtWriter } from '../kho/fdt_writer.ts';
import {
  preserveVmalloc,
  restoreVmalloc,
  unpreserveVmalloc,
  type VmallocDescriptor,
  vmallocBytes,
  vmallocFromBytes,
} from '../kho/vmalloc.ts';
import type { Task } from '../sched/task.ts';

const SUBTREE = 'kho_test';
const COMPATIBLE = 'kho-test-v1';
const MAGIC = 0x4b484f21;
const MAX_BYTES = 2 * (PAGE_SIZE << MAX_PAGE_ORDER);

const SAVE = kernelFunction('kho_test_save');
const RESTORE = kernelFunction('kho_test_restore');
const FOLIO = definePoint('kho_test_generate_data', 'folio', 'fault');
const INFO = definePoint('kho_test_generate_data', 'folios_info', 'fault');
const FDT = definePoint('kho_test_save_fdt', 'fdt', 'fault');

const u32Bytes = (value: number): Uint8Array =>
  Uint8Array.of(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);

const readU32 = (bytes: Uint8Array | undefined): number | undefined => {
  if (bytes === undefined || bytes.length !== 4) return undefined;
  const [b0 = 0, b1 = 0, b2 = 0, b3 = 0] = bytes;
  return (b0 | (b1 << 8) | (b2 << 16) | (b3 << 24)) >>> 0;
};

export class KhoTest {
  readonly #system: System;
  readonly #seed: string;

  /** `seed` stands for get_random_bytes. */
  constructor(system: System, seed: string) {
    this.#system = system;
    this.#seed = `${seed}/test_kho/${system.kernel.generation}`;
  }

  /**
   * 0, or a negative errno with everything undone.
   * @kernel kho_test_save @simplified -EOPNOTSUPP with KHO off, where the module does nothing; its array is free
   * @kernel kho_test_preserve_data @simplified folios are preserved before the list of them
   */
  *save(task: Task): Op<number> {
    const { kernel, kho } = this.#system;
    if (!kho.enabled) return -ERRNO.EOPNOTSUPP;
    const folios: Pfn[] = [];
    const csum = this.#generate(folios);
    if (csum === -1) return yield* this.#unwind(task, folios, 0, -ERRNO.ENOMEM);
    const info = vzalloc(kernel, folios.length * 8, kernel.frames.owner('kho_test'), INFO);
    if (info === -1) return yield* this.#unwind(task, folios, 0, -ERRNO.ENOMEM);
    let preserved = 0;
    let err = 0;
    for (const [i, folio] of folios.entries()) {
      kernel.machine.ram.store64(vmAddress(info, i * 8), physOf(folio) + kernel.frames.order(folio));
      err = yield* kho.out.preserveFolio(task, folio);
      if (err !== 0) break;
      preserved++;
    }
    if (err === 0) err = yield* this.#publish(task, folios.length, info, csum);
    kernel.trace.event(SAVE, folios.length, csum, err);
    if (err === 0) return 0;
    vfree(kernel, info);
    return yield* this.#unwind(task, folios, preserved, err);
  }

  /**
   * 0, -ENOENT where nothing was handed over, -EINVAL where it is not what was saved.
   * @kernel kho_test_restore @simplified frees the tree's page, too
   */
  restore(): number {
    const { kernel, kho } = this.#system;
    const blob = kho.retrieveSubtree(SUBTREE);
    if (typeof blob === 'number') return blob;
    const fdt = kernel.machine.ram.loadBytes(blob.phys, PAGE_SIZE);
    const node = subnodeOffset(fdt, 0, 'data');
    const nr = readU32(getProperty(fdt, node, 'nr_folios'));
    const csum = readU32(getProperty(fdt, node, 'csum'));
    const info = vmallocFromBytes(getProperty(fdt, node, 'folios_info') ?? new Uint8Array());
    const broken =
      nodeCheckCompatible(fdt, 0, COMPATIBLE) !== 0 || readU32(getProperty(fdt, 0, 'magic')) !== MAGIC;
    if (broken || nr === undefined || csum === undefined || info === undefined) return -ERRNO.EINVAL;
    const err = this.#restoreData(nr, info, csum);
    kho.in.restoreFree(blob.phys);
    if (err === 0) kernel.printk('KHO restore succeeded');
    kernel.trace.event(RESTORE, nr, csum, err);
    return err;
  }

  /**
   * Fills folios until the limit; their checksum, or -1 where memory ran out.
   * @kernel kho_test_generate_data @simplified the last folios are as large as fits, and not an order smaller
   */
  #generate(folios: Pfn[]): number {
    const { kernel } = this.#system;
    const random = new RandomStream(this.#seed);
    const owner = kernel.frames.owner('kho_test');
    let left = MAX_BYTES;
    let csum = 0;
    while (left >= PAGE_SIZE) {
      let order = random.below(MAX_PAGE_ORDER + 1);
      while (bytesOf(order as Order) > left) order--;
      const folio = kernel.pages.alloc(order as Order, owner, FOLIO);
      if (folio === -1) return -1;
      folios.push(folio);
      left -= bytesOf(order as Order);
      for (let at = 0; at < bytesOf(order as Order); at += 4) {
        kernel.machine.ram.store32(physOf(folio) + at, random.word());
      }
      csum = this.#checksum(folio, order as Order, csum);
    }
    return csum;
  }

  /**
   * Preserves the list and publishes the tree.
   * @kernel kho_test_preserve @simplified the tree has one page and is preserved last, not first
   */
  *#publish(task: Task, nr: number, info: VmArea, csum: number): Op<number> {
    const { kernel, kho } = this.#system;
    const descriptor = yield* preserveVmalloc(
      kernel,
      kho.out,
      task,
      info,
      kernel.frames.owner('kho vmalloc chunk'),
    );
    if (typeof descriptor === 'number') return descriptor;
    const fdt = yield* kho.out.allocPreserve(task, PAGE_SIZE, kernel.frames.owner('kho_test'), FDT);
    let err = Math.min(fdt, 0);
    if (err === 0) {
      const writer = this.#write(nr, descriptor, csum);
      kernel.machine.ram.storeBytes(fdt, writer.buffer);
      err = yield* kho.addSubtree(task, SUBTREE, fdt as Phys, writer.blob().length);
      if (err !== 0) yield* kho.out.unpreserveFree(task, fdt as Phys);
    }
    if (err !== 0) yield* unpreserveVmalloc(kernel, kho.out, task, descriptor);
    return err;
  }

  /** @kernel kho_test_prepare_fdt */
  #write(nr: number, descriptor: VmallocDescriptor, csum: number): FdtWriter {
    const writer = new FdtWriter(PAGE_SIZE);
    writer.create();
    writer.finishReservemap();
    writer.beginNode('');
    writer.propertyString('compatible', COMPATIBLE);
    writer.property('magic', u32Bytes(MAGIC));
    writer.beginNode('data');
    writer.property('nr_folios', u32Bytes(nr));
    writer.property('folios_info', vmallocBytes(descriptor));
    writer.property('csum', u32Bytes(csum));
    writer.endNode();
    writer.endNode();
    const err = writer.finish();
    assert(err === 0, 'the test tree fits a page');
    return writer;
  }

  /** @kernel kho_test_restore_data */
  #restoreData(nr: number, descriptor: VmallocDescriptor, expected: number): number {
    const { kernel, kho } = this.#system;
    const owner = kernel.frames.owner('kho_test');
    const info = restoreVmalloc(kernel, kho.in, descriptor, owner);
    if (info === undefined) return -ERRNO.EINVAL;
    let csum = 0;
    for (let i = 0; i < nr; i++) {
      const entry = kernel.machine.ram.load64(vmAddress(info, i * 8));
      const order = entry % PAGE_SIZE;
      const address = (entry - order) as Phys;
      const folio = kho.in.restoreFolio(address, owner);
      if (folio === -1) break;
      if (kernel.frames.order(folio) !== order) break;
      csum = this.#checksum(folio, order as Order, csum);
      kernel.pages.put(folio);
    }
    vfree(kernel, info);
    return csum === expected ? 0 : -ERRNO.EINVAL;
  }

  /**
   * Sum with end-around carry, continued over folios.
   * @kernel csum_partial @simplified the same modulo 2^32 - 1, which is all that a comparison of such sums needs
   */
  #checksum(folio: Pfn, order: Order, start: number): number {
    let sum = start;
    for (let at = 0; at < bytesOf(order); at += 4) {
      sum += this.#system.kernel.machine.ram.load32(physOf(folio) + at) >>> 0;
      if (sum > 0xffffffff) sum -= 0xffffffff;
    }
    return sum;
  }

  /** @kernel kho_test_unpreserve_data @simplified of the folios only: the list of them is undone where it was preserved */
  *#unwind(task: Task, folios: readonly Pfn[], preserved: number, err: number): Op<number> {
    for (const [i, folio] of folios.entries()) {
      if (i < preserved) yield* this.#system.kho.out.unpreserveFolio(task, folio);
      this.#system.kernel.pages.put(folio);
    }
    return err;
  }
}
