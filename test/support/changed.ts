/*
 * luosim with a change made to it: its sources, bundled with some lines replaced. What a token that was printed before
 * a change does after it can only be seen with both.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What it takes to run a program. */
export type Luosim = Pick<
  typeof import('../../sim/index.ts'),
  'Decisions' | 'ICOUNT' | 'Machine' | 'PiecePool' | 'run'
>;

const ENTRY = `
  export { Decisions } from './sim/base/decisions.ts';
  export { run } from './sim/explore/run.ts';
  export { ICOUNT } from './sim/kernel/cost.ts';
  export { Machine } from './sim/machine/machine.ts';
  export { PiecePool } from './sim/machine/pool.ts';
`;

/** What a bundle of modules needs that are no ECMAScript modules; its names are nobody else's. */
export const BANNER = {
  js: "import { createRequire as bundled } from 'node:module'; const require = bundled(import.meta.url);",
};

/** What is replaced, in whatever file of sim/ it stands, once. */
export type Replacement = readonly [RegExp, string];

export async function changedLuosim(replacements: readonly Replacement[]): Promise<Luosim> {
  const directory = mkdtempSync(join(tmpdir(), 'luosim-changed-'));
  const counts = replacements.map(() => 0);
  const outfile = join(directory, 'luosim.mjs');
  await build({
    stdin: { contents: ENTRY, resolveDir: ROOT },
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    logLevel: 'silent',
    banner: BANNER,
    plugins: [
      {
        name: 'change',
        setup: ({ onLoad }) =>
          onLoad({ filter: /\/sim\/.*\.ts$/ }, ({ path }) => {
            let contents = readFileSync(path, 'utf8');
            for (const [i, [from, to]] of replacements.entries()) {
              if (!from.test(contents)) continue;
              counts[i] = (counts[i] ?? 0) + 1;
              contents = contents.replace(from, to);
            }
            return { contents, loader: 'ts' };
          }),
      },
    ],
  });
  const luosim: Luosim = await import(pathToFileURL(outfile).href);
  rmSync(directory, { recursive: true });
  for (const [i, count] of counts.entries()) {
    if (count !== 1) throw new Error(`${replacements[i]?.[0]} is to be replaced in ${count} files`);
  }
  return luosim;
}
