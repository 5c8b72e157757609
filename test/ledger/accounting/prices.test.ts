/** Prices that change with every frame, of almost nothing and of nothing. */
import { describe, expect, it } from 'vitest';
import { pricePerMiB } from '../../../core/units.ts';
import { FRAME, PRICE, Pair } from './pair.ts';

describe('prices', () => {
  it('may change with every frame and the counts still agree', () => {
    const pair = new Pair(PRICE);
    for (let i = 0; i < 3000; i += 1) {
      pair.sendUp(1024, pricePerMiB(PRICE + BigInt(i % 3)));
      pair.sendDown(1024, pricePerMiB(PRICE + BigInt(i % 2)));
      if (i % 7 === 0) pair.settleDown();
    }
    pair.spending.flush();
    pair.settleDown();
    expect(pair.spending.counts()).toEqual(pair.earning.counts());
    expect(pair.earning.counts().due).toBe(pair.served >> 20n);
  });

  it('of almost nothing are summed exactly, never rounded away', () => {
    const pair = new Pair(1n);
    for (let i = 0; i < 10_000; i += 1) {
      pair.sendUp(1025);
      pair.settleDown();
    }
    pair.spending.flush();
    pair.settleDown();
    expect(pair.held?.amount).toBe((10_000n * 1025n) >> 20n);
  });

  it('of nothing need no receipts', () => {
    const pair = new Pair(0n);
    for (let i = 0; i < 1000; i += 1) {
      pair.sendUp(FRAME);
      pair.sendDown(FRAME);
    }
    pair.settleDown();
    pair.spending.flush();
    expect(pair.receipts).toBe(0);
    expect(pair.spending.counts()).toEqual(pair.earning.counts());
  });
});

describe('the memory of price changes', () => {
  it('ends with the receipt that pays for them, on both sides', () => {
    const pair = new Pair(PRICE);
    for (let i = 0; i < 20_000; i += 1) {
      pair.sendUp(64, pricePerMiB(PRICE + BigInt(i % 2)));
      pair.sendDown(64, pricePerMiB(PRICE + BigInt(i % 2)));
      if (i % 100 === 0) pair.settleDown();
    }
    pair.settleDown();
    expect(pair.cuts).toBe(0);
    // Price changes alone make the payer sign: a tenth of the window is owed here at most.
    expect(pair.receipts).toBeGreaterThan(20_000 / 256);
  });
});
