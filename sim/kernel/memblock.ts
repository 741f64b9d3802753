/*
 * memblock: the allocator of early boot, a list of memory and a list of reserved ranges.
 *
 *   reserve()              takes a range out of what the page allocator will get
 *   alloc()                finds room top down, as x86 does, and reserves it
 *   setScratchOnly(true)   from a handover until free_all: alloc() looks inside areas marked scratch only, so that
 *                          nothing early can land on preserved memory
 *
 * Reserving is cheap here (append; sorted when asked for), whatever the number of preserved blocks.
 */
import { assert } from '../base/assert.ts';
import { PAGE_SIZE } from '../base/limits.ts';
import { type Phys, roundDown, roundUp } from '../base/units.ts';
import type { NodeSpan } from '../machine/machine.ts';

/** Bytes [start, end). */
export interface Range {
  readonly start: number;
  readonly end: number;
}

export interface AllocLimits {
  readonly align: number;
  /** Only below this address. */
  readonly below?: number;
  /** Only on this node. */
  readonly node?: number;
}

export class Memblock {
  readonly #memory: Range;
  readonly #nodes: readonly NodeSpan[];
  #reserved: Range[] = [];
  #kernel: Range[] = [];
  readonly #scratch: Range[] = [];
  #sorted = true;
  #scratchOnly = false;
  /** Every early allocation with the time of its making: law 17 reads it. */
  readonly allocations: { readonly range: Range; readonly scratchOnly: boolean }[] = [];

  constructor(memory: Range, nodes: readonly NodeSpan[]) {
    this.#memory = memory;
    this.#nodes = nodes;
  }

  /**
   * Reserves bytes that the firmware or an earlier kernel owns.
   * @kernel memblock_reserve @simplified the list takes no memory, so it cannot fail to grow
   */
  reserve(start: number, bytes: number): void {
    if (bytes === 0) return;
    const last = this.#reserved.at(-1);
    if (last !== undefined && last.end === start) {
      // Neighbours come one after the other when a handover is reserved: keep the list short.
      this.#reserved[this.#reserved.length - 1] = { start: last.start, end: start + bytes };
      return;
    }
    this.#sorted = last === undefined || (this.#sorted && last.end < start);
    this.#reserved.push({ start, end: start + bytes });
  }

  /**
   * Reserves bytes for this kernel itself.
   * @kernel memblock_reserve_kern @simplified the list takes no memory, so it cannot fail to grow
   */
  reserveKernel(start: number, bytes: number): void {
    this.reserve(start, bytes);
    if (bytes > 0) this.#kernel.push({ start, end: start + bytes });
  }

  /** @kernel memblock_mark_kho_scratch @simplified marking takes no memory, so it cannot fail */
  markScratch(start: number, bytes: number): void {
    if (bytes > 0) this.#scratch.push({ start, end: start + bytes });
  }

  /** Whether a range lies in one marked area. */
  isScratch({ start, end }: Range): boolean {
    return this.#scratch.some((area) => start >= area.start && end <= area.end);
  }

  /** @kernel memblock_set_kho_scratch_only, memblock_clear_kho_scratch_only */
  setScratchOnly(only: boolean): void {
    this.#scratchOnly = only;
  }

  /**
   * Address of `bytes` reserved bytes, or undefined where there is no room.
   * @kernel memblock_phys_alloc_range @simplified top down in one range of memory, without mirrors or hotplug
   */
  alloc(bytes: number, { align, below, node }: AllocLimits): Phys | undefined {
    const window = this.#window(below, node);
    if (bytes === 0) return roundUp(Math.max(window.start, PAGE_SIZE), align) as Phys;
    const candidates = this.#scratchOnly ? this.#scratch : [this.#memory];
    for (const area of [...candidates].sort((x, y) => y.end - x.end)) {
      const start = Math.max(area.start, window.start);
      const found = this.#findTopDown({ start, end: Math.min(area.end, window.end) }, bytes, align);
      if (found === undefined) continue;
      this.reserveKernel(found, bytes);
      this.allocations.push({ range: { start: found, end: found + bytes }, scratchOnly: this.#scratchOnly });
      return found as Phys;
    }
    return undefined;
  }

  /** Gives a range back before free_all. @kernel memblock_phys_free */
  free(start: number, bytes: number): void {
    const cut = (ranges: Range[]): Range[] =>
      ranges.flatMap((range) => subtract(range, start, start + bytes));
    this.#reserved = cut(this.#reserved);
    this.#kernel = cut(this.#kernel);
  }

  /** Bytes that this kernel reserved for itself below an address or on a node. @kernel memblock_reserved_kern_size */
  kernelBytes({ below, node }: { readonly below?: number; readonly node?: number }): number {
    const window = this.#window(below, node);
    return this.#kernel.reduce(
      (sum, { start, end }) => sum + Math.max(0, Math.min(end, window.end) - Math.max(start, window.start)),
      0,
    );
  }

  /** Whether a node has memory: mem= may have taken it all. */
  hasMemory(node: number): boolean {
    const { start, end } = this.#window(undefined, node);
    return start < end;
  }

  /** What this kernel reserved for itself; for oracles. */
  get kernelRanges(): readonly Range[] {
    return this.#kernel;
  }

  /** What is not reserved, ascending, in whole pages. */
  freeRanges(): Range[] {
    this.#sort();
    const free: Range[] = [];
    let at = this.#memory.start;
    for (const { start, end } of this.#reserved) {
      const to = roundDown(start, PAGE_SIZE);
      if (to > at) free.push({ start: at, end: to });
      at = Math.max(at, roundUp(end, PAGE_SIZE));
    }
    if (at < this.#memory.end) free.push({ start: at, end: this.#memory.end });
    return free;
  }

  #window(below: number | undefined, node: number | undefined): Range {
    const span = node === undefined ? undefined : this.#nodes[node];
    assert(node === undefined || span !== undefined, `no node ${node}`);
    const { start, end } = this.#memory;
    return {
      start: span === undefined ? start : span.start * PAGE_SIZE,
      end: Math.min(end, below ?? end, span === undefined ? end : span.end * PAGE_SIZE),
    };
  }

  #findTopDown(area: Range, bytes: number, align: number): number | undefined {
    this.#sort();
    let end = area.end;
    for (let i = this.#reserved.length - 1; i >= -1; i--) {
      const reserved = this.#reserved[i] ?? { start: area.start, end: area.start };
      const start = roundDown(end - bytes, align);
      if (start >= Math.max(area.start, reserved.end) && start >= PAGE_SIZE) return start;
      end = Math.min(end, reserved.start);
      if (end <= area.start) return undefined;
    }
    return undefined;
  }

  #sort(): void {
    if (this.#sorted) return;
    this.#sorted = true;
    const sorted = this.#reserved.sort((x, y) => x.start - y.start || x.end - y.end);
    const merged: Range[] = [];
    for (const range of sorted) {
      const last = merged.at(-1);
      if (last !== undefined && range.start <= last.end) {
        if (range.end > last.end) merged[merged.length - 1] = { start: last.start, end: range.end };
      } else {
        merged.push(range);
      }
    }
    this.#reserved = merged;
  }
}

function subtract({ start, end }: Range, from: number, to: number): Range[] {
  const kept: Range[] = [];
  if (start < Math.min(end, from)) kept.push({ start, end: Math.min(end, from) });
  if (Math.max(start, to) < end) kept.push({ start: Math.max(start, to), end });
  return kept;
}
