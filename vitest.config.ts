/*
 * Two processes; each runs file after file on modules it loads once, which no earlier file can have changed: the
 * simulator remembers nothing of earlier runs. The JSON report is what .ci/run counts from.
 * What takes minutes is in test/long/: `npm run test:long` has it too, a process per file, so that each gives back the
 * memory of its millions of sessions.
 */
import { defineConfig } from 'vitest/config';

const long = process.env.LUOSIM_LONG === '1';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/bench/**', ...(long ? [] : ['test/long/**'])],
    setupFiles: ['test/support/seed.ts'],
    isolate: long,
    pool: 'forks',
    maxWorkers: 2,
    globals: false,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: ['default', ['json', { outputFile: 'out/test-results.json' }]],
  },
});
