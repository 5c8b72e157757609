import { describe, expect, it } from 'vitest';
import {
  ratios,
  summarize as summarizeRow,
  type RowName,
  type Turn as GatewayTurn,
} from '../../bench/gateway/figures.ts';
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

describe('the figures of the gateway', () => {
  const turn = (requestsPerSecond: number, ttfbP50Ms: number): GatewayTurn => ({
    requestsPerSecond,
    mbPerSecond: requestsPerSecond / 50,
    ttfbP50Ms,
  });
  const nginx = [turn(1000, 0.1), turn(4000, 0.1), turn(2000, 0.2)];
  const gateway = [turn(100, 4), turn(200, 2), turn(500, 3)];

  it('takes medians, the least and the most, each of its own', () => {
    expect(summarizeRow('gateway-20k', gateway)).toEqual({
      name: 'gateway-20k',
      runs: 3,
      requestsPerSecond: 200,
      requestsPerSecondLeast: 100,
      requestsPerSecondMost: 500,
      mbPerSecond: 4,
      mbPerSecondLeast: 2,
      mbPerSecondMost: 10,
      ttfbP50Ms: 3,
      ttfbP50LeastMs: 2,
      ttfbP50MostMs: 4,
    });
  });

  it('compares within rounds, what was measured alone not at all', () => {
    const turns = new Map<RowName, readonly GatewayTurn[]>([
      ['nginx-20k', nginx],
      ['gateway-20k', gateway],
      ['gateway-200m', gateway],
    ]);
    const speed = { median: 0.1, least: 0.05, most: 0.25 };
    const ttfb = { median: 20, least: 15, most: 40 };
    expect(ratios(turns)).toEqual([{ name: 'gateway-20k', beside: 'nginx-20k', speed, ttfb }]);
  });
});
