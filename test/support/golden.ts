/*
 * Handovers of real kernels, from test/golden/.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { physOf } from '../../sim/base/units.ts';
import { type ExtractedImage, extractedImage, extractParts } from '../../sim/image/extracted_image.ts';

import { Journal } from '../../sim/machine/journal.ts';
import { PiecePool } from '../../sim/machine/pool.ts';
import { Ram } from '../../sim/machine/ram.ts';

const DIRECTORY = fileURLToPath(new URL('../golden/', import.meta.url));

/** Names of the images, without `.json`. */
export const GOLDEN_IMAGES: readonly string[] = readdirSync(DIRECTORY)
  .filter((name) => name.endsWith('.json') && /"kho_fdt"/.test(readFileSync(DIRECTORY + name, 'utf8')))
  .map((name) => name.slice(0, -'.json'.length));

/** The JSON of an extract, and the blobs beside it by name. */
export function goldenExtract(stem: string): { json: unknown; parts: Map<string, Uint8Array> } {
  const json: unknown = JSON.parse(readFileSync(`${DIRECTORY}${stem}.json`, 'utf8'));
  const names = extractParts(json);
  if (typeof names === 'string') throw new Error(`${stem}.json ${names}`);
  const present = names.filter((name) => existsSync(`${DIRECTORY}${stem}.${name}.bin`));
  const parts = present.map((name): [string, Uint8Array] => [
    name,
    new Uint8Array(readFileSync(`${DIRECTORY}${stem}.${name}.bin`)),
  ]);
  return { json, parts: new Map(parts) };
}

export function goldenImage(stem: string): ExtractedImage {
  const { json, parts } = goldenExtract(stem);
  const image = extractedImage(json, parts);
  if (typeof image === 'string') throw new Error(`${stem}.json ${image}`);
  return image;
}

/** Memory with an image in it, all else zero. */
export function goldenRam(image: ExtractedImage): Ram {
  const ram = new Ram({ pool: new PiecePool(), journal: new Journal() }, image.ramBytes);
  placeImage(image, ram);
  return ram;
}

export function placeImage({ pages }: ExtractedImage, ram: Ram): void {
  for (const { frame, words } of pages) ram.storeWords(physOf(frame), words, 0, words.length);
}
