/** What the last link left unpaid is made good once its payer's receipt arrives, whatever link brings it. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { amount, pricePerMiB } from '../../../core/units.ts';
import { windowFor } from '../../../ledger/accounting/window.ts';
import { channelState, Pair } from './pair.ts';

const PRICE = 1_000_000n;
const FRAME = 16_384;

/** A payer that owes for a frame up and eight that came down. */
function indebted(pair: Pair): Pair {
  pair.sendUp(FRAME);
  pair.settleDown();
  for (let i = 0; i < 8; i += 1) pair.sendDown(FRAME);
  while (pair.deliverDown());
  expect(pair.spending.unsigned).toBeGreaterThan(0n);
  return pair;
}

/** Both ends reckon with one window, and it is what was burned less the arrears. */
function agreed(pair: Pair, window: bigint): void {
  expect({ payer: pair.spending.window, payee: pair.earning.window, arrears: pair.arrears }).toEqual({
    payer: window,
    payee: window,
    arrears: 0n,
  });
}

describe('a receipt at resume that a second lost link takes with it', () => {
  it('makes good what it pays once the third link brings it', () => {
    const pair = indebted(new Pair(PRICE));
    const due = pair.earning.counts().due;
    pair.loseLink();
    expect(pair.arrears).toBe(due);
    pair.loseLink();
    pair.loseLink();
    pair.settleDown();
    expect(pair.held?.amount).toBe(due);
    agreed(pair, PRICE);
  });

  it('is asked for again when the payer died meanwhile, and is paid on trust', () => {
    const pair = indebted(new Pair(PRICE));
    const due = pair.earning.counts().due;
    pair.loseLink({ payerDies: true });
    pair.given = undefined;
    pair.exposed = PRICE;
    pair.loseLink({ payerDies: true });
    pair.settleDown();
    expect(pair.held?.amount).toBe(due);
    agreed(pair, PRICE);
  });

  it('makes good what it pays when the payee was started again meanwhile, once or twice', () => {
    for (const deaths of [1, 2]) {
      const pair = indebted(new Pair(PRICE));
      const due = pair.earning.counts().due;
      pair.loseLink();
      for (let i = 0; i < deaths; i += 1) pair.loseLink({ payeeDies: true });
      pair.settleDown();
      expect(pair.held?.amount).toBe(due);
      agreed(pair, PRICE);
    }
  });

  it('forgives nothing that it does not pay: what was lost on its way down stays', () => {
    const pair = indebted(new Pair(PRICE));
    for (let i = 0; i < 4; i += 1) pair.sendDown(FRAME);
    const lost = (4n * BigInt(FRAME) * PRICE) >> 20n;
    pair.loseLink();
    pair.loseLink();
    pair.settleDown();
    expect({ payer: pair.spending.window, payee: pair.earning.window, arrears: pair.arrears }).toEqual({
      payer: PRICE - lost,
      payee: PRICE - lost,
      arrears: lost,
    });
    // Nor later: what the next links carry is paid for itself.
    for (let i = 0; i < 3; i += 1) {
      indebted(pair);
      pair.loseLink();
      pair.loseLink();
      pair.settleDown();
      expect(pair.arrears).toBe(lost);
    }
  });
});

describe('a receipt that the payee never saw before it was killed', () => {
  it('pays for what it was signed for, and not for what an earlier link left', () => {
    const pair = indebted(new Pair(PRICE));
    pair.exposed = 0n;
    pair.loseLink({ payerDies: true });
    const { arrears } = pair;
    expect(arrears).toBeGreaterThan(0n);
    // The payer has forgotten, and begins without paying.
    indebted(pair);
    pair.spending.flush();
    pair.loseLink({ payeeDies: true });
    pair.settleDown();
    expect(pair.held).toEqual(pair.given);
    expect(pair.arrears).toBe(arrears);
  });
});

describe('the window after a resume', () => {
  it('is the same at both ends where the payee lost something on its payer meanwhile: that much less is granted, once', () => {
    const pair = indebted(new Pair(PRICE));
    pair.loseLink();
    // The next hop still sends what it was granted, and nobody is there to take it.
    const lost = PRICE / 4n;
    pair.earning.lose(lost << 20n);
    pair.settleDown();
    expect([pair.spending.window, pair.earning.window, pair.arrears]).toEqual([PRICE, PRICE, lost]);
    expect(pair.earning.mayGrant >> 20n).toBe((3n * PRICE) / 4n - lost);
    // Nearly a quarter of the window, before the payer signs.
    for (let i = 0; i < 15; i += 1) pair.sendUp(FRAME);
    pair.settleDown();
    expect(pair.cuts).toBe(0);
  });

  it.each([
    ['where more was burned than a window is wide', 40n * PRICE, 1n << 62n],
    ['where the deposit is what bounds it', 4n * PRICE, 8n * PRICE],
  ])('is the same at both ends %s', (_where, opening, deposit) => {
    const pair = indebted(new Pair(PRICE, channelState({ opening: amount(opening), deposit: amount(deposit) })));
    for (let i = 0; i < 100; i += 1) pair.sendDown(FRAME);
    while (pair.deliverDown());
    pair.loseLink();
    pair.settleDown();
    const paid = pair.held?.amount ?? 0n;
    const expected = windowFor(pair.channel, { paid, arrears: 0n, price: pricePerMiB(PRICE) });
    agreed(pair, expected);
    // An honest payer is not cut in it.
    for (let i = 0; i < 200; i += 1) pair.sendUp(FRAME);
    pair.settleDown();
    expect(pair.cuts).toBe(0);
  });

  it('is the same at both ends whatever is lost, and never more than what was burned less what was left unpaid (fast-check)', () => {
    const link = fc.record({
      up: fc.integer({ min: 0, max: 12 }),
      down: fc.integer({ min: 0, max: 12 }),
      arrive: fc.integer({ min: 0, max: 24 }),
      sync: fc.boolean(),
      payerDies: fc.boolean(),
      payeeDies: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.constantFrom(PRICE, 40n * PRICE), fc.array(link, { maxLength: 12 }), (opening, links) => {
        const pair = new Pair(PRICE, channelState({ opening: amount(opening) }));
        for (const { up, down, arrive, sync, payerDies, payeeDies } of links) {
          if (pair.spending.window > PRICE / 8n) for (let i = 0; i < up; i += 1) pair.sendUp(FRAME);
          for (let i = 0; i < arrive; i += 1) pair.deliverUp();
          if (pair.earning.counts().up > 0n && up > 0) for (let i = 0; i < down; i += 1) pair.sendDown(FRAME);
          for (let i = 0; i < arrive; i += 1) pair.deliverDown();
          if (sync) pair.sync();
          pair.loseLink({ payerDies, payeeDies });
        }
        pair.settleDown();
        expect(pair.cuts).toBe(0);
        expect(pair.faults).toEqual([]);
        expect(pair.spending.window).toBe(pair.earning.window);
        const paid = pair.held?.amount ?? 0n;
        const burned = windowFor(pair.channel, { paid, arrears: pair.arrears, price: pricePerMiB(PRICE) });
        // Where more was burned than a window is wide, what was left unpaid last is taken off all the same, for this link.
        expect(pair.earning.window >= (opening === PRICE ? burned : 0n)).toBe(true);
        expect(pair.earning.window <= burned).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
