/*
 * Points are known once the modules that declare them are loaded. What judges recordings must know all of them, whoever
 * asks it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, it } from 'vitest';
import { ROOT } from '../support/cli.ts';

it('every module with a point is loaded with what judges recordings', async () => {
  const { metafile } = await build({
    entryPoints: [join(ROOT, 'sim/input/run_input_json.ts')],
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
  });
  const declaring = readdirSync(join(ROOT, 'sim'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => `sim/${path}`)
    .filter((path) => readFileSync(join(ROOT, path), 'utf8').includes("= definePoint('"));
  expect(declaring.length).toBeGreaterThan(20);
  expect(declaring.filter((path) => !(path in metafile.inputs))).toEqual([]);
});
