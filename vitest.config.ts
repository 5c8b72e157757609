import { defineConfig } from 'vitest/config';

/** Tests wait on events, so the limits are generous: they only catch what hangs on a loaded machine. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 240_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['default'],
  },
});
