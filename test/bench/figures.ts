/*
 * From times to figures: medians with their spread, and a straight line through logarithms.
 */

export interface Figure {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export function figure(samples: readonly number[]): Figure {
  const sorted = [...samples].sort((x, y) => x - y);
  const middle = sorted.length >> 1;
  const median =
    sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
  return { median, least: sorted[0] ?? 0, most: sorted.at(-1) ?? 0 };
}

export interface Curve {
  /** b of y = a * x^b. */
  readonly exponent: number;
  /** Nanoseconds (or what y is in) of one x at x = 1,000,000. */
  readonly each: number;
  /** Largest factor between a point and the curve. */
  readonly residual: number;
}

/** Least squares of log y over log x. */
export function curve(points: readonly (readonly [x: number, y: number])[]): Curve {
  const logs = points.map(([x, y]) => [Math.log(x), Math.log(y)] as const);
  const mean = (of: (point: readonly [number, number]) => number): number =>
    logs.reduce((sum, point) => sum + of(point), 0) / logs.length;
  const [mx, my] = [mean(([x]) => x), mean(([, y]) => y)];
  const exponent = mean(([x, y]) => (x - mx) * (y - my)) / mean(([x]) => (x - mx) ** 2);
  const at = (x: number): number => Math.exp(my + exponent * (Math.log(x) - mx));
  const residual = Math.max(...points.map(([x, y]) => Math.max(y / at(x), at(x) / y)));
  return { exponent, each: at(1e6) / 1e6, residual };
}
