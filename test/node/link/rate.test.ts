import { describe, expect, it } from 'vitest';
import { TokenBucket, TokenBuckets } from '../../../core/rate.ts';

describe('buckets by key', () => {
  it('remember the keys that have taken, and forget those that are full again', () => {
    let now = 0;
    const buckets = new TokenBuckets<number>(() => new TokenBucket(1, () => now, 2));
    const taken = (key: number): number => [1, 2, 3].filter(() => buckets.of(key).take()).length;
    for (let key = 0; key < 10_000; key += 1) expect(taken(key)).toBe(2);
    for (let key = 0; key < 10_000; key += 1) expect(taken(key)).toBe(0);
    now += 1000;
    expect(taken(0)).toBe(1);
    now += 1500;
    // All but the one that took since are full, and so many more that come find them so.
    for (let key = 10_000; key < 40_000; key += 1) buckets.of(key);
    expect(buckets.size).toBeLessThan(30_000);
    expect(taken(0)).toBe(1);
  });
});
