/** Work that is repeated: at what times, as somebody sees them who watches what it sends. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { silentLog } from '../../core/ports.ts';
import { every, repeat } from '../../core/repeat.ts';

const EVERY = 1_000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** The pauses before `count` runs, milliseconds. */
async function pauses(count: number, jitter: { readonly jitter?: number }): Promise<number[]> {
  const times = [Date.now()];
  await using work = repeat({
    everyMillis: EVERY,
    ...jitter,
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
  const drawn = await pauses(200, { jitter: 0.5 });
  expect(Math.min(...drawn)).toBeGreaterThanOrEqual(EVERY / 2);
  expect(Math.max(...drawn)).toBeLessThanOrEqual((3 * EVERY) / 2);
  expect(Math.min(...drawn)).toBeLessThan(0.6 * EVERY);
  expect(Math.max(...drawn)).toBeGreaterThan(1.4 * EVERY);
  expect(new Set(drawn).size).toBeGreaterThan(50);
});

it('runs one after the other, goes on after a failure that it logs, and waits for the last run when it is disposed', async () => {
  const [begun, logged]: [(() => void)[], unknown[]] = [[], []];
  const broken = new Error('broken');
  let over = 0;
  const work = repeat({
    everyMillis: EVERY,
    atOnce: true,
    work: async (signal) => {
      await new Promise<void>((resolve) => begun.push(resolve));
      if (begun.length === 1) throw broken;
      if (signal.aborted) over += 1;
    },
    what: 'work',
    log: { ...silentLog, warn: (fields, message) => logged.push([fields, message]) },
  });
  await vi.advanceTimersByTimeAsync(10 * EVERY);
  expect(begun.length).toBe(1);
  begun[0]?.();
  await vi.advanceTimersByTimeAsync(EVERY);
  expect(logged).toEqual([[{ err: broken }, 'work failed']]);
  expect(begun.length).toBe(2);
  const ended = work[Symbol.asyncDispose]().then(() => over);
  begun[1]?.();
  expect(await ended).toBe(1);
  await vi.advanceTimersByTimeAsync(10 * EVERY);
  expect(begun.length).toBe(2);
});

it('looks at fixed times until it is disposed', async () => {
  const times: number[] = [];
  const began = Date.now();
  const look = every(EVERY, () => times.push(Date.now() - began));
  await vi.advanceTimersByTimeAsync(3.5 * EVERY);
  look[Symbol.dispose]();
  await vi.advanceTimersByTimeAsync(3 * EVERY);
  expect(times).toEqual([EVERY, 2 * EVERY, 3 * EVERY]);
});

it('keeps no process alive', async () => {
  vi.useRealTimers();
  const timers = (): number => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
  const before = timers();
  using _look = every(600_000, () => {});
  await using _work = repeat({ everyMillis: 600_000, work: async () => {}, what: 'work', log: silentLog });
  expect(timers()).toBe(before);
});
