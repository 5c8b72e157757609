import { describe, expect, it } from 'vitest';
import { OFFER_STEP_MILLIS } from '../../../core/limits.ts';
import { U64_MAX, unixMillis, type UnixMillis } from '../../../core/units.ts';
import { OfferSequence, offerExpiry } from '../../../node/offer/index.ts';

describe('the sequence of our offers', () => {
  const STEP = BigInt(OFFER_STEP_MILLIS);
  const at = (steps: number, millis = 0): UnixMillis => unixMillis(steps * OFFER_STEP_MILLIS + millis);

  it('follows the clock in steps, and rises when the clock does not', () => {
    const sequence = new OfferSequence();
    const times = [at(5, 17), at(5, 18), at(3), at(7, OFFER_STEP_MILLIS - 1)];
    expect(times.map((now) => sequence.next(now))).toEqual([5n * STEP, 5n * STEP + 1n, 5n * STEP + 2n, 7n * STEP]);
  });

  it.each([0, 1, 17, OFFER_STEP_MILLIS - 1])(
    'does not show when in a step a node started: %i ms after its beginning',
    (millis) => {
      expect(new OfferSequence().next(at(9, millis))).toBe(9n * STEP);
      expect(offerExpiry(at(9, millis), OFFER_STEP_MILLIS)).toBe(at(millis === 0 ? 10 : 11));
    },
  );

  it('goes past what a clock that was ahead has signed', () => {
    const sequence = new OfferSequence();
    sequence.next(at(1));
    expect(sequence.isBehind(STEP)).toBe(false);
    expect(sequence.isBehind(90n * STEP)).toBe(true);
    expect(sequence.next(at(2))).toBe(90n * STEP + 1n);
    expect(sequence.isBehind(90n * STEP)).toBe(false);
    expect(sequence.next(at(100))).toBe(100n * STEP);
  });

  it('stays within what an offer can say', () => {
    const sequence = new OfferSequence();
    sequence.isBehind(U64_MAX);
    expect(sequence.next(unixMillis(1))).toBe(U64_MAX);
  });
});
