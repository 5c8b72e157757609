/** Work that is repeated: at what times, as somebody sees them who watches what it sends. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { silentLog } from '../../core/ports.ts';
import { repeat } from '../../core/repeat.ts';

const EVERY = 1_000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** The pauses before `count` runs, milliseconds. */
async function pauses(count: number, jittered: { readonly jittered?: true }): Promise<number[]> {
  const times = [Date.now()];
  await using work = repeat({
    everyMillis: EVERY,
    ...jittered,
    work: async () => void times.push(Date.now()),
    what: 'work',
    log: silentLog,
  });
  while (times.length <= count) await vi.advanceTimersToNextTimerAsync();
  expect(work).toBeDefined();
  return times.slice(1, count + 1).map((time, index) => time - (times[index] ?? 0));
}

it('runs at a regular interval', async () => {
  expect(await pauses(20, {})).toEqual(Array.from({ length: 20 }, () => EVERY));
});

it('has no rhythm by which a node could be recognised: each pause is drawn at random', async () => {
  const drawn = await pauses(200, { jittered: true });
  expect(Math.min(...drawn)).toBeGreaterThanOrEqual(EVERY / 2);
  expect(Math.max(...drawn)).toBeLessThanOrEqual((3 * EVERY) / 2);
  expect(Math.min(...drawn)).toBeLessThan(0.6 * EVERY);
  expect(Math.max(...drawn)).toBeGreaterThan(1.4 * EVERY);
  expect(new Set(drawn).size).toBeGreaterThan(50);
});
