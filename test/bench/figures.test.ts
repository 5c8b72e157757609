import { describe, expect, it } from 'vitest';
import { median, percentile, summarize, type Turn } from '../../bench/path/figures.ts';

describe('figures', () => {
  it('takes the middle value, or the mean of the two in the middle', () => {
    expect(median([5])).toBe(5);
    expect(median([9, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(() => median([])).toThrow(TypeError);
  });

  it('takes percentiles by rank', () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect(percentile(values, 0.5)).toBe(50);
    expect(percentile(values, 0.99)).toBe(99);
    expect(percentile(values, 1)).toBe(100);
    expect(percentile([7], 0.99)).toBe(7);
  });

  it('reports medians in MB/s, CPU seconds per GB and microseconds', () => {
    const turn = (millis: number, cpuMicros: number, rtt: number): Turn => ({
      bytes: 100_000_000,
      millis,
      cpuMicros,
      rttP50Us: rtt,
      rttP99Us: 10 * rtt,
    });
    expect(summarize('tcp', [turn(1000, 300_000, 40), turn(500, 100_000, 20), turn(2000, 200_000, 30)])).toEqual({
      name: 'tcp',
      runs: 3,
      mbPerSecond: 100,
      cpuSecondsPerGB: 2,
      rttP50Us: 30,
      rttP99Us: 300,
    });
  });
});
