/*
 * The errno runs of real kernels, and the revisions that they are of.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Revision, V7_1, V7_3 } from '../../sim/kernel/revisions.ts';
import type { Row } from './run.ts';

export interface ErrnoRun {
  readonly revision: Revision;
  readonly rows: readonly Row[];
}

/** `root`: the top of the repository. */
export function errnoRuns(root: string): ErrnoRun[] {
  const read = (file: string): Row[] =>
    (JSON.parse(readFileSync(join(root, 'test', 'golden', file), 'utf8')) as { rows: Row[] }).rows;
  return [
    { revision: V7_3, rows: read('k734-errno.json') },
    { revision: V7_1, rows: read('k7113-errno.json') },
  ];
}
