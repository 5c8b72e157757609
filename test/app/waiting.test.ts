/** From what worth on a node is said to settle unasked: the rule that it settles by. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { settledFrom, waitingOf, type SettlePrice } from '../../app/node/waiting.ts';
import { amount, lamports } from '../../core/units.ts';
import type { Batch, Candidate } from '../../ledger/settlement/plan.ts';
import { isWorthSending } from '../../ledger/settlement/worth.ts';
import { channelState } from '../ledger/accounting/pair.ts';

function priceOf(first: bigint, further: bigint, bid: bigint, unitsPerLamport: bigint): SettlePrice {
  const fees = {
    fee: { first: lamports(first), further: lamports(further) },
    bid: { first: lamports(bid), further: lamports(0n) },
  };
  return { fees, unitsPerLamport };
}

function batchWorth(value: bigint, receipts: number): Batch {
  const candidates = Array.from({ length: receipts }, (_, i) => ({
    channel: channelState(),
    receipt: { amount: amount(i === 0 ? value : 0n) },
  })) as unknown as Candidate[];
  return { candidates, shares: [], increase: amount(value) };
}

it('is where the settlement engine begins to send, to the unit', () => {
  const figures = fc.record({
    first: fc.bigInt(1n, 100_000n),
    further: fc.bigInt(0n, 10_000n),
    bid: fc.bigInt(0n, 200_000n),
    unitsPerLamport: fc.bigInt(1n, 1000n),
    receipts: fc.integer({ min: 1, max: 64 }),
    bps: fc.integer({ min: 1, max: 1000 }),
  });
  fc.assert(
    fc.property(figures, ({ first, further, bid, unitsPerLamport, receipts, bps }) => {
      const price = priceOf(first, further, bid, unitsPerLamport);
      const from = settledFrom(price, receipts, bps) ?? 0n;
      const worth = { ...price.fees, unitsPerLamport, maxFeeShareBps: BigInt(bps) };
      const isSent = (value: bigint): boolean => isWorthSending(batchWorth(value, receipts), () => 'growing', worth);
      expect([isSent(from), isSent(from - 1n)]).toEqual([true, false]);
    }),
  );
});

it('is never if no fee is small enough, and unknown before the ledger has said what a fee is', () => {
  expect(settledFrom(priceOf(5000n, 0n, 0n, 1n), 1, 0)).toBeNull();
  const channel = channelState();
  const entries = [
    { role: 'payee', channel, latest: { amount: amount(7n) } },
    { role: 'payee', channel: channelState({ settled: amount(7n) }), latest: { amount: amount(7n) } },
    { role: 'payer', channel, latest: { amount: amount(9n) } },
  ];
  const node = {
    store: { entries: () => entries.values() },
    settlement: { unsettled: () => amount(7n) },
    settings: {},
  } as unknown as Parameters<typeof waitingOf>[0];
  expect(waitingOf(node, undefined)).toEqual({ value: '7', from: null, feeShareBps: 100 });
  const price = priceOf(5000n, 1_000_000n, 0n, 1n);
  expect(waitingOf(node, price)).toEqual({ value: '7', from: '500000', feeShareBps: 100 });
});
