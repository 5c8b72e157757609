import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pricePerMiB } from '../../../core/units.ts';
import { headroom, MAX_PRICE_RUNS, Tally } from '../../../ledger/accounting/tally.ts';

describe('a tally', () => {
  it('tells the exact cost at every frame boundary since it was last trimmed', () => {
    const frames = fc.array(
      fc.record({
        bytes: fc.integer({ min: 1, max: 17_000 }),
        price: fc.oneof(fc.bigInt({ min: 0n, max: 3n }), fc.constant(1n << 40n)),
        trim: fc.boolean(),
      }),
      { maxLength: 80 },
    );
    fc.assert(
      fc.property(frames, fc.bigInt({ min: 0n, max: 1n << 60n }), (steps, base) => {
        const tally = new Tally(base, base << 20n, true);
        let known: { bytes: bigint; numerator: bigint }[] = [{ bytes: base, numerator: base << 20n }];
        for (const step of steps) {
          const last = known.at(-1) ?? { bytes: 0n, numerator: 0n };
          tally.add(step.bytes, pricePerMiB(step.price));
          known.push({
            bytes: last.bytes + BigInt(step.bytes),
            numerator: last.numerator + BigInt(step.bytes) * step.price,
          });
          if (step.trim) {
            const from = Math.floor(known.length / 2);
            tally.trim(known[from]?.bytes ?? base);
            known = known.slice(from);
          }
          for (const mark of known) expect(tally.at(mark.bytes)).toBe(mark.numerator);
          expect(tally.bytes).toBe(known.at(-1)?.bytes);
          expect(tally.numerator).toBe(known.at(-1)?.numerator);
          expect(tally.at(tally.bytes + 1n)).toBeUndefined();
        }
      }),
    );
  });

  it('remembers a bounded number of price changes, and none once they are paid', () => {
    const tally = new Tally(0n, 0n, true);
    for (let i = 0; i < 5 * MAX_PRICE_RUNS; i += 1) tally.add(100, pricePerMiB(BigInt(i % 2)));
    expect(tally.changes).toBe(MAX_PRICE_RUNS);
    expect(tally.at(100n)).toBeUndefined();
    expect(tally.at(tally.bytes - 100n)).toBeDefined();
    tally.trim(tally.bytes);
    expect(tally.changes).toBe(0);
  });

  it('gives a headroom that a number counts down exactly', () => {
    expect(headroom(-1n)).toBe(-1);
    expect(headroom(7n)).toBe(7);
    expect(headroom(1n << 80n)).toBe(Number.MAX_SAFE_INTEGER);
  });
});
