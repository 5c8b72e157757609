/** The benchmark of receipts, small: that it measures what it says, not how fast this machine is. */
import { expect, it } from 'vitest';
import { measureIntake } from '../../bench/ledger/intake.ts';

it('takes every receipt, and a channel costs the same after many as after one', async () => {
  const figures = await measureIntake({ channels: 200, rounds: 8 });
  expect(figures).toMatchObject({ name: 'verify-and-store', channels: 200, receipts: 1600 });
  expect(figures.receiptsPerSecond).toBeGreaterThan(0);
  expect(figures.receiptsPerCpuSecond).toBeGreaterThan(0);
  // A channel's record and its newest receipt; their keys, and the table's own index.
  expect(figures.bytesPerChannelFirst).toBeGreaterThan(111);
  expect(figures.bytesPerChannelFirst).toBeLessThan(1_000);
  expect(figures.bytesPerChannelLast).toBeLessThanOrEqual(figures.bytesPerChannelFirst * 1.1);
});

it.each([{ channels: 0 }, { channels: 10_001 }, { rounds: 0 }])('refuses %o', async (options) => {
  await expect(measureIntake(options)).rejects.toBeInstanceOf(RangeError);
});
