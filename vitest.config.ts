import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest begins first: else one worker runs it at the end while the other has nothing to do. */
const LONGEST = [
  'test/leak/',
  'test/model/',
  'test/e2e/',
  'test/bench/',
  'test/ledger/program/',
  'test/node/transport/',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const rank = ({ moduleId }: TestSpecification): number => {
      const place = LONGEST.findIndex((folder) => moduleId.includes(folder));
      return !moduleId.endsWith('.slow.test.ts') ? LONGEST.length + 1 : place === -1 ? LONGEST.length : place;
    };
    return sorted.toSorted((a, b) => rank(a) - rank(b));
  }
}

/**
 * Two lanes. What is quick and needs nothing but Node stands in `*.test.ts`; what takes long, or needs tor, i2pd, Chromium or the
 * Rust tool-chain, in `*.slow.test.ts`. Tests wait on events: the limits only catch what hangs, on a loaded machine too.
 */
export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['default'],
    sequence: { sequencer: LongestFirst },
    expect: { poll: { timeout: 30_000, interval: 20 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'quick',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.slow.test.ts'],
          // The files of a worker share the modules: loading them anew for each took a third of the time.
          isolate: false,
          // Five times what a test took with dozens of processes on two processors; the few that took longer say so themselves.
          testTimeout: 30_000,
          hookTimeout: 30_000,
          // Less than a test has: what did not come true is then told, not that the time is over.
          expect: { poll: { timeout: 20_000, interval: 20 } },
        },
      },
      {
        extends: true,
        test: {
          name: 'slow',
          include: ['test/**/*.slow.test.ts'],
          // One private Tor and one I2P network for all files of a run: test/network.ts.
          globalSetup: ['test/network-server.ts'],
          testTimeout: 240_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
