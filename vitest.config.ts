/*
 * One process per test file, so that a test that fills a terabyte machine gives its memory back; two at a time.
 * The JSON report is what .ci/run counts from. What takes minutes is in test/long/: `npm run test:long` has it too.
 */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/bench/**', ...(process.env.LUOSIM_LONG === '1' ? [] : ['test/long/**'])],
    pool: 'forks',
    maxWorkers: 2,
    globals: false,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: ['default', ['json', { outputFile: 'out/test-results.json' }]],
  },
});
