/*
 * Writes the kernel map where it has changed. `npm run build` runs it, bundled for plain Node, in the top directory
 * before it bundles the program; what does not fit is said on standard error, and nothing is written.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { buildMap, MAP_FILE, mapText, readSources } from './kernel_map.ts';

const built = buildMap(readSources('.'));
if ('functions' in built) {
  const text = mapText(built);
  if (!existsSync(MAP_FILE) || readFileSync(MAP_FILE, 'utf8') !== text) writeFileSync(MAP_FILE, text);
} else {
  for (const line of built) process.stderr.write(`${line}\n`);
  process.exitCode = 1;
}
