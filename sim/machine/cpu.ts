/*
 * CPUs and their clocks. Time is virtual: kernel code charges steps by kind, exactly; a named profile prices a step
 * into nanoseconds. Every CPU has its clock, and what waits for another CPU ends at the later of both.
 *
 * Charging is counting. The clock of the CPU that runs is behind by the steps counted since it was last looked at; whoever
 * looks at a clock, or lets another CPU run, makes it right first.
 *
 * Steps are those the modelled design takes, even where the simulator finds the answer faster.
 */
import { assert } from '../base/assert.ts';
import type { Stateful } from './journal.ts';

/**
 * Kinds of steps, by the index of their counter. A miss is charged beside the step that waits for memory. A literal: its
 * numbers are constants of the code that charges, for good, where another object of the same keys has other numbers.
 */
export const STEP = {
  syscall: 0,
  hop: 1,
  miss: 2,
  lock: 3,
  pageAlloc: 4,
  pageZeroed: 5,
  slabAlloc: 6,
  slabFree: 7,
  fileAlloc: 8,
  fileFree: 9,
  treeLevel: 10,
  nameHash: 11,
  entryCopied: 12,
  pageReserved: 13,
  tokenHop: 14,
  memfdPreserve: 15,
  memfdRetrieve: 16,
  memfdFinish: 17,
  fileDeserialized: 18,
  inodeFreed: 19,
  folioPinned: 20,
  folioAdded: 21,
  folioBatch: 22,
  shutdown: 23,
  boot: 24,
} as const;

export type StepKind = keyof typeof STEP;

/** In the order of the counters. */
export const STEP_KINDS = Object.keys(STEP) as readonly StepKind[];

/** A price list: nanoseconds a step. */
export interface CostProfile {
  readonly name: string;
  readonly nsPerStep: Readonly<Record<StepKind, number>>;
}

/** A moment of virtual time. */
export interface VirtualTime {
  readonly seconds: number;
  readonly ns: number;
}

const SECOND_NS = 1_000_000_000;

export class Cpu implements Stateful {
  readonly id: number;
  readonly #settle: () => void;
  #seconds = 0;
  #ns = 0;

  /** `settle` brings the clocks up to date. */
  constructor(id: number, settle: () => void) {
    this.id = id;
    this.#settle = settle;
  }

  get seconds(): number {
    this.#settle();
    return this.#seconds;
  }

  get ns(): number {
    this.#settle();
    return this.#ns;
  }

  /** `n` times a whole number of nanoseconds. Exact for prices below 9 ms. */
  advance(price: number, n: number): void {
    const billions = Math.floor(n / SECOND_NS);
    const ns = this.#ns + price * (n - billions * SECOND_NS);
    const seconds = Math.floor(ns / SECOND_NS);
    this.#seconds += price * billions + seconds;
    this.#ns = ns - seconds * SECOND_NS;
  }

  /** Moves the clock forward to another CPU's, if that is later. */
  waitUntil(other: VirtualTime): void {
    const { seconds, ns } = other;
    if (seconds < this.seconds || (seconds === this.seconds && ns <= this.ns)) return;
    this.#seconds = seconds;
    this.#ns = ns;
  }

  now(): VirtualTime {
    return { seconds: this.seconds, ns: this.ns };
  }

  capture(): unknown {
    return this.now();
  }

  reinstate(state: unknown): void {
    const { seconds, ns } = state as VirtualTime;
    this.#seconds = seconds;
    this.#ns = ns;
  }
}

/** The CPUs of a machine, the counters of steps, and the price list. */
export class Cpus implements Stateful {
  readonly all: readonly Cpu[];
  readonly profile: CostProfile;
  /** Steps so far, by kind; exact below 2^53. */
  readonly steps = new Float64Array(STEP_KINDS.length);
  /** Those that are in a clock. */
  readonly #settled = new Float64Array(STEP_KINDS.length);
  readonly #prices: Float64Array;
  #current: Cpu;

  constructor(nr: number, profile: CostProfile) {
    assert(nr >= 1, 'a machine has a CPU');
    this.all = Array.from({ length: nr }, (_, id) => new Cpu(id, () => this.#settle()));
    this.#current = this.all[0] as Cpu;
    this.profile = profile;
    this.#prices = Float64Array.from(STEP_KINDS, (kind) => profile.nsPerStep[kind]);
    for (const price of this.#prices) assert(Number.isInteger(price), 'prices are whole nanoseconds');
  }

  /** The CPU that runs now. */
  get current(): Cpu {
    return this.#current;
  }

  set current(cpu: Cpu) {
    this.#settle();
    this.#current = cpu;
  }

  /** Charges `n` steps of a kind (an index of STEP) to the running CPU. */
  charge(kind: number, n: number): void {
    this.steps[kind] = (this.steps[kind] as number) + n;
  }

  /** A kernel starts: clocks and counters are its own. */
  reset(): void {
    this.steps.fill(0);
    this.#settled.fill(0);
    this.#current = this.all[0] as Cpu;
    for (const cpu of this.all) cpu.reinstate({ seconds: 0, ns: 0 });
  }

  /** All clocks move to the latest: the jump stops every CPU but one. */
  synchronise(): void {
    for (const cpu of this.all) this.current.waitUntil(cpu.now());
    for (const cpu of this.all) cpu.waitUntil(this.current.now());
  }

  capture(): unknown {
    return { steps: this.steps.slice(), current: this.current, clocks: this.all.map((cpu) => cpu.now()) };
  }

  reinstate(state: unknown): void {
    const { steps, current, clocks } = state as { steps: Float64Array; current: Cpu; clocks: VirtualTime[] };
    this.steps.set(steps);
    this.#settled.set(steps);
    this.#current = current;
    for (const [i, clock] of clocks.entries()) (this.all[i] as Cpu).reinstate(clock);
  }

  /** What was charged since goes to the clock of the running CPU. */
  #settle(): void {
    const { steps } = this;
    const settled = this.#settled;
    for (let kind = 0; kind < settled.length; kind++) {
      const n = (steps[kind] as number) - (settled[kind] as number);
      if (n === 0) continue;
      settled[kind] = steps[kind] as number;
      this.#current.advance(this.#prices[kind] as number, n);
    }
  }
}
