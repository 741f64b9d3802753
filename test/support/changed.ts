/*
 * luosim with a change made to it: its sources, bundled with some lines replaced. What a token that was printed before
 * a change does after it can only be seen with both.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'rolldown';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What it takes to run a program. */
export type Luosim = Pick<
  typeof import('../../sim/index.ts'),
  'Decisions' | 'ICOUNT' | 'Machine' | 'PiecePool' | 'run'
>;

const ENTRY = 'changed-luosim.ts';
const EXPORTS = `
  export { Decisions } from './sim/base/decisions.ts';
  export { run } from './sim/explore/run.ts';
  export { ICOUNT } from './sim/kernel/cost.ts';
  export { Machine } from './sim/machine/machine.ts';
  export { PiecePool } from './sim/machine/pool.ts';
`;

/** What is replaced, in whatever file of sim/ it stands, once. */
export type Replacement = readonly [RegExp, string];

export async function changedLuosim(replacements: readonly Replacement[]): Promise<Luosim> {
  const directory = mkdtempSync(join(tmpdir(), 'luosim-changed-'));
  const counts = replacements.map(() => 0);
  const file = join(directory, 'luosim.mjs');
  await build({
    input: ENTRY,
    cwd: ROOT,
    platform: 'node',
    output: { file, format: 'esm' },
    plugins: [
      {
        name: 'change',
        resolveId: (id) => (id === ENTRY ? join(ROOT, ENTRY) : null),
        load: (path) => (path === join(ROOT, ENTRY) ? { code: EXPORTS, moduleType: 'ts' } : null),
        transform: (code, path) => {
          if (!/\/sim\/.*\.ts$/.test(path)) return null;
          let changed = code;
          for (const [i, [from, to]] of replacements.entries()) {
            if (!from.test(changed)) continue;
            counts[i] = (counts[i] ?? 0) + 1;
            changed = changed.replace(from, to);
          }
          return { code: changed };
        },
      },
    ],
  });
  const luosim: Luosim = await import(pathToFileURL(file).href);
  rmSync(directory, { recursive: true });
  for (const [i, count] of counts.entries()) {
    if (count !== 1) throw new Error(`${replacements[i]?.[0]} is to be replaced in ${count} files`);
  }
  return luosim;
}
