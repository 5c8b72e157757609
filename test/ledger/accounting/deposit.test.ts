/** What a channel holds: never passed, whatever the ledger has not shown yet. */
import { describe, expect, it } from 'vitest';
import { amount } from '../../../core/units.ts';
import { channelState, FRAME, PRICE, warmPair, Pair } from './pair.ts';

describe('the deposit', () => {
  it('is never passed: the payer stops, the payee sends nothing that could not be paid', () => {
    const pair = new Pair(PRICE, channelState({ deposit: amount(8n * PRICE) }));
    let error: unknown;
    for (let i = 0; i < 100_000 && error === undefined; i += 1) {
      try {
        pair.sendUp(FRAME);
        pair.sendDown(FRAME);
        pair.settleDown();
      } catch (thrown) {
        error = thrown;
      }
    }
    expect(error).toMatchObject({ code: 'DEPOSIT_EXHAUSTED' });
    pair.settleDown();
    expect(pair.spending.counts()).toEqual(pair.earning.counts());
    expect(pair.earning.counts().signed).toBe(pair.earning.counts().due);
    expect(pair.earning.counts().due <= 8n * PRICE).toBe(true);
    expect(pair.cuts).toBe(0);
  });

  it('keeps a receipt above the deposit we know until the ledger shows the top-up', () => {
    const pair = new Pair(PRICE, channelState({ deposit: amount(8n * PRICE) }));
    const grown = { ...pair.channel, deposit: amount(80n * PRICE) };
    pair.spending.update(grown);
    for (let i = 0; i < 64 * 9; i += 1) {
      pair.sendUp(FRAME);
      pair.deliverUp();
      pair.deliverUp();
      pair.sync();
    }
    pair.spending.flush();
    pair.settleDown();
    expect(pair.accepted?.amount).toBeLessThanOrEqual(8n * PRICE);
    expect(pair.heldFrames).toBeGreaterThan(0);
    pair.earning.update(pair.channel);
    expect(pair.faults).toEqual([]);
    pair.earning.update(grown);
    pair.sync();
    expect(pair.heldFrames).toBe(0);
    expect(pair.cuts).toBe(0);
    expect(pair.accepted?.amount).toBe(9n * PRICE);
  });

  it('makes a receipt above it a fault once the ledger has said so three times', () => {
    const pair = new Pair(PRICE, channelState({ deposit: amount(8n * PRICE) }));
    pair.spending.update({ ...pair.channel, deposit: amount(80n * PRICE) });
    for (let i = 0; i < 64 * 9; i += 1) {
      pair.sendUp(FRAME);
      pair.deliverUp();
      pair.deliverUp();
      pair.sync();
    }
    pair.spending.flush();
    pair.settleDown();
    for (let i = 0; i < 3; i += 1) pair.earning.update(pair.channel);
    expect(pair.faults).toEqual([expect.objectContaining({ code: 'DEPOSIT_EXHAUSTED' })]);
  });

  it("tells the payee's side of a close request", () => {
    const pair = warmPair();
    pair.earning.update({ ...pair.channel, closeAt: 5n as NonNullable<Pair['channel']['closeAt']> });
    expect(pair.faults).toEqual([expect.objectContaining({ code: 'CHANNEL_CLOSING' })]);
  });
});
