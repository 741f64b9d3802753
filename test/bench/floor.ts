/*
 * The floor under any program that hands the same bytes over: 64 KiB buffers that no page stands behind yet are written
 * once, word by word as they come, and read once.
 */
import type { Mark } from './clock.ts';

const BLOCK_WORDS = 16384;
const PER_BLOCK = 819;

export function floorCycle(sessions: number, mark: Mark): void {
  const blocks = Math.ceil(sessions / PER_BLOCK);
  mark('write');
  const words = new Int32Array(blocks * BLOCK_WORDS);
  for (let i = 0; i < words.length; i++) words[i] = i;
  mark('read');
  let sum = 0;
  for (let i = 0; i < words.length; i++) sum = (sum + (words[i] as number)) | 0;
  if (words.length > 1 && sum === 0 && words[1] !== 1) throw new Error('memory forgets');
}
