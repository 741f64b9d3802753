/*
 * Time by phase: processor time of the whole process, user and system, collector and compiler included. On a machine
 * that others use it moves less than the time on the wall, but it moves: figures are ratios within one run.
 */

/** A phase begins; the one before ends. */
export type Mark = (phase: string) => void;

/** Milliseconds by phase. */
export type Phases = Readonly<Record<string, number>>;

export interface Cycle {
  readonly phases: Phases;
  readonly wallMs: number;
  /** Most memory the process had so far. */
  readonly peakMiB: number;
}

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** Runs a cycle and times its phases. */
export function timed(cycle: (mark: Mark) => void): Cycle {
  const phases: Record<string, number> = {};
  let phase = '';
  let since = 0;
  const end = (): void => {
    if (phase !== '') phases[phase] = (phases[phase] ?? 0) + cpuMs() - since;
  };
  const wall = performance.now();
  cycle((next) => {
    end();
    phase = next;
    since = cpuMs();
  });
  end();
  return {
    phases,
    wallMs: performance.now() - wall,
    peakMiB: process.resourceUsage().maxRSS / 1024,
  };
}
