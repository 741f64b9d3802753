/*
 * Points are known once the modules that declare them are loaded. What judges recordings must know all of them, whoever
 * asks it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { build } from 'rolldown';
import { expect, it } from 'vitest';
import { ROOT } from '../support/cli.ts';

it('every module with a point is loaded with what judges recordings', async () => {
  const loaded: string[] = [];
  await build({
    input: join(ROOT, 'sim/input/run_input_json.ts'),
    platform: 'node',
    external: /^[^./]/,
    write: false,
    plugins: [{ name: 'loaded', transform: (_code, path) => void loaded.push(relative(ROOT, path)) }],
  });
  const declaring = readdirSync(join(ROOT, 'sim'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => `sim/${path}`)
    .filter((path) => readFileSync(join(ROOT, path), 'utf8').includes("= definePoint('"));
  expect(declaring.length).toBeGreaterThan(20);
  expect(declaring.filter((path) => !loaded.includes(path))).toEqual([]);
});
