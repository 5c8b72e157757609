import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { earnersKey, namesIn } from '../../../core/attribution.ts';
import { channelId } from '../../../core/ids.ts';
import { amount, unixSeconds } from '../../../core/units.ts';
import type { ContentShare } from '../../../ledger/contract.ts';
import { signReceipt } from '../../../ledger/receipt/index.ts';
import { planBatches, splitBatch } from '../../../ledger/settlement/plan.ts';
import type { Batch, Candidate, Fit } from '../../../ledger/settlement/plan.ts';
import { channelState, delegate, seed } from '../accounting/pair.ts';

function candidate(index: number, settled: bigint, increase: bigint): Candidate {
  const id = channelId(seed(`plan ${index}`).subarray(0, 22));
  return {
    channel: channelState({ id, slot: index, settled: amount(settled) }),
    receipt: signReceipt({ channel: id, amount: amount(settled + increase), up: 0n, down: 0n }, delegate),
  };
}

/** A ledger whose transactions hold nine receipts, one less for each pair of names, referrers among them. */
const fit: Fit = (receipts, shares) => Math.min(receipts.length, 9 - Math.floor(namesIn(shares).length / 2));

/** The greatest royalty that is agreed to. */
const CAP = 4_000;

function share(name: string, gross: bigint, referrer?: string): ContentShare {
  return { name, ...(referrer === undefined ? {} : { referrer }), gross: amount(gross), maxRoyaltyBps: CAP };
}

const sum = (values: readonly bigint[]): bigint => values.reduce((a, b) => a + b, 0n);
const gross = (batches: readonly Batch[]): bigint =>
  sum(batches.flatMap((batch) => batch.shares.map((share) => share.gross)));

describe('planning', () => {
  const inputs = [
    fc.array(fc.tuple(fc.bigInt({ min: 0n, max: 1000n }), fc.bigInt({ min: 1n, max: 100_000n })), { maxLength: 14 }),
    fc.array(fc.bigInt({ min: 0n, max: 60_000n }), { maxLength: 20 }),
  ] as const;

  it('puts what closes first', () => {
    const [small, great] = [candidate(0, 0n, 1n), candidate(1, 0n, 100n)];
    const closing = { ...small, channel: { ...small.channel, closeAt: unixSeconds(1) } };
    const batches = planBatches([great, closing], [], () => 1);
    expect(batches.map(({ candidates: [first] }) => first?.channel.slot)).toEqual([0, 1]);
  });

  it('puts every receipt into exactly one transaction, and never more shares than its increase or than fit', () => {
    fc.assert(
      fc.property(...inputs, (figures, grosses) => {
        const candidates = figures.map(([settled, increase], index) => candidate(index, settled, increase));
        // Each fifth name earned alone, and where one of four others showed it.
        const earned = grosses.map((value, index) =>
          share(`name-${Math.floor(index / 5)}.web3`, value, index % 5 === 0 ? undefined : `shows-${index % 5}.web3`),
        );
        const batches = planBatches(candidates, earned, fit);
        const placed = batches.flatMap((batch) => batch.candidates.map((one) => one.channel.slot));
        expect(placed.toSorted((a, b) => a - b)).toEqual(candidates.map((one) => one.channel.slot));
        for (const batch of batches) checkBatch(batch);
        const paid = new Map<string, bigint>();
        for (const one of batches.flatMap((batch) => batch.shares)) {
          paid.set(earnersKey(one), (paid.get(earnersKey(one)) ?? 0n) + one.gross);
        }
        for (const one of earned) expect((paid.get(earnersKey(one)) ?? 0n) <= one.gross).toBe(true);
        for (const batch of batches.filter(({ candidates: all }) => all.length > 1)) {
          const parts = splitBatch(batch);
          expect(parts).toHaveLength(2);
          expect(gross(parts) <= gross([batch])).toBe(true);
          expect(parts.flatMap((part) => part.candidates)).toEqual(batch.candidates);
          for (const part of parts) checkBatch(part);
        }
      }),
    );
  });

  it('pays a name in full when there is room for it', () => {
    const batches = planBatches([candidate(0, 0n, 100n), candidate(1, 0n, 50n)], [share('a.web3', 150n)], fit);
    expect(batches).toHaveLength(1);
    expect(batches[0]?.shares).toEqual([share('a.web3', 150n)]);
  });

  it('puts fewer receipts together when many names wait', () => {
    const names = Array.from({ length: 8 }, (_, index) => share(`n${index}.web3`, 1n, `shows-${index}.web3`));
    const batches = planBatches(
      Array.from({ length: 5 }, (_, index) => candidate(index, 0n, 100n)),
      names,
      fit,
    );
    expect(batches.map((batch) => [batch.candidates.length, batch.shares.length])).toEqual([
      [1, 8],
      [4, 0],
    ]);
  });

  it('takes no more receipts than a record of it holds, however many the ledger could', () => {
    const candidates = Array.from({ length: 70 }, (_, index) => candidate(index, 0n, BigInt(index + 1)));
    const batches = planBatches(candidates, [], (receipts) => receipts.length);
    expect(batches.map((batch) => batch.candidates.length)).toEqual([64, 6]);
  });

  it('puts one receipt into a transaction that has room for none', () => {
    const batches = planBatches([candidate(0, 0n, 1n), candidate(1, 0n, 2n)], [], () => 0);
    expect(batches.map((batch) => batch.candidates.length)).toEqual([1, 1]);
  });

  it('gives nothing for nothing', () => {
    expect(planBatches([], [share('a.web3', 5n)], fit)).toEqual([]);
  });
});

function checkBatch(batch: Batch): void {
  expect(batch.candidates.length).toBeGreaterThan(0);
  const receipts = batch.candidates.map(({ receipt }) => receipt);
  expect(batch.shares.length).toBeLessThanOrEqual(8);
  expect(fit(receipts, batch.shares) >= receipts.length || receipts.length === 1).toBe(true);
  expect(sum(batch.shares.map((share) => share.gross)) <= batch.increase).toBe(true);
  expect(batch.increase).toBe(sum(batch.candidates.map((one) => one.receipt.amount - one.channel.settled)));
  for (const { gross: value, maxRoyaltyBps } of batch.shares) {
    expect(value > 0n).toBe(true);
    expect(maxRoyaltyBps).toBe(CAP);
  }
}
