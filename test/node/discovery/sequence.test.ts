import { describe, expect, it } from 'vitest';
import { U64_MAX, unixMillis } from '../../../core/units.ts';
import { OfferSequence } from '../../../node/discovery/index.ts';

describe('the sequence of our offers', () => {
  it('follows the clock, and rises when the clock does not', () => {
    const sequence = new OfferSequence();
    expect([1000, 1000, 400, 2000].map((now) => sequence.next(unixMillis(now)))).toEqual([1000n, 1001n, 1002n, 2000n]);
  });

  it('goes past what a clock that was ahead has signed', () => {
    const sequence = new OfferSequence();
    sequence.next(unixMillis(1000));
    expect(sequence.isBehind(1000n)).toBe(false);
    expect(sequence.isBehind(90_000n)).toBe(true);
    expect(sequence.next(unixMillis(2000))).toBe(90_001n);
    expect(sequence.isBehind(90_000n)).toBe(false);
    expect(sequence.next(unixMillis(100_000))).toBe(100_000n);
  });

  it('stays within what an offer can say', () => {
    const sequence = new OfferSequence();
    sequence.isBehind(U64_MAX);
    expect(sequence.next(unixMillis(1))).toBe(U64_MAX);
  });
});
