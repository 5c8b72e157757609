import { describe, expect, it } from 'vitest';
import { comparison, median, percentile, summarize, type Block, type Turn } from '../../bench/path/figures.ts';

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

  it('compares CPU per byte within blocks, with half of the blocks and where the median lies', () => {
    const block = (percent: number): Block => {
      const turn = (cpuMicros: number): Block['first'][0] => ({ bytes: 1000, millis: 1, cpuMicros });
      return { first: [turn(percent), turn(percent + 20)], second: [turn(90), turn(110)] };
    };
    const blocks = Array.from({ length: 25 }, (_, index) => block(80 + ((index * 7) % 25)));
    // Ratios of 0.90 to 1.14, in a hundredth's steps: ranks 1 .. 25.
    expect(comparison(blocks)).toEqual({
      blocks: 25,
      cpuRatio: 1.02,
      cpuRatioQ1: 0.96,
      cpuRatioQ3: 1.08,
      cpuRatioLow: 0.96,
      cpuRatioHigh: 1.08,
    });
    expect(comparison([block(80), block(100)])).toMatchObject({ cpuRatio: 1, cpuRatioLow: 0.9, cpuRatioHigh: 1.1 });
  });
});
