/** What waits to be settled, and from which amount on it is settled automatically. */
import { MAX_SETTLE_BID } from '../../core/limits.ts';
import type { SettleFees } from '../../ledger/contract.ts';
import { DEFAULT_POLICY } from '../../ledger/settlement/index.ts';
import type { WaitingStats } from '../control/index.ts';
import { Glance } from './glance.ts';
import type { RunningNode } from './node.ts';

/** The ledger is asked at most this often for what a transaction costs, milliseconds. */
const FEES_MILLIS = 30_000;
const ALL_BPS = 10_000n;

/** What a settlement costs, and what that is in credits. */
export interface SettlePrice {
  readonly fees: SettleFees;
  /** The bank's price of a lamport, base units. */
  readonly unitsPerLamport: bigint;
}

type Parts = Pick<RunningNode, 'ledger' | 'wallet' | 'store' | 'settlement' | 'settings'>;

/** A node without a till earns nothing and need not ask. */
export function watchSettlePrice({ ledger, wallet }: Pick<Parts, 'ledger' | 'wallet'>): Glance<SettlePrice> {
  return new Glance(async () => {
    const [fees, { unitsPerLamport }] = await Promise.all([wallet.settleFees(), ledger.bank()]);
    return { fees, unitsPerLamport };
  }, FEES_MILLIS);
}

export function waitingOf({ store, settlement, settings }: Parts, price: SettlePrice | undefined): WaitingStats {
  const feeShareBps = settings.till?.settleFeeShare ?? DEFAULT_POLICY.maxFeeShareBps;
  let receipts = 0;
  for (const { role, channel, latest } of store.entries()) {
    if (role === 'payee' && latest !== undefined && latest.amount > channel.settled) receipts += 1;
  }
  const from = price === undefined ? null : settledFrom(price, receipts, feeShareBps);
  return { value: settlement.unsettled().toString(), from: from?.toString() ?? null, feeShareBps };
}

/** The least value of this many receipts at which the fee of their transaction is at most the share, base units. null: never. */
export function settledFrom(
  { fees: { fee, bid }, unitsPerLamport }: SettlePrice,
  receipts: number,
  feeShareBps: number,
): bigint | null {
  if (feeShareBps === 0) return null;
  const more = BigInt(Math.max(0, receipts - 1));
  const bids = bid.first + bid.further * more;
  const cost = fee.first + fee.further * more + (bids < MAX_SETTLE_BID ? bids : MAX_SETTLE_BID);
  const share = BigInt(feeShareBps);
  return (cost * unitsPerLamport * ALL_BPS + share - 1n) / share;
}
