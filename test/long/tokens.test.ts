/*
 * Tokens by the thousand: the same digest in another process and on another Node (LUOSIM_OTHER_NODE names its binary),
 * and nothing but one line from a hundred thousand damaged ones. `npm run test:long`.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { build } from 'rolldown';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RandomStream } from '../../sim/base/random.ts';
import { recordingOf, resultToken } from '../../sim/explore/result_token.ts';
import { printProgram } from '../../sim/input/program_print.ts';
import { encodeToken } from '../../sim/input/token.ts';
import { inputs } from '../support/inputs.ts';
import { readMutantTokens, runMutantTexts } from '../support/mutants.ts';
import { ran } from '../support/play.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TOKENS = 1000;
const BATCH = 125;
const MUTANTS = 100_000;
const MINUTES = 60_000;

const directory = mkdtempSync(join(tmpdir(), 'luosim-tokens-'));
const batch = join(directory, 'replay_batch.mjs');

beforeAll(() =>
  build({
    input: join(ROOT, 'test/support/replay_batch.ts'),
    platform: 'node',
    output: { file: batch, format: 'esm' },
  }),
);
afterAll(() => rmSync(directory, { recursive: true }));

/** Digests of tokens, replayed by a Node in batches of a process each. */
function replayed(node: string, tokens: readonly string[]): string[] {
  const digests: string[] = [];
  for (let first = 0; first < tokens.length; first += BATCH) {
    const input = tokens.slice(first, first + BATCH).join('\n');
    const { stdout, stderr, status } = spawnSync(node, [batch], {
      input,
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    digests.push(...stdout.trimEnd().split('\n'));
  }
  return digests;
}

describe(
  'tokens of random runs',
  () => {
    const seed = Number(process.env.LUOSIM_SEED ?? '1');
    const all = fc.sample(inputs, { numRuns: TOKENS, seed }).map((input) => {
      const result = ran(input);
      const own = encodeToken({ kind: 'program', text: printProgram(input) }) ?? '';
      const recorded = encodeToken({ kind: 'program', text: printProgram(recordingOf(input, result)) }) ?? '';
      return { own, recorded, told: resultToken(input, result, undefined), digest: result.digest, result };
    });
    const digests = all.map(({ digest }) => digest);

    it('are what they should be: several tasks, faults, patches, jumps and violations among them', () => {
      const share = (has: (entry: (typeof all)[number]) => boolean): number =>
        all.filter(has).length / TOKENS;
      expect(share(({ result }) => result.generations.length > 1)).toBeGreaterThan(0.4);
      expect(share(({ result }) => result.violations.length > 0)).toBeGreaterThan(0.1);
      expect(
        share(({ result }) => result.departures.some(({ point }) => !point.startsWith('machine_kexec'))),
      ).toBeGreaterThan(0.5);
      expect(
        share(({ result }) => result.program.generations.some(({ revision }) => / [+-]/.test(revision))),
      ).toBeGreaterThan(0.3);
      expect(new Set(digests).size).toBeGreaterThan(TOKENS / 2);
      expect(share(({ told }) => (told?.length ?? Number.POSITIVE_INFINITY) < 500)).toBeGreaterThan(0.9);
    });

    it.each(['own', 'recorded', 'told'] as const)(
      'replay in other processes to equal digests (%s)',
      (which) => {
        const tokens = all.map((entry) => entry[which] ?? '');
        expect(replayed(process.execPath, tokens)).toEqual(digests);
      },
      10 * MINUTES,
    );

    it(
      'replay on another Node to equal digests',
      (ctx) => {
        const node = process.env.LUOSIM_OTHER_NODE ?? '';
        ctx.skip(node === '', 'LUOSIM_OTHER_NODE names no Node');
        expect(
          replayed(
            node,
            all.map(({ told }) => told ?? ''),
          ),
        ).toEqual(digests);
      },
      10 * MINUTES,
    );
  },
  10 * MINUTES,
);

describe('damaged', () => {
  const texts = fc.sample(inputs, { numRuns: 500, seed: 11 }).map(printProgram);

  it(
    'tokens come to one line, texts that are read to a run',
    () => {
      expect(readMutantTokens(texts, MUTANTS, new RandomStream('tokens'))).toBeGreaterThan(100);
      expect(runMutantTexts(texts, MUTANTS / 5, 10, new RandomStream('texts'))).toBeGreaterThan(100);
    },
    10 * MINUTES,
  );
});
