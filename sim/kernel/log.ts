/*
 * The kernel log: what dmesg prints, in the kernel's words, stamped with virtual time. Warnings, oopses and panics
 * are counted by kind, for laws that forbid them.
 */
import type { Trace } from '../base/trace.ts';
import type { Cpus, VirtualTime } from '../machine/cpu.ts';
import type { Stateful } from '../machine/journal.ts';

export interface LogLine {
  readonly time: VirtualTime;
  readonly text: string;
}

/** Lines kept; a real log buffer is a ring too (CONFIG_LOG_BUF_SHIFT). */
const LINES_MAX = 4096;

export class KernelLog implements Stateful {
  readonly lines: LogLine[] = [];
  warnings = 0;
  oopses = 0;
  /** Lines that fell out at the front. */
  dropped = 0;
  readonly #trace: Trace;
  readonly #cpus: Cpus;

  constructor(trace: Trace, cpus: Cpus) {
    this.#trace = trace;
    this.#cpus = cpus;
  }

  /** @kernel printk @simplified no levels, and no console that takes time */
  print(text: string): void {
    this.#trace.digest.mixText(text);
    this.lines.push({ time: this.#cpus.current.now(), text });
    if (this.lines.length > LINES_MAX) {
      this.lines.shift();
      this.dropped++;
    }
  }

  has(fragment: string): boolean {
    return this.lines.some((line) => line.text.includes(fragment));
  }

  capture(): unknown {
    return { lines: this.lines.slice(), counts: [this.warnings, this.oopses, this.dropped] };
  }

  reinstate(state: unknown): void {
    const { lines, counts } = state as { lines: LogLine[]; counts: [number, number, number] };
    this.lines.length = 0;
    this.lines.push(...lines);
    [this.warnings, this.oopses, this.dropped] = counts;
  }
}
