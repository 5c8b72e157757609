/** What may be bid for a settlement, and when it is worth sending: figures only. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_CLOSING_BID, MAX_SETTLE_BID } from '../../../core/limits.ts';
import { channelId, ledgerAddress } from '../../../core/ids.ts';
import { amount, lamports, unixSeconds } from '../../../core/units.ts';
import type { SignedReceipt } from '../../../ledger/receipt/index.ts';
import type { Batch, Candidate } from '../../../ledger/settlement/plan.ts';
import { costOf, isWorthSending, mostBid } from '../../../ledger/settlement/worth.ts';
import type { Pressure, Worth } from '../../../ledger/settlement/worth.ts';

const ANYBODY = ledgerAddress(new Uint8Array(32).fill(1));
const SOL = 1_000_000_000n;

function candidate(value: bigint, closing: boolean): Candidate {
  const id = channelId(new Uint8Array(22));
  const receipt: SignedReceipt = { channel: id, amount: amount(value), up: 0n, down: 0n, bytes: new Uint8Array() };
  const channel = {
    id,
    till: ANYBODY,
    payee: ANYBODY,
    slot: 0,
    generation: 1,
    payer: ANYBODY,
    delegate: ANYBODY,
    deposit: amount(value),
    opening: amount(0n),
    settled: amount(0n),
    settledUp: 0n,
    settledDown: 0n,
    closeAt: closing ? unixSeconds(1n) : undefined,
  };
  return { channel, receipt };
}

function batch(...candidates: readonly Candidate[]): Batch {
  const increase = candidates.reduce((sum, { receipt }) => sum + receipt.amount, 0n);
  return { candidates, shares: [], increase: amount(increase) };
}

const pressing = ({ channel }: Candidate): Pressure => (channel.closeAt === undefined ? 'growing' : 'closing');

function worth(bidFirst: bigint, bidFurther = 0n, unitsPerLamport = 1n): Worth {
  return {
    fee: { first: lamports(5_000n), further: lamports(0n) },
    bid: { first: lamports(bidFirst), further: lamports(bidFurther) },
    unitsPerLamport,
    maxFeeShareBps: 100n,
  };
}

describe('the most to bid', () => {
  it('is a tenth of what closes, far above what is bid for anything else, and has an end', () => {
    expect(mostBid(batch(candidate(50_000n, true)), 1n)).toBe(5_000n);
    expect(mostBid(batch(candidate(SOL / 10n, true)), 1n)).toBe(SOL / 100n);
    expect(mostBid(batch(candidate(900n * SOL, true)), 1n)).toBe(MAX_CLOSING_BID);
  });

  it('is a tenth of what can wait, and little however much that is', () => {
    expect(mostBid(batch(candidate(50_000n, false)), 1n)).toBe(5_000n);
    expect(mostBid(batch(candidate(900n * SOL, false)), 1n)).toBe(MAX_SETTLE_BID);
  });

  it('is not raised by dust that closes beside what can wait', () => {
    expect(mostBid(batch(candidate(1n, true), candidate(900n * SOL, false)), 1n)).toBe(MAX_SETTLE_BID);
  });

  it("is calculated at the bank's price", () => {
    expect(mostBid(batch(candidate(50_000n, true)), 5n)).toBe(1_000n);
  });
});

describe('a settlement that is sent', () => {
  it('never costs more than it moves, whatever the price and whoever drove it up', () => {
    const money = fc.bigInt({ min: 1n, max: 10n * SOL });
    fc.assert(
      fc.property(
        fc.array(fc.record({ value: money, closing: fc.boolean() }), { minLength: 1, maxLength: 64 }),
        money,
        money,
        fc.bigInt({ min: 1n, max: 1_000n }),
        (channels, first, further, unitsPerLamport) => {
          const sent = batch(...channels.map(({ value, closing }) => candidate(value, closing)));
          const costs = worth(first, further, unitsPerLamport);
          fc.pre(isWorthSending(sent, pressing, costs));
          expect(costOf(sent, costs) * unitsPerLamport).toBeLessThanOrEqual(sent.increase);
        },
      ),
    );
  });

  it('is not held up by a price that somebody drove up: what closes goes with what may be bid', () => {
    expect(isWorthSending(batch(candidate(20_000n, true)), pressing, worth(SOL))).toBe(true);
    expect(isWorthSending(batch(candidate(5_001n, true)), pressing, worth(SOL))).toBe(false);
    expect(isWorthSending(batch(candidate(5_001n, true)), pressing, worth(0n))).toBe(true);
  });

  it('counts only what presses, unless all of it together is cheap to settle', () => {
    const dust = candidate(100n, true);
    expect(isWorthSending(batch(dust, candidate(400_000n, false)), pressing, worth(0n))).toBe(false);
    expect(isWorthSending(batch(dust, candidate(500_000n, false)), pressing, worth(0n))).toBe(true);
    expect(isWorthSending(batch(candidate(5_000n, true), candidate(1n, false)), pressing, worth(0n))).toBe(true);
  });
});
