/*
 * luosim on the same sessions, as `luosim run` does it: two kernels, everything on. What a run tells of its progress is
 * sorted into the phases that the others have, nothing left out:
 *
 *   create        kernel 0 from its first task to the last: open, create, close of the device, laws at each quiescence
 *   serialize     load, reboot hook, laws at the jump
 *   handoff       jump, boot of kernel 1 with the reservation, laws after boot
 *   deserialize   first open; verify   every name in order
 *   boot          the cold boot of kernel 0
 *   rest          opens and closes of the device, laws, and memory zeroed for the next cycle, in kernel 1
 */
import manySessions, { ramBytesFor } from '../../scenarios/many_sessions.ts';
import { Decisions, ICOUNT, Machine, type PiecePool, type Progress, run } from '../../sim/index.ts';
import type { Mark } from './clock.ts';

/** The phases of every program. */
export const FIVE = ['create', 'serialize', 'handoff', 'deserialize', 'verify'] as const;
/** Those of luosim alone. */
export const OTHERS = ['boot', 'retrieve', 'finish', 'close', 'rest'] as const;

export const REVISION = 'april-v1-p1';

export function luosimCycle(sessions: number, pool: PiecePool, mark: Mark): void {
  const sorted = new Sorted(mark);
  const params = { ramBytes: ramBytesFor(sessions), nodes: 1, cpus: 2 };
  const machine = new Machine(params, ICOUNT, pool, Decisions.none());
  const { digest, violations } = run({
    machine,
    seed: '1',
    decisions: Decisions.seeded('1'),
    program: manySessions({ revisions: [REVISION], generations: 2, sessions, pattern: 'many-test-%d' }),
    onProgress: (progress) => sorted.told(progress),
  });
  machine.dispose();
  if (violations.length > 0) throw new Error(`${violations[0]?.law}: ${violations[0]?.text}`);
  if (digest === '') throw new Error('a run has a digest');
}

class Sorted {
  readonly #mark: Mark;
  #now = '';

  constructor(mark: Mark) {
    this.#mark = mark;
  }

  told({ generation, phase }: Progress): void {
    const next = generation === 0 ? this.#first(phase) : this.#second(phase);
    if (next === this.#now) return;
    this.#now = next;
    this.#mark(next);
  }

  #first(phase: Progress['phase']): string {
    if (phase === 'boot') return 'boot';
    if (phase === 'load' || phase === 'serialize') return 'serialize';
    if (phase === 'jump') return 'handoff';
    // Laws belong to what was done before them.
    return phase === 'laws' ? this.#now : 'create';
  }

  #second(phase: Progress['phase']): string {
    if (phase === 'boot') return 'handoff';
    if (phase === 'laws') return this.#now === 'handoff' ? 'handoff' : 'rest';
    const own: readonly string[] = ['deserialize', 'verify', 'retrieve', 'finish', 'close'];
    return own.includes(phase) ? phase : 'rest';
  }
}
