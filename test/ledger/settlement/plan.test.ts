import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { channelId } from '../../../core/ids.ts';
import { amount } from '../../../core/units.ts';
import { signReceipt } from '../../../ledger/receipt/index.ts';
import { planBatches, sharesBeside, splitBatch } from '../../../ledger/settlement/plan.ts';
import type { Batch, Candidate } from '../../../ledger/settlement/plan.ts';
import { channelState, delegate, seed } from '../accounting/pair.ts';

function candidate(index: number, settled: bigint, increase: bigint): Candidate {
  const id = channelId(seed(`plan ${index}`).subarray(0, 22));
  return {
    channel: channelState({ id, slot: index, settled: amount(settled) }),
    receipt: signReceipt({ channel: id, amount: amount(settled + increase), up: 0n, down: 0n }, delegate),
  };
}

const sum = (values: readonly bigint[]): bigint => values.reduce((a, b) => a + b, 0n);
const gross = (batches: readonly Batch[]): bigint =>
  sum(batches.flatMap((batch) => batch.shares.map((share) => share.gross)));

describe('planning', () => {
  const inputs = [
    fc.array(fc.tuple(fc.bigInt({ min: 0n, max: 1000n }), fc.bigInt({ min: 1n, max: 100_000n })), { maxLength: 14 }),
    fc.array(fc.bigInt({ min: 0n, max: 60_000n }), { maxLength: 20 }),
  ] as const;

  it('puts every receipt into exactly one transaction, and never more shares than its increase or than fit', () => {
    fc.assert(
      fc.property(...inputs, (figures, grosses) => {
        const candidates = figures.map(([settled, increase], index) => candidate(index, settled, increase));
        const earned = new Map(grosses.map((value, index) => [`name-${index}.web3`, value]));
        const batches = planBatches(candidates, earned);
        const placed = batches.flatMap((batch) => batch.candidates.map((one) => one.channel.slot));
        expect(placed.toSorted((a, b) => a - b)).toEqual(candidates.map((one) => one.channel.slot));
        for (const batch of batches) checkBatch(batch);
        const perName = new Map<string, bigint>();
        for (const { name, gross: value } of batches.flatMap((batch) => batch.shares)) {
          perName.set(name, (perName.get(name) ?? 0n) + value);
        }
        for (const [name, value] of perName) expect(value <= (earned.get(name) ?? 0n)).toBe(true);
        for (const batch of batches) {
          const parts = splitBatch(batch);
          expect(gross(parts) <= gross([batch])).toBe(true);
          expect(parts.flatMap((part) => part.candidates)).toEqual(batch.candidates);
          for (const part of parts) checkBatch(part);
        }
      }),
    );
  });

  it('pays a name in full when there is room for it', () => {
    const batches = planBatches([candidate(0, 0n, 100n), candidate(1, 0n, 50n)], new Map([['a.web3', 150n]]));
    expect(batches).toHaveLength(1);
    expect(batches[0]?.shares).toEqual([{ name: 'a.web3', gross: 150n }]);
  });

  it('puts fewer receipts together when many names wait', () => {
    const names = new Map(Array.from({ length: 8 }, (_, index) => [`n${index}.web3`, 1n] as const));
    const batches = planBatches(
      Array.from({ length: 5 }, (_, index) => candidate(index, 0n, 100n)),
      names,
    );
    expect(batches.map((batch) => [batch.candidates.length, batch.shares.length])).toEqual([
      [3, 8],
      [2, 0],
    ]);
  });

  it('gives nothing for nothing', () => {
    expect(planBatches([], new Map([['a.web3', 5n]]))).toEqual([]);
  });
});

function checkBatch(batch: Batch): void {
  expect(batch.candidates.length).toBeGreaterThan(0);
  expect(batch.candidates.length).toBeLessThanOrEqual(5);
  expect(batch.shares.length).toBeLessThanOrEqual(sharesBeside(batch.candidates.length));
  expect(sum(batch.shares.map((share) => share.gross)) <= batch.increase).toBe(true);
  expect(batch.increase).toBe(sum(batch.candidates.map((one) => one.receipt.amount - one.channel.settled)));
  for (const share of batch.shares) expect(share.gross > 0n).toBe(true);
}
